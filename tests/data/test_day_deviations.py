"""The deviations of days: by hand, of several series with gaps and different lengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.data.day_deviations import _moving_sum, daily_values, deviations_of, medians
from forecaster.data.freq import Freq
from tests.support.factories import panel_of

DAY = 86_400_000_000
NONE = np.zeros(70, dtype=bool)


def week(days=70):
    return np.where(np.arange(days) % 7 < 5, 10.0, 4.0)


def noisy(values):
    return values * (1.0 + 0.01 * np.where(np.arange(len(values)) % 2, 1.0, -1.0))


def test_days_of_series_are_means_on_one_axis_of_days():
    made = panel_of([1.0, 3.0, np.nan, np.nan], [5.0, 7.0], season_length=7)
    made = replace(made, freq=Freq.parse("12h"), timestamps=made.timestamps * (DAY // 2))
    stamps = made.timestamps.copy()
    stamps[4:] += 3 * DAY - stamps[4]
    made = replace(made, timestamps=stamps)
    first, values = daily_values(made, np.array([0, 1]), made.offsets[1:])
    assert first == stamps[0] // DAY
    np.testing.assert_array_equal(values[:, :2], [[2.0, np.nan], [np.nan, np.nan]])
    assert values[1, -1] == 6.0 and values.shape == (2, 3 - first + 1)


def test_rows_from_an_end_on_are_not_read():
    made = panel_of(np.arange(10.0), np.arange(10.0), season_length=7)
    made = replace(made, freq=Freq.parse("D"), timestamps=made.timestamps * DAY)
    _, values = daily_values(made, np.array([0, 1]), np.array([4, 10]))
    np.testing.assert_array_equal(values, [[0.0, 1.0, 2.0, 3.0], [np.nan] * 4])


@pytest.mark.parametrize(("less", "share"), [(0.0, True), (4.0, True), (5.0, False)])
def test_values_that_are_never_negative_deviate_by_shares(less, share):
    values = np.maximum(noisy(week()), 4.0) - less
    assert deviations_of(0, values[None], NONE).share[0] == share


def test_a_day_left_out_deviates_and_the_weekdays_next_to_it_do_not():
    values = noisy(week())
    values[35] = 0.0
    out = NONE.copy()
    out[35] = True
    left = deviations_of(0, values[None], out)
    deviation = (left.values * left.size[:, None])[0]
    assert deviation[35] == pytest.approx(-1.0, abs=0.02)
    np.testing.assert_allclose(np.delete(deviation, 35)[7:-7], 0.0, atol=0.05)
    reached = deviations_of(0, values[None], NONE)
    assert abs(reached.values[0, 28] * reached.size[0]) > 0.1


def test_what_does_not_deviate_has_no_size():
    left = deviations_of(0, np.stack([np.full(70, 3.0), np.zeros(70), np.full(70, np.nan)]), NONE)
    assert np.isnan(left.size).all() and np.isnan(left.values).all()


def test_medians_leave_out_what_is_missing():
    found, count = medians(np.array([[3.0, np.nan, 1.0, 8.0], [np.nan] * 4, [2.0, np.nan, 4.0, np.nan]]))
    np.testing.assert_array_equal(found, [3.0, 0.0, 3.0])
    np.testing.assert_array_equal(count, [3, 0, 2])


@pytest.mark.parametrize("width", [1, 7, 9])
def test_moving_sums_are_those_of_the_values_around(width):
    values = np.random.default_rng(0).normal(size=(2, 3, 25))
    found = _moving_sum(values, width)
    for day in range(25):
        around = values[..., max(day - width, 0) : day + width + 1].sum(axis=-1)
        np.testing.assert_allclose(found[..., day], around, atol=1e-12)
