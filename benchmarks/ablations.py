#!/usr/bin/env python3
"""What each default is worth: one network of the automatic plan, and the same with one setting changed, seed by seed.

    python benchmarks/ablations.py --root DIR [--seeds 0 1 2] [--sets NAME ...] [--changes NAME ...] [--runs FILE.json]
    python benchmarks/ablations.py --root DIR --regularisation

DIR is described in accuracy.py. Only the training rows of a set are read; the scores come from the latest windows of
these rows, as those of `train` do. Transform and training schedule are chosen once, by model selection with seed 0, and
stay for every change. FILE.json keeps finished runs, so that the benchmark can run in parts. Writes the section of
ablations in benchmarks/ABLATIONS.md. `--regularisation` measures weight decay, recurrent dropout, the forget bias, optimizers,
clipping and truncation instead, on a GRU and an LSTM with the same small budget in place of a selected schedule, and writes a
section of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from accuracy import KNOWN, SETS, wide_etth1
from results import ABLATIONS, write_section

from forecaster.training.split import split

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.network import Network
    from forecaster.training.plan import Plan
    from forecaster.typing import FloatArray

Values: TypeAlias = "Mapping[str, str | int | float | bool | tuple[float, ...]]"  # of settings, by name

DEFAULT = "the default"
# Each default, and an alternative. An alternative that a set's plan has already is left out for that set.
CHANGES: dict[str, Values] = {
    "cell rnn": {"cell": "rnn"},
    "cell lstm": {"cell": "lstm"},
    "bidirectional": {"bidirectional": True},
    "two layers": {"layers": 2},
    "32 units": {"units": 32},
    "128 units": {"units": 128},
    "no dropout": {"dropout": 0.0},
    "dropout .3": {"dropout": 0.3},
    "centre mean": {"center": "mean"},
    "centre last": {"center": "last"},
    "no linear path": {"linear": False},
    "no calendar": {"calendar": False},
    "loss mse": {"loss": "mse"},
    "loss huber": {"loss": "huber"},
    "head seq2seq": {"head": "seq2seq"},
    "batches of 64": {"batch_size": 64},
    "batches of 256": {"batch_size": 256},
    "constant rate": {"schedule": "constant"},
    "gradients not clipped": {"clip_norm": 0.0},
    "no quantiles": {"quantiles": ()},
}
# Measured with REGULARISATION_BUDGET: the first three on each cell, the others on one.
REGULARISATION: dict[str, Values] = {
    "AdamW, weight decay .01": {"optimizer": "adamw", "weight_decay": 0.01},
    "AdamW, weight decay .1": {"optimizer": "adamw", "weight_decay": 0.1},
    "recurrent dropout .2": {"recurrent_dropout": 0.2},
    "forget bias 0": {"forget_bias": 0.0},
    "forget bias 2": {"forget_bias": 2.0},
    "Nadam": {"optimizer": "nadam"},
    "RMSprop": {"optimizer": "rmsprop"},
    "SGD with momentum, ten times the rate": {"optimizer": "sgd", "learning_rate": 5e-2},
    "gradients clipped at .1 by value": {"clip_value": 0.1},
    "gradients go back 1 recurrent step": {"truncate": 1},
}
OF_ONE_CELL = {change: "lstm" if "forget" in change else "gru" for change in list(REGULARISATION)[3:]}
REGULARISED = ("hospital", "m1_quarterly")
REGULARISATION_BUDGET: Values = {
    "epochs": 8,
    "steps_per_epoch": 50,
    "batch_size": 64,
    "learning_rate": 5e-3,
    "transform": "log",
}
LENGTHS = {"half the context": 0.5, "twice the context": 2.0}


def frame(name: str, root: Path) -> pd.DataFrame:
    """The rows that the set is trained on."""
    import pandas as pd

    return wide_etth1(root).iloc[:KNOWN] if name == "etth1" else pd.read_csv(root / "data" / name / "train.csv.gz")


class BenchmarkSet:
    """One set: its rows, and the automatic plan of a single network after model selection."""

    def __init__(self, name: str, root: Path, **given: str | float | tuple[float, ...]) -> None:
        """`given`: options of `train` that come before the automatic plan."""
        from forecaster.commands.train import read
        from forecaster.config import TrainSettings
        from forecaster.training.auto_plan import draft_plan
        from forecaster.training.checkpoints import NoCheckpoints
        from forecaster.training.fit_members import EnsembleFitter
        from forecaster.training.selection import select_settings
        from forecaster.typing import Silent

        self.base = TrainSettings(horizon=SETS[name].horizon, members=1, floor=0.0, **given)  # type: ignore[arg-type]
        self.panel: Panel = read(frame(name, root), self.base, Silent())
        draft = draft_plan(self.panel, self.base)
        plan = draft.plan
        self.fitting = EnsembleFitter(self.base, NoCheckpoints(), Silent(), time.monotonic())
        task = split(self.panel, plan.needs, plan.windows).selection
        self.plan = select_settings(draft, self.panel, task, self.fitting.fit_all, Silent()) if task else plan

    def changed(self, change: str) -> Plan | None:
        """The plan with this change; None if the change has no effect."""
        from forecaster.training.auto_plan import draft_plan

        member, fit = self.plan.members[0], self.plan.fit
        selected: Values = {
            "transform": member.transform,
            "error_scale": fit.error_scale,
            "epochs": fit.epochs,
            "steps_per_epoch": fit.steps_per_epoch,
            "learning_rate": fit.learning_rate,
        }
        other = dict({**CHANGES, **REGULARISATION}.get(change, {}))
        if change in LENGTHS:
            segments = max(round(member.context_length / member.segment * LENGTHS[change]), 1)
            other["context_length"] = member.segment * segments
        plan = draft_plan(self.panel, replace(self.base, **{**selected, **other})).plan  # type: ignore[arg-type]
        same = (plan.members, plan.fit, plan.calendar) == (self.plan.members, fit, self.plan.calendar)
        return None if same and change != DEFAULT else plan

    def errors(self, plan: Plan, seeds: Sequence[int]) -> list[float]:
        """MASE on the test windows, one fit for each seed; infinite if it diverged."""
        from forecaster.training.fit_types import MemberFit
        from forecaster.training.selection import SELECTION_STAGE

        parts = split(self.panel, plan.needs, plan.windows)
        assert parts.test
        fits = [MemberFit(plan.members[0], replace(plan.fit, seed=seed)) for seed in seeds]
        stage = self.fitting.fit_all(SELECTION_STAGE, parts.test, fits)
        return [
            math.inf if fitted.stopped == "diverged" else self._error(network, plan, parts.test_windows)
            for network, fitted in zip(stage.networks, stage.fits, strict=True)
        ]

    def _error(self, network: Network, plan: Plan, windows: Windows) -> float:
        from forecaster.evaluation.holdout import make_holdout
        from forecaster.training.memory_forecasts import forecasts

        holdout = make_holdout(self.panel, windows, horizon=plan.horizon, context_length=plan.context_length)
        return holdout.scores(forecasts(self.panel, holdout.windows, plan.needs, [network])).mase


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--changes", nargs="+", default=[*CHANGES, *LENGTHS])
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--regularisation", action="store_true")
    arguments = parser.parse_args()
    if arguments.regularisation:
        write_section("regularisation", regularisation(arguments.root, arguments.seeds), ABLATIONS)
        return
    # set -> change -> each seed's error; empty if the change has no effect
    found: dict[str, dict[str, list[float]]] = {}
    if arguments.runs and arguments.runs.exists():
        found = json.loads(arguments.runs.read_text())
    for name in arguments.sets:
        own = found.setdefault(name, {})
        left = [change for change in (DEFAULT, *arguments.changes) if change not in own]
        if not left:
            continue
        benchmark_set = BenchmarkSet(name, arguments.root)
        for change in left:
            plan = benchmark_set.changed(change)
            own[change] = benchmark_set.errors(plan, arguments.seeds) if plan else []
            print(name, change, *(f"{error:.4f}" for error in own[change]), flush=True)
            if arguments.runs:
                arguments.runs.write_text(json.dumps(found))
    write_section("one setting changed", table(found, len(arguments.seeds)), ABLATIONS)


def regularisation(root: Path, seeds: Sequence[int]) -> str:
    """The section: a row for each change, a column for each cell and set."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, cell in itertools.product(REGULARISED, ("gru", "lstm")):
        own = found[f"{name}, {cell}"] = {}
        benchmark_set = BenchmarkSet(name, root, cell=cell, **REGULARISATION_BUDGET)
        for change in (DEFAULT, *REGULARISATION):
            plan = benchmark_set.changed(change) if OF_ONE_CELL.get(change, cell) == cell else None
            own[change] = benchmark_set.errors(plan, seeds) if plan else []
            print(name, cell, change, *(f"{error:.4f}" for error in own[change]), flush=True)
    about = (
        f"`python benchmarks/ablations.py --root DIR --regularisation`: as above, one network, {len(seeds)} seeds, but logs and "
        "400 steps of 64 windows at\nrate .005 for all, so that a fit takes seconds."
    )
    return f"{about}\n\n{rows_of(found, REGULARISATION)}"


