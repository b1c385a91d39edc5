"""The command `compare`: every cell with the same plan, rows and test windows. Nothing is stored."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.commands.open_engine import open_engine
from forecaster.commands.peak_memory import PeakMemory
from forecaster.commands.train import read
from forecaster.config import one_network
from forecaster.engines.work import Lost
from forecaster.errors import DataError, UsageError
from forecaster.evaluation.backtest import baseline_forecasts
from forecaster.evaluation.bootstrap import Paired, paired
from forecaster.evaluation.gradient_norms import NetworkMemory, network_memory
from forecaster.evaluation.holdout import make_holdout
from forecaster.evaluation.metrics import METRICS
from forecaster.models.device import require_tensorflow
from forecaster.plotting.memory_plot import check_memory_plot, memory_figure, memory_plot
from forecaster.serving.plan_rows import PlanRow, plan_lines
from forecaster.storage.files import replace_output
from forecaster.training.auto_plan import draft_plan
from forecaster.training.checkpoints import NoCheckpoints
from forecaster.training.fit_members import EnsembleFitter
from forecaster.training.fit_types import MemberFit
from forecaster.training.memory_forecasts import forecasts
from forecaster.training.plan import Plan
from forecaster.training.selection import SELECTION_STAGE, select_settings
from forecaster.training.split import split
from forecaster.typing import Silent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from forecaster.config import CompareSettings, TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.engines.work import Engine
    from forecaster.evaluation.holdout import Holdout
    from forecaster.evaluation.metrics import Scores
    from forecaster.training.fit_types import Task
    from forecaster.typing import Data, FloatArray, IntArray, Json, Watch


COMPARED = ("cell", "bidirectional", "floor", "members")  # rows of the plan that differ between cells
SURE, LIKELY = 0.975, 0.8  # shares of the bootstrap's draws
SAME_TIME = 1.25  # times as long as the fastest: less is noise of the machine
MIN_DRAWN = 8  # series or windows; fewer are too few to estimate how errors vary


@dataclass(frozen=True)
class Entry:
    """One cell's row."""

    name: str
    cell: str
    bidirectional: bool
    parameters: int
    seconds_per_epoch: float
    peak_memory: int  # bytes, of the whole process while this cell was fitted
    scores: tuple[Scores, ...]  # one for each seed
    errors: FloatArray  # [S, W] each window's error with each seed
    memory: NetworkMemory | None = None  # of the last seed's network; None: not asked for, or it diverged

    @property
    def error(self) -> float:
        """Mean over windows and seeds; infinite where a fit diverged or no window has an error."""
        known = self.window_errors[~np.isnan(self.window_errors)]
        return float(known.mean()) if len(known) else float("inf")

    @property
    def window_errors(self) -> FloatArray:
        """[W] mean over seeds."""
        return np.asarray(self.errors.mean(axis=0))

    def score(self, name: str) -> float:
        """Mean over seeds."""
        return float(np.mean([getattr(one, name) for one in self.scores]))

    def to_json(self) -> dict[str, Json]:
        """The row, with the scores of each seed."""
        return {
            "cell": self.cell,
            "bidirectional": self.bidirectional,
            "parameters": self.parameters,
            "seconds_per_epoch": self.seconds_per_epoch,
            "peak_memory_bytes": self.peak_memory,
            "metrics": {name: self.score(name) for name in METRICS},
            **({"memory": self.memory.to_json()} if self.memory else {}),
            "by_seed": [dict(one.to_json()) for one in self.scores],
        }


