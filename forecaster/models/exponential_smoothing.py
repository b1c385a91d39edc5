"""Exponential smoothing in the graph, averaged over a grid of parameters and blended with the networks' forecasts.

The models are the additive ones of Hyndman et al. 2008, "Forecasting with Exponential Smoothing": without trend, with a damped or
a linear one, with season or without. With season length m, damping φ and the share β of the level's rate that the trend has:

    e_t = y_t - (l_{t-1} + φ b_{t-1} + s_{t-m})
    l_t = l_{t-1} + φ b_{t-1} + α e_t,    b_t = φ b_{t-1} + α β e_t,    s_t = s_{t-m} + γ (1 - α) e_t
    ŷ_{T+h} = l_T + (φ + φ² + … + φ^h) b_T + s_{T+h-m⌈h/m⌉}

With fixed parameters, one-step errors e and forecasts ŷ are linear in the context y, and what a row does to a later one depends
on the lag alone. So the whole grid takes two convolutions and two matrix products, of small arrays. Each window averages the
models by Akaike weights of its own (Burnham & Anderson 2002).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.scaling import observed, root_mean_square

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


@dataclass(frozen=True)
class _Responses:
    """What the context's rows do to K models, per unit. Arrays are small: a response depends on the lag, not on the row."""

    errors: FloatArray  # [L, 2, K] on later errors, by lag, the largest first: of each row, and of a row of the first season
    errors_of_level: FloatArray  # [T, K] of the first level on the errors of the rows after it
    seasons: FloatArray  # [L, 2, K] on the seasonal term of a later row
    seasons_of_level: FloatArray  # [m, K] on the seasonal terms of the last season
    level: FloatArray  # [L, K] of each row on the last level
    slope: FloatArray  # [L, K] and on the last slope
    damped: FloatArray  # [K, H] sum of the damping up to each step ahead
    penalties: FloatArray  # [K] numbers of parameters


@lru_cache(maxsize=4)
def _responses(season_length: int, length: int, horizon: int) -> _Responses:
    m = season_length
    first = min(m, length) if m > 1 else min(3, length)  # rows that make the start
    seasonal = [0.0, *SEASONS] if m > 1 and length >= 2 * m else [0.0]
    grid = list(product(LEVELS, TRENDS, seasonal))
    alpha, beta, phi, gamma = np.array([(a, *trend, g) for a, trend, g in grid]).T[:, :, None]  # [K, 1] each
    # Three responses of each model: to a value of 1 in the first row, to a first seasonal term of 1, to a first level of 1.
    level, slope = np.zeros((len(grid), 3)), np.zeros((len(grid), 3))
    season = np.zeros((m, len(grid), 3))
    level[:, 2] = 1.0
    season[0, :, 1] = gamma[:, 0] > 0.0
    found = []
    for t in range(length):
        s = season[t % m]
        error = np.array([float(t == 0), 0.0, 0.0]) - (level + phi * slope + s)
        level, slope = level + phi * slope + alpha * error, phi * slope + alpha * beta * error
        season[t % m] = s + gamma * (1.0 - alpha) * error
        found.append(np.stack([error, np.where(gamma > 0.0, season[t % m], 0.0), level, slope]))
    by_lag = np.stack(found, axis=1)  # [4, L, K, 3]
    # A first seasonal term is its row less the first level.
    started = np.zeros_like(by_lag[..., 2])
    for row in range(m):
        started[:, row:] += by_lag[:, : length - row, :, 1]
    of_level = by_lag[..., 2] - started
    kernels = by_lag[:, ::-1, :, :2].transpose(0, 1, 3, 2)  # [4, L, 2, K]
    early = (np.arange(length) < m)[:, None]
    mean = ((np.arange(length) < first) / first)[:, None]
    last = [kernels[i, :, 0] + early * kernels[i, :, 1] + mean * of_level[i, -1] for i in (2, 3)]
    steps = np.arange(1, horizon + 1)
    return _Responses(
        errors=kernels[0],
        errors_of_level=of_level[0, first:],
        seasons=kernels[1],
        seasons_of_level=of_level[1, length - m :],
        level=last[0],
        slope=last[1],
        damped=np.where(phi > 0.0, np.cumsum(phi**steps, axis=1), 0.0),
        penalties=(2.0 + 2.0 * (beta > 0.0) + m * (gamma > 0.0))[:, 0],
    )


