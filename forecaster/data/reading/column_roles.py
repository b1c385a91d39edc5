"""The role of each column: as given, else inferred from its name, else from its values. A note says what was inferred."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.panel import ROLES, Columns
from forecaster.data.reading.datetime_text import looks_like_stamp
from forecaster.data.reading.decimal_dates import decimal_dates
from forecaster.data.reading.number_dates import DATE_NAMES, number_form
from forecaster.data.reading.table import RawTable
from forecaster.data.reading.text_columns import NUMBER
from forecaster.data.reading.timestamp_formats import fits_format
from forecaster.data.reading.written_dates import looks_written
from forecaster.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from forecaster.typing import IntArray

_PRESETS = (("series", "timestamp", "target"), ("unique_id", "ds", "y"), ("item_id", "timestamp", "target"))
_SERIES = ("series", "unique_id", "item_id")
_TARGET = ("target", "y")
_TIMESTAMP = ("timestamp", "ds", "datetime", "date_time", "date", "time")
_STEP = (*_TIMESTAMP, "step", "t", "index", "period")  # names under which whole numbers are steps
_MAX_PROBED = 20  # columns without a usual name whose numbers may be dates
_MIN_SHARE = 0.8  # of sampled cells that shows what a column holds; the rest are faults to be reported by line
_MAX_REPEATS_LEFT = 0.05  # share of repeated timestamps that a series column may leave: duplicates, reported by line
_MIN_REPEATS = 0.1  # share of repeated timestamps that shows several series; fewer are duplicates


@dataclass(frozen=True)
class CovariateColumn:
    """A covariate's column."""

    name: str
    role: str  # a row of ROLES
    text: bool  # a category


@dataclass(frozen=True)
class Roles:
    """What the columns are. Without a series column, each of several targets is a series of its own."""

    series: str | None
    timestamp: str
    targets: tuple[str, ...]
    covariates: tuple[CovariateColumn, ...] = ()

    @property
    def layout(self) -> str:
        """One of "long", "wide" (one series per target column) and "single"."""
        return "long" if self.series else "wide" if len(self.targets) > 1 else "single"

    @property
    def columns(self) -> Columns:
        """Names for writing rows back."""
        target = self.targets[0] if self.targets and self.layout != "wide" else None
        by_role = {role: tuple(one.name for one in self.covariates if one.role == role) for role in ROLES}
        return Columns(self.series, self.timestamp, target, **by_role)

    def notes(self, table: RawTable) -> Iterable[str]:
        """What was inferred, one line each."""
        where = f"timestamp '{self.timestamp}', "
        if not self.targets:
            yield f"{where}no target."
        elif self.layout == "wide":
            yield f"layout wide: {where}one series per numeric column: {_listed(self.targets)}."
        else:
            series = f"series '{self.series}', " if self.series else ""
            yield f"layout {self.layout}: {series}{where}target '{self.targets[0]}'."
        for role in ROLES:
            named = [f"'{c.name}'{' (a category)' if c.text else ''}" for c in self.covariates if c.role == role]
            if named:
                yield f"covariates, {role}: {_listed(named)}."
        covariates = [c.name for c in self.covariates]
        unused = [c for c in table.columns if c not in (self.series, self.timestamp, *self.targets, *covariates)]
        if unused:
            yield f"columns not used: {_listed(unused)}."


def infer_roles(table: RawTable, given: Columns, form: str | None = None) -> Roles:
    """The role of each column of `table`, whose timestamps may have a `form` as in `timestamp_formats.py`.

    DataError where a column given is not there, or a role cannot be inferred.
    """
    _check_given(table, given)
    clues = _Clues(table, given, table.sample(), form)
    timestamp = given.timestamp or clues.timestamp()
    series = given.series or clues.series(timestamp)
    targets = (given.target,) if given.target else clues.targets(series, timestamp)
    roles = Roles(series, timestamp, targets, clues.covariates())
    if not targets:
        raise DataError(f"{table.name}: no column of numbers can be the target.", "Name one: --target COLUMN.")
    if series is not None and len(targets) > 1:
        raise DataError(
            f"{table.name}: several columns could be the target: {_listed(targets)}.", "Name one: --target COLUMN."
        )
    if roles.covariates and roles.layout == "wide":
        raise UsageError(
            f"{_flags(given)}: a table with one series per column (here {_listed(targets)}) has no covariates.",
            "Name one: --target COLUMN; or give the rows with a series column.",
        )
    if given.static and roles.layout == "single":
        raise UsageError(f"--static {given.static[0]}: it has no effect on a single series.", "Leave it out.")
    return roles


