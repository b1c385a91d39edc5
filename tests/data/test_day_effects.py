"""What special days do to rows: from the rows that may be known, alike for a forecast and for a fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from forecaster.data.day_effects import are_rows_days, days_around, days_of_rows
from forecaster.data.extra_inputs import ExtraInputs, Needs
from forecaster.data.freq import Freq
from forecaster.data.special_days import find_special_days
from forecaster.data.windows import Windows
from forecaster.training.gather import RowGatherer, SeriesBounds
from tests.data.test_special_days import daily_values, panel

CHRISTMAS = {"12-25": -0.5, "01-01": -0.4}
ROWS = 5 * 365 - 80  # up to the 9th of December 2019


def windows_of(made, series, cutoff):
    return Windows(made.target, made.offsets[:-1], made.offsets[1:], np.array(series), np.array(cutoff))


@pytest.fixture(scope="module")
def made():
    """A series that is never negative, one that is, and one that begins in the last year."""
    values = daily_values(ROWS, effects=CHRISTMAS)
    found = panel(values, daily_values(ROWS, 2, effects=CHRISTMAS) - 200.0, daily_values(300, 3))
    stamps = found.timestamps.copy()
    stamps[found.offsets[2] :] += stamps[ROWS - 1] - stamps[-1]
    return replace(found, timestamps=stamps)


@pytest.fixture(scope="module")
def rules(made):
    return find_special_days(made, made.offsets[1:])


def test_a_factor_or_a_summand_is_on_the_day_and_nothing_on_others(made, rules):
    found = days_around(made, windows_of(made, [0, 1, 2], made.offsets[1:]), 30, 28, rules)
    ordinary = np.ones(58, dtype=bool)
    ordinary[[30 + 15, 30 + 22]] = False  # 25 December and New Year
    np.testing.assert_array_equal(found[:, ordinary, 0], 1.0)
    np.testing.assert_array_equal(found[:, ordinary, 1], 0.0)
    np.testing.assert_allclose(found[0, ~ordinary], [[0.5, 0.0], [0.6, 0.0]], atol=0.05)
    np.testing.assert_array_equal(found[1, ~ordinary, 0], 1.0)
    assert (found[1, ~ordinary, 1] < -20.0).all()
    np.testing.assert_allclose(found[2, ~ordinary], [[0.5, 0.0], [0.6, 0.0]], atol=0.15)  # as the others have it


def test_no_later_row_moves_them(made, rules):
    cutoffs = made.offsets[0] + np.array([400, 4 * 365 - 80, ROWS - 10, ROWS])
    windows = windows_of(made, [0] * 4, cutoffs)
    before = days_around(made, windows, 500, 28, rules)
    for i, cutoff in enumerate(cutoffs):
        later = made.target.copy()
        later[cutoff : made.offsets[1]] = 1.0
        found = days_around(replace(made, target=later), windows, 500, 28, rules)
        np.testing.assert_array_equal(found[i], before[i])
    ends = made.offsets[1:] - 200
    later = made.target.copy()
    for n in range(3):
        later[ends[n] : made.offsets[n + 1]] = -1.0
    np.testing.assert_array_equal(
        days_of_rows(replace(made, target=later), ends, rules), days_of_rows(made, ends, rules)
    )


def test_a_fit_gathers_what_a_forecast_reads_of_the_same_rows(made, rules):
    windows = windows_of(made, [0, 1], made.offsets[1:3] - 20)  # which know what was there a year before
    known = made.offsets[1:] - 366
    table = days_of_rows(made, np.maximum(known, made.offsets[:-1]), rules)
    rows = RowGatherer(made.target)
    bounds = SeriesBounds(tf.constant(windows.start), tf.constant(windows.end))
    series, cutoff = tf.constant(windows.series), tf.constant(windows.cutoff)
    found = rows.gather_days(bounds, tf.constant(table), series, cutoff, 400, 14)
    np.testing.assert_allclose(found, days_around(made, windows, 400, 14, rules), atol=1e-12)


def test_blocks_of_a_longer_horizon_have_the_days_around_their_own_cutoff(made, rules):
    windows = windows_of(made, [0, 1], made.offsets[1:3])
    inputs = ExtraInputs(made, windows, Needs(20, 14, (), (), rules.row), blocks=2)()
    assert list(inputs) == ["days"] and inputs["days"].shape == (2, 2, 34, 2)
    whole = days_around(made, windows, 20, 28, rules)
    np.testing.assert_allclose(inputs["days"][:, 0], whole[:, :34], rtol=1e-6)
    np.testing.assert_allclose(inputs["days"][:, 1], whole[:, 14:], rtol=1e-6)
    assert "days" not in ExtraInputs(made, windows, Needs(20, 14, (rules.row,)))()


def test_rows_that_are_no_days_have_none(made, rules):
    hours = replace(made, freq=Freq.parse("h"))
    assert are_rows_days(made) and not are_rows_days(hours)
    found = days_around(hours, windows_of(made, [0], [ROWS]), 5, 5, rules)
    np.testing.assert_array_equal(found, [[[1.0, 0.0]] * 10])
