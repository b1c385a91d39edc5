"""Compiled training and validation steps. Windows are gathered inside the graph, and one call takes several steps."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from forecaster.engines.worker_group import NO_OTHERS
from forecaster.models.distributions import DISTRIBUTIONS
from forecaster.models.encoder import run_layer
from forecaster.models.losses import mean_loss
from forecaster.models.optimizers import OPTIMIZERS
from forecaster.models.settings import FitSettings
from forecaster.training.fast_decoder import fast_decode
from forecaster.training.fast_recurrence import fast_layer
from forecaster.training.gather import SeriesBounds
from forecaster.training.joint_steps import mean_of, own_edges, own_steps, share, skip_masks, steps_in_loss
from forecaster.training.learning_rate import learning_rate
from forecaster.training.precision import FLOAT32, layers_in, policy_of, scaled, with_loss_scale
from forecaster.training.truncation import truncated

if TYPE_CHECKING:
    from forecaster.engines.worker_group import Channel
    from forecaster.models.network import Network, TakenOut
    from forecaster.training.fit_types import Task
    from forecaster.typing import IntArray, Tensor


STEPS_PER_CALL = 10  # enough to hide the cost of a call, few enough for Ctrl-C and the time budget to take effect soon
MAX_IDLE = 6  # trainers kept for later fits: those of a stage, and some of the stage before


# Fit settings that no compiled step reads: fits that differ in these alone share a trainer.
UNCOMPILED: dict[str, Any] = {
    "epochs": 0,
    "batch_size": 0,
    "steps_per_epoch": 0,
    "learning_rate": 0.0,  # a variable, as is the number of all steps
    "patience": 0,
    "seed": 0,
    "time_budget": None,
    "stop_after": None,
    "kept": 0.0,
}


class TaskTensors(NamedTuple):
    """A task's tensors that the graph reads."""

    bounds: SeriesBounds
    scale: Tensor  # [N] seasonal scale of each series
    days: Tensor  # [R, 2] factor and summand of special days; empty where no network takes these out


class ValidationSums(NamedTuple):
    """Sums over validation windows that were forecast as in use; float64 scalars."""

    loss: Tensor
    steps: Tensor  # number of steps in the loss
    scaled: Tensor  # of each window's MAE over the seasonal scale
    relative: Tensor  # of each window's symmetric relative error
    windows: Tensor  # number of windows with an observed step


