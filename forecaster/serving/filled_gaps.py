"""Gaps in the context of a pretrained network, filled from the rows around them.

A missing row is the line between its neighbours, after the season was taken out, with the season put back. The graphs read
missing rows themselves, but their Theta method takes a season from whole ones, and the networks saw few gaps in their training.
They did see short histories: where half of a context is one gap, the rows after it are read alone if they are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import BoolArray, FloatArray

MAX_GAP = 0.5  # of a context: what is filled has no noise, so intervals are too narrow after more of it
ROUNDS = 5  # of taking the season from filled rows and filling rows with the season


@dataclass(frozen=True)
class FilledRuntime:
    """A graph, run on contexts whose gaps are filled. Rows before the first and after the last observed one stay missing."""

    graph: Runtime
    season_length: int
    min_rows: int  # observed values that the graph needs

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`."""
        return self.graph.run(filled(after_long_gaps(context, self.min_rows), self.season_length), extra)


def after_long_gaps(context: FloatArray, min_rows: int) -> FloatArray:
    """Contexts [B, L], NaN = missing, without the rows before a gap of MAX_GAP of L, where `min_rows` are observed after it."""
    seen = ~np.isnan(context)
    length, place = context.shape[1], np.arange(context.shape[1])
    latest = np.maximum.accumulate(np.where(seen, place, -1), axis=1)  # observed row up to each
    before = np.concatenate([np.full((len(context), 1), -1), latest[:, :-1]], axis=1)
    ends = seen & (before >= 0) & (place - before > MAX_GAP * length)  # the first row after a long gap
    left = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]  # observed from each row on
    start = np.where(ends & (left >= min_rows), place, 0).max(axis=1, initial=0)
    if not start.any():
        return context
    return np.where(place < start[:, None], np.nan, context)


def filled(context: FloatArray, season_length: int) -> FloatArray:
    """Contexts [B, L], NaN = missing, without gaps between observed rows; observed rows as they are."""
    seen = ~np.isnan(context)
    inside = np.logical_or.accumulate(seen, axis=1) & np.logical_or.accumulate(seen[:, ::-1], axis=1)[:, ::-1]
    some = np.flatnonzero((inside & ~seen).any(axis=1))
    if not len(some):
        return context
    found: FloatArray = context.copy()
    found[some] = np.where(
        inside[some] & ~seen[some], _estimates(context[some], inside[some], season_length), context[some]
    )
    return found


def _estimates(context: FloatArray, inside: BoolArray, m: int) -> FloatArray:
    """[B, L] what rows would be by their neighbours and the season; `inside`: between the first and the last observed one."""
    seen = ~np.isnan(context)
    level = np.nanmean(context, axis=1, keepdims=True)  # taken out, so that sums keep the digits of values far from 0
    rows, place = np.where(seen, context - level, 0.0), np.arange(context.shape[1])
    before = np.maximum.accumulate(np.where(seen, place, 0), axis=1)
    after = np.minimum.accumulate(np.where(seen, place, len(place) - 1)[:, ::-1], axis=1)[:, ::-1]
    weight = (place - before) / np.maximum(after - before, 1)

    def between(values: FloatArray) -> FloatArray:
        low, high = (np.take_along_axis(values, at, axis=1) for at in (before, after))
        return np.asarray(np.where(inside, low + weight * (high - low), 0.0))

    found = between(rows)
    season = np.zeros_like(rows)
    for _ in range(ROUNDS if m > 1 else 0):
        season = _season(np.where(seen, rows - _around(found - season, inside, m), np.nan), m)
        found = between(rows - season) + season
    return np.asarray(found + level)


def _around(rows: FloatArray, inside: BoolArray, m: int) -> FloatArray:
    """[B, L] means of the `m` rows around each, of those `inside`; of an even m those of m + 1, half the weight at the ends."""
    length, side = rows.shape[1], m // 2

    def sums(values: FloatArray) -> FloatArray:
        total = np.cumsum(np.pad(values, ((0, 0), (side + 1, side))), axis=1)
        whole = total[:, 2 * side + 1 :] - total[:, :length]
        if m % 2:
            return whole
        ends = np.pad(values, ((0, 0), (side, side)))
        return np.asarray(whole - 0.5 * (ends[:, :length] + ends[:, 2 * side :]))

    return np.asarray(sums(rows * inside) / np.maximum(sums(inside.astype(float)), 0.5))


def _season(deviation: FloatArray, m: int) -> FloatArray:
    """[B, L] mean deviation of each row's place in the season, of mean 0, as far as chance does not explain it.

    NaN in `deviation` = missing.
    """
    length = deviation.shape[1]
    blocks = np.pad(deviation, ((0, 0), (-length % m, 0)), constant_values=np.nan).reshape(len(deviation), -1, m)
    known = ~np.isnan(blocks)
    count = known.sum(axis=1)  # [B, m]
    mean = np.where(known, blocks, 0.0).sum(axis=1) / np.maximum(count, 1)
    rest = np.where(known, blocks - mean[:, None], 0.0)
    freedom = np.maximum(known.sum(axis=(1, 2)) - (count > 0).sum(axis=1), 1)
    noise = (rest**2).sum(axis=(1, 2)) / freedom / np.maximum(count.mean(axis=1), 1)
    mean -= mean.mean(axis=1, keepdims=True)
    size = (mean**2).mean(axis=1)
    share = 1.0 - np.minimum(noise / np.where(size > 0.0, size, 1.0), 1.0)
    return np.tile(mean * share[:, None], (1, blocks.shape[1]))[:, -length:]
