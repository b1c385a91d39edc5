"""Losses against numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.models.losses import LOSSES, mean_loss, pinball

ERROR = np.array([-3.0, -0.5, 0.0, 1.0, 2.0])


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        ("mae", [3, 0.5, 0, 1, 2]),
        ("mse", [9, 0.25, 0, 1, 4]),
        ("huber", [2.5, 0.125, 0, 0.5, 1.5]),
    ],
)
def test_a_loss_of_an_error_is_as_worked_by_hand(loss, expected):
    np.testing.assert_allclose(LOSSES[loss](ERROR), expected)


def test_every_loss_is_worked_by_hand():
    assert set(LOSSES) == {"mae", "mse", "huber"}


def test_pinball_weighs_truth_above_and_below_by_the_level():
    np.testing.assert_allclose(pinball(ERROR, 0.9), [0.3, 0.05, 0, 0.9, 1.8])
    np.testing.assert_allclose(pinball(ERROR, 0.5), np.abs(ERROR) / 2)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30), st.sampled_from([0.1, 0.25, 0.5, 0.9]))
def test_pinball_is_lowest_at_the_quantile(values, level):
    values = np.array(values, float)
    candidates = np.unique(values)
    losses = [float(np.mean(np.asarray(pinball(values - c, level)))) for c in candidates]
    best = np.quantile(values, level, method="inverted_cdf")
    assert losses[int(np.searchsorted(candidates, best))] == pytest.approx(min(losses), abs=1e-9)


def test_the_mean_is_over_what_was_observed():
    errors = np.array([[[2.0], [0.0]], [[4.0], [6.0]]], np.float32)
    observed = np.array([[1, 0], [1, 1]], np.float32)
    assert float(mean_loss(errors, observed, "mae", ())) == pytest.approx(12 / 3)


def test_nothing_observed_costs_nothing():
    assert float(mean_loss(np.zeros((2, 3, 1), np.float32), np.zeros((2, 3), np.float32), "mse", ())) == 0


def test_quantiles_add_the_mean_of_their_pinball_losses():
    errors = np.array([[[2.0, 1.0, -1.0]]], np.float32)  # point, then levels 0.1 and 0.9
    expected = 2 + (0.1 * 1 + 0.1 * 1) / 2
    assert float(mean_loss(errors, np.ones((1, 1), np.float32), "mae", (0.1, 0.9))) == pytest.approx(expected)
