"""A file of events → their dates: columns for the date and the name, optionally the series, and days before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.events import MAX_WINDOW, Event
from forecaster.data.reading.csv_bytes import records
from forecaster.data.reading.csv_table import CsvTable
from forecaster.data.reading.datetime_text import iso
from forecaster.data.reading.joined_columns import joined_name, split_names
from forecaster.data.reading.open_table import open_table
from forecaster.data.reading.parsed_timestamps import Origin
from forecaster.data.reading.table import RawTable
from forecaster.data.reading.text_columns import MISSING, TextColumn
from forecaster.data.reading.timestamp_column import parse_stamps
from forecaster.data.time_zones import DAY, wall_clock
from forecaster.errors import DataError, listed, quoted

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import IntArray

_NAMES = {  # what columns are called, by what they hold; those of Prophet among them
    "date": ("date", "ds", "day", "timestamp", "datum"),
    "name": ("name", "event", "holiday", "title"),
    "series": ("series", "unique_id", "item_id"),
    "before": ("before", "days_before", "lower_window"),
    "after": ("after", "days_after", "upper_window"),
}


@dataclass(frozen=True)
class _Rows:
    """The file's cells by what their column holds."""

    table: RawTable
    columns: dict[str, str]  # "date", "name", … → the column; the columns of the panel's keys by their own names
    cells: dict[str, list[str]]  # column → texts

    def of(self, what: str) -> list[str]:
        column = self.columns.get(what)
        return self.cells[column] if column else [""] * len(self.cells[self.columns["date"]])

    def refuse(self, row: int, found: str, hint: str) -> DataError:
        return DataError(f"{self.table.place(row)}: {found}", hint)


def with_events(panel: Panel, path: str) -> Panel:
    """`panel` with the events in a file, for its series, in the order of their names in the file; with notes on them.

    DataError where the file cannot be used.
    """
    rows = _rows(path, panel)
    days, names = _days(rows), rows.of("name")
    series, unknown = _series(rows, panel)
    found: dict[str, list[tuple[int, str]]] = {}
    windows: dict[str, tuple[int, int]] = {}
    for row, (day, name) in enumerate(zip(days, names, strict=True)):
        if name in MISSING:
            raise rows.refuse(row, f"the event's name is missing (column {rows.columns['name']}).", "Give it.")
        window = _window(rows, row, "before"), _window(rows, row, "after")
        if windows.setdefault(name, window) != window:
            raise rows.refuse(
                row,
                f"event '{name}' has {window[0]} days before and {window[1]} after, and {windows[name][0]} and "
                f"{windows[name][1]} in another row.",
                "Give an event one window, or two events two names.",
            )
        found.setdefault(name, []).extend((day, one) for one in series[row])
    events = []
    for name, dates in found.items():
        ordered = sorted(set(dates))
        events.append(Event(name, *windows[name], tuple(d for d, _ in ordered), tuple(s for _, s in ordered)))
    kinds = [f"{event.name} ({len(set(event.dates)):,})" for event in events]
    notes = [f"events: {listed(kinds, 8)}."]
    warnings: tuple[str, ...] = ()
    if unknown:
        of = listed([quoted(one) for one in unknown])
        warnings = (f"events of {len(unknown):,} series that the data does not have are not used: {of}.",)
    unused = [c for c in rows.table.columns if c not in rows.columns.values()]
    if unused:
        notes.append(f"columns of the events that are not used: {', '.join(unused)}.")
    return replace(panel, events=tuple(events), notes=(*panel.notes, *notes), warnings=(*panel.warnings, *warnings))


