"""What happens to a window before the network reads it and after it answers: transform, centre, scale; and back.

Everything here is graph operations in float64, since levels of 1e9 that move by 1 would drown in float32. Only the centred
and scaled values are cast down for the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import Tensor


MAX_LOG_DISTANCE = 20.0  # of a log forecast from its window's centre: e^±20 is absurd already, more could overflow


@dataclass(frozen=True)
class Transform:
    """A row of TRANSFORMS: `forward` on the caller's units, `inverse` back. `needs` says which data it is for."""

    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    needs_nonnegative: bool


def _same(y: Tensor) -> Tensor:
    return y


def _log(y: Tensor) -> Tensor:
    """log(1 + y); values under zero, which training data of this transform never holds, count as zero."""
    from keras import ops

    return ops.log(1.0 + ops.maximum(y, 0.0))  # ONNX has no log1p; float64 makes up for it


def _unlog(z: Tensor) -> Tensor:
    from keras import ops

    return ops.maximum(ops.exp(z) - 1.0, 0.0)


TRANSFORMS: dict[str, Transform] = {
    "none": Transform(_same, _same, needs_nonnegative=False),
    "log": Transform(_log, _unlog, needs_nonnegative=True),
}


def _mean(z: Tensor, mask: Tensor) -> Tensor:
    from keras import ops

    return ops.sum(z, axis=1, keepdims=True) / ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)


def _last(z: Tensor, mask: Tensor) -> Tensor:
    """The newest observed value; 0 where none is."""
    from keras import ops

    position = mask * np.arange(1.0, z.shape[1] + 1.0)
    newest = ops.max(position, axis=1, keepdims=True)
    chosen = ops.cast(ops.equal(position, newest), "float64") * mask
    return ops.sum(z * chosen, axis=1, keepdims=True)


def _season(z: Tensor, mask: Tensor, season_length: int) -> Tensor:
    """The mean of the last season, where something of it is observed; else of the whole window."""
    from keras import ops

    newest, seen = z[:, -season_length:], mask[:, -season_length:]
    return ops.where(ops.sum(seen, axis=1, keepdims=True) > 0.0, _mean(newest, seen), _mean(z, mask))


# Each is given z and mask [B, L] and the season length, and answers [B, 1].
CENTERS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "mean": lambda z, mask, _: _mean(z, mask),
    "last": lambda z, mask, _: _last(z, mask),
    "season": _season,
}


@dataclass(frozen=True)
class WindowScaler:
    """Brings windows to centre 0 and scale 1, each by itself, and forecasts back to the caller's units."""

    transform: str
    center: str
    season_length: int = 1
    origin: float = 0.0  # the smallest possible value: what transforms of values from 0 up count from

    def _forward(self, y: Tensor) -> Tensor:
        row = TRANSFORMS[self.transform]
        return row.forward(y - self.origin if row.needs_nonnegative and self.origin else y)

    def _inverse(self, z: Tensor) -> Tensor:
        row = TRANSFORMS[self.transform]
        return row.inverse(z) + self.origin if row.needs_nonnegative and self.origin else row.inverse(z)

    def locate(self, context: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Context [B, L] with NaN -> values [B, L] float32 (0 where missing), mask [B, L] float32, center and scale [B, 1].

        A window with nothing observed has centre 0 and scale 1; a constant one has scale 0, so its forecast is that constant.
        """
        from keras import ops

        missing = ops.isnan(context)
        mask = ops.cast(ops.logical_not(missing), "float64")
        z = self._forward(ops.where(missing, ops.zeros_like(context), context))
        z = z * mask
        # The mean is taken about a value of the window: sums over 1e9-sized levels would cost the low digits.
        anchor = _last(z, mask)
        center = anchor + CENTERS[self.center]((z - anchor) * mask, mask, self.season_length)
        deviation = (z - anchor - _mean((z - anchor) * mask, mask)) * mask
        count = ops.maximum(ops.sum(mask, axis=1, keepdims=True), 1.0)
        scale = ops.sqrt(ops.sum(deviation * deviation, axis=1, keepdims=True) / count)
        safe = ops.where(scale > 0.0, scale, ops.ones_like(scale))
        values = (z - center) * mask / safe
        return ops.cast(values, "float32"), ops.cast(mask, "float32"), center, scale

    def normalise(self, y: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """Caller's units [B, P] -> the network's units, NaN kept."""
        from keras import ops

        safe = ops.where(scale > 0.0, scale, ops.ones_like(scale))
        return (self._forward(y) - center) / safe

    def restore(self, z: Tensor, center: Tensor, scale: Tensor) -> Tensor:
        """The network's units [B, P, K] -> caller's units, float64; center and scale are [B, 1]."""
        from keras import ops

        moved = ops.cast(z, "float64") * scale[:, :, None]
        if self.transform != "none":
            moved = ops.clip(moved, -MAX_LOG_DISTANCE, MAX_LOG_DISTANCE)
        # The centre stands first: Keras' `add` takes a second operand [B, 1, 1] for a bias [B] where B happens to equal H or K.
        return self._inverse(center[:, :, None] + moved)
