"""A CSV file's bytes: fetched, unpacked, and looked at for what makes them no table at all."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from forecaster.errors import DataError

_GZIP = b"\x1f\x8b"
_MAGIC = {  # first bytes of what people pass for CSV
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"PAR1": "a Parquet file without the ending .parquet",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
}


def fetch(source: str) -> bytes:
    """The unpacked bytes of a CSV file, "-" being standard input, without byte-order mark. DataError where there are
    none, or none that can be text in UTF-8.
    """
    name = name_of(source)
    data = _read(source, name)
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            raise DataError(f"{name}: the gzip data is damaged or cut short.", "Fetch or write it again.") from None
    elif source.endswith(".gz") and data:
        raise DataError(f"{name}: this is not gzip data.", "Take the ending .gz away if it is plain text.")
    for magic, what in _MAGIC.items():
        if data.startswith(magic):
            raise DataError(f"{name}: this is {what}, not CSV text.", "Save it as CSV in UTF-8.")
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n"):
        raise DataError(f"{name}: the file is empty.", "Expected a header line and rows.")
    _refuse_binary(name, data)
    return data.removeprefix(b"\xef\xbb\xbf")  # no copy where there is none


def name_of(source: str) -> str:
    """The name that messages use."""
    return "standard input" if source == "-" else source


def unreadable(name: str, error: OSError) -> DataError:
    """The one line for a file that cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{name}: no such file.", "Check the path.")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{name}: this is a directory.", "Name a file in it.")
    if isinstance(error, PermissionError):
        return DataError(f"{name}: reading it is not permitted.", "Change its permissions.")
    return DataError(f"{name}: cannot be read: {error.strerror or error}.", "Check the path.")


def records(name: str, data: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the file line (from 1) on which it begins: the slow second look after a
    fault, since pandas tells no lines. DataError where quotes do not end.
    """
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for fields in reader:
            if len(fields) > 1 or (fields and fields[0].strip()):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error:
        raise DataError(f"{name}:{line}: the quotes in this row do not pair up.", "Close each quoted field.") from None


def _read(source: str, name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise unreadable(name, error) from None


def _refuse_binary(name: str, data: bytes) -> None:
    position = data.find(b"\0")
    if position >= 0:
        line = data.count(b"\n", 0, position) + 1
        raise DataError(f"{name}:{line}: a zero byte: this is not text.", "Save the table as CSV in UTF-8.")
    if data.isascii():
        return
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = f"Save it as UTF-8, e.g. iconv -f latin1 -t utf8 {name}." if name != "standard input" else "Use UTF-8."
        raise DataError(f"{name}:{line}: byte 0x{data[error.start]:02x} is not UTF-8 text.", hint) from None
