"""Timestamps as text → microseconds since 1970 or whole numbers, and times on a zone's clock → UTC instants.

pandas parses most columns. Our own parser stays for what pandas does not read, or reads differently: quarters, years before
1677 (pandas 2), `now` and `today`, several offsets, and days and months whose order only all rows together show.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from forecaster.data.freq import timestamp_text
from forecaster.data.reading.datetime_text import (
    ISO,
    OTHER,
    YEARS,
    Parse,
    by_format,
    iso,
    looks_like_day_number,
    offset_of,
    other_form,
)
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.time_zones import fixed_zone, resolve_wall_clock
from forecaster.errors import DataError, quoted

if TYPE_CHECKING:
    from forecaster.data.reading.text_columns import TextColumn
    from forecaster.typing import IntArray

EXPECTED = "Expected ISO 8601, e.g. 2024-12-01."
_STEP_NAMES = ("step", "t", "index", "i", "n", "k", "period")  # columns whose 4-digit numbers are not years
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
_MAX_SAMPLE = 1000  # texts that are read as a sample of all
_DISGUISED = {"Excel's serial dates": (20_000, 80_000), "seconds since 1970": (5e8, 5e9), "milliseconds": (5e11, 5e12)}


@dataclass(frozen=True)
class Stamps:
    """Parsed timestamps. With a zone they are UTC instants, otherwise times on the wall clock, or whole numbers."""

    values: IntArray  # one per distinct text, or per row: microseconds since 1970, or whole numbers
    zone: str | None  # of the texts' offsets, or the one given
    whole_numbers: bool = False
    note: str = ""


@dataclass(frozen=True)
class Origin:
    """A column of timestamps as text, and the caller's options for it."""

    name: str  # of the column
    column: TextColumn
    place: Callable[[int], str]  # row → "sales.csv:17"
    zone: str | None = None  # the zone given by the caller
    format: str | None = None  # strptime pattern given by the caller

    def first(self, indices: Sequence[int]) -> tuple[int, str]:
        """The index of the text among `indices` that occurs first, and its place."""
        index, row = self.column.earliest(indices)
        return index, self.place(row)

    def error(
        self, indices: Sequence[int], found: Callable[[int], str], hint: str, what: str = "timestamp"
    ) -> RowsError:
        """The error about all rows that hold one of the texts at `indices`; `found` says what is wrong with one."""
        rows = self.column.rows(indices)
        codes = self.column.codes[rows]
        return RowsError(what, rows, self.place, lambda k: (found(int(codes[k])), hint), column=self.name)


def parse_stamps(origin: Origin) -> Stamps:
    """The distinct timestamps of a column. DataError at the first row whose text is not a timestamp."""
    texts = origin.column.texts  # a pandas Index of str
    if origin.format is not None:
        one = partial(by_format, pattern=origin.format)
        quick = _quick(texts, origin, one, origin.format)
        return quick or _from_parts([one(text) for text in texts], texts, origin)
    if _WHOLE.fullmatch(str(texts[0]).strip()):
        whole = _whole_numbers(texts, origin)
        if whole is not None:
            return whole
    return _quick(texts, origin, iso) or _exact(texts, origin)


def localize(wall: IntArray, index: IntArray, series: IntArray, zone: str, place: Callable[[int], str]) -> IntArray:
    """[R] UTC instants at which the clock of `zone` showed `wall[index]`, for rows in the order of the file.

    `wall` are distinct times in microseconds, `index` and `series` [R] say which time and series each row has. A time that
    the clock shows twice is the first of the two; where a series has it twice, its second row is the second (its first row,
    in a file whose latest rows come first). RowsError where the clock skipped a time.
    """
    first, second, missing = resolve_wall_clock(wall, zone)
    if missing.any():
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


def _whole_numbers(texts: Any, origin: Origin) -> Stamps | None:
    """Whole-number steps; None where all texts are years or compact dates, or at least half are not whole numbers.

    RowsError where fewer texts are not whole numbers.
    """
    try:
        numbers = np.array(texts, dtype=object).astype(np.float64)
    except ValueError:
        stripped = [str(text).strip() for text in texts]
        numbers = np.array([float(text) if _WHOLE.fullmatch(text) else np.nan for text in stripped])
    with np.errstate(invalid="ignore"):
        bad = np.flatnonzero(~np.isfinite(numbers) | (np.abs(numbers) >= 2**53) | (numbers % 1 != 0)).tolist()
    if bad:
        good = [str(text).strip() for text in texts[np.setdiff1d(np.arange(len(texts)), bad)][:_MAX_SAMPLE]]
        if 2 * len(bad) >= len(texts) or all(map(looks_like_day_number, good)):
            return None
        hint = "Write all timestamps as whole numbers below 9,007,199,254,740,992, or all as dates."
        _refuse(bad, texts, origin, "is not a whole number as the others are.", hint)
    low, high = numbers.min(), numbers.max()
    years = YEARS[0] <= low and high <= YEARS[1] and origin.name.lower() not in _STEP_NAMES
    dates = YEARS[0] * 10_000 <= low and high <= YEARS[1] * 10_000 + 1231
    if (years or dates) and all(looks_like_day_number(str(text).strip()) for text in texts):
        return None
    return Stamps(numbers.astype(np.int64), None, whole_numbers=True, note=disguise_note(low, high, origin.name))


def disguise_note(low: float, high: float, column: str) -> str:
    """A note where whole numbers look like dates in disguise, unless the column's name is one for steps."""
    likely = [what for what, (first, last) in _DISGUISED.items() if first <= low and high <= last]
    if not likely or column.lower() in _STEP_NAMES:
        return ""
    return f"timestamps such as '{low:.0f}' are read as step numbers; if they are {likely[0]}, write them as dates."


