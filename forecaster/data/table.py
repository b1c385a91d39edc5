"""Tables as they lie in files: columns of distinct texts or of numbers, and where each row stands."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from forecaster.data.source import records
from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.data.stamps import Stamps
    from forecaster.typing import FloatArray, IntArray

MISSING = ("", "NA", "N/A", "n/a", "na", "NaN", "nan", "NAN", "-nan", "NULL", "Null", "null", "None", "<NA>", "#N/A")
HEAD = 65_536  # bytes in which the way of writing shows: delimiter, spaces after it
SAMPLE = 200  # rows from which columns are told apart
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|infinity)", re.IGNORECASE)
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Cells:
    """A column as text, each distinct text once."""

    codes: IntArray  # [R] index into `texts`
    texts: Any  # pandas Index of str

    def earliest(self, indices: Sequence[int]) -> tuple[int, int]:
        """Of the given indices of texts, the one met first, and its row."""
        row = int(np.isin(self.codes, np.asarray(indices)).argmax())
        return int(self.codes[row]), row


class Table(Protocol):
    """What reading asks of a CSV file, a Parquet file or a data frame. Rows are counted from 0, without the header."""

    name: str
    columns: tuple[str, ...]
    note: str  # what is unusual about the file, or empty

    @property
    def rows(self) -> int:
        """R, once a column is loaded."""

    def sample(self) -> dict[str, list[str]]:
        """The first rows' texts per column, missing ones left out."""

    def load(self, texts: Sequence[str], numbers: Sequence[str], *, distinct: Sequence[str] = ()) -> None:
        """Parse these columns in one pass, where that is quicker; `distinct` are texts that hardly ever repeat."""

    def cells(self, columns: Sequence[str]) -> dict[str, Cells]:
        """Whole columns as text; missing is ""."""

    def numbers(self, columns: Sequence[str]) -> dict[str, FloatArray]:
        """Whole columns [R] as float64; missing is NaN. DataError at the first cell that is no number."""

    def stamps(self, column: str) -> tuple[IntArray, Stamps] | None:
        """[R] codes and distinct stamps of a column that is typed as dates or numbers; None where it is text."""

    def place(self, row: int) -> str:
        """Where a row stands: "sales.csv:17"."""


