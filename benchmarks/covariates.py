#!/usr/bin/env python3
"""What covariates are worth: hourly bike sharing, one day ahead, with and without the weather.

    python benchmarks/covariates.py --root DIR [--seeds 0 1 2] [--runs FILE.json]

DIR contains data/bike_sharing/bike_sharing.csv.gz. Target `users`, horizon 24; the last 60 days are the test windows,
one day apart, for networks fitted on the rows before them. Every arm has the same plan. The weather is the observed
weather, as the file has no weather forecasts. The noise is a column of normal draws. FILE.json keeps finished runs, so
that arms and seeds can run one by one. Writes the section of covariates in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from processes import forecaster
from results import write_section

DAYS = 60
WEATHER = ("weather", "temp", "atemp", "hum", "windspeed", "workingday", "holiday")
NOISE = (*WEATHER, "noise")
ARMS: dict[str, tuple[str, ...]] = {
    "without": (),
    "weather and working day": ("--known", ",".join(WEATHER)),
    "and a column of noise": ("--known", ",".join(NOISE)),
    "the noise kept": ("--known", ",".join(NOISE), "--no-screen"),
}
# The same for every arm: model selection might choose differently for each.
PLAN = (
    *("--horizon", 24, "--windows", DAYS, "--transform", "log", "--epochs", 12, "--steps-per-epoch", 50),
    *("--learning-rate", 5e-3, "--floor", 0, "--quantiles", "none", "--no-final-fit"),
)


def score(data: Path, arm: tuple[str, ...], seed: int, models: Path) -> dict[str, float]:
    """MASE and MAE on the test windows, MASE of seasonal naive, and the seconds of training."""
    words = ["train", data, "--target", "users", *PLAN, *arm, "--seed", seed, "--models", models, "--json"]
    began = time.perf_counter()
    report = json.loads(forecaster(*words))
    naive = report["baselines"]["seasonal-naive"]["mase"]
    return {**report["metrics"], "naive": naive, "seconds": time.perf_counter() - began}


def main() -> None:
    """Measure and write the table."""
    import pandas as pd

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--arms", nargs="*", default=list(ARMS))
    arguments = parser.parse_args()
    with gzip.open(arguments.root / "data" / "bike_sharing" / "bike_sharing.csv.gz", "rt") as file:
        frame = pd.read_csv(file)
    kept = arguments.runs and arguments.runs.exists()
    runs: list[dict[str, float | str]] = json.loads(arguments.runs.read_text()) if kept else []
    with tempfile.TemporaryDirectory() as work:
        for seed in arguments.seeds:
            data = Path(work) / f"bike-{seed}.csv"
            frame.assign(noise=np.random.default_rng(seed).normal(size=len(frame))).to_csv(data, index=False)
            for arm in arguments.arms:
                one = score(data, ARMS[arm], seed, Path(work) / "models")
                runs.append({"arm": arm, "seed": seed, **one})
                print(f"seed {seed}, {arm}: MASE {one['mase']:.4f}, {one['seconds']:.0f} s", flush=True)
                if arguments.runs:
                    arguments.runs.write_text(json.dumps(runs))
    found = {arm: [one for one in runs if one["arm"] == arm] for arm in ARMS}
    if len({tuple(sorted(int(one["seed"]) for one in of)) for of in found.values()}) == 1:
        write_section("covariates", table(found))


def table(found: dict[str, list[dict[str, float | str]]]) -> str:
    """The section of RESULTS.md."""
    mase = {arm: float(np.mean([one["mase"] for one in runs])) for arm, runs in found.items()}
    plain, full, noisy, kept = mase.values()
    lines = [
        f"bike_sharing, `users`, horizon 24, the last {DAYS} days as test windows, mean of the seeds, one plan for all: "
        "the default four networks, 600 steps (`python benchmarks/covariates.py --root DIR`). The weather is the observed one.",
        "",
        "| known columns | MASE | each seed |",
        "|---|---|---|",
    ]
    for arm, runs in found.items():
        each = ", ".join(f"{one['mase']:.3f}" for one in sorted(runs, key=lambda one: one["seed"]))
        lines.append(f"| {arm} | {mase[arm]:.3f} | {each} |")
    naive = np.mean([one["naive"] for one in found["without"]])
    lines += [
        "",
        f"Seasonal naive: {naive:.3f}. Against without, the covariates cut MASE by {1 - full / plain:.1%} (required: 15% at "
        f"least); the noise then changes it by {noisy / full - 1:+.1%} (required: 2% at most), as it is left out, and kept with "
        f"--no-screen by {kept / full - 1:+.1%}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
