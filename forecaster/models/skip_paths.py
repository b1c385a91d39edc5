"""Paths past the encoder that are added to the head's forecast: a linear one, and one over each step's calendar features."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import Tensor


HIDDEN = 32


class LinearPath:
    """Context -> horizon by one matrix, alongside the network (Zeng et al. 2023, DLinear). It starts at zero."""

    def __init__(self, horizon: int) -> None:
        import keras

        self.dense = keras.layers.Dense(horizon, kernel_initializer="zeros")

    def __call__(self, values: Tensor) -> Tensor:
        """Scaled context [B, L] -> [B, H, 1], in the network's units."""
        return self.dense(values)[:, :, None]


class KnownPath:
    """A small network that is run for each step ahead: on its calendar features, its position and the encoder's output.

    relu(A known + B position + C last) W + b + D known; D starts at zero.
    """

    def __init__(self, horizon: int, outputs: int, seed: Callable[[], int]) -> None:
        import keras

        def dense(units: int, *, bias: bool = True) -> Any:
            glorot = keras.initializers.GlorotUniform(seed=seed())
            return keras.layers.Dense(units, use_bias=bias, kernel_initializer=glorot)

        self.horizon = horizon
        self.step, self.state, self.out = dense(HIDDEN), dense(HIDDEN, bias=False), dense(outputs)
        self.place = dense(HIDDEN, bias=False)
        self.straight = keras.layers.Dense(outputs, use_bias=False, kernel_initializer="zeros")

    def __call__(self, known: Tensor, last: Tensor) -> Tensor:
        """Known [B, H, F] and the encoder's last output [B, D] -> [B, H, K]."""
        from keras import ops

        # The position of a step does not depend on the window: one product for the whole batch.
        place = self.place(ops.zeros_like(known[:1, :, :1]) + np.eye(self.horizon, dtype=np.float32))
        hidden = place + (self.state(last)[:, None] + self.step(known))
        return self.out(ops.relu(hidden)) + self.straight(known)
