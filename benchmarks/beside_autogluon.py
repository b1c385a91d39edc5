#!/usr/bin/env python3
"""The default command and AutoGluon-TimeSeries on the same sets, one after the other, with errors, quantile loss and seconds.

    python benchmarks/beside_autogluon.py --root DIR --python AUTOGLUON/bin/python [--sets NAME ...] [--limit 300] [--seed 0]
                                          [--models DIR]

DIR is described in accuracy.py; it also contains

    peer_autogluon.py SET --limit SECONDS --seed N --root DATA      fits, forecasts and prints its scores as one JSON object

which runs in its own interpreter. Both have the whole machine, in turn. `--models` keeps our models. Writes the section
*Beside AutoGluon* of benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
from accuracy import SETS, reported, score, train
from processes import forecaster
from results import write_section

LEVELS = tuple(i / 10 for i in range(1, 10))
PANELS = [name for name in SETS if name != "etth1"]  # their script reads panels


def run(name: str, root: Path, seed: int, work: Path) -> dict[str, float]:
    """The default command's scores, with the quantile loss of nine levels."""
    out = work / f"{name}.csv"
    began = time.perf_counter()
    train(root / "data" / name / "train.csv.gz", name, SETS[name].horizon, seed, work)
    levels = ",".join(map(str, LEVELS))
    forecaster("predict", "--model", name, "--models", work, "--output", out, "--quantiles", levels, "--quiet")
    seconds = time.perf_counter() - began
    loss = quantile_loss(root / "data" / name / "test.csv.gz", out)
    return {**score(name, out, root), "mean_weighted_quantile_loss": loss, "seconds": seconds}


def quantile_loss(test: Path, forecasts: Path) -> float:
    """Mean over the levels of twice the summed pinball loss over the summed absolute values, as GluonTS defines it."""
    import pandas as pd

    actual, found = pd.read_csv(test), pd.read_csv(forecasts)
    for frame in (actual, found):
        frame["step"] = frame.groupby("series").cumcount()
    both = actual.merge(found, on=["series", "step"], validate="one_to_one")
    target = both["target"].to_numpy()
    miss = target[:, None] - both[[str(level) for level in LEVELS]].to_numpy()
    level = np.array(LEVELS)
    return float((2 * np.maximum(level * miss, (level - 1) * miss)).sum(axis=0).mean() / np.abs(target).sum())


def run_autogluon(name: str, root: Path, python: Path, limit: int, seed: int) -> dict[str, float]:
    """The scores that the peer's script prints last."""
    words: list[str | Path] = [
        python,
        root / "peer_autogluon.py",
        name,
        "--limit",
        str(limit),
        "--seed",
        str(seed),
        "--root",
        root / "data",
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def row(name: str, ours: dict[str, float], theirs: dict[str, float]) -> str:
    """One line of the table."""
    measure = SETS[name].measure
    (one, other), (loss, their_loss) = (
        [run[key] for run in (ours, theirs)] for key in (measure, "mean_weighted_quantile_loss")
    )
    cells = [
        name,
        measure.upper(),
        f"**{one:.4f}**" if one <= other else f"{one:.4f}",
        f"**{other:.4f}**" if other < one else f"{other:.4f}",
        f"{one / other:.3f}",
        f"{loss:.4f}",
        f"{their_loss:.4f}",
        f"{loss / their_loss:.3f}",
        f"{ours['seconds']:.0f}",
        f"{theirs['seconds']:.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--python", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=PANELS)
    parser.add_argument("--limit", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.sets:
        with tempfile.TemporaryDirectory() as work:
            models = arguments.models or Path(work)
            ours = reported(f"{name}, ours", run(name, arguments.root, arguments.seed, models))
        theirs = run_autogluon(name, arguments.root, arguments.python, arguments.limit, arguments.seed)
        rows.append(row(name, ours, reported(f"{name}, AutoGluon", theirs)))
        write_section("beside AutoGluon", table(rows, arguments.limit, arguments.seed))  # the next may never end


def table(rows: list[str], limit: int, seed: int) -> str:
    """The whole section."""
    head = "| set | measure | ours | AutoGluon | ours / its | quantile loss | AutoGluon's | ours / its | seconds | AutoGluon's |"
    return "\n".join(
        [
            f"`python benchmarks/beside_autogluon.py`, {date.today():%-d %B %Y}, seed {seed}: the default command (train and "
            f"predict), and AutoGluon-TimeSeries given {limit} s, without pretrained models, in turn on the same 2 cores. "
            "Quantile loss: mean weighted quantile loss over nine levels.",
            "",
            head,
            "|---|---|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


if __name__ == "__main__":
    main()
