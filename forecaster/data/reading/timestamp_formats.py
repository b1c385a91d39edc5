"""What --timestamp-format takes: a strptime pattern, also with %q and with weeks alone, or the name of a form."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache

from forecaster.data.reading.datetime_text import OTHER, full_year
from forecaster.data.reading.decimal_dates import DECIMAL_YEAR, YEAR_MONTH
from forecaster.data.reading.integer_dates import COUNTS, DIGITS, STEPS
from forecaster.errors import UsageError, nearest

DAY_FIRST, MONTH_FIRST, YEAR_FIRST, FISCAL = "day-first", "month-first", "year-first", "fiscal-year"
ORDERS = {DAY_FIRST: "dmy", MONTH_FIRST: "mdy", YEAR_FIRST: "ymd"}
WORDS = (*ORDERS, FISCAL, YEAR_MONTH, DECIMAL_YEAR, *COUNTS, STEPS)
_EPOCH = datetime(1970, 1, 1)
_MIDNIGHT = re.compile(r"\b24(?=[:.h]?0{2}(?:[:.]?0{2})?\b)")
_WEEK = re.compile(r"%[VUW]")
_DAY_OF_WEEK = re.compile(r"%[uwaA]")
_QUARTER = {"%Y": r"(?P<y>\d{4})", "%y": r"(?P<y>\d{2})", "%q": r"(?P<q>[1-4])", "%%": "%"}


def check_format(pattern: str) -> str:
    """`pattern`, if it is one. UsageError otherwise."""
    if pattern in WORDS:
        return pattern
    if "%" not in pattern:
        raise UsageError(f"timestamp format '{pattern}' is not known.", nearest(pattern, WORDS))
    if "%q" in pattern:
        _quarter(pattern)
        return pattern
    try:
        datetime.strptime("", _whole_weeks(pattern))
    except ValueError as error:
        if "does not match" not in str(error):
            raise UsageError(
                f"timestamp format '{pattern}': {error}.", "See strftime.org for the directives."
            ) from None
    return pattern


def by_format(text: str, pattern: str) -> tuple[int, int | None] | None:
    """Wall clock and offset of a text that follows a pattern; None where it does not. Weeks begin on Monday."""
    text = str(text).strip()
    if "%q" in pattern:
        match = _quarter(pattern).fullmatch(text)
        if match is None:
            return None
        moment = datetime(full_year(match["y"]), 3 * int(match["q"]) - 2, 1)
        return (moment - _EPOCH) // timedelta(microseconds=1), None
    whole = _whole_weeks(pattern)
    week = " 1" if whole != pattern else ""
    midnight = _MIDNIGHT.sub("00", text, count=1)  # which strptime does not read
    try:
        moment = datetime.strptime(text + week, whole)
    except ValueError:
        if midnight == text:
            return None
        try:
            moment = datetime.strptime(midnight + week, whole) + timedelta(days=1)
        except (ValueError, OverflowError):
            return None
    offset = moment.utcoffset()
    wall = (moment.replace(tzinfo=None) - _EPOCH) // timedelta(microseconds=1)
    return wall, None if offset is None else offset // timedelta(microseconds=1)


def fits_format(text: str, form: str) -> bool:
    """Whether a text may be a timestamp of this form. Forms of plain numbers look like other numbers: False."""
    if form in ORDERS:
        return OTHER.fullmatch(text) is not None
    return "%" in form and form not in DIGITS and by_format(text, form) is not None


def _whole_weeks(pattern: str) -> str:
    """The pattern with a day of the week, without which strptime reads no week."""
    return f"{pattern} %u" if _WEEK.search(pattern) and not _DAY_OF_WEEK.search(pattern) else pattern


@lru_cache
def _quarter(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(%.)", pattern)
    unknown = [piece for piece in pieces if len(piece) == 2 and piece[0] == "%" and piece not in _QUARTER]
    if unknown or ("%Y" in pattern) == ("%y" in pattern):
        raise UsageError(f"timestamp format '{pattern}': with %q go %Y or %y alone.", "Expected e.g. %Y-Q%q.")
    return re.compile("".join(_QUARTER.get(piece, re.escape(piece)) for piece in pieces), re.IGNORECASE)
