"""A column of timestamps: its texts, what they are parsed to, and the errors about them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from forecaster.data.freq import timestamp_text
from forecaster.data.reading.odd_years import hint_for
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.reading.timestamp_formats import by_format
from forecaster.data.time_zones import fixed_zone
from forecaster.errors import quoted

if TYPE_CHECKING:
    from forecaster.data.reading.text_columns import TextColumn
    from forecaster.typing import BoolArray, IntArray

ZONE_HINT = "Leave the zone's name out, and give it: e.g. --zone Europe/Berlin."
EXPECTED = "Expected ISO 8601, e.g. 2024-12-01."
_OTHER_FORMATS = (
    "%Y_%m", "%Y_%m_%d", "%Y %m", "%Y %m %d", "%d %m %Y", "%Y年%m月%d日", "%Y年%m月", "%Hh %d/%m/%Y", "%H:%M %d/%m/%Y",
    "%H:%M %d.%m.%Y", "%H:%M:%S %d/%m/%Y", "%H:%M:%S %d.%m.%Y", "%d.%m.%Y %H:%M Uhr", "%d.%m.%Y, %H:%M Uhr",
    "%Y-%m-%d %Hh", "%Y-%m-%d %Hh%M", "%d/%m/%Y %Hh%M", "%Y-%m-%d_%H:%M:%S", "%Y-%m-%d_%H-%M-%S", "%Y-%m-%d_%H-%M",
    "%Y%m%d_%H%M%S", "%Y%m%d_%H%M", "%Y%m%d-%H%M%S", "%Y/%m/%d-%H:%M:%S", "%Y/%m/%d-%H:%M", "%Y-%m-%d-%H.%M.%S",
    "%Y-%m-%d %H.%M", "%Y-%m-%d %H.%M.%S", "%d/%m/%Y %H.%M", "%d.%m.%Y %H.%M", "%d_%m_%Y", "%m_%Y",
    "%a %b %d %H:%M:%S %Y", "%d-%b", "%b/%d/%Y", "%Y.%m.%d.%H", "%Y, week %W", "%B, %Y",
    "%Y:%q", "%Y/%q", "%Y.%q", "%q/%Y", "%q.%Y", "%q:%Y", "%Y_Q%q", "Q%q_%Y", "%Y, Q%q",
)  # fmt: skip
_ZONE_NAME = re.compile(r"\d\s*[A-Z]{2,5}|\[[A-Za-z_/]+\]")


@dataclass(frozen=True)
class ParsedTimestamps:
    """Parsed timestamps. With a zone they are UTC instants, otherwise times on the wall clock, or whole numbers."""

    values: IntArray  # one per distinct text, or per row: microseconds since 1970, or whole numbers
    zone: str | None  # of the texts' offsets, or the one given
    whole_numbers: bool = False
    note: str = ""
    form: str | None = None  # what --timestamp-format takes to read them so, where other readings were possible


@dataclass(frozen=True)
class Origin:
    """A column of timestamps as text, and the caller's options for it."""

    name: str  # of the column
    column: TextColumn
    place: Callable[[int], str]  # row → "sales.csv:17"
    zone: str | None = None  # the zone given by the caller
    format: str | None = None  # given by the caller, as in `timestamp_formats.py`
    likely: str | None = None  # the format of earlier data of the same kind, which all texts fit or which is not used

    def first(self, indices: Sequence[int]) -> tuple[int, str]:
        """The index of the text among `indices` that occurs first, and its place."""
        index, row = self.column.earliest(indices)
        return index, self.place(row)

    def error(
        self, indices: Sequence[int], found: Callable[[int], str], hint: str, what: str = "timestamp"
    ) -> RowsError:
        """The error about all rows that hold one of the texts at `indices`; `found` says what is wrong with one."""
        rows = self.column.rows(indices)
        codes = self.column.codes[rows]
        return RowsError(what, rows, self.place, lambda k: (found(int(codes[k])), hint), column=self.name)


def of_form(values: IntArray, valid: BoolArray, form: str, texts: Any, origin: Origin) -> ParsedTimestamps:
    """Timestamps that were read by `form`, with a note. RowsError on those that are not `valid`."""
    if not valid.all():
        bad = np.flatnonzero(~valid).tolist()
        hint = "Mend it, or say how timestamps are written: --timestamp-format."
        refuse(bad, texts, origin, f"is not a date of the form {form}, as the others are.", hint)
    index, _ = origin.first(range(len(texts)))
    return ParsedTimestamps(
        values, None, note=form_note(str(texts[index]).strip(), int(values[index]), form), form=form
    )


