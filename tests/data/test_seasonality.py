"""The season inferred from values where timestamps imply none."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.data.freq import Freq
from forecaster.data.reading.reader import read_panel
from forecaster.data.seasonality import infer_season
from forecaster.data.summary import summarise
from tests.support.factories import frame_of


def offsets_of(series):
    return np.r_[0, np.cumsum([len(values) for values in series])]


def found(*series):
    return infer_season(np.concatenate(series), offsets_of(series), Freq("step", 1)).length


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


@pytest.mark.parametrize(
    ("season", "noise"), [(7, 0.5), (12, 0.5), (24, 0.3), (24, 0.15), (48, 0.1), (52, 0.1), (96, 0.1)]
)
def test_a_smooth_season_is_found_under_noise_that_is_larger_than_its_steps(season, noise):
    rng = np.random.default_rng(0)
    values = np.sin(np.arange(20 * season) * 2 * np.pi / season) + noise * rng.normal(size=20 * season)
    assert found(values) == season
    walks = np.cumsum(rng.normal(size=(20, 20 * season)), axis=1)
    assert sum(found(walk) != 1 for walk in walks) <= 1


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


def inferred(freq, *series):
    return infer_season(np.concatenate(series), offsets_of(series), Freq.parse(freq))


@pytest.mark.parametrize(
    ("freq", "rows", "season"),
    [("15min", 2000, 7), ("h", 900, 25), ("D", 700, 10), ("MS", 240, 5), ("B", 600, 21), ("7h", 400, 24), ("W", 90, 4)],
)
def test_a_season_that_the_values_clearly_have_takes_the_place_of_the_calendars(freq, rows, season):
    rng = np.random.default_rng(season)
    found = inferred(freq, *(seasonal(rng, rows, season, noise=0.2) for _ in range(3)))
    assert (found.length, found.source) == (season, "values") and found.strength > 0.5
    assert f"season by the values, strength {found.strength:.2f}" in found.words()


@pytest.mark.parametrize(
    ("freq", "rows"),
    [("15min", 2000), ("h", 500), ("D", 200), ("W", 400), ("MS", 120), ("QS", 60), ("B", 300), ("h@09:00-16:00", 300)],
)
@pytest.mark.parametrize("kind", ["seasonal", "with a shorter one", "walk", "noise"])
def test_the_calendars_season_stays_where_the_values_have_it_or_none(freq, rows, kind):
    season = Freq.parse(freq).season_length
    for attempt in range(5):
        rng = np.random.default_rng(attempt)
        values = {
            "seasonal": seasonal(rng, rows, season, noise=1.0),
            "with a shorter one": seasonal(rng, rows, season) + np.sin(np.arange(rows) * 4 * np.pi / season),
            "walk": np.cumsum(rng.normal(size=rows)),
            "noise": rng.normal(size=rows),
        }[kind]
        found = inferred(freq, values)
        assert (found.length, found.source) == (season, "calendar")


def test_other_usual_seasons_are_told():
    rng, t = np.random.default_rng(0), np.arange(3000)
    hours = seasonal(rng, 3000, 24, noise=0.1, trend=0) * (1 + (t // 24 % 7 > 4))
    found = inferred("h", hours)
    assert found.length == 24 and [one.length for one in found.others] == [168]
    assert f"others: 168: {found.others[0].strength:.2f}" in found.words()
    minutes = inferred("min", np.tile(rng.normal(size=1440).cumsum(), 14) + 0.1 * rng.normal(size=14 * 1440))
    assert minutes.length == 60 and 1440 in [one.length for one in minutes.others]
    assert "the values do not show it" in minutes.words()


def test_rows_too_few_to_test_the_calendars_season_keep_it_while_they_hold_two():
    rng = np.random.default_rng(0)
    assert inferred("W", seasonal(rng, 110, 4, noise=0.1)).length == 52


@pytest.mark.parametrize(("freq", "season", "rows"), [("h", 24, 1500), ("30min", 48, 3000), ("W", 52, 1000)])
def test_a_smooth_season_of_the_calendar_is_shown_under_noise(freq, season, rows):
    t, rng = np.arange(rows), np.random.default_rng(0)
    found = inferred(freq, np.sin(t * 2 * np.pi / season) + 0.15 * rng.normal(size=rows))
    assert found.length == season and "do not show" not in found.words()
    assert all(one.length % season == 0 for one in found.others)  # such as a week, which repeats with its days
    few = inferred(freq, np.sin(t[: 5 * season] * 2 * np.pi / season) + 0.15 * rng.normal(size=5 * season))
    assert few.length == season and "do not show" not in few.words()


def test_few_rows_may_show_that_the_calendars_season_is_none():
    found = inferred("MS", np.sin(np.arange(59) * 2 * np.pi / 7))
    assert (found.length, found.source) == (7, "values") and found.others[0].strength < 0


def test_dated_rows_say_their_season_and_one_given_wins():
    rng = np.random.default_rng(1)
    values = seasonal(rng, 1500, 7, noise=0.2)
    table = pd.DataFrame({"time": pd.date_range("2024-01-01", periods=1500, freq="15min"), "value": values})
    panel = read_panel(table)
    assert panel.season_length == 7 and any(note.startswith("season by the values") for note in panel.notes)
    found = summarise(panel)
    assert "by the values" in found.facts()["season"] and found.season.others[0].length == 96
    given = read_panel(table, season_length=96)
    assert given.season_length == 96 and given.season.source == "given"
    assert not any(note.startswith("season by") for note in given.notes)


def test_ignored_rows_and_the_later_half_have_no_influence_on_it():
    rng = np.random.default_rng(2)
    values = seasonal(rng, 2000, 7, noise=0.2)
    later = np.r_[values[:1000], rng.normal(size=1000)]
    assert inferred("15min", values).length == inferred("15min", later).length == 7


def test_changes_that_last_and_come_again_at_no_lag_are_no_season_of_two():
    rng, t = np.random.default_rng(0), np.arange(120)
    recession = [np.cumsum(np.sin(2 * np.pi * t / 100)) + 0.3 * rng.normal(size=120) for _ in range(5)]
    assert inferred("MS", *recession).length == 12 and found(*recession) == 1
