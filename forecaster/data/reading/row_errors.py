"""Errors about rows with one kind of fault. Reading stops at the first of these rows; `find_faults.py` lists all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

Describe: TypeAlias = "Callable[[int], tuple[str, str]]"  # k -> what is wrong in the k-th faulty row, and a hint


class RowsError(DataError):
    """Rows that cannot be used, all for the same reason; its message is about the first.

    `rows` are rows of the table, from 0; with "fields" and "encoding" they are lines of the file, from 1. `place` gives
    "sales.csv:17" for one of them. Reading can go on without the rows `drop`, which are `rows` unless given.
    """

    def __init__(
        self,
        what: str,  # "timestamp", "offset", "target", "series", "duplicate", "clock", "frequency", "gap", "fields", "encoding"
        rows: IntArray,
        place: Callable[[int], str],
        describe: Describe,
        *,
        column: str | None = None,
        drop: IntArray | None = None,
    ) -> None:
        found, hint = describe(0)
        super().__init__(f"{place(int(rows[0]))}: {found}", hint)
        self.what, self.rows, self.place, self.describe, self.column = what, rows, place, describe, column
        self.drop = rows if drop is None else drop


class NumbersError(RowsError):
    """Cells of a column that are no numbers. `rest` [R] float64 is the column with these cells missing."""

    def __init__(
        self, column: str, rows: IntArray, place: Callable[[int], str], describe: Describe, *, rest: FloatArray
    ) -> None:
        super().__init__("target", rows, place, describe, column=column)
        self.rest = rest