def form_note(text: str, value: int, form: str) -> str:
    """How timestamps of a form are read, with an example."""
    read = timestamp_text(value, None, whole_numbers=False)
    return f"timestamps such as '{text}' are read as dates, here {read} (--timestamp-format {form})."


def stripped(texts: Any) -> list[str]:
    """Texts without the spaces around them."""
    return [str(text).strip() for text in texts]


def first_rows(origin: Origin) -> IntArray:
    """The first row of each distinct text."""
    codes = origin.column.codes
    first = np.zeros(len(origin.column.texts), dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    return first


def from_parts(parts: Sequence[tuple[int, int | None] | None], texts: Any, origin: Origin) -> ParsedTimestamps:
    """ParsedTimestamps from (microseconds on the wall clock, offset or None) per text. DataError on faults and mixtures."""
    bad = [i for i, part in enumerate(parts) if part is None]
    if bad:
        refuse(bad, texts, origin)
    known = [part for part in parts if part is not None]
    offsets = {offset for _, offset in known}
    if offsets == {None}:
        return ParsedTimestamps(np.array([wall for wall, _ in known], dtype=np.int64), None)
    if None in offsets:
        bare = [i for i, (_, offset) in enumerate(known) if offset is None]
        other, there = origin.first([i for i, (_, offset) in enumerate(known) if offset is not None])
        raise origin.error(
            bare,
            lambda i: (
                f"timestamp {quoted(texts[i])} has no offset from UTC, but {quoted(texts[other])} ({there}) has one."
            ),
            "Write all timestamps the same way.",
            "timestamp" if 2 * len(bare) < len(known) else "offset",
        )
    if len(offsets) > 1 and origin.zone is None:
        index, place = origin.first(range(len(known)))
        others = [i for i, (_, offset) in enumerate(known) if offset != known[index][1]]
        raise origin.error(
            others,
            lambda i: (
                f"timestamp {quoted(texts[i])} has another offset from UTC than {quoted(texts[index])} ({place})."
            ),
            "Give the zone whose clock changes, e.g. --zone Europe/Berlin.",
            "offset",
        )
    instants = np.array([wall - (offset or 0) for wall, offset in known], dtype=np.int64)
    return ParsedTimestamps(instants, fixed_zone(known[0][1] or 0))


def refuse(
    bad: Sequence[int], texts: Any, origin: Origin, why: str = "is not a date.", hint: str = EXPECTED
) -> NoReturn:
    """RowsError about the texts at `bad`: about the missing ones where one of these comes first, else about the others."""
    blank = [i for i in bad if str(texts[i]).strip().lower() in ("", "nan", "nat", "na", "null", "none")]
    first, _ = origin.first(bad)
    if first in blank:
        raise origin.error(
            blank, lambda _: f"timestamp is missing (column {origin.name}).", "Give it, or delete the row."
        )
    wrong = sorted(set(bad) - set(blank))
    if origin.format is not None:
        why, hint = f"does not fit the format '{origin.format}'.", "Change the timestamp or the format."
    elif hint == EXPECTED:
        text = str(texts[wrong[0]]).strip()
        hint = hint_for(text) or (how_to_read(text) if 2 * len(wrong) > len(texts) else EXPECTED)
    raise origin.error(wrong, lambda i: f"timestamp {quoted(texts[i])} {why}", hint)


def other_format(texts: Sequence[str]) -> str | None:
    """The --timestamp-format that reads all the texts, of those that nothing infers; None where there is none."""
    return next((form for form in _OTHER_FORMATS if all(by_format(text, form) is not None for text in texts)), None)


def how_to_read(text: str) -> str:
    """The --timestamp-format that reads a text, or else what is expected."""
    found = other_format([text])
    if found is not None:
        return f"Say how it is written: --timestamp-format '{found}'."
    if re.fullmatch(r"\d{4,5}\.\d+", text):
        form = "excel" if text[4] != "." else "decimal-year"
        return f"If it is a date: --timestamp-format {form}."
    if _ZONE_NAME.search(text):
        return ZONE_HINT
    return EXPECTED
