"""One kind of fault, wherever it occurs: reading stops at it and tells the first, `checks.py` tells them all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

Tell: TypeAlias = "Callable[[int], tuple[str, str]]"


class RowsError(DataError):
    """Rows that cannot be used, all for the same reason; as an error it is about the first.

    `tell(k)` gives what was found in the k-th of `rows` and what mends it; `drop` are the rows without which reading
    could go on, where these are others; `rest` is the column of numbers [R] with these rows missing.
    """

    def __init__(
        self,
        what: str,  # "timestamp", "offset", "target", "series", "duplicate", "clock", "frequency", "gap", "fields", "encoding"
        rows: IntArray,  # of the table, from 0; or lines of the file, from 1
        place: Callable[[int], str],
        tell: Tell,
        *,
        column: str | None = None,
        drop: IntArray | None = None,
        rest: FloatArray | None = None,
    ) -> None:
        found, hint = tell(0)
        super().__init__(f"{place(int(rows[0]))}: {found}", hint)
        self.what, self.rows, self.place, self.tell, self.column = what, rows, place, tell, column
        self.drop, self.rest = rows if drop is None else drop, rest
