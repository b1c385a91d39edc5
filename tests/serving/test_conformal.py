"""Quantiles from errors on test windows: their empirical coverage is the nominal one, whatever the network says, in any units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.data.seasonal_scale import context_scale
from forecaster.serving.conformal import ErrorPool, calibrate
from forecaster.serving.quantile_columns import QuantileColumns

NAN = float("nan")
LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)


def pooled(forecast, target, seasonal_scale, series, separate):
    """All of one age."""
    return ErrorPool(forecast, target, seasonal_scale, series, separate, np.zeros(len(target)))


def drawn(windows, horizon=6, *, seed=0, units=None, width=None):
    """Truth = 100 + unit · root of the step · noise; the network says 100 and, with `width`, quantiles that far away."""
    rng = np.random.default_rng(seed)
    unit = np.ones(windows) if units is None else units
    noise = rng.gamma(2.0, size=(windows, horizon)) - 2.0  # skewed: errors are not alike on both sides
    target = 100 + unit[:, None] * np.sqrt(np.arange(horizon) + 1.0) * noise
    forecast = np.full((windows, horizon, 1 if width is None else 3), 100.0)
    if width is not None:
        forecast[:, :, 1] -= width[:, None]
        forecast[:, :, 2] += width[:, None]
    return pooled(forecast, target, unit, np.zeros(windows, np.int64), windows)


def share_below(pool, calibration):
    """[Q] share of the targets at or below each level's value."""
    found = calibration.quantiles(pool.forecast, pool.seasonal_scale, ["s"] * len(pool.target), LEVELS)
    return (pool.target[:, :, None] <= found).mean(axis=(0, 1))


@pytest.mark.parametrize("width", [None, 0.01, 50.0])
def test_new_windows_are_below_each_level_as_often_as_it_says_however_wrong_the_network_is(width):
    def sample(count, seed):
        units = np.random.default_rng(seed).uniform(0.1, 10, count)
        return drawn(count, seed=seed, units=units, width=None if width is None else np.full(count, width))

    np.testing.assert_allclose(share_below(sample(4000, 2), calibrate(sample(500, 1), ["s"])), LEVELS, atol=0.02)


def test_each_step_has_its_own_width():
    found = calibrate(drawn(2000), ["s"])
    width = found.offsets[-4] - found.offsets[3]
    assert width[5] == pytest.approx(width[0] * np.sqrt(6), rel=0.25)


def test_where_the_network_says_wide_it_is_wider():
    units = np.where(np.arange(400) % 2, 4.0, 1.0)
    pool = drawn(400, units=units, width=units)
    found = calibrate(pool, ["s"]).quantiles(pool.forecast, pool.seasonal_scale, ["s"] * 400, (0.1, 0.9))
    width = found[:, 0, 1] - found[:, 0, 0]
    assert width[1] == pytest.approx(4 * width[0])


def test_quantiles_never_cross_and_stay_about_the_point():
    pool = drawn(40)
    levels = tuple(np.linspace(0.005, 0.995, 50))
    found = calibrate(pool, ["s"]).quantiles(pool.forecast, pool.seasonal_scale, ["s"] * 40, levels)
    assert (np.diff(found, axis=2) >= 0).all()
    assert (found[:, :, 0] < 100).all() and (found[:, :, -1] > 100).all()


def test_few_windows_give_wider_intervals_than_many_with_the_same_errors():
    pool = drawn(200)
    many = calibrate(pool, ["s"])
    few = calibrate(pooled(pool.forecast, pool.target, pool.seasonal_scale, pool.series, 5), ["s"])
    assert (few.offsets[-4] > many.offsets[-4]).all()


def test_units_of_the_data_do_not_matter():
    pool = drawn(100, units=np.random.default_rng(3).uniform(1, 5, 100))
    grown = pooled(pool.forecast * 1e6, pool.target * 1e6, pool.seasonal_scale * 1e6, pool.series, 100)
    np.testing.assert_allclose(calibrate(pool, ["s"]).offsets, calibrate(grown, ["s"]).offsets, rtol=1e-6)


