"""The century of years of two digits: `Jan-49` is 1949 among dates up to 1960, and 2049 among dates from 2020 on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecaster.typing import IntArray

_DOUBTFUL = (2040, 2068)  # what strptime makes of 40 to 68; data of 1940 to 1968 is at least as usual
_CENTURY = 1200  # months


def right_century(walls: IntArray, texts: Sequence[str]) -> IntArray:
    """Times [U] in microseconds since 1970, of which doubtful ones are a century earlier where all then span no more years.

    `texts` [U] are how they are written: a year of four digits is not in doubt.
    """
    months = np.asarray(walls).astype("M8[us]").astype("M8[M]")
    years = months.astype("M8[Y]").astype(np.int64) + 1970
    doubtful = np.flatnonzero((years >= _DOUBTFUL[0]) & (years <= _DOUBTFUL[1]))
    if not len(doubtful) or any(str(years[i]) in str(texts[i]) for i in doubtful.tolist()):
        return walls
    begin = months.astype("M8[us]").astype(np.int64)
    earlier = (months.astype(np.int64) - _CENTURY).astype("M8[M]").astype("M8[us]").astype(np.int64)
    moved = walls.copy()
    moved[doubtful] += (earlier - begin)[doubtful]
    return moved if np.ptp(moved) <= np.ptp(walls) else walls
