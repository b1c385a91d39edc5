"""One date or time as text → time on the wall clock, in microseconds since 1970, and offset from UTC, in microseconds.

Our own parser stays because `datetime.fromisoformat` reads only a part of ISO 8601 before Python 3.11, and no months or
quarters such as 2024-01 and 2024-Q1 in any version. Roles of columns are inferred by it, so it must not need pandas.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

Parse: TypeAlias = "Callable[[str], tuple[int, int | None] | None]"  # text → wall clock and offset, microseconds

_TIME = r"(?:(?:T|\s+)(?P<h>\d{1,2})(?::?(?P<mi>\d{2})(?::?(?P<s>\d{2})(?:[.,](?P<f>\d+))?)?)?)?"
ISO = re.compile(
    r"(?P<y>\d{4})(?:-?Q(?P<q>[1-4])|(?P<sep>[-/.]?)(?P<m>\d{1,2})(?:(?P=sep)(?P<d>\d{1,2}))?)?"
    + _TIME
    + r"\s*(?P<z>[Zz]|[+-]\d{2}(?::?\d{2})?)?"
)
OTHER = re.compile(r"(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y>\d{4})" + _TIME + r"(?:\s*(?P<p>[AaPp][Mm]))?")
_EPOCH = datetime(1970, 1, 1)
YEARS = (1600, 2200)  # whole numbers of this range, all of four digits, are years


def looks_like_stamp(text: str) -> bool:
    """Whether `text` is shaped like a date of at least year and month. Plain numbers are not."""
    match = ISO.fullmatch(text)
    return bool(match and (match["sep"] or match["q"] or match["h"])) or OTHER.fullmatch(text) is not None


def looks_like_day_number(text: str) -> bool:
    """Whether `text` is a year or a date without separators: 2024, 20240131."""
    return text.isdecimal() and len(text) in (4, 8) and YEARS[0] <= int(text[:4]) <= YEARS[1] and iso(text) is not None


def iso(text: str) -> tuple[int, int | None] | None:
    """Wall clock and offset of a text in ISO 8601; None where it is none."""
    match = ISO.fullmatch(text)
    if match is None or (match["sep"] == "" and (match["d"] is None or len(match["m"] + match["d"]) != 4)):
        return None
    month = 3 * int(match["q"]) - 2 if match["q"] else int(match["m"] or 1)
    wall = _wall(match, int(match["y"]), month, int(match["d"] or 1))
    zone = match["z"]
    if wall is None or zone is None:
        return None if wall is None else (wall, None)
    offset = offset_of(zone)
    return None if offset is None else (wall, offset)


def offset_of(zone: str | None) -> int | None:
    """Microseconds east of Greenwich for "+01:00" or "Z"; None where it is no offset of less than a day."""
    if not zone or zone in "Zz":
        return 0 if zone else None
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    return (-1 if zone[0] == "-" else 1) * (hours * 60 + minutes) * 60_000_000


def other_form(match: re.Match[str] | None, day: str, month: str) -> tuple[int, None] | None:
    """Wall clock of a match of OTHER; `day` and `month` name the groups that hold these. None where it is not a date."""
    if match is None:
        return None
    wall = _wall(match, int(match["y"]), int(match[month]), int(match[day]))
    if wall is None or not match["p"]:
        return None if wall is None else (wall, None)
    hour = int(match["h"] or 0)
    shift = (hour % 12) + (12 if match["p"].lower() == "pm" else 0) - hour
    return (wall + shift * 3_600_000_000, None) if 1 <= hour <= 12 else None


def _wall(match: re.Match[str], year: int, month: int, day: int) -> int | None:
    try:
        moment = datetime(year, month, day, int(match["h"] or 0), int(match["mi"] or 0), int(match["s"] or 0))
    except ValueError:
        return None
    return _microseconds(moment) + int((match["f"] or "0")[:6].ljust(6, "0"))


def _microseconds(wall: datetime) -> int:
    return (wall - _EPOCH) // timedelta(microseconds=1)


def by_format(text: str, pattern: str) -> tuple[int, int | None] | None:
    """Wall clock and offset of a text that follows a strptime pattern; None where it does not."""
    try:
        moment = datetime.strptime(str(text).strip(), pattern)
    except ValueError:
        return None
    offset = moment.utcoffset()
    return _microseconds(moment.replace(tzinfo=None)), None if offset is None else offset // timedelta(microseconds=1)
