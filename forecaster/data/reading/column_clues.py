"""Which columns name a row, by their names, their first texts, and by what makes timestamps unique: a timestamp and keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.panel import Columns
from forecaster.data.reading.datetime_text import looks_like_stamp
from forecaster.data.reading.decimal_dates import decimal_dates
from forecaster.data.reading.integer_dates import DATE_NAMES, integer_date_form
from forecaster.data.reading.joined_columns import (
    DATES,
    TIMES,
    joined,
    joined_name,
    kinds_of,
    may_hold,
    part_kinds,
    parts_of,
)
from forecaster.data.reading.odd_years import hint_for
from forecaster.data.reading.parsed_timestamps import ZONE_HINT, how_to_read, other_format
from forecaster.data.reading.row_errors import NumbersError
from forecaster.data.reading.row_numbers import is_number, is_row_number, is_whole
from forecaster.data.reading.table import MIN_TIMES, RawTable, refuse_turned
from forecaster.data.reading.text_columns import NUMBER
from forecaster.data.reading.timestamp_formats import fits_format
from forecaster.data.reading.unlike_columns import names_things
from forecaster.data.reading.written_dates import looks_written
from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.typing import IntArray

PRESETS = (("series", "timestamp", "target"), ("unique_id", "ds", "y"), ("item_id", "timestamp", "target"))
_SERIES = ("series", "unique_id", "item_id")
TARGET = ("target", "y")
_TIMESTAMP = ("timestamp", "ds", "datetime", "date_time", "date", "time")
_STEP = (*_TIMESTAMP, "step", "t", "index", "period")  # names under which whole numbers are steps
_CALENDAR = re.compile(
    r"(is_?)?(week_?day|work(ing)?_?day|week_?end|dow|w_?day|day_?of_?week|week_?of_?year|day_?of_?year)", re.IGNORECASE
)
_MAX_PROBED = 20  # columns without a usual name whose numbers may be dates
_MAX_KEYS = 8  # columns that are tried as keys of series in pairs and triples
_MAX_STAMPS = 4  # columns, or parts together, that are tried as the timestamp
_MONTH_AND_YEAR = re.compile(r"(0?[1-9]|1[0-2])\.(1[6-9]|20|21)\d\d")
_MIN_SHARE = 0.8  # of sampled cells that shows what a column holds; the rest are faults to be reported by line
_MAX_REPEATS_LEFT = 0.05  # share of repeated timestamps that a series column may leave: duplicates, reported by line
_MIN_REPEATS = 0.1  # share of repeated timestamps that shows several series; fewer are duplicates
_MIN_RECURRING = 0.5  # the same, for a number to be perhaps a key where rows repeat with every column
_MIN_FILLED = 0.15  # share of all pairs of a number and a timestamp that must occur, for the number to be a key


@dataclass(frozen=True)
class _Keys:
    """The keys of the series with one column of timestamps."""

    name: str | None  # of the column, or of several together; None = no series
    left: float  # share of rows whose timestamp and keys an earlier row has
    repeats: float  # share of rows whose timestamp an earlier row has


@dataclass(frozen=True)
class Clues:
    """What roles are inferred from."""

    table: RawTable
    given: Columns
    sample: dict[str, list[str]]
    form: str | None = None  # of the timestamps, as in `timestamp_formats.py`
    aggregated: bool = False  # rows of one series and timestamp are joined

    def row_names(self) -> tuple[str, str | None]:
        """The names of the timestamp and of the series, None without series: as given, else those that tell rows apart.

        DataError where none is found.
        """
        known = self.given.timestamp or (self.preset[1] if self.preset is not None else None)
        stamps = [known] if known else self.stamps()
        if len(stamps) == 1:
            return stamps[0], self.given.series or self._keys_or_error(stamps[0])
        tried = {}
        for stamp in stamps[:_MAX_STAMPS]:
            tried[stamp] = self._keys(stamp)
            if tried[stamp].left <= _MAX_REPEATS_LEFT * tried[stamp].repeats:
                break
        best = min(tried, key=lambda stamp: tried[stamp].left)
        return best, self.given.series or self._keys_or_error(best)

    def stamps(self) -> list[str]:
        """Columns that may hold the timestamps, or parts of dates together, the likely ones first. DataError where none may."""
        free = self.free(self.given.series, self.given.target)
        dates = [c for c in free if self.form and self.share(c, partial(fits_format, form=self.form)) >= _MIN_SHARE]
        dates = dates or sorted((c for c in free if self.share(c, is_stamp) >= _MIN_SHARE), key=self.holds_numbers)
        found_dates = frozenset(dates)
        numbered = [c for c in free if c not in found_dates and DATE_NAMES.search(c)]
        numbered = [c for c in numbered if are_numbered_dates(c, self.sample[c])]
        steps = [c for c in free if c.lower() in _STEP and self.sample[c] and is_whole(self.sample[c])]
        ranked = [c for name in _STEP for c in (*dates, *numbered, *steps) if c.lower() == name]
        found = list(dict.fromkeys([*ranked, *dates, *self._joined_dates(free, [*dates, *numbered]), *numbered]))
        years = [c for c in found if c in numbered and "year" in part_kinds(c)]  # a year alone comes last
        found = [c for c in found if c not in years] + years
        if found:
            return found
        years = [c for c in self.table.columns if re.fullmatch("(1[5-9]|20)[0-9][0-9]", c)]
        if len(years) >= MIN_TIMES:
            refuse_turned(self.table.name, years)
        probed = [c for c in free[:_MAX_PROBED] if are_numbered_dates(c, self.sample[c])]
        if len(probed) == 1:
            return probed
        called = [c for c in free if c.lower() in _TIMESTAMP]
        called = called or [c for c in free if c.lower() in _STEP and self.holds_numbers(c)]
        if called:  # the parser finds the faults in its values, with their lines
            return called[:1]
        for column in free[:_MAX_PROBED]:
            if self.sample[column] and (form := other_format(self.sample[column])) is not None:
                raise DataError(
                    f"{self.table.name}: '{self.sample[column][0]}' (column {column}) may be a date.",
                    f"Say how it is written: --timestamp-format '{form}'.",
                )
        for column in free[:_MAX_PROBED]:
            if self.sample[column] and (hint := self._why_no_dates(column)):
                raise DataError(f"{self.table.name}: '{self.sample[column][0]}' (column {column}) may be a date.", hint)
        raise DataError(
            f"{self.table.name}: no column holds dates (columns: {listed(self.table.columns)}).",
            "Name it: --timestamp COLUMN; or give the form of its dates: --timestamp-format.",
        )

    def _why_no_dates(self, column: str) -> str:
        """What to do with a column that seems to hold dates which are not read; empty where it seems to hold none."""
        texts = self.sample[column]
        if DATE_NAMES.search(column):
            far = hint_for(texts[0])
            if far and all(hint_for(text) for text in texts):
                return far
        return ZONE_HINT if all(how_to_read(text) == ZONE_HINT for text in texts) else ""

    def _joined_dates(self, free: list[str], dates: list[str]) -> list[str]:
        """Columns that are a date in parts, such as year and month: those with the finest parts first."""
        kinds = {c: part_kinds(c) for c in free if self.sample[c]}
        dates = [c for c in dates if "year" not in kinds[c] or "date" in kinds[c]]
        found = []
        for date in DATES:
            for time in TIMES:
                wanted = (*date, *time)
                if len(wanted) < 2:
                    continue
                firsts = dates if date == ("date",) else [""]
                for first in firsts:
                    parts = [first] if first else []
                    for kind in wanted[len(parts) :]:
                        parts += [c for c in kinds if kind in kinds[c] and c not in parts][:1]
                    if len(parts) == len(wanted) and kinds_of(parts, self.sample, named=not first) is not None:
                        found.append(joined_name(parts))
        return sorted(found, key=lambda name: -len(parts_of(name, self.table.columns)))

    def _keys_or_error(self, timestamp: str) -> str | None:
        """The keys of the series. DataError where timestamps repeat, and no columns separate them."""
        free = self.free(timestamp, self.given.target)
        called = next((c for c in _SERIES if c in free), None)
        if called is not None:
            return called
        if len(parts_of(timestamp, self.table.columns)) == 1 and not self._candidates(timestamp):
            self._ask_whether_key(timestamp)
            return None  # known without reading the rows: that needs pandas, whose import takes longer than a forecast
        keys = self._keys(timestamp)
        if keys.name is None:
            self._ask_whether_key(timestamp)
        if not self.aggregated and keys.name is None and keys.repeats >= _MIN_REPEATS and self._candidates(timestamp):
            self._refuse_merged(timestamp)
            raise DataError(
                f"{self.table.name}: timestamps repeat (column '{timestamp}'), and no columns separate the series.",
                "Name them: --series COLUMN or --series A,B; another column of timestamps: --timestamp COLUMN; or join "
                "such rows: --aggregate sum, mean or last.",
            )
        return keys.name

    def _ask_whether_key(self, timestamp: str) -> None:
        """DataError where rows are joined, and a column of whole numbers may name series as well as be one to forecast."""
        targets = self.targets(None, timestamp)
        if not self.aggregated or self.given.target is not None or self.is_stored or len(targets) < 2:
            return
        stamps = self._codes(parts_of(timestamp, self.table.columns))
        if _repeats(stamps, np.zeros_like(stamps)) < _MIN_REPEATS * len(stamps):
            return
        names = (c for c in self._whole_numbers(timestamp) if c in targets)
        if (name := next((c for c in names if self._recurs(stamps, c)), None)) is not None:
            raise DataError(
                f"{self.table.name}: column '{name}' has whole numbers that recur at most timestamps: it may name series.",
                f"If it does: --series {name}; if all are to be forecast: --target '{joined_name(targets)}'.",
            )

    def _recurs(self, stamps: IntArray, name: str) -> bool:
        """Whether there are several numbers, and each occurs at most timestamps."""
        codes = self._codes((name,))
        count = int(codes.max()) + 1
        pairs = len(stamps) - _repeats(stamps, codes)
        return count > 1 and pairs >= _MIN_RECURRING * count * (int(stamps.max()) + 1)

    def _refuse_merged(self, timestamp: str) -> None:
        """DataError where a column names only the first row of each series, as merged cells do."""
        for name in self._candidates(timestamp):
            column = self.table.text_column(name)
            blank = np.array([not str(text).strip() for text in column.texts], dtype=bool)[column.codes]
            if name not in self.numeric and not blank[0] and blank.mean() > _MIN_SHARE:
                raise DataError(
                    f"{self.table.name}: column '{name}' is empty in {int(blank.sum()):,} of {len(blank):,} rows, and timestamps "
                    "repeat.",
                    "If it names the series of the rows below, as merged cells do, fill it in every row.",
                )

    def _candidates(self, timestamp: str) -> tuple[str, ...]:
        """Columns that may be keys of series: texts, then whole numbers that are no row numbers and no parts of dates."""
        free = [c for c in self.free(timestamp, self.given.target) if c not in TARGET]
        numeric = frozenset(self.numeric)  # of a wide table there are many
        texts = [c for c in free if c not in numeric and self.share(c, is_stamp) < _MIN_SHARE]
        texts = [c for c in texts if not self.is_part_of_date(c)]
        ids = self._whole_numbers(timestamp)
        if self.aggregated:  # rows repeat with every column, so only its name shows a key
            ids = [] if self.is_stored else [c for c in ids if names_things(c)]
        if len(ids) == 1 and not texts and self.given.target is None and not set(TARGET) & set(self.table.columns):
            taken = {*parts_of(timestamp, self.table.columns), *ids}
            others = [c for c in numeric - taken if c not in self._empty]
            ids = ids if others else []  # leave a column for the target
        return (*texts, *ids)

    def _whole_numbers(self, timestamp: str) -> list[str]:
        """Columns of whole numbers that are no row numbers and no parts of dates."""
        numeric = frozenset(self.numeric)
        free = [c for c in self.free(timestamp, self.given.target) if c not in TARGET and c in numeric]
        whole = [c for c in free if self.sample[c] and is_whole(self.sample[c])]
        return [c for c in whole if not is_row_number(c, self.sample[c]) and not self.is_part_of_date(c)]

    def _keys(self, timestamp: str) -> _Keys:
        """The fewest columns with which timestamps hardly repeat; else the one with which the fewest do."""
        parts, candidates = parts_of(timestamp, self.table.columns), self._candidates(timestamp)
        if len(parts) == 1 and not candidates and self.given.timestamp:
            return _Keys(None, 0.0, 0.0)
        self.table.load((*candidates, *parts) if len(parts) > 1 else (timestamp, *candidates), ())
        stamps = self._codes(parts)
        repeats, rows = _repeats(stamps, np.zeros_like(stamps)), max(len(stamps), 1)
        called = self.given.series or next((c for c in _SERIES if c in self.table.columns), None)
        if called is not None and called not in parts:
            again = _repeats(stamps, self._codes(parts_of(called, self.table.columns)))
            return _Keys(called, again / rows, repeats / rows)
        if repeats < _MIN_REPEATS * rows:
            return _Keys(None, 0.0 if not repeats else repeats / rows, repeats / rows)
        texts = [c for c in candidates if c not in self.numeric]
        usable = [c for c in candidates if c in texts or self._fills(stamps, (c,))]
        texts = usable if self.aggregated else texts
        left = {(c,): _repeats(stamps, self._codes((c,))) for c in usable}
        clean = [names for names in left if left[names] <= _MAX_REPEATS_LEFT * repeats]
        # A column of measurements separates rows, too: text goes first, then what has fewer values.
        clean = [names for names in clean if names[0] in texts] or clean
        best = self._fewest(clean) if clean else self._together(stamps, candidates, repeats)
        named = [names for names in left if names[0] in texts]
        if best is None and named:
            single = min(named, key=lambda names: left[names])
            best = single if left[single] * 2 <= repeats else None
        if self.aggregated and texts:  # rows repeat with every column: the one with the fewest values, if they are few
            best = best or self._fewest([(c,) for c in texts])
            best = best if 2 * (int(self._codes(best).max()) + 1) <= rows else None
        if best is None:
            return _Keys(None, repeats / rows, repeats / rows)
        return _Keys(
            joined_name(best) if len(best) > 1 else best[0], _repeats(stamps, self._codes(best)) / rows, repeats / rows
        )

    def _together(self, stamps: IntArray, candidates: Sequence[str], repeats: int) -> tuple[str, ...] | None:
        """The pair or triple of columns with which timestamps hardly repeat, and which has the fewest values; or None."""
        rows = len(stamps)
        few = [c for c in candidates if 2 * len(self.table.text_column(c).texts) <= rows][:_MAX_KEYS]
        few = [c for c in few if len(self.table.text_column(c).texts) > 1]
        for size in (2, 3):
            clean = [
                names
                for names in combinations(few, size)
                if _repeats(stamps, self._codes(names)) <= _MAX_REPEATS_LEFT * repeats and self._fills(stamps, names)
            ]
            if clean:
                return tuple(sorted(self._fewest(clean), key=self.table.columns.index))
        return None

    def _fewest(self, names: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
        return min(names, key=lambda each: int(self._codes(each).max()))

    def _fills(self, stamps: IntArray, names: tuple[str, ...]) -> bool:
        """Whether numbers are keys: each occurs at many timestamps, as measurements do not."""
        count = int(self._codes(names).max()) + 1
        return 2 * count <= len(stamps) and len(stamps) >= _MIN_FILLED * count * (int(stamps.max()) + 1)

    def _codes(self, names: tuple[str, ...]) -> IntArray:
        columns = [self.table.text_column(name) for name in names]
        return columns[0].codes if len(columns) == 1 else joined(columns).codes

    def is_part_of_date(self, column: str) -> bool:
        """Whether a column is a part of a date, such as a month or an hour."""
        kinds = [kind for kind in part_kinds(column) if kind != "date"]
        return any(may_hold(kind, self.sample[column]) for kind in kinds) or (
            bool(_CALENDAR.fullmatch(column)) and bool(self.sample[column]) and is_whole(self.sample[column])
        )

    def targets(self, series: str | None, timestamp: str) -> tuple[str, ...]:
        """The column with a usual name, else all columns of numbers but parts of dates, else the only column left."""
        free = self.free(series, timestamp)
        named = [c for c in TARGET if c in free]
        if named:
            return (named[0],)
        free = [c for c in free if not is_row_number(c, self.sample[c])]
        others = set(free)
        numeric = [c for c in self.numeric if c in others]
        if not self.is_stored:  # a series of a stored model may not get lost
            numeric = [c for c in numeric if c not in self._empty] or numeric
        if len(numeric) > 1:
            numeric = [c for c in numeric if not self.is_part_of_date(c)] or numeric
        return tuple(numeric) or (tuple(free) if len(free) == 1 else ())

    @property
    def preset(self) -> tuple[str, str, str] | None:
        """The names of series, timestamp and target that other libraries use, where the table has all three."""
        return next((names for names in PRESETS if set(names) <= set(self.table.columns)), None)

    @property
    def is_stored(self) -> bool:
        """Whether the columns are those of a stored model, which has no key where it names none."""
        return self.given.texts is not None

    @cached_property
    def numeric(self) -> list[str]:
        """Columns that hold numbers, or nothing."""
        return [c for c in self.table.columns if self.holds_numbers(c)]

    def holds_numbers(self, column: str) -> bool:
        """Whether a column holds numbers, or nothing."""
        return not self.sample[column] or self.share(column, is_number) >= _MIN_SHARE

    @cached_property
    def _empty(self) -> frozenset[str]:
        """Columns in which no row has a value. The first rows alone do not show that."""
        blank = [c for c in self.table.columns if not self.sample[c]]
        if blank:
            self.table.load((), blank)  # at once
        return frozenset(c for c in blank if self._holds_nothing(c))

    def _holds_nothing(self, column: str) -> bool:
        try:
            return bool(np.isnan(self.table.numbers([column])[column]).all())
        except NumbersError:
            return False

    def free(self, *taken: str | None) -> list[str]:
        """Columns other than these, or their parts, and the covariates given."""
        used = {part for name in taken if name is not None for part in parts_of(name, self.table.columns)}
        used |= {*self.given.covariates}
        return [c for c in self.table.columns if c not in used]

    def share(self, column: str, holds: Callable[[str], bool]) -> float:
        """The share of sampled texts that `holds`; 0 where there are none."""
        texts = self.sample[column]
        return sum(map(holds, texts)) / len(texts) if texts else 0.0


def _repeats(stamps: IntArray, series: IntArray) -> int:
    """How many rows repeat the timestamp and series of an earlier row."""
    pairs = stamps.astype(np.int64) * (int(series.max(initial=0)) + 1) + series
    return len(pairs) - len(np.unique(pairs))


def is_stamp(text: str) -> bool:
    """Whether a text is a date of at least a year and a part of it."""
    if looks_like_stamp(text):
        return True
    # Of plain numbers only 12.2024 may be a date here: the many forms are tried on few cells of a wide table.
    return (NUMBER.fullmatch(text) is None or _MONTH_AND_YEAR.fullmatch(text) is not None) and looks_written(text)


def are_numbered_dates(column: str, texts: list[str]) -> bool:
    """Whether a column holds dates as whole numbers or decimals, such as 201001 and 2010.02."""
    whole = [text.removesuffix(".0") for text in texts]
    digits = [text for text in whole if text.isascii() and text.isdecimal() and len(text) < 19]
    if len(digits) >= max(_MIN_SHARE * len(texts), 1):
        return integer_date_form(np.array(list(map(int, digits))), column, np.array(list(map(len, digits)))).is_date
    numbers = [text for text in texts if NUMBER.fullmatch(text)]
    if len(numbers) < max(_MIN_SHARE * len(texts), 1):
        return False
    read = decimal_dates(numbers)
    return read is not None and float(np.mean(read.valid)) >= _MIN_SHARE


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
