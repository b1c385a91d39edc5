"""A plain CSV file, read by NumPy alone: no quotes but in the header, no spaces, ISO dates or whole numbers, series one
after the other.

Our own reader stays because importing pandas takes 0.5 s of processor, more than a file of 344,000 rows takes to be read
here (0.3 s). pandas reads every other file. Both give the same values to the bit; pandas' path finds and describes faults.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.time_zones import DAY, SECOND

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from forecaster.typing import BoolArray, FloatArray, IntArray

    Bytes: TypeAlias = NDArray[np.uint8]

BLOCK = 1 << 21  # bytes worked on at once: columns of so many rows stay in the processor's cache
_MAX_FIELD = 64  # bytes of a field
_MIN_TOGETHER = 32  # columns of numbers that are read together
_MAX_EXACT_DIGITS = 15  # up to which digits and power of ten are exact in float64, and so is their quotient
_MAX_ODD_SHARE = 0.1  # of numbers that are missing or have an exponent
_MAX_RUN_SHARE = 0.25  # of rows at which another series begins
_STAMP = re.compile(rb"\d{4}-\d\d(-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{3}|\.\d{6})?)?)?)?")
_PARTS = ((0, 4), (5, 7), (8, 10), (11, 13), (14, 16), (17, 19))  # year, month, day, hour, minute, second
_FRACTION = 20  # where the digits of a second's fraction begin


class _NotPlainError(Exception):
    """The file is not plain: pandas reads it."""


@dataclass(frozen=True)
class PlainColumns:
    """Columns of R rows."""

    codes: dict[str, IntArray] = field(default_factory=dict)  # [R] index into `texts` of columns that repeat
    texts: dict[str, list[str]] = field(default_factory=dict)
    dates: dict[str, IntArray] = field(default_factory=dict)  # [R] microseconds since 1970
    steps: dict[str, IntArray] = field(default_factory=dict)  # [R] whole numbers
    numbers: dict[str, FloatArray] = field(default_factory=dict)  # [R] NaN = missing


def read_plain(
    data: bytes, marks: str, columns: Sequence[str], kinds: Mapping[str, str], missing: Sequence[str]
) -> PlainColumns | None:
    """The columns named in `kinds`: "series", "stamp" or "number"; None where the file is not plain.

    `marks` are what separates columns, and the decimal mark if it is no point. Numbers are NaN where the field is one of
    `missing`.
    """
    mark, decimal = marks[:1].encode(), marks[1:].encode() or b"."
    if data.find(b'"', data.find(b"\n")) >= 0 or b"\r" in data or mark + b" " in data or b" " + mark in data:
        return None
    rows = data.count(b"\n") - data.endswith(b"\n")
    place = {name: i for i, name in enumerate(columns)}
    reader = _Reader(rows, {place[name]: kind for name, kind in kinds.items()}, missing, decimal)
    try:
        for block, starts, ends in _blocks(data, mark, len(columns)):
            reader.add(block, starts, ends)
        return reader.result(columns)
    except _NotPlainError:
        return None


def _blocks(data: bytes, mark: bytes, width: int) -> Iterator[tuple[Bytes, IntArray, IntArray]]:
    """Whole lines after the header: their bytes, and where each field [lines, width] starts and ends in them."""
    position = data.find(b"\n") + 1
    while position < len(data):
        stop = len(data) if len(data) - position <= BLOCK else data.rfind(b"\n", position, position + BLOCK) + 1
        if stop <= position:
            raise _NotPlainError
        block = np.frombuffer(data, np.uint8, stop - position, position)
        if block[-1] != ord("\n"):
            block = np.append(block, np.uint8(ord("\n")))
        ends = np.flatnonzero((block == ord("\n")) | (block == ord(mark)))
        if len(ends) % width or (block[ends.reshape(-1, width)] == ord("\n"))[:, :-1].any():
            raise _NotPlainError  # ragged
        if (block[ends[width - 1 :: width]] != ord("\n")).any():
            raise _NotPlainError
        starts = np.concatenate([[0], ends[:-1] + 1])
        yield block, starts.reshape(-1, width), ends.reshape(-1, width)
        position = stop


class _Reader:
    """Fills whole columns block by block. _NotPlainError where a block is not plain."""

    def __init__(self, rows: int, kinds: Mapping[int, str], missing: Sequence[str], decimal: bytes) -> None:
        self.decimal = decimal
        self.kinds, self.missing = dict(kinds), {text.encode() for text in missing}
        self.values = {i: np.empty(rows, np.float64 if kind == "number" else np.int64) for i, kind in kinds.items()}
        self.names: dict[int, dict[bytes, int]] = {i: {} for i in kinds}
        self.form: dict[int, tuple[bytes, int]] = {}  # of stamps: date or step, and bytes in a date
        self.done = 0

    def add(self, block: Bytes, starts: IntArray, ends: IntArray) -> None:
        """Read the lines of a block; its fields [lines, width] start and end at these bytes."""
        part = slice(self.done, self.done + len(starts))
        many = [i for i, kind in self.kinds.items() if kind == "number"]
        if len(many) > _MIN_TOGETHER:  # a wide table: one column at a time would take as long for few rows as for many
            start = starts[:, many].reshape(-1)
            length = ends[:, many].reshape(-1) - start
            if length.max(initial=0) > _MAX_FIELD:
                raise _NotPlainError
            together = self._numbers(0, block, start, length).reshape(len(starts), -1)
            for k, i in enumerate(many):
                self.values[i][part] = together[:, k]
        for i, kind in self.kinds.items():
            if kind == "number" and len(many) > _MIN_TOGETHER:
                continue
            start, length = starts[:, i], ends[:, i] - starts[:, i]
            if length.max(initial=0) > _MAX_FIELD:
                raise _NotPlainError
            read = {"series": self._codes, "stamp": self._stamps, "number": self._numbers}[kind]
            self.values[i][part] = read(i, block, start, length)
        self.done = part.stop

    def result(self, columns: Sequence[str]) -> PlainColumns:
        """The columns, by the names in `columns`, once all blocks are added."""
        plain = PlainColumns()
        for i, kind in self.kinds.items():
            name, values = columns[i], self.values[i]
            if self.done != len(values):
                raise _NotPlainError
            if kind == "number":
                plain.numbers[name] = np.asarray(values, np.float64)
                continue
            whole = np.asarray(values, np.int64)
            if kind == "series":
                plain.codes[name], plain.texts[name] = whole, [text.decode() for text in self.names[i]]
            elif self.form[i][0] == b"date":
                plain.dates[name] = whole
            else:
                plain.steps[name] = whole
        return plain

    def _codes(self, i: int, block: Bytes, start: IntArray, length: IntArray) -> IntArray:
        new = np.ones(len(start), dtype=bool)
        new[1:] = length[1:] != length[:-1]
        for j in range(int(length.max(initial=0))):
            letter = block[start + np.minimum(j, length)]  # what follows a field is the same for all of a column
            new[1:] |= letter[1:] != letter[:-1]
        first = np.flatnonzero(new)
        if len(first) > 2 + _MAX_RUN_SHARE * len(start):
            raise _NotPlainError
        names = self.names[i]
        text = block.tobytes()
        found = [
            names.setdefault(text[s : s + n], len(names)) for s, n in zip(start[first], length[first], strict=True)
        ]
        return np.repeat(found, np.diff(np.append(first, len(start))))

    def _stamps(self, i: int, block: Bytes, start: IntArray, length: IntArray) -> IntArray:
        if i not in self.form:
            text = block[start[0] : start[0] + length[0]].tobytes()
            self.form[i] = (b"date" if _STAMP.fullmatch(text) else b"step", len(text))
        kind, size = self.form[i]
        if kind == b"date":
            if (length != size).any():
                raise _NotPlainError
            dates = _dates(block, start, size)
            if size == len("2000-01") and _may_be_fiscal(block, start):
                raise _NotPlainError
            return dates
        read = _decimals(block, start, length)
        if read.odd.any() or read.long.any() or read.places.any():
            raise _NotPlainError
        if ((block[start] == ord("0")) & (length > 1)).any():  # a date such as 01012019
            raise _NotPlainError
        return read.digits

    def _numbers(self, _: int, block: Bytes, start: IntArray, length: IntArray) -> FloatArray:
        read = _decimals(block, start, length, ord(self.decimal))
        sign = np.where(block[start] == ord("-"), -1.0, 1.0)
        values: FloatArray = sign * (np.abs(read.digits) / 10.0**read.places)  # so that -0 stays what it is
        if read.long.any():
            values[read.long] = _matrix(block, start[read.long], length[read.long], ord(self.decimal)).astype(
                np.float64
            )
        if read.odd.any():
            rows = np.flatnonzero(read.odd)
            if len(rows) > 100 and len(rows) > _MAX_ODD_SHARE * len(start):
                raise _NotPlainError
            values[rows] = [self._odd(block[start[r] : start[r] + length[r]].tobytes()) for r in rows]
        return values

    def _odd(self, text: bytes) -> float:
        if text in self.missing:
            return np.nan
        if self.decimal != b".":
            if b"." in text:
                raise _NotPlainError
            text = text.replace(self.decimal, b".")
        if not re.fullmatch(rb"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", text):
            raise _NotPlainError
        return float(text)


@dataclass(frozen=True)
class _Decimals:
    """Fields read as decimals: `digits` / 10 ** `places`."""

    digits: IntArray  # with their sign
    places: IntArray  # digits after the point
    long: BoolArray  # decimals of more than _MAX_EXACT_DIGITS, cut off here
    odd: BoolArray  # no decimals


def _decimals(block: Bytes, start: IntArray, length: IntArray, mark: int = ord(".")) -> _Decimals:
    digits, places, points = (np.zeros(len(start), np.int64) for _ in range(3))
    first = block[start]
    signed = (first == ord("-")) | (first == ord("+"))
    odd = np.zeros(len(start), bool)
    for j in range(int(length.max(initial=0))):
        letter = block[start + np.minimum(j, length)]
        here = (j < length) & ~(signed & (j == 0))
        point = here & (letter == mark)
        digit = letter - np.uint8(ord("0"))
        figure = here & (digit <= 9)
        odd |= here & ~point & ~figure
        if j < _MAX_EXACT_DIGITS:
            digits = np.where(figure, 10 * digits + digit, digits)
            places += figure & (points > 0)
        points += point
    odd |= (points > 1) | (length - signed - points <= 0)
    signed_digits = np.where(first == ord("-"), -digits, digits)
    return _Decimals(signed_digits, places, long=(length > _MAX_EXACT_DIGITS) & ~odd, odd=odd)


def _matrix(block: Bytes, start: IntArray, length: IntArray, mark: int) -> NDArray[np.bytes_]:
    """[rows] fields as fixed-width texts with a decimal point."""
    place = np.arange(int(length.max()))
    letters = block[start[:, None] + np.minimum(place, length[:, None])]
    letters[place >= length[:, None]] = 0
    letters[letters == mark] = ord(".")
    texts: NDArray[np.bytes_] = np.ascontiguousarray(letters).view(f"S{letters.shape[1]}")[:, 0]
    return texts


def _dates(block: Bytes, start: IntArray, size: int) -> IntArray:
    """Microseconds since 1970 of ISO texts that all have `size` bytes."""
    letters = block[start + np.arange(size)[:, None]]  # [size, rows]
    figures = letters - np.uint8(ord("0"))
    places = [(i, j) for i, j in (*_PARTS, (_FRACTION, max(size, _FRACTION + 1))) if j <= size]
    between = letters[sorted({*range(size)} - {k for i, j in places for k in range(i, j)})]
    if any((figures[i:j] > 9).any() for i, j in places) or (between != between[:, :1]).any():
        raise _NotPlainError
    found = [_joined(figures[i:j]) for i, j in places] + [np.int64(1)] * (size == 7) + [np.int64(0)] * 5
    year, month, day, hour, minute, second, fraction = found[:7]
    if (year < 1).any() or (month < 1).any() or (month > 12).any():
        raise _NotPlainError
    if (hour > 23).any() or (minute > 59).any() or (second > 59).any():
        raise _NotPlainError
    months = 12 * (year - 1970) + month - 1
    least = months.min()
    # Days since 1970 on which the months begin: there are few, so they are looked up.
    begin = np.arange(least, months.max() + 2).astype("M8[M]").astype("M8[D]").astype(np.int64)
    months -= least
    if (day < 1).any() or (day > np.diff(begin)[months]).any():
        raise _NotPlainError
    result: IntArray = (begin[months] + day - 1) * DAY + (3600 * hour + 60 * minute + second) * SECOND
    return result if size <= _FRACTION else result + fraction * 10 ** (_FRACTION + 6 - size)


def _joined(figures: Bytes) -> IntArray:
    """Figures [k, rows], the first one most significant -> numbers [rows]."""
    number: IntArray = figures[0].astype(np.int64)
    for figure in figures[1:]:
        number = 10 * number + figure
    return number


def _may_be_fiscal(block: Bytes, start: IntArray) -> bool:
    """Whether all texts such as 2000-01 end in the year after."""
    figures = (block[start[:, None] + np.array([2, 3, 5, 6])] - np.uint8(ord("0"))).astype(np.int64)
    years = figures @ np.array([[10, 0], [1, 0], [0, 10], [0, 1]])
    return bool(((years[:, 0] + 1) % 100 == years[:, 1]).all())
