"""A table without its faulty rows, so that reading can go on to the next kind of fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.row_errors import NumbersError, RowsError
from forecaster.data.reading.table import TableView
from forecaster.data.reading.text_columns import TextColumn

if TYPE_CHECKING:
    from forecaster.data.reading.parsed_timestamps import ParsedTimestamps
    from forecaster.typing import FloatArray, IntArray


@dataclass(frozen=True)
class FilteredTable(TableView):
    """`base` without some rows. Targets that are not numbers are passed to `log` and read as missing; their rows stay."""

    log: Callable[[RowsError], None]
    kept: IntArray | None = None  # rows of `base`, ascending; None = all
    holes: dict[str, IntArray] = field(default_factory=dict)  # column → rows of `base` that read as missing
    _whole: dict[str, FloatArray] = field(default_factory=dict)  # column → numbers of all rows of `base`
    _stamps: dict[str, tuple[IntArray, ParsedTimestamps]] = field(
        default_factory=dict
    )  # column → [rows of `base`], once read

    @property
    def rows(self) -> int:
        """Rows that are left."""
        return self.base_rows if self.kept is None else len(self.kept)

    @property
    def is_empty(self) -> bool:
        """Whether all rows were taken out."""
        return self.kept is not None and not len(self.kept)

    @property
    def is_gutted(self) -> bool:
        """Whether more than half of the rows are gone, so that further faults may come from that."""
        lost = 0 if self.kept is None else self.base_rows - len(self.kept)
        return 2 * max(lost, *(len(rows) for rows in self.holes.values()), 0) > self.base_rows

    @property
    def base_rows(self) -> int:
        """Rows of the whole table."""
        return len(next(iter(self._whole.values()))) if self._whole else self.base.rows

    def without(self, rows: IntArray) -> FilteredTable:
        """This table without these of its rows."""
        mask = np.ones(self.rows, dtype=bool)
        mask[rows] = False
        return replace(self, kept=np.flatnonzero(mask) if self.kept is None else self.kept[mask])

    def blanked(self, column: str, rows: IntArray) -> FilteredTable:
        """This table with these of its rows read as missing in a column of numbers."""
        rows = self.base_row(rows)
        self._whole[column] = self._whole[column].copy()
        self._whole[column][rows] = np.nan
        self.holes[column] = np.union1d(self.holes.get(column, rows), rows)
        return self

    def base_row(self, rows: IntArray) -> IntArray:
        """The rows of `base` that these rows are."""
        return rows if self.kept is None else self.kept[rows]

    def load(self, texts: Sequence[str], numbers: Sequence[str], *, distinct: Sequence[str] = ()) -> None:
        """Parse these columns of `base`, except numbers that were parsed before."""
        self.base.load(texts, [column for column in numbers if column not in self._whole], distinct=distinct)

    def text_column(self, column: str) -> TextColumn:
        """The rows that are left of a column as text."""
        whole = self.base.text_column(column)
        if self.kept is None:
            return whole
        codes = whole.codes[self.kept]
        used = np.zeros(len(whole.texts), dtype=bool)
        used[codes] = True
        return TextColumn((np.cumsum(used) - 1)[codes], whole.texts[used])

    def numbers(self, columns: Sequence[str]) -> dict[str, FloatArray]:
        """The rows that are left of columns [R] as float64; a cell that is no number is logged and missing."""
        for column in columns:
            if column not in self._whole:
                self._whole[column] = self._mended(column)
        return {c: self._whole[c] if self.kept is None else self._whole[c][self.kept] for c in columns}

    def stamps(self, column: str) -> tuple[IntArray, ParsedTimestamps] | None:
        """[R] codes and distinct timestamps, typed or parsed before; None where a column was not parsed yet."""
        typed = self._stamps.get(column) or self.base.stamps(column)
        return typed if typed is None or self.kept is None else (typed[0][self.kept], typed[1])

    def keep_stamps(self, column: str, codes: IntArray, stamps: ParsedTimestamps) -> None:
        """Keep a column's parsed timestamps for the next reading, which has fewer rows."""
        index = codes  # of all rows of `base`
        if self.kept is not None:
            index = np.zeros(self.base_rows, dtype=np.int64)
            index[self.kept] = codes
        self._stamps[column] = index, stamps

    def place(self, row: int) -> str:
        """Where a row is: "sales.csv:17"."""
        return self.base.place(row if self.kept is None else int(self.kept[row]))

    def _mended(self, column: str) -> FloatArray:
        try:
            return self.base.numbers([column])[column]
        except NumbersError as error:
            self.log(error)
            self.holes[column] = error.rows
            return error.rest
