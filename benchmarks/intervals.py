#!/usr/bin/env python3
"""Empirical coverage of the intervals, calibrated and raw, on windows that nothing was learnt from.

    python benchmarks/intervals.py --root DIR [--sets NAME ...] [--seeds 0,1,2] [--models DIR]

Every set gets the default command, `forecaster train FILE --horizon H`. Its serving weights are tested on rows that are
not in the file: test.csv.gz, or the last rows of sets that are published as one table. Raw quantiles are trained at 0.1
and 0.9 by default; those of other levels are where a normal distribution with these widths has them, as `--no-calibrate` serves
them. DIR is described in accuracy.py. `--models` keeps the trained models, a folder for each seed, and uses those that are there.
Writes the intervals section of benchmarks/RESULTS.md: medians over the seeds and, of what is served, their spread.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from processes import forecaster
from results import write_section

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.data.panel import Panel
    from forecaster.evaluation.cross_conformal import HoldoutErrors
    from forecaster.serving.manifest import Manifest
    from forecaster.serving.raw_forecasts import RawForecasts
    from forecaster.typing import FloatArray

# Mean weighted quantile loss on m4_hourly: awslabs/gluonts, evaluations/m4_hourly/*.json, read in November 2026.
GLUONTS = {
    "DeepAR": 0.0329,
    "Transformer": 0.0349,
    "ETS": 0.0431,
    "seasonal naive": 0.0483,
    "NPTS": 0.0484,
    "MQ-CNN": 0.0651,
}
LEVELS = (0.025, 0.1, 0.9, 0.975)
MOST_OFF = 0.03  # empirical coverage from nominal coverage


@dataclass(frozen=True)
class Set:
    """A set: its file, its horizon, and the number of its last rows to test on."""

    file: str
    horizon: int
    test_rows: int = 0  # 0: those of its test file
    rows: int | None = None  # of the file that are used at all
    options: tuple[str, ...] = ()


SETS = {
    "hospital": Set("train.csv.gz", 12),
    "m1_quarterly": Set("train.csv.gz", 8),
    "tourism_monthly": Set("train.csv.gz", 24),
    "us_births": Set("train.csv.gz", 30, 360),
    "air_passengers": Set("AirPassengers.csv", 12, 48),
    "bike_sharing": Set("bike_sharing.csv.gz", 24, 60 * 24, options=("--target", "users")),
    "m4_hourly": Set("train.csv.gz", 48),
    "etth1": Set("ETTh1.csv.gz", 96, 2880, 14400),
}


def frames(name: str, root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to train on, and all rows."""
    import pandas as pd

    own, folder = SETS[name], root / "data" / name
    frame = pd.read_csv(folder / own.file).iloc[: own.rows]
    test = folder / "test.csv.gz"
    whole = pd.concat([frame, pd.read_csv(test)]) if test.exists() else frame
    return whole.iloc[: -own.test_rows] if own.test_rows else frame, whole


def train(name: str, data: Path, models: Path, seed: int) -> None:
    """The default command, unless the model is stored already."""
    if (models / name / "current").exists():
        return
    words = ("--horizon", SETS[name].horizon, "--name", name, *SETS[name].options)
    forecaster("train", data, *words, "--models", models, "--seed", seed, "--quiet")


@dataclass(frozen=True)
class Measured:
    """One training of a set, tested: shares of values within the intervals, and sizes over the mean seasonal difference."""

    learnt_from: int  # separate holdout windows
    windows: int  # after the training rows
    holdout: tuple[float, float]  # covered of 80 % and 95 %, on the windows learnt from, each calibrated on others
    covered: tuple[float, float, float]  # on the windows after: of the raw 80 %, of 80 % and of 95 %
    width: tuple[float, float, float]  # of the same
    msis: tuple[float, float, float]
    over_raw: tuple[float, float, float]  # served over raw: MSIS at 80 % and 95 %, and pinball loss


