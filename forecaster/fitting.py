"""The fits of a training: every member, judged and final, at once where there are processors, within the time budget."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from threading import Event, Lock
from typing import TYPE_CHECKING

from forecaster.checkpoints import FINAL, JUDGE, Checkpoints
from forecaster.models.fit import FitSettings, Fitted, Task, fit
from forecaster.publish import Stage
from forecaster.watch import Progress, Watch

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.models.network import Network
    from forecaster.plan import Plan
    from forecaster.split import Split


class Fitting:
    """The fits of one training, within its time budget."""

    def __init__(
        self, plan: Plan, settings: TrainSettings, checkpoints: Checkpoints, watch: Watch, began: float
    ) -> None:
        from forecaster.models.device import configure

        self.plan, self.settings, self.checkpoints, self.watch, self.began = plan, settings, checkpoints, watch, began
        self.context_length = max(member.context_length for member in plan.members)
        self.threads = settings.threads or os.cpu_count() or 1
        # One thread for each member, several members at once: faster than one member on all threads, and repeatable.
        inner = max(1, self.threads // len(plan.members))
        watch.note(f"fitting on the {configure(settings.device, inner)}")

    def both(self, parts: Split) -> tuple[Stage | None, Stage | None]:
        """The judged stage and the final one; None for one that there is not."""
        if parts.judge is None:
            self.watch.warn("too few rows to hold any back: the model is not judged")
            return None, self.stage(FINAL, parts.final, self.plan.fit)
        began = time.monotonic()
        judge = self.stage(JUDGE, parts.judge, self.plan.fit)
        seconds = time.monotonic() - began
        if not self.settings.final_fit:
            return judge, None
        return judge, self._final(parts.final, judge, seconds)

    def _final(self, task: Task, judge: Stage, judge_seconds: float) -> Stage | None:
        """Fit on all rows for as many epochs as were best; None where the judged weights must do."""
        why = "interrupted" if judge.stopped == "interrupted" else ""
        left = self._seconds_left()
        if left is not None and left < judge_seconds:
            why = "the time budget is spent"
        if not why:
            epochs = [max(1, one.best_epoch) for one in judge.fits]
            final = self.stage(FINAL, task, replace(self.plan.fit, patience=0), epochs)
            if final.stopped not in ("interrupted", "time budget"):
                return final
            # Half-way through its schedule it may be worse than the judged weights, and nothing has measured it.
            why = final.stopped
        self.watch.warn(f"{why}: the best weights so far are kept, which have not seen the newest rows")
        return None

    def stage(self, name: str, task: Task, settings: FitSettings, epochs: Sequence[int] = ()) -> Stage:
        """Fit every member, as many at once as there are processors; `epochs` says after how many each one stops."""
        from forecaster.models.network import Network

        count = len(self.plan.members)
        workers = min(count, self.threads)
        seeds = [settings.seed * 1000 + i for i in range(count)]  # members never share their draws
        networks = [Network(member, seed) for member, seed in zip(self.plan.members, seeds, strict=True)]
        together = _Together(self.watch, name, [epochs[i] if epochs else settings.epochs for i in range(count)])
        stop = Event()

        def one(i: int) -> Fitted:
            own = replace(
                settings,
                seed=seeds[i],
                time_budget=self._share(name, -(-(count - i) // workers)),
                stop_after=epochs[i] if epochs else None,
            )
            start, keep = self.checkpoints.start(name, i, networks[i]), self.checkpoints.save(name, i)
            watch = together.member(i)
            return fit(networks[i], task, own, watch, name, start=start, checkpoint=keep, stop=stop)

        with ThreadPoolExecutor(workers) as pool:
            running = [pool.submit(one, i) for i in range(count)]
            try:
                wait(running, return_when=FIRST_EXCEPTION)
            except KeyboardInterrupt:
                self.watch.warn("interrupted: stopping after this step")
            if not all(future.done() and not future.exception() for future in running):
                stop.set()
        return _whole(networks, running)

    def _seconds_left(self) -> float | None:
        budget = self.settings.time_budget
        return None if budget is None else max(budget - (time.monotonic() - self.began), 0.0)

    def _share(self, stage: str, members_left: int) -> float | None:
        """Seconds for one fit: half the budget is for the judged stage where a final one follows."""
        left = self._seconds_left()
        if left is None:
            return None
        return left / members_left / (2 if stage == JUDGE and self.settings.final_fit else 1)


def _whole(networks: Sequence[Network], running: Sequence[Future[Fitted]]) -> Stage:
    """The members that were fitted. KeyboardInterrupt where none was; any other failure is raised as it is."""
    fitted = []
    for network, future in zip(networks, running, strict=True):
        error = future.exception()
        if error is None:
            fitted.append((network, future.result()))
        elif not isinstance(error, KeyboardInterrupt):
            raise error
    if not fitted:
        raise KeyboardInterrupt
    return Stage(tuple(network for network, _ in fitted), tuple(one for _, one in fitted))


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