def _quick(texts: Any, origin: Origin, one: Parse, pattern: str = "ISO8601") -> Stamps | None:
    """Timestamps by pandas' own parser, where nearly all texts have one offset or none; else None.

    `one` parses the few texts that pandas cannot read: timestamps beyond its years, and faults.
    """
    found = _parsed(texts, pattern)
    if found is None:
        return None
    values, zone, unread = found
    if not len(unread):
        return Stamps(values, zone)
    parts = [one(str(text).strip()) for text in texts[unread]]
    bad = [int(i) for i, part in zip(unread, parts, strict=True) if part is None]
    if bad:
        _refuse(bad, texts, origin)
    offsets = {None if part is None or part[1] is None else fixed_zone(part[1]) for part in parts}
    if offsets != {zone}:
        return None
    values[unread] = [part[0] - (part[1] or 0) for part in parts if part is not None]
    return Stamps(values, zone)


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
        if match is None or offset_of(match["z"]) is None or not texts[read].str.endswith(match["z"]).all():
            return None
    offset = None if parsed.tz is None else (parsed[first].utcoffset() or timedelta()) // timedelta(microseconds=1)
    values = np.array(parsed.asi8 if parsed.unit == "us" else parsed.as_unit("us").asi8)
    return values, None if offset is None else fixed_zone(offset), np.flatnonzero(~read)


def _exact(texts: Any, origin: Origin) -> Stamps:
    """Every text by itself: slower, but it finds the faulty ones, and the other usual form that fits them all."""
    parts = [iso(str(text).strip()) for text in texts]
    bad = [i for i, part in enumerate(parts) if part is None]
    if bad:
        others = [OTHER.fullmatch(str(text).strip()) for text in texts]
        if 2 * sum(other is not None for other in others) > len(texts):
            return _by_convention(others, texts, origin)
    return _from_parts(parts, texts, origin)


def _by_convention(others: list[re.Match[str] | None], texts: Any, origin: Origin) -> Stamps:
    """Day first or month first, whichever fits all rows. DataError where both do or neither does."""
    tried = {
        "day first": [other_form(match, "a", "b") for match in others],
        "month first": [other_form(match, "b", "a") for match in others],
    }
    fitting = {name: parts for name, parts in tried.items() if None not in parts}
    if len(fitting) == 1 or len({tuple(map(str, parts)) for parts in fitting.values()}) == 1:
        name, parts = next(iter(fitting.items()))
        stamps = _from_parts(parts, texts, origin)
        index, _ = origin.first(range(len(texts)))
        return Stamps(stamps.values, stamps.zone, note=f"timestamps such as '{texts[index]}' are read {name}.")
    if fitting:
        index, place = origin.first(range(len(texts)))
        raise DataError(
            f"{place}: timestamp '{texts[index]}' is ambiguous: all rows fit both day first and month first.",
            "Say which: --timestamp-format %d/%m/%Y or --timestamp-format %m/%d/%Y.",
        )
    return _from_parts(min(tried.values(), key=lambda parts: parts.count(None)), texts, origin)


def _from_parts(parts: Sequence[tuple[int, int | None] | None], texts: Any, origin: Origin) -> Stamps:
    """Stamps from (microseconds on the wall clock, offset or None) per text. DataError on faults and mixtures."""
    bad = [i for i, part in enumerate(parts) if part is None]
    if bad:
        _refuse(bad, texts, origin)
    known = [part for part in parts if part is not None]
    offsets = {offset for _, offset in known}
    if offsets == {None}:
        return Stamps(np.array([wall for wall, _ in known], dtype=np.int64), None)
    if None in offsets:
        bare = [i for i, (_, offset) in enumerate(known) if offset is None]
        other, there = origin.first([i for i, (_, offset) in enumerate(known) if offset is not None])
        raise origin.error(
            bare,
            lambda i: (
                f"timestamp {quoted(texts[i])} has no offset from UTC, but {quoted(texts[other])} ({there}) has one."
            ),
            "Write all timestamps the same way.",
            "timestamp" if 2 * len(bare) < len(known) else "offset",
        )
    if len(offsets) > 1 and origin.zone is None:
        index, place = origin.first(range(len(known)))
        others = [i for i, (_, offset) in enumerate(known) if offset != known[index][1]]
        raise origin.error(
            others,
            lambda i: (
                f"timestamp {quoted(texts[i])} has another offset from UTC than {quoted(texts[index])} ({place})."
            ),
            "Give the zone whose clock changes, e.g. --zone Europe/Berlin.",
            "offset",
        )
    instants = np.array([wall - (offset or 0) for wall, offset in known], dtype=np.int64)
    return Stamps(instants, fixed_zone(known[0][1] or 0))


def _refuse(
    bad: Sequence[int], texts: Any, origin: Origin, why: str = "is not a date.", hint: str = EXPECTED
) -> NoReturn:
    blank = [i for i in bad if str(texts[i]).strip().lower() in ("", "nan", "nat", "na", "null", "none")]
    first, _ = origin.first(bad)
    if first in blank:
        raise origin.error(
            blank, lambda _: f"timestamp is missing (column {origin.name}).", "Give it, or delete the row."
        )
    wrong = sorted(set(bad) - set(blank))
    if origin.format is not None:
        why, hint = f"does not fit the format '{origin.format}'.", "Change the timestamp or the format."
    raise origin.error(wrong, lambda i: f"timestamp {quoted(texts[i])} {why}", hint)
