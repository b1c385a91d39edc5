"""Actuals outside their interval, the least likely first."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.evaluation.anomalies import anomalies_of, outside
from tests.support.pages import evaluation_content

NAN = float("nan")


def test_what_is_outside_is_found_on_both_sides_and_ranked_by_the_distance_in_its_own_interval():
    point, low, high = np.zeros(6), np.full(6, -1.0), np.array([1.0, 1, 1, 10, 1, 1])
    places, probability = outside(np.array([0.5, -3, NAN, 5, 1.5, 0]), point, low, high)
    assert places.tolist() == [1, 4]  # 5 is inside of an interval up to 10
    assert probability.tolist() == [pytest.approx(2 / 6), pytest.approx(3 / 6)]


def test_an_interval_without_width_makes_any_other_value_an_anomaly():
    zero = np.zeros(2)
    places, probability = outside(np.array([0.0, 0.1]), zero, zero, zero)
    assert places.tolist() == [1] and probability.tolist() == [pytest.approx(2 / 3)]


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=60))
def test_probabilities_are_shares_that_grow_along_the_list(values):
    actual = np.array(values)
    zero = np.zeros(len(values))
    places, probability = outside(actual, zero, zero - 1, zero + 2)
    assert set(places) == set(np.flatnonzero((actual < -1) | (actual > 2)))
    assert (np.diff(probability) >= 0).all() and (probability > 0).all() and (probability <= 1).all()


def test_those_of_a_backtest_are_its_actuals_outside_of_its_quantiles(tmp_path):
    tested = evaluation_content(tmp_path).backtest
    found = anomalies_of(tested)
    target, quantiles = tested.target, tested.quantile_forecasts
    assert len(found) == int(((target < quantiles[:, :, 0]) | (target > quantiles[:, :, -1])).sum()) > 0
    one = found[0]
    (n,) = np.flatnonzero(tested.holdout.panel.series == one.series)
    rows = slice(*tested.holdout.panel.offsets[n : n + 2])
    days = tested.holdout.panel.timestamps[rows].astype("M8[us]").astype("M8[D]").astype(str)
    assert tested.holdout.panel.target[rows][days == one.timestamp] == one.actual
    assert not one.low <= one.actual <= one.high and one.probability == min(each.probability for each in found)