def test_a_series_with_enough_windows_has_its_own_factor_and_others_have_none():
    pool = drawn(60)
    series = np.repeat([0, 1], 30)
    target = pool.target.copy()
    target[30:] = 100 + 5 * (target[30:] - 100)  # five times as far off as its differences say
    found = calibrate(pooled(pool.forecast, target, pool.seasonal_scale, series, 60), ["calm", "wild"])
    assert found.factors["wild"] > 2 * found.factors["calm"]
    wide = found.quantiles(
        pool.forecast[:1].repeat(3, axis=0), pool.seasonal_scale[:3], ["calm", "wild", "new"], (0.1, 0.9)
    )
    width = wide[:, 0, 1] - wide[:, 0, 0]
    assert width[0] < width[2] < width[1]
    assert (
        calibrate(pooled(pool.forecast[:4], target[:4], pool.seasonal_scale[:4], np.arange(4), 4), list("abcd")).factors
        == {}
    )


def test_missing_targets_and_windows_without_a_unit_teach_nothing():
    pool = drawn(100)
    target, size = pool.target.copy(), pool.seasonal_scale.copy()
    whole = calibrate(pooled(pool.forecast[:98], target[:98], size[:98], pool.series[:98], 98), ["s"])
    target[98], size[99] = NAN, 0.0
    target[99] = 1e9
    found = calibrate(pooled(pool.forecast, target, size, pool.series, 98), ["s"])
    np.testing.assert_allclose(found.offsets, whole.offsets)


def test_nothing_to_learn_from_is_none():
    assert (
        calibrate(pooled(np.ones((3, 2, 1)), np.full((3, 2), NAN), np.ones(3), np.zeros(3, np.int64), 3), ["s"]) is None
    )
    assert calibrate(pooled(np.ones((3, 2, 1)), np.zeros((3, 2)), np.zeros(3), np.zeros(3, np.int64), 3), ["s"]) is None


def test_beyond_the_horizon_the_last_width_grows_with_the_root_of_the_step():
    found = calibrate(drawn(500), ["s"]).quantiles(np.full((1, 24, 1), 100.0), np.ones(1), ["s"], (0.1, 0.9))
    width = found[0, :, 1] - found[0, :, 0]
    assert width[23] == pytest.approx(2 * width[5])
    assert (np.diff(width[5:]) > 0).all()


def test_totals_of_sampled_paths_have_nominal_coverage_where_errors_are_correlated():
    def joint(count, seed):
        noise = np.random.default_rng(seed).normal(size=(count, 1)) + 0.3 * np.random.default_rng(seed + 1).normal(
            size=(count, 6)
        )
        return pooled(np.full((count, 6, 1), 100.0), 100 + noise, np.ones(count), np.zeros(count, np.int64), count)

    learnt, new = calibrate(joint(400, 0), ["s"]), joint(2000, 7)
    paths = learnt.samples(new.forecast, new.seasonal_scale, ["s"] * 2000, 200)
    assert paths.shape == (2000, 6, 200)
    low, high = np.quantile(paths.sum(axis=1), (0.1, 0.9), axis=1)
    total = new.target.sum(axis=1)
    assert ((low <= total) & (total <= high)).mean() == pytest.approx(0.8, abs=0.04)
    step = learnt.quantiles(new.forecast, new.seasonal_scale, ["s"] * 2000, (0.1, 0.9))
    width = (step[:, :, 1] - step[:, :, 0]).mean()
    assert (high - low).mean() > 4.5 * width  # of 6 steps with equal errors; of independent ones, 2.4
    np.testing.assert_array_equal(paths, learnt.samples(new.forecast, new.seasonal_scale, ["s"] * 2000, 200))


def test_the_seasonal_scale_is_the_mean_seasonal_difference_of_what_is_there():
    context = np.array([[1.0, 2, 4, NAN, 9, 2], [3, 3, 3, 3, 3, 3], [NAN, NAN, NAN, NAN, NAN, 1], [1, 2, 1, 2, 1, 2]])
    np.testing.assert_allclose(context_scale(context, 2), [(3 + 5) / 2, 0, 0, 1])


@pytest.fixture
def no_fading(monkeypatch):
    monkeypatch.setattr("forecaster.serving.conformal.HALF_LIFE", np.inf)


@pytest.mark.usefixtures("no_fading")
def test_extended_by_a_pool_it_is_what_both_pools_make_together():
    one, two, both = drawn(300, seed=1), drawn(200, seed=2), drawn(500)
    both = replace(both, target=np.concatenate([one.target, two.target]))
    found, whole = calibrate(one, ["s"]).extended(two, ["s"]), calibrate(both, ["s"])
    np.testing.assert_allclose(found.offsets, whole.offsets, rtol=1e-9)
    assert (found.windows, found.separate) == (500, 500)


