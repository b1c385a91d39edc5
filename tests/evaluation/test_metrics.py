"""Scores against numbers worked by hand, against a slow loop, and against what is true of any numbers."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.data.seasonal_scale import seasonal_scale, seasonal_square_scale
from forecaster.evaluation.metrics import METRICS, Scores, score, score_by_series, score_by_step

NAN = float("nan")


def loop_score(target, prediction, scale):
    """The definitions, one number at a time."""
    absolute, relative, scaled, square, roots, sizes, signed = [], [], [], [], [], [], []
    for y_row, f_row, s in zip(target, prediction, scale, strict=True):
        pairs = [(y, f) for y, f in zip(y_row, f_row, strict=True) if not math.isnan(y)]
        if not pairs:
            continue
        mean = sum(abs(y - f) for y, f in pairs) / len(pairs)
        absolute.append(mean)
        relative.append(sum(200 * abs(y - f) / (abs(y) + abs(f)) if y or f else 0 for y, f in pairs) / len(pairs))
        square += [(y - f) ** 2 for y, f in pairs]
        if s > 0:
            scaled.append(mean / s)
            roots.append(math.sqrt(sum((y - f) ** 2 for y, f in pairs) / len(pairs)) / s)
        sizes += [abs(y) for y, _ in pairs]
        signed += [f - y for y, f in pairs]

    def average(values):
        return sum(values) / len(values) if values else NAN

    total = sum(sizes) or NAN
    return Scores(
        average(absolute),
        math.sqrt(average(square)),
        average(relative),
        average(scaled),
        100 * sum(map(abs, signed)) / total,
        100 * sum(signed) / total,
        average(roots),
    )


def loop_scale(target, offsets, ends, season_length):
    result = []
    for start, end in zip(offsets[:-1], ends, strict=True):
        rows = target[start:end]
        m = season_length if len(rows) > season_length else 1
        steps = [abs(rows[t] - rows[t - m]) for t in range(m, len(rows))]
        steps = [step for step in steps if not math.isnan(step)]
        mean = sum(steps) / len(steps) if steps else NAN
        result.append(mean if mean > 0 else NAN)
    return result


def same(left, right):
    return np.allclose(dataclasses.astuple(left), dataclasses.astuple(right), rtol=1e-9, atol=1e-12, equal_nan=True)


def draw(seed, windows=7, horizon=5, missing=0.3):
    rng = np.random.default_rng(seed)
    target = np.where(rng.random((windows, horizon)) < missing, np.nan, rng.normal(size=(windows, horizon)))
    scale = np.where(rng.random(windows) < 0.2, np.nan, rng.uniform(0.1, 2, windows))
    return target, rng.normal(size=(windows, horizon)), scale


def test_scores_of_a_window_worked_by_hand():
    # errors 1, 2, 0 -> mean 1; squares 1, 4, 0; sMAPE terms 200/3, 400/6, 0; scale 2
    scores = score(np.array([[1.0, 4.0, 5.0]]), np.array([[2.0, 2.0, 5.0]]), np.array([2.0]))
    assert scores.mae == 1
    assert scores.rmse == pytest.approx(math.sqrt(5 / 3))
    assert scores.smape == pytest.approx((200 / 3 + 400 / 6) / 3)
    assert scores.mase == 0.5


def test_windows_count_alike_however_many_steps_are_observed():
    target = np.array([[0.0, 0.0], [0.0, NAN]])
    scores = score(target, np.array([[1.0, 1.0], [4.0, 7.0]]), np.ones(2))
    assert scores.mae == 2.5  # mean of 1 and 4, not of 1, 1, 4
    assert scores.rmse == pytest.approx(math.sqrt(18 / 3))  # over all observed steps


def test_smape_is_0_where_target_and_forecast_are_0():
    assert score(np.zeros((1, 2)), np.array([[0.0, 1.0]]), np.ones(1)).smape == 100


def test_smape_is_200_where_signs_differ():
    assert score(np.array([[3.0]]), np.array([[-2.0]]), np.ones(1)).smape == 200


@pytest.mark.parametrize("scale", [NAN, 0.0])
def test_windows_without_a_scale_are_left_out_of_mase_only(scale):
    scores = score(np.zeros((2, 1)), np.array([[3.0], [1.0]]), np.array([scale, 1.0]))
    assert scores.mase == 1
    assert scores.mae == 2


def test_nothing_observed_is_nan_and_none_in_json():
    scores = score(np.full((2, 3), NAN), np.zeros((2, 3)), np.ones(2))
    assert all(math.isnan(value) for value in dataclasses.astuple(scores))
    assert scores.to_json() == dict.fromkeys(METRICS)


def test_no_windows_is_nan():
    assert math.isnan(score(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0)).mae)


def test_a_missing_forecast_is_never_scored_as_good():
    assert math.isnan(score(np.ones((1, 2)), np.array([[1.0, NAN]]), np.ones(1)).mae)


def test_scores_beyond_the_largest_float_are_none_in_json():
    scores = score(np.array([[1e308]]), np.array([[-1e308]]), np.ones(1))
    assert json.dumps(scores.to_json(), allow_nan=False)
    assert scores.to_json()["rmse"] is None


def test_scores_are_plain_floats_named_as_the_table():
    scores = score(np.ones((1, 1)), np.zeros((1, 1)), np.ones(1))
    assert [field.name for field in dataclasses.fields(Scores)] == list(METRICS)
    assert all(type(value) is float for value in dataclasses.astuple(scores))


def test_each_step_is_scored_by_itself():
    target, prediction, scale = draw(3)
    by_step = score_by_step(target, prediction, scale, scale)
    assert len(by_step) == 5
    for step, scores in enumerate(by_step):
        assert same(scores, loop_score(target[:, [step]], prediction[:, [step]], scale))


def test_each_series_is_scored_by_itself_and_one_without_windows_is_nan():
    target, prediction, scale = draw(4)
    series = np.array([0, 2, 0, 2, 2, 0, 4])
    by_series = score_by_series(target, prediction, scale, series, 5, scale)
    assert len(by_series) == 5
    for n, scores in enumerate(by_series):
        mine = series == n
        assert same(scores, loop_score(target[mine], prediction[mine], scale[mine]))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_scores_equal_a_slow_loop(seed, missing):
    target, prediction, scale = draw(seed, missing=missing)
    assert same(score(target, prediction, scale, scale), loop_score(target, prediction, scale))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
def test_scaling_the_data_scales_mae_and_rmse_and_leaves_the_others(seed, factor):
    target, prediction, scale = draw(seed)
    before, after = score(target, prediction, scale), score(target * factor, prediction * factor, scale * factor)
    assert same(after, dataclasses.replace(before, mae=before.mae * factor, rmse=before.rmse * factor))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_step_that_is_not_observed_weighs_nothing(seed):
    target, prediction, scale = draw(seed)
    noise = np.random.default_rng(seed + 1).normal(size=target.shape)
    made = np.where(np.isnan(target), noise, prediction)
    assert score(target, made, scale, scale) == score(target, prediction, scale, scale)


def test_seasonal_scale_worked_by_hand():
    target = np.array([1.0, 5, 2, 9, 7, 7, 7, 3, 8])
    offsets = np.array([0, 4, 7, 9])
    # lag 2: (|2-1| + |9-5|) / 2; constant: undefined; two rows: lag 1, |8-3|
    assert np.array_equal(seasonal_scale(target, offsets, offsets[1:], 2), [2.5, NAN, 5], equal_nan=True)


def test_seasonal_scale_skips_missing_values():
    target = np.array([1.0, NAN, 4, 2, NAN, NAN])
    scale = seasonal_scale(target, np.array([0, 4, 6]), np.array([4, 6]), 1)
    assert np.array_equal(scale, [2, NAN], equal_nan=True)


def test_seasonal_scale_sees_no_row_at_or_after_the_end():
    target = np.random.default_rng(0).normal(size=40)
    offsets, ends = np.array([0, 25, 40]), np.array([20, 31])
    changed = target.copy()
    changed[20:25] = changed[31:] = 1e6
    before, after = (seasonal_scale(rows, offsets, ends, 3) for rows in (target, changed))
    assert np.array_equal(before, after)


def test_seasonal_scale_of_a_small_series_survives_a_large_neighbour():
    target = np.array([1e15, -1e15, 1e15, 1e-9, 3e-9])
    assert seasonal_scale(target, np.array([0, 3, 5]), np.array([3, 5]), 1)[1] == pytest.approx(2e-9, rel=1e-12)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_seasonal_scale_equals_a_slow_loop(lengths, season_length, seed):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ends = offsets[:-1] + rng.integers(0, np.array(lengths) + 1)
    target = np.where(rng.random(offsets[-1]) < 0.3, np.nan, rng.integers(0, 4, offsets[-1]).astype(float))
    result = seasonal_scale(target, offsets, ends, season_length)
    assert np.allclose(result, loop_scale(target, offsets, ends, season_length), equal_nan=True)


def test_the_measures_of_planners_worked_by_hand():
    # errors +1, -2, 0 of values 1, 4, 5: sum of sizes 3, signed sum -1, sum of values 10
    scores = score(np.array([[1.0, 4.0, 5.0]]), np.array([[2.0, 2.0, 5.0]]), np.array([2.0]), np.array([0.5]))
    assert scores.wape == pytest.approx(30) and scores.bias == pytest.approx(-10)
    assert scores.rmsse == pytest.approx(math.sqrt(5 / 3) / 0.5)


def test_the_square_scale_is_the_root_mean_square_difference():
    target = np.array([1.0, 2.0, 4.0, NAN, 9.0, 2.0])
    found = seasonal_square_scale(target, np.array([0, 6]), np.array([6]), 2)
    assert found[0] == pytest.approx(math.sqrt((3**2 + 5**2) / 2))
