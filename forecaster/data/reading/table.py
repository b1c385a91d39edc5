"""What every table can do before it is interpreted: columns of text or of numbers, and the place of each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn, Protocol

from forecaster.data.reading.datetime_text import looks_like_stamp
from forecaster.data.reading.text_columns import NUMBER, TextColumn
from forecaster.data.reading.written_dates import looks_written
from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.data.reading.parsed_timestamps import ParsedTimestamps
    from forecaster.typing import FloatArray, IntArray

MAX_COLUMNS = 100_000
_MAX_PROBED = 50  # names of columns of which most are times, if columns are
MIN_TIMES = 3  # in a header that shows a table with a row for each series
WIDE_COLUMNS, WIDE_SAMPLE = 1000, 20  # columns of a table from which fewer rows are looked at
SAMPLE = 200  # rows from which the columns' roles are inferred


def check_header(place: str, header: Sequence[str]) -> tuple[str, ...]:
    """Column names as the file gives them. DataError where there is no header, or two columns have one name."""
    names = tuple(name.strip() or f"column {i}" for i, name in enumerate(header, start=1))
    if len(names) > MAX_COLUMNS:
        raise DataError(
            f"{place}: there are {len(names):,} columns, and at most {MAX_COLUMNS:,} are read.",
            "Write the rows with a column that names the series.",
        )
    dates = [name for name in names if looks_like_stamp(name)]
    if MIN_TIMES <= len(dates) < len(names):
        refuse_turned(place, dates)
    some = names[:_MAX_PROBED]
    written = [name for name in some if looks_written(name)]
    if len(written) >= max(MIN_TIMES, len(some) / 2) and len(written) < len(names):
        refuse_turned(place, [*written, *names[_MAX_PROBED:]])
    if dates or all(NUMBER.fullmatch(name) for name in names):
        what = f"'{dates[0]}' is a date" if dates else f"'{names[0]}' is a number"
        raise DataError(
            f"{place}: there is no header: {what}, not a column's name.",
            "Give the columns names in the first line, and dates a column of their own.",
        )
    seen = set[str]()
    twice = next((name for name in names if name in seen or seen.add(name)), None)  # type: ignore[func-returns-value]
    if twice is not None:
        raise DataError(f"{place}: two columns are called '{twice}'.", "Rename one of them.")
    if len(names) < 2:
        raise DataError(
            f"{place}: there is only one column, '{names[0]}'.",
            "Expected a timestamp column and a target column, separated by commas.",
        )
    return names


def refuse_turned(place: str, times: Sequence[str]) -> NoReturn:
    """DataError for a table whose header holds `times`."""
    raise DataError(
        f"{place}: {len(times)} columns are times, as '{times[0]}': each row is a series.",
        "Turn the table: a row for each time, and a column for each series.",
    )


class RawTable(Protocol):
    """A CSV file, a Parquet file or a data frame, as the reader needs it. Rows are counted from 0, without the header."""

    @property
    def name(self) -> str:
        """The file, for messages."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The header."""

    @property
    def note(self) -> str:
        """What is unusual about the file, or empty."""

    @property
    def marks(self) -> dict[str, str]:
        """Decimal mark and mark between thousands, by name; empty where numbers are written as usual."""

    @property
    def signs(self) -> Mapping[str, str]:
        """The sign of money or percent that the numbers of a column have, by column."""

    @property
    def rows(self) -> int:
        """R, once a column is loaded."""

    def sample(self) -> dict[str, list[str]]:
        """The first rows' texts per column, missing ones left out."""

    def load(self, texts: Sequence[str], numbers: Sequence[str], *, distinct: Sequence[str] = ()) -> None:
        """Parse these columns in one pass, where that is quicker; `distinct` are texts that hardly ever repeat."""

    def text_column(self, column: str) -> TextColumn:
        """A whole column as text; missing is ""."""

    def numbers(self, columns: Sequence[str]) -> dict[str, FloatArray]:
        """Whole columns [R] as float64; missing is NaN. NumbersError where cells are no numbers."""

    def stamps(self, column: str) -> tuple[IntArray, ParsedTimestamps] | None:
        """[R] codes and distinct stamps of a column that is typed as dates or numbers; None where it is text."""

    def keep_stamps(self, column: str, codes: IntArray, stamps: ParsedTimestamps) -> None:
        """Keep the timestamps that a column of texts was parsed to, where the table may be read again."""

    def place(self, row: int) -> str:
        """Where a row is: "sales.csv:17"."""


@dataclass(frozen=True)
class TableView:
    """A table that shows another in its own way: a subclass defines how columns are loaded and read, the rest is as in `base`."""

    base: RawTable

    @property
    def name(self) -> str:
        """The file."""
        return self.base.name

    @property
    def columns(self) -> tuple[str, ...]:
        """The header."""
        return self.base.columns

    @property
    def note(self) -> str:
        """What is unusual about the file."""
        return self.base.note

    @property
    def marks(self) -> dict[str, str]:
        """Decimal mark and mark between thousands."""
        return self.base.marks

    @property
    def signs(self) -> Mapping[str, str]:
        """The sign of money or percent of each column that has one."""
        return self.base.signs

    @property
    def rows(self) -> int:
        """R, once a column is loaded."""
        return self.base.rows

    def sample(self) -> dict[str, list[str]]:
        """The first rows' texts per column."""
        return self.base.sample()

    def numbers(self, columns: Sequence[str]) -> dict[str, FloatArray]:
        """Whole columns [R] as float64."""
        return self.base.numbers(columns)

    def keep_stamps(self, column: str, codes: IntArray, stamps: ParsedTimestamps) -> None:
        """Keep the timestamps that a column of texts was parsed to."""
        self.base.keep_stamps(column, codes, stamps)

    def place(self, row: int) -> str:
        """Where a row is."""
        return self.base.place(row)
