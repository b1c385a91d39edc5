"""Parametric distributions: the network forecasts their parameters for each step, instead of each quantile by itself.

Parameter 0 is always the location in the network's own units, which a head can feed back as a forecast. Networks are fitted by
maximum likelihood (Salinas et al. 2020, DeepAR, has the same three). Likelihoods are computed in float64 with the operations
that Keras has on every backend. These lack the log-gamma function: see `log_rising`.

| distribution | negative log likelihood of y |
|---|---|
| normal | ½ e² + log σ + ½ log 2π, e = (y − μ) / σ |
| student-t | log σ + ½ log πν + log Γ(ν/2) − log Γ((ν + 1)/2) + ½ (ν + 1) log(1 + e²/ν) |
| negative-binomial | −log [Γ(y + r) / (Γ(y + 1) Γ(r)) · (r / (r + m))^r · (m / (r + m))^y], r = 1 / dispersion, m the mean |
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

MIN_SCALE = 1e-3  # in the network's units: no history allows a more exact forecast
MAX_DISTANCE = 50.0  # targets are clipped here, in scales of their window from its centre
MIN_TAIL, MAX_TAIL = 1e-3, 0.499  # 1/ν: ν from above 2 to 1,000, which is as good as normal
MIN_DISPERSION, MAX_DISPERSION = 1e-8, 50.0
MIN_KNEE = 1e-6
SHIFT = 8  # steps of the recurrence of the gamma function, after which Stirling's series has ten digits


@dataclass(frozen=True)
class WindowUnits:
    """The units of a batch of windows: how to convert between the network's and the caller's."""

    scaler: WindowScaler
    center: Tensor  # [B, 1]
    scale: Tensor  # [B, 1]; 0 where the network cannot change the forecast: the window has no loss


@dataclass(frozen=True)
class Distribution:
    """A row of DISTRIBUTIONS."""

    parameters: tuple[str, ...]  # the network forecasts one number for each; the location is the first
    counts: bool  # True: of whole numbers from 0 up, in the caller's units; False: of real numbers, in the network's
    scale: Callable[[Tensor, Tensor], Tensor]  # centre and scale of windows -> scale of their `WindowUnits`
    loss: Callable[
        [Tensor, Tensor, WindowUnits], Tensor
    ]  # z [B, P, K], target [B, P] -> negative log likelihoods [B, P]
    forecast: Callable[[Tensor, Levels, WindowUnits], Tensor]  # z [B, H, K] -> [B, H, 1 + Q] in the caller's units

    def units(self, scaler: WindowScaler, center: Tensor, scale: Tensor) -> WindowUnits:
        """The units of windows with this centre and scale [B, 1]."""
        return WindowUnits(scaler, center, self.scale(center, scale))


def log_rising(y: Tensor, x: Tensor) -> Tensor:
    """log Γ(x + y) - log Γ(x) for y >= 0 and x > 0, the log of a rising factorial.

    By Stirling's series for both, subtracted term by term so that no digits cancel.
    """
    from keras import ops

    far = x + float(SHIFT)
    higher = y + far
    found = (far - 0.5) * ops.log1p(y / far) - y + y * ops.log(higher) + (_stirling(higher) - _stirling(far))
    for step in range(SHIFT):
        found = found - ops.log1p(y / (x + float(step)))
    return found


def _stirling(x: Tensor) -> Tensor:
    """Remainder of Stirling's formula for log Γ(x): 1/12x - 1/360x³ + 1/1260x⁵ (Abramowitz & Stegun 6.1.41)."""
    inverse = 1.0 / x
    square = inverse * inverse
    return ((square / 1260.0 - 1.0 / 360.0) * square + 1.0 / 12.0) * inverse


def _scale(raw: Tensor) -> Tensor:
    from keras import ops

    return ops.softplus(raw) + MIN_SCALE


def _tail(raw: Tensor) -> Tensor:
    from keras import ops

    return ops.sigmoid(raw) * (MAX_TAIL - MIN_TAIL) + MIN_TAIL


def _error(z: Tensor, target: Tensor, units: WindowUnits) -> Tensor:
    """[B, P] target - location in the network's units, float64."""
    from keras import ops

    normalised = units.scaler.normalise(target, units.center, units.scale)
    return ops.clip(normalised, -MAX_DISTANCE, MAX_DISTANCE) - ops.cast(z[:, :, 0], "float64")


