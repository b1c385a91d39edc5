"""Numbers with a point that are dates: 2010.02 as a year and a month, and 2010.0833 as a decimal year."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.datetime_text import YEARS
from forecaster.data.reading.frequency import regularity
from forecaster.data.time_zones import DAY

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray, IntArray

_DECIMAL = re.compile(r"(\d{4})(?:\.(\d*))?")
_MIN_REGULARITY = 0.5  # of a reading of decimal years, to be one
_ROUNDING = 0.06  # of a month, by which a decimal year may be short of its month
YEAR_MONTH, DECIMAL_YEAR = "year.month", "decimal-year"


@dataclass(frozen=True)
class DecimalDates:
    """How numbers with a point are read."""

    form: str  # YEAR_MONTH or DECIMAL_YEAR
    values: IntArray  # microseconds since 1970
    valid: BoolArray  # False: not such a date


def decimal_dates(texts: Sequence[str], form: str | None = None) -> DecimalDates | None:
    """The dates in texts such as "2010.02", by `form` or as they come out regular; None where they are no such dates."""
    matches = [_DECIMAL.fullmatch(text) for text in texts]
    valid = np.array([match is not None and YEARS[0] <= int(match[1]) <= YEARS[1] for match in matches], dtype=bool)
    fractions = [match[2] or "" if match else "" for match in matches]
    if not valid.any() or (form is None and not any(fractions)):
        return None
    year = np.array([int(match[1]) if match else 2000 for match in matches], dtype=np.int64)
    month = _months(fractions)
    if form != DECIMAL_YEAR and month is not None:
        right = valid & (month >= 1) & (month <= 12)
        values = _of_months(12 * (year - 1970) + np.where(right, month, 1) - 1)
        if form == YEAR_MONTH or (right.mean() >= 0.8 and regularity(np.unique(values[right])) >= _MIN_REGULARITY):
            return DecimalDates(YEAR_MONTH, values, right)
    if form == YEAR_MONTH:
        return DecimalDates(YEAR_MONTH, np.zeros(len(texts), dtype=np.int64), np.zeros(len(texts), dtype=bool))
    part = np.array([float(f"0.{fraction or 0}") for fraction in fractions])
    values, fits = _decimal_years(year, part, valid)
    return DecimalDates(DECIMAL_YEAR, values, valid) if fits or form == DECIMAL_YEAR else None


def _months(fractions: Sequence[str]) -> IntArray | None:
    """The digits after the point as months; None where they cannot be.

    Written as numbers, October has lost its zero: .01 … .09, .1, .11, .12. Otherwise .1 is January.
    """
    if any(len(digits) not in (1, 2) for digits in fractions):
        return None
    months = np.array([int(digits) for digits in fractions], dtype=np.int64)
    single = np.array([len(digits) == 1 for digits in fractions])
    if any(digits[0] == "0" and len(digits) == 2 for digits in fractions):
        return np.where(single, np.where(months == 1, 10, 0), months)
    return months


def _decimal_years(year: IntArray, part: FloatArray, valid: BoolArray) -> tuple[IntArray, bool]:
    """The beginnings of the months, else the days, and whether they come out regular, each a date of its own."""
    distinct = len(np.unique(year[valid] + part[valid]))
    months = _of_months(12 * (year - 1970) + np.floor(12 * part + _ROUNDING).astype(np.int64))
    begin = _of_months(12 * (year - 1970))
    days = (begin // DAY + np.round(part * (_of_months(12 * (year - 1969)) - begin) / DAY).astype(np.int64)) * DAY
    for values in (months, days):
        found = np.unique(values[valid])
        if len(found) == distinct and regularity(found) >= _MIN_REGULARITY:
            return values, True
    return days, False


def _of_months(months: IntArray) -> IntArray:
    return np.asarray(months).astype("M8[M]").astype("M8[us]").astype(np.int64)
