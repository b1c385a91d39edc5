"""The season of a window's context, which is taken out of what a network reads and put back into its forecast.

So a network without a season forecasts series that have one, and a network of a day or a week forecasts series that also have a
week or a year.

What is positive throughout has seasons that grow with its level, as traffic and sales have: with s the profile and l the level,

    y = f r + e,    f = 1 + s / l within bounds,    e = s - l (f - 1),

where r is what the network reads and forecasts. Else f = 1 and e = s: the season is a sum (benchmarks/ABLATIONS.md).

The profile is the mean deviation of each step of the season from its own season's mean, after the trend between seasons,
shrunk towards none as far as chance explains it (James & Stein 1961). Classical additive decomposition: Hyndman &
Athanasopoulos, "Forecasting: Principles and Practice", section 3.4.

`ops` is NumPy for arrays, or `keras.ops` within a graph: both have the functions that are used here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

MIN_SMOOTHED = 0.04  # of the weights of a smoothed step's neighbours that must be observed
MIN_SEASONS = 1.5  # in a history, for a profile
MIN_FACTOR, MAX_FACTOR = 0.3, 2.0  # beyond these the season is a sum: a quiet hour would make much of little


@dataclass(frozen=True)
class Profile:
    """How the profile of a season is learnt."""

    season_length: int
    seasons: int = 5  # whole seasons that it is learnt from, at most
    smooth: int = 0  # steps on either side of the moving averages that smooth it; 0 = each step by itself

    def rows(self, length: int) -> int:
        """Rows of a context from which the profile is learnt and `length` rows are read: whole seasons."""
        return max(self.seasons, -(-length // self.season_length)) * self.season_length


# Rows in the short season -> the longer one above it. A year's profile is smooth: weekdays move on in it from year to year.
LONGER = {
    24: Profile(168),
    48: Profile(336),
    7: Profile(365, seasons=8, smooth=9),
    5: Profile(261, seasons=8, smooth=7),  # business days
}


# Rows in the longer season, as people give it -> the short one below it.
SHORTER = {168: 24, 336: 48, 364: 7, 365: 7, 366: 7, 252: 5, 260: 5, 261: 5}


def shown_in(profile: Profile | None, rows: int) -> Profile | None:
    """The profile as histories of so many rows show it, from fewer seasons; None where they do not."""
    if profile is None or rows < MIN_SEASONS * profile.season_length:
        return None
    return replace(profile, seasons=min(profile.seasons, -(-rows // profile.season_length)))


def seasonal_profile(context: Any, learn: Profile, ops: Any = np) -> Any:
    """Contexts of at least K seasons of m rows, NaN = missing -> deviations [B, m] of each step of the season, with mean 0.

    0 where fewer than two of the latest seasons are observed. Their first step is that of the first step ahead.
    """
    count, m = learn.seasons, learn.season_length
    blocks = ops.reshape(context[:, -count * m :], (-1, count, m))
    missing = ops.isnan(blocks)
    none = ops.zeros_like(blocks)
    seen, values = ops.where(missing, none, ops.ones_like(blocks)), ops.where(missing, none, blocks)
    observed = ops.sum(seen, axis=2, keepdims=True)
    whole = ops.where(
        observed > 0.5 * m, ops.ones_like(observed), ops.zeros_like(observed)
    )  # [B, K, 1]: a mean says something
    seen = seen * whole
    deviation = (
        _without_trend(values, ops.sum(values, axis=2, keepdims=True) / ops.maximum(observed, 1.0), whole, ops) * seen
    )
    # Squares of shares of the largest deviation neither vanish nor overflow.
    largest = ops.max(ops.abs(deviation), axis=(1, 2), keepdims=True)
    deviation = deviation / ops.where(largest > 0.0, largest, ops.ones_like(largest))
    if learn.smooth:
        weight = _smoothed(seen, learn.smooth, ops)
        seen = ops.where(weight > MIN_SMOOTHED, ops.ones_like(weight), ops.zeros_like(weight))
        deviation = (
            _smoothed(deviation, learn.smooth, ops) / ops.where(seen > 0.0, weight, ops.ones_like(weight)) * seen
        )
    each = ops.sum(seen, axis=1, keepdims=True)  # [B, 1, m] seasons that show a step
    profile = ops.sum(deviation, axis=1, keepdims=True) / ops.maximum(each, 1.0)
    share = _share(profile, (deviation - profile) * seen, each, ops) * largest
    share = ops.where(ops.sum(whole, axis=1, keepdims=True) >= 2.0, share, ops.zeros_like(share))
    profile = profile - ops.sum(profile, axis=2, keepdims=True) / m
    return ops.reshape(profile * share, (-1, m))


@dataclass(frozen=True)
class Season:
    """A season that windows have: factor and summand [B, m] of each step, from the first step ahead on."""

    factor: Any
    summand: Any

    def taken_out(self, values: Any, length: int, ahead: int = 0, ops: Any = np) -> Any:
        """The last `length` rows of contexts and, after these, `ahead` later rows [B, · + ahead], without the season."""
        summand, factor = (steps_of(part, -length, ahead, ops) for part in (self.summand, self.factor))
        return (values[:, -(length + ahead) :] - summand) / factor

    def put_back(self, values: Any, ops: Any = np) -> Any:
        """Values [B, H, K] of the steps ahead, with the season."""
        summand, factor = (steps_of(part, 0, values.shape[1], ops)[:, :, None] for part in (self.summand, self.factor))
        return summand + factor * values  # the operand that is broadcast comes first: see WindowScaler.restore


def season_of(context: Any, learn: Profile, ops: Any = np) -> Season:
    """The season of contexts of at least K seasons of m rows, NaN = missing."""
    profile, missing = seasonal_profile(context, learn, ops), ops.isnan(context)
    one = ops.ones_like(profile)
    positive = ops.max(ops.where(missing, ops.zeros_like(context) - 1.0, -context), axis=1, keepdims=True) < 0.0
    latest = slice(-learn.seasons * learn.season_length, None)
    seen = ops.where(missing, ops.zeros_like(context), ops.ones_like(context))[:, latest]
    known = ops.where(missing, ops.zeros_like(context), context)[:, latest]
    level = ops.sum(known, axis=1, keepdims=True) / ops.maximum(ops.sum(seen, axis=1, keepdims=True), 1.0)
    share = profile / ops.where(level > 0.0, level, ops.ones_like(level))
    bounded = ops.minimum(ops.maximum(one + share, MIN_FACTOR * one), MAX_FACTOR * one)
    factor = ops.where(positive, bounded, one)
    return Season(factor=factor, summand=profile - level * (factor - 1.0))


def steps_of(profile: Any, first: int, end: int, ops: Any = np) -> Any:
    """The profile [B, m] at the steps from `first` to before `end` [B, end - first]; 0 is the first step ahead."""
    return ops.take(profile, np.arange(first, end) % profile.shape[1], axis=1)


def _without_trend(values: Any, mean: Any, whole: Any, ops: Any) -> Any:
    """[B, K, m] values less their season's mean and less the trend within the season, from one season's mean to the next."""
    _, count, m = values.shape
    place = np.arange(float(count))[:, None]
    last = ops.max(whole * place, axis=1, keepdims=True)
    first = count - 1.0 - ops.max(whole * (count - 1.0 - place), axis=1, keepdims=True)
    kept = mean * whole
    at = [
        ops.sum(ops.where(ops.equal(one, place), kept, ops.zeros_like(kept)), axis=1, keepdims=True)
        for one in (first, last)
    ]
    slope = (at[1] - at[0]) / (ops.maximum(last - first, 1.0) * m)
    return values - mean - slope * (np.arange(m) - (m - 1) / 2.0)


def _smoothed(values: Any, width: int, ops: Any) -> Any:
    """[B, K, m] smoothed around the season: three moving averages, which are nearly the weights of a normal kernel."""
    around = 2 * width + 1
    for _ in range(3):
        wrapped = [values[:, :, -width - 1 :], values, values[:, :, :width]]
        sums = ops.cumsum(ops.concatenate(wrapped, axis=2), axis=2)
        values = (sums[:, :, around:] - sums[:, :, :-around]) / around
    return values


def _share(profile: Any, rest: Any, each: Any, ops: Any) -> Any:
    """[B, 1, 1] of the profile [B, 1, m] that chance does not explain, from deviations [B, K, m] from it."""
    m = each.shape[2]  # ONNX makes a pooling of a mean, which onnxruntime has for float32 alone
    shown = ops.where(each > 0.0, ops.ones_like(each), ops.zeros_like(each))
    freedom = ops.sum(each, axis=2, keepdims=True) - ops.sum(shown, axis=2, keepdims=True)
    squares = ops.sum(rest * rest, axis=(1, 2), keepdims=True) / ops.maximum(freedom, 1.0)
    noise = squares / ops.maximum(ops.sum(each, axis=2, keepdims=True) / m, 1.0)
    size = ops.sum(profile * profile, axis=2, keepdims=True) / m
    some = ops.where(size > 0.0, size, ops.ones_like(size))
    return ops.where(size > 0.0, 1.0 - ops.minimum(noise / some, 1.0), ops.zeros_like(size))
