"""Scaling of a window before the network reads it, and of its forecasts back: transform, centre, scale.

    z = (f(y) - centre) / scale,    y = f⁻¹(centre + scale · z)

All of it is graph operations in float64: float32 would lose steps of 1 at levels of 1e9. Only the scaled values are cast to
float32 for the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import Tensor


MAX_LOG_DISTANCE = (
    20.0  # of a log forecast from its window's centre: a factor of e^20 is absurd, a larger one could overflow
)


@dataclass(frozen=True)
class Transform:
    """A row of TRANSFORMS: `forward` is applied to the caller's units, `inverse` to the network's."""

    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    needs_nonnegative: bool  # for data from `WindowScaler.origin` up only


def _same(y: Tensor) -> Tensor:
    return y


def _log(y: Tensor) -> Tensor:
    """log(1 + y); values below 0, which are never in training data with this transform, count as 0."""
    from keras import ops

    return ops.log(1.0 + ops.maximum(y, 0.0))  # ONNX has no log1p; float64 is exact enough without


def _unlog(z: Tensor) -> Tensor:
    from keras import ops

    return ops.maximum(ops.exp(z) - 1.0, 0.0)


TRANSFORMS: dict[str, Transform] = {
    "none": Transform(_same, _same, needs_nonnegative=False),
    "log": Transform(_log, _unlog, needs_nonnegative=True),
}


def _mean(z: Tensor, mask: Tensor) -> Tensor:
    """[B, 1] the mean of the observed values; 0 where there is none."""
    from keras import ops

    return ops.sum(z, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)


def observed(context: Tensor) -> tuple[Tensor, Tensor]:
    """Values, NaN = missing -> the same with 0 where one is missing, and their mask, float64."""
    from keras import ops

    missing = ops.isnan(context)
    return ops.where(missing, ops.zeros_like(context), context), ops.cast(ops.logical_not(missing), "float64")


def root_mean_square(deviation: Tensor, count: Tensor | float) -> Tensor:
    """[B, 1] root of the mean square of `count` deviations [B, L], whose squares neither vanish nor overflow."""
    from keras import ops

    largest = ops.max(ops.abs(deviation), axis=1, keepdims=True)
    safe = ops.where(largest > 0.0, largest, ops.ones_like(largest))
    share = deviation / safe
    return largest * ops.sqrt(ops.sum(share * share, axis=1, keepdims=True) / count)


def latest_value(z: Tensor, mask: Tensor) -> Tensor:
    """[B, 1] the latest observed value; 0 where there is none."""
    from keras import ops

    position = mask * np.arange(1.0, z.shape[1] + 1.0)
    last = ops.max(position, axis=1, keepdims=True)
    chosen = ops.cast(ops.equal(position, last), "float64") * mask
    return ops.sum(z * chosen, axis=1, keepdims=True)


def _season(z: Tensor, mask: Tensor, season_length: int) -> Tensor:
    """[B, 1] the mean of the last season; of the whole window where none of that season is observed."""
    from keras import ops

    last, observed = z[:, -season_length:], mask[:, -season_length:]
    return ops.where(ops.sum(observed, axis=1, keepdims=True) > 0.0, _mean(last, observed), _mean(z, mask))


# z and mask [B, L], season length -> centre [B, 1].
CENTERS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "mean": lambda z, mask, _: _mean(z, mask),
    "last": lambda z, mask, _: latest_value(z, mask),
    "season": _season,
}


@dataclass(frozen=True)
class WindowScaler:
    """Scales each window by its own centre and scale, and restores forecasts to the caller's units."""

    transform: str
    center: str
    season_length: int = 1
    origin: float = 0.0  # the smallest possible value, which a log counts from

    def _forward(self, y: Tensor) -> Tensor:
        row = TRANSFORMS[self.transform]
        return row.forward(y - self.origin if row.needs_nonnegative and self.origin else y)

    def _inverse(self, z: Tensor) -> Tensor:
        row = TRANSFORMS[self.transform]
        return row.inverse(z) + self.origin if row.needs_nonnegative and self.origin else row.inverse(z)

    def scale_context(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Context [B, L], NaN = missing -> values and mask [B, L], float32, 0 where missing; center and scale [B, 1], float64.

        The scale is the standard deviation. A constant window has scale 0, so its forecast is that constant; so has a window
        without an observed value, whose centre is 0.
        """
        from keras import ops

        known, mask = observed(context)
        z = self._forward(known) * mask
        # Sums are of differences from a value of the window: sums of values of 1e9 would lose the low digits.
        anchor = latest_value(z, mask)
        center = anchor + CENTERS[self.center]((z - anchor) * mask, mask, self.season_length)
        deviation = (z - anchor - _mean((z - anchor) * mask, mask)) * mask
        count = ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
        scale = root_mean_square(deviation, count)
        safe = ops.where(scale > 0.0, scale, ops.ones_like(scale))
        values = (z - center) * mask / safe
        return ops.cast(values, "float32"), ops.cast(mask, "float32"), center, scale

    def level(self, center: Tensor, scale: Tensor) -> Tensor:
        """[B, 1] float32 in [-1, 1]: how far the centre is from 0, c / (|c| + s); near 0 where values vary around 0."""
        from keras import ops

        size = ops.abs(center) + scale
        return ops.cast(center / ops.where(size > 0.0, size, ops.ones_like(size)), "float32")

    def normalise(self, y: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """Caller's units [B, P] -> the network's units [B, P]; NaN stays NaN."""
        from keras import ops

        safe = ops.where(scale > 0.0, scale, ops.ones_like(scale))
        return (self._forward(y) - center) / safe

    def restore(self, z: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """The network's units [B, P, K] -> caller's units [B, P, K], float64; center and scale are [B, 1]."""
        from keras import ops

        moved = ops.cast(z, "float64") * scale[:, :, None]
        if self.transform != "none":
            moved = ops.clip(moved, -MAX_LOG_DISTANCE, MAX_LOG_DISTANCE)
        # The centre comes first: Keras' `add` takes a second operand [B, 1, 1] for a bias [B] where B happens to equal H or K.
        return self._inverse(center[:, :, None] + moved)
