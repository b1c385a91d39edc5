"""Growing series: what is counted or paid in an economy, by the year, the quarter or the month."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.pretraining.random_draws import WARM_UP
from forecaster.pretraining.seasons import profiles

if TYPE_CHECKING:
    from forecaster.pretraining.random_draws import Draw
    from forecaster.typing import FloatArray

UPWARD = 0.95  # share of the series whose lasting growth is upward
JUMPS, TURNS = 0.01, 0.01  # breaks of the level and of the rate in a year
CYCLE = (3.0, 11.0)  # years of a business cycle


def growth(draw: Draw) -> FloatArray:
    """Integrated growth: a lasting rate, which may wander, and persistent shocks to it; a little noise; a season.

    Most real series of this kind grow, and their differences are positively correlated, where those of a noisy level are
    negatively. Sizes are for a year, which is a season's rows.
    """
    rng, n, m = draw.rng, draw.count, draw.season_length
    length = draw.length + WARM_UP
    shock = draw.log_uniform(0.01, 0.2)  # of a year
    ratio = np.exp(0.6 * draw.normal(n)) * np.where(draw.share(0.3), 4.0, 1.3)
    sign = np.where(draw.share(UPWARD), 1.0, -1.0)
    rate = np.where(draw.share(0.06), 0.0, np.clip(sign * ratio * shock, -0.3, 0.5))
    persistent = np.where(draw.share(0.35), 0.0, rng.uniform(0.1, 0.9, n)) ** (1.0 / m)
    wander = np.where(draw.share(0.7), draw.log_uniform(0.05, 0.7), 0.0) * shock / m**1.5
    pull = rng.uniform(0.6, 0.97, n) ** (1.0 / m)
    noise = draw.white(length)
    noise *= (
        shock / np.sqrt(m) * (1.0 - persistent)
    )  # a shock moves the level by as much in the end, however persistent
    jumps = np.flatnonzero(draw.share(1.0 - np.exp(-JUMPS * length / m)))  # breaks of the level
    noise[rng.integers(0, length, len(jumps)), jumps] += draw.normal(len(jumps)) * shock[jumps] * 3.0
    turns = np.flatnonzero(draw.share(1.0 - np.exp(-TURNS * length / m)))  # breaks of the rate
    steps = draw.normal(length, n) * wander
    bends = np.zeros((length, n), np.float32)
    bends[rng.integers(0, length, len(turns)), turns] = draw.normal(len(turns)) * shock[turns] * 1.5 / m
    slowing = np.exp(-np.where(draw.share(0.4), 1.0 / draw.log_uniform(6.0, 60.0), 0.0) / m)  # as markets fill
    lasting, extra, level, moving = rate / m, np.zeros(n), np.zeros(n), np.zeros(n)
    y = np.empty((length, n), np.float32)
    for t in range(length):
        moving = persistent * moving + noise[t]
        extra = pull * extra + steps[t]
        lasting = lasting * slowing + bends[t]
        level += lasting + extra + moving
        y[t] = level
    y += _cycles(draw, length) * shock
    observed = np.where(draw.share(0.65), 0.0, draw.log_uniform(0.05, 1.0)) * shock / np.sqrt(m)
    y += draw.normal(length, n) * observed.astype(np.float32)
    if m > 1:
        y += _season(draw, length)
    y = (y[WARM_UP:] - y[WARM_UP : 2 * WARM_UP].mean(axis=0)).astype(np.float32)
    slower = np.flatnonzero(draw.share(0.5))  # than exponential, where the series becomes a multiplicative one
    y[:, slower] = np.log1p(np.maximum(y[:, slower], -0.9))
    result: FloatArray = y
    return result


def _cycles(draw: Draw, length: int) -> FloatArray:
    """[T, N] cycles of some years whose phase and size wander, of a fifth of the series: damped rotations with noise."""
    rng, n, m = draw.rng, draw.count, draw.season_length
    turn = 2.0 * np.pi / (rng.uniform(*CYCLE, n) * m)
    damp = rng.uniform(0.85, 0.99, n) ** (1.0 / m)
    cos, sin, size = np.cos(turn) * damp, np.sin(turn) * damp, np.sqrt(1.0 - damp**2)
    a, b = draw.normal(n), draw.normal(n)
    y = np.empty((length, n), np.float32)
    noise = draw.normal(length, 2, n) * size
    for t in range(length):
        a, b = cos * a - sin * b + noise[t, 0], sin * a + cos * b + noise[t, 1]
        y[t] = a
    return y * np.where(draw.share(0.2), rng.uniform(0.3, 2.0, n), 0.0).astype(np.float32)


def _season(draw: Draw, length: int) -> FloatArray:
    """[T, N] a season whose profile stays or wanders."""
    m = draw.season_length
    season = profiles(draw.rng, draw.count, m) * draw.amplitudes()
    wander = np.where(draw.share(0.5), 0.0, draw.log_uniform(0.01, 0.2)) * np.abs(season).mean(axis=0)
    y = np.empty((length, draw.count), np.float32)
    moves = draw.normal(length, draw.count) * wander.astype(np.float32)
    for t in range(length):
        season[t % m] += moves[t]
        y[t] = season[t % m]
    return y
