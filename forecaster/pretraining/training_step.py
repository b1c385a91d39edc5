"""The compiled training step: MASE-like errors of the point forecast and pinball losses of the quantiles, on windows as given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.pretraining.network_shapes import LEVELS
from forecaster.training.fast_recurrence import fast_layer

if TYPE_CHECKING:
    from forecaster.models.encoder import EncoderOutput
    from forecaster.models.network import Network
    from forecaster.typing import FloatArray, Tensor

MAX_ERROR = 15.0  # in seasonal differences: beyond it an error has no gradient
LEAST_UNIT = 0.05  # of a window's standard deviation, for windows that repeat themselves exactly
AVERAGE = 0.999  # decay of the weights' moving average


class Steps:
    """A network, its optimizer and the moving average of its weights, which is what is stored."""

    def __init__(self, network: Network, later: int, rate: float = 2e-3) -> None:
        import keras
        import tensorflow as tf

        self.network, self.later = network, later
        self.encoder = network.encoder.with_recurrence(fast_layer)
        self.variables = network.model.trainable_variables
        self.optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-4, global_clipnorm=1.0)
        self.optimizer.build(self.variables)
        self.average = [tf.Variable(np.asarray(variable)) for variable in self.variables]
        settings = network.settings
        span = settings.context_length + later * settings.segment + settings.horizon
        signature = [tf.TensorSpec((None, None, span), tf.float32)]
        self.run = tf.function(self._run, input_signature=signature, autograph=False)

    def _run(self, windows: Tensor) -> Tensor:
        """Windows [k, B, span] in k steps -> the loss of each [k]."""
        import tensorflow as tf

        count = tf.shape(windows)[0]

        def step(i: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
            return i + 1, losses.write(i, self._step(windows[i]))

        losses = tf.TensorArray(tf.float32, count)
        return tf.while_loop(lambda i, _: i < count, step, (0, losses), parallel_iterations=1)[1].stack()

    def _step(self, window: Tensor) -> Tensor:
        import tensorflow as tf

        with tf.GradientTape() as tape:
            loss = self.loss(window)
        self.optimizer.apply(tape.gradient(loss, self.variables), self.variables)
        done = tf.cast(self.optimizer.iterations, tf.float32)
        keep = tf.minimum(AVERAGE, (1.0 + done) / (10.0 + done))
        for mean, variable in zip(self.average, self.variables, strict=True):
            mean.assign(mean * keep + variable.value * (1.0 - keep))
        return loss

    def loss(self, window: Tensor) -> Tensor:
        """Scalar loss of windows [B, L + E·S + H], NaN = missing, in units of the context's mean absolute seasonal difference.

        The network forecasts after the context, and after each of the E segments after it, from the same scaled values: one
        pass of the encoder serves all of these origins.
        """
        import tensorflow as tf

        length, horizon = self.network.settings.context_length, self.network.settings.horizon
        segment = self.network.settings.segment
        window = tf.cast(window, tf.float64)
        values, mask, center, scale = self.network.scaler.scale_context(window[:, :length])
        further = self.network.scaler.normalise(window[:, length:-horizon], center, scale)
        seen = ~tf.math.is_nan(further)
        values = tf.concat([values, tf.cast(tf.where(seen, further, 0.0), tf.float32)], axis=1)
        mask = tf.concat([mask, tf.cast(seen, tf.float32)], axis=1)
        level = tf.repeat(self.network.scaler.level(center, scale)[:, None], values.shape[1], axis=1)
        read = self.encoder.read(values, mask, level)
        unit = _seasonal(window[:, :length], self.network.settings.season_length, scale)
        share = tf.cast(scale / unit, tf.float32)[:, :, None]
        truth = (window[:, length:] - center) / unit
        usable = ~tf.math.is_nan(truth) & (scale > 0.0)
        truth = tf.cast(tf.where(usable, truth, 0.0), tf.float32)
        total = count = 0.0
        for origin in range(0, self.later * segment + 1, segment):
            z = self._after(read, values, origin) * share
            loss, seen = _errors(truth[:, origin : origin + horizon, None] - z, usable[:, origin : origin + horizon])
            total, count = total + loss, count + seen
        return total / tf.maximum(count, 1.0)

    def _after(self, read: EncoderOutput, values: Tensor, origin: int) -> Tensor:
        """[B, H, K] forecasts that begin `origin` rows after the context."""
        settings = self.network.settings
        step = (settings.context_length + origin) // settings.segment
        here = replace(read, inputs=read.inputs[:, :step], last=read.sequence[:, step - 1])
        z = self.network.head.forecast(self.encoder, here)
        if self.network.linear:
            z = self.network.linear(values[:, origin : origin + settings.context_length]) + z
        return z

    def begin(self, weights: list[FloatArray]) -> None:
        """Take over the weights of another network, layer by layer, where the shapes are the same."""
        for variable, mean, value in zip(self.variables, self.average, weights, strict=True):
            if tuple(variable.shape) == value.shape:
                variable.assign(value)
                mean.assign(value)

    def state(self) -> dict[str, list[Any]]:
        """Everything that training goes on from."""
        return {
            "weights": [np.asarray(one) for one in self.variables],
            "average": [one.numpy() for one in self.average],
            "optimizer": [np.asarray(one) for one in self.optimizer.variables],
        }

    def restore(self, state: dict[str, list[Any]]) -> None:
        """Go on from a state."""
        for name, variables in (("weights", self.variables), ("average", self.average)):
            for variable, value in zip(variables, state[name], strict=True):
                variable.assign(value)
        for variable, value in zip(self.optimizer.variables, state["optimizer"], strict=True):
            variable.assign(value)


def _errors(errors: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
    """Sum over observed steps [B, H] of the losses of errors [B, H, K], and the number of these steps."""
    import tensorflow as tf

    errors = tf.clip_by_value(errors, -MAX_ERROR, MAX_ERROR)
    levels = np.array([0.5, *LEVELS], np.float32)
    weights = np.array([2.0, *[1.0 / len(LEVELS)] * len(LEVELS)], np.float32)
    each = tf.reduce_sum(tf.maximum(levels * errors, (levels - 1.0) * errors) * weights, axis=2)
    seen = tf.cast(observed, tf.float32)
    return tf.reduce_sum(each * seen), tf.reduce_sum(seen)


def _seasonal(context: Tensor, season_length: int, scale: Tensor) -> Tensor:
    """[B, 1] mean absolute seasonal difference of contexts [B, L], at least a part of their scale."""
    import tensorflow as tf

    difference = tf.abs(context[:, season_length:] - context[:, :-season_length])
    seen = ~tf.math.is_nan(difference)
    total = tf.reduce_sum(tf.where(seen, difference, 0.0), axis=1, keepdims=True)
    count = tf.reduce_sum(tf.cast(seen, tf.float64), axis=1, keepdims=True)
    return tf.maximum(total / tf.maximum(count, 1.0), LEAST_UNIT * tf.where(scale > 0.0, scale, 1.0))