def test_each_separate_window_counts_the_same_however_densely_a_pool_was_taken():
    calm, wild = drawn(900, seed=1), drawn(900, seed=2, units=np.full(900, 5.0))
    wild = replace(wild, seasonal_scale=np.ones(900))
    dense = wild.take(np.repeat(np.arange(900), 7), 900)
    once, often = (calibrate(calm, ["s"]).extended(pool, ["s"]) for pool in (wild, dense))
    inner = slice(3, -3)  # the outermost levels are interpolated between a few errors only
    np.testing.assert_allclose(often.offsets[inner], once.offsets[inner], rtol=0.03, atol=0.05)
    assert (once.offsets[-4] > 1.5 * calibrate(calm, ["s"]).offsets[-4]).all()


def test_how_large_errors_are_is_said_by_the_newer_windows_above_all():
    calm = replace(drawn(60), age=np.arange(60.0)[::-1])
    wild = drawn(10, seed=3, units=np.full(10, 5.0))
    wild = replace(wild, seasonal_scale=np.ones(10), age=np.arange(7.0, 17.0)[::-1])
    stored = calibrate(calm, ["s"])
    found = stored.extended(wild, ["s"])
    # Ten new windows of 70 are five times as wild; with a half-life of ten they count nearly half.
    width, before = (one.offsets[-4] - one.offsets[3] for one in (found, stored))
    assert (width > 2 * before).all()
    np.testing.assert_allclose(
        np.abs(found.errors[60:]) / np.abs(wild.scaled()), found.errors[0, 0] / stored.errors[0, 0]
    )
    calmer = stored.extended(replace(drawn(10, seed=3, units=np.full(10, 0.2)), seasonal_scale=np.ones(10)), ["s"])
    assert ((calmer.offsets[-4] - calmer.offsets[3]) < 0.8 * before).all()


def test_errors_that_are_all_zero_stay_so():
    exact = replace(drawn(20), target=np.full((20, 6), 100.0))
    found = calibrate(exact, ["s"]).extended(replace(drawn(5), target=np.full((5, 6), 100.0)), ["s"])
    assert not found.offsets.any()


def test_a_pool_of_which_nothing_is_known_extends_nothing():
    known = calibrate(drawn(20), ["s"])
    empty = drawn(5)
    assert known.extended(replace(empty, target=np.full((5, 6), NAN)), ["s"]) is known


@pytest.mark.usefixtures("no_fading")
def test_errors_are_drawn_as_often_as_they_count():
    calm = replace(drawn(100), target=np.full((100, 6), 101.0))
    far = replace(drawn(10), target=np.full((10, 6), 110.0), separate=100)
    found = calibrate(calm, ["s"]).extended(far, ["s"])
    paths = found.samples(calm.forecast[:1], np.ones(1), ["s"], 2000)
    assert (paths > 105).mean() == pytest.approx(0.5, abs=0.05)


def test_no_correction_widens_a_quantile_beyond_the_errors_that_were_seen():
    """A network that is sure and wrong in its windows, and unsure in the next one."""
    shape = QuantileColumns((0.1, 0.5, 0.9))
    target = np.random.default_rng(0).normal(size=(200, 6))
    sure = np.zeros((200, 6, 4)) + np.array([0.0, -1e-6, 0.0, 1e-6])
    pool = replace(pooled(sure, target, np.ones(200), np.arange(200), 200), shape=shape)
    learnt = calibrate(pool, [f"s{i}" for i in range(200)])
    unsure = np.zeros((1, 6, 4)) + np.array([0.0, -2.0, 0.0, 2.0])
    found = learnt.quantiles(unsure, np.ones(1), ["s0"], (0.1, 0.5, 0.9))
    assert learnt.reach == np.abs(target).max()
    np.testing.assert_allclose(found[0, :, 2], learnt.reach, rtol=1e-9)
    wide = learnt.quantiles(10 * unsure, np.ones(1), ["s0"], (0.1, 0.5, 0.9))
    np.testing.assert_allclose(wide[0, :, 2], 20.0)  # the network's own widths stay
    assert (found[0, :, 0] < 0.0).all() and (found[0, :, 1] == 0.0).all()
