"""Slots of a week: the steps of a frequency that exist, such as the hours of a market or the days on which a shop is open.

A slot is counted in steps from Monday 00:00 of the wall clock. A pattern is written as groups of days, each with ranges
from the first slot to the last: `Mon-Fri 09:00-16:00; Sat 10:00-12:00`, `Mon-Sat`, `05:00-19:30`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.time_zones import DAY, SECOND
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forecaster.typing import IntArray

WEEK = 7 * DAY
MIN_STEP = 60 * SECOND  # of a frequency with slots
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TIME = r"(\d{1,2}):(\d{2})"
_EXPECTED = "Write it e.g. h@Mon-Fri 09:00-16:00 or D@Mon-Sat; times are those of the first and the last step."


def parse_slots(pattern: str, step: int) -> tuple[int, ...]:
    """The slots that `pattern` names, in steps of `step` microseconds. UsageError where it names none."""
    found: set[int] = set()
    for group in pattern.split(";"):
        match = re.fullmatch(r"((?:[A-Z][a-z]{2}[-, ]*)*)([\d:,\s-]*)", group.strip())
        days = _days(match[1]) if match else []
        times = _times(match[2], step) if match else []
        if not days or not times:
            raise UsageError(f"'{pattern}' names no slots of a week.", _EXPECTED)
        found |= {day * (DAY // step) + slot for day in days for slot in times}
    return tuple(sorted(found))


def slots_text(slots: tuple[int, ...], step: int) -> str:
    """The pattern that `parse_slots` reads back to these slots."""
    size = DAY // step
    by_day = {day: tuple(slot % size for slot in slots if slot // size == day) for day in range(7)}
    kinds = dict.fromkeys(times for times in by_day.values() if times)
    groups = []
    for times in kinds:
        days = [day for day, own in by_day.items() if own == times]
        words = [] if len(days) == 7 else [_ranges(days, DAYS.__getitem__)]
        if len(times) < size:
            words.append(_ranges(times, lambda slot: _clock(slot * step)))
        groups.append(" ".join(words))
    return "; ".join(groups)


def called(slots: tuple[int, ...], step: int) -> str:
    """What people call these slots."""
    size = DAY // step
    days = sorted({slot // size for slot in slots})
    if size == 1:
        return "open days"
    if days == [0, 1, 2, 3, 4]:
        return "business hours" if len(slots) < 5 * size else "business days"
    return "hours of the day" if len(days) == 7 else "open hours"


@lru_cache(maxsize=16)
def per_day(slots: tuple[int, ...], step: int) -> int:
    """Slots in a season: those of a day where all days have as many, at least two; else those of the week."""
    counts = set(np.unique(np.array(slots) // (DAY // step), return_counts=True)[1].tolist())
    return counts.pop() if len(counts) == 1 and counts != {1} else len(slots)


def ranks(wall: IntArray, slots: tuple[int, ...], step: int) -> IntArray:
    """Numbers of slots since 1969-12-29, a Monday, same shape; a time that is in no slot counts as the slot before."""
    since = wall + 3 * DAY
    place = np.searchsorted(np.array(slots), since % WEEK // step, side="right") - 1
    return np.asarray(since // WEEK * len(slots) + place)


def _days(text: str) -> list[int]:
    """Numbers of days, all where none is named; empty where a name is not known."""
    found: list[int] = []
    for part in filter(None, re.split(r"[,\s]+", text.strip(" ,-"))):
        first, _, last = part.partition("-")
        if first not in DAYS or (last or first) not in DAYS:
            return []
        begin, end = DAYS.index(first), DAYS.index(last or first)
        found += [day % 7 for day in range(begin, end + 1 + 7 * (end < begin))]
    return found or list(range(7))


def _times(text: str, step: int) -> list[int]:
    """Numbers of slots in a day, all where no time is named; empty where one is not understood."""
    found: list[int] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = re.fullmatch(rf"{_TIME}(?:-{_TIME})?", part)
        if not match:
            return []
        minutes = [60 * int(match[1]) + int(match[2])]
        minutes.append(60 * int(match[3]) + int(match[4]) if match[3] else minutes[0])
        if minutes[1] < minutes[0] or minutes[1] >= 24 * 60:
            return []
        found += range(minutes[0] * MIN_STEP // step, minutes[1] * MIN_STEP // step + 1)
    return found or list(range(DAY // step))


def _ranges(numbers: Iterable[int], name: object) -> str:
    """`Mon-Fri,Sun`: runs of numbers by the names of their ends."""
    numbers = list(numbers)
    edges = [i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1] + 1]
    runs = zip([0, *edges], [*edges, len(numbers)], strict=True)
    write = name if callable(name) else str
    return ",".join(
        write(numbers[a]) if b - a == 1 else f"{write(numbers[a])}-{write(numbers[b - 1])}" for a, b in runs
    )


def _clock(time: int) -> str:
    minutes = time // MIN_STEP
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
