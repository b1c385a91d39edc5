"""File or data frame → Panel: typed, checked row by row, sorted, regular. A RowsError names the line of the file."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import Freq
from forecaster.data.future_covariates import cut_unobserved
from forecaster.data.ignored_ranges import ignored_rows
from forecaster.data.leading_zeros import without_leading_zeros
from forecaster.data.panel import Columns, Covariate, Panel, Season
from forecaster.data.reading.column_roles import Roles, covariate_roles, infer_roles
from forecaster.data.reading.covariate_columns import one_per_series, read_covariates
from forecaster.data.reading.ends_of_days import after_midnight, late_note
from forecaster.data.reading.frequency import SortedRows
from forecaster.data.reading.gap_warnings import finer_warning, gap_warning, no_event_warning
from forecaster.data.reading.inexact_numbers import inexact_warning
from forecaster.data.reading.joined_columns import joined_name, parts_of, split_names, with_joined
from forecaster.data.reading.joined_rows import Observations
from forecaster.data.reading.missing_rows import Filled, gaps_between, insert_missing_rows
from forecaster.data.reading.odd_panel import odd_warnings
from forecaster.data.reading.open_table import open_table
from forecaster.data.reading.panel_notes import panel_notes
from forecaster.data.reading.parsed_timestamps import Origin, ParsedTimestamps
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.regular_rows import Regular, regular
from forecaster.data.reading.row_errors import RowsError
from forecaster.data.reading.row_span import rows_within
from forecaster.data.reading.several_targets import for_each_target
from forecaster.data.reading.step_changes import step_change_warning
from forecaster.data.reading.table import RawTable
from forecaster.data.reading.text_columns import TextColumn, too_large, why_too_large
from forecaster.data.reading.timestamp_column import localize, parse_stamps
from forecaster.data.row_options import KEEP, LEAVE_OUT, RowOptions
from forecaster.data.seasonality import infer_season
from forecaster.data.time_zones import DAY
from forecaster.errors import DataError, UsageError

if TYPE_CHECKING:
    from forecaster.typing import Data, FloatArray, IntArray, TextArray

_SPACE = re.compile(r"\s")


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

    `columns`, `freq` and `season_length` are inferred where not given, and `Panel.notes` says how. `zone` is the
    zone of timestamps without an offset, or the one that changes between several offsets; `timestamp_format` is a
    strptime pattern for timestamps that are not ISO 8601. DataError at the first fault, with its line; UsageError where
    the arguments contradict each other.
    """
    return read_as(source, ReadOptions.of(columns, freq, season_length, zone, timestamp_format))


def read_as(source: Data, options: ReadOptions) -> Panel:
    """The panel in a file, standard input or a data frame. DataError and UsageError as in `read_panel`."""
    return panel_of(open_table(source, text=options.text), options)


def read_future(source: Data, panel: Panel, timestamp_format: str | None = None) -> Panel:
    """The known covariates of a file, as those of `panel`: a panel of its own without targets."""
    table = open_table(source, text=panel.text)
    texts = tuple(one.name for one in panel.covariates if one.levels is not None)
    columns = Columns(panel.columns.series, panel.columns.timestamp, known=panel.columns.known, texts=texts)
    roles = Roles(
        series=columns.series,
        timestamp=str(columns.timestamp),
        targets=(),
        covariates=covariate_roles(table, columns),
    )
    options = ReadOptions(
        columns=columns,
        freq=panel.freq,
        season_length=panel.season_length,
        zone=panel.zone,
        timestamp_format=timestamp_format,
        likely_format=panel.timestamp_form,
        rows=RowOptions(all_slots=True),
    )
    found = _read(table, roles, options)
    if not panel.targets:
        return found
    nothing = np.full((len(found.target), len(panel.targets)), np.nan)
    return for_each_target(found, panel.targets, nothing, parts_of(str(columns.series), table.columns))


def panel_of(table: RawTable, options: ReadOptions) -> Panel:
    """The panel in a table. DataError and UsageError as in `read_panel`."""
    return _read(table, roles_in(table, options), options)


def roles_in(table: RawTable, options: ReadOptions) -> Roles:
    """The role of each column. DataError where one cannot be inferred."""
    aggregated = options.rows.aggregate is not None
    return infer_roles(table, options.columns, options.timestamp_format, aggregated=aggregated)


