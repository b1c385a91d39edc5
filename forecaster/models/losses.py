"""The training loss: a base loss of the point forecast, plus the mean pinball loss of the quantiles, where there are any.

`error_scale` is the unit of the errors:

* `series`: the series' seasonal scale, its in-sample mean absolute seasonal difference and the denominator of MASE
  (Hyndman & Koehler 2006), so that every series has the same weight;
* `window`: the network's own unit, after transform, centre and scale;
* `transform`: the unit after the transform alone; with a log these are relative errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecaster.typing import Tensor


ERROR_SCALES = ("series", "window", "transform")


def _mae(error: Tensor) -> Tensor:
    """|e|; its minimum is at the median."""
    from keras import ops

    return ops.abs(error)


def _mse(error: Tensor) -> Tensor:
    """e²; its minimum is at the mean."""
    return error * error


def _huber(error: Tensor) -> Tensor:
    """Huber 1964, δ = 1: ½ e² where |e| <= 1, |e| - ½ above."""
    from keras import ops

    size = ops.abs(error)
    return ops.where(size <= 1.0, 0.5 * size * size, size - 0.5)


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {"mae": _mae, "mse": _mse, "huber": _huber}


def pinball(error: Tensor, level: float) -> Tensor:
    """Quantile loss max(q e, (q - 1) e) of error e = target - forecast at level q; source: Koenker & Bassett 1978."""
    from keras import ops

    return ops.maximum(level * error, (level - 1.0) * error)


def point_loss(name: str) -> Callable[[Tensor], Tensor]:
    """The loss of an error: a row of LOSSES, or that of the quantile that `pinball:LEVEL` names."""
    level = pinball_level(name)
    return LOSSES[name] if level is None else lambda error: pinball(error, level)


def pinball_level(name: str) -> float | None:
    """The level in `pinball:LEVEL`; None for another loss."""
    return float(name.partition(":")[2]) if name.startswith("pinball:") else None


def mean_loss(errors: Tensor, observed: Tensor, loss: str, quantiles: tuple[float, ...]) -> Tensor:
    """Scalar mean over observed steps of errors [B, P, K] = target - forecast, 0 where not observed; observed [B, P] 0 or 1."""
    from keras import ops

    each = point_loss(loss)(errors[:, :, 0])
    if quantiles:
        losses = [pinball(errors[:, :, 1 + i], level) for i, level in enumerate(quantiles)]
        each = each + sum(losses[1:], losses[0]) / len(losses)
    return ops.sum(each * observed) / ops.maximum(ops.sum(observed), 1.0)
