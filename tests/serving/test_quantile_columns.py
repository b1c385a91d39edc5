"""Calibrated quantiles lie about the centre, ascend, keep the network's shape, never shrink ahead, and samples are of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.data.target_limits import Limits
from forecaster.serving.conformal import GRID, ErrorPool, calibrate
from forecaster.serving.quantile_columns import QuantileColumns
from forecaster.serving.raw_forecasts import widened_beyond_horizon

SHAPE = QuantileColumns((0.1, 0.5, 0.9), 0.5)
LEVELS = (0.025, 0.1, 0.3, 0.5, 0.7, 0.9, 0.975)


def pool_of(windows=200, horizon=4, *, bias=0.0, size=1.0, seed=0, cutoffs=1, shape=SHAPE, point=100.0):
    """Normal errors about `point + bias`; the network's quantiles are those of a standard normal about `point`."""
    rng = np.random.default_rng(seed)
    target = point + bias + size * rng.normal(size=(windows, horizon))
    forecast = np.full((windows, horizon, 4), point)
    forecast[:, :, 1] -= 1.2816
    forecast[:, :, 3] += 1.2816
    ages = np.arange(windows) % cutoffs
    return ErrorPool(
        forecast, target, np.ones(windows), np.zeros(windows, np.int64), windows, ages.astype(float), shape
    )


def quantiles(pool, levels=LEVELS, forecast=None):
    learnt = calibrate(pool, ["s"])
    forecast = pool.forecast if forecast is None else forecast
    return learnt.quantiles(forecast, np.ones(len(forecast)), ["s"] * len(forecast), levels)


@given(
    bias=st.floats(-20, 20),
    size=st.floats(1e-3, 50),
    cutoffs=st.integers(1, 20),
    point=st.sampled_from([0.0, 1e-3, 8e9]),
)
def test_they_contain_the_point_forecast_and_ascend_whatever_the_errors_were(bias, size, cutoffs, point):
    found = quantiles(pool_of(40, bias=bias, size=size, cutoffs=cutoffs, point=point))
    assert (found[:, :, 3] == point).all()
    assert (np.diff(found, axis=2) >= 0).all()


@pytest.mark.parametrize("size", [0.2, 0.5, 2.0, 10.0])
def test_of_many_cutoffs_the_coverage_is_nominal_however_wrong_the_widths_are(size):
    pool = pool_of(600, size=size, cutoffs=60)
    new = pool_of(4000, size=size, seed=1)
    found = quantiles(pool, (0.025, 0.1, 0.9, 0.975), new.forecast)
    inner = (found[:, :, 1] <= new.target) & (new.target <= found[:, :, 2])
    outer = (found[:, :, 0] <= new.target) & (new.target <= found[:, :, 3])
    assert inner.mean() == pytest.approx(0.8, abs=0.03) and outer.mean() == pytest.approx(0.95, abs=0.03)


def test_windows_of_one_cutoff_share_one_shock_and_are_believed_half():
    raw = pool_of().forecast[:, :, 3] - 100.0
    one, many = (quantiles(pool_of(size=1.2, cutoffs=n))[:, :, 5] - 100.0 for n in (1, 50))
    full = 1.2 * raw
    assert np.mean(np.log(one / raw)) == pytest.approx(0.5 * np.log(1.2), abs=0.05)
    assert np.mean(many / full) == pytest.approx(1.0, abs=0.06)


def test_where_the_networks_quantiles_are_right_they_are_served_as_they_are():
    found = quantiles(pool_of(4000, cutoffs=40), (0.1, 0.9))
    np.testing.assert_allclose(found[:, :, 0], 100 - 1.2816, atol=0.08)
    np.testing.assert_allclose(found[:, :, 1], 100 + 1.2816, atol=0.08)


def test_the_networks_own_shape_between_its_levels_is_kept():
    shape = QuantileColumns((0.1, 0.3, 0.5, 0.7, 0.9), 0.5)
    forecast = np.tile(np.array([100.0, 90.0, 99.9, 100.0, 100.1, 110.0]), (50, 4, 1))
    pool = replace(pool_of(50), forecast=forecast, shape=shape)
    found = quantiles(pool, (0.3, 0.5, 0.7, 0.9))
    assert (found[:, :, 2] - 100 < 0.05 * (found[:, :, 3] - 100)).all()
    assert (found[:, :, 1] == 100).all()


def test_a_mean_is_not_the_median():
    shape = QuantileColumns((0.1, 0.5, 0.9), None)
    forecast = np.tile(np.array([3.0, 0.0, 1.0, 6.0]), (30, 4, 1))
    pool = replace(pool_of(30), forecast=forecast, shape=shape, target=np.full((30, 4), 1.0))
    assert (quantiles(pool, (0.5,)) == 1.0).all()


