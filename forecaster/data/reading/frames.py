"""Data frames and Parquet files as tables. Unlike those of a CSV file, their columns may have types already."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.reading.csv_bytes import MAX_BYTES, unreadable
from forecaster.data.reading.doubtful_points import likely_columns, refuse_doubtful_points
from forecaster.data.reading.number_form import PLAIN, NumberForm, note_of, signs_of
from forecaster.data.reading.number_signs import PERCENT
from forecaster.data.reading.parsed_timestamps import ParsedTimestamps
from forecaster.data.reading.table import SAMPLE, check_header
from forecaster.data.reading.text_columns import MISSING, TextColumn, numbers_of
from forecaster.data.time_zones import fixed_zone
from forecaster.errors import DataError, install_hint
from forecaster.storage.addresses import is_remote, shown

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray


@dataclass
class FrameTable:
    """A pandas.DataFrame. An index of dates, of several levels, or with a name, is read as columns."""

    name: str
    frame: Any  # pandas.DataFrame
    columns: tuple[str, ...] = ()
    note: str = ""
    form: NumberForm = PLAIN  # of numbers that are texts
    signs: dict[str, str] = field(default_factory=dict)  # of money and percent, by column
    likely: frozenset[str] = frozenset()  # columns of texts in which points separate thousands, as a rule
    origin: IntArray | None = None  # [R] which row of the source each is; None = all are there, in order

    @property
    def marks(self) -> dict[str, str]:
        """Decimal mark and mark between thousands, by name; empty where numbers are written as usual."""
        return self.form.marks

    def __post_init__(self) -> None:
        import pandas as pd

        frame, index = self.frame, self.frame.index
        dates = (pd.DatetimeIndex, pd.PeriodIndex)
        if len(frame.columns) == 1 and index.nlevels == 1 and index.name is None and not isinstance(index, dates):
            if not len(index) or not all(isinstance(label, (str, date)) for label in index):
                raise DataError(
                    f"{self.name}: there is only one column, '{frame.columns[0]}', and its index is not of dates.",
                    "Expected an index of dates, or a timestamp column.",
                )
            frame = frame.rename_axis("timestamp").reset_index()  # dates, as texts too
            index = frame.index
        if isinstance(index, (*dates, pd.MultiIndex)) or index.name is not None:
            if index.nlevels == 1 and index.name is None:
                frame = frame.rename_axis("timestamp")
            elif None in index.names:
                frame = frame.rename_axis(
                    [
                        _level_name(name, place, isinstance(level, dates))
                        for place, (name, level) in enumerate(zip(index.names, index.levels, strict=True), start=1)
                    ]
                )
            twice = [str(name) for name in frame.index.names if name in frame.columns]
            if twice:
                raise DataError(f"{self.name}: '{twice[0]}' names the index and a column.", "Rename one of them.")
            frame = frame.reset_index()
        frame = self._without_empty_rows(frame)
        if not len(frame):
            raise DataError(f"{self.name}: there are no rows.", "Expected at least two.")
        names = [str(name) for name in frame.columns]
        self.columns = check_header(self.name, names)
        self.frame = frame.set_axis(list(self.columns), axis=1)
        texts = self._texts()
        self.signs = signs_of(texts)
        self.likely = likely_columns(texts, [column for column, sign in self.signs.items() if sign != PERCENT])
        signs = tuple(dict.fromkeys(self.signs.values()))
        self.form = replace(self.form, signs=signs)
        self.note = f"{self.note} {note_of(NumberForm(signs=signs))}".strip()

    def _without_empty_rows(self, frame: Any) -> Any:
        """The rows that have any value."""
        empty = np.ones(len(frame), dtype=bool)
        for i in range(frame.shape[1]):
            empty &= frame.iloc[:, i].isna().to_numpy()
            if not empty.any():
                return frame
        kept = np.flatnonzero(~empty)
        self.origin = kept if self.origin is None else self.origin[kept]
        return frame.iloc[kept]

    @property
    def rows(self) -> int:
        """Rows of the frame."""
        return len(self.frame)

    def sample(self) -> dict[str, list[str]]:
        """The first rows' texts per column, missing ones left out."""
        texts = self._texts()
        head = self.frame.head(SAMPLE)
        typed = {
            c: [str(v).strip() for v in head[c][head[c].notna()] if str(v) not in MISSING]
            for c in self.columns
            if c not in texts
        }
        return {c: typed[c] if c in typed else self.form.column(texts[c]) for c in self.columns}

    def _texts(self) -> dict[str, list[str]]:
        """The first rows of the columns that hold no numbers, dates or truth values."""
        untyped = [c for c, kind in zip(self.columns, self.frame.dtypes, strict=True) if kind.kind not in "iufbM"]
        head = self.frame[untyped].head(SAMPLE)
        untyped = [c for c in untyped if not _holds_numbers(head[c])]
        return {c: [str(v).strip() for v in head[c][head[c].notna()] if str(v) not in MISSING] for c in untyped}

    def text_column(self, column: str) -> TextColumn:
        """A column as text; missing is ""."""
        import pandas as pd

        if isinstance(self.frame[column].dtype, pd.CategoricalDtype):
            return _text_of_categories(self.frame[column].array)
        try:
            codes, distinct = pd.factorize(self.frame[column], use_na_sentinel=False)
        except TypeError:  # what cannot be compared: lists, arrays, records
            message = f"{self.name}: column '{column}' has lists or records where single values belong."
            raise DataError(message, "Write each value to a row or a column of its own.") from None
        if pd.api.types.is_datetime64_any_dtype(distinct.dtype):  # quicker than one by one
            return TextColumn(np.asarray(codes), pd.Index(distinct).astype(str))
        texts = ["" if pd.isna(value) else _text(value) for value in distinct]
        return TextColumn(np.asarray(codes), pd.Index(texts, dtype=object))

    def numbers(self, columns: Sequence[str]) -> dict[str, FloatArray]:
        """Columns [R] as float64; missing is NaN. NumbersError where cells are no numbers."""
        return {column: self._numbers(column) for column in columns}

    def load(self, texts: Sequence[str], numbers: Sequence[str], *, distinct: Sequence[str] = ()) -> None:
        """Nothing is to be done: a frame is loaded."""

    def stamps(self, column: str) -> tuple[IntArray, ParsedTimestamps] | None:
        """[R] codes and timestamps of a column that is typed as dates; else None. DataError where one is missing."""
        import pandas as pd

        values = self.frame[column]
        if isinstance(values.dtype, pd.PeriodDtype):
            values = values.dt.to_timestamp()
        if not pd.api.types.is_datetime64_any_dtype(values.dtype):
            return None
        if values.isna().any():
            row = int(values.isna().to_numpy().argmax())
            raise DataError(f"{self.place(row)}: timestamp is missing (column {column}).", "Give it, or drop the row.")
        index = pd.DatetimeIndex(values)
        self._refuse_far_dates(index, column)
        zone = None if index.tz is None else _zone_name(index)
        return np.arange(len(index)), ParsedTimestamps(np.asarray(index.as_unit("us").asi8), zone)

    def _refuse_far_dates(self, index: Any, column: str) -> None:
        """DataError for a date of a year that no calendar has: 64 bits can hold it, as after damage to the file."""
        if index.unit == "ns":  # too narrow for such a year
            return
        first, end = (np.datetime64(day, index.unit).astype(np.int64) for day in ("0001-01-01", "10000-01-01"))
        far = (index.asi8 < first) | (index.asi8 >= end)
        if far.any():
            place = self.place(int(far.argmax()))
            raise DataError(f"{place}: timestamp is beyond the years 1 to 9999 (column {column}).", "Correct the row.")

    def keep_stamps(self, column: str, codes: IntArray, stamps: ParsedTimestamps) -> None:
        """Nothing is kept: a frame is read once."""

    def place(self, row: int) -> str:
        """Where a row is: "data frame row 17"."""
        return f"{self.name} row {row if self.origin is None else int(self.origin[row])}"

    def _numbers(self, column: str) -> FloatArray:
        values = self.frame[column]
        if _holds_numbers(values):
            return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))
        found = self.text_column(column)
        if not self.form.given and not self.form.marks:
            refuse_doubtful_points(self.name, column, found.texts, likely=column in self.likely)
        return numbers_of(found, column, self.place, self.form)


