"""A column of whole numbers as timestamps: dates as in `integer_dates.py`, or numbers of steps."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.reading.centuries import right_century
from forecaster.data.reading.decimal_dates import decimal_dates
from forecaster.data.reading.integer_dates import (
    COUNTS,
    STEP_NAMES,
    STEPS,
    IntegerDateForm,
    by_count,
    by_digits,
    integer_date_form,
    may_be_dates,
)
from forecaster.data.reading.parsed_timestamps import (
    Origin,
    ParsedTimestamps,
    first_rows,
    form_note,
    of_form,
    refuse,
    stripped,
)
from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, IntArray

WHOLE = re.compile(r"[+-]?\d+(\.0*)?")


def _digits(text: str, number: float) -> str:
    """The text of a whole number without decimals; of one as `1e3` or `1_000`, that of its value."""
    return text.split(".")[0] if WHOLE.fullmatch(text) else str(int(number))


def whole_numbers(texts: Any, origin: Origin) -> ParsedTimestamps | None:
    """Numbers of steps, or dates written as whole numbers; None where at least half of the texts are no whole numbers.

    RowsError where fewer texts are not whole numbers.
    """
    try:
        numbers = np.array(texts, dtype=object).astype(np.float64)
    except ValueError:
        numbers = np.array([float(text) if WHOLE.fullmatch(text) else np.nan for text in stripped(texts)])
    with np.errstate(invalid="ignore"):
        large = np.abs(numbers) >= (2**53 if not _all_long(texts) else 2**63)
        bad = np.flatnonzero(~np.isfinite(numbers) | large | (numbers % 1 != 0)).tolist()
    if 2 * len(bad) >= len(texts):
        return None
    good = np.setdiff1d(np.arange(len(texts)), bad)
    digits = [_digits(str(texts[i]).strip(), float(numbers[i])) for i in good]
    whole = np.array([int(text) for text in digits], dtype=np.int64)
    widths = np.array([len(text.lstrip("+-")) for text in digits], dtype=np.int64)
    earliest = np.argsort(first_rows(origin)[good], kind="stable")
    form = integer_date_form(whole[earliest], origin.name, widths[earliest])
    iso_form = form.form in ("%Y", "%Y%m%d")
    if bad:
        if (read := decimal_dates(stripped(texts))) is not None:
            return of_form(read.values, read.valid, read.form, texts, origin)
        if iso_form or all(len(text) == 4 for text in digits):
            return None
        if not form.is_date:
            hint = "Write all timestamps as whole numbers below 9,007,199,254,740,992, or all as dates."
            refuse(bad, texts, origin, "is not a whole number as the others are.", hint)
    if not form.is_date:
        if (np.abs(numbers) >= 2**53).any():
            bad = np.flatnonzero(np.abs(numbers) >= 2**53).tolist()
            refuse(bad, texts, origin, "is too large for the number of a step.", "Count steps from 1.")
        note = disguise_note(int(whole.min()), int(whole.max()), origin.name)
        return ParsedTimestamps(whole, None, whole_numbers=True, note=note)
    _refuse_ambiguous(form, origin)
    every = np.zeros(len(texts), dtype=np.int64)
    every[good] = whole
    stamps = _of_integer_date_form(every, np.isin(np.arange(len(texts)), good), form.form, texts, origin)
    return replace(stamps, note="", form=None) if iso_form else stamps  # of ISO 8601 nothing is to be said


def _refuse_ambiguous(form: IntegerDateForm, origin: Origin) -> None:
    """DataError where numbers fit several forms."""
    if not form.also:
        return
    index, place = origin.first(range(len(origin.column.texts)))
    forms = " or ".join((form.form, *form.also))
    raise DataError(
        f"{place}: timestamp '{origin.column.texts[index]}' (column {origin.name}) is ambiguous: all rows fit {forms}.",
        f"Say which: --timestamp-format {form.form} or another; or --timestamp-format {STEPS}.",
    )


def _all_long(texts: Any) -> bool:
    """Whether texts are as long as nanoseconds since 1970."""
    return len(str(texts[0]).strip()) >= 18


def by_integer_date_form(texts: Any, origin: Origin, form: str) -> ParsedTimestamps:
    """The timestamps of whole numbers, or of Excel's days and parts of them, by a form as in `integer_dates.py`."""
    found = stripped(texts)
    if form == "excel":
        good = np.array([re.fullmatch(r"\d+(\.\d*)?", text) is not None for text in found])
        days = np.array([float(text) if right else 0.0 for text, right in zip(found, good, strict=True)])
        return of_form(by_count(days, form), good & (days < 2_958_466), form, texts, origin)  # up to the year 9999
    good = np.array([WHOLE.fullmatch(text) is not None and len(text) < 20 for text in found])
    numbers = np.array([int(text.split(".")[0]) if right else 0 for text, right in zip(found, good, strict=True)])
    if form == STEPS:
        if not good.all():
            refuse(np.flatnonzero(~good).tolist(), texts, origin)
        return ParsedTimestamps(numbers, None, whole_numbers=True, form=form)
    return replace(_of_integer_date_form(numbers, good, form, texts, origin), note="")


def _of_integer_date_form(
    numbers: IntArray, good: BoolArray, form: str, texts: Any, origin: Origin
) -> ParsedTimestamps:
    if form in COUNTS:
        stamps = of_form(by_count(numbers, form), good, form, texts, origin)
        return stamps if form == "excel" else replace(stamps, zone="UTC")
    values, valid = by_digits(numbers, form)
    return of_form(values, valid & good, form, texts, origin)


def read_steps(steps: IntArray, column: str) -> ParsedTimestamps | None:
    """The timestamps [R] of whole numbers without leading zeros; None where a closer look at the file is needed."""
    low, high = int(steps.min()), int(steps.max())
    if not may_be_dates(low, high):
        return ParsedTimestamps(steps, None, whole_numbers=True)
    form = integer_date_form(steps, column)
    if form.also:
        return None
    if not form.is_date:
        return ParsedTimestamps(steps, None, whole_numbers=True, note=disguise_note(low, high, column))
    if form.form in COUNTS:
        values, valid = by_count(steps, form.form), np.ones(len(steps), dtype=bool)
    else:
        values, valid = by_digits(steps, form.form)
    if not valid.all() or ("%y" in form.form and right_century(values, [""] * len(values)) is not values):
        return None
    zone = "UTC" if form.form in COUNTS and form.form != "excel" else None
    if form.form in ("%Y", "%Y%m%d"):
        return ParsedTimestamps(values, zone)
    return ParsedTimestamps(values, zone, note=form_note(str(steps[0]), int(values[0]), form.form), form=form.form)


def disguise_note(low: int, high: int, column: str) -> str:
    """A note where numbers of steps may be Excel's days, unless the column's name is one for steps."""
    first, last = COUNTS["excel"][2]
    if not (first <= low and high <= last) or column.lower() in STEP_NAMES:
        return ""
    return (
        f"timestamps such as '{low}' are read as numbers of steps; Excel's days are read with --timestamp-format excel."
    )
