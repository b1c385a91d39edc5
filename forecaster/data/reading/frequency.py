"""The frequency of a panel, inferred from all rows of all series; and checks that each timestamp is unique and on the grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import WEEKDAYS, Freq, day_in_month, timestamp_text
from forecaster.data.reading.differences import Differences, inner_neighbours
from forecaster.data.reading.irregular_rows import clock_hint, what_makes_regular
from forecaster.data.reading.periods import floored
from forecaster.data.reading.row_errors import Describe, RowsError
from forecaster.data.series_blocks import series_blocks
from forecaster.data.time_zones import DAY, days_on_clock, wall_clock, weekday_of
from forecaster.errors import DataError, quoted

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray, IntArray, TextArray

_MIN_MONTH_DAY_SHARE = 0.8  # of timestamps on one day of the month, for steps to be months and the rest faults
_MAX_OFF_SHARE = 0.2  # of rows off the grid, from which they have no grid; fewer are faults
_MIN_OFF_ROWS = 3
_MIN_ROWS = 5  # of a series, for its own frequency to contradict the others'


@dataclass(frozen=True)
class SortedRows:
    """A table's timestamps sorted by series and time, and what messages need to name their places."""

    series: TextArray  # [N] names
    offsets: IntArray  # [N+1]
    timestamps: IntArray  # [R]
    zone: str | None
    whole_numbers: bool
    source: str  # file name
    place: Callable[[int], str]  # row of the table → "sales.csv:17"
    order: IntArray | None = None  # [R] the table's row of each of these; None = they are the same
    column: str | None = None  # of the timestamps, for messages

    def text(self, row: int) -> str:
        """The timestamp of `row` for a message."""
        return timestamp_text(int(self.timestamps[row]), self.zone, whole_numbers=self.whole_numbers)

    def name_of(self, row: int) -> str:
        """The series that `row` belongs to."""
        return str(self.series[np.searchsorted(self.offsets, row, side="right") - 1])

    def where(self, row: int) -> str:
        """The place of `row`: "sales.csv:17"."""
        return self.place(int(self._in_table(np.array([row]))[0]))

    def sort(self, values: FloatArray) -> FloatArray:
        """[R, …] values of the table's rows in the order of these."""
        return values if self.order is None else values[self.order]

    def with_every_series(self, kept: BoolArray) -> BoolArray:
        """`kept` [R], and the first row of each series that has no row in it."""
        some = np.logical_or.reduceat(kept, self.offsets[:-1])
        whole: BoolArray = kept.copy()
        whole[self.offsets[:-1][~some]] = True
        return whole

    def only(self, kept: BoolArray) -> SortedRows:
        """The rows `kept` [R], at least one of each series."""
        order = np.flatnonzero(kept) if self.order is None else self.order[kept]
        offsets = np.concatenate([[0], np.cumsum(kept)])[self.offsets].astype(np.int64)
        return replace(self, offsets=offsets, timestamps=self.timestamps[kept], order=order)

    def error(self, what: str, rows: IntArray, describe: Describe, drop: IntArray | None = None) -> RowsError:
        """The error about `rows`; reading could go on without `drop`, or else without them."""
        dropped = self._in_table(rows if drop is None else drop)
        return RowsError(what, self._in_table(rows), self.place, describe, column=self.column, drop=dropped)

    def _in_table(self, rows: IntArray) -> IntArray:
        return rows if self.order is None else self.order[rows]


def refuse_duplicates(rows: SortedRows) -> None:
    """RowsError with both lines where a series has a timestamp twice."""
    equal = rows.timestamps[1:] == rows.timestamps[:-1]
    equal[rows.offsets[1:-1] - 1] = False  # neighbours of two series
    if not equal.any():
        return
    found = np.flatnonzero(equal)
    more = f" ({len(found)} such rows in all)" if len(found) > 1 else ""

    def describe(k: int) -> tuple[str, str]:
        row = int(found[k])
        hint = "Keep one of them, join them with --aggregate sum, mean or last, or name the column that separates the series: "
        hint += "--series COLUMN."
        if rows.zone is None and not rows.whole_numbers and rows.timestamps[row] % DAY:
            hint += " If the clock was set back here, give the zone, e.g. --zone Europe/Berlin."
        return f"{_stamp_of(rows, row)} is already in {rows.where(row)}{'' if k else more}.", hint

    raise rows.error("duplicate", found + 1, describe)