def _read(table: RawTable, roles: Roles, options: ReadOptions) -> Panel:
    table = with_joined(
        table,
        roles.series,
        roles.timestamp,
        format=options.timestamp_format,
        likely=None if options.timestamp_format else options.likely_format,
        zone=options.zone,
    )
    _load(table, roles)
    covariates = read_covariates(table, roles.covariates)
    targets = _targets(table, roles)
    rows, stamps = _sorted_rows(table, roles, options)
    keep_later = any(one.role == "known" for one in covariates)
    rows, later, span_note = rows_within(rows, options.rows, keep_later=keep_later)
    sorted_values = tuple(replace(one, values=rows.sort(one.values)) for one in covariates)
    sorted_targets = rows.sort(np.column_stack(targets))  # a copy: the values may be the caller's
    if later.any():
        sorted_targets[later] = np.nan
    grid = regular(Observations(rows, sorted_targets, sorted_values), options.freq, options.rows)
    rows, freq, steps, covariates = grid.found.rows, grid.freq, grid.steps, grid.found.covariates

    columns = [grid.found.targets, *(one.values for one in covariates if one.role != "static")]
    values = columns[0] if len(columns) == 1 else np.column_stack(columns)
    sums = grid.found.targets.shape[1] if grid.events else 0
    filled = insert_missing_rows(rows, freq, steps, values, sums=sums)
    panel = _regular_panel(table, roles, grid, filled, covariates)
    if ranges := grid.options.ignore:
        ignored = ignored_rows(panel, ranges)
        panel = replace(panel, target=np.where(ignored, np.nan, panel.target))
        grid = replace(grid, notes=(*grid.notes, f"{int(ignored.sum()):,} targets ignored: {', '.join(ranges)}."))
    if grid.options.leading_zeros != KEEP:
        panel, zeros_note = without_leading_zeros(panel, options.season_length or freq.season_length)
        # A model that does not say so has learnt from them.
        grid = replace(grid, options=replace(grid.options, leading_zeros=LEAVE_OUT), notes=(*grid.notes, zeros_note))
    season = _season(panel, options)  # of what teaches
    unlikely = no_event_warning(rows, freq, steps) if filled.zeros else ""
    gaps = gap_warning(rows, freq, steps) or unlikely if unlikely or (filled.gaps and not filled.zeros) else ""
    finer = finer_warning(rows, freq, steps) if filled.gaps and (options.freq or options.rows.resample) else ""
    odd = odd_warnings(panel, options.season_length or freq.season_length)
    changed = step_change_warning(rows, freq, steps) if filled.gaps and not filled.zeros else ""
    warnings = (gaps, finer, changed, inexact_warning(table, roles.targets, targets), *odd)
    panel = replace(
        panel,
        season_length=season.length,
        season=season,
        warnings=tuple(warning for warning in warnings if warning),
        timestamp_form=stamps.form,
        rows=grid.options,
        text=replace(options.text, **table.marks),
    )
    found = [
        table.note,
        stamps.note,
        *roles.notes(table),
        span_note,
        *grid.notes,
        f"{filled.zeros:,} sums of nothing are 0." if filled.zeros else "",
        *panel_notes(panel, options.freq, options.season_length, filled.first),
    ]
    return replace(panel, notes=tuple(note for note in found if note))


def _regular_panel(
    table: RawTable, roles: Roles, grid: Regular, filled: Filled, covariates: tuple[Covariate, ...]
) -> Panel:
    """The panel of rows without gaps, with what is known of each series, and a series for each target."""
    rows, freq, steps = grid.found.rows, grid.freq, grid.steps
    keys = parts_of(roles.series, table.columns) if roles.series else ()
    panel = replace(_panel(rows, filled, roles, freq), keys=keys if len(keys) > 1 else ())
    if covariates:
        inputs = filled.values[:, grid.found.targets.shape[1] :]
        panel = replace(panel, covariates=_filled_covariates(covariates, rows, inputs))
    if roles.series and len(roles.targets) > 1:
        panel = for_each_target(panel, roles.targets, filled.values[:, : len(roles.targets)], keys)
    if covariates:
        panel = _cut_unobserved(panel, rows, steps)
    panel = replace(panel, gaps=panel.gaps - filled.zero_gaps)
    if panel.gaps and not filled.zeros:
        panel = replace(panel, gap_runs=gaps_between(rows, freq, steps, every=roles.layout == "wide"))
    return panel


