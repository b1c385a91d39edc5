"""What to do with rows that have no regular step: move them to a grid, join them, or name the zone whose clock they follow."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import Freq
from forecaster.data.reading.differences import inner_neighbours
from forecaster.data.time_zones import DAY, SECOND, wall_clock

if TYPE_CHECKING:
    from forecaster.typing import IntArray

_MIN_STEADY_SHARE = 0.8  # of steps within a quarter of the usual one, for rows to be moved rather than joined
_NEAR = 0.15  # logarithm of a usual step over that of a frequency
_HOUR = 3600 * SECOND


def what_makes_regular(timestamps: IntArray, offsets: IntArray, zone: str | None) -> str:
    """What makes rows of N series, sorted by series and time, regular. `offsets` [N+1], `timestamps` [R] in `zone`."""
    first = timestamps[: offsets[1]]
    return _zone_hint(first, zone) or clock_hint(first, zone) or _grid_hint(timestamps, offsets)


def _zone_hint(timestamps: IntArray, zone: str | None) -> str:
    """What to do with times in UTC that are regular on a clock which changes twice a year; empty where they are not.

    Moved to a grid of UTC, midnights of Berlin would be those of the day before.
    """
    usual = int(np.median(np.diff(timestamps))) if len(timestamps) > 1 else 0
    if usual < DAY or not re.match("UTC|[+-]", zone or "UTC"):  # shorter steps do not follow the clock
        return ""
    phase = timestamps % DAY
    changes = np.flatnonzero(np.diff(phase))
    years = int(timestamps[-1] - timestamps[0]) / (365 * DAY)
    if len(np.unique(phase)) != 2 or len(changes) > 2 * years + 2:
        return ""
    if abs(int(phase[changes[0] + 1] - phase[changes[0]])) not in (_HOUR, DAY - _HOUR):
        return ""
    what = "An hour apart in summer and winter, they are regular on a clock that changes:"
    if zone is None:
        return f"{what} if they are in UTC, write Z after each and give the clock's zone, e.g. --zone Europe/Berlin."
    return f"{what} give its zone, e.g. --zone Europe/Berlin."


def clock_hint(timestamps: IntArray, zone: str | None) -> str:
    """What to do with steps of some hours that are regular on the zone's own clock; empty where they are not.

    Such a step has a fixed length, and two days a year have 23 and 25 hours.
    """
    steps = np.unique(np.diff(wall_clock(timestamps, zone)))
    if len(steps) != 1 or not _HOUR < steps[0] < DAY or len(np.unique(np.diff(timestamps))) == 1:
        return ""
    return f"They are regular on the clock of {zone}, which changes: leave --zone out, and write them without offsets from UTC."


def _grid_hint(timestamps: IntArray, offsets: IntArray) -> str:
    gaps = np.diff(timestamps)[inner_neighbours(offsets)]
    usual = float(np.median(gaps))
    names = (
        "s",
        "5s",
        "10s",
        "15s",
        "30s",
        "min",
        "5min",
        "10min",
        "15min",
        "30min",
        "h",
        "2h",
        "3h",
        "6h",
        "12h",
        "D",
        "W",
    )
    sizes = {name: float(Freq.parse(name).count) for name in names} | {
        "MS": 30.4 * DAY,
        "QS": 91.3 * DAY,
        "YS": 365.25 * DAY,
    }
    step = min(sizes, key=lambda name: abs(np.log(max(usual, 1.0) / sizes[name])))
    steady = float(np.mean(np.abs(gaps - usual) <= usual / 4)) >= _MIN_STEADY_SHARE
    other = "number the rows in a column of their own, to be named with --timestamp."
    if steady and abs(np.log(usual / sizes[step])) < _NEAR:
        return f"Move them to the grid with --freq {step} --snap, join them with --resample {step} --aggregate mean, or {other}"
    return f"Join them with --resample {step} --aggregate mean (or sum, last), or {other}"
