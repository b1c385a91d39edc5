"""Timestamps without offsets → UTC instants, in a zone whose clock changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import timestamp_text
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.time_zones import resolve_wall_clock

if TYPE_CHECKING:
    from forecaster.typing import IntArray


def localize(wall: IntArray, index: IntArray, series: IntArray, zone: str, place: Callable[[int], str]) -> IntArray:
    """[R] UTC instants at which the clock of `zone` showed `wall[index]`, for rows in the order of the file.

    `wall` are distinct times in microseconds, `index` and `series` [R] say which time and series each row has. A time that
    the clock shows twice is the first of the two; where a series has it twice, its second row is the second (its first row,
    in a file whose latest rows come first). RowsError where the clock skipped a time.
    """
    first, second, missing = resolve_wall_clock(wall, zone)
    if missing.any():
        skipped = np.flatnonzero(missing[index])

        def describe(k: int) -> tuple[str, str]:
            text = timestamp_text(int(wall[index[skipped[k]]]), None, whole_numbers=False)
            found = f"timestamp '{text}' does not exist in {zone}: the clock was set forward over it."
            return found, "Check the zone, or mend the row."

        if len(skipped):
            raise RowsError("clock", skipped, place, describe)
    instants: IntArray = first[index]
    twice = (first != second)[index]
    if not twice.any():
        return instants
    together = series[1:] == series[:-1]
    moves = np.sign(np.diff(wall[index])[together])
    rows = np.flatnonzero(twice)
    if moves.sum() < 0:  # latest first
        rows = rows[::-1]
    seen: set[tuple[int, int]] = set()
    for row in rows.tolist():  # one or two hours a year
        key = (int(series[row]), int(wall[index[row]]))
        if key in seen:
            instants[row] = second[index[row]]
        seen.add(key)
    return instants
