"""The evaluation set: its errors worked by hand, and when one forecast is clearly better than another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.data.extra_inputs import Needs
from forecaster.data.windows import rolling
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.simple_methods import DRIFT, NAIVE
from forecaster.training.evaluation_set import EvaluationSet
from tests.support.factories import NAN, panel_of, waves

PANEL = panel_of(*waves(3, 60))
WINDOWS = rolling(PANEL, PANEL.offsets[1:], 4, 1, 4)
TRUTH = WINDOWS.gather(0, 4)


def evaluation_set(panel=PANEL, windows=WINDOWS):
    return EvaluationSet(panel, windows, np.ones(3), relative=False, needs=Needs(8, 4, ()))


def test_where_the_forecast_is_a_mean_squared_errors_choose():
    squared = replace(evaluation_set(), loss="mse")
    assert squared.error(TRUTH + np.array([2.0, 0.0, 0.0, 0.0])) == pytest.approx(1.0)


def test_windows_with_nothing_observed_weigh_nothing():
    blank = panel_of(*waves(2, 60), [*waves(1, 56)[0], NAN, NAN, NAN, NAN])
    windows = rolling(blank, blank.offsets[1:], 4, 1, 4)
    truth = np.nan_to_num(windows.gather(0, 4))
    assert evaluation_set(panel=blank, windows=windows).error(truth + 1.0) == pytest.approx(1.0)


def test_relative_errors_join_in_where_values_are_positive():
    evaluation = replace(evaluation_set(), relative=True)
    scaled, shares = np.abs(0.1 * TRUTH).mean(), np.mean(2.0 * 0.1 / 2.1)
    assert evaluation.error(1.1 * TRUTH) == pytest.approx(np.sqrt(scaled * shares))


def test_few_windows_must_agree_for_a_forecast_to_be_clearly_better():
    """Three windows, one of each series: a mean difference of 1.4 standard errors says nothing, one of many does."""
    evaluation, steady = evaluation_set(), TRUTH + 1.0
    mixed = TRUTH + np.array([[0.0], [0.9], [0.7]])
    assert not evaluation.clearly_lower(mixed, steady)
    assert evaluation.clearly_lower(TRUTH + np.array([[0.4], [0.5], [0.6]]), steady)
    one = EvaluationSet(PANEL, WINDOWS.take(np.array([0])), np.ones(3), relative=False, needs=Needs(8, 4, ()))
    assert not one.clearly_lower(TRUTH[:1], TRUTH[:1] + 1.0)  # one window never says enough
    close = rolling(PANEL, PANEL.offsets[1:], 4, 3, 1)  # three windows of each series, which share most of their rows
    alike = EvaluationSet(PANEL, close, np.ones(3), relative=False, needs=Needs(8, 4, ()))
    truth = close.gather(0, 4)
    better = truth + np.where(close.series == 0, 0.0, np.where(close.series == 1, 0.9, 0.7))[:, None]
    assert not alike.clearly_lower(better, truth + 1.0)


def test_its_rows_are_those_before_the_latest_cutoff():
    assert evaluation_set().rows == 60 - 4


def test_a_simple_method_forecasts_each_windows_once_for_all_its_weights(monkeypatch):
    asked = []

    def forecasts(panel, windows, smoothing, covariates):
        asked.append(smoothing.method)
        return np.full((len(windows), 4), float(len(windows)))

    monkeypatch.setattr("forecaster.training.evaluation_set.smoothed", forecasts)
    evaluation = replace(evaluation_set(), history=rolling(PANEL, PANEL.offsets[1:], 4, 2, 4))
    for weight in (0.2, 0.5, 1.0):
        one = Smoothing(1, 8, 4, log=False, weight=weight, method=NAIVE)
        assert evaluation.reaching(20).smoothed(one).shape == (3, 4)
    assert asked == [NAIVE]
    assert evaluation.of_history.smoothed(one).shape == (6, 4)
    assert evaluation.smoothed(replace(one, method=DRIFT)).shape == (3, 4)
    assert asked == [NAIVE, NAIVE, DRIFT]