def infer_freq(rows: SortedRows) -> Freq:
    """The most frequent step between neighbouring timestamps of a series, or the steps' greatest common divisor where
    enough of them equal it. DataError where no series has two rows. `check_grid` finds the rows that do not fit.
    """
    freq = _guess(rows.timestamps, rows.offsets, rows.zone, rows.whole_numbers)
    if freq is None:
        raise DataError(
            f"{rows.source}: no series has two rows, so no frequency can be inferred.", "Give one, e.g. --freq D."
        )
    return freq


def check_grid(rows: SortedRows, freq: Freq, *, inferred: bool) -> IntArray:
    """[R] each row's steps since its series' first row. RowsError on timestamps off their series' grid and, where the
    frequency was `inferred`, on series that have another frequency.
    """
    if freq.whole_numbers != rows.whole_numbers:
        found = "whole numbers" if rows.whole_numbers else "dates"
        raise DataError(
            f"{rows.where(0)}: timestamps are {found}, and frequency {freq.name} does not fit them.",
            "Give --freq as a whole number, or dates." if rows.whole_numbers else "Give --freq as e.g. D or h.",
        )
    steps, off = steps_on_grid(rows.timestamps, rows.offsets, rows.zone, freq)
    if inferred:
        _refuse_mixed(rows, freq, steps, off)
    if not off.any():
        return steps
    if inferred:
        refuse_irregular(rows, freq)
    bad = _odd_ones(rows.offsets, off, inferred=inferred)
    how = "inferred from all rows" if inferred else "as --freq or the model says"
    own = _guess(rows.timestamps, rows.offsets, rows.zone, rows.whole_numbers)
    clock = clock_hint(rows.timestamps[: rows.offsets[1]], rows.zone)
    hint = clock or "Mend the row, or give the frequency with --freq."
    if freq.rule:
        hint = "Mend the row, or move all rows to the starts of months with --freq MS --snap."
    if freq.slots:
        hint = "Mend the row, or train again with --all-slots, or on data with such rows."
    elif not inferred and own is not None and own != freq:
        hint = f"The rows look like --freq {own.name}."

    def describe(k: int) -> tuple[str, str]:
        row = int(bad[k])
        return f"{_stamp_of(rows, row)} does not fit frequency {freq.name}, {how}.", hint

    raise rows.error("frequency", bad, describe)


def refuse_irregular(rows: SortedRows, freq: Freq) -> None:
    """DataError where so many rows are off the grid of `freq` that they have no regular step."""
    if freq.whole_numbers:
        return
    lengths = np.diff(rows.offsets)
    grid = floored(rows.timestamps, freq, rows.zone)
    phase = rows.timestamps - grid
    if freq.by_wall_clock:
        phase = wall_clock(rows.timestamps, rows.zone) - wall_clock(grid, rows.zone)
    usual = np.array([_mode(phase[a:b]) for a, b in zip(rows.offsets[:-1], rows.offsets[1:], strict=True)])
    off = np.flatnonzero(phase != np.repeat(usual, lengths))
    share = len(off) / len(rows.timestamps)
    if len(off) < _MIN_OFF_ROWS or share < _MAX_OFF_SHARE:
        return
    raise DataError(
        f"{rows.source}: the timestamps have no regular step: {len(off):,} of {len(rows.timestamps):,} rows ({share:.0%}) "
        f"are off a grid of {freq.name}, the first {_stamp_of(rows, int(off[0]))} ({rows.where(int(off[0]))}).",
        what_makes_regular(rows.timestamps, rows.offsets, rows.zone),
    )


def _stamp_of(rows: SortedRows, row: int) -> str:
    column = f" (column {rows.column})" if rows.column else ""
    return f"timestamp '{rows.text(row)}'{column} of series {quoted(rows.name_of(row))}"


