"""Windows as index pairs (series, cutoff) into a panel's flat arrays, for train, evaluate and predict alike.

A window's context is the L rows before its cutoff, its future the H rows from the cutoff on. Nothing is copied until a batch
is gathered, so memory follows the panel's rows, not rows × L. Rows outside the series, or at and after its `end`, read as
missing: a series shorter than the context is padded, and no window sees across a split.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, FloatArray, IntArray

_VALUES = 1 << 20  # that are looked at together


@dataclass(frozen=True)
class Windows:
    """W windows over flat rows."""

    target: FloatArray  # [R] float64, NaN = missing; shared with the panel, never copied
    start: IntArray  # [N] first row of each series
    end: IntArray  # [N] rows from here on do not exist for these windows
    series: IntArray  # [W] which series
    cutoff: IntArray  # [W] row of the first step ahead

    def __len__(self) -> int:
        return len(self.series)

    @property
    def remaining(self) -> IntArray:
        """[W] rows from each cutoff on to where its series ends."""
        return self.end[self.series] - self.cutoff

    def first_cutoffs(self, default: IntArray) -> IntArray:
        """[N] the smallest cutoff of each series; `default` [N] where a series has no window."""
        first: IntArray = default.copy()
        np.minimum.at(first, self.series, self.cutoff)
        return first

    def take(self, chosen: IntArray | slice) -> Windows:
        """The windows at these positions."""
        return Windows(self.target, self.start, self.end, self.series[chosen], self.cutoff[chosen])

    def latest(self, horizon: int, count: int, stride: int, chosen: IntArray | None = None) -> Windows:
        """The `count` latest windows of each series whose whole horizon is before its `end`, `stride` rows apart.

        Oldest first within a series. A series with few rows gives fewer windows: at least a horizon of rows must remain as
        context. `chosen`: indices of the series to take; None = all.
        """
        chosen = np.arange(len(self.end)) if chosen is None else chosen
        cutoff = self.end[chosen, None] - horizon - stride * np.arange(count)[::-1]  # [chosen, count]
        has_context = cutoff - self.start[chosen, None] >= horizon
        series = np.broadcast_to(chosen[:, None], cutoff.shape)
        return Windows(self.target, self.start, self.end, series[has_context], cutoff[has_context])

    def from_last_observed(self, columns: Sequence[FloatArray], limit: int) -> tuple[Windows, IntArray]:
        """The windows with their cutoffs after the last observed row before them, and [W] by how many rows they moved.

        A row is observed where any of the `columns` [R] has a value. A window that would move by more than `limit` rows, or has
        no such row, stays where it is.
        """
        moved = np.zeros(len(self), np.int64)
        late = np.flatnonzero(~self._observed(columns, np.array([1]))[:, 0])
        back = np.arange(1, limit + 2)  # rows before a cutoff
        for part in self.take(late)._parts(len(back)):
            observed = self.take(late[part])._observed(columns, back)
            moved[late[part]] = np.where(observed.any(axis=1), observed.argmax(axis=1), 0)
        return replace(self, cutoff=self.cutoff - moved), moved

    def _observed(self, columns: Sequence[FloatArray], back: IntArray) -> BoolArray:
        """[W, back] whether the rows so far before each cutoff are of its series and observed."""
        rows = self.cutoff[:, None] - back
        there = rows >= self.start[self.series][:, None]
        rows = np.where(there, rows, 0)
        return np.asarray(there & np.any([~np.isnan(column[rows]) for column in columns], axis=0))

    def gather(self, before: int, after: int) -> FloatArray:
        """[W, before + after] values around each cutoff."""
        values, place = np.empty((len(self), before + after)), np.arange(-before, after)
        for part in self._parts(before + after):
            series, rows = self.series[part], self.cutoff[part, None] + place
            there = (rows >= self.start[series][:, None]) & (rows < self.end[series][:, None])
            values[part] = np.where(there, self.target[np.where(there, rows, 0)], np.nan)
        return values

    def observed_counts(self, before: int, after: int) -> IntArray:
        """[W] observed values in these rows around each cutoff."""
        found = np.zeros(len(self), np.int64)
        for part in self._parts(before + after):
            found[part] = np.count_nonzero(~np.isnan(self.take(part).gather(before, after)), axis=1)
        return found

    def _parts(self, rows: int) -> Iterator[slice]:
        """The windows, of so many rows each, in parts that are gathered at once."""
        size = max(_VALUES // max(rows, 1), 1)
        return (slice(first, first + size) for first in range(0, len(self), size))

    def batches(self, size: int) -> Iterator[Windows]:
        """These windows in order, `size` at a time."""
        for first in range(0, len(self), size):
            part = slice(first, first + size)
            yield Windows(self.target, self.start, self.end, self.series[part], self.cutoff[part])


@dataclass(frozen=True)
class Sampler:
    """Draws training windows evenly over series, so that long series do not drown short ones.

    Each series that can give a window has its cutoffs in `first <= cutoff <= last`.
    """

    series: IntArray  # [M] series that have training windows
    first: IntArray  # [M]
    last: IntArray  # [M] inclusive

    def __len__(self) -> int:
        """Training windows in all."""
        return int((self.last - self.first + 1).sum())

    def epoch(self, count: int, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """(series, cutoff), [count] each: whole passes in random order if `count` covers them, else even over series."""
        sizes = self.last - self.first + 1
        if count >= sizes.sum():
            of = np.repeat(np.arange(len(self.series)), sizes)
            within = np.arange(len(of)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
            order = np.concatenate([rng.permutation(len(of)) for _ in range(-(-count // len(of)))])[:count]
            of, within = of[order], within[order]
        else:
            rounds = -(-count // len(self.series))
            of = np.concatenate([rng.permutation(len(self.series)) for _ in range(rounds)])[:count]
            within = (rng.random(count) * sizes[of]).astype(np.int64)
        return self.series[of], self.first[of] + within


def sampler(start: IntArray, end: IntArray, context_length: int, horizon: int) -> Sampler:
    """Cutoffs to train on: from min(L, H) rows of a series on, 3 at least, up to its last row.

    The futures of the latest windows are partly missing, and the loss leaves missing steps out. Without these windows a
    network would hardly learn from the latest rows of short series. A series of fewer rows gives one window, at its last.
    """
    rows = end - start
    first = np.minimum(max(min(context_length, horizon), 3), rows - 1)
    usable = rows >= 2
    return Sampler(np.flatnonzero(usable).astype(np.int64), (start + first)[usable], (end - 1)[usable])


def evenly(count: int, limit: int) -> IntArray:
    """[min(count, limit)] positions among `count`, evenly spaced."""
    return np.linspace(0, count - 1, min(count, limit)).astype(np.int64)


def rows_after(panel: Panel, stamp: int | IntArray) -> IntArray:
    """[N] rows of each series after a timestamp, or after one of its own [N]."""
    after = panel.timestamps > (stamp if isinstance(stamp, int) else np.repeat(stamp, panel.lengths))
    return np.asarray(np.add.reduceat(after.astype(np.int64), panel.offsets[:-1]))


def latest_windows(panel: Panel) -> Windows:
    """[N] one window a series, with its cutoff after the last row: what `predict` reads."""
    count = np.arange(len(panel.series))
    return Windows(panel.target, panel.offsets[:-1], panel.offsets[1:], count, panel.offsets[1:])


def rolling(
    panel: Panel, ends: IntArray, horizon: int, count: int, stride: int, chosen: IntArray | None = None
) -> Windows:
    """The latest windows of a panel's rows before `ends` [N], as `Windows.latest` takes them."""
    none = np.empty(0, np.int64)
    return Windows(panel.target, panel.offsets[:-1], ends, none, none).latest(horizon, count, stride, chosen)