def _holds_numbers(values: Any) -> bool:
    """Whether a column has numbers, as they are or as objects, such as the decimals of a database."""
    import pandas as pd

    if values.dtype == object:
        return pd.api.types.infer_dtype(values, skipna=True) in ("decimal", "floating", "mixed-integer-float")
    return pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_complex_dtype(values.dtype)


def read_parquet(source: str, form: NumberForm = PLAIN) -> FrameTable:
    """A Parquet file as a table. DataError where it cannot be read, or pyarrow is not installed."""
    place: str | io.BytesIO = source
    if is_remote(source):
        from forecaster.storage.remote import read_bytes

        data = read_bytes(source)
        place, magic, source = io.BytesIO(data), data[:4], shown(source)
    else:
        try:
            with Path(source).open("rb") as file:
                magic = file.read(4)
        except OSError as error:
            raise unreadable(source, error) from None
    if magic != b"PAR1":
        raise DataError(f"{source}: this is not a Parquet file.", "Check its ending.")
    try:
        _refuse_bomb(source, place)
        return FrameTable(source, _frame_of(place), form=form)
    except ImportError:
        hint = f"{install_hint('parquet')[:-1]}, or save the table as CSV."
        raise DataError(f"{source}: reading Parquet needs pyarrow, which is not installed.", hint) from None
    except (ValueError, OSError):  # what pyarrow raises is one of these
        raise DataError(f"{source}: the Parquet file is damaged or cut short.", "Write it again.") from None


