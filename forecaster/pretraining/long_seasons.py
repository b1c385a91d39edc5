"""The longer season above a short one: weeks over days, and years over weeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.pretraining.seasons import profiles, smooth_profiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecaster.pretraining.random_draws import Draw
    from forecaster.typing import FloatArray

WEEK, YEAR = 7, 365
MONTH = 30.44  # days


def weeks(draw: Draw) -> FloatArray:
    """[T, N] levels of the days of a week, and on some of its days another profile within the day; 3 series in 10 have none."""
    rng, n, m = draw.rng, draw.count, draw.season_length
    level = profiles(rng, n, WEEK) * draw.log_uniform(0.01, 0.4)
    first, others = rng.integers(0, WEEK, n), np.where(draw.share(0.7), 2, 1)
    special = (np.arange(WEEK)[:, None] - first) % WEEK < others  # [7, N] a weekend
    together = np.flatnonzero(draw.share(0.6))  # its level is that of both days
    level[:, together] = (special * draw.normal(n) * np.float32(0.25))[:, together]
    within = profiles(rng, n, m) * np.where(draw.share(0.4), 0.0, draw.log_uniform(0.01, 0.4)).astype(np.float32)
    week = level[:, None] + special[:, None] * within  # [7, m, N]
    week *= np.where(draw.share(0.3), 0.0, 1.0).astype(np.float32)
    rows = np.arange(draw.length) % (WEEK * m)
    return week.reshape(WEEK * m, n)[rows]


def years(draw: Draw) -> FloatArray:
    """[T, N] of daily rows: a smooth season of a year, holidays that come back each year, and days of the month."""
    rng, n = draw.rng, draw.count
    amplitude = np.where(draw.share(0.5), 0.0, draw.log_uniform(0.02, 0.6)).astype(np.float32)
    year = smooth_profiles(rng, n, YEAR)
    year *= amplitude / (year.std(axis=0) + 1e-6)
    keeping = np.flatnonzero(draw.share(0.35))
    size = -np.exp(rng.uniform(np.log(0.05), np.log(1.5), len(keeping))) * rng.choice([1.0, 1.0, -0.7], len(keeping))
    for _ in range(8):
        year[rng.integers(0, YEAR, len(keeping)), keeping] += size * rng.uniform(0.3, 1.0, len(keeping))
    start = rng.integers(0, YEAR, n)
    y: FloatArray = year[(start + np.arange(draw.length)[:, None]) % YEAR, np.arange(n)]
    paid = np.flatnonzero(draw.share(0.15))
    month = profiles(rng, len(paid), 30) * np.exp(rng.uniform(np.log(0.02), np.log(0.3), len(paid)))
    day = ((start[paid] + np.arange(draw.length)[:, None]) % MONTH).astype(int) % 30
    y[:, paid] += month[day, np.arange(len(paid))]
    return y


# Rows in the short season -> what is added to series with it.
LONG_SEASONS: dict[int, Callable[[Draw], FloatArray]] = {24: weeks, 48: weeks, WEEK: years}


def close(draw: Draw, y: FloatArray) -> FloatArray:
    """One daily series in 12 is 0 on one or two days of the week, one in 20 on a few other days."""
    rng, length = draw.rng, draw.length
    some = np.flatnonzero(draw.share(1.0 / 12.0))
    days = (np.arange(length)[:, None] + rng.integers(0, WEEK, len(some))) % WEEK
    y[:, some] *= days >= rng.integers(1, 3, len(some))
    others = np.flatnonzero(draw.share(0.05))
    y[:, others] *= rng.random((length, len(others))) > rng.uniform(0.0, 0.05, len(others))
    return y
