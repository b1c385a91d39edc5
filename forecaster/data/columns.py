"""Which column is what: as the caller says, else by name, else by what the columns hold. Every guess is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.cells import NUMBER
from forecaster.data.clock import looks_like_day_number, looks_like_stamp
from forecaster.data.panel import ROLES, Columns
from forecaster.data.table import RawTable
from forecaster.errors import DataError, UsageError, nearest

if TYPE_CHECKING:
    from forecaster.typing import IntArray

_PRESETS = (("series", "timestamp", "target"), ("unique_id", "ds", "y"), ("item_id", "timestamp", "target"))
_SERIES = ("series", "unique_id", "item_id")
_TARGET = ("target", "y")
_TIMESTAMP = ("timestamp", "ds", "datetime", "date_time", "date", "time")
_STEP = (*_TIMESTAMP, "step", "t", "index", "period")  # names under which whole numbers are steps
_YEAR = (*_TIMESTAMP, "year", "day", "month")  # names under which numbers such as 2024 and 20240131 are dates
_MOST = 0.8  # share of sampled cells that tells a column's kind; the rest are faults to be reported by line
_FEW = 0.05  # share of repeated stamps that a series column may leave, as duplicates to be reported by line
_REPEATS = 0.1  # share of repeated stamps from which there must be several series; fewer are duplicates


@dataclass(frozen=True)
class CovariateColumn:
    """A covariate's column."""

    name: str
    role: str  # a row of ROLES
    text: bool  # a category


@dataclass(frozen=True)
class Roles:
    """What the columns are. With several targets each is a series of its own (layout "wide")."""

    layout: str  # "long" | "wide" | "single"
    series: str | None
    timestamp: str
    targets: tuple[str, ...]
    covariates: tuple[CovariateColumn, ...] = ()

    @property
    def columns(self) -> Columns:
        """Names for writing rows back."""
        target = self.targets[0] if self.targets and self.layout != "wide" else None
        by_role = {role: tuple(one.name for one in self.covariates if one.role == role) for role in ROLES}
        return Columns(self.series, self.timestamp, target, **by_role)

    def notes(self, table: RawTable) -> Iterable[str]:
        """What was inferred, in a line or two."""
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


def infer_roles(table: RawTable, given: Columns) -> Roles:
    """The role of each column of `table`. DataError where a column given is not there or none can be told."""
    _check_given(table, given)
    sample = table.sample()
    covariates = given.covariates
    numeric = [c for c in table.columns if _share(sample[c], _is_number) >= _MOST or not sample[c]]
    preset = next((p for p in _PRESETS if set(p) <= set(table.columns)), (None, None, None))
    timestamp = given.timestamp or preset[1] or _timestamp(table, given, sample, numeric)
    series, target = given.series, given.target
    if series is None:
        series = next((c for c in _SERIES if c in table.columns and c not in (timestamp, target, *covariates)), None)
        series = series or _series(table, timestamp, given, sample, numeric)
    if target is None:
        named = [c for c in _TARGET if c in table.columns and c not in (series, timestamp, *covariates)]
        free = [c for c in table.columns if c not in (series, timestamp, *covariates) and not _is_idle(c, sample[c])]
        others = [c for c in numeric if c in free] or (free if len(free) == 1 else [])
        targets = tuple(named[:1] or others)
    else:
        targets = (target,)
    if not targets:
        raise DataError(f"{table.name}: no column of numbers beside '{timestamp}'.", "Name one: --target COLUMN.")
    if series is not None and len(targets) > 1:
        raise DataError(
            f"{table.name}: several columns could be the target: {_listed(targets)}.", "Name one: --target COLUMN."
        )
    layout = "long" if series else "single" if len(targets) == 1 else "wide"
    if covariates and layout == "wide":
        raise UsageError(
            f"{_flags(given)}: with one series per column (here {_listed(targets)}) covariates have no place.",
            "Name one: --target COLUMN; or give the rows with a series column.",
        )
    if given.static and layout == "single":
        raise UsageError(f"--static {given.static[0]}: it says nothing where there is one series.", "Leave it out.")
    return Roles(layout, series, timestamp, targets, covariate_roles(table, given))


