"""The first and the last period of rows that are joined, where rows of it are missing: a sum of these is none of the period."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.row_rhythm import Rhythm
from forecaster.data.time_zones import DAY, days_on_clock, wall_clock, weekday_of

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.data.reading.frequency import SortedRows
    from forecaster.data.reading.periods import Periods
    from forecaster.typing import BoolArray, IntArray

_USUAL_SHARE = 0.95  # of gaps that are not longer than usual
_SMALL = 100  # what part of a period is too short to be missed
_MIN_ALIKE = 5  # periods of one weekday or hour, for the last of them to be compared with these alone


def partial_rows(
    rows: SortedRows, periods: Periods, edges: tuple[IntArray, IntArray], observed: BoolArray, rhythm: Rhythm
) -> BoolArray:
    """[R] rows of the first and the last period that are not complete, of rows that are `observed` [R]; `edges` are those of the
    period of each row.

    Readings: of each series, where its own next row, or the one before the first, would be in the period. Events: of all
    series, where the time to the edge is longer than in other periods.
    """
    found = np.flatnonzero(observed)
    first = np.searchsorted(found, rows.offsets[:-1])
    stop = np.searchsorted(found, rows.offsets[1:])
    some = np.flatnonzero(stop > first)  # series with a value
    first, last = found[first[some]], found[stop[some] - 1]
    begin, end = edges
    early = late = np.zeros(len(some), dtype=bool)
    if rhythm.step is not None:
        early, late = _of_readings(rows, rhythm.step, rhythm.gap, (first, begin[first]), (last, end[last]))
    elif len(found):
        is_early, is_late = _of_events(rows, periods, found, edges, rhythm)
        early = is_early & (begin[first] == begin[found].min())
        late = is_late & (end[last] == end[found].max())
    low, high = np.full((2, len(rows.series)), np.iinfo(np.int64).min)
    low[some[early]], high[some[late]] = begin[first[early]], begin[last[late]]
    each = np.diff(rows.offsets)
    parts = (begin == np.repeat(low, each)) | (begin == np.repeat(high, each))
    # A series that has nothing else keeps it.
    whole = np.logical_or.reduceat(observed & ~parts, rows.offsets[:-1])
    return np.asarray(parts & np.repeat(whole, each))


def _of_readings(
    rows: SortedRows, step: Freq, gap: int, first: tuple[IntArray, IntArray], last: tuple[IntArray, IntArray]
) -> tuple[BoolArray, BoolArray]:
    """Whether the row before the `first` of each series, and the one after its `last`, would be in the same period.

    Both are rows and the edges of their periods.
    """
    before = step.advance(rows.timestamps[first[0]], np.array([-gap]), rows.zone)
    after = step.advance(rows.timestamps[last[0]], np.array([gap]), rows.zone)
    return np.asarray(before >= first[1]), np.asarray(after < last[1])


def _of_events(
    rows: SortedRows, periods: Periods, found: IntArray, edges: tuple[IntArray, IntArray], rhythm: Rhythm
) -> tuple[bool, bool]:
    """Whether the first and the last period of all series are not complete, by the times at which others begin and end.

    Those of one kind are compared: of a weekday, or of an hour of the day. The usual gap between events is no difference; half
    of it is none between readings that are not on time.
    """
    times, place = np.unique(rows.timestamps[found], return_index=True)
    begin, end = (edge[found[place]] for edge in edges)
    new = np.diff(begin) != 0
    starts = np.concatenate([[0], np.flatnonzero(new) + 1])
    stops = np.append(starts[1:], len(times)) - 1
    if len(starts) < 2:
        return False, False
    gaps = np.diff(times)
    inside, longest = gaps[~new], int(gaps.max())
    usual = int(np.quantile(inside, _USUAL_SHARE, method="higher")) if len(inside) >= _MIN_ALIKE else longest
    small = int(end[-1] - begin[-1]) // _SMALL
    usual, longest = max(usual if rhythm.events else usual // 2, small), max(longest, small)
    kind = _kinds(begin[starts], periods.freq, rows.zone)
    head, tail = times[starts] - begin[starts], end[starts] - times[stops]
    return _is_late(head[::-1], kind[::-1], usual, longest), _is_late(tail, kind, usual, longest)


def _is_late(until: IntArray, kind: IntArray, usual: int, longest: int) -> bool:
    """Whether the last time to an edge is longer than the others `until` it."""
    others = until[:-1]
    if np.count_nonzero(alike := kind[:-1] == kind[-1]) >= _MIN_ALIKE:
        others = others[alike]
    return bool(until[-1] > longest or until[-1] > np.quantile(others, _USUAL_SHARE, method="higher") + usual)


def _kinds(begin: IntArray, freq: Freq, zone: str | None) -> IntArray:
    """[P] what periods are compared by: days by their weekday, hours by their time of day, others all."""
    if freq.unit == "B" or (freq.unit == "clock" and freq.count == DAY):
        return weekday_of(days_on_clock(begin, zone))
    if freq.unit == "clock" and freq.count < DAY:
        return np.asarray(wall_clock(begin, zone) % DAY)
    return np.zeros_like(begin)
