"""Rows moved to a grid, and rows of one series and timestamp joined to one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.partial_periods import partial_rows
from forecaster.data.reading.periods import floored
from forecaster.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecaster.data.freq import Freq
    from forecaster.data.panel import Covariate
    from forecaster.data.reading.frequency import SortedRows
    from forecaster.data.reading.periods import Periods
    from forecaster.data.reading.row_rhythm import Rhythm
    from forecaster.typing import BoolArray, FloatArray, IntArray


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


def resampled(found: Observations, periods: Periods, aggregate: str, rhythm: Rhythm | None) -> tuple[Observations, str]:
    """The rows at the timestamps of their periods, joined; and a note.

    A sum of a part of a period is no value of the period: with a `rhythm`, such a first or last period of each target is left
    out.
    """
    rows = found.rows
    if rows.whole_numbers:
        raise DataError(f"{rows.source}: --resample needs dates, and timestamps are whole numbers.", "Leave it out.")
    left_out = 0
    if rhythm is not None:
        found, left_out = _without_parts(found, periods, rhythm)
    moved = found.at(periods.labels(found.rows.timestamps, rows.zone))
    done = joined(moved, aggregate)
    note = (
        f"{len(rows.timestamps):,} rows joined to {len(done.rows.timestamps):,} periods of {periods.name} ({aggregate})"
    )
    return done, note + (f"; {left_out:,} rows of periods that are not complete left out." if left_out else ".")


def _without_parts(found: Observations, periods: Periods, rhythm: Rhythm) -> tuple[Observations, int]:
    """The rows without targets of a part of a period, and how many had one. Rows without any other are left out, but for those
    that have later or earlier ones beside them: their covariates are of use.
    """
    rows, targets = found.rows, found.targets.copy()
    parts = np.zeros(len(targets), dtype=bool)
    edges = periods.edges(rows.timestamps, rows.zone)
    masks = np.packbits(~np.isnan(targets), axis=0)
    for columns in _alike(masks):
        observed = ~np.isnan(targets[:, columns[0]])
        part = partial_rows(rows, periods, edges, observed, rhythm)
        targets[np.ix_(part, np.array(columns))] = np.nan
        parts |= part
    if not parts.any():
        return found, 0
    label = periods.labels(rows.timestamps, rows.zone)
    blank = np.isnan(targets).all(axis=1)
    first, last = (np.repeat(label[at], np.diff(rows.offsets)) for at in (rows.offsets[:-1], rows.offsets[1:] - 1))
    at_edge = (label == first) | (label == last)
    return replace(found, targets=targets).only(~(parts & blank & at_edge)), int(parts.sum())


def _alike(masks: NDArray[np.uint8]) -> list[list[int]]:
    """The columns of [B, T] `masks` in groups of equal ones."""
    groups: dict[bytes, list[int]] = {}
    for column in range(masks.shape[1]):
        groups.setdefault(masks[:, column].tobytes(), []).append(column)
    return list(groups.values())


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
