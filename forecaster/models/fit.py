"""Fitting a network: windows gathered inside the graph, several steps a call, best weights kept.

Back-propagation through time over whole windows with Adam (Kingma & Ba 2015), gradients clipped by their global norm
(Pascanu et al. 2013). The flat rows are held once; a batch is a list of index pairs.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import Event
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from forecaster.models.encoder import run_layer
from forecaster.models.losses import mean_loss
from forecaster.models.recurrence import lean_layer
from forecaster.watch import Progress, Watch

if TYPE_CHECKING:
    from forecaster.data.calendar import KnownRows
    from forecaster.data.encodings import Encoded
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
    best_error: float  # validation error of the best epoch, see `Fitted`; NaN where nothing is held back
    last_error: float  # of the newest epoch
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
    error: float  # of the best epoch, see `_Fit._validate`; NaN = not known
    stopped: str  # "epochs" | "patience" | "time budget" | "interrupted" | "diverged"
    state: State


@dataclass(frozen=True)
class Task:
    """What a fit works on."""

    training: Windows  # rows that training may see, by its `end`; its own windows are not used
    sampler: Sampler
    validation: Windows | None  # windows whose loss picks the best weights; None = the last weights are kept
    scale: FloatArray  # [N] yardstick of each series for error_scale "series", positive
    known: KnownRows | None = None  # what is known of each row
    relative: bool = False  # every value is positive, so that relative errors mean something
    covariates: Encoded | None = None  # of each row and series


def _constant(rate: float, steps: int) -> Any:
    return rate


def _cosine(rate: float, steps: int) -> Any:
    """Loshchilov & Hutter 2017, without restarts: from `rate` to 0 over all steps."""
    import keras

    return keras.optimizers.schedules.CosineDecay(rate, steps)


SCHEDULES: dict[str, Callable[[float, int], Any]] = {"constant": _constant, "cosine": _cosine}


class _Rows:
    """The flat rows as tensors, and windows of them gathered in the graph. Same rules as `Windows.gather`."""

    def __init__(
        self, windows: Windows, target: Tensor, known: KnownRows | None, covariates: Encoded | None = None
    ) -> None:
        import tensorflow as tf

        self.target = target
        self.known = known and tuple(tf.constant(part) for part in (known.table, known.back, known.row))
        self.around = known.season_length * np.array([0, -1, 1]) if known else None
        self.covariates = covariates and (tf.constant(covariates.rows), tf.constant(covariates.static))
        self.columns = covariates.known if covariates else 0  # U
        self.start = tf.constant(windows.start)
        self.end = tf.constant(windows.end)

    def gather(self, series: Tensor, cutoff: Tensor, before: int, after: int) -> Tensor:
        import tensorflow as tf

        rows, there = self._rows(series, cutoff, before, after)
        values = tf.gather(self.target, tf.where(there, rows, 0))
        return tf.where(there, values, tf.constant(np.nan, tf.float64))

    def gather_known(self, series: Tensor, cutoff: Tensor, horizon: int) -> list[Tensor]:
        """[B, H, F + 3J] as `known_ahead`, 0 outside the series, in a list; an empty list where nothing is known."""
        import tensorflow as tf

        if not self.known:
            return []
        table, back, place = self.known
        rows, there = self._rows(series, cutoff, 0, horizon)
        stamp = tf.gather(place, tf.where(there, rows, 0))
        values = tf.where(there[:, :, None], tf.gather(table, stamp), tf.zeros((), tf.float64))
        lags = (rows[:, :, None] - tf.gather(back, stamp))[..., None] + self.around  # [B, H, J, 3]
        first = tf.gather(self.start, series)
        seen = (lags >= first[:, None, None, None]) & (lags < cutoff[:, None, None, None])
        old = tf.where(seen, tf.gather(self.target, tf.where(seen, lags, 0)), tf.constant(np.nan, tf.float64))
        return [tf.concat([values, tf.reshape(old, (tf.shape(rows)[0], horizon, 3 * back.shape[1]))], axis=2)]

    def gather_beside(self, series: Tensor, cutoff: Tensor, before: int, horizon: int) -> list[Tensor]:
        """The graph's inputs beside the context, as `Beside` gathers them: known, past and static, where there are any.

        What is known of rows from the windows' `end` on reads as missing.
        """
        import tensorflow as tf

        inputs = self.gather_known(series, cutoff, horizon)
        if not self.covariates:
            return inputs
        table, static = self.covariates
        rows, there = self._rows(series, cutoff, before, horizon)
        values = tf.gather(table, tf.where(there, rows, 0))
        strip = tf.where(there[:, :, None], values, tf.constant(np.nan, tf.float64))
        if self.columns:
            ahead = strip[:, before:, : self.columns]
            inputs = [tf.concat([*inputs, ahead], axis=2)]
        past = [strip[:, :before]] if table.shape[1] else []
        return [*inputs, *past, *([tf.gather(static, series)] if static.shape[1] else [])]

    def _rows(self, series: Tensor, cutoff: Tensor, before: int, after: int) -> tuple[Tensor, Tensor]:
        """Rows around each cutoff, and whether they are of the series. One comparison: below its start wraps around."""
        import tensorflow as tf

        start = tf.gather(self.start, series)
        length = tf.bitcast(tf.gather(self.end, series) - start, tf.uint64)
        place = (cutoff - start)[:, None] + tf.range(-before, after, dtype=tf.int64)
        return place + start[:, None], tf.bitcast(place, tf.uint64) < length[:, None]


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
        target = tf.constant(task.training.target, tf.float64)
        known = task.known if network.known else None
        beside = task.covariates if network.covariates else None
        self.rows = _Rows(task.training, target, known, beside)
        self.seen = _Rows(task.validation or task.training, target, known, beside)
        self.scale = tf.constant(task.scale, tf.float64)
        self.model = network.training_model(recur)
        self.horizon_model = network.horizon_model(recur) if task.validation else self.model
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
        window = self.rows.gather(series, cutoff, length, self.network.reach)
        beside = self.rows.gather_beside(series, cutoff, length, self.network.settings.horizon)
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

    def _validate(self, series: Tensor, cutoff: Tensor) -> tuple[Tensor, ...]:
        """Windows [W], forecast as in use -> sum of losses, steps it is over, sums of windows' MAE over the yardstick and of
        their symmetric relative errors, windows with steps."""
        import tensorflow as tf

        settings = self.network.settings
        window = self.seen.gather(series, cutoff, settings.context_length, settings.horizon)
        truth = window[:, settings.context_length :]
        beside = self.seen.gather_beside(series, cutoff, settings.context_length, settings.horizon)
        z, center, scale = self.horizon_model([window[:, : settings.context_length], *beside], training=False)
        yardstick = tf.gather(self.scale, series)
        loss, learnt = self._loss(z, truth, center, scale, yardstick)
        observed = ~tf.math.is_nan(truth)
        steps = tf.reduce_sum(tf.cast(observed, tf.float64), axis=1)
        misses = truth - self.network.locator.restore(z[:, :, :1], center, scale)[:, :, 0]
        error = tf.reduce_sum(tf.where(observed, tf.abs(misses), 0.0), axis=1) / tf.maximum(steps, 1.0) / yardstick
        windows = tf.reduce_sum(tf.cast(steps > 0.0, tf.float64))
        size = tf.abs(truth) + tf.abs(truth - misses)
        share = tf.where(observed & (size > 0.0), 2.0 * tf.abs(misses) / size, 0.0)
        relative = tf.reduce_sum(tf.reduce_sum(share, axis=1) / tf.maximum(steps, 1.0))
        return tf.cast(loss, tf.float64), tf.cast(learnt, tf.float64), tf.reduce_sum(error), relative, windows


class _Fit:
    """One fit: epochs of training, validation after each, the best weights kept."""

    def __init__(
        self, network: Network, task: Task, settings: FitSettings, watch: Watch, stage: str, parts: int
    ) -> None:
        self.network, self.task, self.settings, self.watch, self.stage = network, task, settings, watch, stage
        windows = len(task.sampler)
        self.batch = min(settings.batch_size, windows)
        self.batches = settings.steps_per_epoch or -(-windows // self.batch)
        self.trainer = Trainer(network, task, settings, self.batches * settings.epochs, parts=parts)
        self.history: list[Epoch] = []

    def run(self, start: State | None, checkpoint: Callable[[State], None], stop: Event) -> Fitted:
        state = self._fresh() if start is None else self._continue(start)
        began = time.monotonic()
        # A fit that was killed after its last epoch has nothing left to do.
        stopped = "patience" if self._patience_is_out(state) else "epochs"
        last = min(self.settings.epochs, self.settings.stop_after or self.settings.epochs)
        while state.epoch < last and stopped == "epochs":
            try:
                state = self._epoch(state, began, stop)
            except KeyboardInterrupt:
                if not state.epoch:
                    raise  # nothing learnt yet that would be worth keeping
                stopped = "interrupted"
                break
            except FloatingPointError:
                stopped = "diverged"
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
        return Fitted(tuple(self.history), state.best_epoch, state.best_error, stopped, state)

    def _fresh(self) -> State:
        weights = self.network.weights
        return State(0, False, 0, float("inf"), float("nan"), float("nan"), weights, weights, [])

    def _continue(self, start: State) -> State:
        """Go on from `start`; a finished fit goes on for another round of epochs."""
        self.network.weights = start.weights
        variables = self.trainer.optimizer.variables
        for variable, value in zip(variables, start.optimizer, strict=True):
            variable.assign(value)
        if not start.finished:
            return start
        self.trainer.optimizer.iterations.assign(0)
        # Nothing held back: the newest weights are the best known, so what is learnt now must count.
        best = start.best_loss if self.task.validation is not None else float("inf")
        return replace(start, epoch=0, finished=False, best_loss=best)

    def _epoch(self, state: State, began: float, stop: Event) -> State:
        # Each epoch has its own stream of draws, so a resumed fit draws what the unbroken one would have drawn.
        rng = np.random.default_rng((self.settings.seed, state.epoch))
        series, cutoff = self.task.sampler.epoch(self.batch * self.batches, rng)
        loss = self._train(series, cutoff, stop)
        if not math.isfinite(loss):
            raise FloatingPointError  # nothing good comes after it: the state before this epoch is kept
        valid, error = self._validate()
        epoch = state.epoch + 1
        row = Epoch(epoch, loss, valid, time.monotonic() - began)
        self.history.append(row)
        left = row.seconds / len(self.history) * (self.settings.epochs - epoch)
        self.watch.progress(Progress(self.stage, epoch, self.settings.epochs, loss, valid, left))
        weights = self.network.weights
        optimizer = [np.asarray(v) for v in self.trainer.optimizer.variables]
        judged = valid if valid is not None else -epoch  # nothing held back: the newest weights are the best known
        if judged < state.best_loss:
            return State(epoch, False, epoch, judged, error, error, weights, weights, optimizer)
        return replace(state, epoch=epoch, last_error=error, weights=weights, optimizer=optimizer)

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

    def _validate(self) -> tuple[float | None, float]:
        """Validation loss and error.

        The error is the mean of MAE over the series' yardstick (MASE) and, where all values are positive, its geometric mean
        with the symmetric relative error (sMAPE): M4's two measures, neither weighing more for its unit.
        """
        if self.task.validation is None:
            return None, float("nan")
        sums = [
            [float(part) for part in self.trainer.validate(batch.series, batch.cutoff)]
            for batch in self.task.validation.batches(VALIDATION_BATCH)
        ]
        loss, steps, scaled, relative, windows = np.sum(sums, axis=0)
        error = math.sqrt(scaled * relative) if self.task.relative else scaled
        return float(loss / max(steps, 1.0)), float(error / max(windows, 1.0))

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
    parts: int = 1,
) -> Fitted:
    """Fit `network` in place and leave the best weights in it.

    `checkpoint` is given the state after each epoch. Setting `stop` from another thread ends the fit like Ctrl-C does: after
    a whole epoch at least the best weights so far are kept, before that KeyboardInterrupt is raised. On a CPU each batch is
    cut into `parts` that are worked on at once, a processor each.
    """
    return _Fit(network, task, settings, watch, stage, parts).run(start, checkpoint, stop or Event())
