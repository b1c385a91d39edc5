"""Distributions that a network can learn in place of single quantiles: it forecasts their parameters for each step.

Parameter 0 is always the location in the network's own units, so a head that feeds forecasts back knows where to find them.
Learnt by maximum likelihood (Salinas et al. 2020, DeepAR, has the same three). Likelihoods are worked out in float64 with the
operations that Keras has on every backend, which lacks the log-gamma function: see `log_rising`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.models.quantile_tables import (
    LOG_DISPERSION,
    LOG_MEAN,
    TAIL,
    negative_binomial_table,
    squared_spread,
    student_t_table,
)
from forecaster.models.scaling import WindowScaler

if TYPE_CHECKING:
    from forecaster.typing import Tensor

Levels: TypeAlias = tuple[float, ...]

MIN_SCALE = 1e-3  # in the network's units: no history tells more exactly what comes
MAX_DISTANCE = 50.0  # a truth that lies farther from its window, in the window's own scale, counts as that far
MIN_TAIL, MAX_TAIL = 1e-3, 0.499  # 1/ν: ν from above 2 to 1,000, which nobody can tell from normal
MIN_DISPERSION, MAX_DISPERSION = 1e-8, 50.0
MIN_KNEE = 1e-6
SHIFT = 8  # steps of the recurrence of the gamma function, behind which Stirling's series is good to ten digits


@dataclass(frozen=True)
class Place:
    """What leads from the network's units to the caller's, in some windows."""

    scaler: WindowScaler
    center: Tensor  # [B, 1]
    scale: Tensor  # [B, 1]; 0 where the network cannot move the forecast, and so learns nothing


@dataclass(frozen=True)
class Distribution:
    """A row of DISTRIBUTIONS."""

    parameters: tuple[str, ...]  # of which the network forecasts one number each, the location first
    counts: bool  # it is one of whole numbers from 0 up, in the caller's units; else of any number in the network's
    scale: Callable[[Tensor, Tensor], Tensor]  # centre and scale of windows -> the `Place`'s scale
    loss: Callable[[Tensor, Tensor, Place], Tensor]  # z [B, P, K], truth [B, P] -> negative log likelihoods [B, P]
    forecast: Callable[[Tensor, Levels, Place], Tensor]  # z [B, H, K] -> [B, H, 1 + Q] in the caller's units

    def place(self, scaler: WindowScaler, center: Tensor, scale: Tensor) -> Place:
        """Of windows with this centre and scale [B, 1]."""
        return Place(scaler, center, self.scale(center, scale))


def log_rising(y: Tensor, x: Tensor) -> Tensor:
    """log Γ(x + y) - log Γ(x) for y >= 0 and x > 0: Stirling's series for both, taken together so that nothing cancels."""
    from keras import ops

    far = x + float(SHIFT)
    higher = y + far
    found = (far - 0.5) * ops.log1p(y / far) - y + y * ops.log(higher) + (_stirling(higher) - _stirling(far))
    for step in range(SHIFT):
        found = found - ops.log1p(y / (x + float(step)))
    return found


def _stirling(x: Tensor) -> Tensor:
    """What Stirling's formula leaves of log Γ(x): 1/12x - 1/360x³ + 1/1260x⁵ (Abramowitz & Stegun 6.1.41)."""
    inverse = 1.0 / x
    square = inverse * inverse
    return ((square / 1260.0 - 1.0 / 360.0) * square + 1.0 / 12.0) * inverse


def _scale(raw: Tensor) -> Tensor:
    from keras import ops

    return ops.softplus(raw) + MIN_SCALE


def _tail(raw: Tensor) -> Tensor:
    from keras import ops

    return ops.sigmoid(raw) * (MAX_TAIL - MIN_TAIL) + MIN_TAIL


def _error(z: Tensor, truth: Tensor, place: Place) -> Tensor:
    """[B, P] truth - location in the network's units, float64."""
    from keras import ops

    located = place.scaler.normalise(truth, place.center, place.scale)
    return ops.clip(located, -MAX_DISTANCE, MAX_DISTANCE) - ops.cast(z[:, :, 0], "float64")


def _normal_loss(z: Tensor, truth: Tensor, place: Place) -> Tensor:
    from keras import ops

    scale = ops.cast(_scale(z[:, :, 1]), "float64")
    error = _error(z, truth, place) / scale
    return 0.5 * error * error + ops.log(scale) + 0.5 * math.log(2.0 * math.pi)


def _normal_forecast(z: Tensor, levels: Levels, place: Place) -> Tensor:
    standard = NormalDist()
    return _around(z, lambda: np.array([standard.inv_cdf(level) for level in levels], np.float32), levels, place)


