"""A path, a URL or a data frame, opened as a table by what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.data.reading.csv_bytes import fetch, name_of
from forecaster.data.reading.csv_table import CsvTable
from forecaster.data.reading.file_set import find_file_set, is_file_set, read_csv_files, read_parquet_files
from forecaster.data.reading.number_form import PLAIN, NumberForm
from forecaster.data.row_options import AS_SHOWN, TextOptions
from forecaster.storage.addresses import is_database, name_in, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecaster.data.reading.table import RawTable
    from forecaster.typing import Data


def form_given(text: TextOptions) -> NumberForm | None:
    """How the caller says that numbers are written; None = as the file shows."""
    if text.decimal is None and text.thousands is None:
        return None
    decimal = text.decimal or ("," if text.thousands == "." else ".")
    return NumberForm(decimal, text.thousands or "", given=True)


def open_table(
    source: Data, read_bytes: Callable[[str, str | None], bytes] = fetch, text: TextOptions = AS_SHOWN
) -> RawTable:
    """`source` as a table; `read_bytes` reads a CSV file of an encoding. DataError where it is no table."""
    form = form_given(text)
    if not isinstance(source, (str, Path)):
        from forecaster.data.reading.frames import FrameTable

        return FrameTable("data frame", source, form=form or PLAIN)
    path = str(source)
    if is_database(path):
        from forecaster.data.reading.frames import FrameTable
        from forecaster.storage.database import read_rows

        return FrameTable(shown(path), read_rows(path), form=form or PLAIN)
    if is_file_set(path):
        return _open_file_set(path, read_bytes, text.encoding, form)
    opener = next((opener for ending, opener in OPENERS.items() if name_in(path).endswith(ending)), None)
    if opener is not None:
        return opener(path, form or PLAIN)
    return CsvTable(name_of(path), read_bytes(path, text.encoding), form=form)


def _open_file_set(
    path: str, read_bytes: Callable[[str, str | None], bytes], encoding: str | None, form: NumberForm | None
) -> RawTable:
    """The files of a folder or a glob as one table."""
    file_set = find_file_set(path)
    if file_set.parquet:
        from forecaster.data.reading.frames import FrameTable

        return FrameTable(file_set.name, read_parquet_files(file_set), form=form or PLAIN)
    protocol = f"{path.partition('://')[0]}://" if file_set.place is not None else ""
    data, spans = read_csv_files(file_set, lambda file: read_bytes(f"{protocol}{file}", encoding))
    return CsvTable(file_set.name, data, form=form, spans=spans)


def _open_parquet(path: str, form: NumberForm) -> RawTable:
    from forecaster.data.reading.frames import read_parquet

    return read_parquet(path, form)


def _open_workbook(path: str, form: NumberForm) -> RawTable:
    from forecaster.data.reading.workbook import read_workbook

    return read_workbook(path, form)


# A path's ending -> what opens it as a table; a path with any other ending is a CSV file.
OPENERS: dict[str, Callable[[str, NumberForm], RawTable]] = {
    ".parquet": _open_parquet,
    ".pq": _open_parquet,
    ".xlsx": _open_workbook,
}
