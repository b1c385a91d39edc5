"""Rows before --since and after --until, which are left out before anything is inferred from the others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.ignored_ranges import span
from forecaster.data.time_zones import wall_clock
from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.data.reading.frequency import SortedRows
    from forecaster.data.row_options import RowOptions
    from forecaster.typing import BoolArray


def rows_within(rows: SortedRows, options: RowOptions, *, keep_later: bool) -> tuple[SortedRows, BoolArray, str]:
    """The rows from `options.since` to `options.until`, whether each is later than that, and a note.

    Series without such rows are left out. `keep_later`: later rows stay, since they have the values of known columns;
    their targets must be taken for missing. DataError where no row is left; UsageError where a time is none.
    """
    none = np.zeros(len(rows.timestamps), dtype=bool)
    if options.since is None and options.until is None:
        return rows, none, ""
    first, end = span(options.since, options.until, whole_numbers=rows.whole_numbers)
    times = rows.timestamps if rows.whole_numbers else wall_clock(rows.timestamps, rows.zone)
    early = none if first is None else times < first
    late = none if end is None else times >= end
    inside = ~early & ~late
    given = [f"{word} {time}" for word, time in (("from", options.since), ("to", options.until)) if time is not None]
    if not inside.any():
        raise DataError(
            f"{rows.source}: no row is {' '.join(given)}: they are from {rows.text(int(times.argmin()))} to "
            f"{rows.text(int(times.argmax()))}.",
            "Give another time.",
        )
    some = np.logical_or.reduceat(inside, rows.offsets[:-1])
    kept = (~early if keep_later else inside) & np.repeat(some, np.diff(rows.offsets))
    note = f"only rows {' '.join(given)}: {_rows(int((~inside).sum()))} left out"
    if not some.all():
        note += f", among them all of {int((~some).sum()):,} series"
    counts = np.concatenate([[0], np.cumsum(kept)])[rows.offsets]
    order = np.flatnonzero(kept) if rows.order is None else rows.order[kept]
    offsets = np.concatenate([counts[:-1][some], counts[-1:]]).astype(np.int64)
    left = replace(rows, series=rows.series[some], offsets=offsets, timestamps=rows.timestamps[kept], order=order)
    return left, late[kept], f"{note}."


def _rows(count: int) -> str:
    return f"{count:,} row{'s' * (count != 1)}"
