"""Data in several files: a folder, a glob, or a partitioned Parquet data set, here or under a URL.

Rows may be in any order and in any file. `key=value` in the path of a Parquet file is a column, as in Hive. Names that begin
with `.` or `_` are no data.
"""

from __future__ import annotations

import glob
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.data.reading.csv_bytes import MAX_BYTES
from forecaster.data.reading.datetime_text import looks_like_stamp
from forecaster.errors import DataError, install_hint
from forecaster.storage.addresses import is_database, is_remote, shown

if TYPE_CHECKING:
    import pandas as pd

GLOB = frozenset("*?[")
PARQUET, CSV = (".parquet", ".pq"), (".csv", ".csv.gz", ".txt", ".tsv")
# Columns that a path may have only to find rows by, and that say no more than a timestamp in the file does.
DATE_KEYS = frozenset({"year", "month", "day", "hour", "week", "quarter", "date", "dt", "ds"})


@dataclass(frozen=True)
class FileSet:
    """The files of a data set, in the order of their names."""

    name: str  # for messages
    files: tuple[str, ...]  # paths here, or in `place`
    parquet: bool  # else CSV
    place: Any = None  # fsspec's file system; None = this machine


def is_file_set(source: object) -> bool:
    """Whether a source names a folder or a glob: here, or under a URL that ends with / or has a *."""
    if not isinstance(source, (str, Path)) or str(source) == "-" or is_database(source):
        return False
    text = str(source)
    if is_remote(text):
        return text.endswith("/") or "*" in text
    try:
        return Path(text).is_dir() or (bool(GLOB & set(text)) and not Path(text).exists())
    except (OSError, ValueError):
        return False


def find_file_set(source: str) -> FileSet:
    """The files that a folder or a glob names. DataError where there is none, or both CSV and Parquet files."""
    place, name = None, shown(source)
    if is_remote(source):
        from forecaster.storage.remote import faults, file_system

        place, path = file_system(source)
        with faults(source, DataError):
            root = path.partition("*")[0].rpartition("/")[0] if "*" in path else path.rstrip("/")
            found = place.glob(path.rstrip("/")) if "*" in path else [path]
            files = list(dict.fromkeys(str(one) for match in found for one in place.find(match)))
    elif Path(source).is_dir():
        root = str(Path(source))
        files = [str(one) for one in Path(source).rglob("*") if one.is_file()]
    else:
        root = ""
        matches = map(Path, glob.glob(source, recursive=True))  # noqa: PTH207 - may be absolute
        below = [one for match in matches for one in (match.rglob("*") if match.is_dir() else (match,))]
        files = list(dict.fromkeys(str(one) for one in below if one.is_file()))
    files = sorted(one for one in files if not _is_hidden(one.removeprefix(root)))
    parquet = [one for one in files if one.lower().endswith(PARQUET)]
    texts = [one for one in files if one.lower().endswith(CSV)]
    if parquet and texts:
        raise DataError(
            f"{name}: has both CSV and Parquet files.", f"Name those of one kind, e.g. '{source.rstrip('/')}/*.csv'."
        )
    if not parquet and not texts:
        raise DataError(f"{name}: there is no CSV or Parquet file.", "Name a folder or a glob that has some.")
    return FileSet(name, tuple(parquet or texts), bool(parquet), place)


def _is_hidden(path: str) -> bool:
    """Whether a part of a path, which may be a URL's, begins with a character for what is no data."""
    return any(part[:1] in ("_", ".") and part not in (".", "..") for part in path.split("/"))


