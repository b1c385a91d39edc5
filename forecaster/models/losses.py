"""What training minimises: a base loss of the point forecast, plus pinball losses where there are quantiles.

`error_scale` says in which units errors are measured:

* `series`: caller's units over the series' in-sample mean absolute seasonal difference, the denominator of
  MASE (Hyndman & Koehler 2006), so that every series weighs alike;
* `window`: the network's own units, after transform, centre and scale;
* `transform`: after the transform only; with a log these are relative errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecaster.typing import Tensor


ERROR_SCALES = ("series", "window", "transform")


def _mae(error: Tensor) -> Tensor:
    from keras import ops

    return ops.abs(error)


def _mse(error: Tensor) -> Tensor:
    return error * error


def _huber(error: Tensor) -> Tensor:
    """Huber 1964, δ = 1: squares below 1, straight lines above."""
    from keras import ops

    size = ops.abs(error)
    return ops.where(size <= 1.0, 0.5 * size * size, size - 0.5)


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {"mae": _mae, "mse": _mse, "huber": _huber}


def pinball(error: Tensor, level: float) -> Tensor:
    """Koenker & Bassett 1978: `level` of the weight where the truth is above the forecast, 1 - level where it is below.

    error = truth - forecast.
    """
    from keras import ops

    return ops.maximum(level * error, (level - 1.0) * error)


def mean_loss(errors: Tensor, observed: Tensor, loss: str, quantiles: tuple[float, ...]) -> Tensor:
    """errors [B, P, K] = truth - forecast, 0 where not observed; observed [B, P] 0 or 1 -> scalar over what was observed."""
    from keras import ops

    each = LOSSES[loss](errors[:, :, 0])
    if quantiles:
        losses = [pinball(errors[:, :, 1 + i], level) for i, level in enumerate(quantiles)]
        each = each + sum(losses[1:], losses[0]) / len(losses)
    return ops.sum(each * observed) / ops.maximum(ops.sum(observed), 1.0)