class Trainer:
    """The compiled steps of one network on one task. `traces` counts how often the training step was traced.

    Several `devices` (default: all GPUs) take a part of every batch each, and so does each worker of the channel.
    """

    def __init__(
        self,
        network: Network,
        task: Task,
        settings: FitSettings,
        total_steps: int,
        *,
        parts: int = 1,
        channel: Channel = NO_OTHERS,
        devices: Sequence[str] | None = None,
    ) -> None:
        import tensorflow as tf

        on_gpu = _on_gpu()  # where Keras' layers use cuDNN
        self.recur = run_layer if on_gpu else fast_layer  # validation goes back no step
        self.policy = policy_of(settings.precision, on_gpu=on_gpu)
        self.network, self.settings, self.channel = network, settings, channel
        gpus = [one.name for one in tf.config.list_logical_devices("GPU")] if on_gpu else []
        self.devices = gpus if devices is None else devices
        self.parts = len(self.devices) or parts
        self.traces = 0
        self.rows = task.source.rows
        # On a GPU the gather is not compiled: XLA would need a compiler that is not installed with TensorFlow.
        self.fetch = self.rows.gather_all if on_gpu else self.rows.compiled
        self.rate = tf.Variable(settings.learning_rate, trainable=False, dtype=tf.float32)
        self.total_steps = tf.Variable(total_steps, trainable=False, dtype=tf.float32)
        self.key = tf.Variable(channel.key, trainable=False, dtype=tf.int32) if channel.count > 1 else None
        self.forced = any(settings.teacher_forcing)
        recur, decode = self.recur, None if on_gpu else fast_decode  # compiled, as the gather
        if self.policy != FLOAT32:  # the hand-derived loops compute in float32
            recur, decode = run_layer, None
        with layers_in(self.policy):
            self.model = network.training_model(truncated(recur, settings.truncate), decode, forced=self.forced)
        self.horizon_model: Any = None  # made once there are validation windows
        self.served = network  # in float32
        self.variables = network.model.trainable_variables
        self.masks = [one for one in network.model.non_trainable_variables if one.path.endswith("seed_generator_state")]
        rate = learning_rate(settings.schedule, self.rate, self.total_steps)
        self.optimizer = with_loss_scale(OPTIMIZERS[settings.optimizer].make(settings, rate), self.policy)
        self.optimizer.build(self.variables)
        self.first = [np.asarray(variable) for variable in self.optimizer.variables]
        # Nothing here needs autograph, which would write a file for each function that it converts.
        pairs, each = tf.TensorSpec((None, None), tf.int64), tf.TensorSpec((None,), tf.int64)
        numbers = tf.TensorSpec((None,), tf.float64), tf.TensorSpec((None, 2), tf.float64)
        read = TaskTensors(SeriesBounds(each, each), *numbers)
        self._run = tf.function(self._steps, input_signature=(read, pairs, pairs), autograph=False)
        self._validation_sums = tf.function(self._validate, input_signature=(read, each, each), autograph=False)
        self._read(task)

    def _read(self, task: Task) -> None:
        """Read this task's rows from now on."""
        import tensorflow as tf

        validation, scale = task.validation or task.training, tf.constant(task.scale, tf.float64)
        days = tf.constant(np.empty((0, 2)) if task.days is None else task.days, tf.float64)
        self.training, self.validation = (
            TaskTensors(SeriesBounds(tf.constant(windows.start), tf.constant(windows.end)), scale, days)
            for windows in (task.training, validation)
        )
        if task.validation and not self.horizon_model:
            from forecaster.models.network import Network

            with layers_in(FLOAT32):
                if self.policy != FLOAT32:
                    self.served = Network(self.network.settings, 0)
                self.horizon_model = self.served.horizon_model(self.recur)

    def restart(
        self, network: Network, task: Task, rate: float, total_steps: int, channel: Channel = NO_OTHERS
    ) -> None:
        """Reset to the weights and seeds of another network with the same settings, and to a task on the same rows.

        The learning rate begins with `rate`, on its schedule of `total_steps`.
        """
        self.rate.assign(rate)
        self.total_steps.assign(total_steps)
        for mine, theirs in zip(self.network.model.variables, network.model.variables, strict=True):
            mine.assign(theirs)
        for variable, value in zip(self.optimizer.variables, self.first, strict=True):
            variable.assign(value)
        self._read(task)
        self.channel = channel
        if self.key is not None:
            self.key.assign(channel.key)
            skip_masks(self.masks, self.parts * channel.index)

    def steps(self, series: IntArray, cutoff: IntArray) -> Tensor:
        """k steps in turn, on the windows of index pairs [k, B] -> mean loss of each step [k]."""
        with self.channel.guarded():
            return self._run(self.training, series, cutoff)

    def validate(self, series: IntArray, cutoff: IntArray) -> ValidationSums:
        """Index pairs of windows [W], forecast as in use -> sums over the windows."""
        if self.served is not self.network:
            for mine, theirs in zip(self.served.model.variables, self.network.model.variables, strict=True):
                mine.assign(theirs)
        sums: ValidationSums = self._validation_sums(self.validation, series, cutoff)
        return sums

    def _steps(self, read: TaskTensors, series: Tensor, cutoff: Tensor) -> Tensor:
        import tensorflow as tf

        self.traces += 1
        count = tf.shape(series)[0]
        joint = self.key is not None or len(self.devices) > 1
        all_steps = self._count(read, series, cutoff) if joint else None

        def step(i: Tensor, losses: Tensor) -> tuple[Tensor, Tensor]:
            if all_steps is not None:
                return i + 1, losses.write(i, self._joint_step(read, series[i], cutoff[i], all_steps[i]))
            return i + 1, losses.write(i, self._step(read, series[i], cutoff[i]))

        losses = tf.TensorArray(tf.float32, count)
        return tf.while_loop(lambda i, _: i < count, step, (0, losses), parallel_iterations=1)[1].stack()

    def _step(self, read: TaskTensors, series: Tensor, cutoff: Tensor) -> Tensor:
        """One step on a batch, cut into parts that run in parallel -> its mean loss."""
        import tensorflow as tf

        count = tf.shape(series)[0]
        edges = [count * i // self.parts for i in range(self.parts + 1)]
        with tf.GradientTape() as tape:
            sums = [self._part(read, series[i:j], cutoff[i:j]) for i, j in itertools.pairwise(edges)]
            loss = tf.add_n([part for part, _ in sums]) / tf.maximum(tf.add_n([steps for _, steps in sums]), 1.0)
            loss = tf.add_n([loss, *self.model.losses])  # regularizers of a network of one's own
            whole = scaled(loss, self.optimizer)
        gradients = tape.gradient(whole, self.variables)
        self.optimizer.apply(gradients, self.variables)
        return loss

    def _count(self, read: TaskTensors, series: Tensor, cutoff: Tensor) -> Tensor:
        """[STEPS_PER_CALL] the steps in the loss of each batch of index pairs [k, B]: one sum for all, before any step."""
        import tensorflow as tf

        first, end = own_edges(tf.shape(series)[1], self.channel, 1)
        own = (read.bounds, series[:, first:end], cutoff[:, first:end])
        steps = own_steps(self.network, self.settings.error_scale, self.rows, *own, read.days)
        steps = tf.pad(steps, [[0, STEPS_PER_CALL - tf.shape(steps)[0]]])  # sums of one key have one length
        return steps if self.key is None else self.channel.sum_in_graph(steps, self.key + 1)

    def _joint_step(self, read: TaskTensors, series: Tensor, cutoff: Tensor, steps: Tensor) -> Tensor:
        """As `_step`, where this worker takes its share of a batch of so many steps, in a part for each of its devices."""
        import tensorflow as tf

        shares: list[Tensor] = []
        steps, times = tf.maximum(steps, 1.0), scaled(tf.ones(()), self.optimizer)
        for n, (i, j) in enumerate(itertools.pairwise(own_edges(tf.shape(series)[0], self.channel, self.parts))):
            windows = self._windows(read, series[i:j], cutoff[i:j])  # where the rows are, which are not copied
            losses = partial(self._sum_losses, read, series[i:j], *windows)
            with tf.device(self.devices[n] if self.devices else None):
                shares.append(share(losses, times / steps, self.variables))
        sums = tf.add_n(shares)
        if self.key is not None:
            sums = self.channel.sum_in_graph(sums, self.key)
            skip_masks(self.masks, self.parts * (self.channel.count - 1))
        loss, gradients = mean_of(sums, steps, times, lambda: self.model.losses, self.variables)
        self.optimizer.apply(gradients, self.variables)
        return loss

    def _part(self, read: TaskTensors, series: Tensor, cutoff: Tensor) -> tuple[Tensor, Tensor]:
        """Windows [B] -> the sum of their losses and its number of steps."""
        return self._sum_losses(read, series, *self._windows(read, series, cutoff))

    def _windows(self, read: TaskTensors, series: Tensor, cutoff: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Values around the cutoffs [B, L + reach], and the extra inputs that the network reads."""
        window, extra, _ = self._gathered(self.fetch, read, series, cutoff, self.network.reach)
        return window, extra

    def _gathered(
        self, fetch: Callable[..., Any], read: TaskTensors, series: Tensor, cutoff: Tensor, ahead: int
    ) -> tuple[Tensor, list[Tensor], TakenOut]:
        """Values around the cutoffs, without special days and season, the extra inputs, and what was taken out."""
        settings, days = self.network.settings, None
        around = settings.rows, ahead
        window, extra = fetch(read.bounds, series, cutoff, *around, settings.horizon)
        if settings.special_days:
            days = self.rows.gather_days(read.bounds, read.days, series, cutoff, *around)
        window, taken = self.network.as_read(window, ahead, days)
        return window, self.network.beside(extra), taken

    def _sum_losses(
        self, read: TaskTensors, series: Tensor, window: Tensor, extra: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """The sum of the losses of windows [B], and its number of steps."""
        import tensorflow as tf

        length = self.network.settings.context_length
        first, last = self.network.head.target_span()
        inputs = [window[:, :length], *extra]
        if self.forced:
            inputs.append(self._teacher(window[:, :length], window[:, first:last]))
        z, center, scale = self.model(inputs, training=True)
        return self._loss(tf.cast(z, tf.float32), window[:, first:last], center, scale, tf.gather(read.scale, series))

    def _teacher(self, context: Tensor, target: Tensor) -> Tensor:
        """Actuals [B, H] in the network's units that the decoder reads; NaN where it reads its own forecast.

        Scheduled sampling (Bengio et al. 2015): for each window and segment by chance, with a share that changes over the fit.
        """
        import tensorflow as tf

        segment, (first, last) = self.network.settings.segment, self.settings.teacher_forcing
        step = self.optimizer.iterations
        share = first + (last - first) * tf.cast(step, tf.float32) / self.total_steps
        _, _, center, scale = self.network.scaler.scale_context(context)
        actual = tf.cast(self.network.scaler.normalise(target, center, scale), tf.float32)
        count = -(-target.shape[1] // segment)
        drawn = tf.random.stateless_uniform((tf.shape(target)[0], count), tf.stack([tf.cast(step, tf.int32), 1]))
        forced = tf.repeat(drawn < share, segment, axis=1)[:, : target.shape[1]]
        return tf.where(forced, actual, float("nan"))

    def _loss(
        self, z: Tensor, target: Tensor, center: Tensor, scale: Tensor, seasonal_scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Sum of losses and its number of steps, of z [B, P, K] and targets [B, P] in the caller's units, NaN = not observed."""
        import tensorflow as tf

        observed = steps_in_loss(self.network, self.settings.error_scale, target, center, scale)
        target = tf.where(tf.math.is_nan(target), tf.zeros((), target.dtype), target)
        scaler = self.network.scaler
        if self.network.settings.distribution:
            return self._likelihood(z, target, observed, center, scale)
        if self.settings.error_scale == "series":
            forecast = scaler.restore(z, center, scale)
            errors = (target[:, :, None] - forecast) / seasonal_scale[:, None, None]
        else:
            errors = scaler.normalise(target, center, scale)[:, :, None] - tf.cast(z, tf.float64)
            if self.settings.error_scale == "transform":
                errors *= scale[:, :, None]
        errors = tf.cast(tf.where(observed[:, :, None], errors, 0.0), tf.float32)
        weight = tf.cast(observed, tf.float32)
        steps = tf.reduce_sum(weight)
        return mean_loss(errors, weight, self.settings.loss, self.network.settings.quantiles) * steps, steps

    def _likelihood(
        self, z: Tensor, target: Tensor, observed: Tensor, center: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `_loss`: negative log likelihoods of targets [B, P] under the distributions with parameters z [B, P, K]."""
        import tensorflow as tf

        row = DISTRIBUTIONS[self.network.settings.distribution]
        units = row.units(self.network.scaler, center, scale)
        each = tf.where(observed, row.loss(z, target, units), 0.0)
        return tf.cast(tf.reduce_sum(each), tf.float32), tf.reduce_sum(tf.cast(observed, tf.float32))

    def _validate(self, read: TaskTensors, series: Tensor, cutoff: Tensor) -> ValidationSums:
        import tensorflow as tf
        from keras import ops

        from forecaster.models.network import put_back

        length, horizon = self.network.settings.context_length, self.network.settings.horizon
        window, extra, taken = self._gathered(self.rows.gather_all, read, series, cutoff, horizon)
        target = window[:, length:]
        z, center, scale = self.horizon_model([window[:, :length], *extra], training=False)
        seasonal_scale = tf.gather(read.scale, series)
        loss, loss_steps = self._loss(z, target, center, scale, seasonal_scale)
        observed = ~tf.math.is_nan(target)
        steps = tf.reduce_sum(tf.cast(observed, tf.float64), axis=1)
        actual, forecast = target[:, :, None], self.network.answer(z, center, scale, ())
        actual, forecast = put_back(actual, taken, ops), put_back(forecast, taken, ops)
        actual, misses = actual[:, :, 0], (actual - forecast)[:, :, 0]
        error = tf.reduce_sum(tf.where(observed, tf.abs(misses), 0.0), axis=1) / tf.maximum(steps, 1.0) / seasonal_scale
        windows = tf.reduce_sum(tf.cast(steps > 0.0, tf.float64))
        size = tf.abs(actual) + tf.abs(actual - misses)
        share = tf.where(observed & (size > 0.0), 2.0 * tf.abs(misses) / size, 0.0)
        relative = tf.reduce_sum(tf.reduce_sum(share, axis=1) / tf.maximum(steps, 1.0))
        return ValidationSums(
            loss=tf.cast(loss, tf.float64),
            steps=tf.cast(loss_steps, tf.float64),
            scaled=tf.reduce_sum(error),
            relative=relative,
            windows=windows,
        )


def _on_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.get_visible_devices("GPU"))


class Trainers:
    """A pool of compiled trainers, each lent to one fit at a time: a fit like an earlier one needs no compiling."""

    def __init__(self, devices: Sequence[str] | None = None) -> None:
        self.devices = devices  # as for a Trainer
        self.idle: list[tuple[Hashable, Trainer]] = []  # the last used last
        self._lock = Lock()

    @contextmanager
    def lend(
        self, network: Network, task: Task, settings: FitSettings, steps: int, parts: int, channel: Channel = NO_OTHERS
    ) -> Iterator[Trainer]:
        """A trainer with this network's weights, in a network of its own."""
        from forecaster.models.network import Network

        same = replace(settings, **UNCOMPILED)
        key = (replace(network.settings, share=0.0), same, parts, task.source.rows)  # no step reads the share
        trainer = self._take(key)
        if trainer is None:
            with layers_in(policy_of(settings.precision, on_gpu=_on_gpu())):
                own = Network(network.settings, 0)
            trainer = Trainer(own, task, settings, steps, parts=parts, channel=channel, devices=self.devices)
        trainer.restart(network, task, settings.learning_rate, steps, channel)
        try:
            yield trainer
        finally:
            with self._lock:
                self.idle = [*self.idle, (key, trainer)][-MAX_IDLE:]

    def _take(self, key: Hashable) -> Trainer | None:
        with self._lock:
            for i, (other, trainer) in enumerate(self.idle):
                if other == key:
                    del self.idle[i]
                    return trainer
        return None