@dataclass(frozen=True)
class Comparison:
    """The compared cells, best first."""

    entries: tuple[Entry, ...]
    baselines: Mapping[str, Scores]
    lead: Paired | None  # the first against the second
    plan: tuple[PlanRow, ...]
    about: Mapping[str, Json]  # horizon, windows and the like
    windows: Windows  # W, on which the errors are

    def __repr__(self) -> str:
        return f"<Comparison: {self.sentence}>"

    def on(self, windows: IntArray, seeds: slice | Sequence[int] = slice(None)) -> Comparison:
        """The comparison on some of its windows and seeds alone; scores stay those of all."""
        entries = [replace(entry, errors=entry.errors[seeds][:, windows]) for entry in self.entries]
        chosen = self.windows.take(windows)
        best_first, lead = _ranked(entries, chosen.series)
        return replace(self, entries=best_first, lead=lead, windows=chosen)

    @property
    def memories(self) -> tuple[NetworkMemory, ...]:
        """The memory of each cell, where it was asked for."""
        return tuple(entry.memory for entry in self.entries if entry.memory)

    def plot_memory(self) -> Figure:
        """The cells' gradients through time, beside each other, as a figure of matplotlib.

        UsageError where they were not asked for (`memory=True`), or matplotlib is not installed.
        """
        if not self.memories:
            raise UsageError("plot_memory() has no gradients to draw.", "Give compare() memory=True.")
        return memory_figure(self.memories)

    @property
    def sentence(self) -> str:
        """Which cell to take, how sure that is, what it costs, and whether a baseline is as good."""
        return self._choice() + self._cost() + self._caution() + self._unknown()

    def _cost(self) -> str:
        """The time of the choice compared with the fastest cell, and what the fastest loses."""
        first = self.entries[0]
        known = [entry for entry in self.entries if math.isfinite(entry.seconds_per_epoch)]
        fastest = min(known, key=lambda entry: entry.seconds_per_epoch, default=first)
        if len(self.entries) < 2 or not fastest.seconds_per_epoch > 0.0 or not first.seconds_per_epoch > 0.0:
            return ""
        times = first.seconds_per_epoch / fastest.seconds_per_epoch
        if fastest is first or times < SAME_TIME:
            return " None trains clearly faster."
        more = fastest.error / first.error - 1.0 if first.error > 0.0 else 0.0
        loses = f", with an error {more:.1%} higher" if math.isfinite(more) else ""
        return f" It takes {times:.2g} times as long to train as {fastest.name}, the fastest{loses}."

    def _caution(self) -> str:
        """A warning where a baseline has no higher error."""
        known = {name: scores.mase for name, scores in self.baselines.items() if math.isfinite(scores.mase)}
        name, lowest = min(known.items(), key=lambda item: item[1], default=("", math.inf))
        if not known:
            return ""
        own = self.entries[0].score("mase")
        if own < lowest:
            return ""
        return f" But {name} has no higher error: MASE {lowest:.3g}, compared with {own:.3g}."

    def _unknown(self) -> str:
        """A hint where windows make the choice likely, but each cell was fitted once."""
        lead = self.lead
        if lead is None or lead.drawn < MIN_DRAWN or lead.ahead < LIKELY or len(self.entries[0].errors) > 1:
            return ""
        return " Each was fitted once: --seeds 3 shows whether chance made the difference."

    def _choice(self) -> str:
        first, *others = self.entries
        if not others:
            return f"Take {first.name}: nothing else was tried."
        if self.lead is None:
            return f"Take {first.name}, but nothing is sure: too few windows to compare it with {others[0].name}."
        lead = self.lead
        sure = "sure" if lead.ahead >= SURE else "likely, not sure" if lead.ahead >= LIKELY else "not sure at all"
        if lead.drawn < MIN_DRAWN:
            sure = "so few windows make nothing sure"
        return (
            f"Take {first.name}: its error is {-lead.difference:.1%} below that of {others[0].name}, the next best "
            f"(95% of draws between {-lead.high:.1%} and {-lead.low:.1%}), and lower in {lead.won:.0%} of {lead.windows} "
            f"windows and {lead.ahead:.0%} of draws: {sure}."
        )

    def to_json(self) -> dict[str, Json]:
        """All of it."""
        first = self.entries[0]
        return {
            **self.about,
            "cells": [entry.to_json() for entry in self.entries],
            "baselines": {name: dict(scores.to_json()) for name, scores in self.baselines.items()},
            "take": {"cell": first.cell, "bidirectional": first.bidirectional, "because": self.sentence},
            "lead": dict(self.lead.to_json()) if self.lead else None,
            "plan": [{"setting": row.setting, "value": row.value, "reason": row.reason} for row in self.plan],
        }


def compare(data: Data, settings: CompareSettings, watch: Watch) -> Comparison:
    """Fit every cell on the rows before the test windows, and compare the cells and the baselines on these windows.

    A GRU settles the transform and the training schedule on validation windows, for all cells. DataError where there are
    too few rows for test windows.
    """
    check_memory_plot(settings.plot_memory)
    require_tensorflow()
    began, data = time.monotonic(), settings.source(data)
    panel = read(data, settings, watch)
    with open_engine(settings) as engine:
        return _compared(panel, settings, watch, began, engine)


