"""Timestamps as text → microseconds since 1970 or whole numbers, and times on a zone's clock → UTC instants.

pandas parses most columns. Our own parsers stay for what pandas does not read, or reads differently: quarters and weeks, years
before 1677 (pandas 2), `now` and `today`, several offsets, and forms that only all rows together show, such as day first.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.freq import timestamp_text
from forecaster.data.reading.centuries import right_century
from forecaster.data.reading.date_words import in_english
from forecaster.data.reading.datetime_text import ISO, OTHER, Parse, iso, offset_of, other_form, zone_of
from forecaster.data.reading.decimal_dates import decimal_dates
from forecaster.data.reading.frequency import regularity
from forecaster.data.reading.integer_dates import COUNTS, DIGITS, STEPS
from forecaster.data.reading.numeric_timestamps import WHOLE, by_integer_date_form, whole_numbers
from forecaster.data.reading.parsed_timestamps import (
    Origin,
    ParsedTimestamps,
    first_rows,
    from_parts,
    of_form,
    refuse,
    stripped,
)
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.reading.timestamp_formats import DAY_FIRST, FISCAL, MONTH_FIRST, ORDERS, YEAR_FIRST, by_format
from forecaster.data.reading.written_dates import FORMS, MONTH_YEAR, YEAR_MONTH, fiscal_quarter_pattern, fiscal_years
from forecaster.data.time_zones import DAY, fixed_zone, resolve_wall_clock
from forecaster.errors import DataError, quoted

if TYPE_CHECKING:
    from forecaster.data.reading.written_dates import Part, WrittenForm
    from forecaster.typing import IntArray

_DECIMAL = re.compile(r"\d{4}\.\d+")
_MAY_BE_FISCAL = re.compile(r"FY.*|\d{4}\s*[-/–]\s*\d{2}(?:\d\d)?", re.IGNORECASE)
_SAMPLE = 100  # texts that show the shape of all
_CLEARLY = 1.5  # times as regular as another reading
_NOT_IN_ORDER = 0.4  # factor for a reading whose dates go up and down


def parse_stamps(origin: Origin) -> ParsedTimestamps:
    """The distinct timestamps of a column. DataError at the first row whose text is not a timestamp."""
    found = _parse(origin)
    texts = origin.column.texts
    if found.whole_numbers or found.form in COUNTS or len(found.values) != len(texts):
        return found
    values = right_century(found.values, texts)
    if values is found.values:
        return found
    index, _ = origin.first(np.flatnonzero(values != found.values).tolist())
    year = timestamp_text(int(values[index]), None, whole_numbers=False)[:4]
    note = f"Years of two digits such as in '{texts[index]}' are read as {year}."
    return replace(found, values=values, note=f"{found.note} {note}".strip())


def _parse(origin: Origin) -> ParsedTimestamps:
    """As `parse_stamps`, with the years 1969 to 2068 for those of two digits."""
    if origin.format is None and origin.likely is not None:
        try:
            found = _parse(replace(origin, format=origin.likely, likely=None))
            if origin.likely in (DAY_FIRST, MONTH_FIRST):
                _refuse_turned(
                    origin.likely, _in_each_order(stripped(origin.column.texts)), origin.column.texts, origin
                )
            return found
        except DataError:
            return _parse(replace(origin, likely=None))
    texts = origin.column.texts  # a pandas Index of str
    if origin.format is not None:
        return _by_given_format(texts, origin, origin.format)
    if _mostly(WHOLE, texts):
        whole = whole_numbers(texts, origin)
        if whole is not None:
            return whole
    if _mostly(_DECIMAL, texts) and (read := decimal_dates(stripped(texts))) is not None:
        return of_form(read.values, read.valid, read.form, texts, origin)
    if (years := _fiscal(texts, origin)) is not None:
        return years
    return _quick(texts, origin, iso) or _exact(texts, origin)


def _mostly(shape: re.Pattern[str], texts: Any) -> bool:
    """Whether at least half of some of the texts have this shape, in whatever order they come."""
    some = [str(text).strip() for text in texts[:: max(len(texts) // _SAMPLE, 1)]]
    return 2 * sum(shape.fullmatch(text) is not None for text in some) >= len(some)


def localize(wall: IntArray, index: IntArray, series: IntArray, zone: str, place: Callable[[int], str]) -> IntArray:
    """[R] UTC instants at which the clock of `zone` showed `wall[index]`, for rows in the order of the file.

    `wall` are distinct times in microseconds, `index` and `series` [R] say which time and series each row has. A time that
    the clock shows twice is the first of the two; where a series has it twice, its second row is the second (its first row,
    in a file whose latest rows come first). A date whose midnight the clock skipped begins when it was set forward. RowsError
    where the clock skipped another time.
    """
    first, second, missing = resolve_wall_clock(wall, zone)
    if missing.any() and (wall % DAY).any():
        skipped = np.flatnonzero(missing[index])

        def describe(k: int) -> tuple[str, str]:
            text = timestamp_text(int(wall[index[skipped[k]]]), None, whole_numbers=False)
            found = f"timestamp '{text}' does not exist in {zone}: the clock was set forward over it."
            return found, "Check the zone, or mend the row."

        if len(skipped):
            raise RowsError("clock", skipped, place, describe)
    instants: IntArray = first[index]
    twice = (first != second)[index]
    if not twice.any():
        return instants
    together = series[1:] == series[:-1]
    moves = np.sign(np.diff(wall[index])[together])
    rows = np.flatnonzero(twice)
    if moves.sum() < 0:  # latest first
        rows = rows[::-1]
    seen: set[tuple[int, int]] = set()
    for row in rows.tolist():  # one or two hours a year
        key = (int(series[row]), int(wall[index[row]]))
        if key in seen:
            instants[row] = second[index[row]]
        seen.add(key)
    return instants


def _by_given_format(texts: Any, origin: Origin, form: str) -> ParsedTimestamps:
    """The timestamps by a format as in `timestamp_formats.py`. DataError where one does not fit."""
    if form in ORDERS:
        parts = [other_form(OTHER.fullmatch(text), ORDERS[form]) for text in stripped(texts)]
        return replace(from_parts(parts, texts, origin), form=form)
    if form == FISCAL:
        years = fiscal_years(stripped(texts))
        return replace(from_parts(years or [None] * len(texts), texts, origin), form=form)
    if form in (STEPS, *COUNTS, *DIGITS):
        return by_integer_date_form(texts, origin, form)
    if "%" not in form:
        read = decimal_dates(stripped(texts), form)
        valid = np.zeros(len(texts), dtype=bool) if read is None else read.valid
        return of_form(np.zeros(len(texts), np.int64) if read is None else read.values, valid, form, texts, origin)
    one = partial(by_format, pattern=form)
    quick = None if "%q" in form else _quick(texts, origin, one, form)
    return replace(quick or from_parts([one(text) for text in texts], texts, origin), form=form)


def _fiscal(texts: Any, origin: Origin) -> ParsedTimestamps | None:
    """Fiscal and school years such as 2000-01; None where texts are not all such years."""
    if not _mostly(_MAY_BE_FISCAL, texts):
        return None
    years = fiscal_years(stripped(texts))
    if years is None:
        return None
    index, _ = origin.first(range(len(texts)))
    how = f"read as years, by the year in which they begin (--timestamp-format {FISCAL})."
    note = f"timestamps such as '{texts[index]}' are {how}"
    return replace(from_parts(years, texts, origin), note=note, form=FISCAL)


def _quick(texts: Any, origin: Origin, one: Parse, pattern: str = "ISO8601") -> ParsedTimestamps | None:
    """Timestamps by pandas' own parser, where nearly all texts have one offset or none; else None.

    `one` parses the few texts that pandas cannot read: timestamps beyond its years, and faults.
    """
    found = _parsed(texts, pattern)
    if found is None:
        return None
    values, zone, unread = found
    if not len(unread):
        return ParsedTimestamps(values, zone)
    parts = [one(str(text).strip()) for text in texts[unread]]
    bad = [int(i) for i, part in zip(unread, parts, strict=True) if part is None]
    if bad:
        refuse(bad, texts, origin)
    offsets = {None if part is None or part[1] is None else fixed_zone(part[1]) for part in parts}
    if offsets != {zone}:
        return None
    values[unread] = [part[0] - (part[1] or 0) for part in parts if part is not None]
    return ParsedTimestamps(values, zone)


def _parsed(texts: Any, pattern: str) -> tuple[IntArray, str | None, IntArray] | None:
    """What pandas reads: values, their zone, and the indices of texts that it cannot read.

    None where it reads no more than half of the texts, or their offsets differ.
    """
    import pandas as pd

    if texts.isin(["now", "today"]).any():  # which pandas would take for timestamps
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about mixed offsets, which come back as objects
            parsed = pd.to_datetime(texts, format=pattern, errors="coerce")
    except (ValueError, OverflowError):  # out of bounds is a ValueError too
        return None
    if not isinstance(parsed, pd.DatetimeIndex):
        return None
    read = ~np.asarray(parsed.isna())
    if 2 * np.count_nonzero(read) <= len(read) or parsed.year.min() < 1 or parsed.year.max() > 9999:
        return None
    first = int(read.argmax())
    if parsed.tz is not None:  # pandas 2 also lets texts without an offset through
        match = ISO.fullmatch(str(texts[first]).strip())
        zone = None if match is None else zone_of(match)
        if zone is None or offset_of(zone) is None or not texts[read].str.endswith(zone).all():
            return None
    offset = None if parsed.tz is None else (parsed[first].utcoffset() or timedelta()) // timedelta(microseconds=1)
    values = np.array(parsed.asi8 if parsed.unit == "us" else parsed.as_unit("us").asi8)
    return values, None if offset is None else fixed_zone(offset), np.flatnonzero(~read)


def _exact(texts: Any, origin: Origin) -> ParsedTimestamps:
    """Every text by itself: slower, but it finds the faulty ones, and the other usual form that fits them all."""
    found = stripped(texts)
    parts = [iso(text) for text in found]
    if None not in parts:
        return from_parts(parts, texts, origin)
    others = [OTHER.fullmatch(text) for text in found]
    _refuse_two_ways(parts, others, texts, origin)
    if 2 * sum(other is not None for other in others) > len(found):
        return _by_convention(others, texts, origin)
    read = {form: [form.read(text) for text in found] for form in FORMS if form.read_any(found)}
    read = {form: those for form, those in read.items() if those.count(None) < parts.count(None)}
    if read:
        form = min(read, key=lambda form: read[form].count(None))
        index, _ = origin.first([i for i, part in enumerate(read[form]) if part is not None])
        note = f"timestamps such as '{found[index]}' are read as {form.name}."
        return replace(from_parts(read[form], texts, origin), note=note)
    if found and (pattern := fiscal_quarter_pattern(found[0])):
        raise DataError(
            f"{origin.first([0])[1]}: timestamp {quoted(found[0])} (column {origin.name}) is a quarter of a fiscal year, "
            "which may begin in any month.",
            f"To date it as a quarter of the calendar: --timestamp-format '{pattern}'; else write its first day.",
        )
    short = [form for form in (MONTH_YEAR, YEAR_MONTH) if form.shapes[0].fullmatch(in_english(found[0]))]
    return _month_and_digits(short[0], texts, origin) if short else from_parts(parts, texts, origin)


def _refuse_two_ways(parts: Sequence[Part], others: Sequence[re.Match[str] | None], texts: Any, origin: Origin) -> None:
    """DataError where some dates are written as 2024-12-01 and all others as 13/12/2024: it is not said how these are meant."""
    read = [part is not None for part in parts]
    if not any(read) or not all(one or other for one, other in zip(read, others, strict=True)):
        return
    one, _ = origin.first(np.flatnonzero(read).tolist())
    other, place = origin.first([i for i, there in enumerate(read) if not there])
    raise DataError(
        f"{place}: timestamp '{texts[other]}' (column {origin.name}) is written in another way than '{texts[one]}': "
        "a spreadsheet has read only some dates, and may have turned day and month around.",
        "Export all dates as 2024-12-01.",
    )


def _month_and_digits(form: WrittenForm, texts: Any, origin: Origin) -> ParsedTimestamps:
    """Texts such as Jan-10 and 10-Jan, if the two digits are years. DataError where they may be days of a month."""
    parts = [form.read(text) for text in stripped(texts)]
    if None in parts:
        return from_parts(parts, texts, origin)
    walls = right_century(np.array([part[0] for part in parts if part is not None], dtype=np.int64), texts)
    months = np.diff(np.sort(np.unique(walls)).astype("M8[us]").astype("M8[M]").astype(np.int64))
    if _in_order(walls, origin) and len(months) and months.min() < 12 and regularity(np.unique(walls)) > 0.5:
        note = f"timestamps such as '{texts[0]}' are read as {form.name} (--timestamp-format {form.pattern})."
        return replace(from_parts(parts, texts, origin), note=note, form=form.pattern)
    index, place = origin.first(range(len(texts)))
    raise DataError(
        f"{place}: timestamp '{texts[index]}' (column {origin.name}) has a month and either a year or a day.",
        f"If it is a year: --timestamp-format {form.pattern}; if it is a day, write the year, too.",
    )


def _in_order(walls: IntArray, origin: Origin) -> bool:
    """Whether the distinct times come in ascending or descending order in the file."""
    moves = np.diff(walls[np.argsort(first_rows(origin), kind="stable")])
    return bool((moves >= 0).all() or (moves <= 0).all())


def _by_convention(others: list[re.Match[str] | None], texts: Any, origin: Origin) -> ParsedTimestamps:
    """Day first, month first or year first, whichever fits all rows. DataError where several do or none does."""
    tried = {name: [other_form(match, order) for match in others] for name, order in ORDERS.items()}
    fitting = {name: parts for name, parts in tried.items() if None not in parts}
    if not fitting:
        if all(part is None for part in tried[YEAR_FIRST]):
            del tried[YEAR_FIRST]
        return from_parts(min(tried.values(), key=lambda parts: parts.count(None)), texts, origin)
    index, place = origin.first(range(len(texts)))
    likely = {name: _likeliness(parts, origin) for name, parts in fitting.items()}
    name = max(likely, key=lambda name: likely[name])
    rivals = [
        other
        for other in fitting
        if likely[other] * _CLEARLY > likely[name] and list(fitting[other]) != list(fitting[name])
    ]
    if rivals:
        names = [other.replace("-", " ") for other in fitting if other == name or other in rivals]
        both = "both " if len(names) == 2 else ""
        raise DataError(
            f"{place}: timestamp '{texts[index]}' is ambiguous: all rows fit {both}{' and '.join(names)}.",
            f"Say which: {' or '.join(f'--timestamp-format {each.replace(chr(32), chr(45))}' for each in names)}.",
        )
    _refuse_turned(name, tried, texts, origin)
    note = f"timestamps such as '{texts[index]}' are read {name.replace('-', ' ')}."
    return replace(from_parts(fitting[name], texts, origin), note=note, form=name)


def _in_each_order(texts: Sequence[str]) -> dict[str, list[Part]]:
    """Texts such as 1/2/2024 read in each order of day, month and year."""
    return {name: [other_form(OTHER.fullmatch(text), order) for text in texts] for name, order in ORDERS.items()}


def _refuse_turned(name: str, tried: Mapping[str, Sequence[Part]], texts: Any, origin: Origin) -> None:
    """DataError where dates are in order only if day and month change places wherever both are possible.

    A spreadsheet that expects the month first turns 03/02/2024 around and leaves 13/02/2024 as it is.
    """
    other = {DAY_FIRST: MONTH_FIRST, MONTH_FIRST: DAY_FIRST}.get(name, "")
    if other not in tried:
        return
    mixed = [one if two is None else two for one, two in zip(tried[name], tried[other], strict=True)]
    turned = [i for i, (one, two) in enumerate(zip(tried[name], mixed, strict=True)) if one != two]
    own, both = (np.array([part[0] for part in parts if part is not None], np.int64) for parts in (tried[name], mixed))
    if not turned or len(own) != len(both) or _in_order(own, origin) or not _in_order(both, origin):
        return
    index, place = origin.first(turned)
    used, unused = (one.replace("-", " ") for one in (name, other))
    raise DataError(
        f"{place}: timestamp '{texts[index]}' and {len(turned) - 1:,} more are in order only {unused}, the others only {used}: "
        "a spreadsheet has turned day and month of some around.",
        f"Export the dates as 2024-12-01; if they are right: --timestamp-format {name}.",
    )


def _likeliness(parts: Sequence[tuple[int, int | None] | None], origin: Origin) -> float:
    """How regular a reading makes the column, and whether the rows come in order."""
    walls = np.array([part[0] for part in parts if part is not None], dtype=np.int64)
    found = regularity(np.unique(walls))
    months = np.unique(walls).astype("M8[us]").astype("M8[M]").astype(np.int64)
    if len(months) > 2 and (np.diff(months) > 0).all() and (np.diff(months) % 12 == 0).all():
        found *= _NOT_IN_ORDER  # dates of full days, a year apart
    return found * (1.0 if _in_order(walls, origin) else _NOT_IN_ORDER)
