"""A column as text, each distinct text once; and such a column as numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.faults import RowsError, quoted

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "-nan", "NULL", "Null", "null", "None", "<NA>", "#N/A")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True)
class Cells:
    """A column as text, each distinct text once."""

    codes: IntArray  # [R] index into `texts`
    texts: Any  # pandas Index of str

    def earliest(self, indices: Sequence[int]) -> tuple[int, int]:
        """Of the given indices of texts, the one met first, and its row."""
        row = int(np.isin(self.codes, np.asarray(indices)).argmax())
        return int(self.codes[row]), row

    def rows(self, indices: Sequence[int]) -> IntArray:
        """The rows that hold one of the given texts."""
        return np.flatnonzero(np.isin(self.codes, np.asarray(indices)))


def numbers_of(cells: Cells, column: str, place: Callable[[int], str]) -> FloatArray:
    """[R] numbers of a column that is text: blanks are missing, and the first cell that is no number a DataError."""
    stripped = [str(text).strip() for text in cells.texts]
    bad = [i for i, text in enumerate(stripped) if text not in MISSING and not NUMBER.fullmatch(text)]
    if bad:
        rows = cells.rows(bad)
        codes = cells.codes[rows]
        raise RowsError("target", rows, place, lambda k: _no_number(stripped[codes[k]], column), column=column)
    values = np.array([np.nan if text in MISSING else float(text) for text in stripped])
    return values[cells.codes] if len(values) else np.full(len(cells.codes), np.nan)


def _no_number(text: str, column: str) -> tuple[str, str]:
    hint = "Leave the cell empty where a value is missing."
    if text == column:
        hint = "Delete the repeated header line."
    elif re.fullmatch(r"[+-]?\d[\d.,\s'’_]*", text):
        hint = "Write numbers without thousands separators and with a decimal point, e.g. 1234.5."
    elif re.search(r"\d", text):
        hint = "Write the number alone, e.g. -1234.5."
    return f"target {quoted(text)} (column {column}) is not a number.", hint
