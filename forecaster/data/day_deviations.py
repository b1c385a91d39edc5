"""Deviations of days: what level and weekday leave of the days of each series, over their usual size.

Values that are never negative deviate by a share of their level: a quiet weekday's holiday takes less than a busy one's, and
what is closed on a day has nothing on it, however high the level is. Others deviate by a difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.time_zones import DAY, days_on_clock

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, FloatArray, IntArray

SPREAD = 1.4826  # median absolute deviation → standard deviation, for normal values
MAX_YEARS = 20  # the latest ones, that are read
LEVEL_WIDTH = 9  # days on either side of the moving averages that are the level of a day
WEEKS = 7  # on either side, over which a weekday's deviation from the level is taken


@dataclass(frozen=True)
class Deviations:
    """The deviations of B series on D days."""

    first: int  # day since 1970
    values: FloatArray  # [B, D] over their usual size; NaN = missing
    size: FloatArray  # [B] the usual one; NaN where nothing deviates
    share: BoolArray  # [B] whether it is a share of the level

    @property
    def days(self) -> IntArray:
        """[D] since 1970."""
        return np.arange(self.first, self.first + self.values.shape[1])


def daily_values(panel: Panel, series: IntArray, ends: IntArray) -> tuple[int, FloatArray]:
    """The first day since 1970, and the means [B, D] of the days of some series [B] of the rows before `ends` [N].

    NaN = no value. One of the series has a row before its end.
    """
    most = MAX_YEARS * 366 * DAY // panel.freq.count
    begins = np.maximum(panel.offsets[series], ends[series] - most)
    counts = np.maximum(ends[series] - begins, 0)
    which = np.repeat(np.arange(len(series)), counts)
    rows = np.arange(len(which)) + np.repeat(begins - (np.cumsum(counts) - counts), counts)
    days = days_on_clock(panel.timestamps[rows], panel.zone)
    first, values = int(days.min()), panel.target[rows]
    width, known = int(days.max()) - first + 1, ~np.isnan(values)
    place = which * width + days - first
    total = np.bincount(place, np.where(known, values, 0.0), len(series) * width)
    count = np.bincount(place, known, len(series) * width)
    return first, np.where(count > 0, total / np.maximum(count, 1), np.nan).reshape(len(series), width)


def deviations_of(first: int, values: FloatArray, left_out: BoolArray) -> Deviations:
    """The deviations of daily values [B, D], NaN = missing, from the day `first` on.

    The days `left_out` [D] have deviations, but are in no level and in no weekday of others.
    """
    share = np.fmin.reduce(values, axis=1, initial=np.inf) >= 0.0
    largest = np.fmax.reduce(np.abs(values), axis=1, initial=0.0)
    values = values / np.where(largest > 0.0, largest, 1.0)[:, None]  # so that no sum overflows
    of_level = share[:, None]
    level = _moving_mean(np.where(left_out, np.nan, values), LEVEL_WIDTH, 3)
    level = np.where(of_level & ~(level > 0.0), np.nan, level)
    left = np.where(of_level, values / np.where(of_level, level, 1.0), values - level)
    weekday = _weekday_mean(np.where(left_out, np.nan, left))
    weekday = np.where(of_level & ~(weekday > 0.0), np.nan, weekday)
    left = np.where(of_level, left / np.where(of_level, weekday, 1.0) - 1.0, left - weekday)
    size = SPREAD * medians(np.abs(left))[0]
    size = np.where(size > 0.0, size, np.nan)
    return Deviations(first, left / size[:, None], np.where(share, size, size * largest), share)


def _weekday_mean(values: FloatArray) -> FloatArray:
    """[B, D] means of the same weekday, `WEEKS` on either side."""
    series, days = values.shape
    whole = np.pad(values, ((0, 0), (0, -days % 7)), constant_values=np.nan)
    weeks = whole.reshape(series, -1, 7).transpose(0, 2, 1)
    return np.asarray(_moving_mean(weeks, WEEKS, 1).transpose(0, 2, 1).reshape(series, -1)[:, :days])


def _moving_mean(values: FloatArray, width: int, times: int) -> FloatArray:
    """[..., D] means of the observed values within `width` on either side, taken so many times; NaN where there are none."""
    known = ~np.isnan(values)
    weights: FloatArray = known.astype(np.float64)
    sums: FloatArray = np.where(known, values, 0.0)
    for _ in range(times):
        sums, weights = _moving_sum(sums, width), _moving_sum(weights, width)
    return np.where(weights > 0.5, sums / np.maximum(weights, 0.5), np.nan)


def _moving_sum(values: FloatArray, width: int) -> FloatArray:
    """[..., D] sums within `width` on either side, of sums of 1, 2, 4 … values: few additions for each day."""
    count, whole = values.shape[-1], 2 * width + 1
    sums: FloatArray = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(width, width)])
    total, size, done = np.zeros(values.shape), 1, 0
    while size <= whole:
        if whole & size:
            total += sums[..., done : done + count]
            done += size
        sums = sums[..., :-size] + sums[..., size:]
        size *= 2
    return total


def medians(values: FloatArray) -> tuple[FloatArray, IntArray]:
    """[C, Y] -> [C] medians of what is not NaN, 0 where nothing is, and how much is there."""
    count = (~np.isnan(values)).sum(axis=1)
    if not values.shape[1]:
        return np.zeros(len(values)), count
    ordered = np.sort(values, axis=1)
    ends = [np.take_along_axis(ordered, (np.maximum(count + one, 0) // 2)[:, None], axis=1)[:, 0] for one in (-1, 0)]
    return np.where(count > 0, 0.5 * (ends[0] + ends[1]), 0.0), count
