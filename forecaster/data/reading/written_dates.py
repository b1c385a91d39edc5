"""Usual forms of dates that are not ISO 8601: quarters, halves, ISO weeks, days of the year, months by name, fiscal years."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import TypeAlias

from forecaster.data.reading.date_words import in_english
from forecaster.data.reading.datetime_text import TIME, full_year, moment

Part: TypeAlias = "tuple[int, int | None] | None"  # wall clock and offset, microseconds; None = not of this form

_SAMPLE = 100  # texts that show the form of all
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = (
    r"(?P<b>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_YEAR = r"(?P<y>\d{4})"
_ANY_YEAR = r"'?(?P<y>\d{4}|\d{2})"
_BETWEEN = r"[\s:./_-]*"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"


@dataclass(frozen=True)
class WrittenForm:
    """One way to write dates. Its patterns have the groups y and one of q, half, w (with u), j, m or b (with d)."""

    name: str  # for people
    pattern: str  # what --timestamp-format takes for it
    sources: tuple[str, ...]

    @property
    def shapes(self) -> tuple[re.Pattern[str], ...]:
        """The patterns, compiled on first use: a file of ISO 8601 needs none of them."""
        return tuple(map(_compiled, self.sources))

    def read(self, text: str) -> Part:
        """Wall clock and offset of a text; None where it is not of this form, or there is no such date."""
        text = in_english(text)
        match = next((match for shape in self.shapes if (match := shape.fullmatch(text))), None)
        return None if match is None else _moment(match)

    def read_any(self, texts: Sequence[str]) -> bool:
        """Whether at least half of some of the texts have a shape of this form."""
        some = [in_english(text) for text in texts[:_SAMPLE]]
        return 2 * sum(any(shape.fullmatch(text) for shape in self.shapes) for text in some) >= len(some)


@cache
def _compiled(source: str) -> re.Pattern[str]:
    return re.compile(source, re.IGNORECASE)


def _shapes(*shapes: str, time: str = "") -> tuple[str, ...]:
    # Without a time of day its groups are there, and match nothing.
    return tuple(shape + (time or r"(?:(?!)" + TIME + ")?") for shape in shapes)


FORMS = (
    WrittenForm("quarters", "%Y-Q%q", _shapes(
        rf"{_YEAR}{_BETWEEN}Q(?P<q>[1-4])", rf"Q(?P<q>[1-4]){_BETWEEN}{_ANY_YEAR}", rf"{_YEAR}{_BETWEEN}(?P<q>[1-4])Q",
        rf"(?P<q>[1-4])Q{_BETWEEN}{_ANY_YEAR}",
    )),
    WrittenForm("half years", "", _shapes(
        rf"{_YEAR}{_BETWEEN}[HS](?P<half>[12])", rf"[HS](?P<half>[12]){_BETWEEN}{_YEAR}", rf"(?P<half>[12])H{_BETWEEN}{_YEAR}",
    )),
    WrittenForm("ISO weeks", "%G-W%V", _shapes(
        rf"{_YEAR}{_BETWEEN}(?:W|WK|CW|KW|week)[\s.-]*(?P<w>\d{{1,2}})(?:-?(?P<u>[1-7]))?",
        rf"(?:W|WK|CW|KW|week)[\s.-]*(?P<w>\d{{1,2}})[\s,:./_-]+{_YEAR}",
    )),
    WrittenForm("months", "%YM%m", _shapes(rf"{_YEAR}{_BETWEEN}M(?P<m>\d{{1,2}})")),
    WrittenForm("months and years", "%m/%Y", _shapes(rf"(?P<m>\d{{1,2}})[-/.]{_YEAR}")),
    WrittenForm("days of the year", "%Y-%j", _shapes(rf"{_YEAR}[-./](?P<j>\d{{3}})", time=TIME)),
    WrittenForm("days with names of months", "%d %b %Y", _shapes(
        rf"{_WEEKDAY}(?P<d>\d{{1,2}})(?:st|[nr]d|th)?[\s./-]*{_NAME}[\s,./-]*{_ANY_YEAR}",
        rf"{_WEEKDAY}{_NAME}[\s.-]*(?P<d>\d{{1,2}})(?:st|[nr]d|th)?(?:,\s*|[\s-]+){_YEAR}",
        rf"{_YEAR}[\s./-]*{_NAME}[\s./-]*(?P<d>\d{{1,2}})",
        time=TIME.replace(r"(?:T|,?\s+)", r"(?:T|,?\s+|:)"),
    )),
    WrittenForm("names of months", "%b %Y", _shapes(rf"{_NAME}[\s,./-]*'?{_YEAR}", rf"{_YEAR}[\s,./-]*{_NAME}")),
)  # fmt: skip
# Names of months with two digits, which may be the year or the day.
MONTH_YEAR = WrittenForm("months and years", "%b-%y", _shapes(rf"{_NAME}[\s,./-]*'?(?P<y>\d{{2}})"))
YEAR_MONTH = WrittenForm("years and months", "%y-%b", _shapes(rf"'?(?P<y>\d{{2}})[\s,./-]*{_NAME}"))
_FISCAL = re.compile(r"(?:FY\s*)?(?P<y>\d{4})\s*[-/–]\s*(?P<end>\d{4}|\d{2})", re.IGNORECASE)
_NAMED_YEAR = re.compile(r"FY\s*'?(?P<y>\d{4}|\d{2})", re.IGNORECASE)
_FISCAL_QUARTER = re.compile(
    r"FY[\s'-]*(?P<y>\d{4}|\d{2})[\s:./_-]*Q(?P<q>[1-4])|Q(?P<q2>[1-4])[\s:./_-]*FY[\s'-]*(?P<y2>\d{4}|\d{2})",
    re.IGNORECASE,
)


def looks_written(text: str) -> bool:
    """Whether `text` is a date in one of the forms of this module."""
    text = in_english(text)
    return any(one.fullmatch(text) for one in (_FISCAL, _NAMED_YEAR, _FISCAL_QUARTER)) or any(
        shape.fullmatch(text) for form in (*FORMS, MONTH_YEAR, YEAR_MONTH) for shape in form.shapes
    )


def fiscal_years(texts: Sequence[str]) -> list[Part] | None:
    """The beginnings of the years in texts such as "2000-01", "2000/2001" and "FY2001", where all are such years.

    "2000-01" alone is a month, and so None: at least two different texts, each with the year after, are needed.
    """
    named = [_NAMED_YEAR.fullmatch(text) for text in texts]
    if all(named):
        return [_year(full_year(match["y"])) for match in named if match]
    found = [_FISCAL.fullmatch(text) for text in texts]
    if not all(match and is_next_year(match["y"], match["end"]) for match in found):
        return None
    sure = any(match and (len(match["end"]) == 4 or match[0][0] in "fF" or int(match["end"]) > 12) for match in found)
    if len(set(texts)) < 2 and not sure:
        return None
    return [_year(int(match["y"])) for match in found if match]


def fiscal_quarter_pattern(text: str) -> str:
    """The --timestamp-format by which a quarter of a fiscal year is one of the calendar; empty where it is none."""
    match = _FISCAL_QUARTER.fullmatch(text)
    if match is None:
        return ""
    year, quarter = ("y", "q") if match["y"] else ("y2", "q2")
    pieces = {match.span(year): "%Y" if len(match[year]) == 4 else "%y", match.span(quarter): "%q"}
    for (start, end), piece in sorted(pieces.items(), reverse=True):
        text = text[:start] + piece + text[end:]
    return text


def is_next_year(year: str, end: str) -> bool:
    """Whether `end`, of two or four digits, is the year after `year`."""
    return int(end) == (int(year) + 1) % (100 if len(end) == 2 else 10_000)


def _year(year: int) -> Part:
    return (date(year, 1, 1) - date(1970, 1, 1)) // timedelta(microseconds=1), None


def _moment(match: re.Match[str]) -> Part:
    found = match.groupdict()
    year = full_year(found["y"])
    if found.get("w"):
        try:
            day = date.fromisocalendar(year, int(found["w"]), int(found.get("u") or 1))
        except ValueError:
            return None
        return moment(match, day.year, day.month, day.day)
    if found.get("j"):
        if not 1 <= int(found["j"]) <= 366 or not 1 <= year <= 9998:
            return None
        day = date(year, 1, 1) + timedelta(days=int(found["j"]) - 1)
        return moment(match, year, day.month, day.day) if day.year == year else None
    if found.get("q"):
        month = 3 * int(found["q"]) - 2
    elif found.get("half"):
        month = 6 * int(found["half"]) - 5
    elif found.get("b"):
        month = MONTHS.index(found["b"][:3].lower()) + 1
    else:
        month = int(found["m"])
    return moment(match, year, month, int(found.get("d") or 1))
