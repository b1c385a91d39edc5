"""Fitting a network: windows gathered inside the graph, several steps a call, best weights kept.

Back-propagation through time over whole windows with Adam (Kingma & Ba 2015), gradients clipped by their global norm
(Pascanu et al. 2013). The flat rows are held once; a batch is a list of index pairs.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from forecaster.models.losses import mean_loss
from forecaster.watch import Progress, Watch

if TYPE_CHECKING:
    from forecaster.data.windows import Sampler, Windows
    from forecaster.models.network import Network
    from forecaster.typing import FloatArray, IntArray

Tensor: TypeAlias = Any  # a TensorFlow tensor

STEPS_PER_CALL = 10  # enough to hide the cost of a call, few enough for Ctrl-C and the time budget to be heard soon
VALIDATION_BATCH = 1024


@dataclass(frozen=True)
class FitSettings:
    """How a network is fitted."""

    loss: str  # a row of LOSSES
    error_scale: str  # one of ERROR_SCALES
    epochs: int
    batch_size: int
    steps_per_epoch: int  # batches in an epoch; 0 = as many as a pass over the windows takes
    learning_rate: float
    schedule: str  # a row of SCHEDULES
    clip_norm: float  # 0 = none
    patience: int  # epochs without a better validation loss before stopping; 0 = never stop early
    seed: int
    time_budget: float | None = None  # seconds for this fit
    stop_after: int | None = None  # epochs, while the schedule is that of `epochs`; None = all of them


@dataclass(frozen=True)
class State:
    """All that is needed to go on fitting where it stopped."""

    epoch: int  # epochs done
    finished: bool
    best_epoch: int
    best_loss: float
    weights: list[FloatArray]
    best_weights: list[FloatArray]
    optimizer: list[FloatArray]


@dataclass(frozen=True)
class Epoch:
    """A row of history.csv."""

    epoch: int
    loss: float
    validation_loss: float | None
    seconds: float


@dataclass(frozen=True)
class Fitted:
    """What came of a fit. The network holds the best weights."""

    history: tuple[Epoch, ...]
    best_epoch: int
    stopped: str  # "epochs" | "patience" | "time budget" | "interrupted"
    state: State


@dataclass(frozen=True)
class Task:
    """What a fit works on."""

    training: Windows  # rows that training may see, by its `end`; its own windows are not used
    sampler: Sampler
    validation: Windows | None  # windows whose loss picks the best weights; None = the last weights are kept
    scale: FloatArray  # [N] yardstick of each series for error_scale "series", positive


def _constant(rate: float, steps: int) -> Any:
    return rate


def _cosine(rate: float, steps: int) -> Any:
    """Loshchilov & Hutter 2017, without restarts: from `rate` to 0 over all steps."""
    import keras

    return keras.optimizers.schedules.CosineDecay(rate, steps)


SCHEDULES: dict[str, Callable[[float, int], Any]] = {"constant": _constant, "cosine": _cosine}


class _Rows:
    """The flat rows as tensors, and windows of them gathered in the graph. Same rules as `Windows.gather`."""

    def __init__(self, windows: Windows, target: Tensor) -> None:
        import tensorflow as tf

        self.target = target
        self.start = tf.constant(windows.start)
        self.end = tf.constant(windows.end)

    def gather(self, series: Tensor, cutoff: Tensor, before: int, after: int) -> Tensor:
        import tensorflow as tf

        rows = cutoff[:, None] + tf.range(-before, after, dtype=tf.int64)
        there = (rows >= tf.gather(self.start, series)[:, None]) & (rows < tf.gather(self.end, series)[:, None])
        values = tf.gather(self.target, tf.where(there, rows, 0))
        return tf.where(there, values, tf.constant(np.nan, tf.float64))


class Trainer:
    """The compiled steps of one network on one task. `traces` counts how often the training step was traced."""

    def __init__(self, network: Network, task: Task, settings: FitSettings, total_steps: int) -> None:
        import keras
        import tensorflow as tf

        self.network, self.settings = network, settings
        self.traces = 0
        target = tf.constant(task.training.target, tf.float64)
        self.rows = _Rows(task.training, target)
        self.seen = _Rows(task.validation or task.training, target)
        self.scale = tf.constant(task.scale, tf.float64)
        self.model = network.training_model()
        self.horizon_model = network.horizon_model() if task.validation else self.model
        self.variables = network.model.trainable_variables
        self.optimizer = keras.optimizers.Adam(
            SCHEDULES[settings.schedule](settings.learning_rate, total_steps),
            global_clipnorm=settings.clip_norm or None,
        )
        self.optimizer.build(self.variables)
        pairs = tf.TensorSpec((None, None), tf.int64)
        self.steps = tf.function(self._steps, input_signature=(pairs, pairs))
        windows = tf.TensorSpec((None,), tf.int64)
        self.validate = tf.function(self._validate, input_signature=(windows, windows))

    def _steps(self, series: Tensor, cutoff: Tensor) -> Tensor:
        """Index pairs [k, B]: k steps, one after the other -> mean loss of each [k]."""
        import tensorflow as tf

        self.traces += 1
        count = tf.shape(series)[0]
        losses = tf.TensorArray(tf.float32, count)
        for i in tf.range(count):
            losses = losses.write(i, self._step(series[i], cutoff[i]))
        return losses.stack()

    def _step(self, series: Tensor, cutoff: Tensor) -> Tensor:
        import tensorflow as tf

        length = self.network.settings.context_length
        first, last = self.network.head.target_span()
        window = self.rows.gather(series, cutoff, length, self.network.reach)
        with tf.GradientTape() as tape:
            z, center, scale = self.model(window[:, :length], training=True)
            loss = self._loss(z, window[:, first:last], center, scale, tf.gather(self.scale, series))
        gradients = tape.gradient(loss, self.variables)
        self.optimizer.apply(gradients, self.variables)
        return loss

    def _loss(self, z: Tensor, truth: Tensor, center: Tensor, scale: Tensor, yardstick: Tensor) -> Tensor:
        """z [B, P, K] against truth [B, P] in caller's units, NaN = not observed."""
        import tensorflow as tf

        observed = ~tf.math.is_nan(truth)
        truth = tf.where(observed, truth, 0.0)
        locator = self.network.locator
        if self.settings.error_scale == "series":
            forecast = locator.restore(z, center, scale)
            errors = (truth[:, :, None] - forecast) / yardstick[:, None, None]
        else:
            # A window without spread cannot be moved by the network: it teaches nothing.
            observed &= scale > 0.0
            errors = locator.normalise(truth, center, scale)[:, :, None] - tf.cast(z, tf.float64)
        errors = tf.cast(tf.where(observed[:, :, None], errors, 0.0), tf.float32)
        weight = tf.cast(observed, tf.float32)
        return mean_loss(errors, weight, self.settings.loss, self.network.settings.quantiles)

    def _validate(self, series: Tensor, cutoff: Tensor) -> tuple[Tensor, Tensor]:
        """Windows [W] -> (sum of losses, number of observed steps), forecasting as in use, nothing of the future fed in."""
        import tensorflow as tf

        settings = self.network.settings
        window = self.seen.gather(series, cutoff, settings.context_length, settings.horizon)
        truth = window[:, settings.context_length :]
        z, center, scale = self.horizon_model(window[:, : settings.context_length], training=False)
        loss = self._loss(z, truth, center, scale, tf.gather(self.scale, series))
        count = tf.reduce_sum(tf.cast(~tf.math.is_nan(truth), tf.float32))
        return loss * count, count


