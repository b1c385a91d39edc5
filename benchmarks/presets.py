#!/usr/bin/env python3
"""What `train --preset` costs and gives: processor seconds and the error of each preset on a few sets.

    python benchmarks/presets.py --root DIR [--seed 0] [--sets NAME ...] [--presets NAME ...]

DIR is that of accuracy.py. AirPassengers is the file of this repository; its error is that of the training's own test windows.
Prints the rows of the section of benchmarks/RESULTS.md. Seconds are those of the processors, user and system, as other work may
share them: on two quiet processors a training takes less than that by the clock.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from accuracy import SETS, forecast_and_score
from processes import forecaster, processor_seconds

AIR = Path(__file__).parents[1] / "data" / "AirPassengers.csv"
PRESETS = ("fast", "default", "best")


def run(name: str, preset: str, root: Path, seed: int, work: Path) -> tuple[float, float]:
    """MASE, and processor seconds of `train`."""
    own = name == "AirPassengers"
    data, horizon = (AIR, 12) if own else (root / "data" / name / "train.csv.gz", SETS[name].horizon)
    words = ["--horizon", str(horizon), "--name", name, "--models", work, "--seed", str(seed), "--preset", preset]
    before = processor_seconds()
    done = forecaster("train", data, *words, "--json", "--quiet")
    seconds = processor_seconds() - before
    if own:
        return float(json.loads(done)["metrics"]["mase"]), seconds
    return forecast_and_score(name, root, work)["mase"], seconds


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sets", nargs="+", default=["AirPassengers", "m1_quarterly", "tourism_monthly", "us_births"])
    parser.add_argument("--presets", nargs="+", default=list(PRESETS))
    arguments = parser.parse_args()
    for name in arguments.sets:
        cells = []
        for preset in arguments.presets:
            with tempfile.TemporaryDirectory() as work:
                mase, seconds = run(name, preset, arguments.root, arguments.seed, Path(work))
            cells.append(f"{mase:.4f} | {seconds:.0f}")
            print(f"{name}, {preset}: MASE {mase:.4f}, {seconds:.0f} s", file=sys.stderr, flush=True)
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