def covariate_roles(table: RawTable, given: Columns) -> tuple[CovariateColumn, ...]:
    """The covariates of `given`. Where `given` does not say which of them are categories, that is inferred from their values."""
    _check_given(table, given)
    return _Clues(table, given, table.sample()).covariates()


def _flags(given: Columns) -> str:
    return ", ".join(f"--{role}" for role in ROLES if getattr(given, role))


def _check_given(table: RawTable, given: Columns) -> None:
    roles = {"--series": given.series, "--timestamp": given.timestamp, "--target": given.target}
    for flag, name in roles.items():
        if name is not None and name not in table.columns:
            raise DataError(f"{table.name}: there is no column '{name}' ({flag}).", nearest(name, table.columns))
    for role in ROLES:
        for name in getattr(given, role):
            if name not in table.columns:
                raise DataError(f"{table.name}: there is no column '{name}' (--{role}).", nearest(name, table.columns))
    covariates = [*given.known, *given.past, *given.static]
    twice = next((name for i, name in enumerate(covariates) if name in (*covariates[:i], *roles.values())), None)
    if twice is not None:
        raise UsageError(f"column '{twice}' is given twice.", "A column has one role: keep one.")
    names = [name for name in roles.values() if name is not None]
    if len(set(names)) < len(names):
        raise UsageError("--series, --timestamp and --target must name different columns.")