def _odd_ones(offsets: IntArray, off: BoolArray, *, inferred: bool) -> IntArray:
    """Rows off the grid. Where most of a series disagrees with its first row, the first row is the one off."""
    odd = off.copy()
    if inferred:
        lengths = np.diff(offsets)
        disagreeing = np.diff(np.concatenate([[0], np.cumsum(off)])[offsets])
        wrong = (2 * disagreeing > lengths) & (lengths > 2)
        odd[np.repeat(wrong, lengths)] = False
        odd[offsets[:-1][wrong]] = True
    return np.flatnonzero(odd)


def steps_on_grid(timestamps: IntArray, offsets: IntArray, zone: str | None, freq: Freq) -> tuple[IntArray, BoolArray]:
    """[R] steps since the series' first row, and whether the row is off the grid that starts there."""
    steps, off = np.empty(len(timestamps), np.int64), np.empty(len(timestamps), bool)
    for some, part in series_blocks(offsets):
        own = offsets[some.start : some.stop + 1] - part.start
        steps[part], off[part] = _steps_of(timestamps[part], own, zone, freq)
    return steps, off


def _steps_of(timestamps: IntArray, offsets: IntArray, zone: str | None, freq: Freq) -> tuple[IntArray, BoolArray]:
    """As `_steps`, of some series."""
    lengths = np.diff(offsets)
    ordinals = freq.ordinals(timestamps, zone)
    steps = ordinals - np.repeat(ordinals[offsets[:-1]], lengths)
    expected = freq.advance(np.repeat(timestamps[offsets[:-1]], lengths), steps, zone)
    if zone is not None and freq.by_wall_clock:  # either of two equal times on the clock will do
        return steps, wall_clock(expected, zone) != wall_clock(timestamps, zone)
    return steps, expected != timestamps


def _guess(timestamps: IntArray, offsets: IntArray, zone: str | None, whole_numbers: bool) -> Freq | None:
    """The frequency that fits most rows; None where no series has two."""
    if not (np.diff(offsets) > 1).any():
        return None
    between = Differences.of(timestamps, offsets)
    if whole_numbers:
        return Freq("step", between.step)
    usual = (between if zone is None else Differences.of(timestamps, offsets, lambda some: wall_clock(some, zone))).mode
    if usual <= 0 or usual % DAY:  # not 0: one instant an hour after another may show the same time
        return Freq("clock", between.step)
    # Without 0, as of two stamps on one day: a fault found later.
    in_days = Differences.of(timestamps, offsets, lambda some: days_on_clock(some, zone)).positive
    if in_days.mode >= 28:
        freq = _by_month(days_on_clock(timestamps, zone), offsets)
        if freq is not None:
            return freq
    if in_days.step == 1 and _has_weekends_only_as_gaps(timestamps, offsets, zone):
        return Freq("B", 1)
    return Freq("clock", in_days.step * DAY)


def _has_weekends_only_as_gaps(timestamps: IntArray, offsets: IntArray, zone: str | None) -> bool:
    """Whether no row is of a weekend, and a Monday follows a Friday."""
    found = False
    for some, part in series_blocks(offsets):
        days = days_on_clock(timestamps[part], zone)
        weekday = weekday_of(days)
        if weekday.max() >= 5:
            return False
        inner = inner_neighbours(offsets[some.start : some.stop + 1] - part.start)
        found = found or bool((inner & (weekday[:-1] == 4) & (np.diff(days) == 3)).any())
    return found


