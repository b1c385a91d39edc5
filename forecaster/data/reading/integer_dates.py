"""Whole numbers that are dates: 201001, 2024031, 01012019, 1704067200 → microseconds since 1970, in NumPy alone.

A number may be read in several ways, or be the number of a step. `integer_date_form` compares how regular each reading makes the
column: of 201001 … 201912 as months no step is missing, and as numbers of steps nearly nine of ten are.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.datetime_text import YEARS
from forecaster.data.reading.frequency import regularity
from forecaster.data.time_zones import DAY, SECOND, weekday_of

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray, IntArray

_MIN_VALID = 0.8  # of the numbers that must be dates; the rest are faults
_CLEARLY = 1.5  # times as regular as another reading
_USUAL = tuple(np.array(["1950", "2060"], "M8[us]").astype(np.int64).tolist())  # dates of most data
LONG_DATE = 6  # digits of dates that numbers of steps seldom look like
_UNLIKELY = 0.4  # factor for a reading that is rare, but not impossible

_DIGITS = {"Y": 4, "G": 4, "y": 2, "m": 2, "d": 2, "H": 2, "M": 2, "S": 2, "j": 3, "V": 2, "q": 1}

# Forms of digits alone, the usual ones first. `%q` is the quarter, `%G%V` the ISO week.
DIGITS = (
    "%Y", "%y%m", "%Y%q", "%Y%m", "%G%V", "%y%m%d", "%m%Y", "%d%m%y", "%m%d%y", "%Y%j", "%Y%m%d", "%d%m%Y", "%m%d%Y", "%Y%m%d%H",
    "%y%m%d%H%M", "%Y%m%d%H%M", "%d%m%Y%H%M", "%Y%m%d%H%M%S",
)  # fmt: skip
# Counts of a unit since a day: name → microseconds in a unit, days of the epoch since 1970, and the usual range.
COUNTS = {
    "excel": (DAY, -25_569, (20_000, 80_000)),
    "unix-s": (SECOND, 0, (5e8, 5e9)),
    "unix-ms": (1000, 0, (5e11, 5e12)),
    "unix-us": (1, 0, (5e14, 5e15)),
    "unix-ns": (0, 0, (5e17, 5e18)),
}
FORMS = (*DIGITS, *COUNTS)
STEPS = "steps"  # the form of numbers that are no dates
STEP_NAMES = ("step", "steps", "t", "index", "idx", "i", "n", "k", "period")  # columns whose numbers are those of steps
_UNITS = {
    "year": ("%Y",), "quarter": ("%Y%q",), "qtr": ("%Y%q",), "month": ("%Y%m", "%m%Y", "%y%m"), "week": ("%G%V",),
    "wk": ("%G%V",), "day": ("%Y%j",),
}  # fmt: skip
DATE_NAMES = re.compile(
    r"date|time|day|month|mon|week|wk|quarter|qtr|year|yr|period|stamp|epoch|unix|\bds\b|yyyy|hour", re.IGNORECASE
)


@dataclass(frozen=True)
class IntegerDateForm:
    """How a column of whole numbers is read."""

    form: str  # a row of FORMS, or STEPS
    also: tuple[str, ...] = ()  # other forms that fit as well; only their reader can know which

    @property
    def is_date(self) -> bool:
        """Whether the numbers are dates."""
        return self.form != STEPS


def may_be_dates(low: int, high: int) -> bool:
    """Whether whole numbers from `low` to `high` need a closer look: quick, and seldom wrong."""
    return (
        (low >= 1000 and any(valid.all() for _, valid in (by_digits(np.array([low, high]), form) for form in DIGITS)))
        or (any(first <= low and high <= last for _, _, (first, last) in COUNTS.values()))
        or (low > 99_999 and 10 * low > high)
    )


def integer_date_form(numbers: IntArray, name: str, widths: IntArray | None = None) -> IntegerDateForm:
    """How the whole numbers of column `name`, in the order of the file, are read.

    `widths` are the digits of each, with leading zeros.
    """
    values, first = np.unique(numbers, return_index=True)
    widths = _widths(values) if widths is None else widths[first]
    if values[0] < 0:
        return IntegerDateForm(STEPS)
    scores = {form: score for form in FORMS if (score := _score(values, widths, form, name)) > 0}
    if not scores:
        return IntegerDateForm(STEPS)
    steps = regularity(values, whole_numbers=True)
    in_turn = numbers[np.sort(first)]
    fit = {form: score * (1.0 if _is_in_order(in_turn, form) else _UNLIKELY) for form, score in scores.items()}
    best = max(fit, key=lambda form: (fit[form], _named(form, name), -FORMS.index(form)))
    if best in COUNTS:
        return IntegerDateForm(best if _counts_time(values, best, name, steps, scores[best]) else STEPS)
    counted = len(values) > 1 and int(np.gcd.reduce(np.diff(values))) == 1
    # Steps unless these have gaps. Those of a column called `period` do not happen to begin at 201901, a date of all digits.
    odd = (counted and best != "%Y" and best[-1] in "Yy") or (_is_step(name) and _size(best) < LONG_DATE)
    if (
        steps > scores[best] * _CLEARLY
        or (odd and steps * _CLEARLY > scores[best])
        or (_is_step(name) and best == "%Y")
    ):
        return IntegerDateForm(STEPS)
    rivals = [form for form in fit if form != best and fit[form] * _CLEARLY > fit[best] and form in DIGITS]
    rivals = [form for form in rivals if _named(form, name) >= _named(best, name) and _as_well(values, form, best)]
    return IntegerDateForm(best, tuple(rivals) if best != "%Y" else ())


def _is_in_order(values: IntArray, form: str) -> bool:
    """Whether the dates of `values` come in ascending or descending order."""
    moves = np.diff(by_count(values, form) if form in COUNTS else by_digits(values, form)[0])
    return bool((moves > 0).all() or (moves < 0).all())


def _score(values: IntArray, widths: IntArray, form: str, name: str) -> float:
    """How regular and likely distinct numbers of column `name` are as dates of this form; 0 where they are no such dates."""
    if form in COUNTS:
        low, high = COUNTS[form][2]
        if values[0] < low or values[-1] > high:
            return 0.0
        dates = by_count(values, form)
        return regularity(dates) * (_UNLIKELY if form != "excel" and (dates % (60 * SECOND)).any() else 1.0)
    size = _size(form)
    short = _DIGITS[form[1]] == 2  # the zero before its first part may have been lost
    dates, valid = by_digits(values, form)
    valid &= (widths == size) | ((widths == size - 1) & short)
    share = float(np.mean(valid))
    if share < _MIN_VALID:
        return 0.0
    dates = np.unique(dates[valid])
    months = dates.astype("M8[us]").astype("M8[M]").astype(np.int64)
    usual = dates[0] >= _USUAL[0] and dates[-1] <= _USUAL[1]
    unlikely = not usual and not (form == "%Y" and _named(form, name))  # a column that is named so may have old years
    unlikely |= (
        len(dates) > 1
        and form[1:] not in ("Y", "G")
        and bool((np.diff(months) % 12 == 0).all() and months[0] < months[-1])
    )
    unlikely |= form == "%y%m%d%H%M" and bool(by_digits(values, "%Y%m%d%H")[1].all())  # 19 and 20 are the century
    unlikely |= form == "%m%d%y" and bool(np.isin(values // 100 % 100, (19, 20)).all())  # the century of %m%Y
    return regularity(dates) * share**2 * (_UNLIKELY if unlikely else 1.0)


def _counts_time(values: IntArray, form: str, name: str, steps: float, score: float) -> bool:
    """Whether numbers in the usual range of a count since an epoch are one, rather than numbers of steps."""
    if form == "excel":
        return bool(score > _CLEARLY * steps or (DATE_NAMES.search(name) and not _is_step(name)))
    apart = np.diff(values)
    minute = 60 * SECOND // max(COUNTS[form][0], 1) if form != "unix-ns" else 60 * SECOND * 1000
    return not _is_step(name) or bool(len(apart) and (apart % minute == 0).all())


def _as_well(values: IntArray, form: str, best: str) -> bool:
    """Whether `form` reads as many numbers as `best` does, as other dates."""
    (dates, valid), (others, also) = by_digits(values, form), by_digits(values, best)
    return bool(np.count_nonzero(valid) >= np.count_nonzero(also)) and not np.array_equal(dates, others)


def _size(form: str) -> int:
    """The digits of a form."""
    return sum(_DIGITS[letter] for letter in form[1::2])


def _is_step(name: str) -> bool:
    return name.lower() in STEP_NAMES


def _named(form: str, name: str) -> bool:
    """Whether the name of a column says that its numbers have this form."""
    return any(unit in name.lower() and form in forms for unit, forms in _UNITS.items())


def _widths(values: IntArray) -> IntArray:
    edges = 10 ** np.arange(1, 19, dtype=np.int64)
    return np.asarray(np.searchsorted(edges, values, side="right") + 1, dtype=np.int64)


def by_count(values: IntArray | FloatArray, form: str) -> IntArray:
    """Microseconds since 1970 of counts since an epoch, same shape."""
    unit, epoch, _ = COUNTS[form]
    if not unit:
        return np.asarray(values, dtype=np.int64) // 1000
    whole = np.floor(values).astype(np.int64)
    part = np.round((values - whole) * unit / SECOND).astype(np.int64) * SECOND if unit == DAY else 0
    result: IntArray = whole * unit + part + epoch * DAY
    return result


def by_digits(values: IntArray, form: str) -> tuple[IntArray, BoolArray]:
    """Microseconds since 1970 of numbers whose digits have this form, and which of them are such dates."""
    parts: dict[str, IntArray] = {}
    rest = values
    for letter in form[:0:-2]:  # the last part first
        size = 10 ** _DIGITS[letter]
        parts[letter] = rest % size
        rest = rest // size
    valid = (rest == 0) & (values >= 0)
    year = parts.get("Y", parts.get("G"))
    if year is None:
        year = parts["y"] + np.where(parts["y"] < 69, 2000, 1900)  # as strptime
    valid &= (year >= YEARS[0]) & (year <= YEARS[1])
    days, right = _days(np.where(valid, year, 2000), parts)
    hour, minute, second = (parts.get(letter, np.zeros_like(values)) for letter in "HMS")
    midnight = (hour == 24) & (minute == 0) & (second == 0)
    valid &= right & ((hour < 24) | midnight) & (minute < 60) & (second < 60)
    return days * DAY + (3600 * hour + 60 * minute + second) * SECOND, valid


def _days(year: IntArray, parts: dict[str, IntArray]) -> tuple[IntArray, BoolArray]:
    """Days since 1970, and whether there is such a day."""
    begin = _day_of(12 * (year - 1970))
    if "V" in parts:
        return week_start(year, parts["V"])
    if "j" in parts:
        day = parts["j"]
        return begin + day - 1, (day >= 1) & (day <= _day_of(12 * (year - 1969)) - begin)
    if "q" in parts:
        quarter = parts["q"]
        return _day_of(12 * (year - 1970) + 3 * (quarter - 1)), (quarter >= 1) & (quarter <= 4)
    month, day = parts.get("m", np.ones_like(year)), parts.get("d", np.ones_like(year))
    right = (month >= 1) & (month <= 12)
    months = 12 * (year - 1970) + np.where(right, month, 1) - 1
    first = _day_of(months)
    return first + day - 1, right & (day >= 1) & (day <= _day_of(months + 1) - first)


def week_start(year: IntArray, week: IntArray) -> tuple[IntArray, BoolArray]:
    """Days since 1970 of the Monday of ISO weeks, and whether the year has such a week."""
    first, following = (_first_monday(12 * (each - 1970)) for each in (year, year + 1))
    monday = first + 7 * (week - 1)
    return monday, (week >= 1) & (monday < following)


def _first_monday(months: IntArray) -> IntArray:
    fourth = _day_of(months) + 3  # 4 January is in week 1
    return np.asarray(fourth - weekday_of(fourth))


def _day_of(months: IntArray) -> IntArray:
    """Days since 1970 of the first day of months since 1970."""
    return np.asarray(months).astype("M8[M]").astype("M8[D]").astype(np.int64)
