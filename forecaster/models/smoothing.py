"""Exponential smoothing in the graph, averaged over a grid of parameters, blended with the networks.

Exponential smoothing with fixed parameters is linear in what it reads: its one-step errors and its forecasts are each one matrix
product of the context. So a grid of models costs two products, and each window weighs them by how well they would have
forecast it (Akaike weights, Burnham & Anderson 2002). The models are the additive ones of Hyndman et al. 2008,
"Forecasting with Exponential Smoothing": no, damped or straight trend, with season or without.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, Tensor


LEVELS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)
TRENDS = ((0.0, 0.0), (0.1, 0.9), (0.1, 0.98), (0.3, 1.0), (0.02, 1.0))  # (share of the level's rate, damping)
SEASONS = (0.05, 0.2, 0.4)
MAX_LENGTH = 120  # rows that it reads, at most
GROWTH = 2.0  # a forecast on logs stays below e^2 of the highest value read
WEIGHTS = (0.0, 0.15, 0.3, 0.5, 0.75)  # to choose from: a quarter at least stays the networks'


@dataclass(frozen=True)
class Smoothing:
    """The exponential smoothing that is blended in, and with which weight."""

    season_length: int
    length: int  # newest rows that it reads, a multiple of season_length
    horizon: int
    log: bool  # also on logs, for data that is never negative
    weight: float  # of the smoothing, 0 to 1


def smoothing_length(season_length: int, rows: int) -> int:
    """Rows worth reading of series of so many, in whole seasons: 2 at least; 0 where the season is too long for it."""
    if 2 * season_length > MAX_LENGTH:
        return 0
    wanted = min(max(rows, 2 * season_length), MAX_LENGTH, max(10 * season_length, 30))
    return wanted // season_length * season_length


@lru_cache(maxsize=4)
def _matrices(season_length: int, length: int, horizon: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """errors [L, K·T], forecasts [L, K·H], penalties [K]: each model's answer to every unit impulse of the context."""
    m, unit = season_length, np.eye(length)
    seasonal = [0.0, *SEASONS] if m > 1 and length >= 2 * m else [0.0]
    errors, ahead, penalties = [], [], []
    for alpha, (share, phi), gamma in product(LEVELS, TRENDS, seasonal):
        first = min(m, length) if m > 1 else min(3, length)
        level, slope = unit[:, :first].mean(axis=1), np.zeros(length)
        season = [unit[:, j] - level if gamma else np.zeros(length) for j in range(m)]
        misses = []
        for t in range(length):
            s = season[t % m]
            miss = unit[:, t] - (level + phi * slope + s)
            level, slope = level + phi * slope + alpha * miss, phi * slope + alpha * share * miss
            season[t % m] = s + gamma * (1.0 - alpha) * miss
            misses.append(miss)
        damped = np.cumsum(phi ** np.arange(1, horizon + 1)) if phi else np.zeros(horizon)
        ahead.append(np.stack([level + damped[h] * slope + season[(length + h) % m] for h in range(horizon)], axis=1))
        errors.append(np.stack(misses[first:], axis=1))  # the first ones made the start
        penalties.append(2.0 + (2.0 if share else 0.0) + (float(m) if gamma else 0.0))
    return (np.concatenate(errors, axis=1), np.concatenate(ahead, axis=1), np.array(penalties))


def smooth(context: Tensor, smoothing: Smoothing) -> Tensor:
    """Context [B, L or more] in the caller's units, NaN = missing -> the smoothing's forecast [B, H], float64."""
    from keras import ops

    newest = context[:, -smoothing.length :]
    plain = _average(newest, smoothing)
    if not smoothing.log:
        return plain
    missing = ops.isnan(newest)
    logs = ops.log(1.0 + ops.maximum(ops.where(missing, ops.zeros_like(newest), newest), 0.0))
    highest = ops.max(logs, axis=1, keepdims=True) + GROWTH
    grown = ops.minimum(_average(ops.where(missing, newest, logs), smoothing), highest)
    return ops.maximum(0.5 * (plain + ops.exp(grown) - 1.0), 0.0)


def _average(context: Tensor, smoothing: Smoothing) -> Tensor:
    from keras import ops

    errors, ahead, penalties = _matrices(smoothing.season_length, smoothing.length, smoothing.horizon)
    count, steps = len(penalties), errors.shape[1] // len(penalties)
    filled, mask = _filled(context, smoothing)
    centre = ops.mean(filled, axis=1, keepdims=True)
    scale = ops.sqrt(ops.mean((filled - centre) ** 2, axis=1, keepdims=True))
    safe = ops.where(scale > 0.0, scale, ops.ones_like(scale))
    z = ops.cast((filled - centre) / safe, "float32")
    misses = ops.reshape(ops.matmul(z, errors.astype(np.float32)), (-1, count, steps))
    seen = ops.cast(mask[:, None, smoothing.length - steps :], "float32")
    n = ops.maximum(ops.sum(seen, axis=2), 1.0)  # [B, 1]
    mse = ops.sum(misses * misses * seen, axis=2) / n
    penalty = penalties.astype(np.float32)
    # AICc; a model with as many parameters as observations is out.
    spare = ops.maximum(n - penalty - 1.0, 0.5)
    criterion = n * ops.log(mse + 1e-6) + n * (2.0 * penalty) / spare
    weights = ops.softmax(-0.5 * criterion, axis=1)
    forecasts = ops.reshape(ops.matmul(z, ahead.astype(np.float32)), (-1, count, smoothing.horizon))
    mean = ops.sum(weights[:, :, None] * forecasts, axis=1)
    return ops.cast(mean, "float64") * scale + centre


def _filled(context: Tensor, smoothing: Smoothing) -> tuple[Tensor, Tensor]:
    """Missing values take the next season's value at their place, else the mean of what is there; and the mask."""
    from keras import ops

    m, seasons = smoothing.season_length, smoothing.length // smoothing.season_length
    missing = ops.isnan(context)
    mask = ops.cast(ops.logical_not(missing), "float64")
    known = ops.where(missing, ops.zeros_like(context), context)
    mean = ops.sum(known, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
    parts, seen = [], []
    following, there = mean + ops.zeros_like(known[:, :m]), ops.zeros_like(mask[:, :m])
    for i in reversed(range(seasons)):
        own, own_seen = known[:, i * m : (i + 1) * m], mask[:, i * m : (i + 1) * m]
        following = ops.where(own_seen > 0.0, own, following)
        there = own_seen
        parts.append(following)
        seen.append(there)
    return ops.concatenate(parts[::-1], axis=1), ops.concatenate(seen[::-1], axis=1)
