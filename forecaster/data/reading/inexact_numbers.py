"""Whole numbers of the file that a 64-bit floating-point number does not hold: identifiers, mostly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecaster.data.reading.table import RawTable
    from forecaster.typing import FloatArray

LIMIT = 2.0**53  # up to which every whole number is held


def inexact_warning(table: RawTable, names: Sequence[str], columns: Sequence[FloatArray]) -> str:
    """That targets, columns [R] of these names, are whole numbers that were rounded to be read; empty where none were."""
    for name, values in zip(names, columns, strict=False):  # no name where nothing is a target
        rows = np.flatnonzero(np.abs(values) > LIMIT)
        if not len(rows):
            continue
        table.load([name], ())
        column = table.text_column(name)
        thousands = table.marks.get("thousands") or ""
        texts = [str(text).strip().replace(thousands, "") if thousands else str(text).strip() for text in column.texts]
        lost = [i for i, text in enumerate(texts) if text.lstrip("+-").isdecimal() and int(float(text)) != int(text)]
        if lost:
            hit = column.rows(lost)
            row = int(hit[0])
            return (
                f"{table.place(row)}: target {texts[int(column.codes[row])]} (column {name}){_more(len(hit) - 1)} is read as "
                f"{int(values[row])}, as numbers beyond 2^53 lose digits: if it is an identifier, name another --target"
            )
    return ""


def _more(count: int) -> str:
    return f" and {count:,} more" if count else ""
