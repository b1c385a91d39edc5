"""Rows that are written on the date on which their day began, and come after midnight: 00:00 below 23:45 of the same date.

Meters and power exchanges name quarters and hours by their end and keep the date (the 24:00 of the day as 00:00), and a gas day
goes from 6 to 6. Only the order of the rows shows it: sorted by their timestamps, these rows would be a day too early.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.time_zones import DAY

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, IntArray

_HALF = DAY // 2
_MIN_REGULAR_SHARE = 0.8  # of steps that are alike once the rows are a day later
_MAX_SET_BACK = DAY // 12  # by which clocks are set back in autumn


def after_midnight(wall: IntArray, series: IntArray) -> BoolArray | None:
    """[R] the rows that belong to the day after their date; None where there are none, as in nearly all files.

    `wall` [R] microseconds on the wall clock, and `series` [R], in the order of the file. There are such rows where every step
    back by more than half a day within a date is mended if it and what follows on that date are a day later: then all rows of a
    series are in order, with one step.
    """
    back = np.flatnonzero(wall[1:] < wall[:-1])
    if 2 * len(back) > len(wall):  # latest first
        found = _after_midnight(wall[::-1], series[::-1], len(wall) - 2 - np.flatnonzero(wall[1:] > wall[:-1]))
        return None if found is None else found[::-1]
    return _after_midnight(wall, series, back)


def _after_midnight(wall: IntArray, series: IntArray, back: IntArray) -> BoolArray | None:
    """As `after_midnight`, for rows in ascending order but for some. `back`: rows whose next one is earlier."""
    before, after = wall[back], wall[back + 1]
    if not ((after < before - _HALF) & (after // DAY == before // DAY)).any():
        return None
    order = np.argsort(series, kind="stable")
    wall, series = wall[order], series[order]
    together = series[1:] == series[:-1]
    same_date = np.concatenate([[False], together & (np.diff(wall // DAY) == 0)])
    wraps = np.cumsum(np.concatenate([[False], wall[1:] < wall[:-1] - _HALF]) & same_date)
    block = np.maximum.accumulate(np.where(same_date, 0, np.arange(len(wall))))
    late = wraps > wraps[block]
    time = wall % DAY
    if not late.any() or (wraps - wraps[block]).max() > 1 or late.all() or time[late].max() >= time[~late].min():
        return None
    steps = np.diff(wall + DAY * late)[together]
    usual = np.median(steps)
    if (steps < -_MAX_SET_BACK).any() or usual <= 0 or np.mean(steps == usual) < _MIN_REGULAR_SHARE:
        return None
    found = np.empty_like(late)
    found[order] = late
    return found


def late_note(wall: IntArray, late: BoolArray) -> str:
    """How the rows `late` [R] are read, whose wall clock [R] is as in the file."""
    first = wall[late][:1]
    written, read = (
        np.datetime_as_string(one.astype("M8[us]"), "m")[0].replace("T", " ") for one in (first, first + DAY)
    )
    return f"Rows after midnight come below later times of their date, so they are read as of the next: {written} as {read}."
