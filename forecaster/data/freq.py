"""Frequencies: timestamps to whole steps and back, in NumPy alone, since `predict` runs it without pandas.

Timestamps are microseconds since 1970 (UTC instants where there is a zone, else the wall clock), or whole-number steps.
Steps of whole days and longer go by the wall clock, so that a daily series keeps its hour when clocks change; shorter
steps go by UTC instants.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from forecaster.data.slots import MIN_STEP, WEEK, parse_slots, per_day, ranks, slots_text
from forecaster.data.time_zones import DAY, SECOND, instants_of, offset_texts, wall_clock, weekday_of
from forecaster.errors import UsageError, nearest

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, IntArray, TextArray

_CLOCK = {"us": 1, "ms": 1000, "s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND, "D": DAY, "W": 7 * DAY}
_MONTHS = {"M": 1, "Q": 3, "Y": 12}
_NAMES = (
    "s",
    "min",
    "15min",
    "30min",
    "h",
    "B",
    "D",
    "W",
    "MS",
    "ME",
    "BMS",
    "BME",
    "WOM-3FRI",
    "QS",
    "QE",
    "YS",
    "YE",
)
_SPELLINGS = {
    "H": "h", "T": "min", "S": "s", "L": "ms", "U": "us", "d": "D", "w": "W", "b": "B", "M": "ME", "Q": "QE", "Y": "YE",
    "A": "YE", "AS": "YS", "AE": "YE", "hour": "h", "hourly": "h", "day": "D", "daily": "D", "week": "W", "weekly": "W",
    "minute": "min", "second": "s", "month": "ME", "monthly": "ME", "quarter": "QE", "quarterly": "QE", "year": "YE",
    "yearly": "YE", "annual": "YE",
}  # fmt: skip
_PATTERN = re.compile(r"(?P<count>\d*)\s*(?P<unit>[A-Za-z]+)(?:-(?P<anchor>[A-Z]{3}|\d{1,2}))?")
_RULE = re.compile(
    r"(?P<count>\d*)(?:B(?P<unit>[MQYA])(?P<end>[SE]?)(?:-[A-Z]{3})?|(?P<rule>WOM-[1-4][A-Z]{3}|LWOM-[A-Z]{3}))"
)
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_START, _END = 1, 31  # `Freq.day` of month starts and month ends


@dataclass(frozen=True)
class Freq:
    """The step of a regular series. Made by `Freq.parse`; its `name` is what is stored.

    `unit` is "step" (whole numbers), "clock" (`count` microseconds), "B" (business days) or "month" (`count` months on
    day `day`, 31 = the last, or on the day that `rule` says: "BS" and "BE" are the first and the last business day,
    "WOM-3FRI" the third Friday, "LWOM-FRI" the last). Each series has a phase of its own (weekday, first month, minute
    past the hour).
    With `slots`, only these steps of each week exist, e.g. the hours in which a market is open.
    """

    unit: str
    count: int
    day: int = _START
    rule: str = ""
    slots: tuple[int, ...] = ()  # steps of the week from Monday 00:00 that exist, ascending; () = all

    @classmethod
    def parse(cls, name: str) -> Freq:
        """The frequency called `name`, as `Freq.name` or as pandas (old or new) spells it. UsageError on any other text."""
        text, _, pattern = (part.strip() for part in name.partition("@"))
        if pattern:
            return cls.parse(text).only(pattern)
        if text.isascii() and text.isdigit() and int(text) > 0:
            return cls("step", int(text))
        if rule := _RULE.fullmatch(text):
            return _by_rule(rule, text)
        match = _PATTERN.fullmatch(text)
        unit = match["unit"] if match else ""
        unit = _SPELLINGS.get(unit, unit)
        count = int(match["count"] or 1) if match else 0
        anchor = match["anchor"] if match else None
        if match and count and unit in _CLOCK and (anchor is None or (unit == "W" and anchor.isalpha())):
            return cls("clock", count * _CLOCK[unit])
        if count and unit == "B" and anchor is None:
            return cls("B", count)
        if count and len(unit) == 2 and unit[0] in _MONTHS and unit[1] in "SE":
            day = _START if unit[1] == "S" else _END
            if anchor is not None and anchor.isdigit():  # M-15: the 15th of each month
                day = int(anchor)
            if 1 <= day <= 31 and (anchor is None or anchor.isalpha() or unit[1] == "E"):
                return cls("month", count * _MONTHS[unit[0]], day)
        raise UsageError(f"frequency '{name}' is not known.", nearest(text, _NAMES))

    def only(self, pattern: str) -> Freq:
        """This frequency with the slots of a week that `pattern` names, e.g. `Mon-Fri 09:00-16:00`. UsageError otherwise."""
        if self.unit != "clock" or self.count < MIN_STEP or DAY % self.count:
            raise UsageError(
                f"frequency {self.name} has no slots of a day or week.", "Give e.g. h@Mon-Fri 09:00-16:00."
            )
        return replace(self, slots=parse_slots(pattern, self.count))

    @property
    def name(self) -> str:
        """The shortest spelling that `parse` reads back to this: "h", "15min", "W", "2MS", "M-15", "3", "D@Mon-Sat"."""
        if self.slots:
            return f"{replace(self, slots=()).name}@{slots_text(self.slots, self.count)}"
        if self.unit == "step":
            return str(self.count)
        if self.unit == "clock":
            unit = max((u for u in _CLOCK if self.count % _CLOCK[u] == 0), key=_CLOCK.__getitem__)
            return _counted(self.count // _CLOCK[unit], unit)
        if self.unit == "B":
            return _counted(self.count, "B")
        if "WOM" in self.rule:
            return _counted(self.count, self.rule)
        letter = max((u for u in _MONTHS if self.count % _MONTHS[u] == 0), key=_MONTHS.__getitem__)
        if self.rule:
            return _counted(self.count // _MONTHS[letter], f"B{letter}{self.rule[1]}")
        ending = {_START: "S", _END: "E"}.get(self.day, f"-{self.day}")
        return _counted(self.count // _MONTHS[letter], letter + ending)

    def __str__(self) -> str:
        return self.name

    @property
    def whole_numbers(self) -> bool:
        """Whether timestamps are whole-number steps rather than dates."""
        return self.unit == "step"

    @property
    def by_wall_clock(self) -> bool:
        """Whether steps follow the wall clock of a zone: whole days or longer, or slots of a week."""
        return bool(self.slots) or self.unit in ("B", "month") or (self.unit == "clock" and self.count % DAY == 0)

    @property
    def season_length(self) -> int:
        """Steps in the shortest usual season; 1 = none.

        s and min → 60; other whole seconds → the hour, other minutes and hours → the day (15min → 96, h → 24); D → 7;
        B → 5; weeks, months and quarters → the year. Where the step does not divide it: 1. Whole numbers: 1, see `infer_season`.
        Slots: those of a day where all days have as many, at least two; else those of the week.
        """
        if self.slots:
            return per_day(self.slots, self.count)
        if self.unit == "month":
            return _divided(12, self.count)
        if self.unit == "B":
            return _divided(5, self.count)
        if self.unit == "step" or self.count < SECOND:
            return 1
        if self.count in (SECOND, 60 * SECOND):
            return 60
        if self.count % (7 * DAY) == 0:
            return _divided(52, self.count // (7 * DAY))
        if self.count % DAY == 0:
            return _divided(7, self.count // DAY)
        return _divided(DAY if self.count >= 60 * SECOND else 3600 * SECOND, self.count)

    def ordinals(self, timestamps: IntArray, zone: str | None = None) -> IntArray:
        """Step numbers, same shape: timestamps one step apart on their series' grid differ by 1."""
        if not self.by_wall_clock:
            return timestamps // self.count
        wall = wall_clock(timestamps, zone)
        if self.slots:
            return ranks(wall, self.slots, self.count)
        if self.unit == "clock":
            return wall // self.count
        if self.unit == "B":
            return _business(wall // DAY) // self.count
        return wall.astype("M8[us]").astype("M8[M]").astype(np.int64) // self.count

    def advance(self, timestamps: IntArray, steps: IntArray, zone: str | None = None) -> IntArray:
        """The timestamps `steps` after `timestamps` (broadcast together); the time of day stays."""
        if not self.by_wall_clock:
            return timestamps + steps * self.count
        wall = wall_clock(timestamps, zone)
        if self.slots:
            number = ranks(wall, self.slots, self.count) + steps
            week, place = number // len(self.slots), number % len(self.slots)
            return instants_of(
                week * WEEK - 3 * DAY + np.array(self.slots)[place] * self.count + wall % self.count, zone
            )
        if self.unit == "clock":
            return instants_of(wall + steps * self.count, zone)
        day = wall // DAY
        if self.unit == "B":
            number = _business(day) + steps * self.count
            later = number // 5 * 7 + number % 5 - 3
        else:
            months = wall.astype("M8[us]").astype("M8[M]").astype(np.int64) + steps * self.count
            later = day_in_month(np.asarray(months), self.day, self.rule)
        return instants_of(later * DAY + wall % DAY, zone)

    def exists(self, timestamps: IntArray, zone: str | None = None) -> BoolArray:
        """Whether timestamps are in a slot that exists, or on a business day; same shape. True for other frequencies."""
        if not self.slots and self.unit != "B":
            return np.ones(timestamps.shape, dtype=bool)
        wall = wall_clock(timestamps, zone) + 3 * DAY
        if self.unit == "B":
            return np.asarray(wall // DAY % 7 < 5)
        return np.isin(wall % WEEK // self.count, np.array(self.slots))

    @property
    def at_end(self) -> bool:
        """Whether timestamps are at the end of their months, quarters or years."""
        return self.unit == "month" and (self.day == _END or self.rule == "BE")

    def after(self, last_timestamps: IntArray, steps: int, zone: str | None = None) -> IntArray:
        """[N, steps] the timestamps that follow each of `last_timestamps` [N]."""
        return self.advance(last_timestamps[:, None], np.arange(1, steps + 1, dtype=np.int64)[None, :], zone)


def format_timestamps(timestamps: IntArray, freq: Freq, zone: str | None = None) -> TextArray:
    """Timestamps as written to files, same shape: ISO 8601 with a space, and the offset where there is a zone.

    `2024-01-31` where all are midnights of a step of days and there is no zone, else `2024-01-31 13:00:00`, with a
    fraction only where one is needed. Whole-number steps come back as the integers they are.
    """
    if freq.whole_numbers or timestamps.size == 0:
        return timestamps if freq.whole_numbers else np.empty(timestamps.shape, dtype="U10")
    wall = wall_clock(timestamps, zone)
    if zone is None and freq.by_wall_clock and not (wall % DAY).any():
        return np.datetime_as_string(wall.astype("M8[us]"), unit="D")
    unit: Literal["s", "ms", "us"] = "s" if not (wall % SECOND).any() else "us" if (wall % 1000).any() else "ms"
    texts = np.ascontiguousarray(np.datetime_as_string(wall.astype("M8[us]"), unit=unit))
    letters = texts.view(np.uint32).reshape(*texts.shape, -1)
    letters[letters == ord("T")] = ord(" ")
    if zone is None:
        return texts
    index, offsets = offset_texts(timestamps, zone)
    return np.char.add(texts, np.array(offsets)[index])


def timestamp_text(timestamp: int, zone: str | None, *, whole_numbers: bool) -> str:
    """One timestamp for a message: `2024-01-31`, `2024-01-31 13:00:00+01:00` or `17`."""
    freq = Freq("step", 1) if whole_numbers else Freq("clock", DAY)
    return str(format_timestamps(np.array([timestamp], dtype=np.int64), freq, zone)[0])


def day_in_month(months: IntArray, day: int, rule: str = "") -> IntArray:
    """Days since 1970, same shape, in months since 1970: on day `day`, 31 = the last, or on the day that `rule` says."""
    first = months.astype("M8[M]").astype("M8[D]").astype(np.int64)
    last = (months + 1).astype("M8[M]").astype("M8[D]").astype(np.int64) - 1
    if not rule:
        return np.minimum(first + day - 1, last)
    weekday, of_last = weekday_of(first), weekday_of(last)
    if rule == "BS":
        return np.asarray(first + np.where(weekday > 4, 7 - weekday, 0))
    if rule == "BE":
        return np.asarray(last - np.maximum(of_last - 4, 0))
    wanted = WEEKDAYS.index(rule[-3:])
    if rule.startswith("L"):
        return np.asarray(last - (of_last - wanted) % 7)
    return np.asarray(first + (wanted - weekday) % 7 + 7 * (int(rule[4]) - 1))


def _by_rule(match: re.Match[str], text: str) -> Freq:
    """The frequency of business month starts or ends, or of a weekday of the month. UsageError for no such weekday."""
    count = int(match["count"] or 1)
    rule = match["rule"]
    if count and rule and rule[-3:] in WEEKDAYS:
        return Freq("month", count, rule=rule)
    if not count or rule:
        raise UsageError(f"frequency '{text}' is not known.", nearest(text, _NAMES))
    unit = {"A": "Y"}.get(match["unit"], match["unit"])
    return Freq("month", count * _MONTHS[unit], rule="B" + (match["end"] or "E"))


def _business(days: IntArray) -> IntArray:
    """Business days since Monday 1969-12-29 for days since 1970; a weekend counts as its Friday."""
    shifted = days + 3
    return shifted // 7 * 5 + np.minimum(shifted % 7, 4)


def _divided(season: int, step: int) -> int:
    return season // step if season % step == 0 else 1


def _counted(count: int, unit: str) -> str:
    return unit if count == 1 else f"{count}{unit}"
