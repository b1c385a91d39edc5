"""Profiles of a season: what is added in each of its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

HARMONICS = 6


def profiles(rng: np.random.Generator, count: int, season_length: int) -> FloatArray:
    """[m, N] float32 profiles with mean 0 and standard deviation 1 over the season; 0 where there is no season."""
    m = season_length
    if m == 1:
        return np.zeros((1, count), np.float32)
    kind = rng.random(count)
    found = smooth_profiles(rng, count, m)
    for low, high, make in ((0.5, 0.65, _free), (0.65, 0.8, _spiky), (0.8, 0.9, _plateau), (0.9, 1.0, _mixed)):
        chosen = np.flatnonzero((kind >= low) & (kind < high))
        found[:, chosen] = make(rng, len(chosen), m)
    found -= found.mean(axis=0)
    found /= found.std(axis=0) + 1e-6
    return found


def smooth_profiles(rng: np.random.Generator, count: int, m: int) -> FloatArray:
    """Sums of a few harmonics whose amplitudes fall."""
    top = max(1, min(HARMONICS, m // 2))
    order = np.arange(1, top + 1)
    used = rng.integers(1, top + 1, count)
    fall = rng.uniform(0.2, 1.5, count)
    size = rng.standard_normal((top, count)) * (order[:, None] <= used) / order[:, None] ** fall
    phase = rng.random((top, count)) * 2.0 * np.pi
    angle = 2.0 * np.pi * np.arange(m)[:, None] * order / m  # [m, order]
    waves = np.cos(angle) @ (size * np.cos(phase)) - np.sin(angle) @ (size * np.sin(phase))
    return waves.astype(np.float32)


def _free(rng: np.random.Generator, count: int, m: int) -> FloatArray:
    """Every row by itself."""
    return rng.standard_normal((m, count), np.float32)


def _spiky(rng: np.random.Generator, count: int, m: int) -> FloatArray:
    """A few rows differ from the others."""
    share = rng.uniform(0.05, 0.4, count)
    return _free(rng, count, m) * (rng.random((m, count)) < share)


def _plateau(rng: np.random.Generator, count: int, m: int) -> FloatArray:
    """High in a part of the season, low in the rest."""
    start, width = rng.integers(0, m, count), rng.integers(1, max(2, m), count)
    return ((np.arange(m)[:, None] - start) % m < width).astype(np.float32)


def _mixed(rng: np.random.Generator, count: int, m: int) -> FloatArray:
    """A smooth profile with a spike."""
    found = smooth_profiles(rng, count, m)
    found[rng.integers(0, m, count), np.arange(count)] += rng.standard_normal(count) * 2.0
    return found
