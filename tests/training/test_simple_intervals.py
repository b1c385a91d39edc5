"""Intervals of a simple method for a horizon that cannot be tested: of its own errors, and wider the farther ahead."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.exponential_smoothing import Smoothing
from forecaster.training.simple_intervals import simple_calibration
from tests.support.factories import panel_of


def walks(count, rows, seed=0):
    return np.random.default_rng(seed).normal(size=(count, rows)).cumsum(axis=1)


def test_they_cover_as_promised_as_far_as_the_rows_show_errors_and_grow_beyond():
    smoothing = Smoothing(1, 24, 60, False, 1.0, "naive")
    found = simple_calibration(panel_of(*walks(20, 90), season_length=1), smoothing, 30)
    new = walks(300, 150, seed=1)
    last, target = new[:, 89], new[:, 90:150]
    scale = np.abs(np.diff(new[:, 66:90], axis=1)).mean(axis=1)
    raw = np.repeat(last[:, None, None], 60, axis=1)
    low, middle, high = found.quantiles(raw, scale, ["new"] * 300, (0.1, 0.5, 0.9)).transpose(2, 0, 1)
    assert (middle == raw[:, :, 0]).all()
    inside = (low <= target) & (target <= high)
    assert inside[:, :30].mean() == pytest.approx(0.8, abs=0.07)
    assert inside[:, 30:].mean() == pytest.approx(0.8, abs=0.1)
    assert (np.diff((high - low)[:, 30:], axis=1) > 0).all()
    assert found.offsets.shape[1] == found.errors.shape[1] == 60 and not found.whole.any()


def test_a_panel_of_two_rows_shows_no_error():
    assert simple_calibration(panel_of([1.0, 2.0]), Smoothing(4, 4, 6, False, 1.0, "naive"), 1) is None
