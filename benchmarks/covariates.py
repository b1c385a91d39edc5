"""What covariates are worth: bike sharing by the hour, forecast a day ahead, with the weather and without.

    python benchmarks/covariates.py --root DIR [--seeds 0 1 2] [--runs FILE.json]

DIR holds data/bike_sharing/bike_sharing.csv.gz. Target `users`, horizon 24, the last 60 days as rolling test, one day
apart, by networks fitted on the rows before them. Every arm has the same plan; the weather is the one that came, as the
forecasts of the day before are not in the file. The noise is a column of normal draws. FILE.json keeps what has been run, so
that arms and seeds can be run one by one.
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
# The same for every arm: what trial fits would choose must not differ between them.
PLAN = (
    *("--horizon", 24, "--windows", DAYS, "--transform", "log", "--epochs", 12, "--steps-per-epoch", 50),
    *("--learning-rate", 5e-3, "--floor", 0, "--quantiles", "none", "--no-final-fit"),
)


def score(data: Path, arm: tuple[str, ...], seed: int, models: Path) -> dict[str, float]:
    """MASE and MAE on the test, the seasonal naive's MASE, and the seconds that training took."""
    words = ["train", data, "--target", "users", *PLAN, *arm, "--seed", seed, "--models", models, "--json"]
    began = time.perf_counter()
    told = json.loads(forecaster(*words))
    naive = told["baselines"]["seasonal-naive"]["mase"]
    return {**told["metrics"], "naive": naive, "seconds": time.perf_counter() - began}


def main() -> None:
    import pandas as pd

    parser = argparse.ArgumentParser()
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--runs", type=Path)
    parser.add_argument("--arms", nargs="*", default=list(ARMS))
    given = parser.parse_args()
    with gzip.open(given.root / "data" / "bike_sharing" / "bike_sharing.csv.gz", "rt") as file:
        frame = pd.read_csv(file)
    kept = given.runs and given.runs.exists()
    runs: list[dict[str, float | str]] = json.loads(given.runs.read_text()) if kept else []
    with tempfile.TemporaryDirectory() as work:
        for seed in given.seeds:
            data = Path(work) / f"bike-{seed}.csv"
            frame.assign(noise=np.random.default_rng(seed).normal(size=len(frame))).to_csv(data, index=False)
            for arm in given.arms:
                one = score(data, ARMS[arm], seed, Path(work) / "models")
                runs.append({"arm": arm, "seed": seed, **one})
                print(f"seed {seed}, {arm}: MASE {one['mase']:.4f}, {one['seconds']:.0f} s", flush=True)
                if given.runs:
                    given.runs.write_text(json.dumps(runs))
    found = {arm: [one for one in runs if one["arm"] == arm] for arm in ARMS}
    if len({tuple(sorted(int(one["seed"]) for one in of)) for of in found.values()}) == 1:
        write_section("covariates", table(found))


def table(found: dict[str, list[dict[str, float | str]]]) -> str:
    """The section of RESULTS.md."""
    mase = {arm: float(np.mean([one["mase"] for one in runs])) for arm, runs in found.items()}
    plain, full, noisy, kept = mase.values()
    lines = [
        f"bike_sharing, `users`, horizon 24, the last {DAYS} days as rolling test, mean of the seeds, one plan for all: "
        "the default four networks, 600 steps (`python benchmarks/covariates.py --root DIR`). The weather is the one that came.",
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
        f"Seasonal naive: {naive:.3f}. Against without, the covariates cut MASE by {1 - full / plain:.1%} (asked: 15% at "
        f"least); the noise then changes it by {noisy / full - 1:+.1%} (asked: 2% at most), as it is left out, and kept with "
        f"--no-screen by {kept / full - 1:+.1%}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
