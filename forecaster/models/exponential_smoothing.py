"""Exponential smoothing in the graph, averaged over a grid of parameters and blended with the networks' forecasts.

The models are the additive ones of Hyndman et al. 2008, "Forecasting with Exponential Smoothing": without trend, with a damped or
a linear one, with season or without. With season length m, damping φ and the share β of the level's rate that the trend has:

    e_t = y_t - (l_{t-1} + φ b_{t-1} + s_{t-m})
    l_t = l_{t-1} + φ b_{t-1} + α e_t,    b_t = φ b_{t-1} + α β e_t,    s_t = s_{t-m} + γ (1 - α) e_t
    ŷ_{T+h} = l_T + (φ + φ² + … + φ^h) b_T + s_{T+h-m⌈h/m⌉}

With fixed parameters, one-step errors e and forecasts ŷ are linear in the context y: each is one matrix product. So the whole
grid takes two products. Each window averages the models by Akaike weights of its own (Burnham & Anderson 2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.scaling import root_mean_square

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, Tensor


LEVELS = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9)  # α
TRENDS = ((0.0, 0.0), (0.1, 0.9), (0.1, 0.98), (0.3, 1.0), (0.02, 1.0))  # (β, φ)
SEASONS = (0.05, 0.2, 0.4)  # γ
MAX_LENGTH = 120  # rows that it reads, at most
GROWTH = 2.0  # log of the largest growth: a forecast on logs stays below e^2 times the highest value read
WEIGHTS = (0.0, 0.15, 0.3, 0.5, 0.75, 1.0)  # to choose from
EXPONENTIAL_SMOOTHING = "exponential smoothing"


@dataclass(frozen=True)
class Smoothing:
    """The simple method that is blended with the networks' forecasts."""

    season_length: int
    length: int  # latest rows that it reads, a multiple of season_length
    horizon: int
    log: bool  # of smoothing: the mean of smoothing and of smoothing on logs, for data that is never negative
    weight: float  # of the method in the blend, 0 to 1
    method: str = EXPONENTIAL_SMOOTHING  # a row of SIMPLE_METHODS


def smoothing_length(season_length: int, rows: int) -> int:
    """Rows that smoothing reads of a series with so many, in whole seasons, 2 at least; 0 where the season is too long."""
    if 2 * season_length > MAX_LENGTH:
        return 0
    wanted = min(max(rows, 2 * season_length), MAX_LENGTH, max(10 * season_length, 30))
    return wanted // season_length * season_length


@lru_cache(maxsize=4)
def _matrices(season_length: int, length: int, horizon: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of K models: errors [L, K·T] and forecasts [L, K·H] per unit of each context row; numbers of parameters [K]."""
    m, unit = season_length, np.eye(length)
    seasonal = [0.0, *SEASONS] if m > 1 and length >= 2 * m else [0.0]
    errors, ahead, penalties = [], [], []
    for alpha, (beta, phi), gamma in product(LEVELS, TRENDS, seasonal):
        first = min(m, length) if m > 1 else min(3, length)
        level, slope = unit[:, :first].mean(axis=1), np.zeros(length)
        season = [unit[:, j] - level if gamma else np.zeros(length) for j in range(m)]
        errors_at = []
        for t in range(length):
            s = season[t % m]
            error = unit[:, t] - (level + phi * slope + s)
            level, slope = level + phi * slope + alpha * error, phi * slope + alpha * beta * error
            season[t % m] = s + gamma * (1.0 - alpha) * error
            errors_at.append(error)
        damped = np.cumsum(phi ** np.arange(1, horizon + 1)) if phi else np.zeros(horizon)
        ahead.append(np.stack([level + damped[h] * slope + season[(length + h) % m] for h in range(horizon)], axis=1))
        errors.append(np.stack(errors_at[first:], axis=1))  # the first values made the start
        penalties.append(2.0 + (2.0 if beta else 0.0) + (float(m) if gamma else 0.0))
    return (np.concatenate(errors, axis=1), np.concatenate(ahead, axis=1), np.array(penalties))


def smooth(context: Tensor, smoothing: Smoothing) -> Tensor:
    """Context [B, L or more] in the caller's units, NaN = missing -> forecasts [B, H] of exponential smoothing, float64."""
    from keras import ops

    latest = context[:, -smoothing.length :]
    plain = _average(latest, smoothing)
    if not smoothing.log:
        return plain
    missing = ops.isnan(latest)
    logs = ops.log(1.0 + ops.maximum(ops.where(missing, ops.zeros_like(latest), latest), 0.0))
    highest = ops.max(logs, axis=1, keepdims=True) + GROWTH
    grown = ops.minimum(_average(ops.where(missing, latest, logs), smoothing), highest)
    return ops.maximum(0.5 * (plain + ops.exp(grown) - 1.0), 0.0)


def _average(context: Tensor, smoothing: Smoothing) -> Tensor:
    """[B, H] forecasts of all models, averaged by each window's Akaike weights."""
    from keras import ops

    errors, ahead, penalties = _matrices(smoothing.season_length, smoothing.length, smoothing.horizon)
    count, steps = len(penalties), errors.shape[1] // len(penalties)
    filled, mask = _filled(context, smoothing)
    centre = ops.mean(filled, axis=1, keepdims=True)
    scale = root_mean_square(filled - centre, float(smoothing.length))
    safe = ops.where(scale > 0.0, scale, ops.ones_like(scale))
    z = ops.cast((filled - centre) / safe, "float32")
    model_errors = ops.reshape(ops.matmul(z, errors.astype(np.float32)), (-1, count, steps))
    observed = ops.cast(mask[:, None, smoothing.length - steps :], "float32")
    n = ops.maximum(ops.sum(observed, axis=2), 1.0)  # [B, 1]
    mse = ops.sum(model_errors * model_errors * observed, axis=2) / n
    penalty = penalties.astype(np.float32)
    # AICc; its penalty all but excludes a model with as many parameters as observations.
    spare = ops.maximum(n - penalty - 1.0, 0.5)
    criterion = n * ops.log(mse + 1e-6) + n * (2.0 * penalty) / spare
    weights = ops.softmax(-0.5 * criterion, axis=1)
    forecasts = ops.reshape(ops.matmul(z, ahead.astype(np.float32)), (-1, count, smoothing.horizon))
    mean = ops.sum(weights[:, :, None] * forecasts, axis=1)
    return ops.cast(mean, "float64") * scale + centre


def _filled(context: Tensor, smoothing: Smoothing) -> tuple[Tensor, Tensor]:
    """The context with gaps filled by the next season's value, else by the mean of the observed ones; and its mask."""
    from keras import ops

    m, seasons = smoothing.season_length, smoothing.length // smoothing.season_length
    missing = ops.isnan(context)
    mask = ops.cast(ops.logical_not(missing), "float64")
    known = ops.where(missing, ops.zeros_like(context), context)
    mean = ops.sum(known, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
    parts = []
    following = mean + ops.zeros_like(known[:, :m])
    for i in reversed(range(seasons)):
        own, own_seen = known[:, i * m : (i + 1) * m], mask[:, i * m : (i + 1) * m]
        following = ops.where(own_seen > 0.0, own, following)
        parts.append(following)
    return ops.concatenate(parts[::-1], axis=1), mask
