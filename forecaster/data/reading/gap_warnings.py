"""Gaps out of proportion, as a wrong year makes them: a file of 68 days that spans 365 has a wrong timestamp."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import timestamp_text
from forecaster.data.reading.differences import inner_neighbours
from forecaster.data.reading.frequency import infer_freq
from forecaster.data.reading.step_changes import regular_step
from forecaster.data.time_zones import wall_clock
from forecaster.errors import quoted

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.data.reading.frequency import SortedRows
    from forecaster.typing import IntArray

_MIN_STEPS = 10  # without a row, for a gap to be large
_MIN_SHARE = 0.25  # of its series' steps
_MIN_NEXT = 0.9  # share of rows that follow the one before by a step, for the rows to have that step
_MIN_TIMES = 12  # the mean of the other gaps between events, which one of 160,000 is by chance
_MAX_ALIKE, _MAX_FEW = 0.01, 2  # share of gaps, and gaps, that are half as long: more of them are usual
_MAX_LOOKS = 1000  # series that are looked at one by one
_MAX_JUMPS = 0.02  # share of rows that go back in time, for the others to be in order


def gap_warning(rows: SortedRows, freq: Freq, steps: IntArray) -> str:
    """A warning of the largest gap between rows, with the line where the file goes back in time or the gap ends.

    `steps` [R] count from each series' first row. Empty where no gap is out of proportion.
    """
    if len(steps) < 2:
        return ""
    wide = np.diff(steps)
    wide[rows.offsets[1:-1] - 1] = 0  # between two series
    k = int(wide.argmax())
    n = int(np.searchsorted(rows.offsets, k, side="right")) - 1
    first, end = int(rows.offsets[n]), int(rows.offsets[n + 1])
    span = int(steps[end - 1]) + 1
    if wide[k] - 1 < max(_MIN_STEPS, _MIN_SHARE * span):
        return ""
    missing = (
        f"{span - (end - first):,} of the {span:,} steps of {freq.name} of series {quoted(rows.name_of(k))} have no row"
    )
    back = _first_jump(rows, steps, first, end)
    if back is None:
        return (
            f"{rows.where(k + 1)}: {missing}, {int(wide[k]) - 1:,} of them before '{rows.text(k + 1)}'. Check its year."
        )
    before, after = back
    return f"{rows.where(after)}: timestamp '{rows.text(after)}' follows '{rows.text(before)}', and {missing}. Check its year."


def finer_warning(rows: SortedRows, freq: Freq, steps: IntArray) -> str:
    """A warning that a given frequency is finer than that of the rows, or of those of one series, as of days for months; empty
    where it is not. `steps` [R] count from each series' first row.

    Values of months stay what they are: they are not divided among the days.
    """
    inner = inner_neighbours(rows.offsets)
    wide = (np.diff(steps) > 1) & inner
    ends = rows.offsets[1:] - 1
    if wide.sum() >= _MIN_NEXT * inner.sum() > 0:
        own = infer_freq(rows)
        alike = np.mean(np.diff(own.ordinals(rows.timestamps, rows.zone))[inner] == 1) >= _MIN_NEXT
        total = int(steps[ends].sum()) + len(ends)
        return _finer("the rows look", own, freq, len(steps), total) if alike and own != freq else ""
    apart = np.diff(rows.offsets) - 1
    coarse = np.add.reduceat(np.append(wide, [False]), rows.offsets[:-1], dtype=np.int64) >= _MIN_NEXT * apart
    for n in np.flatnonzero(coarse & (apart >= _MIN_STEPS))[:_MAX_LOOKS].tolist():
        found = regular_step(rows, slice(int(rows.offsets[n]), int(ends[n]) + 1))
        if found is not None and found != freq:
            name = quoted(rows.name_of(int(ends[n])))
            return _finer(f"the rows of series {name} look", found, freq, int(apart[n]) + 1, int(steps[ends[n]]) + 1)
    return ""


def _finer(rows_look: str, own: Freq, freq: Freq, count: int, total: int) -> str:
    return (
        f"{rows_look} like {own.name}, so {total - count:,} of the {total:,} steps of {freq.name} have no row: values that are "
        f"there are not divided among them, and each step is forecast as large as a row"
    )


def no_event_warning(rows: SortedRows, freq: Freq, steps: IntArray) -> str:
    """A warning of the largest gap between rows of events that chance does not explain, whose sums are 0; empty where there is
    none. `steps` [R] count from each series' first row.

    It is many times as long as gaps usually are, which nights and weekends are not, since there are many of these.
    """
    inner = inner_neighbours(rows.offsets)
    wide = np.where(inner, np.diff(steps), 0)
    each = np.diff(rows.offsets)
    of = np.repeat(np.arange(len(each)), each)[:-1]
    sums = np.bincount(of, wide, len(each))
    most = np.maximum.reduceat(np.append(wide, 0), rows.offsets[:-1])
    usual = (sums - most) / np.maximum(each - 2, 1)  # of the others
    alike = np.bincount(of, 2 * wide >= most[of], len(each))  # at least half as long
    odd = (most > _MIN_STEPS) & (most > _MIN_TIMES * usual) & (alike <= np.maximum(_MAX_ALIKE * each, _MAX_FEW))
    if not odd.any():
        return ""
    n = int(np.argmax(np.where(odd, most, 0)))
    k = int(rows.offsets[n] + wide[rows.offsets[n] : rows.offsets[n + 1] - 1].argmax())
    ends = freq.advance(rows.timestamps[[k, k]], np.array([1, wide[k] - 1]), rows.zone)
    first, last = (
        timestamp_text(int(t), None, whole_numbers=rows.whole_numbers).replace(" ", "T")
        for t in (ends if rows.whole_numbers else wall_clock(ends, rows.zone))
    )
    return (
        f"{rows.where(k + 1)}: series {quoted(rows.name_of(k))} has no row in {int(wide[k]) - 1:,} steps of {freq.name}, far "
        f"more than usual, and their sums are 0. If rows are missing there, read these as missing with --ignore {first}..{last}"
    )


def _first_jump(rows: SortedRows, steps: IntArray, first: int, end: int) -> tuple[int, int] | None:
    """The first two rows of a series between which a file in order goes back in time; None where it does not, or has no order."""
    if rows.order is None:
        return None
    in_file = np.argsort(rows.order[first:end], kind="stable")
    moves = np.diff(steps[first:end][in_file])
    against = moves > 0 if 2 * np.count_nonzero(moves < 0) > len(moves) else moves < 0
    jumps = np.flatnonzero(against)
    if not 0 < len(jumps) <= max(1, _MAX_JUMPS * len(moves)):
        return None
    return first + int(in_file[jumps[0]]), first + int(in_file[jumps[0] + 1])