@dataclass
class CsvTable:
    """A CSV file in memory. Columns are parsed on demand, each once, by pandas' C parser."""

    name: str
    data: bytes
    columns: tuple[str, ...] = ()
    note: str = ""
    delimiter: str = ","
    _cells: dict[str, Cells] = field(default_factory=dict)
    _numbers: dict[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = self.data[:HEAD].lstrip(b" \r\n").split(b"\n", 1)[0].decode("utf-8", "ignore")
        self.delimiter = max(_DELIMITERS, key=first.count)  # the comma among equals
        if self.delimiter != ",":
            self.note = f"columns are separated by {self.delimiter!r}."
        line, header = next(self._records())
        self.columns = check_header(f"{self.name}:{line}", header)
        if next((record for record in self._records() if record[0] > line), None) is None:
            raise DataError(f"{self.name}: there are no rows after the header.", "Expected at least two.")

    @property
    def rows(self) -> int:
        return len(next(iter(self._numbers.values())))

    def sample(self) -> dict[str, list[str]]:
        rows = [fields for _, (_, fields) in zip(range(SAMPLE + 1), self._records(), strict=False)][1:]
        texts = [[fields[i].strip() for fields in rows if i < len(fields)] for i in range(len(self.columns))]
        return {name: [t for t in texts[i] if t not in MISSING] for i, name in enumerate(self.columns)}

    def cells(self, columns: Sequence[str]) -> dict[str, Cells]:
        self.load(columns, ())
        return {c: self._cells[c] for c in columns}

    def numbers(self, columns: Sequence[str]) -> dict[str, FloatArray]:
        self.load((), columns)
        return {c: self._numbers[c] for c in columns}

    def load(self, texts: Sequence[str], numbers: Sequence[str], *, distinct: Sequence[str] = ()) -> None:
        types = dict.fromkeys(texts, "category") | dict.fromkeys(distinct, "str")
        types = {c: kind for c, kind in types.items() if c not in self._cells}
        self._parse(types | {c: "float64" for c in numbers if c not in self._numbers})

    def stamps(self, column: str) -> tuple[IntArray, Stamps] | None:
        return None

    def place(self, row: int) -> str:
        for index, (line, _) in enumerate(self._records(), start=-1):
            if index == row:
                return f"{self.name}:{line}"
        return self.name

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        return records(self.name, self.data, self.delimiter)

    def _parse(self, types: dict[str, str]) -> None:
        """Parse columns as "category" (repeating texts), "str" (others) or "float64" (numbers)."""
        import pandas as pd

        if not types:
            return
        try:
            frame = self._frame(types)
        except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
            self._refuse_ragged()
            frame = self._lenient(types)
        if self.data.count(self.delimiter.encode()) != (len(self.columns) - 1) * (len(frame) + 1):
            self._refuse_ragged()  # or delimiters within quotes
        for name, kind in types.items():
            column = frame[name]
            if column.dtype == "float64":
                self._numbers[name] = column.to_numpy()
                continue
            if column.dtype == "category":
                cells = Cells(column.cat.codes.to_numpy(), column.cat.categories)
            else:
                cells = Cells(np.arange(len(column)), pd.Index(column))
            if kind == "float64":
                self._numbers[name] = numbers_of(cells, name, self.place)
            else:
                self._cells[name] = cells

    def _lenient(self, types: dict[str, str]) -> Any:
        """The columns as text, to find the cell that is no number."""
        try:
            return self._frame(dict.fromkeys(types, "category"))
        except ValueError as error:
            reason = str(error).strip().splitlines()[0]
            raise DataError(f"{self.name}: this is not a table: {reason}.", "Save it as CSV in UTF-8.") from None

    def _frame(self, types: dict[str, str]) -> Any:
        import pandas as pd

        old = int(pd.__version__.split(".")[0]) < 3  # what follows is the default since
        exact: dict[str, Any] = {"float_precision": "round_trip"} if old else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about rows that are too long: `_refuse_ragged` sees to them
            return pd.read_csv(
                io.BytesIO(self.data),
                sep=self.delimiter,
                header=0,
                names=list(self.columns),
                index_col=False,
                # With all columns in use, pandas itself refuses rows that are too long.
                usecols=None if len(types) == len(self.columns) else list(types),
                dtype=types,
                keep_default_na=False,
                na_values={name: list(MISSING) for name, kind in types.items() if kind == "float64"},
                skipinitialspace=self.delimiter.encode() + b" " in self.data[:HEAD],
                low_memory="str" in types.values(),  # in pieces: slower for repeating texts, half the memory for others
                **exact,
            )

    def _refuse_ragged(self) -> None:
        width = len(self.columns)
        for line, fields in self._records():
            if len(fields) != width:
                hint = f"Expected {', '.join(self.columns[:8])}{', …' if width > 8 else ''}."
                if len(fields) > width and self.delimiter == ",":
                    hint += " A comma within a field needs quotes; decimals need a point."
                raise DataError(
                    f"{self.name}:{line}: {len(fields)} field{'s' * (len(fields) > 1)} where the header has {width}.",
                    hint,
                )


def check_header(place: str, header: Sequence[str]) -> tuple[str, ...]:
    """Column names as the file gives them. DataError where there are none, or two alike."""
    from forecaster.data.stamps import looks_like_stamp

    names = tuple(name.strip() or f"column {i}" for i, name in enumerate(header, start=1))
    dates = [name for name in names if looks_like_stamp(name)]
    if dates or all(NUMBER.fullmatch(name) for name in names):
        what = f"'{dates[0]}' is a date" if dates else f"'{names[0]}' is a number"
        raise DataError(
            f"{place}: there is no header: {what}, not a column's name.",
            "Give the columns names in the first line, and dates a column of their own.",
        )
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DataError(f"{place}: two columns are called '{twice}'.", "Rename one of them.")
    if len(names) < 2:
        raise DataError(
            f"{place}: there is only one column, '{names[0]}'.",
            "Expected a timestamp column and a target column, separated by commas.",
        )
    return names


def numbers_of(cells: Cells, column: str, place: Any) -> FloatArray:
    """[R] numbers of a column that is text: blanks are missing, and the first cell that is no number a DataError."""
    stripped = [str(text).strip() for text in cells.texts]
    bad = [i for i, text in enumerate(stripped) if text not in MISSING and not NUMBER.fullmatch(text)]
    if bad:
        index, row = cells.earliest(bad)
        text = stripped[index]
        hint = "Leave the cell empty where a value is missing."
        if re.fullmatch(r"[+-]?[\d.,\s']*\d[,.]\d+", text):
            hint = "Write numbers without thousands separators and with a decimal point, e.g. 1234.5."
        raise DataError(f"{place(row)}: target '{text}' (column {column}) is not a number.", hint)
    values = np.array([np.nan if text in MISSING else float(text) for text in stripped])
    return values[cells.codes] if len(values) else np.full(len(cells.codes), np.nan)
