"""A CSV file as a table: columns that are parsed on demand, and the line of each row."""

from __future__ import annotations

import io
import re
import warnings
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.reading.csv_bytes import blanked, records
from forecaster.data.reading.csv_lines import RecordLines, lines_of
from forecaster.data.reading.csv_shape import DELIMITERS, HEAD, delimiter_of, without_empty_rows
from forecaster.data.reading.doubtful_points import (
    likely_columns,
    may_be_doubtful,
    pointed_columns,
    refuse_doubtful_points,
)
from forecaster.data.reading.file_set import place_in
from forecaster.data.reading.number_form import PLAIN, NumberForm, form_of, note_of, signs_of
from forecaster.data.reading.number_signs import PERCENT, without_sign
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.reading.table import SAMPLE, WIDE_COLUMNS, WIDE_SAMPLE, check_header
from forecaster.data.reading.text_columns import MISSING, NUMBER, TextColumn, numbers_error, numbers_in, numbers_of
from forecaster.errors import DataError, UsageError, quoted

if TYPE_CHECKING:
    from forecaster.data.reading.parsed_timestamps import ParsedTimestamps
    from forecaster.typing import FloatArray, IntArray

LONG, PROBES = 1 << 24, 64  # bytes of a file from which so many lines are read before the whole
_GAPS = re.compile(rb"[,;\t|]\s*[,;\t|\r\n]|[,;\t|]\s*(?:[Nn]|<|#)", re.IGNORECASE)  # a hint that numbers are missing


def _turned(texts: Sequence[str]) -> bool:
    """Whether pandas 3 may turn a column of categories into numbers or truth values, by its first texts."""
    return all(NUMBER.fullmatch(text) or text.lower() in ("true", "false") for text in texts)


def _holds_texts(column: Any) -> bool:
    """Whether the categories of a column of pandas are texts."""
    import pandas as pd

    return pd.api.types.is_string_dtype(column.cat.categories.dtype)


