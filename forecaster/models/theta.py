"""The Theta method in the graph, averaged over a grid of parameters.

Assimakopoulos & Nikolopoulos 2000, "The theta model"; the dynamic form is that of Fiorucci et al. 2016, "Models for optimising
the theta method". What a season leaves is smoothed, and part of the slope of all rows so far is added:

    l_t = l_{t-1} + α (y_t - l_{t-1}),    l_0 = y_1
    ŷ_{t+h} = l_t + w b_t (h - 1 + (1 - (1 - α)^t) / α)

b_t is the least-squares slope of the rows 1 … t, so one-step errors are those of real forecasts. The share w = 1 - 1/θ of the
slope is 0 for simple exponential smoothing, 1/2 for the Theta method as it won the M3 competition. Each window averages the
grid by the likelihoods of its one-step errors.

The season is that of a classical decomposition, multiplicative where every observed value is positive. It is shrunk as far as the
spread between seasons explains it (James & Stein 1961), where the M competitions test whether there is one: a small season of
few rows is neither taken for sure nor left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.scaling import observed, root_mean_square

if TYPE_CHECKING:
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.typing import Tensor

THETA = "theta"
THETA_SHARE = 0.4  # beside a pretrained network, where nothing else is known (benchmarks/ABLATIONS.md, Theta)
RATES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 0.99)  # α
SLOPES = (0.0, 0.25, 0.5, 0.75, 1.0)  # w
MIN_ROWS = 3  # that a slope is learnt from, before errors count
MIN_LENGTH = 10  # rows of a context; missing where the series has fewer
ONE_SEASON = 0.5  # share of a season that was seen once
# Rows that it reads, at most: older ones say more about a season of a few rows, and less about one that changes.
MAX_LENGTHS = (120, 400)


def theta_lengths(season_length: int, rows: int) -> list[int]:
    """Rows to choose from that the method reads of a series with so many, in whole seasons, 2 at least, ascending.

    Empty where the season is too long.
    """
    m = season_length
    found = {min(max(rows, 2 * m, MIN_LENGTH), most) // m * m for most in MAX_LENGTHS if 2 * m <= most}
    return sorted(found)


def theta(context: Tensor, smoothing: Smoothing) -> Tensor:
    """Context [B, L or more] in the caller's units, NaN = missing -> forecasts [B, H] of the Theta method, float64."""
    from keras import ops

    m, horizon = smoothing.season_length, smoothing.horizon
    latest = context[:, -smoothing.length :]
    known, mask = observed(latest)
    if m == 1:
        found = _without_season(known, mask, horizon)
    else:
        lowest = ops.min(known + (1.0 - mask), axis=1, keepdims=True)
        positive = ops.cast(lowest > 0.0, "float64")
        index = _season(known, mask, positive, m)  # [B, m] of the rows of each season, in the order of the context's
        whole = ops.concatenate([index] * (smoothing.length // m), axis=1)
        ahead = ops.concatenate([index] * -(-horizon // m), axis=1)[:, :horizon]
        # By a share of `positive`, since both branches of a `where` are computed.
        left = known / (positive * whole + (1.0 - positive)) - (1.0 - positive) * whole
        found = _without_season(left * mask, mask, horizon)
        found = found * (positive * ahead + (1.0 - positive)) + (1.0 - positive) * ahead
    return ops.maximum(found, 0.0) if smoothing.log else found


def _without_season(known: Tensor, mask: Tensor, horizon: int) -> Tensor:
    """[B, H] forecasts of series [B, L] without a season, 0 where `mask` is."""
    from keras import ops

    length = known.shape[1]
    filled = _filled(known, mask)
    centre = ops.mean(filled, axis=1, keepdims=True)
    scale = root_mean_square(filled - centre, float(length))
    safe = ops.where(scale > 0.0, scale, ops.ones_like(scale))
    z = ops.cast((filled - centre) / safe, "float32")
    seen = ops.cast(mask, "float32")
    count = ops.cumsum(seen, axis=1)  # [B, L] rows so far
    slope = _slopes(z * seen, count)
    level = _levels(z)  # [B, L, α]
    rates = np.array(RATES, np.float32)
    lag = (1.0 - ops.power((1.0 - rates), count[:, :, None])) / rates  # rows by which a level lags behind a line
    error = (z[:, 1:, None] - level[:, :-1]) * ops.ones_like(lag[:, 1:])
    drift = slope[:, :-1, None] * lag[:, :-1]
    counted = (seen[:, 1:] * ops.cast(count[:, :-1] >= MIN_ROWS, "float32"))[:, :, None]
    plain, joint, square = (ops.sum(one * counted, axis=1)[:, :, None] for one in (error**2, error * drift, drift**2))
    share = np.array(SLOPES, np.float32)
    n = ops.maximum(ops.sum(counted, axis=1), 1.0)[:, :, None]
    mse = ops.maximum(plain - joint * (2.0 * share) + square * share**2, 0.0) / n  # [B, α, w]
    weights = ops.reshape(-0.5 * n * ops.log(mse + 1e-6), (-1, len(RATES) * len(SLOPES)))
    weights = ops.reshape(ops.softmax(weights, axis=1), (-1, len(RATES), len(SLOPES)))
    steps = np.arange(horizon, dtype=np.float32)
    of_rate = ops.sum(weights, axis=2)
    risen = ops.sum(weights * share, axis=2)
    start = ops.sum(of_rate * level[:, -1] + risen * lag[:, -1] * slope[:, -1:], axis=1, keepdims=True)
    mean = start + ops.sum(risen, axis=1, keepdims=True) * slope[:, -1:] * steps
    return ops.cast(mean, "float64") * scale + centre


def _levels(z: Tensor) -> Tensor:
    """[B, L, α] the smoothed level after each row, by one convolution: what a row does depends on its lag alone."""
    from keras import ops

    length = z.shape[1]
    lags = np.arange(length)[:, None]
    rates = np.array(RATES)
    response = rates * (1.0 - rates) ** lags  # [L, α]
    kernel = response[::-1, None].astype(np.float32)
    # The rows before the first are as it is, so that the level starts there.
    first = ops.repeat(z[:, :1], length - 1, axis=1)
    moved = ops.conv(ops.concatenate([first, z], axis=1)[:, :, None], kernel, padding="valid")
    rest = ((1.0 - rates) ** length).astype(np.float32)
    return moved + z[:, :1, None] * rest


def _slopes(z: Tensor, count: Tensor) -> Tensor:
    """[B, L] the least-squares slope of the rows so far, by row counted; 0 where there are fewer than two."""
    from keras import ops

    total, moment = ops.cumsum(z, axis=1), ops.cumsum(z * count, axis=1)
    spread = count * (count * count - 1.0)
    return (12.0 * moment - 6.0 * (count + 1.0) * total) / ops.maximum(spread, 1.0) * ops.cast(count > 1.0, "float32")


def _filled(known: Tensor, mask: Tensor) -> Tensor:
    """[B, L] gaps filled with the next observed value, those at the end with the latest one."""
    from keras import ops

    shift, length = 1, known.shape[1]
    for backward in (True, False):
        shift = 1
        while shift < length:
            values, seen = (_shifted(one, shift, backward) for one in (known, mask))
            known = known + (1.0 - mask) * values
            mask = ops.maximum(mask, seen)
            shift *= 2
    return known


def _shifted(rows: Tensor, by: int, backward: bool) -> Tensor:
    """[B, L] with 0 where nothing comes in."""
    from keras import ops

    none = ops.zeros_like(rows[:, :by])
    parts = [rows[:, by:], none] if backward else [none, rows[:, :-by]]
    return ops.concatenate(parts, axis=1)


def _season(known: Tensor, mask: Tensor, positive: Tensor, m: int) -> Tensor:
    """[B, m] seasonal terms by place, of mean 0, or of mean 1 where `positive` is 1, as far as chance does not explain them."""
    from keras import ops

    length = known.shape[1]
    side = m // 2
    inner = slice(side, length - side)
    middle = ops.sum(known, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
    around = _moving_mean((known - middle) * mask, m) + middle
    # tf2onnx compares in float32. With a value missing the mean is 1 - 1 / (2m) at most.
    whole = ops.cast(_moving_mean(mask, m) > 1.0 - 0.25 / m, "float64")
    size = positive * around + (1.0 - positive)
    ratio = known[:, inner] / ops.where(whole * ops.abs(size) > 0.0, size, ops.ones_like(size))
    terms = (positive * (ratio - 1.0) + (1.0 - positive) * (known[:, inner] - around)) * whole
    ends = ops.zeros_like(known[:, :side])
    terms, counts = (
        ops.reshape(ops.concatenate([ends, one, ends], axis=1), (-1, length // m, m)) for one in (terms, whole)
    )
    seen = ops.sum(counts, axis=1)  # [B, m] seasons
    some = ops.maximum(seen, 1.0)
    index = ops.sum(terms, axis=1) / some
    apart = (terms - index[:, None]) * counts
    spare = ops.sum(ops.maximum(seen - 1.0, 0.0), axis=1, keepdims=True)
    chance = (
        ops.sum(apart * apart, axis=(1, 2))[:, None]
        / ops.maximum(spare, 1.0)
        * ops.mean(1.0 / some, axis=1, keepdims=True)
    )
    index = index - ops.mean(index, axis=1, keepdims=True)
    variance = ops.sum(index * index, axis=1, keepdims=True) / (m - 1.0)
    share = 1.0 - chance / ops.where(variance > 0.0, variance, ops.ones_like(variance))
    share = ops.maximum(ops.where(spare > 0.0, share, ops.zeros_like(share) + ONE_SEASON), 0.0)
    share = share * ops.cast(ops.min(seen, axis=1, keepdims=True) > 0.0, "float64")
    return positive + index * share


def _moving_mean(rows: Tensor, m: int) -> Tensor:
    """[B, L - 2⌊m/2⌋] centred means of m rows; of an even m those of m + 1 with half the weight at the ends.

    By sums so far, as onnxruntime has no convolution in float64.
    """
    from keras import ops

    total = ops.cumsum(ops.concatenate([ops.zeros_like(rows[:, :1]), rows], axis=1), axis=1)
    mean = (total[:, m:] - total[:, :-m]) / m
    return mean if m % 2 else 0.5 * (mean[:, 1:] + mean[:, :-1])