def covariate_roles(table: RawTable, given: Columns) -> tuple[CovariateColumn, ...]:
    """The covariates named; which of them are categories is told from what they hold where it is not given."""
    _check_given(table, given)
    sample = table.sample()
    texts = given.texts
    if texts is None:
        texts = tuple(c for c in given.covariates if sample[c] and _share(sample[c], _is_number) < _MOST)
    return tuple(CovariateColumn(name, role, name in texts) for name, role in given.covariates.items())


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


def _timestamp(table: RawTable, given: Columns, sample: dict[str, list[str]], numeric: list[str]) -> str:
    """The column of dates or steps that is called so, else the first column of dates."""
    free = [c for c in table.columns if c not in (given.series, given.target, *given.covariates)]
    dates = [c for c in free if _share(sample[c], looks_like_stamp) >= _MOST]
    dates += [c for c in free if c.lower() in _YEAR and _share(sample[c], looks_like_day_number) >= _MOST]
    steps = [c for c in free if c.lower() in _STEP and c in numeric and _is_whole(sample[c])]
    for name in _STEP:
        called = [c for c in (*dates, *steps) if c.lower() == name]
        if called:
            return called[0]
    if dates:
        return dates[0]
    called = [c for c in free if c.lower() in _TIMESTAMP] or [c for c in free if c.lower() in _STEP and c in numeric]
    if called:  # what it holds is for the parser to complain about, by line
        return called[0]
    raise DataError(
        f"{table.name}: no column holds dates (columns: {_listed(table.columns)}).",
        "Name it: --timestamp COLUMN; or give the form of its dates: --timestamp-format.",
    )


def _series(
    table: RawTable, timestamp: str, given: Columns, sample: dict[str, list[str]], numeric: list[str]
) -> str | None:
    """The text or id column that tells repeated stamps apart; None where stamps do not repeat, or none does."""
    target = given.target
    free = [c for c in table.columns if c not in (timestamp, target, *_TARGET, *given.covariates)]
    texts = [c for c in free if c not in numeric and _share(sample[c], looks_like_stamp) < _MOST]
    ids = [c for c in free if c in numeric and sample[c] and _is_whole(sample[c])]
    if len(ids) == 1 and not texts and target is None and not set(_TARGET) & set(table.columns):
        ids = ids if len(numeric) > len({timestamp, *ids} & set(numeric)) else []  # leave a column for the target
    if not texts and not ids:
        return None
    table.load((timestamp, *texts, *ids), ())
    stamps = table.text_column(timestamp).codes
    repeats = _repeats(stamps, np.zeros_like(stamps))
    if repeats < _REPEATS * len(stamps):
        return None
    left = {c: _repeats(stamps, table.text_column(c).codes) for c in (*texts, *ids)}
    distinct = {c: len(table.text_column(c).texts) for c in left}
    # A column of measurements tells rows apart too: text goes first, and what has fewer values.
    clean = [c for c in left if left[c] <= _FEW * repeats]
    clean = [c for c in clean if c in texts] or clean
    best = min(clean, key=lambda c: distinct[c]) if clean else min(left, key=lambda c: left[c])
    if left[best] * 2 > repeats:
        raise DataError(
            f"{table.name}: timestamps repeat, and no column tells the series apart.", "Name it: --series COLUMN."
        )
    return best


def _repeats(stamps: IntArray, series: IntArray) -> int:
    """Rows whose stamp and series were seen before."""
    pairs = stamps.astype(np.int64) * (int(series.max()) + 1) + series
    return len(pairs) - len(np.unique(pairs))


def _share(texts: list[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, texts)) / len(texts) if texts else 0.0


def _is_number(text: str) -> bool:
    return NUMBER.fullmatch(text) is not None


def _is_whole(texts: list[str]) -> bool:
    return all(text.lstrip("+-").removesuffix(".0").isdecimal() for text in texts)


def _is_idle(column: str, texts: list[str]) -> bool:
    """Whether this has no name, and holds nothing or the row numbers that pandas writes along."""
    counted = [str(i) for i in range(len(texts))]
    return column.startswith(("column ", "Unnamed: ")) and texts == counted


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
