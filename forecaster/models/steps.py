"""The compiled steps of a fit: windows gathered inside the graph, several steps a call."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from forecaster.models.distributions import DISTRIBUTIONS
from forecaster.models.encoder import run_layer
from forecaster.models.losses import mean_loss
from forecaster.models.recurrence import lean_layer

if TYPE_CHECKING:
    from forecaster.models.fit import FitSettings, Task
    from forecaster.models.network import Network

Tensor: TypeAlias = Any  # a TensorFlow tensor


def _constant(rate: float, steps: int) -> Any:
    return rate


def _cosine(rate: float, steps: int) -> Any:
    """Loshchilov & Hutter 2017, without restarts: from `rate` to 0 over all steps."""
    import keras

    return keras.optimizers.schedules.CosineDecay(rate, steps)


SCHEDULES: dict[str, Callable[[float, int], Any]] = {"constant": _constant, "cosine": _cosine}


class Trainer:
    """The compiled steps of one network on one task. `traces` counts how often the training step was traced."""

    def __init__(
        self, network: Network, task: Task, settings: FitSettings, total_steps: int, *, parts: int = 1
    ) -> None:
        import keras
        import tensorflow as tf

        on_gpu = bool(tf.config.get_visible_devices("GPU"))  # which has kernels of its own for Keras' layers
        recur = run_layer if on_gpu else lean_layer
        self.network, self.settings = network, settings
        self.parts = 1 if on_gpu else parts
        self.traces = 0
        # The kernels of a GPU are called one by one: a compiler of its own would have to be installed.
        self.fetch = task.rows.gather_all if on_gpu else task.rows.compiled
        self.seen = task.rows.within(task.validation or task.training)
        self.scale = tf.constant(task.scale, tf.float64)
        self.model = network.training_model(recur)
        self.horizon_model = network.horizon_model(recur) if task.validation else self.model
        self.variables = network.model.trainable_variables
        self.optimizer = keras.optimizers.Adam(
            SCHEDULES[settings.schedule](settings.learning_rate, total_steps),
            global_clipnorm=settings.clip_norm or None,
        )
        self.optimizer.build(self.variables)
        # Nothing here is for autograph to convert, which writes a file of its own for each function that it converts.
        pairs = tf.TensorSpec((None, None), tf.int64)
        self.steps = tf.function(self._steps, input_signature=(pairs, pairs), autograph=False)
        windows = tf.TensorSpec((None,), tf.int64)
        self.validate = tf.function(self._validate, input_signature=(windows, windows), autograph=False)

    def _steps(self, series: Tensor, cutoff: Tensor) -> Tensor:
        """Index pairs [k, B]: k steps, one after the other -> mean loss of each [k]."""
        import tensorflow as tf

        self.traces += 1
        count = tf.shape(series)[0]

        def step(i: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
            return i + 1, losses.write(i, self._step(series[i], cutoff[i]))

        losses = tf.TensorArray(tf.float32, count)
        return tf.while_loop(lambda i, _: i < count, step, (0, losses), parallel_iterations=1)[1].stack()

    def _step(self, series: Tensor, cutoff: Tensor) -> Tensor:
        """One step on a batch, cut into parts that are worked on at once -> its mean loss."""
        import tensorflow as tf

        count = tf.shape(series)[0]
        edges = [count * i // self.parts for i in range(self.parts + 1)]
        with tf.GradientTape() as tape:
            sums = [self._part(series[i:j], cutoff[i:j]) for i, j in itertools.pairwise(edges)]
            loss = tf.add_n([part for part, _ in sums]) / tf.maximum(tf.add_n([steps for _, steps in sums]), 1.0)
        gradients = tape.gradient(loss, self.variables)
        self.optimizer.apply(gradients, self.variables)
        return loss

    def _part(self, series: Tensor, cutoff: Tensor) -> tuple[Tensor, Tensor]:
        """Windows [B] -> the sum of their losses and how many steps it is over."""
        import tensorflow as tf

        length = self.network.settings.context_length
        first, last = self.network.head.target_span()
        window, beside = self.fetch(series, cutoff, length, self.network.reach, self.network.settings.horizon)
        z, center, scale = self.model([window[:, :length], *beside], training=True)
        return self._loss(z, window[:, first:last], center, scale, tf.gather(self.scale, series))

    def _loss(
        self, z: Tensor, truth: Tensor, center: Tensor, scale: Tensor, yardstick: Tensor
    ) -> tuple[Tensor, Tensor]:
        """z [B, P, K] against truth [B, P] in caller's units, NaN = not observed -> sum of losses, steps it is over."""
        import tensorflow as tf

        observed = ~tf.math.is_nan(truth)
        truth = tf.where(observed, truth, 0.0)
        locator = self.network.locator
        if self.network.settings.distribution:
            return self._likelihood(z, truth, observed, center, scale)
        if self.settings.error_scale == "series":
            forecast = locator.restore(z, center, scale)
            errors = (truth[:, :, None] - forecast) / yardstick[:, None, None]
        else:
            # A window without spread cannot be moved by the network: it teaches nothing.
            observed &= scale > 0.0
            errors = locator.normalise(truth, center, scale)[:, :, None] - tf.cast(z, tf.float64)
            if self.settings.error_scale == "transform":
                errors *= scale[:, :, None]
        errors = tf.cast(tf.where(observed[:, :, None], errors, 0.0), tf.float32)
        weight = tf.cast(observed, tf.float32)
        steps = tf.reduce_sum(weight)
        return mean_loss(errors, weight, self.settings.loss, self.network.settings.quantiles) * steps, steps

    def _likelihood(
        self, z: Tensor, truth: Tensor, observed: Tensor, center: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `_loss`: negative log likelihoods of truth [B, P] under the distributions z [B, P, K]."""
        import tensorflow as tf

        row = DISTRIBUTIONS[self.network.settings.distribution]
        place = row.place(self.network.locator, center, scale)
        observed &= place.scale > 0.0  # a window that the network cannot move teaches nothing
        each = tf.where(observed, row.loss(z, truth, place), 0.0)
        return tf.cast(tf.reduce_sum(each), tf.float32), tf.reduce_sum(tf.cast(observed, tf.float32))

    def _validate(self, series: Tensor, cutoff: Tensor) -> tuple[Tensor, ...]:
        """Windows [W], forecast as in use -> sum of losses, steps it is over, sums of windows' MAE over the yardstick and of
        their symmetric relative errors, windows with steps."""
        import tensorflow as tf

        length, horizon = self.network.settings.context_length, self.network.settings.horizon
        window, beside = self.seen.gather_all(series, cutoff, length, horizon, horizon)
        truth = window[:, length:]
        z, center, scale = self.horizon_model([window[:, :length], *beside], training=False)
        yardstick = tf.gather(self.scale, series)
        loss, learnt = self._loss(z, truth, center, scale, yardstick)
        observed = ~tf.math.is_nan(truth)
        steps = tf.reduce_sum(tf.cast(observed, tf.float64), axis=1)
        misses = truth - self.network.answer(z, center, scale, ())[:, :, 0]
        error = tf.reduce_sum(tf.where(observed, tf.abs(misses), 0.0), axis=1) / tf.maximum(steps, 1.0) / yardstick
        windows = tf.reduce_sum(tf.cast(steps > 0.0, tf.float64))
        size = tf.abs(truth) + tf.abs(truth - misses)
        share = tf.where(observed & (size > 0.0), 2.0 * tf.abs(misses) / size, 0.0)
        relative = tf.reduce_sum(tf.reduce_sum(share, axis=1) / tf.maximum(steps, 1.0))
        return tf.cast(loss, tf.float64), tf.cast(learnt, tf.float64), tf.reduce_sum(error), relative, windows
