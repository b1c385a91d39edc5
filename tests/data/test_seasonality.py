"""The season inferred from values where timestamps imply none."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.data.reading.reader import read_panel
from forecaster.data.seasonality import season_of
from tests.support.factories import frame_of


def offsets_of(series):
    return np.r_[0, np.cumsum([len(values) for values in series])]


def found(*series):
    return season_of(np.concatenate(series), offsets_of(series))


def seasonal(rng, rows, season, noise=0.3, trend=0.5):
    return rng.normal(size=season)[np.arange(rows) % season] + trend * np.arange(rows) + noise * rng.normal(size=rows)


@pytest.mark.parametrize("season", [3, 4, 7, 12, 24, 52, 168])
def test_a_season_is_found_on_trends_and_under_noise(season):
    rng = np.random.default_rng(season)
    assert found(*(seasonal(rng, 9 * season + int(rng.integers(season)), season) for _ in range(4))) == season


def test_the_shortest_of_several_seasons_is_taken():
    rng, t = np.random.default_rng(0), np.arange(2000)
    assert found(np.sin(t * np.pi / 12) + seasonal(rng, 2000, 24, 0.1, 0.0) + 0.3 * np.sin(t * np.pi / 84)) == 24


def test_walks_and_noise_have_no_season():
    rng = np.random.default_rng(0)
    wrong = 0
    for attempt in range(100):
        steps = rng.normal(size=(int(rng.integers(1, 6)), int(rng.integers(20, 300))))
        wrong += found(*(np.cumsum(steps, axis=1) if attempt % 2 else steps)) != 1
    assert wrong <= 2


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(100),
        np.full(100, np.nan),
        np.arange(100.0),
        np.ones(1),
        np.array([0.0] * 99 + [1e300]),
        np.r_[1.0, 2.0],
    ],
)
def test_what_never_changes_or_is_too_short_has_none(values):
    assert found(values) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e308, 1e200, 1e-310])
def test_extreme_values_raise_no_warning(size):
    assert found(np.array([size, -size] * 40)) == 2
    assert found(np.array([size, -size, 0.5 * size, 0.0] * 20)) == 4


def test_missing_values_and_outliers_do_not_hide_it():
    rng = np.random.default_rng(1)
    values = seasonal(rng, 400, 12)
    values[rng.integers(0, 400, 40)] = np.nan
    values[[50, 90, 131]] = 1e6
    assert found(values) == 12


def test_the_later_half_has_no_influence():
    rng = np.random.default_rng(2)
    series = [seasonal(rng, 200, 12) for _ in range(3)]
    changed = [np.r_[values[:100], rng.normal(size=100) * 50] for values in series]
    assert found(*series) == found(*changed) == 12


def test_numbered_rows_are_read_with_the_season_that_they_show():
    rng = np.random.default_rng(3)
    frame = frame_of(a=seasonal(rng, 120, 12), b=seasonal(rng, 120, 12))
    numbered = frame.assign(timestamp=frame.groupby("series").cumcount())
    assert read_panel(numbered).season_length == 12
    assert "season length 12 (frequency and season length inferred)" in " ".join(read_panel(numbered).notes)
    assert read_panel(numbered, season_length=1).season_length == 1