def _level_name(name: object, place: int, dates: bool) -> object:
    """The column's name of one level of an index: that at this `place`, from 1."""
    if name is not None:
        return name
    return "timestamp" if dates else "series" if place == 1 else f"series_{place}"


def _frame_of(place: str | io.BytesIO) -> Any:
    """The rows of a Parquet file. Columns of text are categories, which keep each text once. ValueError for bytes that are no
    text.
    """
    from pyarrow import default_memory_pool
    from pyarrow.parquet import ParquetFile

    with ParquetFile(place) as file:
        columns = [file.schema.column(i) for i in range(len(file.schema))]
    texts = [one.path for one in columns if one.logical_type.type == "STRING" and "." not in one.path]
    with ParquetFile(place, read_dictionary=texts) as file:
        table = file.read()
    for name in texts:
        table[name].validate(full=True)
    # Each column of Arrow's goes once there is one of pandas'.
    frame = table.to_pandas(split_blocks=True, self_destruct=True)
    del table
    default_memory_pool().release_unused()
    return frame


def _text_of_categories(values: Any) -> TextColumn:
    """A categorical column as text; categories that no row has are left out."""
    import pandas as pd

    codes = np.asarray(values.codes)
    known = [*("" if pd.isna(value) else _text(value) for value in values.categories), ""]  # -1 is missing
    used = np.zeros(len(known), dtype=bool)
    used[codes] = True
    place = (np.cumsum(used) - 1).astype(np.int32)
    texts = [known[i] for i in np.flatnonzero(used)]
    return TextColumn(np.asarray(place[codes]), pd.Index(texts, dtype=object))


def _refuse_bomb(source: str, place: str | io.BytesIO) -> None:
    """DataError where the file unpacks to more cells than memory holds. pandas finds other damage."""
    try:
        from pyarrow.parquet import read_metadata

        about = read_metadata(place)
        unpacked = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
        size = max(unpacked, 8 * about.num_rows * about.num_columns)
        if size <= MAX_BYTES:
            size += _repeated_text(place, about)
    except (ImportError, ValueError, OSError):
        return
    if size > MAX_BYTES:
        raise DataError(f"{source}: more than {MAX_BYTES >> 30} GiB of cells.", "Split it into several files.")


def _repeated_text(place: str | io.BytesIO, about: Any) -> int:
    """At most so many bytes of text that the file stores once and repeats by number: rows times the longest of them."""
    from pyarrow import compute, types
    from pyarrow.parquet import ParquetFile

    kinds = {about.schema.column(i).path: about.schema.column(i).physical_type for i in range(about.num_columns)}
    texts = [name for name, kind in kinds.items() if kind == "BYTE_ARRAY" and "." not in name]
    found = 0
    if texts:
        with ParquetFile(place, read_dictionary=texts) as file:
            for group in range(about.num_row_groups):
                first = next(file.iter_batches(batch_size=1, row_groups=[group], columns=texts), None)
                for column in first.columns if first is not None else ():
                    if types.is_dictionary(column.type) and len(column.dictionary):
                        longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
                        found += longest * about.row_group(group).num_rows
    return found


def _text(value: Any) -> str:
    """A cell as text; whole floats, which is what integers become in a column with missing ones, as whole numbers."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _zone_name(index: Any) -> str:
    """The name of a DatetimeIndex' zone, whichever library made it."""
    name = getattr(index.tz, "key", None) or getattr(index.tz, "zone", None)  # zoneinfo; pytz
    return str(name) if name else fixed_zone(index[0].utcoffset() // timedelta(microseconds=1))
