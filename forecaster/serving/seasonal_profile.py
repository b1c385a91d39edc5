"""A network on series with a season that it does not know: the seasonal profile is taken out of the context and put back.

So a network without a season forecasts series that have one, and a network of a day or a week forecasts series that also have a
week or a year.

The profile is the mean deviation of each step of the season from its own season's mean, after the trend between seasons,
shrunk towards none as far as chance explains it (James & Stein 1961). Classical additive decomposition: Hyndman &
Athanasopoulos, "Forecasting: Principles and Practice", section 3.4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import BoolArray, FloatArray


@dataclass(frozen=True)
class Profile:
    """How the profile of a season is learnt."""

    season_length: int
    seasons: int = 5  # whole seasons that it is learnt from, at most
    smooth: float = 0.0  # standard deviation in steps of the kernel that smooths it; 0 = each step by itself


# Rows in the short season -> the longer one above it. A year's profile is smooth: weekdays move on in it from year to year.
LONGER = {24: Profile(168), 48: Profile(336), 7: Profile(365, seasons=8, smooth=9.0)}


@dataclass(frozen=True)
class DeseasonalisedRuntime:
    """A graph that reads `length` rows, run on contexts without their seasonal profile."""

    graph: Runtime
    length: int
    profile: Profile

    @property
    def context_length(self) -> int:
        """Rows of the contexts: whole seasons, and at least as many as the graph reads."""
        season_length = self.profile.season_length
        return max(self.profile.seasons, -(-self.length // season_length)) * season_length

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`, for contexts [B, context_length]."""
        profile = seasonal_profile(context, self.profile)  # its first step is that of the first step ahead
        before = np.arange(-self.length, 0) % self.profile.season_length
        found = self.graph.run(context[:, -self.length :] - profile[:, before], extra)
        ahead = np.arange(found.shape[1]) % self.profile.season_length
        return np.asarray(found + profile[:, ahead, None])


def seasonal_profile(context: FloatArray, learn: Profile) -> FloatArray:
    """Contexts [B, K · m] of whole seasons, NaN = missing -> deviations [B, m] of each step of the season, with mean 0.

    0 where fewer than two of the latest seasons are observed.
    """
    blocks = context.reshape(len(context), -1, learn.season_length)[:, -learn.seasons :]
    seen = ~np.isnan(blocks)
    whole = seen.mean(axis=2) > 0.5  # [B, K] seasons whose mean means something
    seen &= whole[:, :, None]
    deviation = _without_trend(blocks, whole)
    if learn.smooth:
        deviation, seen = _smoothed(deviation, seen, learn.smooth)
    count = seen.sum(axis=1)  # [B, m]
    total = np.where(seen, deviation, 0.0).sum(axis=1)
    profile = total / np.maximum(count, 1)
    profile = np.where(count > 0, profile, 0.0)
    rest = np.where(seen, deviation - profile[:, None], 0.0)
    freedom = np.maximum(seen.sum(axis=(1, 2)) - (count > 0).sum(axis=1), 1)
    noise = (rest**2).sum(axis=(1, 2)) / freedom / np.maximum(count.mean(axis=1), 1)
    size = (profile**2).mean(axis=1)
    share = np.where(size > 0, 1.0 - np.minimum(noise / np.where(size > 0, size, 1.0), 1.0), 0.0)
    share = np.where(whole.sum(axis=1) >= 2, share, 0.0)
    profile = profile - profile.mean(axis=1, keepdims=True)
    return np.asarray(profile * share[:, None])


def _smoothed(deviation: FloatArray, seen: BoolArray, width: float) -> tuple[FloatArray, BoolArray]:
    """Deviations [B, K, m] as means around the season, with the weights of a normal kernel, of those that are seen."""
    m = deviation.shape[2]
    gap = np.minimum(np.arange(m), m - np.arange(m)) / width
    kernel = np.fft.rfft(np.exp(-0.5 * gap**2))

    def around(values: FloatArray) -> FloatArray:
        return np.fft.irfft(np.fft.rfft(values, axis=2) * kernel, m, axis=2)

    weight = around(seen.astype(float))
    near = weight > 0.1 * width
    return around(np.where(seen, deviation, 0.0)) / np.where(near, weight, 1.0), near


def _without_trend(blocks: FloatArray, whole: FloatArray) -> FloatArray:
    """[B, K, m] values less their season's mean and less the trend within the season, from one season's mean to the next."""
    batch, seasons, m = blocks.shape
    mean = np.where(whole, _mean(blocks), np.nan)
    first = np.argmax(whole, axis=1)
    last = seasons - 1 - np.argmax(whole[:, ::-1], axis=1)
    rows = np.arange(batch)
    slope = (mean[rows, last] - mean[rows, first]) / (np.maximum(last - first, 1) * m)
    slope = np.where(np.isnan(slope), 0.0, slope)
    within = slope[:, None] * (np.arange(m) - (m - 1) / 2.0)
    return np.asarray(blocks - mean[:, :, None] - within[:, None])


def _mean(blocks: FloatArray) -> FloatArray:
    """[B, K] means of what is observed of [B, K, m]; NaN where nothing is."""
    seen = ~np.isnan(blocks)
    count = seen.sum(axis=2)
    return np.asarray(np.where(seen, blocks, 0.0).sum(axis=2) / np.where(count > 0, count, np.nan))
