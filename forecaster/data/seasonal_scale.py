"""The seasonal scale: how much a series changes from one season to the next, the denominator of MASE.

Source: Hyndman & Koehler 2006, "Another look at measures of forecast accuracy".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.series_blocks import series_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from forecaster.typing import BoolArray, FloatArray, IntArray


def seasonal_square_scale(target: FloatArray, offsets: IntArray, ends: IntArray, season_length: int) -> FloatArray:
    """[N] root mean square of x[t] - x[t-m] of each series in sample, the denominator of RMSSE: as `seasonal_scale` else."""
    mean = np.empty(len(ends))
    with np.errstate(over="ignore"):
        for some, series, difference in _differences(target, offsets, ends, season_length):
            mean[some] = np.sqrt(group_mean(difference**2, ~np.isnan(difference), series, some.stop - some.start))
    return np.where(mean > 0, mean, np.nan)


def seasonal_scale(target: FloatArray, offsets: IntArray, ends: IntArray, season_length: int) -> FloatArray:
    """[N] mean |x[t] - x[t-m]| of each series in sample: the denominator of MASE, in the caller's units.

    `target` [R] holds the series one after another (NaN = not observed), series n from row `offsets[n]` ([N+1]).
    Rows before `ends[n]` ([N], absolute rows) are in sample; no later row is read. Pairs with a missing value are
    skipped. m is `season_length`, or 1 for a series with fewer than m + 1 rows in sample.
    NaN where no pair is observed or all differences are 0.
    """
    mean = np.empty(len(ends))
    for some, series, difference in _differences(target, offsets, ends, season_length):
        mean[some] = group_mean(difference, ~np.isnan(difference), series, some.stop - some.start)
    return np.where(mean > 0, mean, np.nan)


def _differences(
    target: FloatArray, offsets: IntArray, ends: IntArray, season_length: int
) -> Iterator[tuple[slice, IntArray, FloatArray]]:
    """Some series at once: which; of every pair of their rows before `ends` [N], its series among these, and |x[t] - x[t-m]|.

    NaN where one of a pair is missing.
    """
    for some, _ in series_blocks(offsets):
        starts = offsets[some]
        length = np.maximum(ends[some] - starts, 0)
        lag = np.where(length > season_length, season_length, 1)
        pairs = np.maximum(length - lag, 0)
        series = np.repeat(np.arange(len(starts)), pairs)
        # Row of each pair's older value: counts up from the series' first row.
        older = np.arange(len(series)) + np.repeat(starts - (np.cumsum(pairs) - pairs), pairs)
        with np.errstate(over="ignore"):
            yield some, series, np.abs(target[older + lag[series]] - target[older])


def context_scale(context: FloatArray, season_length: int) -> FloatArray:
    """[B, L] -> [B] mean absolute seasonal difference over the context, one step's where no season is observed twice.

    0 for a context that never changes, or with nothing to compare.
    """
    size = _mean_difference(context, season_length)
    return np.asarray(np.where(size > 0, size, _mean_difference(context, 1)))


def _mean_difference(context: FloatArray, lag: int) -> FloatArray:
    difference = np.abs(context[:, lag:] - context[:, :-lag])
    seen = ~np.isnan(difference)
    return np.asarray(np.where(seen, difference, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1))


def group_mean(value: FloatArray, counts: BoolArray, group: IntArray, groups: int) -> FloatArray:
    """[G] mean of the values [n] that count ([n] bool), by group [n]; NaN for a group with none."""
    # bincount adds within a group only: a cumulative sum over all would let large series swallow small ones.
    total = np.bincount(group[counts], weights=value[counts], minlength=groups)
    return divide(total, np.bincount(group[counts], minlength=groups))


def divide(total: FloatArray | IntArray, count: FloatArray | IntArray) -> FloatArray:
    """total / count, NaN where count is 0."""
    return np.asarray(total / np.where(count == 0, np.nan, count))
