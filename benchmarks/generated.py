#!/usr/bin/env python3
"""Never worse than naive: 100 made series of ten kinds, each trained by the default command and forecast 12 rows ahead.

    python benchmarks/generated.py [--each 10] [--kinds NAME ...] [--seed 0] [--journal FILE]

Each series has 150 monthly rows; the 12 rows after them are unseen. The table has, for each kind, the mean absolute error that
is served over that of the kind's better naive forecast (the last value or the last season), the worst series, and the share of
the unseen rows within the 80 % interval. A series counts as silent where naive is 5 % better on its test windows and the
verdict has no warning. Writes the section "generated series" of RESULTS.md where all kinds are run with 10 series each.
One training takes about 25 s on 2 idle cores: 45 minutes for all. With --journal a run goes on where an earlier one was stopped.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from results import write_section

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

ROWS, HORIZON, SEASON = 150, 12, 12
Made: TypeAlias = "Callable[[np.random.Generator, FloatArray], FloatArray]"


def season(rng: np.random.Generator, t: FloatArray) -> FloatArray:
    """A season of 12 steps with two harmonics."""
    first, second = rng.uniform(0, 2 * np.pi, 2)
    return np.asarray(np.sin(2 * np.pi * t / SEASON + first) + 0.5 * np.sin(4 * np.pi * t / SEASON + second))


def walk(rng: np.random.Generator, t: FloatArray) -> FloatArray:
    """A random walk with steps of deviation 1."""
    return np.asarray(rng.normal(size=len(t)).cumsum())


KINDS: dict[str, Made] = {
    "trend": lambda rng, t: 50 + rng.uniform(0.2, 1.0) * t + rng.normal(size=len(t)),
    "season": lambda rng, t: 100 + 10 * season(rng, t) + rng.normal(size=len(t)),
    "trend and season": lambda rng, t: 50 + rng.uniform(0.1, 0.5) * t + 8 * season(rng, t) + rng.normal(size=len(t)),
    "steps": lambda rng, t: 20 + 15 * (t[:, None] > rng.integers(20, len(t), 4)).sum(axis=1) + rng.normal(size=len(t)),
    "spikes": lambda rng, t: 30 + rng.normal(size=len(t)) + 60 * (rng.random(len(t)) < 0.05),
    "intermittent": lambda rng, t: rng.poisson(3, len(t)) * (rng.random(len(t)) < 0.3).astype(float),
    "random walk": lambda rng, t: 100 + walk(rng, t),
    "cumulative meter": lambda rng, t: 8e9 + (20 + 5 * season(rng, t) + rng.normal(size=len(t))).clip(0).cumsum(),
    "growth": lambda rng, t: (
        20 * np.exp(rng.uniform(0.01, 0.025) * t) * (1 + 0.1 * season(rng, t) + 0.02 * walk(rng, t) / 5)
    ),
    "noise": lambda rng, t: 40 + 5 * rng.normal(size=len(t)),
}


@dataclass(frozen=True)
class Outcome:
    """What became of one series."""

    served: float  # mean absolute error over the unseen rows
    last: float
    seasonal: float
    covered: float  # share of the unseen rows within the 80 % interval
    silent: bool  # naive was 5 % better on the test windows, without a warning
    method: str


def outcome(values: FloatArray, seed: int, models: str) -> Outcome:
    """Train on all but the last rows, and forecast these."""
    import pandas as pd

    from forecaster.commands.train import train
    from forecaster.config import PredictSettings, TrainSettings
    from forecaster.evaluation.verdict import verdict_of
    from forecaster.serving.predict import predict
    from forecaster.typing import Silent

    stamps = pd.date_range("2010-01-01", periods=len(values), freq="MS")
    known = pd.DataFrame({"timestamp": stamps, "target": values})[:-HORIZON]
    done = train(known, TrainSettings(models=models, name="one", horizon=HORIZON, seed=seed), Silent())
    made = predict(known, PredictSettings(models=models, model="one"), Silent())
    actual, seen = values[-HORIZON:], values[:-HORIZON]
    low, high = made.quantile_forecasts[0, :, 0], made.quantile_forecasts[0, :, -1]
    naive = min(one.mase for who, one in done.report.baselines.items() if "naive" in who) if done.report else np.nan
    worse = bool(done.report and done.report.metrics.mase > 1.05 * naive)
    return Outcome(
        served=float(np.abs(made.prediction[0] - actual).mean()),
        last=float(np.abs(seen[-1] - actual).mean()),
        seasonal=float(np.abs(seen[-SEASON:] - actual).mean()),
        covered=float(((low <= actual) & (actual <= high)).mean()),
        silent=bool(worse and not verdict_of(done.report).warning),
        method=done.method,
    )


def line(kind: str, found: list[Outcome]) -> str:
    """One row of the table."""
    served, last, seasonal = (
        np.array([getattr(one, name) for one in found]) for name in ("served", "last", "seasonal")
    )
    naive, name = (last, "last value") if last.mean() <= seasonal.mean() else (seasonal, "last season")
    ratio = served.mean() / naive.mean()
    worst = (served / np.maximum(naive, 1e-12)).max()
    cells = [kind, len(found), name, f"{ratio:.2f}", f"{worst:.2f}", f"{np.mean([o.covered for o in found]):.0%}"]
    return f"| {' | '.join(map(str, [*cells, sum(one.silent for one in found)]))} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=10)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    arguments = parser.parse_args()
    done: dict[str, Outcome] = {}
    if arguments.journal and arguments.journal.exists():
        for entry in map(json.loads, arguments.journal.read_text(encoding="utf-8").splitlines()):
            done[entry["series"]] = Outcome(**entry["outcome"])
    rows, every = [], []
    for kind in arguments.kinds:
        found = []
        for i in range(arguments.each):
            rng = np.random.default_rng((list(KINDS).index(kind), i))
            values = KINDS[kind](rng, np.arange(float(ROWS + HORIZON)))
            series = f"{kind} {i}, seed {arguments.seed}"
            if series not in done:
                with tempfile.TemporaryDirectory() as models:
                    done[series] = outcome(values, arguments.seed, models)
                if arguments.journal:
                    with arguments.journal.open("a", encoding="utf-8") as file:
                        file.write(json.dumps({"series": series, "outcome": asdict(done[series])}) + "\n")
            found.append(done[series])
            print(f"  {kind} {i}: {found[-1]}", flush=True)
        every += found
        rows.append(line(kind, found))
        print(rows[-1], flush=True)
    rows.append(
        f"| all |  |  |  |  | {np.mean([one.covered for one in every]):.0%} | {sum(one.silent for one in every)} |"
    )
    table = "\n".join(
        [
            "`python benchmarks/generated.py`, the default command, one seed: made series of 150 rows, then 12 unseen rows.",
            "",
            "| kind | series | better naive | served over naive | worst series | within 80 % | silent |",
            f"|{'---|' * 7}",
            *rows,
        ]
    )
    if arguments.each == 10 and set(arguments.kinds) == set(KINDS):
        write_section("generated series", table)
    print(table)


if __name__ == "__main__":
    main()
