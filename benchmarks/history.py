#!/usr/bin/env python3
"""Calibration from history where holdout windows are few: every series of a panel calibrated as if it were alone.

    python benchmarks/history.py --root DIR --models DIR [--sets NAME ...] [--priors 1 0.8 0.7]

`--models` is the folder that `intervals.py --models` filled, DIR is described in accuracy.py. A series is calibrated on
the errors in its holdout windows, by weights that have not seen them, and on the errors of seasonal naive before these
windows. Its calibrated intervals are then tested on its test window, with the serving weights. Prints rows of set,
prior ratio, coverage of 80 % and 95 %, and the median interval score of both over the mean seasonal difference.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from intervals import LEVELS, frames

from forecaster.config import PredictSettings
from forecaster.data.windows import rolling
from forecaster.evaluation import cross_conformal as conformal
from forecaster.evaluation.cross_conformal import HoldoutErrors, calibrated_quantiles, dense_forecasts, holdout_errors
from forecaster.evaluation.quantile_metrics import coverage, msis
from forecaster.serving.open_model import open_model, read_for
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.stored_graphs import load_runtime, load_test_weights

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray

PAIRS = (((1, 2), 0.8), ((0, 3), 0.95))  # columns of LEVELS, and the nominal coverage


class BenchmarkSet:
    """One set: for each series the errors in its holdout windows, and the panel with its test window."""

    def __init__(self, name: str, root: Path, models: Path) -> None:
        opened = open_model(str(models), name)
        self.manifest = opened.manifest
        self.test_weights = load_test_weights(opened.folder, self.manifest)
        self.serving = load_runtime(opened.folder, self.manifest, "onnx")
        known, whole = frames(name, root)
        series = self.manifest.data.series
        later = dict(tuple(whole.groupby(series, sort=False)))
        self.alone = [self._one(rows, later[name]) for name, rows in known.groupby(series, sort=False)]

    def _one(self, known: pd.DataFrame, whole: pd.DataFrame) -> tuple[HoldoutErrors, Panel]:
        then, now = (read_for(self.manifest, rows, PredictSettings()) for rows in (known, whole))
        dense = dense_forecasts(then, self.manifest, self.test_weights)
        return holdout_errors(dense, self.manifest, self.test_weights), now

    def measure(self) -> str:
        """Coverage and scores of all series together."""
        found = [one for one in (self._test(*pair) for pair in self.alone) if one]
        target, quantile_forecasts, size = (np.concatenate(parts) for parts in zip(*found, strict=True))
        shares, scores = [], []
        for (low, high), nominal in PAIRS:
            shares.append(f"{coverage(target, quantile_forecasts[:, :, low], quantile_forecasts[:, :, high]):.1%}")
            each = [
                msis(
                    target[i : i + 1],
                    quantile_forecasts[i : i + 1, :, low],
                    quantile_forecasts[i : i + 1, :, high],
                    nominal,
                    size[i : i + 1],
                )
                for i in range(len(target))
            ]
            scores.append(f"{np.nanmedian(each):.2f}")
        return f"{', '.join(shares)}; {', '.join(scores)}"

    def _test(self, errors: HoldoutErrors, now: Panel) -> tuple[FloatArray, FloatArray, FloatArray] | None:
        """The test window [1, H], its quantiles [1, H, Q] and its seasonal scale [1]; None if nothing can be learnt."""
        learnt, horizon = errors.learn(), self.manifest.horizon
        windows = rolling(now, now.offsets[1:], horizon, 1, horizon)
        if learnt is None or not len(windows):
            return None
        raw = raw_forecasts(self.serving, self.manifest, now, windows, horizon)
        quantile_forecasts = calibrated_quantiles(learnt, raw, LEVELS)
        return windows.gather(0, horizon), quantile_forecasts, raw.scale(now.season_length)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["hospital", "m1_quarterly", "tourism_monthly"])
    parser.add_argument("--priors", type=float, nargs="+", default=[1.0, 0.8, 0.7])
    arguments = parser.parse_args()
    for name in arguments.sets:
        benchmark_set = BenchmarkSet(name, arguments.root, arguments.models)
        for prior in arguments.priors:
            conformal.PRIOR_RATIO = prior
            print(f"| {name} | {prior:g} | {benchmark_set.measure()} |", flush=True)


if __name__ == "__main__":
    main()
