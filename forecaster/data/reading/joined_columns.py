"""Columns that say one thing together: several keys of a series, and a date in parts, such as year and month, or date and hour.

A role that several columns share is called by their names with commas between: "store,item", "year,month".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.reading.date_words import DATE_PARTS, in_english, without_accents
from forecaster.data.reading.datetime_text import YEARS, full_year
from forecaster.data.reading.integer_dates import week_start
from forecaster.data.reading.parsed_timestamps import Origin, ParsedTimestamps
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.reading.table import TableView
from forecaster.data.reading.text_columns import TextColumn
from forecaster.data.reading.timestamp_column import parse_stamps
from forecaster.data.reading.written_dates import MONTHS
from forecaster.data.time_zones import DAY, SECOND
from forecaster.errors import DataError, quoted

if TYPE_CHECKING:
    from forecaster.data.reading.table import RawTable
    from forecaster.typing import IntArray

_CLOCK = re.compile(
    r"(\d{1,2})[:.h](\d{2})(?::(\d{2})(?:\.(\d+))?)?\s*(?:([AaPp])\.?[Mm]\.?)?|(\d{1,2})\s*([AaPp])\.?[Mm]\.?"
)
_LIMITS = {
    "year": YEARS, "quarter": (1, 4), "month": (1, 12), "week": (1, 53), "day": (1, 31), "dayofyear": (1, 366), "hour": (0, 24),
    "minute": (0, 59), "second": (0, 59),
}  # fmt: skip
_MIN_SHARE = 0.8  # of texts that show what a column holds; the rest are faults to be reported by line
# Parts that make a timestamp, the finest last.
TIMES = (("time",), ("hour", "minute", "second"), ("hour", "minute"), ("hour",), ())
DATES = (
    ("date",),
    ("year", "month", "day"),
    ("year", "quarter"),
    ("year", "month"),
    ("year", "week"),
    ("year", "dayofyear"),
)  # where names do not say, the first whose limits fit


def joined_name(names: Sequence[str]) -> str:
    """The names of columns as one text, which `split_names` reads."""
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(names)
    return text.getvalue()


def split_names(text: str) -> tuple[str, ...]:
    """The names, or the parts of a key, in a text of `joined_name`."""
    return tuple(part.strip() for part in next(csv.reader([text], skipinitialspace=True), ()))


def parts_of(name: str, columns: Sequence[str]) -> tuple[str, ...]:
    """The columns that `name` stands for: itself where there is such a column, or where not all its parts are columns."""
    if name in columns or "," not in name:
        return (name,)
    parts = split_names(name)
    return parts if len(parts) > 1 and set(parts) <= set(columns) else (name,)


def part_kinds(column: str) -> tuple[str, ...]:
    """Which parts of a date the name of a column may stand for."""
    words = without_accents(re.sub(r"([a-z])([A-Z])", r"\1 \2", column))
    tokens = [token for token in re.split(r"[^a-z]+", words) if token]
    names = {*tokens, "".join(tokens)}
    return tuple(kind for kind, known in DATE_PARTS.items() if names & set(known.split()))


def holds_part(kind: str, texts: Sequence[str]) -> bool:
    """Whether the first texts of a column are such parts of dates."""
    return bool(texts) and sum(_part(kind, text) is not None for text in texts) >= _MIN_SHARE * len(texts)


def _part(kind: str, text: str) -> int | None:
    """A part of a date: a number, or microseconds since midnight for a time; None where it is none."""
    text = text.strip()
    if kind == "time":
        return time_of_day(text)
    if kind == "month" and (name := in_english(text)[:3].lower()) in MONTHS:
        return MONTHS.index(name) + 1
    digits = re.fullmatch(r"(?:[QqWwHh])?(\d{1,4})(?:\.0*)?", text)
    if digits is None:
        return None
    number = int(digits[1])
    if kind == "year" and len(digits[1]) == 2:
        return full_year(digits[1])
    low, high = _LIMITS[kind]
    return number if low <= number <= high else None


def time_of_day(text: str) -> int | None:
    """Microseconds since midnight of a text such as 7:30, 7h30 or 7 pm; None where it is no time."""
    match = _CLOCK.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = (int(match[i] or 0) for i in (1, 2, 3)) if match[6] is None else (int(match[6]), 0, 0)
    half = match[5] or match[7]
    if half:
        hour = hour % 12 + (12 if half in "Pp" else 0)
    if hour > 24 or minute > 59 or second > 59 or (hour == 24 and (minute or second)):
        return None
    part = int((match[4] or "0")[:6].ljust(6, "0"))
    return (3600 * hour + 60 * minute + second) * SECOND + part


@dataclass(frozen=True)
class JoinedTable(TableView):
    """A table in which names such as "store,item" and "year,month" are columns, too."""

    keys: str | None = None  # the name of joined keys
    date: str | None = None  # the name of a date in parts
    kinds: tuple[str, ...] = ()  # of these parts
    format: str | None = None  # of the part that is a date
    likely: str | None = None
    zone: str | None = None

    def load(self, texts: Sequence[str], numbers: Sequence[str], *, distinct: Sequence[str] = ()) -> None:
        """Parse these columns, joined ones by their parts."""
        parts = [part for name in texts for part in self._parts(name)]
        single = [name for name in distinct if name != self.date]
        parts += [part for name in distinct if name == self.date for part in self._parts(name)]
        self.base.load(tuple(dict.fromkeys(parts)), numbers, distinct=single)

    def text_column(self, column: str) -> TextColumn:
        """A whole column as text; the parts of joined ones are written as in a row of a CSV file."""
        if column not in (self.keys, self.date):
            return self.base.text_column(column)
        return joined([self.base.text_column(part) for part in self._parts(column)])

    def stamps(self, column: str) -> tuple[IntArray, ParsedTimestamps] | None:
        """[R] codes and timestamps: of a date in parts, or as in `base`."""
        if column != self.date:
            return self.base.stamps(column)
        stamps = self._dates()
        return np.arange(len(stamps.values)), stamps

    def _parts(self, name: str) -> tuple[str, ...]:
        return parts_of(name, self.base.columns)

    def _dates(self) -> ParsedTimestamps:
        """[R] the timestamps of a date in parts. RowsError on a part that is none, and where there is no such day."""
        names = dict(zip(self.kinds, self._parts(self.date or ""), strict=True))
        values = {kind: self._values(kind, name) for kind, name in names.items() if kind != "date"}
        form, zone, note = None, None, ""
        if "date" in names:
            day, found = self._days(names["date"])
            form, zone = found.form, found.zone
        else:
            day = self._days_of(values, names)
        time = sum(
            values[kind] * unit * SECOND
            for kind, unit in (("hour", 3600), ("minute", 60), ("second", 1))
            if kind in values
        ) + values.get("time", 0)
        if "hour" in values and values["hour"].max() == 24 and values["hour"].min() > 0:
            note = " Hours 1 to 24 are the times at which they end."
        how = " and ".join((", ".join(list(names.values())[:-1]), list(names.values())[-1]))
        return ParsedTimestamps(
            day + time, zone, note=f"timestamps are joined from the columns {how}.{note}", form=form
        )

    def _values(self, kind: str, name: str) -> IntArray:
        column = self.base.text_column(name)
        texts = [str(text) for text in column.texts]
        if kind == "hour" and all(re.fullmatch(r"\d{1,4}", text.strip()) for text in texts):
            numbers = [int(text) for text in texts]  # 100 … 2400 are hours and minutes
            if max(numbers) > 24 and all(number % 100 == 0 for number in numbers):
                texts = [str(number // 100) for number in numbers]
        parts = [_part("time", text) if kind == "hour" and ":" in text else _part(kind, text) for text in texts]
        if kind == "hour":
            parts = [
                part // (3600 * SECOND) if part is not None and ":" in text else part
                for part, text in zip(parts, texts, strict=True)
            ]
        bad = [i for i, part in enumerate(parts) if part is None]
        if bad:
            rows = column.rows(bad)
            codes = column.codes[rows]

            def describe(k: int) -> tuple[str, str]:
                text = texts[int(codes[k])]
                found = (
                    f"{quoted(text)} (column {name}) is no {kind}."
                    if text.strip()
                    else f"{kind} is missing (column {name})."
                )
                return found, "Mend it, or name the columns of the timestamp: --timestamp."

            raise RowsError("timestamp", rows, self.base.place, describe, column=name)
        return np.array([part or 0 for part in parts], dtype=np.int64)[column.codes]

    def _days(self, name: str) -> tuple[IntArray, ParsedTimestamps]:
        """[R] midnights of a column of dates, and how they were read."""
        typed = self.base.stamps(name)
        if typed is None or self.format is not None or (self.likely is not None and typed[1].form != self.likely):
            self.base.load([name], ())
            column = self.base.text_column(name)
            typed = (
                column.codes,
                parse_stamps(Origin(name, column, self.base.place, self.zone, self.format, self.likely)),
            )
        codes, stamps = typed
        values = stamps.values[codes]
        if (values % DAY).any() or stamps.whole_numbers:
            raise DataError(
                f"{self.name}: column '{name}' holds no days to which a time of day can be added.",
                "Name the columns of the timestamp: --timestamp COLUMN, or --timestamp DATE,TIME.",
            )
        return values, stamps

    def _days_of(self, values: dict[str, IntArray], names: dict[str, str]) -> IntArray:
        """[R] midnights of years, months and days, or of years and weeks, quarters or days of the year."""
        year = values["year"]
        begin = _day_of(12 * (year - 1970))
        if "week" in values:
            day, right = week_start(year, values["week"])
        elif "dayofyear" in values:
            day = begin + values["dayofyear"] - 1
            right = day < _day_of(12 * (year - 1969))
        else:
            month = values["month"] if "month" in values else 3 * values.get("quarter", np.ones_like(year)) - 2
            first = _day_of(12 * (year - 1970) + month - 1)
            day = first + values.get("day", np.ones_like(year)) - 1
            right = day < _day_of(12 * (year - 1970) + month)
        if not right.all():
            rows = np.flatnonzero(~right)
            last = list(names.values())[-1] if "day" not in names else names["day"]

            def describe(k: int) -> tuple[str, str]:
                found = ", ".join(f"{kind} {values[kind][rows[k]]}" for kind in names if kind in values)
                return f"there is no such day: {found}.", "Mend the row."

            raise RowsError("timestamp", rows, self.base.place, describe, column=last)
        return np.asarray(day * DAY)


def _day_of(months: Any) -> IntArray:
    return np.asarray(months).astype("M8[M]").astype("M8[D]").astype(np.int64)


def joined(columns: Sequence[TextColumn]) -> TextColumn:
    """Columns of texts as one: its texts are rows of a CSV file."""
    codes = columns[0].codes.astype(np.int64)
    for column in columns[1:]:
        codes = codes * max(len(column.texts), 1) + column.codes
        _, codes = np.unique(codes, return_inverse=True)
        codes = codes.reshape(-1)
    first = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    texts = [joined_name([str(column.texts[column.codes[row]]) for column in columns]) for row in first.tolist()]
    return TextColumn(codes, np.array(texts, dtype=object))


def with_joined(table: RawTable, series: str | None, timestamp: str, **how: Any) -> RawTable:
    """`table` with the joined columns that are called `series` and `timestamp`; itself where there are none."""
    keys = series if series is not None and len(parts_of(series, table.columns)) > 1 else None
    parts = parts_of(timestamp, table.columns)
    if keys is None and len(parts) == 1:
        return table
    if len(parts) == 1:
        return JoinedTable(table, keys=keys)
    kinds = kinds_of(parts, table.sample(), named=True)
    if kinds is None:  # what all rows hold decides
        table.load(parts, ())
        kinds = kinds_of(parts, {part: [str(text) for text in table.text_column(part).texts] for part in parts})
    if kinds is None:
        raise DataError(
            f"{table.name}: columns {', '.join(parts)} are not the parts of a date.",
            "Expected e.g. --timestamp year,month or --timestamp Date,Hour.",
        )
    return replace(JoinedTable(table, keys=keys, date=timestamp, kinds=kinds), **how)


def kinds_of(parts: Sequence[str], sample: dict[str, list[str]], *, named: bool = False) -> tuple[str, ...] | None:
    """Which part of a date each column holds, so that together they make a timestamp; None where they do not.

    Where columns are not `named` as parts, what they hold decides.
    """
    wanted = [(*date, *time) for date in DATES for time in TIMES]
    fitting = [kinds for kinds in wanted if len(kinds) == len(parts) > 1]
    for strict in (True,) if named else (True, False):
        for kinds in fitting:
            found = _assigned(kinds, parts, sample, strict=strict)
            if found is not None:
                return found
    return None


def _assigned(
    wanted: Sequence[str], parts: Sequence[str], sample: dict[str, list[str]], *, strict: bool
) -> tuple[str, ...] | None:
    """The kinds of `parts`, which are `wanted` in any order; None where one is not there."""
    left, kinds = list(wanted), []
    for part in parts:
        names = part_kinds(part)
        fits = [kind for kind in left if (kind in names or not strict) and may_hold(kind, sample[part])]
        if not fits:
            return None
        kinds.append(fits[0])
        left.remove(fits[0])
    return tuple(kinds)


def may_hold(kind: str, texts: Sequence[str]) -> bool:
    """Whether the texts of a column may be such parts of dates."""
    if kind == "date":
        return bool(texts) and sum(re.fullmatch(r"\d{1,4}", text) is not None for text in texts) < 0.5 * len(texts)
    if kind == "hour" and texts and all(re.fullmatch(r"\d{1,4}", text) and int(text) % 100 == 0 for text in texts):
        return max(map(int, texts)) <= 2400
    return holds_part(kind, texts) or (kind == "hour" and holds_part("time", texts))
