"""The periods of a frequency: where each timestamp's begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.time_zones import DAY, instants_of, wall_clock

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.typing import IntArray


def floored(timestamps: IntArray, freq: Freq, zone: str | None) -> IntArray:
    """The begin of the period of `freq` that each timestamp is in, same shape; its end for frequencies of month ends."""
    if freq.unit == "clock" and freq.count < DAY:
        return _floor(timestamps, freq.count)
    wall = wall_clock(timestamps, zone)
    if freq.unit == "clock":
        monday = 3 * DAY if freq.count % (7 * DAY) == 0 else 0  # weeks begin on Mondays
        return instants_of(_floor(wall + monday, freq.count) - monday, zone)
    midnight = instants_of(_floor(wall, DAY), zone)
    if freq.unit == "B":  # a weekend belongs to its Friday
        return freq.advance(midnight, np.zeros_like(midnight), zone)
    months = wall.astype("M8[us]").astype("M8[M]").astype(np.int64)
    month = _floor(months, freq.count) + (freq.count - 1) * freq.at_end
    first = month.astype("M8[M]").astype("M8[us]").astype(np.int64)
    return freq.advance(instants_of(first, zone), np.zeros_like(first), zone)


def _floor(values: IntArray, step: int) -> IntArray:
    return np.asarray(values // step * step)
