"""Between UTC instants and the wall clock of a zone, in NumPy alone, since `predict` runs it without pandas.

A zone is a name of the IANA database ("Europe/Berlin"), "UTC", or a fixed offset ("+01:00").
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecaster.typing import BoolArray, IntArray

SECOND = 1_000_000  # microseconds
DAY = 86_400 * SECOND
_FIXED = re.compile(r"([+-])(\d{2}):?(\d{2})?")
_MAX_SPAN_YEARS = 200  # whose rules are all looked up; of a longer span, only the years that occur
_YEARS = (2, 9998)  # a zone's rules are looked up one year at a time, with a day to spare on both sides


def fixed_zone(offset: int) -> str:
    """The name of a constant offset of `offset` microseconds east of Greenwich: "UTC", "+01:00"."""
    minutes = abs(offset) // (60 * SECOND)
    return f"{'+' if offset > 0 else '-'}{minutes // 60:02d}:{minutes % 60:02d}" if minutes else "UTC"


def check_zone(zone: str) -> str:
    """`zone` as it is stored. UsageError, with the nearest name, where there is no such zone."""
    match = _FIXED.fullmatch(zone)
    if match or zone in ("UTC", "Z"):
        return fixed_zone(_fixed_offset(zone))
    try:
        _tz(zone)
    except (ValueError, OSError, KeyError):  # ZoneInfoNotFoundError is a KeyError; bad names raise the others
        from zoneinfo import available_timezones

        known = tuple(sorted(available_timezones()))
        hint = nearest(zone, known)
        raise UsageError(
            f"zone '{zone}' is not known.", hint if hint.startswith("Did") else "Expected e.g. Europe/Berlin or +01:00."
        ) from None
    return zone


def wall_clock(instants: IntArray, zone: str | None) -> IntArray:
    """Microseconds on the wall clock of `zone`, same shape, for UTC instants; unchanged where `zone` is None."""
    return instants if zone is None else instants + _offsets_at(instants, zone)


def days_on_clock(instants: IntArray, zone: str | None) -> IntArray:
    """Days since 1970 on the wall clock of `zone`, same shape, for UTC instants."""
    return np.asarray(wall_clock(instants, zone) // DAY)


def weekday_of(days: IntArray) -> IntArray:
    """[...] the weekday, Monday = 0, of days since 1970."""
    return (days + 3) % 7  # the first of January 1970 was a Thursday


def instants_of(wall: IntArray, zone: str | None) -> IntArray:
    """UTC instants, same shape, for the wall clock of `zone`; unchanged where `zone` is None.

    A time that the clock shows twice is the first of the two; one that it skips is as much later as the clock jumps.
    """
    if zone is None:
        return wall
    first, second, _ = resolve_wall_clock(wall, zone)
    return np.minimum(first, second)


def resolve_wall_clock(wall: IntArray, zone: str) -> tuple[IntArray, IntArray, BoolArray]:
    """Both UTC instants at which `zone` shows `wall` (equal but for repeated hours), and where it never does."""
    before = wall - _offsets_at(wall - DAY, zone)  # as if no change came since the day before
    after = wall - _offsets_at(wall + DAY, zone)
    fits_before = wall_clock(before, zone) == wall
    fits_after = wall_clock(after, zone) == wall
    missing = ~(fits_before | fits_after)
    first = np.where(fits_before | missing, before, after)
    second = np.where(fits_after, after, first)
    return np.minimum(first, second), np.maximum(first, second), missing


def offset_texts(instants: IntArray, zone: str) -> tuple[IntArray, list[str]]:
    """Offsets as written after a stamp: index per instant, and the distinct texts ("+00:00", "+02:00")."""
    distinct, index = np.unique(_offsets_at(instants, zone), return_inverse=True)
    texts = [fixed_zone(int(offset)).replace("UTC", "+00:00") for offset in distinct]
    return index.reshape(instants.shape).astype(np.int64), texts


def _fixed_offset(zone: str) -> int:
    match = _FIXED.fullmatch(zone)
    if match is None:
        return 0
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return (minutes if match[1] == "+" else -minutes) * 60 * SECOND


@lru_cache(maxsize=16)
def _tz(zone: str) -> tzinfo:
    from zoneinfo import ZoneInfo

    return ZoneInfo(zone)


def _offsets_at(instants: IntArray, zone: str) -> IntArray:
    """Microseconds east of Greenwich at UTC `instants`, same shape."""
    if zone == "UTC" or _FIXED.fullmatch(zone):
        return np.full(instants.shape, _fixed_offset(zone), dtype=np.int64)
    if instants.size == 0:
        return np.zeros(instants.shape, dtype=np.int64)
    limits = np.array([instants.min(), instants.max()], dtype="M8[us]").astype("M8[Y]").astype(np.int64) + 1970
    if limits[0] < _YEARS[0] or limits[1] > _YEARS[1]:
        far = int(limits[0] if limits[0] < _YEARS[0] else limits[1])
        raise DataError(f"timestamps reach the year {far}, for which zone {zone} has no rules.", "Check them.")
    years: Sequence[int] = range(int(limits[0]), int(limits[1]) + 1)
    if len(years) > _MAX_SPAN_YEARS:  # a wrong stamp among them: rules of thousands of years take seconds
        years = np.unique(instants.astype("M8[us]").astype("M8[Y]").astype(np.int64) + 1970).tolist()
    tables = [_year(zone, year) for year in years]
    starts = np.concatenate([table[0] for table in tables])
    offsets = np.concatenate([table[1] for table in tables])
    found: IntArray = offsets[np.searchsorted(starts, instants, side="right") - 1]
    return found


@lru_cache(maxsize=4096)
def _year(zone: str, year: int) -> tuple[IntArray, IntArray]:
    """Instants from which an offset holds within a UTC year, the year's start first, and these offsets."""
    tz, epoch = _tz(zone), datetime(1970, 1, 1, tzinfo=timezone.utc)

    def offset(second: int) -> int:
        moment = (epoch + timedelta(seconds=second)).astimezone(tz).utcoffset() or timedelta()
        return moment // timedelta(microseconds=1)

    first = (datetime(year, 1, 1, tzinfo=timezone.utc) - epoch) // timedelta(seconds=1)
    last = (datetime(year + 1, 1, 1, tzinfo=timezone.utc) - epoch) // timedelta(seconds=1)
    starts, offsets = [first], [offset(first)]
    # No zone changes its clock twice within three days, so looking every third day sees each change.
    for high in (*range(first + 3 * 86_400, last, 3 * 86_400), last - 1):
        if offset(high) == offsets[-1]:
            continue
        low = max(starts[-1], high - 3 * 86_400)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == offsets[-1] else (low, middle)
        starts.append(high)
        offsets.append(offset(high))
    return np.array(starts, dtype=np.int64) * SECOND, np.array(offsets, dtype=np.int64)
