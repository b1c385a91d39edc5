"""Fitting a network: epochs of training, each followed by validation; the best weights are kept.

Backpropagation through time over whole windows with Adam (Kingma & Ba 2015), gradients clipped by their global norm
(Pascanu et al. 2013).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from threading import Event
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.engines.worker_group import NO_OTHERS, Channel
from forecaster.errors import UsageError
from forecaster.models.settings import FitSettings
from forecaster.models.trees import TreeMember
from forecaster.training.compiled_steps import STEPS_PER_CALL, Trainer, Trainers, ValidationSums
from forecaster.training.fit_trees import fit_trees
from forecaster.training.fit_types import Epoch, Fitted, State, Task
from forecaster.training.joint_steps import take_weights_of_first
from forecaster.typing import Progress, Watch

if TYPE_CHECKING:
    from forecaster.models.network import Network
    from forecaster.typing import FloatArray, IntArray

VALIDATION_BATCH = 1024


def keep_nothing(_state: State) -> None:
    """A checkpoint that stores no state."""


@dataclass(frozen=True)
class FitControl:
    """What a fit reports to, which state it starts from, and what ends it early.

    `checkpoint` is called with the state after each epoch. Setting `stop` from another thread ends the fit as Ctrl-C does: the
    best weights so far are kept after the first whole epoch, and KeyboardInterrupt is raised before.

    Where the channel has other workers, each does the same fit with its part of every batch, and has the same weights.
    """

    watch: Watch
    stage: str  # its name in reports of progress
    start: State | None = None  # None: a new fit of the network's weights
    checkpoint: Callable[[State], None] = keep_nothing
    stop: Event = field(default_factory=Event)
    channel: Channel = NO_OTHERS


class _Fit:
    """One fit: epochs of training, each followed by validation; the best weights are kept."""

    def __init__(self, trainer: Trainer, task: Task, settings: FitSettings, control: FitControl) -> None:
        self.trainer, self.task, self.settings, self.control = trainer, task, settings, control
        self.network = trainer.network
        self.batch = min(settings.batch_size, len(task.sampler))
        self.batches = settings.batches(len(task.sampler))
        self.history: list[Epoch] = []

    def run(self) -> Fitted:
        """Fit until the last epoch, early stopping, the time budget, Ctrl-C or divergence."""
        start = self.control.start
        state = self._fresh() if start is None else self._continue(start)
        began = time.monotonic()
        # A fit that was killed after its last epoch is complete.
        stopped = "patience" if self._patience_is_out(state) else "epochs"
        last = min(self.settings.epochs, self.settings.stop_after or self.settings.epochs)
        while state.epoch < last and stopped == "epochs":
            try:
                state = self._epoch(state, began)
            except KeyboardInterrupt:
                if not state.epoch:
                    raise  # there are no fitted weights to keep
                stopped = "interrupted"
                break
            except FloatingPointError:
                stopped = "diverged"
                break
            self.control.checkpoint(state)
            if self._patience_is_out(state):
                stopped = "patience"
                break
            if self._time_is_up(began):
                stopped = "time budget"
                break
        state = replace(state, finished=stopped != "interrupted")
        return Fitted(
            history=tuple(self.history),
            best_epoch=state.best_epoch,
            error=state.best_error,
            stopped=stopped,
            state=state,
        )

    def _fresh(self) -> State:
        return replace(Fitted.at_once(self.network.weights, 0).state, finished=False)

    def _continue(self, start: State) -> State:
        """The state to continue from: `start`, or, of a finished fit, its weights for another round of epochs."""
        self.network.weights = start.weights
        if start.optimizer:  # a stored version keeps none
            _refuse_other_optimizer(start.optimizer, self.trainer.optimizer.variables)
            for variable, value in zip(self.trainer.optimizer.variables, start.optimizer, strict=True):
                variable.assign(value)
        if not start.finished:
            return start
        self.trainer.optimizer.iterations.assign(0)
        # Without validation windows the last weights are taken as the best, so any later epoch must replace them.
        best = start.best_loss if self.task.validation is not None else float("inf")
        return replace(start, epoch=0, finished=False, best_loss=best)

    def _epoch(self, state: State, began: float) -> State:
        # Each epoch has its own random stream, so a resumed fit draws the same windows as an uninterrupted one.
        rng = np.random.default_rng((self.settings.seed, state.epoch))
        series, cutoff = self.task.sampler.epoch(self.batch * self.batches, rng)
        loss = self._train(series, cutoff)
        if not math.isfinite(loss):
            raise FloatingPointError  # the weights are lost: the state before this epoch is kept
        if self.control.channel.count > 1:
            take_weights_of_first(self.network, self.control.channel)
        valid, error = self._validate()
        epoch = state.epoch + 1
        row = Epoch(epoch, loss, valid, time.monotonic() - began)
        self.history.append(row)
        left = row.seconds / len(self.history) * (self.settings.epochs - epoch)
        report = Progress(self.control.stage, epoch, self.settings.epochs, loss, valid, left)
        self.control.watch.progress(report)
        weights = self.network.weights
        optimizer = [np.asarray(v) for v in self.trainer.optimizer.variables]
        state = replace(state, epoch=epoch, last_error=error, weights=weights, optimizer=optimizer)
        rank = (
            valid if valid is not None else -epoch
        )  # without validation windows the last weights are taken as the best
        if rank < state.best_loss:
            return replace(state, best_epoch=epoch, best_loss=rank, best_error=error, best_weights=weights)
        return state

    def _train(self, series: IntArray, cutoff: IntArray) -> float:
        shape = (self.batches, self.batch)
        series, cutoff = series.reshape(shape), cutoff.reshape(shape)
        losses: list[FloatArray] = []
        for first in range(0, self.batches, STEPS_PER_CALL):
            if self.control.stop.is_set():
                raise KeyboardInterrupt
            part = slice(first, first + STEPS_PER_CALL)
            losses.append(np.asarray(self.trainer.steps(series[part], cutoff[part])))
        return float(np.concatenate(losses).mean())

    def _validate(self) -> tuple[float | None, float]:
        """Validation loss and error.

        The error is MAE over the seasonal scale (MASE); where all values are positive, its geometric mean with the symmetric
        relative error (sMAPE). These are M4's two measures, and a geometric mean does not depend on their units.
        """
        if self.task.validation is None:
            return None, float("nan")
        channel, windows = self.control.channel, self.task.validation
        first, end = (len(windows) * (channel.index + i) // channel.count for i in (0, 1))
        sums = [np.zeros(len(ValidationSums._fields))]
        for batch in windows.take(np.arange(first, end)).batches(VALIDATION_BATCH):
            sums.append(np.array([float(part) for part in self.trainer.validate(batch.series, batch.cutoff)]))
        total = ValidationSums(*channel.total(np.sum(sums, axis=0)))
        error = math.sqrt(total.scaled * total.relative) if self.task.relative else total.scaled
        return float(total.loss / max(total.steps, 1.0)), float(error / max(total.windows, 1.0))

    def _patience_is_out(self, state: State) -> bool:
        return 0 < self.settings.patience <= state.epoch - state.best_epoch

    def _time_is_up(self, began: float) -> bool:
        """Whether one more epoch, as long as those so far, would exceed the time budget."""
        budget, spent = self.settings.time_budget, time.monotonic() - began
        if budget is None:
            return False
        is_up = spent + spent / max(len(self.history), 1) > budget
        return bool(self.control.channel.total([is_up])[0])  # at any worker


def _refuse_other_optimizer(stored: Sequence[FloatArray], own: Sequence[Any]) -> None:
    """UsageError where a state that a fit is to go on from is that of another optimizer, or has a loss's scale or has none."""
    if [one.shape for one in stored] != [tuple(one.shape) for one in own]:
        raise UsageError(
            "the unfinished training has another optimizer or precision.",
            "Give the options that it was begun with, or leave out --resume.",
        )