def _rows(path: str, panel: Panel) -> _Rows:
    table = open_table(path)
    lower = {name.strip().lower(): name for name in reversed(table.columns)}
    columns = {
        what: next(lower[name] for name in known if name in lower)
        for what, known in _NAMES.items()
        if any(name in lower for name in known)
    }
    own = _keys(panel)
    keys = [key for key in own if key in table.columns]
    if keys:
        columns = {what: name for what, name in columns.items() if what != "series" and name not in keys}
        columns |= {key: key for key in keys}
    lacking = [what for what in ("date", "name") if what not in columns]
    if lacking:
        raise DataError(
            f"{table.name}: events have no column '{lacking[0]}', but {', '.join(table.columns)}.",
            "Expected date,name and optionally series,before,after.",
        )
    used = list(dict.fromkeys(columns.values()))
    return _Rows(table, columns, _cells(table, used))


def _keys(panel: Panel) -> tuple[str, ...]:
    """The columns of the data that name its series."""
    if panel.columns.series is None:
        return ()
    several = len(panel.keys) - bool(panel.targets) > 1
    return split_names(panel.columns.series) if several else (panel.columns.series,)


def _cells(table: RawTable, columns: Sequence[str]) -> dict[str, list[str]]:
    """The texts of each column: of CSV files without pandas, which a host that only forecasts may lack."""
    if isinstance(table, CsvTable):
        every = [fields for _, fields in records(table.name, table.data, table.delimiter)][1:]
        at = {name: table.columns.index(name) for name in columns}
        return {name: [f[i].strip() if i < len(f) else "" for f in every] for name, i in at.items()}
    table.load(columns, ())
    found = {name: table.text_column(name) for name in columns}
    return {name: [str(one.texts[code]).strip() for code in one.codes] for name, one in found.items()}


def _days(rows: _Rows) -> list[int]:
    """Days since 1970 of each row."""
    column, texts = rows.columns["date"], rows.of("date")
    parts = [iso(text) for text in texts]
    if None not in parts:
        return [part[0] // DAY for part in parts if part is not None]
    import pandas as pd

    codes, distinct = pd.factorize(np.array(texts, dtype=object))
    stamps = parse_stamps(Origin(column, TextColumn(codes, pd.Index(distinct, dtype=object)), rows.table.place))
    if stamps.whole_numbers:
        raise rows.refuse(0, f"'{texts[0]}' (column {column}) is no date.", "Expected ISO 8601, e.g. 2024-12-01.")
    days: IntArray = wall_clock(stamps.values, stamps.zone)[codes] // DAY
    return [int(day) for day in days]


def _window(rows: _Rows, row: int, which: str) -> int:
    """Days before or after; Prophet counts those before below 0."""
    text = rows.of(which)[row]
    if text in MISSING:
        return 0
    try:
        days = abs(int(float(text)))
        if float(text) != int(float(text)) or days > MAX_WINDOW:
            raise ValueError(text)
    except (ValueError, OverflowError):
        column = rows.columns[which]
        raise rows.refuse(
            row, f"'{text}' (column {column}) is no number of days from 0 to {MAX_WINDOW}.", "Give one."
        ) from None
    return days


def _series(rows: _Rows, panel: Panel) -> tuple[list[list[str]], list[str]]:
    """The series of each row, [""] = all; and the names that the panel does not have. A row may give some of several keys."""
    names = [str(name) for name in panel.series]
    own = _keys(panel)
    places = [i for i, key in enumerate(own) if key in rows.columns]
    given = list(zip(*(rows.of(own[i]) for i in places), strict=True)) if places else [(t,) for t in rows.of("series")]
    parts: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        keys = split_names(name)[: len(own)] if panel.keys else (name,)  # without the target, where there are several
        whole = keys[0] if len(keys) == 1 else joined_name(keys)
        parts.setdefault(tuple(keys[i] for i in places) or (whole,), []).append(name)
    found: list[list[str]] = []
    unknown: dict[str, None] = {}
    for one in given:
        if one not in parts and all(text in MISSING for text in one):  # a series may be called NA
            found.append([""])
            continue
        if one not in parts:
            unknown.setdefault(joined_name(one))
        found.append(parts.get(one, []))
    return found, list(unknown)