def measure(name: str, root: Path, models: Path, seed: int, work: Path) -> Measured | None:
    """One training; None where it gives no intervals."""
    from forecaster.config import PredictSettings
    from forecaster.data.seasonal_scale import seasonal_scale
    from forecaster.data.windows import rolling
    from forecaster.evaluation.cross_conformal import (
        adapted_quantiles,
        calibrated_quantiles,
        dense_forecasts,
        holdout_errors,
    )
    from forecaster.evaluation.quantile_metrics import quantile_scores
    from forecaster.serving.calibration_file import load_calibration
    from forecaster.serving.open_model import open_model, read_for
    from forecaster.serving.raw_forecasts import raw_forecasts
    from forecaster.serving.recent_errors import recent_windows
    from forecaster.serving.stored_graphs import load_runtime, load_test_weights

    known_rows, all_rows = frames(name, root)
    known_rows.to_csv(work / f"{name}.csv", index=False)
    train(name, work / f"{name}.csv", models, seed)
    opened = open_model(str(models), name)
    manifest = opened.manifest
    then, now = (read_for(manifest, rows, PredictSettings()) for rows in (known_rows, all_rows))
    test_weights = load_test_weights(opened.folder, manifest)
    dense = dense_forecasts(then, manifest, test_weights)
    errors = holdout_errors(dense, manifest, test_weights)
    learnt = load_calibration(opened.folder, manifest)  # the networks' own quantiles, where these were better
    if learnt is None:
        return None
    crossed = holdout_coverage(errors, dense, manifest)
    new = int((now.lengths - then.lengths).max())
    windows = rolling(now, now.offsets[1:], manifest.horizon, new // manifest.horizon, manifest.horizon)
    target = windows.gather(0, manifest.horizon)
    serving = load_runtime(opened.folder, manifest, "onnx")
    raw = raw_forecasts(serving, manifest, now, windows, manifest.horizon)
    recent = recent_windows(now, manifest, serving)
    found = adapted_quantiles(learnt, recent, raw, LEVELS) if recent else calibrated_quantiles(learnt, raw, LEVELS)
    ends = now.offsets[:-1] + then.lengths
    scale = seasonal_scale(now.target, now.offsets, ends, now.season_length)[windows.series]
    own = calibrated_quantiles(learnt.uncorrected(), raw, LEVELS)
    before = quantile_scores(target, raw.values[:, :, [1, -1]], (0.1, 0.9), scale)
    inner = quantile_scores(target, found[:, :, 1:3], (0.1, 0.9), scale)
    outer = quantile_scores(target, found[:, :, [0, 3]], (0.025, 0.975), scale)
    size = np.nanmean(raw.scale(now.season_length))
    if not before or not inner or not outer:
        return None
    return Measured(
        learnt_from=learnt.separate,
        windows=len(windows),
        holdout=crossed,
        covered=(before.empirical_coverage, inner.empirical_coverage, outer.empirical_coverage),
        width=(before.width / size, inner.width / size, outer.width / size),
        msis=(before.msis, inner.msis, outer.msis),
        over_raw=ratios(target, manifest.held(found), manifest.held(own), scale),
    )


def ratios(target: FloatArray, served: FloatArray, raw: FloatArray, scale: FloatArray) -> tuple[float, float, float]:
    """Served quantiles [W, H, 4] at LEVELS over raw ones: MSIS at 80 % and 95 %, and the pinball loss over the seasonal scale."""
    from forecaster.evaluation.quantile_metrics import quantile_scores

    known = np.where(scale > 0.0, scale, np.nan)[:, None]
    found = []
    for columns, measure in (([1, 2], "msis"), ([0, 3], "msis"), ([0, 1, 2, 3], "pinball")):
        levels = tuple(LEVELS[i] for i in columns)
        one, other = (
            quantile_scores(target / known, part[:, :, columns] / known[:, :, None], levels, np.ones(len(scale)))
            for part in (served, raw)
        )
        found.append(getattr(one, measure) / getattr(other, measure) if one and other else np.nan)
    return found[0], found[1], found[2]


def published(root: Path, models: Path) -> str:
    """M4 hourly, compared with published figures and with the competition's benchmark for intervals."""
    from forecaster.config import PredictSettings
    from forecaster.data.seasonal_scale import seasonal_scale
    from forecaster.data.windows import rolling
    from forecaster.evaluation.quantile_metrics import quantile_scores
    from forecaster.serving.open_model import open_model, read_for
    from forecaster.serving.predict import predict
    from forecaster.typing import Silent

    name, tenths = "m4_hourly", tuple(i / 10 for i in range(1, 10))
    known_rows, all_rows = frames(name, root)
    manifest = open_model(str(models), name).manifest
    then, now = (read_for(manifest, rows, PredictSettings()) for rows in (known_rows, all_rows))
    windows = rolling(now, now.offsets[1:], manifest.horizon, 1, manifest.horizon)
    target = windows.gather(0, manifest.horizon)
    scale = seasonal_scale(now.target, now.offsets, windows.cutoff, now.season_length)
    settings = PredictSettings(models=str(models), model=name, quantiles=tenths)
    found = predict(known_rows, settings, Silent())
    ours = quantile_scores(target, found.quantile_forecasts, tenths, scale)
    naive = [
        quantile_scores(target, _random_walk(then, manifest.horizon, lag), (0.025, 0.975), scale)
        for lag in (1, then.season_length)
    ]
    assert ours and naive[0] and naive[1]
    others = ", ".join(f"{who} {value:.4f}" for who, value in GLUONTS.items())
    return "\n".join(
        [
            f"m4_hourly compared with others. Mean weighted quantile loss over the levels .1 to .9: ours {ours.wql:.4f};",
            f"as published by GluonTS (github.com/awslabs/gluonts, evaluations/m4_hourly): {others}.",
            "MSIS at 95 % of the competition's benchmark for intervals, naive with normal errors that grow with the root of",
            f"the step, computed anew: {naive[0].msis:.2f}; of the same with a season of 24: {naive[1].msis:.2f}.",
        ]
    )


def _random_walk(panel: Panel, horizon: int, lag: int) -> FloatArray:
    """[N, H, 2] 95 % limits of naive (lag 1) or seasonal naive: normal, sigma of the differences times √lags."""
    from forecaster.data.windows import latest_windows
    from forecaster.models.baselines import seasonal_naive

    history = latest_windows(panel).gather(int(panel.lengths.max()), 0)
    sigma = np.sqrt(np.nanmean((history[:, lag:] - history[:, :-lag]) ** 2, axis=1))
    half = 1.96 * sigma[:, None] * np.sqrt(np.arange(horizon) // lag + 1.0)
    point = seasonal_naive(history, horizon, lag)
    return np.stack([point - half, point + half], axis=2)


def row(name: str, found: list[Measured]) -> str:
    """One line of the table: medians over the seeds, and the spread of what is served."""

    def median(part: str, i: int) -> float:
        return float(np.median([getattr(one, part)[i] for one in found]))

    def share(part: str, i: int) -> str:
        percent = [100.0 * getattr(one, part)[i] for one in found]
        spread = f" ({min(percent):.0f}–{max(percent):.0f})" if len(percent) > 1 else ""
        return f"{np.median(percent):.1f}{spread}"

    def within(part: str, first: int) -> str:
        off = (abs(median(part, first) - 0.8), abs(median(part, first + 1) - 0.95))
        return "yes" if max(off) <= MOST_OFF else "no"

    cells = [
        name,
        f"{found[0].learnt_from:,}",
        *(share("holdout", i) for i in range(2)),
        within("holdout", 0),
        f"{found[0].windows:,}",
        *(share("covered", i) for i in range(3)),
        within("covered", 1),
        *(f"{median('width', i):.2f}" for i in range(3)),
        *(f"{median('msis', i):.2f}" for i in range(3)),
        *(f"{median('over_raw', i):.3f}" for i in range(3)),
    ]
    return f"| {' | '.join(cells)} |"


def holdout_coverage(errors: HoldoutErrors, dense: RawForecasts, manifest: Manifest) -> tuple[float, float]:
    """Coverage of 80 % and 95 % on the holdout windows of the training, each calibrated on others."""
    from forecaster.evaluation.holdout import holdout_windows
    from forecaster.evaluation.quantile_metrics import quantile_scores

    windows = holdout_windows(errors.panel, manifest.horizon, manifest.test_windows)
    raw = dense.take(np.flatnonzero(np.isin(dense.windows.cutoff, windows.cutoff)))
    target, found = raw.windows.gather(0, manifest.horizon), errors.crossed(raw, LEVELS)
    scale = np.ones(len(target))
    pairs = [((1, 2), (0.1, 0.9)), ((0, 3), (0.025, 0.975))]
    scores = [quantile_scores(target, found[:, :, list(columns)], levels, scale) for columns, levels in pairs]
    return scores[0].empirical_coverage if scores[0] else np.nan, scores[1].empirical_coverage if scores[1] else np.nan


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--models", type=Path)
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    with tempfile.TemporaryDirectory() as work:
        models = arguments.models or Path(work) / "models"
        rows = []
        for name in arguments.sets:
            made = [measure(name, arguments.root, models / f"seed{seed}", seed, Path(work)) for seed in seeds]
            found = [one for one in made if one]
            rows.append(row(name, found) if found else f"| {name} | – |")
            print(rows[-1], flush=True)
        first = models / f"seed{seeds[0]}"
        others = published(arguments.root, first) if "m4_hourly" in arguments.sets else ""
    write_section("intervals", f"{table(rows, len(seeds))}\n\n{others}")


def table(rows: list[str], seeds: int) -> str:
    """The whole section."""
    return "\n".join(
        [
            f"`python benchmarks/intervals.py`, the default command, medians of {seeds} seeds (and their spread). *Learnt from*:",
            "separate holdout windows of the training. *Holdout*: coverage in % on these windows, each calibrated on others.",
            "*Test windows*: windows after the training rows, with the serving weights; the quantiles of each are learnt only",
            "from windows that ended before it, as in `evaluate` and `predict`. Widths are over the series' mean seasonal",
            "difference. MSIS is that of M4, whose level is 95 %. *Over raw*: what is served over the networks' own quantiles.",
            "",
            "| set | learnt from | holdout: 80 % | 95 % | within 3 points | test windows | raw 80 % | 80 % | 95 % "
            "| within 3 points | width raw 80 % | 80 % | 95 % | MSIS raw 80 % | 80 % | 95 % | over raw: MSIS 80 % | 95 % "
            "| pinball |",
            f"|{'---|' * 19}",
            *rows,
        ]
    )


if __name__ == "__main__":
    main()
