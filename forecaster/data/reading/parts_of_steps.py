"""Series that are probably parts of their own steps: hours side by side in rows of days, months in rows of years."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecaster.data.reading.date_words import in_english, without_accents
from forecaster.data.reading.joined_columns import holds_part, joined_name, time_of_day
from forecaster.data.reading.written_dates import MONTHS
from forecaster.data.time_zones import DAY, SECOND
from forecaster.errors import quoted

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.data.panel import Panel

_MAX_PARTS = 1440  # minutes of a day
_MAX_OTHERS = 2  # series besides the parts, such as their total
_MIN_DAY, _MIN_CLOCK = 24, 6  # times of a day; fewer are times where all are written with a colon
_NUMBERED = re.compile(r"([a-z]*)(\d{1,2})([a-z]*)")
_RANGE = re.compile(r"(.*\d.*?)\s*(?:-|–|to|bis)\s*(.*\d.*)")
_HUNDREDS = re.compile(r"(\d{0,2})00|0")
_WEEKDAYS = ("montuewedthufrisatsun", "lunmarmerjeuvensamdim", "lunmarmiejueviesabdom", "lunmarmergiovensabdom")
_GERMAN_WEEKDAYS = {"mo", "di", "mi", "do", "fr", "sa", "so"}


@dataclass(frozen=True)
class _Parts:
    """What numbered series may be."""

    count: int
    one: str  # "hour"
    of: str  # "day"
    words: str  # that may be around the number, without spaces
    kind: str = ""  # of `joined_columns`, which may read such numbers
    bare: bool = False  # whether numbers alone will do


_HOURS = _Parts(24, "hour", "day", "h hr hrs hour hours he hb hourending std stunde heure hora ora uur", "hour", True)
_OF_DAYS = (
    _HOURS,
    _Parts(48, "half-hour", "day", "sp hh p period settlementperiod halfhour"),
    _Parts(96, "quarter-hour", "day", "q qh p period interval quarterhour"),
)
_OF_YEARS = (
    _Parts(13, "period", "year", "p period"),
    _Parts(12, "month", "year", "m month monat mois mes mese maand p period", "month", True),
    _Parts(4, "quarter", "year", "q quarter qtr quartal", "quarter"),
    _Parts(52, "week", "year", "w wk week kw woche semaine semana", "week"),
    _Parts(53, "week", "year", "w wk week kw woche semaine semana", "week"),
)
_OF_MONTHS = (_Parts(31, "day", "month", "d day tag jour dia", "day", True),)
_OF_HOURS = (_Parts(60, "minute", "hour", "m min mi minute minutes", "minute"),)


@dataclass(frozen=True)
class _Found:
    """Series that look like parts of steps."""

    called: str  # "numbered 1 to 24"
    what: str  # "hours of the day"
    one: str  # "hour"
    joins: bool = False  # whether their names are read as parts of a date


def part_warning(panel: Panel) -> str:
    """That series are probably parts of their own steps, by their names; empty where they are not."""
    if panel.layout == "single" or not 3 <= len(panel.series) <= _MAX_PARTS + _MAX_OTHERS or panel.targets:
        return ""
    names = [str(name).strip() for name in panel.series]
    wide = panel.layout == "wide"
    found = _months(names, panel.freq, wide=wide) or _numbered(names, panel.freq)
    found = found or _times(names, panel.freq) or _weekdays(names, panel.freq)
    if found is None:
        return ""
    if wide:
        return (
            f"the columns are {found.called}, and each is read as a series of its own: if these are {found.what}, "
            f"write a row for each {found.one}"
        )
    stamp, column = str(panel.columns.timestamp), str(panel.columns.series)
    joined = f"name them: --timestamp {quoted(joined_name([stamp, column]))}"
    remedy = joined if found.joins and not panel.keys else f"give each row the timestamp of its {found.one}"
    return f"the series are {found.called}: if these are {found.what}, {remedy}"


def _step(freq: Freq) -> str:
    if freq.unit == "month":
        return {1: "month", 3: "quarter", 12: "year"}.get(freq.count, freq.name)
    return {DAY: "day", 7 * DAY: "week", 3600 * SECOND: "hour"}.get(
        freq.count, "day" if freq.unit == "B" else freq.name
    )


def _months(names: list[str], freq: Freq, *, wide: bool) -> _Found | None:
    """Names of months, in wide tables of any step."""
    named = {in_english(name).lower()[:3] for name in names if not re.search(r"\d", name)}
    if not set(MONTHS) <= named or len(names) > 12 + _MAX_OTHERS or not (wide or _step(freq) == "year"):
        return None
    return _Found(f"called {names[0]} to {names[11]}", "months of the year", "month", joins=True)


def _weekdays(names: list[str], freq: Freq) -> _Found | None:
    if _step(freq) != "week" or not 7 <= len(names) <= 7 + _MAX_OTHERS:
        return None
    words = [without_accents(name) for name in names]
    short = {word[:3] for word in words}
    known = [{days[i : i + 3] for i in range(0, 21, 3)} for days in _WEEKDAYS]
    if not any(days <= short for days in known) and not {word[:2] for word in words} >= _GERMAN_WEEKDAYS:
        return None
    return _Found(f"called {names[0]} to {names[6]}", "days of the week", "day")


def _numbered(names: list[str], freq: Freq) -> _Found | None:
    """Series that are numbered from 0 or 1 on, with a word for what they are or none."""
    kinds = {"day": _OF_DAYS, "year": _OF_YEARS, "month": _OF_MONTHS, "hour": _OF_HOURS}.get(_step(freq), ())
    fitting = [parts for parts in kinds if parts.count <= len(names) <= parts.count + _MAX_OTHERS]
    if not fitting:
        return None
    found: dict[str, dict[int, str]] = {}
    for name in names:
        match = _NUMBERED.fullmatch(re.sub(r"[\s_.:-]+", "", without_accents(_begin(name))))
        if match:
            found.setdefault(match[1] or match[3], {})[int(match[2])] = name
    for parts in fitting:
        for word, numbers in found.items():
            first = min(numbers)
            known = word in parts.words.split() or (not word and parts.bare and len(names) == parts.count)
            last = first + parts.count - 1  # more may be their mean, as M13 is, or the 25th hour of a day
            if known and first <= 1 and set(range(first, last + 1)) <= set(numbers):
                how = "called" if word or not numbers[first].isdecimal() else "numbered"
                joins = bool(parts.kind) and max(numbers) == last and holds_part(parts.kind, names)
                called = f"{how} {numbers[first]} to {numbers[last]}"
                return _Found(called, f"{parts.one}s of the {parts.of}", parts.one, joins)
    return None


def _begin(name: str) -> str:
    """Where a span such as 00-01 begins; the name itself where it is none."""
    match = _RANGE.fullmatch(name)
    return match[1] if match else name


def _times(names: list[str], freq: Freq) -> _Found | None:
    """Series that are called as times of the day at equal distances: 7:30, 730 AM or 700."""
    if _step(freq) != "day":
        return None
    read = {name: minute for name in names if (minute := _minute(_begin(name))) is not None}
    clocks = not any(name.isdecimal() for name in read)
    if len(read) < max(_MIN_CLOCK if clocks else _MIN_DAY, len(names) - _MAX_OTHERS):
        return None
    ordered = sorted(read, key=lambda name: read[name])
    minutes = [read[name] for name in ordered]
    step = minutes[1] - minutes[0]
    whole = step * len(minutes) == 1440
    if minutes != list(range(minutes[0], minutes[0] + step * len(minutes), step or 1)):
        return None
    if not whole and not (clocks and step <= 60):
        return None
    joins = not clocks or holds_part("time", names)  # hundreds are read as hours
    return _Found(f"called {ordered[0]} to {ordered[-1]}", "times of the day", "time", joins)


def _minute(name: str) -> int | None:
    """Minutes since midnight of 7:30, 7h30, 7:30 pm, 700 or 0; None where it is no such time."""
    if match := _HUNDREDS.fullmatch(name):
        hour = int(match[1] or 0)
        return 60 * hour if hour <= 24 else None
    at = time_of_day(name)
    return None if at is None or at % (60 * SECOND) or "." in name else at // (60 * SECOND)
