"""Fits all members of an ensemble, in parallel if there are enough processors, within the time budget."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from threading import Event, Lock
from typing import TYPE_CHECKING

import numpy as np

from forecaster.engines.local import LocalEngine
from forecaster.engines.work import Lost
from forecaster.engines.worker_group import Alone, WorkerGroup
from forecaster.errors import UsageError
from forecaster.training.checkpoints import FINAL_STAGE, TEST_STAGE, Checkpoints, NoCheckpoints
from forecaster.training.compiled_steps import Trainers
from forecaster.training.expected_time import expected_seconds, time_to_come
from forecaster.training.fit import FitControl, fit
from forecaster.training.fit_elsewhere import FitOrder, fit_elsewhere
from forecaster.training.fit_types import FURTHER_EPOCHS, Fitted, MemberFit, Stage, Task
from forecaster.training.member_networks import new_network
from forecaster.training.memory_forecasts import member_forecasts
from forecaster.training.selection import SELECTION_STAGE, choose_cell, select_settings, without_validation
from forecaster.typing import Progress, Watch

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.engines.work import Engine
    from forecaster.models.network import Network
    from forecaster.models.settings import FitSettings
    from forecaster.training.plan import Draft, Plan
    from forecaster.training.split import Split
    from forecaster.typing import FloatArray


@dataclass(frozen=True)
class Stages:
    """The fitted stages of a training."""

    plan: Plan  # after model selection
    test: Stage | None  # fitted on the rows before the test windows; None: too few rows for test windows
    final: Stage | None  # fitted on all rows; None: the tested weights serve
    members: FloatArray  # [M, W, H] point forecasts of the W test windows by each tested network


class EnsembleFitter:
    """Fits the members of one training, within its time budget.

    Fits whose states are not stored are done by the engine, which may be in other processes. With a group of workers every fit is
    done by all of them together.
    """

    def __init__(
        self,
        settings: TrainSettings,
        checkpoints: Checkpoints | NoCheckpoints,
        watch: Watch,
        began: float,
        engine: Engine = LocalEngine(),  # noqa: B008
        group: Alone | WorkerGroup = Alone(),  # noqa: B008
    ) -> None:
        from forecaster.models.device import configure

        self.settings, self.checkpoints, self.watch, self.began = settings, checkpoints, watch, began
        self.engine, self.group = engine, group
        self.threads = settings.threads or os.cpu_count() or 1
        # Fits that are done at once are so at every worker: none waits long for one that another has not begun.
        self.at_once = group.least(self.threads)
        self.trainers = Trainers()
        self.seconds, self.epochs = 0.0, 0  # of all fits so far
        self.candidates: list[MemberFit] = []  # of model selection, with the weights after their fits
        watch.note(f"fitting on the {configure(settings.device, self.threads)}")

    def fit_stages(self, draft: Draft, panel: Panel, parts: Split) -> Stages:
        """Select the model, fit it on the rows before the test windows and, where asked and possible, on all rows.

        UsageError where every fit diverged; KeyboardInterrupt where none was fitted.
        """
        self._note_expected_time(draft, parts)
        plan = self._select(draft, panel, parts)
        # Early stopping needs the validation windows; without it the test fit also uses their rows.
        task = parts.selection if plan.fit.patience and parts.selection else parts.test
        first = self._going_on(plan.member_fits) if task and task is parts.test else plan.member_fits
        self._note_time_to_come(first, again=self.settings.final_fit and task is not None)
        if task is None:
            self.watch.warn("too few rows for test windows: the model is not tested")
            final = self.fit_all(FINAL_STAGE, parts.final, first)
            none = np.empty((0, 0, plan.horizon))
            return Stages(plan, None, replace(final, smoothing=plan.smoothing), none)
        began = time.monotonic()
        test = replace(self.fit_all(TEST_STAGE, task, first), smoothing=plan.smoothing)
        seconds = time.monotonic() - began
        last = self._final(parts.final, test, seconds) if self.settings.final_fit else None
        members = member_forecasts(panel, parts.test_windows, plan.needs, test.networks)
        return Stages(plan, test, replace(last, smoothing=plan.smoothing) if last else None, members)

    def _note_expected_time(self, draft: Draft, parts: Split) -> None:
        """How long all of it will take, where the network and the processors are those that the figure was measured on."""
        import tensorflow as tf

        if not self.settings.network and not tf.config.get_visible_devices("GPU"):
            seconds = expected_seconds(draft, parts, self.settings, self.threads)
            self.watch.note(f"training will take {time_to_come(seconds, self.threads)}")

    def _note_time_to_come(self, members: Sequence[MemberFit], *, again: bool) -> None:
        """How long the fits will take that are left, at the pace of those of model selection; `again`: with a final fit."""
        fits = [_epochs(one.schedule) for one in members if one.fit.epochs]
        if self.epochs and fits:
            epochs = sum(fits) + again * FURTHER_EPOCHS * sum(one.fit.epochs for one in members)
            seconds = epochs * self.seconds / self.epochs
            what = f"{len(fits)} network{'s' if len(fits) > 1 else ''}{', then with the latest rows' if again else ''}"
            self.watch.note(f"fitting {what}: about {max(round(seconds), 1):,} s at the pace of model selection")

    def _select(self, draft: Draft, panel: Panel, parts: Split) -> Plan:
        """The plan after model selection on the validation windows, or on the history where there are none."""
        task = parts.selection
        if task is None:
            plan = without_validation(draft, panel, parts.test or parts.final, self.watch)
        else:
            plan = select_settings(draft, panel, task, self.fit_all, self.watch)
            if self.settings.cell == "auto":
                plan = choose_cell(plan, task, self.fit_all, self.watch)
        return plan.with_method()

    def _going_on(self, members: Sequence[MemberFit]) -> tuple[MemberFit, ...]:
        """The members; those that model selection has fitted go on from there, each candidate's weights once."""
        left, found = list(self.candidates), []
        for one in members:
            same = next((i for i, other in enumerate(left) if other == one and not one.network.pretrained), None)
            found.append(one if same is None else left.pop(same))
        return tuple(found)

    def _final(self, task: Task, test: Stage, test_seconds: float) -> Stage | None:
        """Go on from the tested weights with all rows, for a part of the epochs; None where the tested weights must serve."""
        why = "interrupted" if test.stopped == "interrupted" else ""
        left = self._seconds_left()
        short = left is not None and left < FURTHER_EPOCHS * test_seconds
        if self.group.channel().total([short])[0]:  # at any worker
            why = "the time budget is spent"
        if not why:
            members = [
                MemberFit(network.settings, replace(one.fit, epochs=epochs), network.weights)
                for network, one, epochs in zip(test.networks, test.members, test.epochs, strict=True)
            ]
            final = self.fit_all(FINAL_STAGE, task, members)
            if final.stopped not in ("interrupted", "time budget"):
                return final
            # Half-way through its schedule it may have a higher error than the tested weights, and no window measures it.
            why = final.stopped
        self.watch.warn(f"{why}: the tested weights serve, which are not fitted on the latest rows")
        return None

    def fit_all(self, stage: str, task: Task, members: Sequence[MemberFit]) -> Stage:
        """Fit every member. As many run at once as there are processors; up to twice as many all run at once."""
        workers = len(members) if len(members) < 2 * self.at_once else self.at_once
        fits = sum(one.fit.epochs > 0 for one in members)
        parts = max(
            self.threads // min(workers, max(fits, 1)), 1
        )  # of each batch: one fit alone uses every processor, too
        # Each member draws from random streams of its own. Candidates have the same ones, so that none is lucky, and so that
        # the error of one does not depend on which others are tried.
        apart = 0 if stage == SELECTION_STAGE else 1
        seeded = [
            replace(one, fit=replace(one.fit, seed=one.fit.seed * 1000 + apart * i)) for i, one in enumerate(members)
        ]
        networks = [_network(one) for one in seeded]
        epochs = [_epochs(one.schedule) for one in members]
        checkpoints = NoCheckpoints() if stage == SELECTION_STAGE else self.checkpoints
        began = time.monotonic()
        if self.engine.elsewhere and isinstance(checkpoints, NoCheckpoints):
            together = _JointProgress(self.watch, stage, epochs, self.engine.workers)
            running = self._fit_elsewhere(stage, task, networks, seeded, parts, together)
            return self._ended(stage, began, members, networks, running)
        together = _JointProgress(self.watch, stage, epochs, workers)
        stop = Event()
        channels = [self.group.channel() for _ in members]
        _ = task.source.rows  # made before the threads start

        def one(i: int) -> Fitted:
            settings = replace(seeded[i].schedule, time_budget=self._share(stage, -(-(len(members) - i) // workers)))
            control = FitControl(
                watch=together.member(i),
                stage=stage,
                start=checkpoints.start(stage, i, networks[i]),
                checkpoint=checkpoints.save(stage, i),
                stop=stop,
                channel=channels[i],
            )
            return fit(networks[i], task, settings, control, parts=parts, trainers=self.trainers)

        with ThreadPoolExecutor(workers) as pool:
            running = [pool.submit(one, i) for i in range(len(members))]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            except KeyboardInterrupt:
                if self.group.count > 1:  # the others cannot go on, nor is the model theirs alone
                    stop.set()
                    raise
                self.watch.warn("interrupted: stopping after this step")
            if not all(future.done() and not future.exception() for future in running):
                stop.set()
        return self._ended(stage, began, members, networks, running)

    def _fit_elsewhere(
        self,
        stage: str,
        task: Task,
        networks: Sequence[Network],
        members: Sequence[MemberFit],
        parts: int,
        together: _JointProgress,
    ) -> list[Future[Fitted]]:
        """Fit every network in the engine's workers, and here where theirs failed; each is reported once it has ended."""
        workers = self.engine.workers

        def order(i: int) -> FitOrder:
            budget = self._share(stage, -(-(len(networks) - i) // workers))
            member = replace(members[i], fit=replace(members[i].fit, time_budget=budget))
            return FitOrder(member=member, stage=stage, parts=parts, threads=self.engine.threads)

        found: list[Future[Fitted]] = [Future() for _ in networks]
        for i, done in self.engine.run(fit_elsewhere, task, range(len(networks)), order, ahead=0):
            if isinstance(done, Lost):
                self.watch.warn(f"a fit of {networks[i].settings.label} is done here: {done.why}")
                control = FitControl(together.member(i), stage)
                done = fit(networks[i], task, order(i).member.schedule, control, parts=parts, trainers=self.trainers)
            else:
                networks[i].weights = done.state.best_weights
                if done.history:
                    last = done.history[-1]
                    ended = Progress(stage, last.epoch, last.epoch, last.loss, last.validation_loss, 0.0)
                    together.report(i, ended)
            found[i].set_result(done)
        return found

    def _ended(
        self,
        stage: str,
        began: float,
        members: Sequence[MemberFit],
        networks: Sequence[Network],
        running: Sequence[Future[Fitted]],
    ) -> Stage:
        """The fits that have ended: they are counted, and those of model selection are kept for the test fit."""
        self.seconds += time.monotonic() - began
        self.epochs += sum(_epochs(one.schedule) for one in members)
        selecting = stage == SELECTION_STAGE
        made = _fitted_stage(networks, members, running, self.watch, keep_diverged=selecting)
        if selecting:
            fitted = zip(made.members, made.networks, made.fits, strict=True)
            whole = [(one, network.weights) for one, network, done in fitted if done.stopped == "epochs"]
            self.candidates += [replace(one, weights=weights) for one, weights in whole]
        return made

    def _seconds_left(self) -> float | None:
        budget = self.settings.time_budget
        return None if budget is None else max(budget - (time.monotonic() - self.began), 0.0)

    def _share(self, stage: str, members_left: int) -> float | None:
        """Seconds for one fit; None without a time budget."""
        left = self._seconds_left()
        if left is None:
            return None
        # Model selection leaves time for the stages after it, and a test fit for the final one.
        parts = {SELECTION_STAGE: 4.0, TEST_STAGE: 1.0 + FURTHER_EPOCHS if self.settings.final_fit else 1.0}.get(
            stage, 1.0
        )
        return left / members_left / parts


def _network(member: MemberFit) -> Network:
    """The member's network with the weights that its fit begins with."""
    network = new_network(member.network, member.fit.seed)
    if member.weights is not None:
        network.weights = member.weights
    return network


def _epochs(fit: FitSettings) -> int:
    return fit.stop_after or fit.epochs


def _fitted_stage(
    networks: Sequence[Network],
    members: Sequence[MemberFit],
    running: Sequence[Future[Fitted]],
    watch: Watch,
    *,
    keep_diverged: bool,
) -> Stage:
    """The members that were fitted; those that diverged are left out with a warning.

    UsageError where all diverged, KeyboardInterrupt where none was fitted; any other error of a fit is raised.
    """
    fitted, lost = [], 0
    for network, member, future in zip(networks, members, running, strict=True):
        error = future.exception()
        if error is not None and not isinstance(error, KeyboardInterrupt):
            raise error
        if error is None and future.result().stopped == "diverged" and not keep_diverged:
            lost += 1
        elif error is None:
            fitted.append((network, member, future.result()))
    if lost:
        watch.warn(f"{lost} of {len(networks)} fits diverged: the loss is NaN or infinite")
    if lost and not fitted:
        raise UsageError("training diverged: the loss is NaN or infinite.", "Give a smaller --learning-rate.")
    if not fitted:
        raise KeyboardInterrupt
    return Stage(
        networks=tuple(network for network, _, _ in fitted),
        fits=tuple(done for _, _, done in fitted),
        members=tuple(member for _, member, _ in fitted),
    )


class _JointProgress:
    """Progress of members that are fitted at once, reported as that of one fit."""

    def __init__(self, watch: Watch, stage: str, epochs: Sequence[int], workers: int) -> None:
        self.watch, self.stage, self.epochs, self.workers = watch, stage, list(epochs), workers
        self.latest: dict[int, Progress] = {}
        self.pace = _Pace()
        self.lock = Lock()

    def member(self, i: int) -> Watch:
        """The watch of one member."""
        return _MemberWatch(self, i)

    def report(self, member: int, progress: Progress) -> None:
        """Report the sum of all members' epochs and the mean of their losses."""
        with self.lock:
            self.latest[member] = progress
            self.pace.add(member, progress.epoch, time.monotonic())
            done = sum(one.epoch for one in self.latest.values())
            total = sum(self.epochs)
            valid = [one.validation_loss for one in self.latest.values() if one.validation_loss is not None]
            loss = sum(one.loss for one in self.latest.values()) / len(self.latest)
            mean = sum(valid) / len(valid) if valid else None
            left = self.pace.seconds_each * (total - done) / self.workers if total > done else 0.0
            self.watch.progress(Progress(self.stage, done, total, loss, mean, left))


class _Pace:
    """Seconds of an epoch, without the first one of each member: that also compiles."""

    def __init__(self) -> None:
        self.first: dict[int, tuple[int, float]] = {}  # member -> epoch and time of its first report
        self.latest: dict[int, tuple[int, float]] = {}

    def add(self, member: int, epoch: int, at: float) -> None:
        """A member has done so many epochs."""
        self.first.setdefault(member, (epoch, at))
        self.latest[member] = (epoch, at)

    @property
    def seconds_each(self) -> float:
        """Infinite before any member has done an epoch after its first."""
        epochs, seconds = (sum(self.latest[one][part] - self.first[one][part] for one in self.first) for part in (0, 1))
        return seconds / epochs if epochs else math.inf


class _MemberWatch:
    """Passes one member's notes and progress on."""

    def __init__(self, together: _JointProgress, member: int) -> None:
        self.together, self.number = together, member

    def note(self, text: str) -> None:
        """Pass a note on."""
        self.together.watch.note(text)

    def warn(self, text: str) -> None:
        """Pass a warning on."""
        self.together.watch.warn(text)

    def progress(self, progress: Progress) -> None:
        """Report this member's progress."""
        self.together.report(self.number, progress)