def _load(table: RawTable, roles: Roles) -> None:
    """Parse all columns at once."""
    texts = [one.name for one in roles.covariates if one.text]
    numbers = [*roles.targets, *(one.name for one in roles.covariates if not one.text)]
    if roles.series is None:
        table.load(texts, numbers, distinct=[roles.timestamp])
    else:
        table.load([*texts, roles.series, roles.timestamp], numbers)


def _targets(table: RawTable, roles: Roles) -> tuple[FloatArray, ...]:
    """[R] each target column. DataError on what is too large to compute with, and where a column holds no number at all."""
    if not roles.targets:
        return (np.full(table.rows, np.nan),)
    numbers = table.numbers(roles.targets)
    for name, values in numbers.items():
        if len(rows := too_large(values)):
            raise _too_large(name, values[rows], rows, table)
        if np.isnan(values).all():
            raise DataError(f"{table.name}: target column '{name}' holds no number.", "Name another: --target COLUMN.")
    return tuple(numbers.values())


def _too_large(name: str, values: FloatArray, rows: IntArray, table: RawTable) -> RowsError:
    def describe(k: int) -> tuple[str, str]:
        found, hint = why_too_large(values[k])
        return f"target '{values[k]:g}' (column {name}) {found}", hint

    return RowsError("target", rows, table.place, describe, column=name)


def _series(table: RawTable, roles: Roles) -> tuple[IntArray, TextArray]:
    """[R] series index, and the names [N] in order of first appearance. DataError where one is missing."""
    if roles.series is None:
        name = roles.targets[0] if roles.targets else ""
        return np.zeros(table.rows, dtype=np.int64), np.array([name], dtype=object)
    in_parts = len(parts_of(roles.series, table.columns)) > 1
    column = _without_spaces(table.text_column(roles.series), in_parts)
    texts = [str(text) for text in np.asarray(column.texts, dtype=object)]
    blank = [i for i, text in enumerate(texts) if not (all(split_names(text)) if in_parts else text)]
    if blank:
        described = f"series is missing (column {roles.series}).", "Give it, or delete the row."
        raise RowsError("series", column.rows(blank), table.place, lambda _: described, column=roles.series)
    if _is_one_after_another(column.codes, len(texts)):
        return column.codes, np.array(texts, dtype=object)
    first = np.zeros(len(column.texts), dtype=np.int64)
    first[column.codes[::-1]] = np.arange(len(column.codes))[::-1]  # the last write is the earliest row
    if (first[1:] > first[:-1]).all():  # in order: no copy of millions of rows
        return column.codes, np.array(texts, dtype=object)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[column.codes], np.array([texts[i] for i in order], dtype=object)


def _without_spaces(column: TextColumn, in_parts: bool) -> TextColumn:
    """Names without the spaces around them, or around their parts: what differs in these alone is one series."""
    spaced = [i for i, text in enumerate(column.texts) if _SPACE.search(str(text))]
    if not spaced:
        return column
    texts = np.array([str(text) for text in column.texts], dtype=object)
    texts[spaced] = [joined_name(split_names(texts[i])) if in_parts else texts[i].strip() for i in spaced]
    place = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    same = np.array([place[text] for text in texts], dtype=np.int64)
    return TextColumn(same[column.codes], np.array([*place], dtype=object))


def _is_one_after_another(codes: IntArray, count: int) -> bool:
    """Whether each of the codes 0 to `count` - 1 has its rows together, in this order, as in a plain file."""
    return np.count_nonzero(codes[1:] != codes[:-1]) == count - 1 and bool((codes[1:] >= codes[:-1]).all())


