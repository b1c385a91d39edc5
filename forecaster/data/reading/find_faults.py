"""All faults of a table at once: it is read again and again, each time without the rows that stopped the last reading.

The reader alone decides what is a fault and describes it, so a table without faults here is one that it reads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.csv_bytes import mended, name_of, refuse_binary, unpacked
from forecaster.data.reading.csv_table import CsvTable
from forecaster.data.reading.joined_columns import with_joined
from forecaster.data.reading.open_table import open_table
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import panel_of, roles_in
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.reading.table import RawTable
from forecaster.data.reading.table_without_faults import FilteredTable
from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.reading.column_roles import Roles
    from forecaster.data.row_options import TextOptions
    from forecaster.typing import Data, IntArray

MAX_PASSES = 40  # readings of one table; each but the last finds a kind of fault
MAX_GRID_PASSES = 4  # of these, those after timestamps off the grid: an irregular table has no grid to go back to
MAX_SHOWN = 20  # faults of a kind that are listed


@dataclass(frozen=True)
class Fault:
    """One fault."""

    what: str
    line: int | None  # of the file, or the row of a frame; None = the whole file
    column: str | None
    series: str | None
    found: str
    hint: str  # the flag or edit that mends it


@dataclass(frozen=True)
class FaultKind:
    """All faults of one kind."""

    what: str
    count: int
    shown: tuple[Fault, ...]  # the first of them, by line


@dataclass(frozen=True)
class Checked:
    """The faults of a table, and the panel of its other rows."""

    source: str
    rows: int  # without the header; 0 where the table cannot be read at all
    kinds: tuple[FaultKind, ...]
    panel: Panel | None  # the rows that have no fault; None where these make no panel

    @property
    def faults(self) -> int:
        """How many faults there are."""
        return sum(kind.count for kind in self.kinds)


@dataclass
class _Log:
    """The faults met so far, by rows of the table or by lines of the file."""

    met: list[tuple[DataError, IntArray]] = field(default_factory=list)  # a DataError that is no RowsError has no rows

    def add(self, error: DataError, rows: IntArray | None = None) -> None:
        if isinstance(error, RowsError):
            self.met.append((error, error.rows if rows is None else rows))
        else:
            self.met.append((error, np.empty(0, dtype=np.int64)))


def find_faults(source: Data, options: ReadOptions, max_shown: int = MAX_SHOWN) -> Checked:
    """All faults of a table, the first `max_shown` of each kind listed, and the panel of the rows without faults.

    UsageError where options contradict each other.
    """
    log, name = _Log(), name_of(str(source)) if isinstance(source, (str, Path)) else "data frame"
    try:
        table = _open(source, log, options.text)
    except DataError as error:
        log.add(error)
        return Checked(name, rows=0, kinds=_kinds(log, None, None, max_shown), panel=None)
    filtered, panel = _read(FilteredTable(table, log.add), options, log)
    try:
        roles, rows = roles_in(filtered.base, options), filtered.base_rows
    except DataError:
        roles, rows = None, 0
    return Checked(name, rows=rows, kinds=_kinds(log, filtered.base, roles, max_shown), panel=panel)


def _open(source: Data, log: _Log, text: TextOptions) -> RawTable:
    """The table; bytes that are not text are replaced and logged."""

    def read_bytes(path: str, encoding: str | None) -> bytes:
        data = unpacked(path, encoding)
        try:
            refuse_binary(name_of(path), data)
        except RowsError as error:
            log.add(error)
            return mended(data)
        return data

    return open_table(source, read_bytes, text)


def _read(filtered: FilteredTable, options: ReadOptions, log: _Log) -> tuple[FilteredTable, Panel | None]:
    """The filtered table that was read last, and its panel."""
    grids = 0
    for _ in range(MAX_PASSES):
        try:
            return filtered, panel_of(filtered, options)
        except RowsError as error:
            grids += error.what == "frequency"
            try:
                filtered = _without_faults(filtered, error, log)
            except DataError:  # no line is left
                break
            if grids == MAX_GRID_PASSES or error.what == "offset" or filtered.is_empty:
                break
        except DataError as error:
            if not filtered.is_gutted:
                log.add(error)
            break
    return filtered, None


def _without_faults(filtered: FilteredTable, error: RowsError, log: _Log) -> FilteredTable:
    """`filtered` without the faulty rows, which are logged."""
    if error.what == "fields":
        log.add(error)
        if not isinstance(filtered.base, CsvTable):
            raise error
        return FilteredTable(filtered.base.without(error.rows), filtered.log)
    log.add(error, filtered.base_row(error.rows))
    if error.what == "target" and error.column is not None:
        return filtered.blanked(error.column, error.rows)
    return filtered.without(error.drop)


def _kinds(log: _Log, table: RawTable | None, roles: Roles | None, max_shown: int) -> tuple[FaultKind, ...]:
    """Faults by kind, kinds in the order in which they were met, faults by line."""
    counts: dict[str, int] = {}
    shown: dict[str, list[Fault]] = {}
    for error, rows in log.met:
        what = error.what if isinstance(error, RowsError) else "file"
        counts[what] = counts.get(what, 0) + max(len(rows), 1)
        room = max_shown - len(shown.setdefault(what, []))
        if not isinstance(error, RowsError):
            shown[what].append(_of_file(error, table))
            continue
        for k in np.argsort(rows, kind="stable")[: max(room, 0)].tolist():
            shown[what].append(_of_row(error, k, int(rows[k]), table, roles))
    return tuple(FaultKind(what, counts[what], tuple(shown[what])) for what in counts)


def _of_row(error: RowsError, k: int, row: int, table: RawTable | None, roles: Roles | None) -> Fault:
    found, hint = error.describe(k)
    if error.what in ("fields", "encoding") or table is None:
        return Fault(error.what, line=row, column=None, series=None, found=found, hint=hint)
    column = error.column or (roles.timestamp if roles else None)
    series = None
    if roles and roles.series:
        names = with_joined(table, roles.series, table.columns[0]).text_column(roles.series)
        series = str(names.texts[names.codes[row]]).strip()
    elif roles and roles.layout == "wide" and error.what == "target":
        series = column
    line = _line(table.place(row))
    return Fault(error.what, line=line, column=column, series=series or None, found=found, hint=hint)


def _of_file(error: DataError, table: RawTable | None) -> Fault:
    """The parts of a message that is not about rows: it may still begin with a place."""
    name = re.escape(table.name) if table else r"[^:\n]+"
    match = re.match(rf"(?:{name}|standard input|data frame)(?::(\d+)| row (\d+))?: ", error.message)
    found = error.message[match.end() :] if match else error.message
    line = _line(match[0][:-2]) if match and match.lastindex else None
    return Fault("file", line=line, column=None, series=None, found=found, hint=error.hint)


def _line(place: str) -> int | None:
    match = re.search(r"(\d+)$", place)
    return int(match[1]) if match else None
