"""File or data frame → Panel: typed, checked row by row, sorted, regular. RowsError are told by file line."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.cells import too_large, why_too_large
from forecaster.data.columns import Roles, covariate_roles, infer_roles
from forecaster.data.covariate_columns import one_a_series, read_covariates
from forecaster.data.covariates import cut_unobserved
from forecaster.data.faults import RowsError, Tell
from forecaster.data.freq import Freq
from forecaster.data.infer import SortedRows, check_grid, infer_freq, refuse_duplicates
from forecaster.data.localise import localise
from forecaster.data.panel import Columns, Covariate, Panel
from forecaster.data.regular import Filled, Given, described, fill_gaps
from forecaster.data.season import season_of
from forecaster.data.sieve import Sieve
from forecaster.data.source import fetch, name_of
from forecaster.data.stamps import Origin, Stamps, parse_stamps
from forecaster.data.table import CsvTable, RawTable
from forecaster.data.zones import check_zone
from forecaster.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecaster.typing import Data, FloatArray, IntArray, TextArray


def read_panel(
    source: Data,
    columns: Columns = Columns(),  # noqa: B008 - frozen
    *,
    freq: str | Freq | None = None,
    season_length: int | None = None,
    zone: str | None = None,
    timestamp_format: str | None = None,
) -> Panel:
    """The panel in a CSV file (plain or gzipped), a Parquet file, standard input ("-") or a data frame.

    `columns`, `freq` and `season_length` are inferred where not given, and `Panel.notes` says how. `zone` is where
    stamps without an offset were taken, or whose clock stamps with several offsets follow; `timestamp_format` is a
    strptime pattern for stamps that are not ISO 8601. DataError at the first fault, with its line; UsageError where
    the arguments contradict each other.
    """
    return read_as(source, ReadOptions.of(columns, freq, season_length, zone, timestamp_format))


@dataclass(frozen=True)
class ReadOptions:
    """How a table is read: what the caller said, checked; None = to be inferred."""

    columns: Columns
    freq: Freq | None
    season_length: int | None
    zone: str | None
    timestamp_format: str | None

    @classmethod
    def of(
        cls,
        columns: Columns = Columns(),  # noqa: B008 - frozen
        freq: str | Freq | None = None,
        season_length: int | None = None,
        zone: str | None = None,
        timestamp_format: str | None = None,
    ) -> ReadOptions:
        """UsageError where a frequency, a season length or a zone is none."""
        step = Freq.parse(freq) if isinstance(freq, str) else freq
        if season_length is not None and season_length < 1:
            raise UsageError(f"season length {season_length} is less than 1.", "1 means none.")
        return cls(columns, step, season_length, None if zone is None else check_zone(zone), timestamp_format)

    def or_else(self, known: ReadOptions) -> ReadOptions:
        """What is said here; what is not, as `known` says it."""
        return replace(known, **{**_said(self), "columns": replace(known.columns, **_said(self.columns))})


def _said(options: ReadOptions | Columns) -> dict[str, Any]:
    values = {item.name: getattr(options, item.name) for item in fields(options)}
    return {name: value for name, value in values.items() if value not in (None, ())}


def read_as(source: Data, options: ReadOptions) -> Panel:
    """The panel in a file, standard input or a data frame. DataError and UsageError as in `read_panel`."""
    return panel_of(open_table(source), options)


def read_future(source: Data, panel: Panel, timestamp_format: str | None = None) -> Panel:
    """What a file says of the columns that `panel` knows ahead: a panel of its own without targets."""
    table = open_table(source)
    texts = tuple(one.name for one in panel.covariates if one.levels is not None)
    columns = Columns(panel.columns.series, panel.columns.timestamp, known=panel.columns.known, texts=texts)
    covariates = covariate_roles(table, columns)
    roles = Roles("long" if columns.series else "single", columns.series, str(columns.timestamp), (), covariates)
    return _read(table, roles, ReadOptions(columns, panel.freq, panel.season_length, panel.zone, timestamp_format))


def panel_of(table: RawTable, options: ReadOptions) -> Panel:
    """The panel in a table. DataError and UsageError as in `read_panel`."""
    return _read(table, infer_roles(table, options.columns), options)


def _read(table: RawTable, roles: Roles, options: ReadOptions) -> Panel:
    step, zone = options.freq, options.zone
    _load(table, roles)
    covariates = read_covariates(table, roles.covariates)
    values = np.column_stack([_targets(table, roles), *(one.values for one in covariates)])
    codes, names = _series(table, roles)
    timestamps, stamps = _timestamps(table, roles, codes, zone, options.timestamp_format)
    order = _order(codes, timestamps)
    rows = SortedRows(
        series=names,
        offsets=_offsets(codes, len(names)),
        timestamps=timestamps if order is None else timestamps[order],
        zone=stamps.zone,
        whole_numbers=stamps.whole_numbers,
        source=table.name,
        where=lambda row: table.place(int(row if order is None else order[row])),
        order=order,
        column=roles.timestamp,
    )
    refuse_duplicates(rows, hint_zone=zone is None and stamps.zone is None and not stamps.whole_numbers)
    found = step or infer_freq(rows)
    steps = check_grid(rows, found, inferred=step is None)
    values = values if order is None else values[order]
    filled = fill_gaps(rows, found, steps, values)
    season = options.season_length or found.season_length
    notes = [*filter(None, (table.note, stamps.note)), *roles.notes(table)]
    panel = _panel(rows, filled, roles, found, season)
    if covariates:
        panel = _with_covariates(panel, covariates, rows, (values, filled.values))
        left = np.repeat(panel.lengths, np.diff(rows.offsets))
        panel = replace(panel, gaps=len(panel.target) - int(np.count_nonzero(steps < left)))
    if found.whole_numbers and not options.season_length:
        panel = replace(panel, season_length=season_of(panel.target, panel.offsets))
    given = Given(freq=step is not None, season_length=options.season_length is not None)
    return described(panel, notes, given, filled.first)


def _load(table: RawTable, roles: Roles) -> None:
    """Parse all columns at once."""
    texts = [one.name for one in roles.covariates if one.text]
    numbers = [*roles.targets, *(one.name for one in roles.covariates if not one.text)]
    if roles.series is None:
        table.load(texts, numbers, distinct=[roles.timestamp])
    else:
        table.load([*texts, roles.series, roles.timestamp], numbers)


def _with_covariates(
    panel: Panel, covariates: tuple[Covariate, ...], rows: SortedRows, values: tuple[FloatArray, FloatArray]
) -> Panel:
    """The panel with its covariates, cut off behind its last targets. `values` [·, 1 + C]: sorted, and without gaps."""
    covariates = tuple(
        one_a_series(one, rows, values[0][:, i])
        if one.role == "static"
        else replace(one, values=np.ascontiguousarray(values[1][:, i]))
        for i, one in enumerate(covariates, start=1)
    )
    panel = replace(panel, target=np.ascontiguousarray(values[1][:, 0]), covariates=covariates)
    return cut_unobserved(panel)


def open_table(source: Data) -> RawTable:
    """`source` as a table. DataError where it is none."""
    if not isinstance(source, (str, Path)):
        from forecaster.data.frames import FrameTable

        return FrameTable("data frame", source)
    path = str(source)
    if path.endswith((".parquet", ".pq")):
        from forecaster.data.frames import read_parquet

        return read_parquet(path)
    return CsvTable(name_of(path), fetch(path))


def _series(table: RawTable, roles: Roles) -> tuple[IntArray, TextArray]:
    """[R] series index, and the names [N] in order of first appearance. DataError where one is missing."""
    if roles.series is None:
        name = roles.targets[0] if roles.targets else ""
        return np.zeros(table.rows, dtype=np.int64), np.array([name], dtype=object)
    column = table.text_column(roles.series)
    texts = [str(text) for text in np.asarray(column.texts, dtype=object)]
    blank = [i for i, text in enumerate(texts) if not text.strip()]
    if blank:
        told = f"series is missing (column {roles.series}).", "Give it, or delete the row."
        raise RowsError("series", column.rows(blank), table.place, lambda k: told, column=roles.series)
    first = np.zeros(len(column.texts), dtype=np.int64)
    first[column.codes[::-1]] = np.arange(len(column.codes))[::-1]  # the last write is the earliest row
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[column.codes], np.array([texts[i] for i in order], dtype=object)


def _timestamps(
    table: RawTable, roles: Roles, codes: IntArray, zone: str | None, timestamp_format: str | None
) -> tuple[IntArray, Stamps]:
    """[R] timestamps, and how they were read; `Stamps.zone` is the panel's."""
    if timestamp_format is not None:
        table.load([roles.timestamp], ())  # as texts
    typed = table.stamps(roles.timestamp)
    if typed is None:
        column = table.text_column(roles.timestamp)

        def at(indices: Sequence[int]) -> tuple[int, str]:
            index, row = column.earliest(indices)
            return index, table.place(row)

        def blame(what: str, indices: Sequence[int], tell: Tell) -> DataError:
            rows = column.rows(indices)
            texts = column.codes[rows]
            return RowsError(what, rows, table.place, lambda k: tell(int(texts[k])), column=roles.timestamp)

        index: IntArray = column.codes
        stamps = parse_stamps(column.texts, Origin(roles.timestamp, at, zone, timestamp_format, blame))
        if isinstance(table, Sieve):
            table.keep(roles.timestamp, index, stamps)
    else:
        index, stamps = typed
    if stamps.whole_numbers and zone is not None:
        raise UsageError(f"zone '{zone}' has no meaning for whole-number steps.", "Leave --zone out.")
    if zone is None or stamps.whole_numbers:
        return stamps.values[index], stamps
    if stamps.zone is None:
        values = localise(stamps.values, index, codes, zone, table.place)
        return values, Stamps(values, zone, note=stamps.note)
    return stamps.values[index], Stamps(stamps.values, zone, note=stamps.note)


