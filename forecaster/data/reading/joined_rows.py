"""Rows moved to a grid, and rows of one series and timestamp joined to one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.periods import floored
from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.data.panel import Covariate
    from forecaster.data.reading.frequency import SortedRows
    from forecaster.typing import BoolArray, FloatArray, IntArray

MIN_REGULAR_SHARE = 0.5  # of steps that are alike, for each series to show which of its periods are not complete
USUAL_SHARE = 0.95  # of steps, that are not longer than usual


@dataclass(frozen=True)
class Observations:
    """Rows sorted by series and time, with their values."""

    rows: SortedRows  # R
    targets: FloatArray  # [R, T] a column for each target
    covariates: tuple[Covariate, ...]  # [R] each, static ones too

    @property
    def observed(self) -> BoolArray:
        """[R] whether a row has a value in any target column."""
        return np.asarray(~np.isnan(self.targets).all(axis=1))

    def only(self, kept: BoolArray) -> Observations:
        """The rows `kept` [R]; a series without any keeps its first row."""
        kept = self.rows.with_every_series(kept)
        covariates = tuple(replace(one, values=one.values[kept]) for one in self.covariates)
        return Observations(self.rows.only(kept), self.targets[kept], covariates)

    def at(self, timestamps: IntArray) -> Observations:
        """The same rows at other timestamps [R], which keep their order."""
        return replace(self, rows=replace(self.rows, timestamps=timestamps))


def snapped(found: Observations, freq: Freq, how: str) -> tuple[Observations, str]:
    """The rows at timestamps on the grid of `freq`, and how they were moved: `floor`, to the begin of their period, or
    `nearest`. DataError where timestamps are whole numbers.
    """
    rows = found.rows
    if rows.whole_numbers:
        raise DataError(f"{rows.source}: --snap needs dates, and timestamps are whole numbers.", "Leave it out.")
    low = floored(rows.timestamps, freq, rows.zone)
    high = freq.advance(low, np.ones_like(low), rows.zone)
    near = np.where(rows.timestamps - low <= high - rows.timestamps, low, high)
    ways = {"floor": low, "nearest": near} if freq.by_wall_clock else {"nearest": near, "floor": low}
    if how == "auto":  # Python's min takes the first of equals
        how = min(ways, key=lambda way: _collisions(ways[way], rows.offsets))
    return found.at(ways[how]), how


def _collisions(timestamps: IntArray, offsets: IntArray) -> int:
    equal = np.diff(timestamps) == 0
    equal[offsets[1:-1] - 1] = False
    return int(equal.sum())


def resampled(found: Observations, freq: Freq, aggregate: str) -> tuple[Observations, str]:
    """The rows at the begins of their periods of `freq`, joined; and a note.

    A sum of a part of a period is no value of the period: such a first or last period is left out where the gap to its edge
    is longer than those between the rows.
    """
    rows = found.rows
    if rows.whole_numbers:
        raise DataError(f"{rows.source}: --resample needs dates, and timestamps are whole numbers.", "Leave it out.")
    begin = floored(rows.timestamps, freq, rows.zone)
    parts = _parts(rows, begin, freq) if aggregate == "sum" else np.zeros(len(begin), dtype=bool)
    left_out = 0 if parts.all() else int(parts.sum())
    moved = found.at(begin)
    if left_out:
        moved = moved.only(~parts)
    done = joined(moved, aggregate)
    note = f"{len(rows.timestamps):,} rows joined to {len(done.rows.timestamps):,} periods of {freq.name} ({aggregate})"
    return done, note + (f"; {left_out:,} rows of periods that are not complete left out." if left_out else ".")


def _parts(rows: SortedRows, begin: IntArray, freq: Freq) -> BoolArray:
    """[R] rows of the first and last period that are not complete: of each series, or of all where rows have no regular step."""
    gaps = np.diff(rows.timestamps)
    inner = np.ones(len(gaps), dtype=bool)
    inner[rows.offsets[1:-1] - 1] = False
    parts = np.zeros(len(begin), dtype=bool)
    if not inner.any():
        return parts
    end = freq.advance(begin, np.ones_like(begin), rows.zone)
    step = int(np.median(gaps[inner]))
    if step <= 0 or np.mean(gaps[inner] == step) < MIN_REGULAR_SHARE:
        return _parts_of_all(rows.timestamps, begin, end)
    usual = int(np.quantile(gaps[inner], USUAL_SHARE, method="higher"))  # weekends, too, where these have no rows
    for first, stop in zip(rows.offsets[:-1].tolist(), rows.offsets[1:].tolist(), strict=True):
        if rows.timestamps[first] - begin[first] >= usual:
            parts[first:stop] |= begin[first:stop] == begin[first]
        if end[stop - 1] - rows.timestamps[stop - 1] > usual:
            parts[first:stop] |= begin[first:stop] == begin[stop - 1]
    return parts


def _parts_of_all(timestamps: IntArray, begin: IntArray, end: IntArray) -> BoolArray:
    """[R] rows of the first and last period of all, as of transactions, where no gap between rows is as long as to the edge."""
    times = np.unique(timestamps)
    longest = int(np.diff(times).max(initial=0))
    early, late = times[0] - begin.min() > longest, end.max() - times[-1] > longest
    return np.asarray((early & (begin == begin.min())) | (late & (begin == begin.max())))


def joined(found: Observations, aggregate: str) -> Observations:
    """One row for each series and timestamp; missing values count for nothing.

    Targets become their sum, mean or last value in the order of the file; numeric covariates their mean, or last; others
    their last.
    """
    rows = found.rows
    new = np.ones(len(rows.timestamps), dtype=bool)
    new[1:] = np.diff(rows.timestamps) != 0
    new[rows.offsets[:-1]] = True
    if new.all():
        return found
    starts = np.flatnonzero(new)
    mean = "last" if aggregate == "last" else "mean"
    targets = [_joined(values, starts, aggregate) for values in found.targets.T]
    covariates = tuple(
        replace(
            one, values=_joined(one.values, starts, mean if one.levels is None and one.role != "static" else "last")
        )
        for one in found.covariates
    )
    return Observations(rows.only(new), np.column_stack(targets), covariates)


def _joined(values: FloatArray, starts: IntArray, aggregate: str) -> FloatArray:
    """[G] values [R] of the groups that begin at rows `starts` [G]; NaN where a group has none."""
    there = ~np.isnan(values)
    count = np.add.reduceat(there.astype(np.int64), starts)
    if aggregate == "last":
        last = np.maximum.reduceat(np.where(there, np.arange(len(values)), -1), starts)
        return np.asarray(np.where(last >= 0, values[last], np.nan))
    total = np.add.reduceat(np.where(there, values, 0.0), starts)
    size = np.where(count > 0, count, np.nan)
    return np.asarray(total / size if aggregate == "mean" else np.where(count > 0, total, np.nan))
