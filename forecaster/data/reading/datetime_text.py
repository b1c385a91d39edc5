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

_CLOCK = (
    r"(?P<h>\d{1,2})(?::?(?P<mi>\d{2})(?::?(?P<s>\d{2})(?:[.,](?P<f>\d+))?)?)?"
    r"(?:\s*(?P<p>[AaPp])\.?[Mm]\.?)?(?:\s*(?P<z>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
)
TIME = rf"(?:(?:T|,?\s+){_CLOCK})?"  # after a date
ISO = re.compile(
    r"(?P<y>\d{4})(?:-?Q(?P<q>[1-4])|(?P<sep>[-/.]?)(?P<m>\d{1,2})(?:(?P=sep)(?P<d>\d{1,2}))?)?"
    rf"(?:(?:T|\s+|(?P<mark>[-:])(?=\d\d(?::|$))){_CLOCK}|\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d{{2}}:?\d{{2}}))?"
)
OTHER = re.compile(r"(?P<a>\d{1,2})[-/.](?P<b>\d{1,2})[-/.](?P<y>\d{4}|\d{2})" + TIME)
_EPOCH = datetime(1970, 1, 1)
YEARS = (1600, 2200)  # whole numbers of this range, all of four digits, are years


def looks_like_stamp(text: str) -> bool:
    """Whether `text` is shaped like a date of at least year and month. Plain numbers are not."""
    match = ISO.fullmatch(text)
    if match and (match["sep"] or match["q"] or match["h"]):
        return match["sep"] != "." or match["d"] is not None  # 2010.02 may be a number
    return OTHER.fullmatch(text) is not None


def iso(text: str) -> tuple[int, int | None] | None:
    """Wall clock and offset of a text in ISO 8601; None where it is none."""
    match = ISO.fullmatch(text)
    if match is None or (match["sep"] == "" and (match["d"] is None or len(match["m"] + match["d"]) != 4)):
        return None
    if match["mark"] and match["d"] is None:
        return None
    month = 3 * int(match["q"]) - 2 if match["q"] else int(match["m"] or 1)
    return moment(match, int(match["y"]), month, int(match["d"] or 1))


def zone_of(match: re.Match[str]) -> str | None:
    """The offset that a match of ISO or TIME ends with, as it is written."""
    return match["z"] or match.groupdict().get("zone")


def offset_of(zone: str | None) -> int | None:
    """Microseconds east of Greenwich for "+01:00" or "Z"; None where it is no offset of less than a day."""
    if not zone or zone in ("Z", "z", "UTC", "GMT"):
        return 0 if zone else None
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    return (-1 if zone[0] == "-" else 1) * (hours * 60 + minutes) * 60_000_000


def other_form(match: re.Match[str] | None, order: str) -> tuple[int, int | None] | None:
    """Wall clock and offset of a match of OTHER, whose parts come in this order, e.g. "dmy". None where it is no date."""
    if match is None:
        return None
    parts = dict(zip(order, (match["a"], match["b"], match["y"]), strict=True))
    if len(parts["y"]) not in (2, 4) or len(parts["d"]) > 2:
        return None
    return moment(match, full_year(parts["y"]), int(parts["m"]), int(parts["d"]))


def full_year(digits: str) -> int:
    """The year of four or two digits; of two, as strptime reads them: 1969 to 2068."""
    year = int(digits)
    return year if len(digits) > 2 else year + (2000 if year < 69 else 1900)


def moment(match: re.Match[str], year: int, month: int, day: int) -> tuple[int, int | None] | None:
    """Wall clock and offset of a date with the time in `match`, whose pattern has TIME. None where there is no such day,
    time or offset. 24:00 is the beginning of the next day.
    """
    hour, minute, second = (int(match[group] or 0) for group in ("h", "mi", "s"))
    later = 0
    if match["p"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["p"].lower() == "p" else 0)
    elif hour == 24 and not (minute or second or int(match["f"] or 0)):
        hour, later = 0, 86_400_000_000
    try:
        wall = _microseconds(datetime(year, month, day, hour, minute, second)) + later
    except ValueError:
        return None
    zone = zone_of(match)
    offset = offset_of(zone)
    if zone is not None and offset is None:
        return None
    return wall + int((match["f"] or "0")[:6].ljust(6, "0")), offset


def _microseconds(wall: datetime) -> int:
    return (wall - _EPOCH) // timedelta(microseconds=1)
