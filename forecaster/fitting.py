"""The fits of a training: every member, judged and final, at once where there are processors, within the time budget."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import partial
from threading import Event, Lock
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.blend import Bench, combined, final_floor, member_forecasts
from forecaster.cellchoice import choose_cell
from forecaster.checkpoints import FINAL, JUDGE, Checkpoints
from forecaster.errors import UsageError
from forecaster.models.fit import FitSettings, Fitted, Task, fit
from forecaster.models.steps import Trainers
from forecaster.models.training_record import plan_lines
from forecaster.publish import Stage
from forecaster.trial import STAGE as TRIAL
from forecaster.trial import settle
from forecaster.watch import Progress, Watch

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.models.network import Network, NetworkSettings
    from forecaster.plan import Plan
    from forecaster.split import Split
    from forecaster.typing import FloatArray


Job: TypeAlias = "tuple[NetworkSettings, FitSettings]"


@dataclass(frozen=True)
class Stages:
    """What the fits of a training made."""

    plan: Plan  # with its questions answered
    test: Stage | None  # fitted before the test windows; None: too few rows for any
    final: Stage | None  # fitted on all rows; None: the tested weights serve
    members: FloatArray  # [M, W, H] point forecasts of the W test windows by each tested network


class Fitting:
    """The fits of one training, within its time budget."""

    def __init__(
        self, plan: Plan, settings: TrainSettings, checkpoints: Checkpoints | None, watch: Watch, began: float
    ) -> None:
        """`checkpoints` None: nothing is kept of them."""
        from forecaster.models.device import configure

        self.settings, self.checkpoints, self.watch, self.began = settings, checkpoints, watch, began
        self.threads = settings.threads or os.cpu_count() or 1
        self.trainers = Trainers()
        watch.note(f"fitting on the {configure(settings.device, self.threads)}")

    def both(self, plan: Plan, panel: Panel, parts: Split) -> Stages:
        """Answer the plan's questions, fit before the test windows and, where asked and possible, on all rows."""
        if parts.trial:
            plan = settle(plan, panel, parts.trial, self.fit_all, self.watch)
            if self.settings.cell == "auto":
                plan = choose_cell(plan, parts.trial, self.fit_all, self.watch)
        for line in plan_lines(plan.rows):
            self.watch.note(line)
        plan, jobs = replace(plan, judged_floor=plan.floor), plan.jobs
        # Early stopping needs windows to stop by; without it the judged fit may use the rows of those windows, too.
        task = parts.trial if plan.fit.patience and parts.trial else parts.judge
        if task is None:
            self.watch.warn("too few rows to hold any back: the model is not judged")
            return Stages(plan, None, self.fit_all(FINAL, parts.final, jobs), np.empty((0, 0, plan.horizon)))
        began = time.monotonic()
        judge = self.fit_all(JUDGE, task, jobs)
        seconds = time.monotonic() - began
        final = self._final(parts.final, judge, seconds) if self.settings.final_fit else None
        members = member_forecasts(panel, parts.judged, plan.needs, judge.networks)
        if final:
            bench = Bench(panel, parts.judged, task.scale, task.relative, plan.needs)
            plan = final_floor(plan, bench, combined(members, judge.networks), self.watch)
        return Stages(plan, judge, final, members)

    def _final(self, task: Task, judge: Stage, judge_seconds: float) -> Stage | None:
        """Fit on all rows for as many epochs as were best; None where the judged weights must do."""
        why = "interrupted" if judge.stopped == "interrupted" else ""
        left = self._seconds_left()
        if left is not None and left < judge_seconds:
            why = "the time budget is spent"
        if not why:
            own = [
                (network.settings, replace(course, patience=0, stop_after=max(1, one.best_epoch)))
                for network, course, one in zip(judge.networks, judge.courses, judge.fits, strict=True)
            ]
            final = self.fit_all(FINAL, task, own)
            if final.stopped not in ("interrupted", "time budget"):
                return final
            # Half-way through its schedule it may be worse than the judged weights, and nothing has measured it.
            why = final.stopped
        self.watch.warn(f"{why}: the best weights so far are kept, which have not seen the newest rows")
        return None

    def fit_all(self, stage: str, task: Task, jobs: Sequence[Job]) -> Stage:
        """Fit every network, as many at once as there are processors; a few more share them, so that none idles at the end."""
        from forecaster.models.network import Network

        workers = len(jobs) if len(jobs) < 2 * self.threads else self.threads
        parts = max(self.threads // workers, 1)  # of each batch: one member alone still has every processor
        # Members never share their draws.
        seeded = [replace(fit, seed=fit.seed * 1000 + i) for i, (_, fit) in enumerate(jobs)]
        networks = [Network(network, fit.seed) for (network, _), fit in zip(jobs, seeded, strict=True)]
        together = _Together(self.watch, stage, [fit.stop_after or fit.epochs for _, fit in jobs])
        stop = Event()
        fit_one = partial(fit, stop=stop, parts=parts, trainers=self.trainers)
        _ = task.source.rows  # made once, before there are threads

        def one(i: int) -> Fitted:
            settings = replace(seeded[i], time_budget=self._share(stage, -(-(len(jobs) - i) // workers)))
            watch = together.member(i)
            if stage == TRIAL or self.checkpoints is None:
                return fit_one(networks[i], task, settings, watch, stage)
            start, keep = self.checkpoints.start(stage, i, networks[i]), self.checkpoints.save(stage, i)
            return fit_one(networks[i], task, settings, watch, stage, start=start, checkpoint=keep)

        with ThreadPoolExecutor(workers) as pool:
            running = [pool.submit(one, i) for i in range(len(jobs))]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            except KeyboardInterrupt:
                self.watch.warn("interrupted: stopping after this step")
            if not all(future.done() and not future.exception() for future in running):
                stop.set()
        return _whole(networks, [fit for _, fit in jobs], running, self.watch, keep_diverged=stage == TRIAL)

    def _seconds_left(self) -> float | None:
        budget = self.settings.time_budget
        return None if budget is None else max(budget - (time.monotonic() - self.began), 0.0)

    def _share(self, stage: str, members_left: int) -> float | None:
        """Seconds for one fit: a judged stage may take half of what is left where a final one follows."""
        left = self._seconds_left()
        if left is None:
            return None
        # A trial and a judged fit leave time for what follows them.
        parts = {TRIAL: 4, JUDGE: 2 if self.settings.final_fit else 1}.get(stage, 1)
        return left / members_left / parts


def _whole(
    networks: Sequence[Network],
    courses: Sequence[FitSettings],
    running: Sequence[Future[Fitted]],
    watch: Watch,
    *,
    keep_diverged: bool,
) -> Stage:
    """The members that were fitted. KeyboardInterrupt where none was; any other failure is raised as it is.

    UsageError where all diverged; some that did are left out, and it is said.
    """
    fitted, lost = [], 0
    for network, course, future in zip(networks, courses, running, strict=True):
        error = future.exception()
        if error is not None and not isinstance(error, KeyboardInterrupt):
            raise error
        if error is None and future.result().stopped == "diverged" and not keep_diverged:
            lost += 1
        elif error is None:
            fitted.append((network, course, future.result()))
    if lost:
        watch.warn(f"{lost} of {len(networks)} fits diverged: their loss is no number")
    if lost and not fitted:
        raise UsageError("training diverged: the loss is no number.", "Give a smaller --learning-rate.")
    if not fitted:
        raise KeyboardInterrupt
    kept, how, fits = zip(*fitted, strict=True)
    return Stage(tuple(kept), tuple(fits), tuple(how))


class _Together:
    """Progress of members that are fitted at once, as that of one fit."""

    def __init__(self, watch: Watch, stage: str, epochs: Sequence[int]) -> None:
        self.watch, self.stage, self.epochs = watch, stage, list(epochs)
        self.latest: dict[int, Progress] = {}
        self.began = time.monotonic()
        self.lock = Lock()

    def member(self, i: int) -> Watch:
        """A watch for one member."""
        return _Member(self, i)

    def report(self, member: int, progress: Progress) -> None:
        with self.lock:
            self.latest[member] = progress
            done = sum(one.epoch for one in self.latest.values())
            total = sum(self.epochs)
            spent = time.monotonic() - self.began
            valid = [one.validation_loss for one in self.latest.values() if one.validation_loss is not None]
            loss = sum(one.loss for one in self.latest.values()) / len(self.latest)
            mean = sum(valid) / len(valid) if valid else None
            self.watch.progress(Progress(self.stage, done, total, loss, mean, spent / done * (total - done)))


class _Member:
    """Hands one member's progress on."""

    def __init__(self, together: _Together, member: int) -> None:
        self.together, self.number = together, member

    def note(self, text: str) -> None:
        self.together.watch.note(text)

    def warn(self, text: str) -> None:
        self.together.watch.warn(text)

    def progress(self, progress: Progress) -> None:
        self.together.report(self.number, progress)
