#!/usr/bin/env python3
"""What `train --max-rows` costs in accuracy: the error over all series of models that learnt from a part of them.

    python benchmarks/max_rows.py --root DIR [--seeds 0 1] [--sets NAME ...] [--shares 1 0.5 0.2] [-- OPTION ...]

DIR is that of accuracy.py. Each model is trained by the default command with so many of the rows, whole series sampled evenly by
the seed, and forecasts every series of the set. Prints rows for benchmarks/ABLATIONS.md: the mean of the seeds' MASE over all
series (each in brackets), and the processor seconds of `train`, user and system, as other work may share them. Options after
-- are those of `train`, e.g. `-- --no-pretrained`.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import tempfile
from pathlib import Path
from statistics import mean

from accuracy import SETS, forecast_and_score
from processes import forecaster, processor_seconds


def run(name: str, share: float, seed: int, root: Path, work: Path, more: list[str]) -> tuple[float, float]:
    """MASE over all series, and processor seconds of `train`."""
    data = root / "data" / name / "train.csv.gz"
    with gzip.open(data, "rt", encoding="utf-8") as file:
        rows = sum(1 for _ in csv.reader(file)) - 1
    words = ["--horizon", str(SETS[name].horizon), "--name", name, "--models", work, "--seed", str(seed), *more]
    if share < 1.0:
        words += ["--max-rows", str(int(share * rows))]
    before = processor_seconds()
    forecaster("train", data, *words, "--quiet")
    seconds = processor_seconds() - before
    return forecast_and_score(name, root, work)["mase"], seconds


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--sets", nargs="+", default=["hospital", "m1_quarterly", "tourism_monthly"])
    parser.add_argument("--shares", type=float, nargs="+", default=[1.0, 0.5, 0.2])
    parser.add_argument("options", nargs="*", help="of train")
    arguments = parser.parse_args()
    for name in arguments.sets:
        for share in arguments.shares:
            found = []
            for seed in arguments.seeds:
                with tempfile.TemporaryDirectory() as work:
                    found.append(run(name, share, seed, arguments.root, Path(work), arguments.options))
            each = ", ".join(f"{mase:.4f}" for mase, _ in found)
            error, seconds = (mean(values) for values in zip(*found, strict=True))
            print(f"| {name} | {share:g} | {error:.4f} ({each}) | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
