#!/usr/bin/env python3
"""Rows that are missing at the end of a series: read as missing by a trained graph, or forecast as steps before the first.

    python benchmarks/missing_ends.py --root DIR [--sets NAME ...] [--rows N ...] [--preset fast] [--work DIR]

DIR is described in accuracy.py. A model is trained on up to 100 series of each set, without their last horizon; before its
forecast of the test rows, the last rows of this horizon are taken away. Prints, for each number of rows taken, MASE, pinball
loss over the seasonal scale, and coverage of the 80 % interval: of a graph that reads them as missing / of what is served.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
from generated import KINDS, SEASON

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.typing import FloatArray

SETS = {
    "hospital": (12, 12),
    "m1_quarterly": (8, 4),
    "tourism_monthly": (24, 12),
    "m3_monthly": (18, 12),
    "m3_yearly": (4, 1),
    "nn5_daily": (56, 7),
    "m4_hourly": (48, 24),
    "us_births": (30, 7),
    "saugeen": (30, 7),
}  # horizon and season length
MADE = dict.fromkeys(("season", "trend and season", "random walk", "steps"), (12, SEASON))
MOST_SERIES = 100
MADE_SERIES, MADE_ROWS = 20, 174


def rows_of(name: str, root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that are known, and the test rows after them."""
    import pandas as pd

    horizon = {**SETS, **MADE}[name][0]
    if name in MADE:
        stamps, made = pd.date_range("2005-01-01", periods=MADE_ROWS, freq="MS"), []
        for i in range(MADE_SERIES):
            rng = np.random.default_rng((list(KINDS).index(name), 100 + i))
            values = KINDS[name](rng, np.arange(float(MADE_ROWS)))
            made.append(pd.DataFrame({"series": f"s{i}", "timestamp": stamps, "target": values}))
        whole = pd.concat(made, ignore_index=True)
        last = whole.groupby("series").cumcount(ascending=False) < horizon
        return whole[~last], whole[last]
    known, test = (pd.read_csv(root / "data" / name / f"{part}.csv.gz") for part in ("train", "test"))
    known, test = (one if "series" in one else one.assign(series="one") for one in (known, test))
    names = known["series"].unique()
    names = names[np.linspace(0, len(names) - 1, min(len(names), MOST_SERIES)).astype(int)]
    return known[known["series"].isin(names)], test[test["series"].isin(names)]


def scored(found: FloatArray, actual: FloatArray, scale: FloatArray, levels: tuple[float, ...]) -> str:
    """Forecasts [N, H, 1 + Q] against actuals [N, H]: MASE, pinball loss and coverage."""
    each = np.abs(found[:, :, 0] - actual).mean(axis=1) / scale
    miss = actual[:, :, None] - found[:, :, 1:]
    loss = np.maximum(np.array(levels) * miss, (np.array(levels) - 1.0) * miss).mean(axis=(1, 2)) / scale
    inside = (found[:, :, 1] <= actual) & (actual <= found[:, :, -1])
    return f"{np.nanmean(each):.4f} {np.nanmean(loss):.4f} {inside.mean():.2f}"


def measure(name: str, root: Path, taken: list[int], preset: str, models: Path) -> None:
    """Train on a set and print its rows."""
    from forecaster.commands.train import train
    from forecaster.config import PredictSettings, TrainSettings
    from forecaster.serving import raw_forecasts
    from forecaster.serving.predict import predict
    from forecaster.typing import Silent

    known, test = rows_of(name, root)
    horizon, season = {**SETS, **MADE}[name]
    back = known.groupby("series", sort=False).cumcount(ascending=False)
    short = name.replace(" ", "-")
    if not (models / short).is_dir():
        settings = TrainSettings(models=str(models), name=short, horizon=horizon, preset=preset)
        print(name, train(known[back >= horizon], settings, Silent()).method, flush=True)
    actual = {str(one): rows["target"].to_numpy() for one, rows in test.groupby("series", sort=False)}
    scale = {
        str(one): float(np.abs(np.diff(rows.to_numpy()[::1], n=1)).mean())
        if season == 1
        else float(np.abs(rows.to_numpy()[season:] - rows.to_numpy()[:-season]).mean())
        for one, rows in known.groupby("series", sort=False)["target"]
    }
    for count in taken or sorted({1, 2, 3, max(horizon // 2, 1), horizon}):
        given, cells = known.assign(target=known["target"].where(back >= count)), []
        for longest in (0, raw_forecasts.MAX_LEAD):
            with mock.patch.object(raw_forecasts, "MAX_LEAD", longest):
                made = predict(given, PredictSettings(models=str(models), model=short), Silent())
            values = np.concatenate([made.prediction[:, :, None], made.quantile_forecasts], axis=2)
            names = [str(one) for one in made.series]
            sizes = np.array([scale[one] or np.nan for one in names])
            cells.append(scored(values, np.stack([actual[one] for one in names]), sizes, made.quantiles))
        print(f"{name:20s} {count:3d} rows: {cells[0]} / {cells[1]}", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=[*SETS, *MADE])
    parser.add_argument("--rows", nargs="+", type=int, default=[])
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        for name in arguments.sets:
            measure(name, arguments.root, arguments.rows, arguments.preset, arguments.work or Path(empty))


if __name__ == "__main__":
    main()