def smooth(context: Tensor, smoothing: Smoothing) -> Tensor:
    """Context [B, L or more] in the caller's units, NaN = missing -> forecasts [B, H] of exponential smoothing, float64."""
    import keras
    from keras import ops

    latest = context[:, -smoothing.length :]
    found = _responses(smoothing.season_length, smoothing.length, smoothing.horizon)
    responses = {name: values.astype(np.float32) for name, values in vars(found).items()}
    if not keras.utils.is_keras_tensor(
        context
    ):  # in a graph of TensorFlow's, which is stored with each of its constants
        responses = {name: ops.convert_to_tensor(values) for name, values in responses.items()}
    plain = _average(latest, smoothing, responses)
    if not smoothing.log:
        return plain
    missing = ops.isnan(latest)
    logs = ops.log(1.0 + ops.maximum(ops.where(missing, ops.zeros_like(latest), latest), 0.0))
    highest = ops.max(logs, axis=1, keepdims=True) + GROWTH
    grown = ops.minimum(_average(ops.where(missing, latest, logs), smoothing, responses), highest)
    return ops.maximum(0.5 * (plain + ops.exp(grown) - 1.0), 0.0)


def _average(context: Tensor, smoothing: Smoothing, responses: dict[str, Tensor]) -> Tensor:
    """[B, H] forecasts of all models, averaged by each window's Akaike weights. `responses`: the fields of `_Responses`."""
    from keras import ops

    m, horizon = smoothing.season_length, smoothing.horizon
    first = smoothing.length - responses["errors_of_level"].shape[0]
    filled, mask = _filled(context, smoothing)
    centre = ops.mean(filled, axis=1, keepdims=True)
    scale = root_mean_square(filled - centre, float(smoothing.length))
    safe = ops.where(scale > 0.0, scale, ops.ones_like(scale))
    z = ops.cast((filled - centre) / safe, "float32")
    start = ops.mean(z[:, :first], axis=1, keepdims=True)[:, :, None]
    early = (np.arange(smoothing.length) < m).astype(np.float32)
    rows = ops.stack([z, z * early], axis=-1)  # [B, L, 2]

    def later(what: str) -> Tensor:
        """[B, t, K] what the rows before, and the first level, do to the last t rows."""
        of_level = responses[f"{what}_of_level"]
        before = ops.zeros_like(rows[:, : of_level.shape[0] - 1])
        moved = ops.conv(ops.concatenate([before, rows], axis=1), responses[what], padding="valid")
        return moved + start * of_level

    model_errors = later("errors")
    observed = ops.cast(mask[:, first:, None], "float32")
    n = ops.maximum(ops.sum(observed, axis=1), 1.0)  # [B, 1]
    mse = ops.sum(model_errors * model_errors * observed, axis=1) / n
    penalty = responses["penalties"]
    # AICc; its penalty all but excludes a model with as many parameters as observations.
    spare = ops.maximum(n - penalty - 1.0, 0.5)
    criterion = n * ops.log(mse + 1e-6) + n * (2.0 * penalty) / spare
    weights = ops.softmax(-0.5 * criterion, axis=1)
    level, slope = (ops.matmul(z, responses[part]) for part in ("level", "slope"))
    # Mean over the models, whose seasonal terms are those of the last season, in the order of its rows.
    mean = ops.sum(weights * level, axis=1, keepdims=True) + ops.matmul(weights * slope, responses["damped"])
    if m > 1:
        season = ops.sum(weights[:, None, :] * later("seasons"), axis=2)
        mean = mean + ops.concatenate([season] * -(-horizon // m), axis=1)[:, :horizon]
    return ops.cast(mean, "float64") * scale + centre


def _filled(context: Tensor, smoothing: Smoothing) -> tuple[Tensor, Tensor]:
    """The context with gaps filled by the next season's value, else by the mean of the observed ones; and its mask."""
    from keras import ops

    m, seasons = smoothing.season_length, smoothing.length // smoothing.season_length
    known, mask = observed(context)
    mean = ops.sum(known, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
    parts = []
    following = mean + ops.zeros_like(known[:, :m])
    for i in reversed(range(seasons)):
        own, own_seen = known[:, i * m : (i + 1) * m], mask[:, i * m : (i + 1) * m]
        following = ops.where(own_seen > 0.0, own, following)
        parts.append(following)
    return ops.concatenate(parts[::-1], axis=1), mask