def data_set(file_set: FileSet) -> Any:
    """The Parquet files as a pyarrow data set. DataError where one is damaged or has other columns; without pyarrow, too."""
    try:
        from pyarrow import ArrowException
        from pyarrow import dataset as arrow
    except ImportError:
        raise DataError(
            f"{file_set.name}: reading Parquet needs pyarrow, which is not installed.", install_hint("parquet")
        ) from None
    keys = arrow.HivePartitioning.discover()
    try:
        found = arrow.dataset([*file_set.files], format="parquet", partitioning=keys, filesystem=file_set.place)
        known = set(found.schema.names)
        for piece in found.get_fragments():
            own = set(piece.physical_schema.names)
            in_path = {part.partition("=")[0] for part in piece.path.split("/")[:-1] if "=" in part}
            if lacking := known - own - in_path:
                raise DataError(
                    f"{piece.path}: has no column '{min(lacking)}'.", f"{file_set.files[0]} has it: give all the same."
                )
            if more := own - known:
                raise DataError(
                    f"{piece.path}: has a column '{min(more)}'.", f"{file_set.files[0]} has none: give all the same."
                )
    except (ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{file_set.name}: a Parquet file cannot be read: {_first_line(error)}.", "Write it again."
        ) from None
    return found


def redundant_keys(file_set: FileSet, schema: Any) -> set[str]:
    """Columns of the paths that are parts of dates, where the files have a timestamp of their own."""
    import pyarrow as pa

    keys = {part.partition("=")[0] for path in file_set.files[:1] for part in path.split("/")[:-1] if "=" in part}
    own = [field for field in schema if field.name not in keys]
    if not any(pa.types.is_temporal(one.type) or one.name.lower() in ("timestamp", "ds", "datetime") for one in own):
        return set()
    values = dict(part.split("=", 1) for path in file_set.files[:1] for part in path.split("/")[:-1] if "=" in part)
    return {key for key in keys if key.lower() in DATE_KEYS or looks_like_stamp(values.get(key, ""))}


def read_parquet_files(file_set: FileSet) -> pd.DataFrame:
    """The rows of all files. DataError where they cannot be read, or are more than memory holds."""
    found = data_set(file_set)
    left_out = redundant_keys(file_set, found.schema)
    columns = [name for name in found.schema.names if name not in left_out]
    try:
        if 8 * found.count_rows() * len(columns) > MAX_BYTES:
            raise DataError(f"{file_set.name}: more than {MAX_BYTES >> 30} GiB of cells.", "Name fewer files.")
        frame: pd.DataFrame = found.to_table(columns=columns).to_pandas()
    except (OSError, ValueError) as error:  # what pyarrow raises is one of these
        raise DataError(
            f"{file_set.name}: a Parquet file cannot be read: {_first_line(error)}.", "Write it again."
        ) from None
    return frame


def read_csv_files(file_set: FileSet, read_bytes: Callable[[str], bytes]) -> tuple[bytes, tuple[tuple[int, str], ...]]:
    """The files as one, and the line of it on which each begins. `read_bytes` reads a file by its path.

    The header of all but the first becomes an empty line, so that lines keep their numbers. DataError where one differs.
    """
    whole, spans, lines, header = io.BytesIO(), [], 0, b""
    for path in file_set.files:
        data = read_bytes(path)
        first, _, rest = data.lstrip(b"\r\n").partition(b"\n")
        skipped = len(data) - len(data.lstrip(b"\r\n"))
        header = header or first.rstrip()
        if first.rstrip() != header:
            raise DataError(
                f"{path}: its header differs from that of {file_set.files[0]}.", "Give all files the same columns."
            )
        spans.append((lines, path))
        text = data if not whole.tell() else data[:skipped] + b"\n" + rest
        text = text if text.endswith(b"\n") else text + b"\n"
        whole.write(text)
        lines += text.count(b"\n")
        if whole.tell() > MAX_BYTES:
            raise DataError(f"{file_set.name}: more than {MAX_BYTES >> 30} GiB of text.", "Name fewer files.")
    return whole.getvalue(), tuple(spans)


def place_in(spans: Sequence[tuple[int, str]], line: int) -> str:
    """A line of the joined files as people find it: "sales/2024.csv:17"."""
    before, path = next((one for one in reversed(spans) if one[0] < line), spans[0])
    return f"{path}:{line - before}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")[:200]
