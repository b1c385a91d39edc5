"""Simple methods in the graph: one of them may be blended with the networks' forecasts, or serve alone.

Each reads a window's latest rows and is fitted to nothing else, so its errors on past windows are those of its use. Its values
are exact in float64: last values are chosen, not computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING, Smoothing, smooth
from forecaster.models.scaling import latest_value, observed
from forecaster.models.theta import THETA, theta

if TYPE_CHECKING:
    from forecaster.typing import Tensor

SEASONAL_NAIVE, NAIVE, DRIFT = "seasonal naive", "naive", "drift"
STATISTICAL = (EXPONENTIAL_SMOOTHING, THETA)  # that fit parameters to each window; the others repeat rows of it


def _repeated(context: Tensor, smoothing: Smoothing) -> Tensor:
    """[B, H] the latest observed value."""
    from keras import ops

    return ops.repeat(_latest(context), smoothing.horizon, axis=1)


def _latest(context: Tensor) -> Tensor:
    """[B, 1] the latest observed value; 0 where there is none."""
    known, mask = observed(context)
    return latest_value(known, mask)


def _last_season(context: Tensor, smoothing: Smoothing) -> Tensor:
    """[B, H] the latest observed value at the same place in the season, else the latest observed value."""
    from keras import ops

    m = smoothing.season_length
    known, mask = observed(context)
    season = ops.repeat(latest_value(known, mask), m, axis=1)
    for first in range(0, smoothing.length, m):
        season = ops.where(mask[:, first : first + m] > 0.0, known[:, first : first + m], season)
    return ops.concatenate([season] * -(-smoothing.horizon // m), axis=1)[:, : smoothing.horizon]


def _line(context: Tensor, smoothing: Smoothing) -> Tensor:
    """[B, H] the line through the first and the last observed value; flat where only one is observed."""
    from keras import ops

    known, mask = observed(context)
    rows = np.arange(1.0, smoothing.length + 1.0)
    last_row = ops.max(mask * rows, axis=1, keepdims=True)
    first_row = (smoothing.length + 1.0) - ops.max(mask * rows[::-1].copy(), axis=1, keepdims=True)
    at_first = ops.cast(ops.equal(mask * rows, first_row), "float64") * mask
    start = ops.sum(known * at_first, axis=1, keepdims=True)
    end = latest_value(known, mask)
    slope = (end - start) / ops.maximum(last_row - first_row, 1.0)
    ahead = (smoothing.length - last_row) + np.arange(1.0, smoothing.horizon + 1.0)  # NumPy first would ask for values
    return end + slope * ahead


# Context [B, length] in the caller's units, NaN = missing -> forecasts [B, H], float64.
SIMPLE_METHODS: dict[str, Callable[[Tensor, Smoothing], Tensor]] = {
    EXPONENTIAL_SMOOTHING: smooth,
    THETA: theta,
    SEASONAL_NAIVE: _last_season,
    NAIVE: _repeated,
    DRIFT: _line,
}


def simple_forecast(context: Tensor, smoothing: Smoothing) -> Tensor:
    """Context [B, length or more] in the caller's units, NaN = missing -> forecasts [B, H] of the method, float64."""
    return SIMPLE_METHODS[smoothing.method](context[:, -smoothing.length :], smoothing)
