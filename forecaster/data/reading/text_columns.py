"""A column of text, stored as its distinct texts and a code for each row, and its conversion to numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.reading.number_form import PLAIN, SPACES, THOUSANDS, NumberForm
from forecaster.data.reading.number_signs import other_signs, without_sign
from forecaster.data.reading.row_errors import NumbersError
from forecaster.errors import quoted

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "-nan", "NULL", "Null", "null", "None", "<NA>", "#N/A")
_MIN_PANDAS_TEXTS = 1000  # texts from which pandas is quicker than Python
MAX_MAGNITUDE = 1e36  # of a number: members are sorted in 32 bits, up to 3.4e38, and forecasts may go beyond the data
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)


@dataclass(frozen=True)
class TextColumn:
    """A column as text, each distinct text once."""

    codes: IntArray  # [R] index into `texts`
    texts: Any  # pandas Index of str

    def earliest(self, indices: Sequence[int]) -> tuple[int, int]:
        """The given index of a text that occurs first in the column, and its row."""
        row = int(np.isin(self.codes, np.asarray(indices)).argmax())
        return int(self.codes[row]), row

    def rows(self, indices: Sequence[int]) -> IntArray:
        """The rows that hold one of the given texts."""
        return np.flatnonzero(np.isin(self.codes, np.asarray(indices)))


def numbers_of(column: TextColumn, name: str, place: Callable[[int], str], form: NumberForm = PLAIN) -> FloatArray:
    """[R] float64 numbers of a column of texts; blanks are NaN. NumbersError where cells are no numbers."""
    values, bad = numbers_in(column.texts, form)
    numbers = values[column.codes] if len(values) else np.full(len(column.codes), np.nan)
    if bad:
        rows = column.rows(list(bad))
        codes = column.codes[rows]
        raise numbers_error(name, rows, [bad[code] for code in codes.tolist()], place, numbers)
    return numbers


def numbers_in(texts: Any, form: NumberForm = PLAIN) -> tuple[FloatArray, dict[int, str]]:
    """Numbers of texts, NaN where one is missing or no number; and the texts that are no numbers, by index."""
    texts = np.asarray(texts, dtype=object)
    if not form.is_plain:
        written = [_with_minus(str(text).strip()) for text in texts]
        values, bad = numbers_in([form.plain(text) for text in written])
        odd = other_signs(written) if form.signs else set()
        odd = {i for i in odd if not np.isnan(values[i])}
        values[list(odd)] = np.nan
        return values, {i: str(texts[i]).strip() for i in sorted({*bad, *odd})}
    values = _numbers_read(texts) if len(texts) > _MIN_PANDAS_TEXTS else np.full(len(texts), np.nan)
    bad = {}
    for i in np.flatnonzero(np.isnan(values)).tolist():
        text = str(texts[i]).strip()
        if text in MISSING:
            continue
        text = _with_minus(text)
        if NUMBER.fullmatch(text):
            values[i] = float(text)
        else:
            bad[i] = text
    return values, bad


def _with_minus(text: str) -> str:
    """The text with a plain minus in place of the typographic one."""
    return text.replace("\u2212", "-", 1) if text.startswith("\u2212") else text


def _numbers_read(texts: Any) -> FloatArray:
    """Numbers that pandas can read, to the last bit; NaN for other texts, which need a closer look."""
    import pandas as pd

    numbers = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
    read: FloatArray = numbers.to_numpy(np.float64, copy=True)
    sure = ~np.isnan(read)
    try:
        read[sure] = texts[sure].astype(np.float64)  # pandas may differ from Python in the last bit
    except ValueError:
        read[:] = np.nan
    return read


def numbers_error(
    column: str, rows: IntArray, texts: Sequence[str], place: Callable[[int], str], rest: FloatArray
) -> NumbersError:
    """The error about `rows` of a column, whose cells hold `texts`; `rest` [R] is the column with these missing."""
    return NumbersError(column, rows, place, lambda k: _not_a_number(texts[k], column), rest=rest)


def _not_a_number(text: str, column: str) -> tuple[str, str]:
    shown, hint = quoted(text), "Leave the cell empty where a value is missing."
    if text == column:
        hint = "Delete the repeated header line."
    elif without_sign(text)[1] and PLAIN.fits(without_sign(text)[0]):
        hint = "Write the number alone, e.g. -1234.5, or give all numbers of the column the same sign."
    elif PLAIN.fits(without_sign(text)[0]):  # of another form than all others
        hint = "Write it with the marks of the others, or say how all are written: --decimal ."
    elif re.fullmatch(r"[+-]?\d[\d.,\s'’_]*", without_sign(text)[0]):
        text = without_sign(text)[0]
        options = " or ".join(_marks_of(text)) or "--decimal , or --thousands ."
        hint = f"Say what its marks are with {options} or write it as 1234.5."
    elif re.search(r"\d", text):
        hint = "Write the number alone, e.g. -1234.5."
    return f"target {shown} (column {column}) is not a number.", hint


def _marks_of(text: str) -> list[str]:
    """The options with which a text is a number."""
    thousands = [
        mark for mark in THOUSANDS if mark in text and NumberForm("," if mark == "." else ".", mark).fits(text)
    ]
    decimal = ["--decimal ,"] if NumberForm(",").fits(text) else []
    typed = [" " if mark in SPACES else mark for mark in thousands]
    return decimal + [f"--thousands {mark if mark in ',._' else repr(mark)}" for mark in typed]


def too_large(values: FloatArray) -> IntArray:
    """Rows whose number is too large to compute with."""
    return np.flatnonzero((values > MAX_MAGNITUDE) | (values < -MAX_MAGNITUDE))


def why_too_large(value: float) -> tuple[str, str]:
    """What is wrong with a number that is too large, and a hint."""
    if np.isinf(value):
        return "is not finite.", "Leave the cell empty where a value is missing."
    return "is too large to compute with.", "Give it in a larger unit."