def _targets(table: RawTable, roles: Roles) -> FloatArray:
    """[R, C] target columns. DataError on what is too large to compute with, and where a column holds no number at all."""
    if not roles.targets:
        return np.full((table.rows, 1), np.nan)
    numbers = table.numbers(roles.targets)
    for name, values in numbers.items():
        if len(rows := too_large(values)):
            raise _too_large(name, values[rows], rows, table)
        if np.isnan(values).all():
            raise DataError(f"{table.name}: target column '{name}' holds no number.", "Name another: --target COLUMN.")
    one = numbers[roles.targets[0]]
    return one[:, None] if len(roles.targets) == 1 else np.column_stack(list(numbers.values()))


def _too_large(name: str, values: FloatArray, rows: IntArray, table: RawTable) -> RowsError:
    def tell(k: int) -> tuple[str, str]:
        found, hint = why_too_large(values[k])
        return f"target '{values[k]:g}' (column {name}) {found}", hint

    return RowsError("target", rows, table.place, tell, column=name)


def _panel(rows: SortedRows, filled: Filled, roles: Roles, freq: Freq, season_length: int) -> Panel:
    """The panel without notes. In the wide layout each target column is a series, all with the same stamps."""
    wide = roles.layout == "wide"
    copies = len(roles.targets) if wide else 1
    return Panel(
        series=np.array(roles.targets, dtype=object) if wide else rows.series,
        offsets=np.arange(copies + 1) * len(filled.timestamps) if wide else filled.offsets,
        timestamps=np.tile(filled.timestamps, copies),
        target=np.ascontiguousarray(filled.values.T).reshape(-1),
        freq=freq,
        season_length=season_length,
        zone=rows.zone,
        columns=roles.columns,
        layout=roles.layout,
        source=rows.source,
        gaps=filled.gaps * copies,
        notes=(),
    )


def _order(codes: IntArray, timestamps: IntArray) -> IntArray | None:
    """[R] rows by series and time, equals as in the file; None where they are so already."""
    later = np.diff(timestamps) >= 0
    if ((codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & later)).all():
        return None
    return np.lexsort((timestamps, codes))


def _offsets(codes: IntArray, series: int) -> IntArray:
    return np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=series))]).astype(np.int64)


def rows_of(panel: Panel) -> dict[str, Any]:
    """Columns `series`, `timestamp`, `target` of all rows as arrays [R], to be written back: what `read_panel` reads to
    an equal panel.
    """
    from forecaster.data.freq import format_timestamps

    return {
        "series": np.repeat(panel.series, panel.lengths),
        "timestamp": format_timestamps(panel.timestamps, panel.freq, panel.zone),
        "target": panel.target,
    }
