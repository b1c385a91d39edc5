"""Transform, centre and scale of a window, and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.models.scaling import CENTERS, MAX_LOG_DISTANCE, TRANSFORMS, WindowScaler
from tests.support.factories import NAN

EVERY = [(transform, center) for transform in TRANSFORMS for center in CENTERS]


def scaled(scaler, context):
    return [np.asarray(part) for part in scaler.scale_context(np.asarray(context, np.float64))]


@pytest.mark.parametrize(("transform", "center"), EVERY)
def test_what_is_scaled_is_restored(transform, center):
    scaler = WindowScaler(transform, center)
    context = np.random.default_rng(0).uniform(0, 100, (6, 12))
    context[0, 3] = context[1, :5] = NAN
    values, mask, middle, scale = scaled(scaler, context)
    restored = np.asarray(scaler.restore(values[:, :, None], middle, scale))[:, :, 0]
    np.testing.assert_allclose(restored[mask == 1], context[mask == 1], rtol=1e-5)
    np.testing.assert_array_equal(mask, ~np.isnan(context))


@pytest.mark.parametrize(("transform", "center"), EVERY)
def test_targets_are_normalised_as_the_context_is(transform, center):
    scaler = WindowScaler(transform, center)
    context = np.random.default_rng(0).uniform(0, 100, (6, 12))
    values, _, middle, scale = scaled(scaler, context)
    np.testing.assert_allclose(scaler.normalise(context, middle, scale), values, atol=1e-5)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_values_have_mean_0_and_deviation_1_over_what_is_observed(transform):
    context = np.random.default_rng(0).uniform(0, 100, (6, 12))
    context[:, 4:6] = NAN
    values, mask, _, _ = scaled(WindowScaler(transform, "mean"), context)
    count = mask.sum(axis=1)
    np.testing.assert_allclose(values.sum(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose((values**2).sum(axis=1) / count, 1, rtol=1e-4)


def test_the_last_centre_is_the_latest_observed_value():
    values, _, center, _ = scaled(WindowScaler("none", "last"), [[1, 5, 3, NAN], [4, NAN, NAN, NAN]])
    assert center.tolist() == [[3], [4]]
    assert values[0, 2] == 0


def test_the_log_is_of_one_more_than_the_value():
    _, _, center, scale = scaled(WindowScaler("log", "mean"), [[0, np.e**2 - 1]])
    np.testing.assert_allclose([center[0, 0], scale[0, 0]], [1, 1])


def test_what_is_missing_reads_as_zero_and_weighs_nothing():
    values, mask, center, scale = scaled(WindowScaler("none", "mean"), [[NAN, 2, NAN, 4]])
    assert values.tolist() == [[0, -1, 0, 1]]
    assert mask.tolist() == [[0, 1, 0, 1]]
    assert (center[0, 0], scale[0, 0]) == (3, 1)


@pytest.mark.parametrize(("transform", "center"), EVERY)
def test_a_constant_window_has_no_spread(transform, center):
    values, _, middle, scale = scaled(WindowScaler(transform, center), [[0.1] * 12])
    assert not values.any()
    assert scale[0, 0] == 0
    restored = WindowScaler(transform, center).restore(np.full((1, 2, 1), 1e6, np.float32), middle, scale)
    np.testing.assert_allclose(restored, 0.1, rtol=1e-15)


@pytest.mark.parametrize(("transform", "center"), EVERY)
def test_a_window_with_nothing_observed_is_finite(transform, center):
    for part in scaled(WindowScaler(transform, center), [[NAN] * 5]):
        assert np.isfinite(part).all()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(-1000, 1000), min_size=2, max_size=10).filter(lambda v: len(set(v)) > 1),
    st.floats(1e-3, 1e3),
    st.integers(-(10**6), 10**6),
    st.sampled_from(sorted(CENTERS)),
)
def test_without_a_transform_values_do_not_depend_on_level_and_unit(window, factor, offset, center):
    scaler = WindowScaler("none", center)
    plain, *_ = scaled(scaler, [window])
    moved, *_ = scaled(scaler, [[factor * (v + offset) for v in window]])
    np.testing.assert_allclose(moved, plain, atol=1e-4)


def test_levels_of_1e9_keep_their_movements_of_1():
    window = np.array([[0, 1, 0, 2, 1, 3.0]])
    for transform in TRANSFORMS:
        values, _, center, scale = scaled(WindowScaler(transform, "mean"), 1e9 + window)
        np.testing.assert_allclose(values, (window - window.mean()) / window.std(), atol=1e-4)
        restored = np.asarray(WindowScaler(transform, "mean").restore(values[:, :, None], center, scale))[:, :, 0]
        np.testing.assert_allclose(restored - 1e9, window, atol=1e-4)


def test_log_forecasts_stay_finite_and_at_or_above_zero():
    z = np.array([-1e30, -1, 0, 1, 1e30], np.float32).reshape(1, 5, 1)
    found = np.asarray(WindowScaler("log", "mean").restore(z, np.array([[2.0]]), np.array([[3.0]])))[0, :, 0]
    assert (found >= 0).all()
    assert np.isfinite(found).all()
    assert found[-1] == pytest.approx(np.exp(2 + MAX_LOG_DISTANCE) - 1)


def test_values_below_zero_count_as_zero_under_a_log():
    below, *_ = scaled(WindowScaler("log", "mean"), [[-5, 1, 2]])
    zero, *_ = scaled(WindowScaler("log", "mean"), [[0, 1, 2]])
    np.testing.assert_array_equal(below, zero)


@pytest.mark.parametrize(
    ("center", "scale", "level"),
    [(0.0, 1.0, 0.0), (3.0, 1.0, 0.75), (-3.0, 1.0, -0.75), (7.0, 0.0, 1.0), (0.0, 0.0, 0.0), (1e15, 1.0, 1.0)],
)
def test_the_level_is_a_share_of_centre_and_scale(center, scale, level):
    found = WindowScaler("none", "mean").level(np.array([[center]]), np.array([[scale]]))
    np.testing.assert_allclose(np.asarray(found), [[level]], rtol=1e-6)
