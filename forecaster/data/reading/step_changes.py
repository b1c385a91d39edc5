"""Series whose step changes, as from months to days: on the grid of the finer one a total of a month is that of one day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import timestamp_text
from forecaster.data.reading.differences import inner_neighbours
from forecaster.data.reading.frequency import infer_freq
from forecaster.data.time_zones import DAY, days_on_clock, wall_clock, weekday_of
from forecaster.errors import quoted

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.data.reading.frequency import SortedRows
    from forecaster.typing import BoolArray, IntArray

_MIN_GAPS = 4  # between rows of each step
_MIN_ALIKE = 0.9  # of the gaps on each side that have its step
_MAX_TURNS = 0.1  # share of gaps that are a step where the one before is several, or the other way round
_FRIDAY = 4


@dataclass(frozen=True)
class _Change:
    """Where the step of a series changes."""

    row: int  # the first of the rows with the later step
    coarse: Freq
    finer_later: bool


def step_change_warning(rows: SortedRows, freq: Freq, steps: IntArray) -> str:
    """A warning of the first series whose rows are several steps apart, all as many, up to a row and a step after it, or the
    other way round. `steps` [R] count from each series' first row. Empty where there is none.
    """
    wide = np.diff(steps)
    for n in _candidates(rows, wide > 1):
        first, end = int(rows.offsets[n]), int(rows.offsets[n + 1])
        change = _change(rows, freq, wide[first : end - 1], first)
        if change is None:
            continue
        before, after = (change.coarse, freq) if change.finer_later else (freq, change.coarse)
        wall = wall_clock(rows.timestamps[change.row : change.row + 1], rows.zone)  # as --since takes it
        since = timestamp_text(int(wall[0]), None, whole_numbers=rows.whole_numbers)
        whose = f" of series {quoted(rows.name_of(first))}" if len(rows.series) > 1 else ""
        return (
            f"{rows.where(change.row)}: the rows{whose} are {before.name} before '{since}' and {after.name} from there on, and a "
            f"value of {change.coarse.name} is read as that of one step of {freq.name}. Leave the earlier rows out with --since "
            f"{since.replace(' ', 'T')}"
        )
    return ""


def _candidates(rows: SortedRows, wide: BoolArray) -> Iterator[int]:
    """The series with enough gaps of both kinds, which hardly alternate."""
    inner = inner_neighbours(rows.offsets)
    turns = np.zeros(len(wide), dtype=bool)
    turns[1:] = (wide[1:] != wide[:-1]) & inner[1:] & inner[:-1]
    # Gaps of series n are offsets[n] to offsets[n + 1] - 2; the last of each is to the next series.
    sums = np.zeros((3, len(wide) + 2), dtype=np.int64)
    for each, flags in zip(sums, (wide & inner, inner, turns), strict=True):
        np.cumsum(flags, out=each[1 : len(wide) + 1])
        each[-1] = each[-2]
    coarse, count, turned = sums[:, rows.offsets[1:]] - sums[:, rows.offsets[:-1]]
    some = (coarse >= _MIN_GAPS) & (count - coarse >= _MIN_GAPS) & (turned <= np.maximum(_MAX_TURNS * count, 1))
    yield from np.flatnonzero(some).tolist()


def _change(rows: SortedRows, freq: Freq, wide: IntArray, first: int) -> _Change | None:
    """The change of a series with gaps of `wide` steps [G] after its rows, from row `first` on; None = there is none."""
    for finer_later in (True, False):
        early = (wide > 1) == finer_later
        fits = np.concatenate([[0], np.cumsum(early)]) + np.concatenate([np.cumsum(~early[::-1])[::-1], [0]])
        k = int(fits.argmax())  # gaps before the change
        if min(k, len(wide) - k) < _MIN_GAPS:
            continue
        if min(early[:k].mean(), (~early[k:]).mean()) < _MIN_ALIKE:
            continue
        part = slice(first, first + k + 1) if finer_later else slice(first + k, first + len(wide) + 1)
        coarse = regular_step(rows, part)
        if coarse is None or coarse == freq:
            continue
        row = first + k
        if finer_later:  # months that are called by their last day: the row still is one
            row += _is_called_by_its_end(rows, coarse, row) and _follows(rows, coarse, row - 1)
        else:  # its last step of the finer kind
            row += not _follows(rows, coarse, row)
        return _Change(row, coarse, finer_later)
    return None


def regular_step(rows: SortedRows, part: slice) -> Freq | None:
    """The step of a `part` of the rows, neighbours of one series; None where they have none."""
    times = rows.timestamps[part]
    own = infer_freq(
        replace(rows, series=rows.series[:1], offsets=np.array([0, len(times)]), timestamps=times, order=None)
    )
    apart = np.diff(own.ordinals(times, rows.zone))
    return own if np.mean(apart == 1) >= _MIN_ALIKE else None


def _follows(rows: SortedRows, freq: Freq, row: int) -> bool:
    """Whether the row after `row` is a step of `freq` later."""
    one, after = rows.timestamps[row : row + 1], rows.timestamps[row + 1]
    return bool(freq.advance(one, np.array([1]), rows.zone)[0] == after)


def _is_called_by_its_end(rows: SortedRows, freq: Freq, row: int) -> bool:
    """Whether periods of `freq` are called by their last day, as those of month ends and of weeks dated Friday to Sunday."""
    if freq.unit == "clock" and freq.count % (7 * DAY) == 0:
        return int(weekday_of(days_on_clock(rows.timestamps[row : row + 1], rows.zone))[0]) >= _FRIDAY
    return freq.at_end
