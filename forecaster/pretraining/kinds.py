"""Kinds of made series. A row of KINDS makes N series of one kind, time-major [T, N], around 0.

`series.py` scales them. Half of their unit is relative: a value of 0.1 is a tenth of the level.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from forecaster.pretraining.activity import activity
from forecaster.pretraining.growth import growth
from forecaster.pretraining.random_draws import WARM_UP, Draw
from forecaster.pretraining.seasons import profiles

if TYPE_CHECKING:
    from forecaster.typing import FloatArray


def state_space(draw: Draw) -> FloatArray:
    """Exponential smoothing in state-space form with random weights (Hyndman et al. 2008); errors are white or AR(1).

    The level also has a global slope, and in some series a random walk or a shift.
    """
    rng, n, m = draw.rng, draw.count, draw.season_length
    length = draw.length + WARM_UP
    alpha = np.where(draw.share(0.25), 0.0, rng.beta(1.2, 3.0, n)).astype(np.float32)
    beta = (np.where(draw.share(0.5), 0.0, rng.beta(1.0, 12.0, n)) * alpha).astype(np.float32)
    gamma = np.where(draw.share(0.6), 0.0, rng.beta(1.0, 8.0, n) * 0.5).astype(np.float32)
    phi = np.where(draw.share(0.3), 1.0, rng.uniform(0.8, 0.99, n)).astype(np.float32)
    sigma = draw.log_uniform(0.005, 0.4)
    rho = np.where(draw.share(0.6), 0.0, rng.uniform(-0.4, 0.9, n)).astype(np.float32)
    noise = draw.white(length) * (sigma * np.sqrt(1.0 - rho * rho))
    walk = np.where(draw.share(0.3), draw.log_uniform(0.002, 0.06) * np.sqrt(draw.pace), 0.0).astype(np.float32)
    drift = draw.slopes(0.3, 0.006)
    moves = draw.normal(length, n) * walk + drift
    shifted = np.flatnonzero(draw.share(0.12))
    moves[rng.integers(0, length, len(shifted)), shifted] += draw.normal(len(shifted)) * np.float32(0.4)
    season = profiles(rng, n, m) * draw.amplitudes()
    level, error = np.zeros(n, np.float32), np.zeros(n, np.float32)
    slope = np.where(draw.share(0.35), 0.0, draw.normal(n) * 0.01 * draw.pace).astype(np.float32)
    y = np.empty((length, n), np.float32)
    for t in range(length):
        row = season[t % m]
        error = rho * error + noise[t]
        slope *= phi
        level += moves[t]
        level += slope
        np.add(level, row, out=y[t])
        y[t] += error
        level += alpha * error
        slope += beta * error
        row += gamma * error
    return y[WARM_UP:]


def trends(draw: Draw) -> FloatArray:
    """A trend with knees, a saturating one or none; a season that grows, fades or breaks; ARMA(1, 1) noise whose size drifts."""
    rng, n, length = draw.rng, draw.count, draw.length
    time = np.arange(length, dtype=np.float32)[:, None]
    y = draw.slopes(1.0, 0.008) * time
    for _ in range(2):
        knee = rng.integers(0, length, n)
        bend = np.where(draw.share(0.4), draw.normal(n) * 0.015 * draw.pace, 0.0).astype(np.float32)
        y += np.maximum(time - knee, 0.0) * bend
    saturating = np.flatnonzero(draw.share(0.15))
    middle, pace = (
        rng.integers(-(length // 4), length, len(saturating)),
        rng.uniform(3.0, 3.0 + length / 4, len(saturating)),
    )
    height = rng.normal(0.0, 1.0, len(saturating))
    y[:, saturating] = height / (1.0 + np.exp(-np.clip((time - middle) / pace, -30.0, 30.0)))
    y *= np.where(draw.share(0.3), 0.0, 1.0)
    y += _changing_season(draw)
    y += _arma(draw)
    result: FloatArray = y.astype(np.float32)
    return result


def _changing_season(draw: Draw) -> FloatArray:
    """[T, N] two profiles, the second in place of the first by and by, at a break, or never; the amplitude may grow or fade."""
    rng, n, length = draw.rng, draw.count, draw.length
    rows = np.arange(length) % draw.season_length
    amplitude = draw.amplitudes()
    season = (profiles(rng, n, draw.season_length) * amplitude)[rows]
    changing = np.flatnonzero(draw.share(0.35))
    other = (profiles(rng, len(changing), draw.season_length) * amplitude[changing])[rows]
    at = rng.integers(0, length, len(changing))
    pace = np.where(rng.random(len(changing)) < 0.3, 0.1, rng.uniform(length / 12, length / 2, len(changing)))
    share = 1.0 / (1.0 + np.exp(np.clip((at - np.arange(length)[:, None]) / pace, -30.0, 30.0)))
    season[:, changing] += (
        (other - season[:, changing]) * share.astype(np.float32) * rng.uniform(0.2, 1.0, len(changing))
    )
    growth = np.where(draw.share(0.4), draw.normal(n) * 1.2 / length, 0.0).astype(np.float32)
    season *= np.exp(np.clip(growth * np.arange(length, dtype=np.float32)[:, None], -2.0, 2.0))
    return season


def _arma(draw: Draw) -> FloatArray:
    """[T, N] ARMA(1, 1) noise, white for a third; its size is constant, drifts, or depends on the season."""
    rng, n, length = draw.rng, draw.count, draw.length
    white = draw.white(length + WARM_UP)
    phi = np.where(draw.share(0.35), 0.0, rng.uniform(-0.5, 0.97, n)).astype(np.float32)
    theta = np.where(draw.share(0.6), 0.0, rng.uniform(-0.7, 0.7, n)).astype(np.float32)
    noise, past, before = np.empty_like(white), np.zeros(n, np.float32), np.zeros(n, np.float32)
    for t in range(len(white)):
        past = phi * past + white[t] + theta * before
        before = white[t]
        noise[t] = past
    noise *= draw.log_uniform(0.004, 0.35) / np.sqrt((1.0 + theta * (theta + 2.0 * phi)) / (1.0 - phi * phi))
    drift = np.where(draw.share(0.25), draw.normal(n) * 1.5 / length, 0.0).astype(np.float32)
    noise = noise[WARM_UP:]
    noise *= np.exp(np.clip(drift * np.arange(length, dtype=np.float32)[:, None], -2.0, 2.0))
    seasonal = np.flatnonzero(draw.share(0.15))
    size = np.exp(profiles(rng, len(seasonal), draw.season_length) * np.float32(0.6))
    noise[:, seasonal] *= size[np.arange(length) % draw.season_length]
    return noise


def walks(draw: Draw) -> FloatArray:
    """Random walks with drift, as prices: GARCH(1, 1) or constant volatility, a few with a season, a few mean-reverting."""
    rng, n, length = draw.rng, draw.count, draw.length
    noise = draw.white(length)
    a = np.where(draw.share(0.5), 0.0, rng.uniform(0.02, 0.25, n)).astype(np.float32)
    b = np.where(a > 0.0, rng.uniform(0.5, 0.74, n), 0.0).astype(np.float32)
    pull = np.where(draw.share(0.75), 1.0, rng.uniform(0.85, 0.995, n)).astype(np.float32)
    step = draw.log_uniform(0.003, 0.15) * np.sqrt(draw.pace)
    drift = draw.slopes(0.5, 0.008)
    variance, level, y = np.ones(n, np.float32), np.zeros(n, np.float32), np.empty((length, n), np.float32)
    for t in range(length):
        shock = noise[t] * np.sqrt(variance)
        variance = np.minimum(1.0 - a - b + a * shock * shock + b * variance, 25.0)
        level = pull * level + shock * step
        y[t] = level
    y += drift * np.arange(length, dtype=np.float32)[:, None]
    season = profiles(rng, n, draw.season_length) * np.where(draw.share(0.6), 0.0, draw.log_uniform(0.01, 0.3))
    y += season.astype(np.float32)[np.arange(length) % draw.season_length]
    return y


def long_memory(draw: Draw) -> FloatArray:
    """Fractionally integrated noise, d in (0.1, 0.49) or above 1/2 with a random walk's share, and a season."""
    rng, n, length = draw.rng, draw.count, draw.length
    size = 2 * length
    d = rng.uniform(0.1, 0.9, n)
    lag = np.arange(1, size)[:, None]
    weights = np.concatenate([np.ones((1, n)), np.cumprod((lag - 1.0 + d) / lag, axis=0)])
    noise = draw.normal(size, n)
    spectrum = np.fft.rfft(weights, 2 * size, axis=0) * np.fft.rfft(noise, 2 * size, axis=0)
    y = np.fft.irfft(spectrum, 2 * size, axis=0)[length:size]
    y *= draw.log_uniform(0.01, 0.3) / np.maximum(y.std(axis=0), 1e-6)
    result: FloatArray = (y + _changing_season(draw)).astype(np.float32)
    return result


