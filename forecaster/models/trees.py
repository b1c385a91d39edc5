"""Gradient-boosted trees as a member: a recursive forecast of seasonal differences, in the graph.

The trees read the latest differences z from the season before (of hours, from the week before), in units of their mean size
s, and forecast the next one; it is fed back for the steps after it. Each difference is added to the value a season before it:

    z_t = (y_t - y_{t-m}) / s,    ẑ_{t+1} = f(z_t, z_{t-1}, …),    ŷ_{t+h} = ŷ_{t+h-m} + s ẑ_{t+h}

Every tree is stored as a perfect one of DEPTH levels, so that a level takes the same few operations for all trees. All is
float64: trees jump, and both runtimes must take the same side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.models.encoder import Recurrence, run_layer
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.network import Network
from forecaster.models.scaling import observed
from forecaster.models.simple_methods import SEASONAL_NAIVE, simple_forecast

if TYPE_CHECKING:
    from forecaster.models.settings import NetworkSettings
    from forecaster.typing import IntArray, Tensor

TREES = "trees"  # in place of a cell, in the settings of a member: `units` trees of `layers` levels
COUNT, DEPTH = 100, 6
SEASONS = 8  # that trees look back
WEEKS = {24: 168, 48: 336}  # above the season of a day
LONGER = {**WEEKS, 7: 364}  # lag of a season above the season: a week, a year of whole weeks
MIN_LAGS = 28  # that are read one by one


def difference(season_length: int, rows: int) -> int:
    """Rows between the values of a difference: the season or, where series of so many rows have four of them, the week."""
    week = WEEKS.get(season_length, 0)
    return week if 0 < 4 * week <= rows else season_length


def longest_lag(season_length: int, rows: int) -> int:
    """Rows that trees look back in series of so many rows: a longer season where there are two of them."""
    longer = LONGER.get(season_length, 0)
    return longer + 1 if 0 < 2 * longer <= rows else SEASONS * season_length


def lags_of(differenced: int, longest: int) -> IntArray:
    """The lags that trees read of such differences, ascending."""
    m = next((season for season, week in WEEKS.items() if week == differenced), differenced)
    longer = LONGER.get(m, 0)
    latest = range(1, max(m, MIN_LAGS) + 1)
    seasons = range(m, min(SEASONS * m, longest) + 1, m)
    around = [lag + step for lag in (2 * m, longer) for step in (-1, 0, 1) if 0 < lag + step <= longest]
    return np.array(sorted({*latest, *seasons, *around}))


class TreeMember(Network):
    """A member of an ensemble that is made of trees in place of a network.

    Its weights are feature and threshold of each inner node, the value of each leaf, the mean difference, and widths [H, Q].
    """

    def __init__(self, settings: NetworkSettings) -> None:
        import keras
        import tensorflow as tf

        self.settings = settings
        self.forest = _layer(settings)
        context = keras.Input((settings.context_length,), dtype="float64", name="context")
        self.model = keras.Model(context, self.forest(context))
        self._at_once = tf.function(self.forest, autograph=False, reduce_retracing=True)

    def own(self, inputs: Mapping[str, Tensor]) -> list[Tensor]:
        """The latest rows of a joint graph's context."""
        return [inputs["context"][:, -self.settings.context_length :]]

    def forecast(self, inputs: Sequence[Tensor], recur: Recurrence = run_layer) -> Tensor:  # noqa: ARG002 (there is none)
        """[B, H, 1 + Q] in the caller's units, float64, from a context [B, L], NaN = missing."""
        import keras

        (context,) = inputs
        return self.forest(context) if keras.utils.is_keras_tensor(context) else self._at_once(context)

    def portable(self) -> TreeMember:
        """The same trees: no operation of theirs needs a GPU."""
        clone = TreeMember(self.settings)
        clone.weights = self.weights
        return clone


def _layer(settings: NetworkSettings) -> Any:
    """The layer, made here, as Keras is imported late."""
    import keras
    from keras import ops

    m, horizon, levels = settings.season_length, settings.horizon, settings.layers  # m: rows of a difference
    longest = settings.context_length - m
    lags = lags_of(m, longest)
    rows = max(longest, horizon)  # of differences that are kept
    inner = 2**levels - 1
    trees = np.arange(settings.units, dtype=np.int32)

    class Forest(keras.layers.Layer):  # type: ignore[misc]
        """Context [B, L] -> [B, H, 1 + Q]."""

        def build(self, _shape: Any) -> None:
            count = settings.units
            self.feature = self._learnt((count * inner,), "int32")
            self.threshold = self._learnt((count * inner,), "float64")
            self.value = self._learnt((count * 2**levels,), "float64")
            self.mean = self._learnt((1,), "float64")
            self.width = self._learnt((horizon, len(settings.quantiles)), "float64")

        def _learnt(self, shape: tuple[int, ...], dtype: str) -> Any:
            return self.add_weight(shape=shape, dtype=dtype, initializer="zeros", trainable=False, autocast=False)

        def compute_output_shape(self, shape: Any) -> tuple[Any, ...]:
            return (shape[0], horizon, 1 + len(settings.quantiles))

        def call(self, context: Tensor) -> Tensor:
            changes, scale = differences(context, m)
            padding = ops.zeros_like(changes[:, :1])
            padded = [padding] * (rows - longest) + [changes]
            kept = ops.concatenate(padded, axis=1) if rows > longest else changes
            kept = ops.fori_loop(0, horizon, self._next, kept)
            level = simple_forecast(
                context, Smoothing(m, settings.context_length // m * m, m, False, 1.0, SEASONAL_NAIVE)
            )
            parts = []
            for first in range(0, horizon, m):
                part = kept[:, rows - horizon + first : rows - horizon + min(first + m, horizon)]
                level = level[:, : part.shape[1]] + part * scale
                parts.append(level)
            point = ops.concatenate(parts, axis=1)[:, :, None]
            return ops.concatenate([point, point + self.width * scale[:, :, None]], axis=2)

        def _next(self, _step: Any, kept: Tensor) -> Tensor:
            """The differences [B, rows] one step on, with the forecast of the next one."""
            read = ops.take(kept, rows - lags, axis=1)  # [B, F]
            one = ops.ones_like(kept[:, :1])
            row = ops.cast(ops.cumsum(one, axis=0) - one, "int32") * len(lags)  # where each row of `flat` begins
            flat = ops.reshape(read, (-1,))
            node = ops.cast(one * 0.0, "int32") + np.zeros_like(trees)  # [B, trees]
            for _ in range(levels):
                here = node + trees * inner
                value = ops.take(flat, row + ops.take(self.feature, here))
                node = 2 * node + 1 + ops.cast(value > ops.take(self.threshold, here), "int32")
            leaf = node - inner + trees * (inner + 1)
            found = ops.sum(ops.take(self.value, leaf), axis=1, keepdims=True) + self.mean
            return ops.concatenate([kept[:, 1:], found], axis=1)

    return Forest(dtype="float64", name=TREES)


def differences(context: Tensor, season_length: int) -> tuple[Tensor, Tensor]:
    """Context [B, L], NaN = missing -> seasonal differences [B, L - m], 0 where one is missing, over their mean size [B, 1]."""
    from keras import ops

    m = season_length
    known, mask = observed(context[:, m:] - context[:, :-m])
    count = ops.sum(mask, axis=1, keepdims=True)
    scale = ops.sum(ops.abs(known), axis=1, keepdims=True) / ops.maximum(count, 1.0)
    return known / ops.where(scale > 0.0, scale, ops.ones_like(scale)), scale
