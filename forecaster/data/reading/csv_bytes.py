"""A CSV file's bytes: read, unpacked, and refused where they cannot be a table."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from forecaster.data.reading.csv_shape import lines_above
from forecaster.data.reading.row_errors import RowsError
from forecaster.errors import DataError, UsageError
from forecaster.storage.addresses import is_remote, name_in, shown

MAX_BYTES = 8 << 30  # of text, unpacked
MAX_RATIO = 200  # by which gzip may have compressed a table of more than _MAX_SMALL bytes
_MAX_SMALL = 256 << 20  # bytes of a file that is read at once
MAX_LINE = 16 << 20  # bytes
BLOCK = 1 << 20  # bytes of lines that are searched at once
_SEP = re.compile(rb"\A\"?sep=[^\r\n]\"?(\r\n|\r|\n)", re.IGNORECASE)

_GZIP = b"\x1f\x8b"
_MAGIC = {  # first bytes of other files that people give as CSV
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"BZh": "a file packed by bzip2",
    b"\xfd7zXZ": "a file packed by xz",
    b"\x28\xb5\x2f\xfd": "a file packed by zstd",
    b"ARROW1": "a Feather file",
    b"PAR1": "a Parquet file without the ending .parquet",
    b"\xff\xfe\0\0": "UTF-32 text",
    b"<!doctype": "an HTML page",
    b"<html": "an HTML page",
    b"<?xml": "XML",
    b"[{": "JSON",
    b'{"': "JSON",
}
_BOM = b"\xef\xbb\xbf"
_UTF16, _UTF32 = (b"\xff\xfe", b"\xfe\xff"), (b"\xff\xfe\0\0", b"\0\0\xfe\xff")


def fetch(source: str, encoding: str | None = None) -> bytes:
    """The unpacked bytes of a CSV file, "-" being standard input, as UTF-8 without byte-order mark.

    Lines above its table are blank.
    `encoding`: None = UTF-8, or UTF-16 where the file begins with its mark. DataError where the file is empty, is not text
    in this encoding, or has more than `MAX_BYTES`.
    """
    data = unpacked(source, encoding)
    refuse_binary(name_of(source), data)
    return data


def unpacked(source: str, encoding: str | None = None) -> bytes:
    """`fetch` without the check for bytes that are no text."""
    name = name_of(source)
    data = whole_bytes(source, name)
    if data.startswith(_GZIP):
        data = _gunzip(name, data)
    elif name_in(source).endswith(".gz") and data:
        raise DataError(f"{name}: this is not gzip data.", "Take the ending .gz away if it is plain text.")
    data = _as_utf8(name, data, encoding)
    start = data[:16].lstrip(_BOM + b" \t\r\n").lower()
    for magic, what in _MAGIC.items():
        if data.startswith(magic) or start.startswith(magic):
            raise DataError(f"{name}: this is {what}, not CSV text.", "Save it as CSV in UTF-8.")
    if not data[:MAX_LINE].lstrip(_BOM + b" \t\r\n") and not data.lstrip(_BOM + b" \t\r\n"):
        raise DataError(f"{name}: the file is empty.", "Expected a header line and rows.")
    _refuse_long_lines(name, data)
    while data.startswith(_BOM):
        data = data.removeprefix(_BOM)
    if _SEP.match(data):  # Excel's own line, which says what separates columns; lines keep their numbers
        data = _SEP.sub(b"\n", data, count=1)
    above = lines_above(data)
    return blanked(data, [(1, above + 1)]) if above else data


def _as_utf8(name: str, data: bytes, encoding: str | None) -> bytes:
    """`data` in UTF-8, from `encoding`, or from UTF-16 where it begins with its mark. DataError where it is not text in it."""
    if encoding is None and data.startswith(_UTF16) and not data.startswith(_UTF32):
        encoding = "utf-16"
    if encoding is None or codecs.lookup(encoding).name == "utf-8":
        return data
    try:
        return data.decode(encoding).encode()
    except UnicodeError as error:
        line = data.count(b"\n", 0, getattr(error, "start", 0)) + 1
        raise DataError(f"{name}:{line}: the bytes are not text in {encoding}.", "Name another: --encoding.") from None


def check_encoding(name: str) -> str:
    """The name of an encoding of text. UsageError where Python knows none of this name."""
    try:
        "".encode(name)
    except (LookupError, ValueError):  # ValueError: the name has a null character, or is none of ASCII
        raise UsageError(
            f"--encoding '{name}' is not known.", "Give e.g. utf-8, utf-16, windows-1252 or latin-1."
        ) from None
    return name


def name_of(source: str) -> str:
    """The name that messages use."""
    return "standard input" if source == "-" else shown(source)


def unreadable(name: str, error: OSError | ValueError) -> DataError:
    """The error about a file that cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return DataError(f"{name}: no such file.", "Check the path.")
    if isinstance(error, IsADirectoryError):
        return DataError(f"{name}: this is a directory.", "Name a file in it.")
    if isinstance(error, PermissionError):
        return DataError(f"{name}: reading it is not permitted.", "Change its permissions.")
    return DataError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}.", "Check the path.")