def _student_t_loss(z: Tensor, truth: Tensor, place: Place) -> Tensor:
    from keras import ops

    scale = ops.cast(_scale(z[:, :, 1]), "float64")
    freedom = 1.0 / ops.cast(_tail(z[:, :, 2]), "float64")  # ν
    error = _error(z, truth, place) / scale
    half = ops.zeros_like(freedom) + 0.5
    constant = 0.5 * ops.log(freedom * math.pi) - log_rising(half, 0.5 * freedom)
    return ops.log(scale) + constant + 0.5 * (freedom + 1.0) * ops.log1p(error * error / freedom)


def _student_t_forecast(z: Tensor, levels: Levels, place: Place) -> Tensor:
    from keras import ops

    def away() -> Tensor:
        return ops.matmul(TAIL.hats(_tail(z[:, :, 2])), student_t_table(levels).astype(np.float32))

    return _around(z, away, levels, place)


def _around(z: Tensor, away: Callable[[], Tensor], levels: Levels, place: Place) -> Tensor:
    """The location, and quantiles `away` [..., Q] scales from it, in the caller's units."""
    from keras import ops

    location = z[:, :, :1]
    if levels:
        # What is broadcast stands first: see WindowScaler.restore.
        location = ops.concatenate([location, location + _scale(z[:, :, 1:2]) * away()], axis=2)
    return place.scaler.restore(location, place.center, place.scale)


def _own_scale(_center: Tensor, scale: Tensor) -> Tensor:
    return scale


def _count_scale(center: Tensor, scale: Tensor) -> Tensor:
    """A window of zeros alone says that the rate is low, not that it is 0: there the network may move it by whole counts."""
    from keras import ops

    still = ops.cast(ops.logical_and(scale <= 0.0, center <= 0.0), "float64")
    return scale + still


def _mean_and_dispersion(z: Tensor, place: Place) -> tuple[Tensor, Tensor]:
    """[B, P] each, float64, in counts: variance = mean + dispersion · mean².

    The mean is the location in the caller's units where that is half a scale or more, and falls towards 0 as an exponential
    below: a likelihood's gradient does not vanish there. The dispersion is learnt beside the window's own, scale² / (centre² +
    scale²), so that it means the same on any level.
    """
    from keras import ops

    location, spread = ops.cast(z[:, :, 0], "float64"), ops.cast(ops.softplus(z[:, :, 1]), "float64")
    wanted = place.center + place.scale * location  # what is broadcast stands first: see WindowScaler.restore
    knee = ops.maximum(0.5 * place.scale, MIN_KNEE)
    below = ops.maximum(ops.minimum(wanted, knee) / knee - 1.0, -30.0)
    mean = (ops.maximum(wanted, knee) - knee) + knee * ops.exp(below)
    level = ops.maximum(place.center, 0.0)
    own = place.scale * place.scale / (level * level + place.scale * place.scale)
    return mean, ops.clip(spread * spread * own, MIN_DISPERSION, MAX_DISPERSION)


def _negative_binomial_loss(z: Tensor, truth: Tensor, place: Place) -> Tensor:
    from keras import ops

    mean, dispersion = _mean_and_dispersion(z, place)
    shape = 1.0 / dispersion
    ways = log_rising(truth, shape) - log_rising(truth, ops.ones_like(truth))
    return shape * ops.log1p(mean / shape) - truth * ops.log(mean / (shape + mean)) - ways


def _negative_binomial_forecast(z: Tensor, levels: Levels, place: Place) -> Tensor:
    from keras import ops

    mean, dispersion = _mean_and_dispersion(z, place)
    if not levels:
        return mean[:, :, None]
    table = negative_binomial_table(levels).astype(np.float32)
    means, dispersions, count = table.shape
    by_mean = LOG_MEAN.hats(ops.cast(ops.log(mean), "float32"))
    rows = ops.matmul(by_mean, table.reshape(means, dispersions * count))
    rows = ops.reshape(rows, (-1, z.shape[1], dispersions, count))
    by_dispersion = LOG_DISPERSION.hats(ops.cast(ops.log(dispersion), "float32"))
    away = ops.cast(ops.sum(by_dispersion[..., None] * rows, axis=2), "float64")
    spread = ops.sqrt(squared_spread(mean, dispersion))
    quantiles = ops.maximum(mean[:, :, None] + spread[:, :, None] * away, 0.0)
    return ops.concatenate([mean[:, :, None], quantiles], axis=2)


DISTRIBUTIONS: dict[str, Distribution] = {
    "normal": Distribution(("location", "scale"), False, _own_scale, _normal_loss, _normal_forecast),
    "student-t": Distribution(("location", "scale", "tail"), False, _own_scale, _student_t_loss, _student_t_forecast),
    "negative-binomial": Distribution(
        ("location", "spread"), True, _count_scale, _negative_binomial_loss, _negative_binomial_forecast
    ),
}
