#!/usr/bin/env python3
"""Quantiles learnt one by one beside distributions: errors and intervals of each on windows that nothing was learnt from.

    python benchmarks/distributions.py --root DIR [--sets NAME ...] [--distributions NAME ...] [--seed 0] [--models DIR]

Every set gets the default command with `--distribution`, and its serving weights are judged on test.csv.gz. Prints rows of set,
distribution, transforms, MASE, then WQL, coverage of 80 % and MSIS raw, and the same calibrated.
`--models` keeps the trained models there and uses those that it finds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from intervals import SETS, frames
from processes import forecaster

DISTRIBUTIONS = ("none", "normal", "student-t")
LEVELS = (0.1, 0.5, 0.9)


def measure(name: str, distribution: str, asked: argparse.Namespace, models: Path, work: Path) -> str:
    """One line of the table."""
    from forecaster.backtest import MODEL, judge
    from forecaster.bands import band_scores
    from forecaster.data.windows import rolling
    from forecaster.models.artifact import load_runtime
    from forecaster.open_model import open_model, read_for
    from forecaster.quantiles import stored_bands
    from forecaster.settings import PredictSettings

    then, now = frames(name, asked.root)
    then.to_csv(work / f"{name}.csv", index=False)
    model = f"{name}-{distribution}"
    if not (models / model / "current").exists():
        words = ("--models", models, "--seed", asked.seed, "--distribution", distribution, "--quiet")
        forecaster("train", work / f"{name}.csv", "--horizon", SETS[name].horizon, "--name", model, *words)
    opened = open_model(str(models), model)
    manifest = opened.manifest
    panel = read_for(manifest, now, PredictSettings())
    windows = rolling(panel, panel.offsets[1:], manifest.horizon, 1, manifest.horizon)
    judged = judge(panel, windows, manifest, load_runtime(opened.folder, manifest, "onnx"), learned=False)
    raw = judged.band_scores()
    bands = stored_bands(opened.folder, manifest, PredictSettings(quantiles=LEVELS))
    context = judged.windows(panel).gather(manifest.context_length, 0)
    answers = np.concatenate([judged.forecasts[MODEL][:, :, None], judged.bands], axis=2)
    answers = bands.answer(answers, context, [judged.names[n] for n in judged.series])
    found = band_scores(judged.target, answers[:, :, 1:], LEVELS, judged.scale)
    assert raw and found
    numbers = [f"{judged.scores(MODEL).mase:.3f}"]
    for one in (raw, found):
        numbers += [f"{one.wql:.4f}", f"{one.coverage:.1%}", f"{one.msis:.2f}"]
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
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        for name in asked.sets:
            for distribution in asked.distributions:
                print(measure(name, distribution, asked, asked.models or Path(work) / "models", Path(work)), flush=True)


if __name__ == "__main__":
    main()
