"""Times that must not teach: ranges whose targets are read as missing, e.g. a lockdown or a stock-out, and what is before or
after the rows that count.
"""

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


def span(since: str | None, until: str | None, *, whole_numbers: bool) -> tuple[int | None, int | None]:
    """The first timestamp that counts and the first that no longer does; None = all. `until` is whole: a day, a month, a year.

    UsageError where one is no time, or none is left between them.
    """
    first = None if since is None else _end(since, 0, "--since", whole_numbers=whole_numbers)
    end = None if until is None else _end(until, 1, "--until", whole_numbers=whole_numbers)
    if first is not None and end is not None and first >= end:
        raise UsageError(f"--until '{until}' is before --since '{since}'.", "Exchange them.")
    return first, end


def check_time(text: str, flag: str) -> None:
    """UsageError where `text`, which was given for `flag`, is neither a step nor a time."""
    _end(text, 1, flag, whole_numbers=text.strip().lstrip("-").isdecimal() and len(text.strip()) != 4)


def _end(text: str, later: int, flag: str, *, whole_numbers: bool) -> int:
    try:
        return int(text) + later if whole_numbers else _stamp(text.strip(), later)
    except (ValueError, KeyError):
        hint = "Give a step, e.g. 100." if whole_numbers else "Give e.g. 2020, 2020-03 or 2020-03-15."
        raise UsageError(f"{flag} '{text}' is no timestamp.", hint) from None


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
