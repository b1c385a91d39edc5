"""Activity of people and machines: the season dominates, as a day does over hours and a week over days."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.pretraining.seasons import profiles

if TYPE_CHECKING:
    from forecaster.pretraining.random_draws import Draw
    from forecaster.typing import FloatArray

HOURS = 12  # rows in a season from which on it is a day, in which rows resemble their neighbours


def activity(draw: Draw) -> FloatArray:
    """A strong profile whose size changes from season to season, a level that wanders, and correlated noise.

    The parts are shares of the profile's size: in most real series of hours and days the season is far larger than the rest.
    """
    rng, n, m, length = draw.rng, draw.count, draw.season_length, draw.length
    hourly = m >= HOURS
    size = draw.log_uniform(0.05, 1.0)
    shape = profiles(rng, n, m)
    if hourly:
        day = np.flatnonzero(draw.share(0.6))
        shape[:, day] = _day(draw, len(day))
    seasons = length // m + 2
    place = (np.arange(length) + 0.5) / m
    louder = np.where(draw.share(0.4), 0.0, draw.log_uniform(0.02, 0.4)).astype(np.float32)
    volume = 1.0 + np.clip(_wander(draw, seasons, rng.uniform(0.0, 0.9, n)) * louder, -0.9, 3.0)  # [seasons, N]
    moving = np.where(draw.share(0.15), 0.0, draw.log_uniform(0.03, 1.2)).astype(np.float32)
    level = _wander(draw, seasons, np.where(draw.share(0.4), 1.0, rng.uniform(0.3, 0.99, n))) * moving
    y = _between(volume, place) * shape[np.arange(length) % m] + _between(level, place)
    slow = np.where(draw.share(0.15), 0.0, rng.uniform(0.4, 0.99, n) if hourly else rng.uniform(0.0, 0.7, n))
    share = draw.log_uniform(0.02, 0.7) if hourly else draw.log_uniform(0.15, 2.0)
    y += _first_order(draw.white(length), slow) * share
    drift = draw.slopes(0.3, 0.5) * np.linspace(0.0, 1.0, length, dtype=np.float32)[:, None] / max(draw.pace, 1e-6)
    result: FloatArray = ((y + drift) * size).astype(np.float32)
    return result


def _day(draw: Draw, count: int) -> FloatArray:
    """[m, N] profiles of a day: one to three bumps of some hours, mean 0 and standard deviation 1."""
    rng, m = draw.rng, draw.season_length
    found = np.zeros((m, count), np.float32)
    for i in range(3):
        gap = np.abs(np.arange(m)[:, None] / m - rng.random(count))
        bump = np.exp(-0.5 * (np.minimum(gap, 1.0 - gap) / rng.uniform(0.04, 0.2, count)) ** 2)
        found += bump * rng.uniform(0.3, 1.0, count) * (rng.random(count) < (1.0, 0.7, 0.4)[i])
    found -= found.mean(axis=0)
    found /= found.std(axis=0) + 1e-6
    return found


def _wander(draw: Draw, length: int, keep: FloatArray) -> FloatArray:
    """[T, N] AR(1) around 0 with variance 1, or from 0 a random walk with steps of 0.3 where `keep` is 1."""
    y = _first_order(draw.normal(length, draw.count), np.where(keep < 1.0, keep, 0.0))
    walking = np.flatnonzero(keep >= 1.0)
    y[:, walking] = np.cumsum(y[:, walking], axis=0) * np.float32(0.3)
    return y


def _first_order(noise: FloatArray, keep: FloatArray) -> FloatArray:
    """[T, N] AR(1) with variance 1, in place of its shocks [T, N]."""
    noise[1:] *= np.sqrt(1.0 - keep**2).astype(np.float32)
    keep = keep.astype(np.float32)
    for t in range(1, len(noise)):
        noise[t] += keep * noise[t - 1]
    return noise


def _between(values: FloatArray, place: FloatArray) -> FloatArray:
    """Values [seasons, N] at each place [T], along straight lines."""
    first = place.astype(int)
    share = (place - first).astype(np.float32)[:, None]
    found: FloatArray = values[first] * (1.0 - share) + values[first + 1] * share
    return found
