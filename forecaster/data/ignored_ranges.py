"""Ranges of time that must not teach: their targets are read as missing, e.g. those of a lockdown or a stock-out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.time_zones import wall_clock
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray

_UNITS = {4: "Y", 7: "M", 10: "D", 16: "m", 19: "s"}  # letters of an ISO text -> what it names


def ignored_rows(panel: Panel, ranges: tuple[str, ...]) -> BoolArray:
    """[R] whether a row's timestamp is in one of the `ranges`, as the panel's clock shows it. UsageError for no range."""
    times = panel.timestamps if panel.freq.whole_numbers else wall_clock(panel.timestamps, panel.zone)
    found = np.zeros(len(times), dtype=bool)
    for text in ranges:
        first, end = _ends(text, whole_numbers=panel.freq.whole_numbers)
        found |= (times >= first) & (times < end)
    return found


def _ends(text: str, *, whole_numbers: bool) -> tuple[int, int]:
    """The first timestamp of a range FROM..TO, and the first after it; TO is whole: a day, a month, a year."""
    first, dots, last = (part.strip() for part in text.partition(".."))
    last = last if dots else first
    expected = "Give FROM..TO, e.g. 2020-03-15..2020-06-30, 2020-03 or 100..120."
    try:
        ends = (int(first), int(last) + 1) if whole_numbers else (_stamp(first, 0), _stamp(last, 1))
    except (ValueError, KeyError):
        raise UsageError(f"--ignore '{text}' is not a range of timestamps.", expected) from None
    if ends[0] >= ends[1]:
        raise UsageError(f"--ignore '{text}' ends before it begins.", expected)
    return ends


def _stamp(text: str, later: int) -> int:
    """Microseconds since 1970 of the begin of what `text` names, or with `later` 1 of what follows it."""
    if not re.fullmatch(r"[\d: T-]+", text):
        raise ValueError(text)
    begin: Any = np.datetime64(text.replace(" ", "T"), _UNITS[len(text)])  # type: ignore[call-overload]
    return int((begin + later).astype("M8[us]").astype(np.int64))
