"""How sure a comparison is."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.evaluation.bootstrap import paired
from tests.support.factories import NAN

SERIES = np.repeat(np.arange(20), 3)


def test_one_that_is_better_everywhere_is_ahead_in_every_draw():
    errors = np.random.default_rng(0).uniform(1, 2, 60)
    found = paired(0.9 * errors, errors, SERIES)
    assert found.difference == pytest.approx(-0.1)
    assert (found.ahead, found.won, found.windows, found.drawn) == (1.0, 1.0, 60, 20)
    assert found.low == pytest.approx(-0.1) and found.high == pytest.approx(-0.1)


def test_equals_are_ahead_in_half_of_all_draws():
    errors = np.ones(60)
    found = paired(errors, errors, SERIES)
    assert (found.difference, found.ahead, found.won) == (0.0, 0.5, 0.5)


def test_noise_makes_nobody_sure_and_swapping_the_two_mirrors_it():
    rng = np.random.default_rng(1)
    a, b = rng.uniform(1, 2, 60), rng.uniform(1, 2, 60)
    one, other = paired(a, b, SERIES), paired(b, a, SERIES)
    assert 0.025 < one.ahead < 0.975
    assert one.low < one.difference < one.high
    assert one.ahead == pytest.approx(1 - other.ahead)


def test_windows_of_one_series_count_together():
    """Ten windows of one series that say the same are one voice, not ten."""
    difference = np.random.default_rng(2).normal(size=6)
    alone, often = np.arange(6), np.repeat(np.arange(6), 10)
    a, b = paired(5 + difference, np.full(6, 5.0), alone), paired(5 + difference[often], np.full(60, 5.0), often)
    assert (a.low, a.high, a.ahead) == pytest.approx((b.low, b.high, b.ahead))


def test_undefined_errors_are_left_out_and_too_few_give_none():
    errors = np.array([1.0, NAN, 2.0, 3.0])
    assert paired(errors, np.array([2.0, 1.0, NAN, 4.0]), np.arange(4)).windows == 2
    assert paired(errors[:2], errors[:2], np.arange(2)) is None
    assert paired(np.ones(4), np.zeros(4), np.arange(4)) is None


def test_fits_that_differ_by_their_seeds_make_less_sure():
    """Each seed is far ahead or far behind on all windows: many windows do not show which the next fit will be."""
    rng = np.random.default_rng(3)
    others = rng.uniform(1, 2, 60)
    mean = 0.95 * others
    spread = np.array([[0.7], [1.0], [1.3]]) * mean
    one, several = paired(mean, others, SERIES), paired(spread, np.array([others] * 3), SERIES)
    assert several.difference == pytest.approx(one.difference)
    assert one.ahead == 1.0 and 0.5 < several.ahead < 0.8


def test_seeds_on_which_both_fail_alike_say_nothing_of_their_difference():
    """Fits with one seed read the same windows in the same order."""
    others = np.random.default_rng(3).uniform(1, 2, 60) * np.array([[0.7], [1.0], [1.3]])
    assert paired(0.95 * others, others, SERIES).ahead == 1.0
