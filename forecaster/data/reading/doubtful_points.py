"""Points in numbers that may separate thousands, which only a whole column shows: 998, then 1.012 after thousands of rows.

Such a column is asked about. Numbers that have been read rule nearly every column out at once; the texts of the others decide.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from forecaster.data.reading.csv_bytes import blocks
from forecaster.data.reading.number_form import PLAIN
from forecaster.data.reading.number_signs import without_sign
from forecaster.errors import DataError

_POINTED = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}")
_SMALL = re.compile(r"[+-]?\d{1,3}")
_POINTED_DATE = re.compile(r"\d{1,2}\.\d{1,2}\.(\d{4}|\d{2})(\D.*)?")  # of countries whose decimal mark is the comma
_LIMIT = 1000.0  # from which a number has more digits than stand before a mark
_PROBE = 10_000  # numbers that are looked at before all


def likely_columns(sample: Mapping[str, Sequence[str]], money: Collection[str]) -> frozenset[str]:
    """Columns in which points separate thousands, as a rule: all beside dates with points, else those called `money`."""
    abroad = any(texts and all(map(_POINTED_DATE.fullmatch, texts)) for texts in sample.values())
    return frozenset(sample) if abroad else frozenset(money)


def refuse_doubtful_points(name: str, column: str, texts: Iterable[object], *, likely: bool) -> None:
    """DataError for a column of numbers with three digits after the point, and of small ones without a point.

    Points there separate thousands, as a rule. `likely`: dates or money say so, too, and all numbers may have a point. Texts
    that are no numbers say nothing.
    """
    first, whole = "", False
    for each in texts:
        text = str(each).strip().replace("\u2212", "-")
        number = text if PLAIN.fits(text) else without_sign(text)[0]
        if "." in number:
            if _POINTED.fullmatch(number):
                first = first or number
            elif PLAIN.fits(number):
                return
        elif _SMALL.fullmatch(number):
            whole = True
        elif PLAIN.fits(number):
            return
    if first and (likely or whole):
        why = "all numbers fit both" if likely else "others have no point"
        raise DataError(
            f"{name}: number '{first}' (column {column}) may have decimals or thousands: {why}.",
            "Say which: --decimal . or --thousands .",
        )


def may_be_doubtful(values: np.ndarray) -> bool:
    """Whether numbers [R], read with a decimal point, may be those of a doubtful column."""
    return all(_fit(some) for some in (values[:: len(values) // _PROBE + 1], values))


def _fit(values: np.ndarray) -> bool:
    size = np.abs(values[~np.isnan(values)])
    if not len(size) or size.max() >= _LIMIT or ((size > 0) & (size < 1)).any():
        return False
    thousandths = size * 1000
    return bool((np.abs(thousandths - np.rint(thousandths)) < 1e-6).all())


def pointed_columns(data: bytes, delimiter: str) -> frozenset[int] | None:
    """The places of the columns of a CSV file that have a number with three digits after a point; None = not known."""
    found = set[int]()
    for start, stop in blocks(data):
        letters = np.frombuffer(data, np.uint8, stop - start, start)
        points = np.flatnonzero(letters == ord("."))
        points = points[(points > 0) & (points + 3 < len(letters))]
        for step in (3, 2, 1, -1):
            points = points[letters[points + step] - np.uint8(ord("0")) <= 9]
        after = letters[np.minimum(points + 4, len(letters) - 1)]
        points = points[(points + 4 == len(letters)) | ((after - np.uint8(ord("0")) > 9) & (after != ord(".")))]
        if not len(points):
            continue
        if b'"' in data:
            return None  # marks within quotes separate nothing
        ends = np.append(-1, np.flatnonzero((letters == 10) | (letters == 13)))
        marks = np.flatnonzero(letters == ord(delimiter))
        begin = ends[np.searchsorted(ends, points) - 1]
        found |= {*np.unique(np.searchsorted(marks, points) - np.searchsorted(marks, begin)).tolist()}
    return frozenset(found)
