"""Learning-rate schedules: the share of the first rate at each step of a fit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecaster.typing import Tensor


def _constant(share: Tensor) -> Tensor:
    """The same rate at every step."""
    from keras import ops

    return ops.ones_like(share)


def _cosine(share: Tensor) -> Tensor:
    """Loshchilov & Hutter 2017, without restarts: from the whole rate to 0 over all steps."""
    from keras import ops

    return 0.5 * (1.0 + ops.cos(math.pi * share))


# Share of all steps that are done -> share of the learning rate.
SCHEDULES: dict[str, Callable[[Tensor], Tensor]] = {"constant": _constant, "cosine": _cosine}


def learning_rate(schedule: str, rate: Tensor, total_steps: Tensor) -> Any:
    """A row of SCHEDULES for Keras' optimizers. Both are variables, so that fits of other lengths need no compiling."""
    import keras
    import tensorflow as tf

    class Schedule(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
        def __call__(self, step: Tensor) -> Tensor:
            share = tf.minimum(tf.cast(step, tf.float32) / total_steps, 1.0)
            return rate * SCHEDULES[schedule](share)

    return Schedule()