def gaussian_processes(draw: Draw) -> FloatArray:
    """Samples of Gaussian processes whose kernels are sums and products of simple ones (KernelSynth, Ansari et al. 2024)."""
    rng, n, length = draw.rng, draw.count, draw.length
    y = np.empty((length, n), np.float32)
    parts = np.array_split(np.arange(n), max(1, min(n, 6)))
    for part in parts:
        kernel = _kernel(rng, length, draw.season_length)
        for _ in range(rng.integers(0, 4)):
            other = _kernel(rng, length, draw.season_length)
            kernel = kernel + other if rng.random() < 0.5 else kernel * other
        root = np.linalg.cholesky(kernel + np.eye(length) * 1e-4 * np.trace(kernel) / length)
        y[:, part] = root.astype(np.float32) @ draw.normal(length, len(part))
    y *= draw.log_uniform(0.02, 0.6) / np.maximum(y.std(axis=0), 1e-6)
    return y + draw.normal(length, n) * draw.log_uniform(0.002, 0.1)


def _kernel(rng: np.random.Generator, length: int, season_length: int) -> FloatArray:
    """[T, T] one simple kernel."""
    place = np.arange(length) / length
    gap: FloatArray = np.abs(place[:, None] - place)
    offset, smooth, rough = rng.random(), np.exp(rng.uniform(-4.0, 0.0)), rng.uniform(0.5, 2.0)
    period = max(season_length, 2) / length * (1.0 if rng.random() < 0.8 or season_length < 4 else 0.5)
    kernels: tuple[FloatArray, ...] = (
        np.exp(-0.5 * (gap / smooth) ** 2),
        (1.0 + 5.0 * (gap / smooth) ** 2) ** -0.1,  # rational quadratic
        0.05 + (place[:, None] - offset) * (place - offset),
        np.exp(-gap / smooth),  # Ornstein–Uhlenbeck
        np.exp(-2.0 * (np.sin(np.pi * gap / period) / rough) ** 2),
    )
    return kernels[min(4, int(rng.integers(0, 4 if season_length == 1 else 7)))]


KINDS: dict[str, tuple[float, Callable[[Draw], FloatArray]]] = {
    "state space": (0.5, state_space),
    "trends": (0.25, trends),
    "walks": (0.1, walks),
    "long memory": (0.05, long_memory),
    "gaussian processes": (0.1, gaussian_processes),
    "growth": (0.0, growth),  # the shares of these two depend on the season
    "activity": (0.0, activity),
}
GROWING = {1: 0.9, 4: 0.5, 12: 0.2, 52: 0.1}  # share of "growth", by rows in a season
ACTIVE = {5: 0.4, 7: 0.5, 24: 0.6, 48: 0.6}
OTHERWISE = 0.05


def shares(season_length: int) -> FloatArray:
    """Share of each row of KINDS among series with this season."""
    found = {name: weight for name, (weight, _) in KINDS.items()}
    by_season = {
        name: table.get(season_length, OTHERWISE) for name, table in (("growth", GROWING), ("activity", ACTIVE))
    }
    rest = (1.0 - sum(by_season.values())) / sum(found.values())
    return np.array([by_season.get(name, weight * rest) for name, weight in found.items()])