def _stamps(table: RawTable, name: str, series: IntArray, options: ReadOptions) -> ParsedTimestamps:
    """The timestamps [R] in column `name` of rows of these `series` [R], and the panel's zone."""
    zone, likely = options.zone, options.likely_format
    in_parts = len(parts_of(name, table.columns)) > 1
    if options.timestamp_format is not None and not in_parts:
        table.load([name], ())  # as texts
    typed = table.stamps(name)
    if typed is not None and likely is not None and typed[1].form != likely and not in_parts:
        table.load([name], ())
        typed = table.stamps(name)
    codes, stamps = typed or _parsed_stamps(table, name, options)
    if stamps.whole_numbers and zone is not None:
        raise UsageError(f"zone '{zone}' has no meaning for whole-number steps.", "Leave --zone out.")
    count = len(stamps.values)
    own = len(codes) == count and _is_one_after_another(codes, count)
    values = stamps.values if own else stamps.values[codes]
    on_clock = stamps.zone is None and not stamps.whole_numbers
    late = after_midnight(values, series) if on_clock else None
    if late is not None:
        note = f"{stamps.note} {late_note(values, late)}".strip()
        codes, values = np.arange(len(values)), values + DAY * late
        stamps = replace(stamps, values=values, note=note)
    if zone is None:
        return replace(stamps, values=values)
    if stamps.zone is None:
        return replace(stamps, values=localize(stamps.values, codes, series, zone, table.place), zone=zone)
    return replace(stamps, values=values, zone=zone)


def _parsed_stamps(table: RawTable, name: str, options: ReadOptions) -> tuple[IntArray, ParsedTimestamps]:
    """[R] codes and distinct stamps of a column of texts."""
    column = table.text_column(name)
    likely = None if options.timestamp_format else options.likely_format
    stamps = parse_stamps(Origin(name, column, table.place, options.zone, options.timestamp_format, likely))
    table.keep_stamps(name, column.codes, stamps)
    return column.codes, stamps


def _sorted_rows(table: RawTable, roles: Roles, options: ReadOptions) -> tuple[SortedRows, ParsedTimestamps]:
    """The rows by series and time, equal ones as in the file; and how their timestamps were read."""
    codes, names = _series(table, roles)
    stamps = _stamps(table, roles.timestamp, codes, options)
    timestamps = stamps.values
    later = timestamps[1:] >= timestamps[:-1]
    is_sorted = ((codes[1:] > codes[:-1]) | ((codes[1:] == codes[:-1]) & later)).all()
    order = None if is_sorted else np.lexsort((timestamps, codes))
    rows = SortedRows(
        series=names,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=len(names)))]).astype(np.int64),
        timestamps=timestamps if order is None else timestamps[order],
        zone=stamps.zone,
        whole_numbers=stamps.whole_numbers,
        source=table.name,
        place=table.place,
        order=order,
        column=roles.timestamp,
    )
    return rows, replace(stamps, values=timestamps[:0])


def _panel(rows: SortedRows, filled: Filled, roles: Roles, freq: Freq) -> Panel:
    """The panel without covariates and notes. In the wide layout each target column is a series, all with the same
    timestamps.
    """
    wide = roles.layout == "wide"
    copies = len(roles.targets) if wide else 1
    return Panel(
        series=np.array(roles.targets, dtype=object) if wide else rows.series,
        offsets=np.arange(copies + 1) * len(filled.timestamps) if wide else filled.offsets,
        timestamps=filled.timestamps if copies == 1 else np.tile(filled.timestamps, copies),
        target=np.ascontiguousarray(filled.values[:, :copies].T).reshape(-1),
        freq=freq,
        season_length=freq.season_length,
        zone=rows.zone,
        columns=roles.columns,
        layout=roles.layout,
        source=rows.source,
        gaps=filled.gaps * copies,
        notes=(),
    )


def _filled_covariates(
    covariates: tuple[Covariate, ...], rows: SortedRows, inputs: FloatArray
) -> tuple[Covariate, ...]:
    """One value a series where static, else the columns of `inputs` [R, C]."""
    columns = iter(inputs.T)
    return tuple(
        one_per_series(one, rows) if one.role == "static" else replace(one, values=np.ascontiguousarray(next(columns)))
        for one in covariates
    )


def _cut_unobserved(panel: Panel, rows: SortedRows, steps: IntArray) -> Panel:
    """`panel` after `cut_unobserved`, with its gaps counted again. `steps` [R] of `rows` since their series' first."""
    panel = cut_unobserved(panel)
    own = np.diff(rows.offsets)
    each = panel.lengths.reshape(len(own), -1)  # [N, T] rows of each target of a series
    kept = sum(np.count_nonzero(steps < np.repeat(lengths, own)) for lengths in each.T)
    return replace(panel, gaps=len(panel.target) - int(kept))


def _season(panel: Panel, options: ReadOptions) -> Season:
    if options.season_length is not None:
        return Season(options.season_length, "given")
    return infer_season(panel.target, panel.offsets, panel.freq)