class _Fit:
    """One fit: epochs of training, validation after each, the best weights kept."""

    def __init__(self, network: Network, task: Task, settings: FitSettings, watch: Watch, stage: str) -> None:
        self.network, self.task, self.settings, self.watch, self.stage = network, task, settings, watch, stage
        windows = len(task.sampler)
        self.batch = min(settings.batch_size, windows)
        self.batches = settings.steps_per_epoch or -(-windows // self.batch)
        self.trainer = Trainer(network, task, settings, self.batches * settings.epochs)
        self.history: list[Epoch] = []

    def run(self, start: State | None, checkpoint: Callable[[State], None], stop: Event) -> Fitted:
        state = self._fresh() if start is None else self._continue(start)
        began = time.monotonic()
        stopped = "epochs"
        last = min(self.settings.epochs, self.settings.stop_after or self.settings.epochs)
        while state.epoch < last:
            try:
                state = self._epoch(state, began, stop)
            except KeyboardInterrupt:
                if not state.epoch:
                    raise  # nothing learnt yet that would be worth keeping
                stopped = "interrupted"
                break
            checkpoint(state)
            if self._patience_is_out(state):
                stopped = "patience"
                break
            if self._time_is_up(began, state.epoch):
                stopped = "time budget"
                break
        state = replace(state, finished=stopped != "interrupted")
        self.network.weights = state.best_weights
        return Fitted(tuple(self.history), state.best_epoch, stopped, state)

    def _fresh(self) -> State:
        weights = self.network.weights
        return State(0, False, 0, float("inf"), weights, weights, [])

    def _continue(self, start: State) -> State:
        """Go on from `start`; a finished fit goes on for another round of epochs."""
        self.network.weights = start.weights
        variables = self.trainer.optimizer.variables
        for variable, value in zip(variables, start.optimizer, strict=True):
            variable.assign(value)
        if not start.finished:
            return start
        self.trainer.optimizer.iterations.assign(0)
        return replace(start, epoch=0, finished=False)

    def _epoch(self, state: State, began: float, stop: Event) -> State:
        # Each epoch has its own stream of draws, so a resumed fit draws what the unbroken one would have drawn.
        rng = np.random.default_rng((self.settings.seed, state.epoch))
        series, cutoff = self.task.sampler.epoch(self.batch * self.batches, rng)
        loss = self._train(series, cutoff, stop)
        valid = self._validate()
        epoch = state.epoch + 1
        row = Epoch(epoch, loss, valid, time.monotonic() - began)
        self.history.append(row)
        left = row.seconds / len(self.history) * (self.settings.epochs - epoch)
        self.watch.progress(Progress(self.stage, epoch, self.settings.epochs, loss, valid, left))
        weights = self.network.weights
        optimizer = [np.asarray(v) for v in self.trainer.optimizer.variables]
        judged = valid if valid is not None else -epoch  # nothing held back: the newest weights are the best known
        if judged < state.best_loss:
            return State(epoch, False, epoch, judged, weights, weights, optimizer)
        return replace(state, epoch=epoch, weights=weights, optimizer=optimizer)

    def _train(self, series: IntArray, cutoff: IntArray, stop: Event) -> float:
        shape = (self.batches, self.batch)
        series, cutoff = series.reshape(shape), cutoff.reshape(shape)
        losses: list[FloatArray] = []
        for first in range(0, self.batches, STEPS_PER_CALL):
            if stop.is_set():
                raise KeyboardInterrupt
            part = slice(first, first + STEPS_PER_CALL)
            losses.append(np.asarray(self.trainer.steps(series[part], cutoff[part])))
        return float(np.concatenate(losses).mean())

    def _validate(self) -> float | None:
        if self.task.validation is None:
            return None
        sums = [
            [float(part) for part in self.trainer.validate(batch.series, batch.cutoff)]
            for batch in self.task.validation.batches(VALIDATION_BATCH)
        ]
        total, count = np.sum(sums, axis=0)
        return float(total / max(count, 1.0))

    def _patience_is_out(self, state: State) -> bool:
        return 0 < self.settings.patience <= state.epoch - state.best_epoch

    def _time_is_up(self, began: float, epoch: int) -> bool:
        """True where one more epoch like those so far would pass the budget."""
        budget, spent = self.settings.time_budget, time.monotonic() - began
        return budget is not None and spent + spent / max(len(self.history), 1) > budget


def fit(
    network: Network,
    task: Task,
    settings: FitSettings,
    watch: Watch,
    stage: str,
    *,
    start: State | None = None,
    checkpoint: Callable[[State], None] = lambda state: None,
    stop: Event | None = None,
) -> Fitted:
    """Fit `network` in place and leave the best weights in it.

    `checkpoint` is given the state after each epoch. Setting `stop` from another thread ends the fit like Ctrl-C does: after
    a whole epoch at least the best weights so far are kept, before that KeyboardInterrupt is raised.
    """
    return _Fit(network, task, settings, watch, stage).run(start, checkpoint, stop or Event())