@dataclass(frozen=True)
class _Clues:
    """What roles are inferred from: names of columns, the texts of the first rows, and repeats of timestamps."""

    table: RawTable
    given: Columns
    sample: dict[str, list[str]]
    form: str | None = None

    def timestamp(self) -> str:
        """The column of a preset, else one of dates or steps with a usual name, else the first column of dates."""
        if self.preset is not None:
            return self.preset[1]
        free = self.free(self.given.series, self.given.target)
        dates = [c for c in free if self.form and self.share(c, partial(fits_format, form=self.form)) >= _MIN_SHARE]
        dates = dates or [c for c in free if self.share(c, _is_stamp) >= _MIN_SHARE]
        dates += [c for c in free if c not in dates and DATE_NAMES.search(c) and _are_numbered_dates(c, self.sample[c])]
        numeric = self.numeric
        steps = [c for c in free if c.lower() in _STEP and c in numeric and _is_whole(self.sample[c])]
        for name in _STEP:
            called = [c for c in (*dates, *steps) if c.lower() == name]
            if called:
                return called[0]
        if dates:
            return dates[0]
        dates = [c for c in free[:_MAX_PROBED] if _are_numbered_dates(c, self.sample[c])]
        if len(dates) == 1:
            return dates[0]
        called = [c for c in free if c.lower() in _TIMESTAMP]
        called = called or [c for c in free if c.lower() in _STEP and c in numeric]
        if called:  # the parser finds the faults in its values, with their lines
            return called[0]
        raise DataError(
            f"{self.table.name}: no column holds dates (columns: {_listed(self.table.columns)}).",
            "Name it: --timestamp COLUMN; or give the form of its dates: --timestamp-format.",
        )

    def series(self, timestamp: str) -> str | None:
        """The column with a usual name, else the text or id column that separates repeated timestamps; None where
        timestamps do not repeat, or none does.
        """
        free = self.free(timestamp, self.given.target)
        called = next((c for c in _SERIES if c in free), None)
        if called is not None:
            return called
        free = [c for c in free if c not in _TARGET]
        numeric = self.numeric
        texts = [c for c in free if c not in numeric and self.share(c, _is_stamp) < _MIN_SHARE]
        ids = [c for c in free if c in numeric and self.sample[c] and _is_whole(self.sample[c])]
        if len(ids) == 1 and not texts and self.given.target is None and not set(_TARGET) & set(self.table.columns):
            ids = ids if len(numeric) > len({timestamp, *ids} & set(numeric)) else []  # leave a column for the target
        if not texts and not ids:
            return None
        return self._separating(timestamp, texts, ids)

    def _separating(self, timestamp: str, texts: list[str], ids: list[str]) -> str | None:
        """The column with which the fewest timestamps repeat. DataError where too many repeat with every column."""
        self.table.load((timestamp, *texts, *ids), ())
        stamps = self.table.text_column(timestamp).codes
        repeats = _repeats(stamps, np.zeros_like(stamps))
        if repeats < _MIN_REPEATS * len(stamps):
            return None
        left = {c: _repeats(stamps, self.table.text_column(c).codes) for c in (*texts, *ids)}
        distinct = {c: len(self.table.text_column(c).texts) for c in left}
        # A column of measurements separates rows, too: text goes first, then what has fewer values.
        clean = [c for c in left if left[c] <= _MAX_REPEATS_LEFT * repeats]
        clean = [c for c in clean if c in texts] or clean
        best = min(clean, key=lambda c: distinct[c]) if clean else min(left, key=lambda c: left[c])
        if left[best] * 2 > repeats:
            raise DataError(
                f"{self.table.name}: timestamps repeat, and no column separates the series.",
                "Name it: --series COLUMN.",
            )
        return best

    def targets(self, series: str | None, timestamp: str) -> tuple[str, ...]:
        """The column with a usual name, else all columns of numbers, else the only column left."""
        free = self.free(series, timestamp)
        named = [c for c in _TARGET if c in free]
        if named:
            return (named[0],)
        free = [c for c in free if not _is_row_number(c, self.sample[c])]
        return tuple(c for c in self.numeric if c in free) or (tuple(free) if len(free) == 1 else ())

    def covariates(self) -> tuple[CovariateColumn, ...]:
        """The covariates given. Where their categories are not given, a covariate that does not hold numbers is one."""
        texts = self.given.texts
        if texts is None:
            texts = tuple(c for c in self.given.covariates if self.sample[c] and self.share(c, _is_number) < _MIN_SHARE)
        return tuple(CovariateColumn(name, role, name in texts) for name, role in self.given.covariates.items())

    @property
    def preset(self) -> tuple[str, str, str] | None:
        """The names of series, timestamp and target that other libraries use, where the table has all three."""
        return next((names for names in _PRESETS if set(names) <= set(self.table.columns)), None)

    @cached_property
    def numeric(self) -> list[str]:
        """Columns that hold numbers, or nothing."""
        return [c for c in self.table.columns if not self.sample[c] or self.share(c, _is_number) >= _MIN_SHARE]

    def free(self, *taken: str | None) -> list[str]:
        """Columns other than these and the covariates given."""
        return [c for c in self.table.columns if c not in (*taken, *self.given.covariates)]

    def share(self, column: str, holds: Callable[[str], bool]) -> float:
        """The share of sampled texts that `holds`; 0 where there are none."""
        texts = self.sample[column]
        return sum(map(holds, texts)) / len(texts) if texts else 0.0


def _repeats(stamps: IntArray, series: IntArray) -> int:
    """How many rows repeat the timestamp and series of an earlier row."""
    pairs = stamps.astype(np.int64) * (int(series.max()) + 1) + series
    return len(pairs) - len(np.unique(pairs))


def _is_stamp(text: str) -> bool:
    return looks_like_stamp(text) or looks_written(text)


def _are_numbered_dates(column: str, texts: list[str]) -> bool:
    """Whether a column holds dates as whole numbers or decimals, such as 201001 and 2010.02."""
    whole = [text.removesuffix(".0") for text in texts]
    digits = [text for text in whole if text.isascii() and text.isdecimal() and len(text) < 19]
    if len(digits) >= max(_MIN_SHARE * len(texts), 1):
        return number_form(np.array(list(map(int, digits))), column, np.array(list(map(len, digits)))).is_date
    numbers = [text for text in texts if NUMBER.fullmatch(text)]
    if len(numbers) < max(_MIN_SHARE * len(texts), 1):
        return False
    read = decimal_dates(numbers)
    return read is not None and float(np.mean(read.valid)) >= _MIN_SHARE


def _is_number(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None


def _is_whole(texts: list[str]) -> bool:
    return all(text.lstrip("+-").removesuffix(".0").isdecimal() for text in texts)


def _is_row_number(column: str, texts: list[str]) -> bool:
    """Whether a column has no name, and holds nothing or the row numbers that pandas writes."""
    counted = [str(i) for i in range(len(texts))]
    return column.startswith(("column ", "Unnamed: ")) and texts == counted


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
