"""Made series: any length and season, seeds, kinds, speed, and nothing real in them."""

from __future__ import annotations

import ast
import builtins
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

import forecaster
from forecaster.errors import UsageError
from forecaster.pretraining import kinds
from forecaster.pretraining.seasons import profiles

SOURCES = Path(kinds.__file__).parent
SEASONS = (1, 2, 4, 5, 7, 12, 24, 52)


def observed_share(series):
    return np.isfinite(series).mean()


@given(
    count=st.integers(0, 40),
    length=st.integers(2, 90),
    season_length=st.sampled_from(SEASONS),
    seed=st.integers(0, 2**32),
)
def test_series_have_their_shape_and_no_infinite_value(count, length, season_length, seed):
    series = forecaster.make_series(count, length, season_length, seed=seed)
    assert series.shape == (count, length) and series.dtype == np.float32
    assert not np.isinf(series).any()


def test_the_same_seed_gives_the_same_series_and_another_gives_others():
    first, again, other = (forecaster.make_series(50, 60, 12, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not (first == other).all(axis=1).any()


@pytest.mark.parametrize("kind", kinds.KINDS)
@pytest.mark.parametrize("season_length", [1, 4, 12])
def test_each_kind_can_be_drawn_by_itself_and_varies(kind, season_length):
    series = forecaster.make_series(200, 72, season_length, kind=kind)
    assert observed_share(series) > 0.9
    assert (np.nanstd(series, axis=1) > 0.0).mean() > 0.9
    assert (np.nanmin(series, axis=1) >= 0.0).mean() > 0.6


def test_some_series_lack_rows_some_are_counts_and_levels_differ():
    series = forecaster.make_series(2000, 72)
    missing = np.isnan(series).any(axis=1).mean()
    whole = (np.nan_to_num(series) == np.round(np.nan_to_num(series))).all(axis=1).mean()
    assert 0.03 < missing < 0.15 and 0.1 < whole < 0.3
    low, high = np.nanpercentile(np.nanmean(series, axis=1), [5, 95])
    assert high > 100.0 * low


@pytest.mark.parametrize("season_length", [4, 12, 24])
def test_profiles_have_mean_0_and_standard_deviation_1(season_length):
    found = profiles(np.random.default_rng(0), 500, season_length)
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0)[found.any(axis=0)], 1.0, atol=1e-2)


def test_many_series_repeat_themselves_after_a_season_and_none_without_one():
    def seasonal(season_length):
        series = np.nan_to_num(forecaster.make_series(1000, 120, season_length, kind="state space"))
        far = np.abs(series[:, 12:] - series[:, :-12]).mean(axis=1)
        near = np.abs(series[:, 6:] - series[:, :-6]).mean(axis=1)
        return (far < 0.8 * near).mean()

    assert seasonal(12) > 0.2 > 0.05 > seasonal(1)


def test_growing_series_mostly_rise_and_their_differences_go_together():
    def together(kind):
        series = np.nan_to_num(forecaster.make_series(1000, 30, 1, kind=kind))
        steps = np.diff(series, axis=1)
        varied = steps[steps.std(axis=1) > 0.0]
        deviation = varied - varied.mean(axis=1, keepdims=True)
        alike = (deviation[:, 1:] * deviation[:, :-1]).sum(axis=1) / (deviation**2).sum(axis=1)
        return np.median(alike), (series[:, -1] > series[:, 0]).mean()

    growing, level = together("growth"), together("state space")
    assert growing[0] > 0.0 > -0.2 > level[0]
    assert growing[1] > 0.6 > level[1]


@pytest.mark.parametrize("season_length", [7, 24])
def test_the_season_dominates_active_series(season_length):
    def share(kind):
        blocks = np.nan_to_num(forecaster.make_series(500, 20 * season_length, season_length, kind=kind))
        blocks = blocks.reshape(500, 20, season_length)
        return np.median(blocks.mean(axis=1).var(axis=1) / np.maximum(blocks.var(axis=(1, 2)), 1e-9))

    assert share("activity") > 2.0 * share("state space")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "count -1"),
        ({"length": 1}, "length 1"),
        ({"season_length": 0}, "season_length 0"),
        ({"kind": "real"}, "no kind is named 'real'"),
    ],
)
def test_arguments_that_make_no_series_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        forecaster.make_series(**{"count": 2, "length": 24, **arguments})


def test_ten_thousand_series_of_200_rows_take_about_a_second_of_a_core():
    def seconds():
        began = time.process_time()
        forecaster.make_series(2048, 200)
        return time.process_time() - began

    with threadpool_limits(1):
        # Measured: 0.1 s. Work beside it slows a core to a third.
        assert min(seconds() for _ in range(3)) < 2048 / 10_000 * 1.5


def test_the_generator_reads_no_file(monkeypatch):
    monkeypatch.setattr(builtins, "open", None)
    monkeypatch.setattr(Path, "open", None)
    assert len(forecaster.make_series(100, 72)) == 100


def test_no_module_of_the_generator_holds_a_table_of_numbers():
    for name in ("kinds", "seasons", "series", "calendar_effects", "long_seasons", "growth", "activity"):
        tree = ast.parse((SOURCES / f"{name}.py").read_text(encoding="utf-8"))
        longest = max((len(node.elts) for node in ast.walk(tree) if isinstance(node, (ast.List, ast.Tuple))), default=0)
        assert longest <= 8, name