def table(found: dict[str, dict[str, list[float]]], seeds: int) -> str:
    """The section: a row for each change, a column for each set."""
    changes = [change for change in (*CHANGES, *LENGTHS) if any(own.get(change) for own in found.values())]
    return "\n".join(
        [
            f"`python benchmarks/ablations.py`: one network of the automatic plan, {seeds} seeds, MASE on the holdout windows",
            "of the training rows, from which nothing was chosen. The rows below show what one changed setting adds to the",
            "error (below 0: the change has a lower error), with the standard error of that difference over the seeds; bold",
            "beyond two standard errors.",
            "",
            rows_of(found, changes),
        ]
    )


def rows_of(found: dict[str, dict[str, list[float]]], changes: Iterable[str]) -> str:
    """The default's error in each column, and what each change adds."""
    first = [f"{np.mean(own[DEFAULT]):.3f} ± {_spread(own[DEFAULT]):.3f}" for own in found.values()]
    rows = [[change, *(_against(own, change) for own in found.values())] for change in changes]
    return "\n".join(
        [
            f"| change | {' | '.join(found)} |",
            f"|{'---|' * (1 + len(found))}",
            *(f"| {' | '.join(row)} |" for row in ([DEFAULT, *first], *rows)),
        ]
    )


def _against(own: dict[str, list[float]], change: str) -> str:
    """What a change adds, in percent; a dash if it has no effect or was not run."""
    if not own.get(change):
        return "–"
    base, other = np.array(own[DEFAULT]), np.array(own[change])
    if not np.isfinite(other).all():
        return "**diverged**"
    added = 100.0 * (other.mean() / base.mean() - 1.0)
    error = 100.0 * math.hypot(_spread(base), _spread(other)) / math.sqrt(len(base)) / base.mean()
    text = f"{added:+.1f} ± {error:.1f} %"
    return f"**{text}**" if abs(added) > 2.0 * error else text


def _spread(errors: Sequence[float] | FloatArray) -> float:
    """Standard deviation over seeds; 0 for a single seed."""
    return float(np.std(errors, ddof=1)) if len(errors) > 1 else 0.0


if __name__ == "__main__":
    main()
