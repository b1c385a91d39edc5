"""Inserts a missing value for each absent timestamp, so that every series is regular, and counts them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import timestamp_text
from forecaster.data.panel import Gap
from forecaster.data.reading.frequency import SortedRows
from forecaster.data.reading.row_errors import RowsError
from forecaster.errors import quoted

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.typing import BoolArray, FloatArray, IntArray

_MAX_FILL = 50  # times the rows; more is a wrong timestamp or frequency, not a gap


@dataclass(frozen=True)
class Filled:
    """Rows on a regular calendar."""

    offsets: IntArray  # [N+1]
    timestamps: IntArray  # [R]
    values: FloatArray  # [R, C]; NaN in rows that were filled in, or 0
    gaps: int  # rows filled in
    zeros: int  # values that are 0 since there was no event
    zero_gaps: int  # those in rows filled in
    first: str  # the first gap, for people; empty where there is none


def gaps_between(rows: SortedRows, freq: Freq, steps: IntArray, *, every: bool) -> tuple[Gap, ...]:
    """The gaps in the order of the rows; `every`: each is one of every series. `steps` [R] as in `insert_missing_rows`."""
    wide = np.diff(steps)
    at = np.flatnonzero(wide > 1)  # a new series begins at 0 again
    if not len(at):
        return ()
    first = freq.advance(rows.timestamps[at], np.ones_like(at), rows.zone)
    last = freq.advance(rows.timestamps[at], wide[at] - 1, rows.zone)
    texts = (
        (timestamp_text(int(t), rows.zone, whole_numbers=rows.whole_numbers) for t in each) for each in (first, last)
    )
    names = ("every series" if every else rows.name_of(int(row)) for row in at)
    return tuple(map(Gap, names, *texts, (wide[at] - 1).tolist()))


def insert_missing_rows(rows: SortedRows, freq: Freq, steps: IntArray, values: FloatArray, *, sums: int = 0) -> Filled:
    """One row a step from each series' first timestamp to its last. `steps` [R] count from the series' first row,
    `values` are [R, C]; the first `sums` columns are sums of events: between the first and the last one of a series 0 where
    there is no row, or only those of other columns.

    RowsError, at the largest gap, where that would make more than 50 times the rows.
    """
    lengths = steps[rows.offsets[1:] - 1] + 1
    total = int(lengths.sum())
    if total == len(steps) and sums < 2:
        return Filled(rows.offsets, rows.timestamps, values, gaps=0, zeros=0, zero_gaps=0, first="")
    wide = np.diff(steps)
    if total > _MAX_FILL * len(steps):
        raise _too_wide(rows, freq, wide)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    starts = np.repeat(offsets[:-1], np.diff(rows.offsets)) + steps  # [R] where each row goes
    full = np.full((total, values.shape[1]), np.nan)
    full[starts] = values
    absent = np.ones(total, dtype=bool)
    absent[starts] = False
    zero = _without_event(full[:, :sums], absent, offsets)
    full[:, :sums][zero] = 0.0
    since = np.arange(total) - np.repeat(offsets[:-1], lengths)
    timestamps = freq.advance(np.repeat(rows.timestamps[rows.offsets[:-1]], lengths), since, rows.zone)
    timestamps[starts] = rows.timestamps  # as they are in the file where the clock shows a time twice
    row = int(np.argmax(wide > 1)) if len(wide) else 0
    first = f"the first after '{rows.text(row)}' (series '{rows.name_of(row)}')"
    zeros, zero_gaps = int(zero.sum()), int(zero[absent].sum())
    return Filled(offsets, timestamps, full, gaps=total - len(steps), zeros=zeros, zero_gaps=zero_gaps, first=first)


def _without_event(sums: FloatArray, absent: BoolArray, offsets: IntArray) -> BoolArray:
    """[R, T] where `sums` are 0: in `absent` rows [R] and in those that others of the T have, between the first and the last one
    of their series.
    """
    there = ~np.isnan(sums)
    zero = ~there & (absent | there.any(axis=1))[:, None]
    place = np.arange(len(sums))[:, None]
    first = np.minimum.reduceat(np.where(there, place, len(sums)), offsets[:-1])
    last = np.maximum.reduceat(np.where(there, place, -1), offsets[:-1])
    first, last = (np.repeat(at, np.diff(offsets), axis=0) for at in (first, last))
    return np.asarray(zero & (first < place) & (place < last))


def _too_wide(rows: SortedRows, freq: Freq, wide: IntArray) -> RowsError:
    """The error about the largest gap; reading could go on without the rows on its shorter side."""
    row = int(wide.argmax())
    found = (
        f"{int(wide[row]) - 1:,} steps of {freq.name} are missing between timestamps '{rows.text(row)}' and "
        f"'{rows.text(row + 1)}' of series {quoted(rows.name_of(row))}."
    )
    n = int(np.searchsorted(rows.offsets, row, side="right"))
    first, end = int(rows.offsets[n - 1]), int(rows.offsets[n])
    drop = np.arange(first, row + 1) if row + 1 - first < end - row - 1 else np.arange(row + 1, end)
    hint = "Mend the timestamp, or give a longer step with --freq."
    return rows.error("gap", np.array([row + 1]), lambda _: (found, hint), drop=drop)
