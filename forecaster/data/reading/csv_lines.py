"""Finds the line on which each record of a CSV file begins, and its number of fields. Only a fault needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.csv_bytes import blocks, records
from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.typing import IntArray

_MAX_PARSED_SHARE = 0.05  # of lines that are parsed one by one


@dataclass(frozen=True)
class RecordLines:
    """Every record that is not blank, the header first."""

    number: IntArray  # [records] line of the file, from 1
    fields: IntArray  # [records]


def lines_of(name: str, data: bytes, delimiter: str) -> RecordLines | None:
    """The records of a file. None where they are not lines: a field spans several, or lines end in carriage returns."""
    if b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        return None
    numbers, fields, line = [], [], 1
    for start, stop in blocks(data):
        counted = _counted(name, data[start:stop], delimiter)
        if counted is None:
            return None
        there = np.flatnonzero(counted)
        numbers.append(there + line)
        fields.append(counted[there])
        line += len(counted)
    return RecordLines(np.concatenate(numbers), np.concatenate(fields))


def _counted(name: str, block: bytes, delimiter: str) -> IntArray | None:
    """Fields of each line, 0 = blank; None where they cannot be counted line by line."""
    letters = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(letters == 10)
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(block))
    starts = np.concatenate([[0], ends[:-1] + 1])
    marks = np.searchsorted(np.flatnonzero(letters == ord(delimiter)), np.append(starts, len(block)))
    counts = np.diff(marks) + 1
    counts[ends - starts == 0] = 0
    close = (counts == 1) & (ends > starts)  # blanks alone make no record
    if b'"' in block:
        close[np.searchsorted(ends, np.flatnonzero(letters == ord('"')))] = True
    odd = np.flatnonzero(close)
    if len(odd) > _MAX_PARSED_SHARE * len(counts) + 1000:
        return None
    for i in odd.tolist():
        try:
            found = list(records(name, block[starts[i] : ends[i]], delimiter))
        except DataError:
            return None
        counts[i] = len(found[0][1]) if found else 0
    return counts