@dataclass
class CsvTable:
    """A CSV file in memory. Columns are parsed on demand, each once, by `fast_csv` or by pandas' C parser."""

    name: str
    data: bytes
    columns: tuple[str, ...] = ()
    note: str = ""
    delimiter: str = ","
    form: NumberForm | None = None  # of its numbers; None = to be inferred
    spans: tuple[tuple[int, str], ...] = ()  # lines before each file that was joined, and its path; empty = one file
    signs: dict[str, str] = field(default_factory=dict)  # of money and percent, by column
    likely: frozenset[str] = frozenset()  # columns in which points separate thousands, as a rule
    _text_columns: dict[str, TextColumn] = field(default_factory=dict)
    _numbers: dict[str, FloatArray] = field(default_factory=dict)
    _odd: dict[str, dict[int, str]] = field(default_factory=dict)  # row → cell that is no number
    _stamps: dict[str, ParsedTimestamps] = field(default_factory=dict)
    _lines: array[int] = field(
        default_factory=lambda: array("q")
    )  # line on which each record begins, as far as looked up
    _unread: Iterator[tuple[int, list[str]]] | None = None
    _by_line: RecordLines | None = None  # once a second look was needed
    _pointed: frozenset[int] | None = None  # places of columns of numbers with three digits after a point
    _even: bool = False  # whether all rows were found to have as many fields as the header

    def __post_init__(self) -> None:
        self.delimiter = delimiter_of(self.data)
        self.data = without_empty_rows(self.data, self.delimiter)
        if self.delimiter != ",":
            self.note = f"columns are separated by {self.delimiter!r}."
        line, header = next(self._records(), (1, [""]))
        if line > 1:
            self.note = f"{self.note} line {line} has the names of the columns.".strip()
        if len(header) == 1:
            self._refuse_lines_above(header[0])
        self.columns = check_header(self.at(line), header)
        if next((record for record in self._records() if record[0] > line), None) is None:
            raise DataError(f"{self.name}: there are no rows after the header.", "Expected at least two.")
        given, sample = self.form, self._sample()
        self.signs = signs_of(sample)
        if self.signs:
            sample = {name: [without_sign(text)[0] for text in texts] for name, texts in sample.items()}
        signs = tuple(dict.fromkeys(self.signs.values()))
        money = [column for column, sign in self.signs.items() if sign != PERCENT]
        self.likely = likely_columns(sample, money)
        self.form = replace(given or form_of(self.name, self.delimiter, sample), signs=signs)
        new = self.form if given is None else NumberForm(signs=signs)
        self.note = f"{self.note} {note_of(new)}".strip()

    def _refuse_lines_above(self, first: str) -> None:
        """DataError where lines above the header, such as a title or comments, have no columns."""
        lines = self.data[:HEAD].decode("utf-8", "ignore").splitlines()
        table = next((i for i, line in enumerate(lines, start=1) if any(d in line for d in DELIMITERS)), None)
        if table is not None and first.strip():
            raise DataError(
                f"{self.at(1)}: there is only one column, {quoted(first.strip())}, and the table begins in line {table}.",
                "Take the lines above it out.",
            )

    @property
    def numbers_as(self) -> NumberForm:
        """How numbers are written."""
        return self.form or PLAIN

    @property
    def marks(self) -> dict[str, str]:
        """Decimal mark and mark between thousands, by name; empty where numbers are written as usual."""
        return self.numbers_as.marks

    @property
    def rows(self) -> int:
        """R, once a column is loaded; before, 0."""
        loaded = (*self._numbers.values(), *(column.codes for column in self._text_columns.values()))
        return len(loaded[0]) if loaded else 0

    def sample(self) -> dict[str, list[str]]:
        """The first rows' texts per column, missing ones left out, and numbers as Python writes them."""
        column = self.numbers_as.column
        return {name: column(texts) for name, texts in self._sample().items()}

    def _sample(self) -> dict[str, list[str]]:
        """The first rows' texts per column as they are in the file, missing ones left out."""
        size = SAMPLE if len(self.columns) < WIDE_COLUMNS else WIDE_SAMPLE
        rows = [fields for _, (_, fields) in zip(range(size + 1), self._records(), strict=False)][1:]
        texts = [[fields[i].strip() for fields in rows if i < len(fields)] for i in range(len(self.columns))]
        return {name: [text for text in texts[i] if text not in MISSING] for i, name in enumerate(self.columns)}

    def text_column(self, column: str) -> TextColumn:
        """A whole column as text; missing is "". It is parsed on first use."""
        if column not in self._text_columns:
            self._parse({column: "category"})
        return self._text_columns[column]

    def numbers(self, columns: Sequence[str]) -> dict[str, FloatArray]:
        """Whole columns [R] as float64; missing is NaN. NumbersError where cells are no numbers."""
        self.load((), columns)
        for column in columns:
            self._refuse_doubtful_points(column)
            if column not in self._numbers:  # not all are numbers, so they were read as text
                self._numbers[column] = numbers_of(self._text_columns[column], column, self.place, self.numbers_as)
            if odd := self._odd.get(column):
                rows, texts = np.array(list(odd)), list(odd.values())
                raise numbers_error(column, rows, texts, self.place, self._numbers[column])
        return {c: self._numbers[c] for c in columns}

    def _refuse_doubtful_points(self, column: str) -> None:
        """DataError where the points in a column may separate thousands, and nobody has said what they do."""
        likely, form = column in self.likely, self.numbers_as
        if form.given or form.marks or (self.delimiter == "," and not likely):
            return
        if column in self._numbers and not may_be_doubtful(self._numbers[column]):
            return
        if self._pointed is None:
            every = frozenset(range(len(self.columns)))
            self._pointed = pointed_columns(self.data, self.delimiter)
            self._pointed = every if self._pointed is None else self._pointed
        if self.columns.index(column) in self._pointed:
            refuse_doubtful_points(self.name, column, self.text_column(column).texts, likely=likely)

    def load(self, texts: Sequence[str], numbers: Sequence[str], *, distinct: Sequence[str] = ()) -> None:
        """Parse these columns in one pass, without pandas where the file is plain."""
        types = dict.fromkeys(texts, "category") | dict.fromkeys(distinct, "str")
        if numbers and len(texts) == 2 and self._has_few(texts[0]):  # series of so many rows that stamps hardly repeat
            types[texts[1]] = "str"
        types = {c: kind for c, kind in types.items() if c not in self._text_columns}
        types |= {c: "float64" for c in numbers if c not in self._numbers and c not in self._text_columns}
        stamps = (*texts, *distinct)[-1:]
        if not (numbers and stamps and self._read_plain(types, stamps[0])):
            self._parse(types)

    def stamps(self, column: str) -> tuple[IntArray, ParsedTimestamps] | None:
        """[R] codes and timestamps of a column that was read as dates or steps; None where it was read as text."""
        if column in self._text_columns or column not in self._stamps:  # a column asked for as text is parsed as text
            return None
        stamps = self._stamps[column]
        return np.arange(len(stamps.values)), stamps

    def keep_stamps(self, column: str, codes: IntArray, stamps: ParsedTimestamps) -> None:
        """Nothing is kept: a file is read once."""

    def _has_few(self, column: str) -> bool:
        """Whether lines from all over a long file show only a few texts in this column."""
        if len(self.data) < LONG:
            return False
        at, found = self.columns.index(column), set[bytes]()
        for i in range(PROBES):
            start = self.data.find(b"\n", i * len(self.data) // PROBES) + 1
            fields = self.data[start : start + HEAD].split(b"\n", 1)[0].split(self.delimiter.encode())
            found.add(fields[at] if at < len(fields) else b"")
        return len(found) * 8 <= PROBES

    def _read_plain(self, types: dict[str, str], stamps: str) -> bool:
        """Read these columns without pandas, where the file is plain enough; whether it was."""
        from forecaster.data.reading.fast_csv import read_plain
        from forecaster.data.reading.numeric_timestamps import read_steps
        from forecaster.data.reading.parsed_timestamps import ParsedTimestamps

        kinds = {c: "number" if kind == "float64" else "series" for c, kind in types.items()}
        if stamps not in kinds or stamps in self._stamps or self.numbers_as.thousands:
            return False
        marks = self.delimiter + self.numbers_as.decimal
        plain = read_plain(self.data, marks, self.columns, kinds | {stamps: "stamp"}, MISSING)
        if plain is None:
            return False
        steps = {c: read_steps(values, c) for c, values in plain.steps.items()}
        if None in steps.values():
            return False
        self._numbers |= plain.numbers
        self._text_columns |= {
            c: TextColumn(codes, np.array(plain.texts[c], object)) for c, codes in plain.codes.items()
        }
        self._stamps |= {c: ParsedTimestamps(values, None) for c, values in plain.dates.items()}
        self._stamps |= {c: stamps for c, stamps in steps.items() if stamps is not None}
        return True

    def place(self, row: int) -> str:
        """Where a row is: "sales.csv:17"; the file alone where its line is not known."""
        if self._by_line is not None:
            number = self._by_line.number
            return self.at(int(number[row + 1])) if row + 1 < len(number) else self.name
        if self._unread is None:
            self._unread = self._records()
        while len(self._lines) < row + 2 and (record := next(self._unread, None)):
            self._lines.append(record[0])  # the header's line first
        return self.at(self._lines[row + 1]) if row + 1 < len(self._lines) else self.name

    def at(self, line: int) -> str:
        """A line as people find it: "sales.csv:17"."""
        return place_in(self.spans, line) if self.spans else f"{self.name}:{line}"

    def without(self, lines: IntArray) -> CsvTable:
        """This file with the records that begin on these lines made blank: all others keep their lines."""
        left = CsvTable(self.name, blanked(self.data, self._spans(lines)), form=self.form, spans=self.spans)
        left._even = True
        if self._by_line is not None:
            kept = ~np.isin(self._by_line.number, lines)
            left._by_line = RecordLines(self._by_line.number[kept], self._by_line.fields[kept])
        return left

    def _spans(self, lines: IntArray) -> list[tuple[int, int | None]]:
        """The lines on which these records begin, and where each ends."""
        if self._by_line is not None:
            return [(line, line + 1) for line in lines.tolist()]
        bad, spans, begun = set(lines.tolist()), list[tuple[int, "int | None"]](), None
        for line, _ in self._records():
            if begun is not None:
                spans.append((begun, line))
            begun = line if line in bad else None
        return spans if begun is None else [*spans, (begun, None)]

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        return records(self.name, self.data, self.delimiter)

    def _parse(self, types: dict[str, str]) -> None:
        """Parse columns as "category" (repeating texts), "str" (others) or "float64" (numbers)."""
        if not types:
            return
        kinds = types
        if self.numbers_as.thousands:  # pandas would take 1.5 for 15
            types = {name: "str" if kind == "float64" else kind for name, kind in types.items()}
        try:
            import pandas as pd
        except ImportError:
            hint = "Install it with `pip install pandas`; plain files of numbers and ISO dates are read without it."
            raise UsageError(
                f"{self.name}: reading this file needs pandas, which is not installed here.", hint
            ) from None
        try:
            frame = self._frame(types, missing=MISSING if _GAPS.search(self.data, 0, HEAD) else ())
        except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
            frame = self._lenient(types)
        if self.data.count(self.delimiter.encode()) != (len(self.columns) - 1) * (len(frame) + 1):
            self._refuse_ragged()  # or delimiters within quotes
        for name, kind in kinds.items():
            column = frame[name]
            if kind == "float64" != column.dtype:
                self._numbers[name], self._odd[name] = numbers_in(column, self.numbers_as)
            elif kind == "float64":
                self._numbers[name] = column.to_numpy()
            elif column.dtype == "category":
                self._text_columns[name] = TextColumn(column.cat.codes.to_numpy(), column.cat.categories)
            elif kind == "category":
                codes, texts = pd.factorize(column.to_numpy(object))
                self._text_columns[name] = TextColumn(codes, pd.Index(texts, dtype=object))
            else:
                self._text_columns[name] = TextColumn(np.arange(len(column)), pd.Index(column))

    def _lenient(self, types: dict[str, str]) -> Any:
        """A second try, with missing numbers, or else with all columns as text, to find the cell that is no number."""
        try:
            return self._frame(types, missing=MISSING)
        except (ValueError, OverflowError):
            self._refuse_ragged()
        try:
            return self._frame({name: "str" if kind == "float64" else kind for name, kind in types.items()})
        except ValueError as error:
            reason = str(error).strip().splitlines()[0]
            raise DataError(f"{self.name}: this is not a table: {reason}.", "Save it as CSV in UTF-8.") from None

    def _frame(self, types: dict[str, str], missing: Sequence[str] = ()) -> Any:
        """The columns as pandas reads them, texts as they are in the file.

        pandas 3 turns categories that all look like numbers or truth values into these ("007" into 7), so such columns
        are read as objects, which takes longer.
        """
        sample = self.sample() if "category" in types.values() else {}
        kinds = {c: "object" if kind == "category" and _turned(sample[c]) else kind for c, kind in types.items()}
        frame = self._frame_of(kinds, missing)
        turned = [c for c, kind in kinds.items() if kind == "category" and not _holds_texts(frame[c])]
        return self._frame_of(kinds | dict.fromkeys(turned, "object"), missing) if turned else frame

    def _frame_of(self, types: dict[str, str], missing: Sequence[str]) -> Any:
        """The columns as pandas reads them by these types. A search for texts that mean missing takes a sixth of the time."""
        import pandas as pd

        old = int(pd.__version__.split(".")[0]) < 3  # what follows is the default since
        exact: dict[str, Any] = {"float_precision": "round_trip"} if old else {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about rows that are too long: `_refuse_ragged` sees to them
            return pd.read_csv(
                io.BytesIO(self.data),
                sep=self.delimiter,
                decimal=self.numbers_as.decimal,
                header=0,
                names=list(self.columns),
                index_col=False,
                # With all columns in use, pandas itself refuses rows that are too long.
                usecols=None if len(types) == len(self.columns) else list(types),
                dtype=types,
                keep_default_na=False,
                na_values={name: list(missing) for name, kind in types.items() if kind == "float64"}
                if missing
                else None,
                skipinitialspace=self.delimiter.encode() + b" " in self.data[:HEAD],
                low_memory="str" in types.values(),  # in pieces: slower for repeating texts, half the memory for others
                **exact,
            )

    def _refuse_ragged(self) -> None:
        if self._even:
            return
        width = len(self.columns)
        self._by_line = lines_of(self.name, self.data, self.delimiter)
        if self._by_line is not None:
            odd = self._by_line.fields != width
            lines, counts = self._by_line.number[odd], self._by_line.fields[odd]
        else:
            found = {line: len(fields) for line, fields in self._records() if len(fields) != width}
            lines, counts = np.array(list(found)), np.array(list(found.values()))
        if not len(lines):
            self._even = True
            return

        def describe(k: int) -> tuple[str, str]:
            count = int(counts[k])
            hint = f"Expected {', '.join(self.columns[:8])}{', …' if width > 8 else ''}."
            if count > width and self.delimiter == ",":
                hint += " A comma within a field needs quotes; decimals need a point."
            return f"the row has {count} field{'s' * (count > 1)}, but the header has {width}.", hint

        raise RowsError("fields", lines, self.at, describe)
