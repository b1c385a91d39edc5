"""Scores of quantiles against numbers worked by hand, and against what is true of proper scores."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecaster.evaluation.quantile_metrics import msis, quantile_scores

NAN = float("nan")
LEVELS = (0.1, 0.5, 0.9)


def test_scores_of_two_steps_worked_by_hand():
    # step 1: y 10 inside 8..14, median 11; step 2: y 20 above 12..18, median 15
    target, quantile_forecasts = np.array([[10.0, 20.0]]), np.array([[[8.0, 11.0, 14.0], [12.0, 15.0, 18.0]]])
    found = quantile_scores(target, quantile_forecasts, LEVELS, np.array([2.0]))
    # pinball: 0.1·2, 0.5·1, 0.1·4 and 0.1·8, 0.5·5, 0.9·2
    first, second = [0.2, 0.5, 0.4], [0.8, 2.5, 1.8]
    assert found.pinball == pytest.approx((sum(first) + sum(second)) / 6)
    assert found.wql == pytest.approx(2 * (sum(first) + sum(second)) / 3 / 30)
    assert found.crps == pytest.approx(
        (0.3 * 0.2 + 0.4 * 0.5 + 0.3 * 0.4) + (0.3 * 0.8 + 0.4 * 2.5 + 0.3 * 1.8)
    )  # times 2, over 2 steps
    assert (found.nominal_coverage, found.empirical_coverage, found.width) == (pytest.approx(0.8), 0.5, 6.0)
    # widths 6 and 6, and 2 / 0.2 times the miss of 2; over scale 2
    assert found.msis == pytest.approx((6 + 6 + 20) / 2 / 2)
    assert found.below == {0.1: 0.0, 0.5: 0.5, 0.9: 0.5}


def test_missing_targets_weigh_nothing_and_windows_without_scale_are_left_out_of_msis_only():
    quantile_forecasts = np.array([[[0.0, 1.0, 2.0]] * 2] * 2)
    target = np.array([[1.0, NAN], [5.0, 1.0]])
    found = quantile_scores(target, quantile_forecasts, LEVELS, np.array([1.0, NAN]))
    assert found.empirical_coverage == pytest.approx(2 / 3)
    assert found.msis == 2.0
    assert math.isnan(
        quantile_scores(np.full((1, 2), NAN), quantile_forecasts[:1], LEVELS, np.ones(1)).empirical_coverage
    )


def test_msis_of_the_m4_rules_scales_each_window_by_itself():
    target, low, high = np.array([[0.0], [0.0]]), np.array([[-1.0], [1.0]]), np.array([[1.0], [3.0]])
    # alpha 0.05: 2 / 4 and (2 + 40·1) / 10
    assert msis(target, low, high, 0.95, np.array([4.0, 10.0])) == pytest.approx((0.5 + 4.2) / 2)


def test_no_levels_no_scores_and_one_level_no_interval():
    assert quantile_scores(np.ones((1, 1)), np.ones((1, 1, 0)), (), np.ones(1)) is None
    found = quantile_scores(np.ones((1, 1)), np.zeros((1, 1, 1)), (0.3,), np.ones(1))
    assert found.pinball == pytest.approx(0.3) and math.isnan(found.empirical_coverage) and math.isnan(found.msis)


def test_the_true_quantiles_score_best():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(4000, 2))
    true = np.array([-1.2816, 0.0, 1.2816])
    scores = {
        factor: quantile_scores(target, np.broadcast_to(factor * true, (4000, 2, 3)), LEVELS, np.ones(4000))
        for factor in (0.5, 1.0, 2.0)
    }
    for name in ("pinball", "wql", "crps", "msis"):
        assert min(scores, key=lambda factor: getattr(scores[factor], name)) == 1.0
    assert scores[1.0].empirical_coverage == pytest.approx(0.8, abs=0.02)