def _compared(panel: Panel, settings: CompareSettings, watch: Watch, began: float, engine: Engine) -> Comparison:
    """As `compare`, of a panel."""
    own = one_network(settings, bidirectional=None)
    draft = draft_plan(panel, own)
    plan = draft.plan
    parts = split(panel, plan.needs, plan.windows)
    if parts.test is None:
        raise DataError(f"{panel.source}: too few rows for test windows: nothing to compare on.", "Give more history.")
    fitting = EnsembleFitter(own, NoCheckpoints(), watch, began, engine)
    if parts.selection:
        plan = select_settings(draft, panel, parts.selection, fitting.fit_all, watch)
    rows = tuple(row for row in plan.rows if row.setting not in COMPARED)
    for line in plan_lines(rows):
        watch.note(line)
    holdout = make_holdout(panel, parts.test_windows, horizon=plan.horizon, context_length=plan.context_length)
    of_baselines = baseline_forecasts(holdout, learned=settings.baselines == "all")
    baselines = {name: holdout.scores(forecast) for name, forecast in of_baselines.items()}
    cells = []
    for bidirectional in (False, True) if settings.bidirectional is None else (settings.bidirectional,):
        for cell in settings.cells:
            alone = plan.with_cell(cell, "")
            members = tuple(replace(one, bidirectional=bidirectional) for one in alone.members)
            cells.append(replace(alone, members=members))
    candidates = _Candidates(replace(own, threads=fitting.threads), settings, parts.test, holdout)
    entries = _entries(cells, candidates, fitting, watch)
    about: dict[str, Json] = {
        "horizon": plan.horizon,
        "context_length": plan.context_length,
        "freq": panel.freq.name,
        "season_length": panel.season_length,
        "windows": len(holdout.target),
        "seeds": settings.seeds,
        "seconds": round(time.monotonic() - began, 2),
    }
    best_first, lead = _ranked(entries, holdout.windows.series)
    found = Comparison(best_first, baselines, lead, rows, about, holdout.windows)
    if settings.plot_memory:
        replace_output(settings.plot_memory, memory_plot(found.memories, settings.plot_memory), watch.warn)
    return found


@dataclass(frozen=True)
class _Candidates:
    """What the fits of all cells share."""

    own: TrainSettings
    settings: CompareSettings
    task: Task
    holdout: Holdout


def _entries(plans: Sequence[Plan], candidates: _Candidates, fitting: EnsembleFitter, watch: Watch) -> list[Entry]:
    """The entry of each cell's plan, in their order: one after the other here, or each by a worker, or here where it failed."""
    entries: dict[int, Entry] = {}
    if fitting.engine.elsewhere:
        places = range(len(plans))
        for i, found in fitting.engine.run(_entry_elsewhere, candidates, places, plans.__getitem__, ahead=0):
            if isinstance(found, Lost):
                watch.warn(f"{plans[i].members[0].label} is fitted here: {found.why}")
            else:
                entries[i] = found
                watch.note(f"{found.name}: MASE {found.score('mase'):.4g}")
    for i, plan in enumerate(plans):
        if i not in entries:
            own = fitting.engine.elsewhere  # a fitter that keeps to this process
            entries[i] = _entry_elsewhere(candidates, plan) if own else _entry(plan, candidates, fitting)
            watch.note(f"{entries[i].name}: MASE {entries[i].score('mase'):.4g}")
    return [entries[i] for i in range(len(plans))]


def _entry_elsewhere(candidates: _Candidates, plan: Plan) -> Entry:
    """A cell's entry, by a worker: its memory and seconds are those there."""
    own = replace(candidates.own, engine="local", ray_address=None, workers=None, device="cpu")
    return _entry(plan, candidates, EnsembleFitter(own, NoCheckpoints(), Silent(), time.monotonic()))


def _ranked(entries: Sequence[Entry], series: IntArray) -> tuple[tuple[Entry, ...], Paired | None]:
    """The entries, lowest error first, and the first compared with the second on windows of `series` [W]."""
    ordered = sorted(entries, key=lambda entry: entry.error)
    lead = paired(ordered[0].errors, ordered[1].errors, series) if len(ordered) > 1 else None
    return tuple(ordered), lead


def _entry(plan: Plan, candidates: _Candidates, fitting: EnsembleFitter) -> Entry:
    """One cell, fitted on the task and tested on the holdout with each seed."""
    network, settings, holdout = plan.members[0], candidates.settings, candidates.holdout
    scores, errors, seconds, parameters = [], [], [], 0
    with PeakMemory() as memory:
        for seed in range(settings.seeds):
            member = MemberFit(network, replace(plan.fit, seed=plan.fit.seed + seed))
            stage = fitting.fit_all(SELECTION_STAGE, candidates.task, [member])
            if stage.stopped == "interrupted":
                raise KeyboardInterrupt
            history = stage.fits[0].history
            ends = [0.0, *(epoch.seconds for epoch in history)]
            # The first epoch also compiles the graph.
            seconds.append(float(np.median(np.diff(ends[1:] if len(ends) > 2 else ends))) if history else float("nan"))
            parameters = stage.networks[0].parameters
            found = fitting.settings.limits.hold(forecasts(holdout.panel, holdout.windows, plan.needs, stage.networks))
            scores.append(holdout.scores(found))
            errors.append(holdout.window_errors(found))
    remembered = None
    if settings.memory and stage.stopped != "diverged":
        remembered = network_memory(network.label, stage.networks[0], holdout.panel, holdout.windows, plan.needs)
    return Entry(
        name=network.label,
        memory=remembered,
        cell=network.cell,
        bidirectional=network.bidirectional,
        parameters=parameters,
        seconds_per_epoch=float(np.mean(seconds)),
        peak_memory=memory.bytes,
        scores=tuple(scores),
        errors=np.array(errors),
    )
