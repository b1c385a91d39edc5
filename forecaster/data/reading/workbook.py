"""Excel workbooks (.xlsx) as tables: dates are dates, numbers are numbers, and texts stay texts, so "007" is no 7."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from forecaster.data.reading.csv_bytes import MAX_BYTES, MAX_RATIO, name_of, whole_bytes
from forecaster.data.reading.frames import FrameTable
from forecaster.data.reading.number_form import PLAIN, NumberForm
from forecaster.errors import DataError, install_hint

_DAMAGE = (
    zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, IndexError, OSError, EOFError, zlib.error, SyntaxError,
)  # fmt: skip # SyntaxError is what the XML parser raises
_DAY_ONE = (datetime(1900, 1, 1), datetime(1904, 1, 2))  # of the two calendars of workbooks
_MIN_CELLS = 2  # of a header: rows above it with fewer are titles
_MAX_SMALL = 64 << 20  # bytes that any workbook may unpack to
MAX_ROWS = 1_048_576  # of a sheet, by its format
MAX_CELLS = 50_000_000  # of all sheets; empty ones before a filled one count


@dataclass
class WorkbookTable(FrameTable):
    """A sheet of a workbook; rows are called by their numbers in the sheet."""

    numbers_of_rows: Sequence[int] = ()

    def place(self, row: int) -> str:
        """Where a row is: "sales.xlsx row 17", as the sheet counts."""
        return f"{self.name} row {self.numbers_of_rows[row]}"


def read_workbook(source: str, form: NumberForm = PLAIN) -> WorkbookTable:
    """The first sheet of a workbook that has a table.

    DataError where the file cannot be read, where formulas have no stored value, or where openpyxl is not installed.
    """
    name = name_of(source)
    try:
        import openpyxl
    except ImportError:
        hint = f"{install_hint('xlsx')[:-1]}, or save the table as CSV."
        raise DataError(f"{name}: reading workbooks needs openpyxl, which is not installed.", hint) from None
    data = whole_bytes(source, name)
    _refuse_other_files(name, data)
    with _damage(name):
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        sheets = [sheet.title for sheet in book.worksheets]
        tables = [(title, _rows(name, book[title])) for title in sheets]
    filled = [(title, rows) for title, rows in tables if rows]
    if not filled:
        raise DataError(f"{name}: the workbook has no cells.", "Expected a header and rows.")
    title, rows = filled[0]
    (first, header), *below = rows
    width = max(i + 1 for i, cell in enumerate(header) if cell is not None)
    wide = next((number for number, cells in below if any(cell is not None for cell in cells[width:])), None)
    if wide is not None:
        raise DataError(
            f"{name} row {wide}: there are more cells than in the header, row {first}.",
            "Give each column a name; headings of two rows in one.",
        )
    cells = [[*row[:width], *[None] * (width - len(row))] for _, row in below]
    numbers = [number for number, _ in below]
    if any(value is None for row in cells for value in row):
        _refuse_formulas(name, data, title, set(numbers))
    notes = [f"sheet '{title}' of {len(filled)} is read."] if len(filled) > 1 else []
    if first > 1:
        notes.append(f"row {first} has the names of the columns.")
    import pandas as pd

    columns = [_column([row[i] for row in cells]) for i in range(width)]
    names = ["" if cell is None else _text(cell) for cell in header[:width]]
    frame = pd.DataFrame(dict(enumerate(columns)))
    frame.columns = pd.Index(names, dtype=object)
    return WorkbookTable(name, frame, note=" ".join(notes), form=form, numbers_of_rows=numbers)


def _refuse_other_files(name: str, data: bytes) -> None:
    """DataError where the bytes are no workbook, or unpack to more than a table does."""
    if not data.startswith(b"PK"):
        raise DataError(f"{name}: this is not an .xlsx workbook.", "Check its ending, or save it as .xlsx again.")
    with _damage(name), zipfile.ZipFile(io.BytesIO(data)) as packed:
        size = sum(one.file_size for one in packed.infolist())
        if size > MAX_BYTES:
            raise DataError(f"{name}: more than {MAX_BYTES >> 30} GiB of cells.", "Split it into several files.")
        if size > max(_MAX_SMALL, MAX_RATIO * len(data)):
            what = f"unpacks to more than {MAX_RATIO} times its size, as no workbook does."
            raise DataError(f"{name}: {what}", "If it is one, save it as CSV.")


@contextmanager
def _damage(name: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except _DAMAGE:
        raise DataError(f"{name}: the workbook is damaged or cut short.", "Save it again.") from None


def _rows(name: str, sheet: Any) -> list[tuple[int, list[Any]]]:
    """The number and the cells of each row from the header on that has any. DataError where there are too many."""
    found: list[tuple[int, list[Any]]] = []
    count = 0
    sheet.reset_dimensions()  # what the file says of its size may be wrong
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        count += len(row)
        if number > MAX_ROWS or count > MAX_CELLS:
            most = f"{MAX_ROWS:,} rows" if number > MAX_ROWS else f"{MAX_CELLS:,} cells"
            raise DataError(f"{name}: the sheet '{sheet.title}' has more than {most}.", "Save the table as CSV.")
        cells = [None if isinstance(cell, str) and not cell.strip() else cell for cell in row]
        filled = sum(cell is not None for cell in cells)
        if filled and (found or filled >= _MIN_CELLS):
            found.append((number, cells))
    return found


def _refuse_formulas(name: str, data: bytes, title: str, rows: set[int]) -> None:
    """DataError where a cell has a formula whose value was never stored: it would be read as missing."""
    import openpyxl

    with _damage(name):
        stored = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)[title]
        written = openpyxl.load_workbook(io.BytesIO(data), read_only=True)[title]
        stored.reset_dimensions()
        written.reset_dimensions()
        for values, formulas in zip(stored.iter_rows(values_only=True), written.iter_rows(), strict=False):
            for value, cell in zip(values, formulas, strict=False):
                if value is None and cell.value is not None and cell.data_type == "f" and cell.row in rows:
                    raise DataError(
                        f"{name} row {cell.row}: the formula in {cell.coordinate} has no stored value.",
                        "Open the workbook in a spreadsheet program and save it.",
                    )


def _column(cells: Sequence[Any]) -> Any:
    """The cells as dates, as numbers, or as texts where they are not all of one kind; None is missing."""
    import pandas as pd

    kinds = {type(cell) for cell in cells if cell is not None}
    if kinds and kinds <= {datetime, date}:
        return pd.Series(pd.to_datetime(pd.Series(cells, dtype=object)).dt.round("ms"))
    if kinds and kinds <= {int, float}:
        if kinds == {int} and None not in cells:
            return pd.Series(cells)
        return pd.Series([np.nan if cell is None else float(cell) for cell in cells])
    if (
        {time, datetime} <= kinds <= {time, timedelta, datetime}
    ):  # the 24:00 of a column of times is the number 1, a day
        cells = [timedelta(days=1) if cell in _DAY_ONE else cell for cell in cells]
    return pd.Series([None if cell is None else _text(cell) for cell in cells], dtype=object)


def _text(cell: Any) -> str:
    """A cell as a text: a date as ISO 8601, a whole number without a point."""
    if isinstance(cell, datetime):
        return (
            str(cell.date())
            if cell.time() == time()
            else str(cell.replace(microsecond=cell.microsecond // 1000 * 1000))
        )
    if isinstance(cell, timedelta) and cell >= timedelta():  # may be 24:00:00 and more
        minutes, part = divmod(round(cell / timedelta(milliseconds=1)), 60_000)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{part // 1000:02d}" + f".{part % 1000:03d}" * (part % 1000 > 0)
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