def _by_month(days: IntArray, offsets: IntArray) -> Freq | None:
    """A frequency of whole months where most timestamps fall on one day of the month, from its start or its end."""
    month = days.astype("M8[D]").astype("M8[M]")
    first = month.astype("M8[D]").astype(np.int64)
    day = days - first + 1
    nth, weekday = _mode((day - 1) // 7), _mode(weekday_of(days))
    rules = ("BS", "BE", *([f"WOM-{nth + 1}{WEEKDAYS[weekday]}"] if nth < 4 else []), f"LWOM-{WEEKDAYS[weekday]}")
    kinds = [(kept, "") for kept in (1, 31, int(np.bincount(day).argmax()))] + [(1, rule) for rule in rules]
    months: IntArray = month.astype(np.int64)
    shares = []
    for kind in kinds:
        shares.append(float(np.mean(days == day_in_month(months, *kind))))
        if shares[-1] == 1.0:  # nearly always the first kind, and the others take time on millions of rows
            break
    best = int(np.argmax(shares))  # the first of equals
    if shares[best] >= _MIN_MONTH_DAY_SHARE:
        return Freq("month", Differences.of(months, offsets).positive.step, *kinds[best])
    return None


def _mode(differences: IntArray) -> int:
    """The most frequent value, the smallest of equals."""
    if (differences == differences[0]).all():  # nearly always, and much quicker than sorting
        return int(differences[0])
    middle = int(np.partition(differences, len(differences) // 2)[len(differences) // 2])
    if 2 * np.count_nonzero(differences == middle) > len(differences):  # a majority includes the median
        return middle
    values, counts = np.unique(differences, return_counts=True)
    return int(values[np.argmax(counts)])


def _refuse_mixed(rows: SortedRows, freq: Freq, steps: IntArray, off: BoolArray) -> None:
    """RowsError naming two series where one with at least 5 rows has another step throughout."""
    lengths = np.diff(rows.offsets)
    usual = np.empty(len(lengths), dtype=bool)
    for some, part in series_blocks(rows.offsets):
        own = rows.offsets[some.start : some.stop + 1] - part.start
        unit = np.zeros(
            part.stop - part.start + 1, dtype=np.int64
        )  # rows so far that are one step after the row before
        np.cumsum((np.diff(steps[part], prepend=0) == 1) & ~off[part], out=unit[1:])
        usual[some] = (unit[own[1:]] - unit[own[:-1]]) * 2 >= lengths[some] - 1
    odd = np.flatnonzero(~usual & (lengths >= _MIN_ROWS))
    settled = np.flatnonzero(usual & (lengths >= 2))
    reference = (str(rows.series[settled[0]]), freq) if len(settled) else None
    others: list[tuple[int, Freq]] = []  # series that do not agree with the reference
    for n in odd.tolist():
        own = _own_freq(rows, n)
        if own is None or own == freq:
            continue
        if reference is None:
            reference = (str(rows.series[n]), own)
        elif own != reference[1]:
            others.append((n, own))
    if reference is None or not others:
        return
    other, kept = quoted(reference[0]), reference[1].name

    def describe(k: int) -> tuple[str, str]:
        n, own = others[k]
        found = f"series {quoted(rows.series[n])} has frequency {own.name}, but series {other} has {kept}."
        return found, "Put them in files of their own, or give one frequency with --freq."

    of = np.repeat(np.arange(len(lengths)), lengths)
    numbers = np.array([n for n, _ in others])
    raise rows.error("frequency", rows.offsets[numbers], describe, drop=np.flatnonzero(np.isin(of, numbers)))


def _own_freq(rows: SortedRows, n: int) -> Freq | None:
    """The frequency of series `n` alone; None where its own rows do not fit it."""
    part = rows.timestamps[rows.offsets[n] : rows.offsets[n + 1]]
    ends = np.array([0, len(part)])
    freq = _guess(part, ends, rows.zone, rows.whole_numbers)
    return None if freq is None or steps_on_grid(part, ends, rows.zone, freq)[1].any() else freq


def regularity(timestamps: IntArray, *, whole_numbers: bool = False) -> float:
    """The share of steps from the first to the last that distinct, sorted timestamps have; 1 = none is missing.

    Tells one reading of timestamps from another: a wrong reading has gaps.
    """
    if len(timestamps) < 2:
        return 1.0
    ends = np.array([0, len(timestamps)])
    freq = _guess(timestamps, ends, None, whole_numbers)
    if freq is None:
        return 1.0
    steps, off = steps_on_grid(timestamps, ends, None, freq)
    return float(np.count_nonzero(~off)) / float(steps[-1] + 1)