def _normal_loss(z: Tensor, target: Tensor, units: WindowUnits) -> Tensor:
    from keras import ops

    scale = ops.cast(_scale(z[:, :, 1]), "float64")
    error = _error(z, target, units) / scale
    return 0.5 * error * error + ops.log(scale) + 0.5 * math.log(2.0 * math.pi)


def _normal_forecast(z: Tensor, levels: Levels, units: WindowUnits) -> Tensor:
    standard = NormalDist()
    return _around(z, lambda: np.array([standard.inv_cdf(level) for level in levels], np.float32), levels, units)


def _student_t_loss(z: Tensor, target: Tensor, units: WindowUnits) -> Tensor:
    from keras import ops

    scale = ops.cast(_scale(z[:, :, 1]), "float64")
    freedom = 1.0 / ops.cast(_tail(z[:, :, 2]), "float64")  # ν
    error = _error(z, target, units) / scale
    half = ops.zeros_like(freedom) + 0.5
    constant = 0.5 * ops.log(freedom * math.pi) - log_rising(half, 0.5 * freedom)
    return ops.log(scale) + constant + 0.5 * (freedom + 1.0) * ops.log1p(error * error / freedom)


def _student_t_forecast(z: Tensor, levels: Levels, units: WindowUnits) -> Tensor:
    from keras import ops

    def away() -> Tensor:
        return ops.matmul(TAIL.hats(_tail(z[:, :, 2])), student_t_table(levels).astype(np.float32))

    return _around(z, away, levels, units)


def _around(z: Tensor, away: Callable[[], Tensor], levels: Levels, units: WindowUnits) -> Tensor:
    """The location, and quantiles `away` [..., Q] scales from it, in the caller's units."""
    from keras import ops

    location = z[:, :, :1]
    if levels:
        # The operand that is broadcast comes first: see WindowScaler.restore.
        location = ops.concatenate([location, location + _scale(z[:, :, 1:2]) * away()], axis=2)
    return units.scaler.restore(location, units.center, units.scale)


def _own_scale(_center: Tensor, scale: Tensor) -> Tensor:
    return scale


def _count_scale(center: Tensor, scale: Tensor) -> Tensor:
    """A window of zeros shows that the rate is low, not that it is 0: its scale is one count."""
    from keras import ops

    zeros = ops.cast(ops.logical_and(scale <= 0.0, center <= 0.0), "float64")
    return scale + zeros


def _mean_and_dispersion(z: Tensor, units: WindowUnits) -> tuple[Tensor, Tensor]:
    """Mean and dispersion [B, P], float64, in counts: variance = mean + dispersion · mean².

    The mean is the location in the caller's units where that is half a scale or more, and falls to 0 exponentially below, so
    that the gradient of the likelihood does not vanish there. The network forecasts the dispersion as a multiple of the
    window's own, scale² / (centre² + scale²), so that it means the same at any level.
    """
    from keras import ops

    location, spread = ops.cast(z[:, :, 0], "float64"), ops.cast(ops.softplus(z[:, :, 1]), "float64")
    wanted = (
        units.center + units.scale * location
    )  # the operand that is broadcast comes first: see WindowScaler.restore
    knee = ops.maximum(0.5 * units.scale, MIN_KNEE)
    below = ops.maximum(ops.minimum(wanted, knee) / knee - 1.0, -30.0)
    mean = (ops.maximum(wanted, knee) - knee) + knee * ops.exp(below)
    level = ops.maximum(units.center, 0.0)
    own = units.scale * units.scale / (level * level + units.scale * units.scale)
    return mean, ops.clip(spread * spread * own, MIN_DISPERSION, MAX_DISPERSION)


def _negative_binomial_loss(z: Tensor, target: Tensor, units: WindowUnits) -> Tensor:
    from keras import ops

    mean, dispersion = _mean_and_dispersion(z, units)
    shape = 1.0 / dispersion
    ways = log_rising(target, shape) - log_rising(target, ops.ones_like(target))
    return shape * ops.log1p(mean / shape) - target * ops.log(mean / (shape + mean)) - ways


def _negative_binomial_forecast(z: Tensor, levels: Levels, units: WindowUnits) -> Tensor:
    from keras import ops

    mean, dispersion = _mean_and_dispersion(z, units)
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
