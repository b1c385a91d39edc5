#!/usr/bin/env python3
"""Quantiles learnt one by one compared with distributions: errors and intervals of each on test windows.

    python benchmarks/distributions.py --root DIR [--sets NAME ...] [--distributions NAME ...] [--seed 0] [--models DIR]

Every set gets the default command with `--distribution`; the scores of its serving weights come from test.csv.gz. DIR
is described in accuracy.py. Prints rows of set, distribution, transforms, MASE, then WQL, coverage of 80 % and MSIS of
raw quantiles, and the same of calibrated ones. `--models` keeps the trained models and uses those that are there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from intervals import SETS, frames
from processes import forecaster

DISTRIBUTIONS = ("none", "normal", "student-t")
LEVELS = (0.1, 0.5, 0.9)


def measure(name: str, distribution: str, arguments: argparse.Namespace, models: Path, work: Path) -> str:
    """One line of the table."""
    from forecaster.config import PredictSettings
    from forecaster.data.windows import rolling
    from forecaster.evaluation.holdout import make_holdout
    from forecaster.evaluation.quantile_metrics import quantile_scores
    from forecaster.serving.open_model import open_model, read_for
    from forecaster.serving.quantile_source import quantile_source
    from forecaster.serving.raw_forecasts import raw_forecasts
    from forecaster.serving.stored_graphs import load_runtime

    then, now = frames(name, arguments.root)
    then.to_csv(work / f"{name}.csv", index=False)
    model = f"{name}-{distribution}"
    if not (models / model / "current").exists():
        words = ("--models", models, "--seed", arguments.seed, "--distribution", distribution, "--quiet")
        forecaster("train", work / f"{name}.csv", "--horizon", SETS[name].horizon, "--name", model, *words)
    opened = open_model(str(models), model)
    manifest = opened.manifest
    panel = read_for(manifest, now, PredictSettings())
    windows = rolling(panel, panel.offsets[1:], manifest.horizon, 1, manifest.horizon)
    holdout = make_holdout(panel, windows, horizon=manifest.horizon, context_length=manifest.context_length)
    runtime = load_runtime(opened.folder, manifest, "onnx")
    made = raw_forecasts(runtime, manifest, panel, holdout.windows, manifest.horizon)
    target, scale = holdout.target, holdout.seasonal_scale
    raw = quantile_scores(target, made.values[:, :, 1:], manifest.quantiles, scale)
    quantile_forecasts = quantile_source(opened.folder, manifest, PredictSettings(quantiles=LEVELS))
    answers = quantile_forecasts.answer(made)
    found = quantile_scores(target, answers[:, :, 1:], LEVELS, scale)
    assert raw and found
    numbers = [f"{holdout.scores(made.values[:, :, 0]).mase:.3f}"]
    for one in (raw, found):
        numbers += [f"{one.wql:.4f}", f"{one.empirical_coverage:.1%}", f"{one.msis:.2f}"]
    transform = "/".join(member.transform for member in manifest.members)
    return f"| {name} | {distribution} | {transform} | {' | '.join(numbers)} |"


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["hospital", "m1_quarterly"])
    parser.add_argument("--distributions", nargs="+", default=list(DISTRIBUTIONS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--models", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        for name in arguments.sets:
            for distribution in arguments.distributions:
                print(
                    measure(name, distribution, arguments, arguments.models or Path(work) / "models", Path(work)),
                    flush=True,
                )


if __name__ == "__main__":
    main()
