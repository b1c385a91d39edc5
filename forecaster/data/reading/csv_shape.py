"""What separates the columns of a CSV file, and the lines around its table: titles above it, and rows without any value below."""

from __future__ import annotations

import csv
import io
import re
from itertools import islice

HEAD = 65_536  # bytes from which the delimiter, and whether spaces follow it, is inferred
DELIMITERS = (",", ";", "\t", "|")
_ROWS = 50  # that are compared with the header


def lines_above(data: bytes) -> int:
    """Lines above the header, such as a title or comments: they separate no columns, and names of columns follow.

    Spreadsheets write empty cells after a title (`Sales report,,`). A comment that begins with # may hold a mark that
    separates, but has not as many fields as the header.
    """
    above: list[str] = []
    for line in re.split(r"\r\n|\r|\n", data[:HEAD].decode("utf-8", "ignore")):
        cells = line.rstrip("".join(DELIMITERS) + " ")
        if any(mark in cells for mark in DELIMITERS) and not line.startswith("#"):
            break
        above.append(line)
    else:
        return 0  # there is no table
    if not any(text.strip("".join(DELIMITERS) + " ") for text in above) or any(
        '"' in text and text.count('"') % 2 for text in above
    ):
        return 0
    mark = delimiter_of(line.encode())
    names = _fields(line, mark)
    if any(text.startswith("#") and len(_fields(text, mark)) == len(names) for text in above):
        return 0  # it may be the header
    first = next((name for name in names if name), "")
    return len(above) if first[:1].isalpha() or first.startswith("_") else 0


def _fields(line: str, mark: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])]


def delimiter_of(data: bytes) -> str:
    """The mark that the header has most often, the comma among equals; another where that one alone fits the rows.

    A header's names may hold commas, and numbers decimal commas: of two marks that fit, one that is no comma is it.
    """
    head = data[:HEAD].lstrip(b" \r\n")
    first = head.split(b"\n", 1)[0].decode("utf-8", "ignore")
    usual = max(DELIMITERS, key=first.count)
    there = [mark for mark in DELIMITERS if mark in first]
    if len(there) < 2:
        return usual
    whole = head if len(data) <= HEAD else head[: head.rfind(b"\n") + 1]
    widths = {mark: _width(whole.decode("utf-8", "ignore"), mark) for mark in there}
    return max(there, key=lambda mark: (widths[mark], mark != ",", mark == usual)) if any(widths.values()) else usual


def _width(text: str, mark: str) -> int:
    """Columns of a table that `mark` separates; 0 where rows have another number of fields than the header."""
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=True)
        counts = [len(fields) for fields in islice((row for row in rows if any(row)), _ROWS + 1)]
    except csv.Error:
        return 0
    return counts[0] if len(counts) > 1 and len({*counts}) == 1 else 0


def without_empty_rows(data: bytes, delimiter: str) -> bytes:
    """`data` with lines of delimiters alone made blank, so that all others keep their numbers; the last ones are cut off."""
    mark = delimiter.encode()
    if not data.startswith(mark) and data.find(b"\n" + mark) < 0:
        return data
    blank = re.sub(rb"(?m)^[ \t" + re.escape(mark) + rb"]+(?=\r?$)", b"", data)
    return data if len(blank) == len(data) else blank.rstrip(b"\r\n") + b"\n"