def records(name: str, data: bytes, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the line of the file (from 1) on which it begins. DataError on an open quote.

    This slow pass runs after a fault, since pandas does not say on which line a row is.
    """
    text = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True, strict=True)
    line = 1
    try:
        for fields in reader:
            if len(fields) > 1 or (fields and fields[0].strip()):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        if "field limit" in str(error):
            what = f"a field is longer than {csv.field_size_limit():,} characters."
            raise DataError(f"{name}:{line}: {what}", "Look for a quote that is not closed.") from None
        raise DataError(f"{name}:{line}: the quotes in this row do not pair up.", "Close each quoted field.") from None


def blanked(data: bytes, spans: Sequence[tuple[int, int | None]]) -> bytes:
    """`data` with the lines (from 1) in these spans emptied; a span ends before its second line, None = at the end."""
    letters = np.frombuffer(data, dtype=np.uint8)
    ends = letters == 10
    if b"\r" in data:
        ends |= (letters == 13) & (np.append(letters[1:], 0) != 10)
    edges = np.concatenate([[0], np.flatnonzero(ends) + 1, [len(data)]])  # where line i + 1 begins
    pieces, kept = [], 0
    for first, last in spans:
        begin, end = int(edges[first - 1]), len(data) if last is None else int(edges[last - 1])
        pieces += [data[kept:begin], re.sub(rb"[^\r\n]+", b"", data[begin:end])]
        kept = end
    return b"".join([*pieces, data[kept:]])


def mended(data: bytes) -> bytes:
    """`data` as text in UTF-8: zero bytes taken out, and bytes that are not UTF-8 read as Latin-1."""
    data = data.replace(b"\0", b"")
    return b"".join(_mended(data[start:stop]) for start, stop in blocks(data))


def _mended(block: bytes) -> bytes:
    if _is_text(block):
        return block
    text = block.decode("utf-8", "surrogateescape")
    return re.sub("[\udc80-\udcff]", lambda byte: chr(ord(byte[0]) - 0xDC00), text).encode()


def blocks(data: bytes) -> Iterator[tuple[int, int]]:
    """Where pieces of whole lines start and end."""
    start = 0
    while start < len(data):
        near = start + BLOCK
        stop = (data.find(b"\n", near) + 1 if near < len(data) else 0) or len(data)
        yield start, stop
        start = stop


def whole_bytes(source: str, name: str) -> bytes:
    """The bytes of a file, a URL, or standard input ("-"). DataError where they cannot be read."""
    if is_remote(source):
        from forecaster.storage.remote import faults, opened

        with faults(source, DataError), opened(source) as stream:
            return _all_of(stream, name)
    try:
        if source == "-" and sys.stdin is None:
            raise DataError(f"{name}: it is closed.", "Give it data, or name a file.")
        if source == "-":
            return _all_of(sys.stdin.buffer, name)
        path = Path(source)
        if path.is_file() and path.stat().st_size <= _MAX_SMALL:
            return path.read_bytes()
        with path.open("rb") as file:
            return _all_of(file, name)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise unreadable(name, error) from None


def _all_of(stream: IO[bytes] | gzip.GzipFile, name: str, packed: int | None = None) -> bytes:
    """All bytes of `stream`, piece by piece, so that an endless or too long one is refused while it is read."""
    pieces: list[bytes] = []
    size = 0
    while piece := stream.read(MAX_LINE):
        size += len(piece)
        if size > MAX_BYTES:
            raise DataError(f"{name}: more than {MAX_BYTES >> 30} GiB of text.", "Split it into several files.")
        if packed is not None and size > max(_MAX_SMALL, MAX_RATIO * packed):
            what = f"unpacks to more than {MAX_RATIO} times its size, as no table does."
            raise DataError(f"{name}: {what}", "If it is one, unpack it first.")
        if len(piece) == MAX_LINE and b"\n" not in piece and b"\r" not in piece:
            raise _long_line(name, sum(piece.count(b"\n") for piece in pieces) + 1)
        pieces.append(piece)
    return b"".join(pieces) if len(pieces) != 1 else pieces[0]


def _gunzip(name: str, data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return _all_of(file, name, packed=len(data))
    except (OSError, EOFError, zlib.error):
        raise DataError(f"{name}: the gzip data is damaged or cut short.", "Fetch or write it again.") from None


def _refuse_long_lines(name: str, data: bytes) -> None:
    """DataError where a line is longer than MAX_LINE. It is quick: it searches once per MAX_LINE bytes."""
    start = 0
    while len(data) - start > MAX_LINE:
        end = data.rfind(b"\n", start, start + MAX_LINE)
        end = end if end >= 0 else data.rfind(b"\r", start, start + MAX_LINE)
        if end < 0:
            raise _long_line(name, data.count(b"\n", 0, start) + 1)
        start = end + 1


def _long_line(name: str, line: int) -> DataError:
    what = f"a line is longer than {MAX_LINE >> 20} MiB."
    return DataError(f"{name}:{line}: {what}", "Expected a row per line: check that this is a CSV file.")


def refuse_binary(name: str, data: bytes) -> None:
    """RowsError where lines hold zero bytes, or bytes that are not UTF-8."""
    if b"\0" in data:
        described = "the line holds a zero byte: it is not text.", "Save the table as CSV in UTF-8."
        lines = [line for line, _ in _lines_with(data, slice(0, 1))]
        raise RowsError("encoding", np.array(lines), lambda line: f"{name}:{line}", lambda _: described)
    if _is_text(data):
        return
    wrong = {i: byte for i, text in _lines_with(data, slice(128, 256)) if (byte := _foreign(text)) is not None}
    found = list(wrong.values())
    hint = "Name its encoding, e.g. --encoding windows-1252, or save it as UTF-8."
    raise RowsError(
        "encoding",
        np.array(list(wrong)),
        lambda line: f"{name}:{line}",
        lambda k: (f"byte 0x{found[k]:02x} is not UTF-8 text.", hint),
    )


def _lines_with(data: bytes, letters: slice) -> Iterator[tuple[int, bytes]]:
    """The lines, numbered from 1, that hold a byte in this range."""
    line = 1
    for start, stop in blocks(data):
        block = np.frombuffer(data, np.uint8, stop - start, start)
        edges = np.concatenate([[0], np.flatnonzero(block == 10) + 1, [stop - start]]) + start
        there = np.flatnonzero((block >= letters.start) & (block < letters.stop)) + start
        for i in np.unique(np.searchsorted(edges, there, side="right") - 1).tolist():
            yield line + i, data[edges[i] : edges[i + 1]]
        line += len(edges) - 2


def _is_text(block: bytes) -> bool:
    if block.isascii():
        return True
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _foreign(line: bytes) -> int | None:
    """The first byte of a line that is not UTF-8."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return line[error.start]
    return None
