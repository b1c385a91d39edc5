#!/usr/bin/env python3
"""How quickly quantiles should follow the size of errors that come after the training.

    python benchmarks/adapting.py --root DIR [--models DIR] [--half-lives inf 60 30 20 10 5]

The sets are cut into stretches of rows, all before the test rows of intervals.py. A model of one network is trained on
the rows before a stretch. Its quantiles are tested on the windows of the stretch, each learnt from earlier windows
only. `--models` keeps the models and uses those that are there. DIR is described in accuracy.py. Prints a row for each
half-life in horizons (none: the stored calibration stays): mean pinball loss of the outer levels relative to an
infinite half-life, mean distance of empirical from nominal coverage, and the number of stretches within 3 points at
both levels.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from intervals import LEVELS
from processes import forecaster

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.serving.conformal import ErrorPool
    from forecaster.typing import FloatArray


@dataclass(frozen=True)
class Stretch:
    """Rows (of each series) to train on, then rows to test on."""

    frame: pd.DataFrame
    trained: int
    tested: int
    horizon: int


def stretches(root: Path) -> Iterator[tuple[str, Stretch]]:
    """Bike sharing until September 2012, the first 16 months of ETTh1, births until 1983."""
    import pandas as pd

    data = root / "data"
    bike = pd.read_csv(data / "bike_sharing" / "bike_sharing.csv.gz")
    bike = bike.rename(columns={"date_time": "timestamp", "users": "target"})[["timestamp", "target"]]
    for month in ("2011-11", "2012-02", "2012-05", "2012-08"):
        yield f"bike-{month}", Stretch(bike, int((bike["timestamp"] < month).sum()), 60 * 24, 24)
    etth1 = pd.read_csv(data / "etth1" / "ETTh1.csv.gz").rename(columns={"date": "timestamp"})
    for column in ("OT", "HUFL", "MULL"):
        one = etth1[["timestamp", column]].rename(columns={column: "target"})
        yield f"etth1-{column}", Stretch(one, 8640, 2880, 24)
    yield "etth1", Stretch(etth1.melt("timestamp", var_name="series", value_name="target"), 8640, 2880, 96)
    births = pd.read_csv(data / "us_births" / "train.csv.gz")[["timestamp", "target"]]
    for rows in (2500, 4500):
        yield f"births-{rows}", Stretch(births, rows, 900, 30)


def head(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """The oldest rows of each series."""
    return frame.groupby("series", sort=False).head(rows) if "series" in frame else frame.iloc[:rows]


def measure(name: str, stretch: Stretch, models: Path, work: Path, half_lives: list[float]) -> list[FloatArray]:
    """Without adapting and for each half-life: pinball loss at 80 % and 95 %, and coverage of these [4]."""
    from forecaster.config import PredictSettings
    from forecaster.data.windows import rolling
    from forecaster.evaluation.cross_conformal import adapted_quantiles, calibrated_quantiles
    from forecaster.serving import conformal as calibration
    from forecaster.serving.calibration_file import load_calibration
    from forecaster.serving.open_model import open_model, read_for
    from forecaster.serving.raw_forecasts import raw_forecasts, with_actuals, with_context
    from forecaster.serving.recent_errors import pooled, recent_windows
    from forecaster.serving.stored_graphs import load_runtime

    if not (models / name / "current").exists():
        head(stretch.frame, stretch.trained).to_csv(work / f"{name}.csv", index=False)
        words = ("--horizon", stretch.horizon, "--name", name, "--members", 1, "--models", models, "--quiet")
        forecaster("train", work / f"{name}.csv", *words)
    opened = open_model(str(models), name)
    manifest, horizon = opened.manifest, stretch.horizon
    panel = read_for(manifest, head(stretch.frame, stretch.trained + stretch.tested), PredictSettings())
    serving, stored = load_runtime(opened.folder, manifest, "onnx"), load_calibration(opened.folder, manifest)
    windows = rolling(panel, panel.offsets[1:], horizon, stretch.tested // horizon, horizon)
    windows = with_actuals(with_context(windows, manifest.context_length), horizon)
    raw = raw_forecasts(serving, manifest, panel, windows, horizon)
    pool, recent = pooled(raw), recent_windows(panel, manifest, serving)
    assert stored and recent
    found = [scores(calibrated_quantiles(stored, raw, LEVELS), pool)]
    for half_life in half_lives:
        calibration.HALF_LIFE = half_life
        found.append(scores(adapted_quantiles(stored, recent, raw, LEVELS), pool))
    return found


def scores(quantile_forecasts: FloatArray, pool: ErrorPool) -> FloatArray:
    """Pinball loss over the windows' seasonal scale, and coverage: at 80 %, at 95 %."""
    from forecaster.evaluation.quantile_metrics import quantile_scores

    size = pool.seasonal_scale
    target, quantile_forecasts = pool.target / size[:, None], quantile_forecasts / size[:, None, None]
    inner, outer = (
        quantile_scores(
            target, quantile_forecasts[:, :, columns], (LEVELS[columns[0]], LEVELS[columns[1]]), np.ones(len(size))
        )
        for columns in ([1, 2], [0, 3])
    )
    assert inner and outer
    return np.array([inner.pinball, outer.pinball, inner.empirical_coverage, outer.empirical_coverage])


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--half-lives", type=float, nargs="+", default=[np.inf, 60.0, 30.0, 20.0, 10.0, 5.0])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        models = arguments.models or work / "models"
        measured = []
        for name, stretch in stretches(arguments.root):
            measured.append(measure(name, stretch, models, work, arguments.half_lives))
            print(f"{name}: {', '.join(f'{one[2]:.1%} {one[3]:.1%}' for one in measured[-1])}", flush=True)
    found = np.array(measured)  # stretch, half-life, score
    print(
        "| half-life | pinball at 80 % | at 95 % | off at 80 % | at 95 % | within 3 points |\n|---|---|---|---|---|---|"
    )
    away = np.abs(found[:, :, 2:] - (0.8, 0.95))
    for i, half_life in enumerate(["none", *arguments.half_lives]):
        ratio = np.exp(np.log(found[:, i, :2] / found[:, 1, :2]).mean(axis=0))
        off, within = away[:, i].mean(axis=0), (away[:, i] <= 0.03).all(axis=1).sum()
        print(
            f"| {half_life} | {ratio[0]:.4f} | {ratio[1]:.4f} | {off[0]:.1%} | {off[1]:.1%} | {within} of {len(found)} |"
        )


if __name__ == "__main__":
    main()