def mean_weights(before: Sequence[FloatArray], after: Sequence[FloatArray], kept: float) -> list[FloatArray]:
    """The means of two networks' weights, `kept` of the first."""
    return [kept * old + (1.0 - kept) * new for old, new in zip(before, after, strict=True)]


def fit(
    network: Network,
    task: Task,
    settings: FitSettings,
    control: FitControl,
    *,
    parts: int = 1,
    trainers: Trainers | None = None,
) -> Fitted:
    """Fit `network` in place and leave the best weights in it.

    With `settings.kept` the weights are means of those before and after the fit: what a pretrained network knows is less lost
    (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").

    On a CPU each batch is cut into `parts` that run in parallel. `trainers` are those of earlier fits, whose compiled steps are
    used again. KeyboardInterrupt where the first epoch was interrupted.
    """
    if isinstance(network, TreeMember):
        done = fit_trees(network, task, settings.seed)
        control.checkpoint(done.state)
        return done
    if not settings.epochs:
        return Fitted.at_once(network.weights, 0)
    steps = settings.batches(len(task.sampler)) * settings.epochs
    same = replace(settings, time_budget=None)
    control.channel.refuse_other(
        "plan", f"{control.stage} {network.settings.label} {network.parameters} {same} {steps}"
    )
    if control.channel.count > 1:
        take_weights_of_first(network, control.channel)  # of a stored model, which the others may not have
    before = network.weights
    with (trainers or Trainers()).lend(network, task, settings, steps, parts, control.channel) as trainer:
        done = _Fit(trainer, task, settings, control).run()
    if settings.kept:
        means = mean_weights(before, done.state.best_weights, settings.kept)
        done = replace(done, state=replace(done.state, best_weights=means))
    network.weights = done.state.best_weights
    return done