@pytest.mark.parametrize("levels", [(), (0.5,), (0.1, 0.2)])
def test_without_widths_on_both_sides_the_seasonal_difference_is_the_unit(levels):
    shape = QuantileColumns(levels, 0.5)
    pool = pool_of(300, size=3.0, cutoffs=30)
    pool = replace(pool, forecast=pool.forecast[:, :, : 1 + len(levels)], shape=shape)
    found = quantiles(pool, (0.1, 0.5, 0.9))
    assert (found[:, :, 1] == 100.0).all()
    np.testing.assert_allclose(found[:, :, 2] - 100.0, 3.0 * 1.2816, rtol=0.25)


@given(st.lists(st.floats(-5, 5), min_size=36, max_size=36))
def test_widths_never_shrink_beyond_the_trained_horizon(numbers):
    raw = np.array(numbers).reshape(1, 12, 3)
    raw[:, :, 1:] = np.sort(raw[:, :, 1:], axis=2)
    raw[:, :, 1], raw[:, :, 2] = np.minimum(raw[:, :, 1], raw[:, :, 0]), np.maximum(raw[:, :, 2], raw[:, :, 0])
    found = widened_beyond_horizon(raw, 4)
    away = np.abs(found[0, 3:, 1:] - found[0, 3:, :1])
    assert (np.diff(away, axis=0)[:, away[0] > 0] >= -1e-9).all()
    np.testing.assert_array_equal(found[:, :4], raw[:, :4])


def test_beyond_the_horizon_calibrated_widths_do_not_shrink_either():
    pool = pool_of(300, cutoffs=30)
    raw = np.tile(pool.forecast[:1], (1, 5, 1))
    raw[0, :, 3] = 100 + np.tile([1.0, 2.0, 3.0, 0.5, 0.1], 4)
    found = quantiles(pool, (0.9,), widened_beyond_horizon(raw, 4))
    assert (np.diff(found[0, 3:, 0]) >= 0).all()


def test_samples_are_of_the_quantiles_that_are_served():
    pool = pool_of(60, bias=0.4, cutoffs=20)
    learnt = calibrate(pool, ["s"])
    paths = learnt.samples(pool.forecast[:1], np.ones(1), ["s"], 4000)
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    served = learnt.quantiles(pool.forecast[:1], np.ones(1), ["s"], levels)[0][:, :, None]
    below, at_most = (paths[0][:, None] < served).mean(axis=2), (paths[0][:, None] <= served).mean(axis=2)
    assert (below <= np.array(levels) + 0.03).all() and (at_most >= np.array(levels) - 0.03).all()
    assert len(np.unique(paths[0, 0])) > 1000  # not as many as there were windows


def test_samples_of_whole_numbers_have_their_quantiles_and_their_mean():
    shape = QuantileColumns((0.1, 0.5, 0.9), None)
    rng = np.random.default_rng(0)
    forecast = np.tile(np.array([0.2, 0.0, 0.0, 1.0]), (300, 4, 1))
    target = (rng.random((300, 4)) < 0.2).astype(float)
    pool = replace(pool_of(300, cutoffs=60), forecast=forecast, target=target, shape=shape)
    learnt, limits = calibrate(pool, ["s"]), Limits(0.0, None, integer=True)
    paths = limits.hold(learnt.samples(forecast[:1], np.ones(1), ["s"], 2000))
    assert set(np.unique(paths)) <= {0.0, 1.0, 2.0, 3.0} and paths.mean() == pytest.approx(0.2, abs=0.12)
    assert not np.signbit(paths).any()
    served = limits.hold(learnt.quantiles(forecast[:1], np.ones(1), ["s"], GRID))
    np.testing.assert_array_equal(np.quantile(paths[0], 0.5, axis=1), served[0, :, GRID.index(0.5)])


def test_steps_of_a_path_depend_on_each_other_as_errors_do():
    rng = np.random.default_rng(3)
    pool = pool_of(400, cutoffs=40)
    joint = 100 + rng.normal(size=(400, 1)) + 0.1 * rng.normal(size=(400, 4))
    paths = calibrate(replace(pool, target=joint), ["s"]).samples(pool.forecast[:1], np.ones(1), ["s"], 1000)
    alone = calibrate(pool, ["s"]).samples(pool.forecast[:1], np.ones(1), ["s"], 1000)
    assert np.corrcoef(paths[0])[0, 3] > 0.9 > 0.3 > abs(np.corrcoef(alone[0])[0, 3])


@pytest.mark.parametrize("value", [-0.2, -0.0, 0.3])
def test_no_minus_zero(value):
    for limits in (Limits(integer=True), Limits(low=0.0), Limits(low=0.0, integer=True)):
        assert not np.signbit(limits.hold(np.array([value, 0.0])) + 0).any() or (value == -0.2 and not limits.integer)
