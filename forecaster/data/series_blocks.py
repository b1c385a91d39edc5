"""A panel some series at once: what is computed for each row on the way to a figure then takes a few megabytes, and not as much
as the panel again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, IntArray

ROWS = 1 << 18  # of a block; one series may have more


def series_blocks(offsets: IntArray) -> Iterator[tuple[slice, slice]]:
    """Neighbouring series and their rows: the first up to `ROWS` rows, and so on; one series at least. `offsets` [N+1]."""
    first, count = 0, len(offsets) - 1
    while first < count:
        end = max(int(np.searchsorted(offsets, offsets[first] + ROWS, side="right")) - 1, first + 1)
        yield slice(first, end), slice(int(offsets[first]), int(offsets[end]))
        first = end


def rows_before(ends: IntArray, offsets: IntArray, some: slice) -> BoolArray:
    """Whether each row of `some` neighbouring series is before the end [N] of its series. `offsets` [N+1]."""
    of_some = offsets[some.start : some.stop + 1]
    return np.asarray(np.arange(of_some[0], of_some[-1]) < np.repeat(ends[some], np.diff(of_some)))
