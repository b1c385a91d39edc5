#!/usr/bin/env python3
"""Run the default command on series of other steps and lengths, made from the benchmark sets, compared with Theta and ETS.

    python benchmarks/further.py --root DIR [--sets NAME ...] [--seed 0]

DIR is described in accuracy.py. Nothing was tuned on these sets: they show whether defaults that win on the benchmark
sets lose elsewhere. The last horizon of every series is the test window. Needs statsforecast. Writes the section of the
further sets in benchmarks/RESULTS.md.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from processes import forecaster
from results import write_section

if TYPE_CHECKING:
    import pandas as pd

MODEL = "model"
COMPARED = ("seasonal-naive", "theta", "ets", "gradient-boosting")
MIN_TRAINING_ROWS = 8  # shorter series are left out

Frame: TypeAlias = "pd.DataFrame"  # series, timestamp, target; each series in order


@dataclass(frozen=True)
class Further:
    """One set: the source of its rows, and how they are changed."""

    source: Callable[[Path], Frame]
    horizon: int
    make: Callable[[Frame], Frame] = lambda frame: frame


def whole(name: str) -> Callable[[Path], Frame]:
    """Training and test rows of a set of panels."""

    def read(root: Path) -> Frame:
        import pandas as pd

        parts = [pd.read_csv(root / "data" / name / f"{part}.csv.gz") for part in ("train", "test")]
        frame = pd.concat(parts).assign(timestamp=lambda rows: pd.to_datetime(rows["timestamp"]))
        return frame.sort_values(["series", "timestamp"], kind="stable")

    return read


def etth1(root: Path) -> Frame:
    """The seven columns of ETTh1 as series."""
    import pandas as pd

    wide = pd.read_csv(root / "data" / "etth1" / "ETTh1.csv.gz", parse_dates=["date"])
    return wide.melt("date", var_name="series", value_name="target").rename(columns={"date": "timestamp"})


def bike_sharing(root: Path) -> Frame:
    """The users of bike sharing as one series."""
    import pandas as pd

    frame = pd.read_csv(root / "data" / "bike_sharing" / "bike_sharing.csv.gz")
    return pd.DataFrame({"series": "users", "timestamp": pd.to_datetime(frame["date_time"]), "target": frame["users"]})


def sums(step: str, parts: int) -> Callable[[Frame], Frame]:
    """Sums over longer steps; steps without all of their `parts` are left out."""

    def make(frame: Frame) -> Frame:
        found = frame.groupby("series", sort=False).resample(step, on="timestamp")["target"].agg(["sum", "size"])
        return found[found["size"] == parts].rename(columns={"sum": "target"})["target"].reset_index()

    return make


def latest(rows: int, make: Callable[[Frame], Frame] = lambda frame: frame) -> Callable[[Frame], Frame]:
    """The last rows of every series."""
    return lambda frame: make(frame).groupby("series", sort=False).tail(rows)


def numbered(frame: Frame) -> Frame:
    """Whole numbers as timestamps."""
    return frame.assign(timestamp=frame.groupby("series", sort=False).cumcount() + 1)


def quarters_of_hours(frame: Frame) -> Frame:
    """One series in steps of 15 minutes: a curve through the hours, and noise as large as its own steps."""
    hours = frame[frame["series"] == "OT"].set_index("timestamp")["target"].iloc[: 60 * 24]
    curve = hours.resample("15min").interpolate("cubic")
    noise = np.random.default_rng(0).normal(0.0, curve.diff().std(), len(curve))
    return (curve + noise).rename("target").reset_index().assign(series="OT")


SETS = {
    "births, weekly": Further(whole("us_births"), 13, sums("W", 7)),
    "tourism, yearly": Further(whole("tourism_monthly"), 4, sums("YS", 12)),
    "tourism, yearly, 14 rows": Further(whole("tourism_monthly"), 4, latest(18, sums("YS", 12))),
    "tourism, quarterly": Further(whole("tourism_monthly"), 8, sums("QS", 3)),
    "M1, quarterly, 14 rows": Further(whole("m1_quarterly"), 8, latest(22)),
    "M4 hourly, daily": Further(whole("m4_hourly"), 7, sums("D", 24)),
    "M4 hourly, numbered": Further(whole("m4_hourly"), 48, numbered),
    "ETTh1, daily": Further(etth1, 14, sums("D", 24)),
    "ETTh1, 15 minutes": Further(etth1, 96, quarters_of_hours),
    "bike sharing, hourly": Further(bike_sharing, 48),
    "bike sharing, daily": Further(bike_sharing, 28, sums("D", 24)),
}


def row(name: str, root: Path, seed: int, work: Path) -> str:
    """One line of the table."""
    own = SETS[name]
    frame = own.make(own.source(root))[["series", "timestamp", "target"]]
    frame = frame.groupby("series", sort=False).filter(lambda rows: len(rows) >= own.horizon + MIN_TRAINING_ROWS)
    left = frame.groupby("series", sort=False).cumcount(ascending=False)
    frame[left >= own.horizon].to_csv(work / "known.csv", index=False)
    began = time.perf_counter()
    words = ["--horizon", own.horizon, "--name", "further", "--seed", seed, "--models", work, "--quiet"]
    if own.horizon > known_rows(frame, own.horizon) // 3:  # refused otherwise: a statistical forecast answers
        words.append("--allow-untested-horizon")
    forecaster("train", work / "known.csv", *words)
    seconds = time.perf_counter() - began
    frame.to_csv(work / "all.csv", index=False)
    errors = test_errors(work, own.horizon)
    best = np.nanmin(list(errors.values()))
    shown = [f"**{errors[who]:.3f}**" if errors[who] == best else f"{errors[who]:.3f}" for who in (MODEL, *COMPARED)]
    rows = frame.groupby("series").size() - own.horizon
    lengths = f"{rows.min():,}–{rows.max():,}" if rows.min() < rows.max() else f"{rows.max():,}"
    return f"| {' | '.join(map(str, [name, len(rows), lengths, own.horizon, *shown, f'{seconds:.0f}']))} |"


def known_rows(frame: Frame, horizon: int) -> int:
    """Rows of the median series before its test window."""
    return int(np.median(frame.groupby("series").size() - horizon))


def test_errors(work: Path, horizon: int) -> dict[str, float]:
    """MASE of the serving weights and of the compared methods, on the last horizon of every series."""
    from forecaster.data.reading.reader import read_panel
    from forecaster.data.windows import rolling
    from forecaster.evaluation.backtest import baseline_forecasts
    from forecaster.evaluation.holdout import make_holdout
    from forecaster.serving.open_model import open_model
    from forecaster.serving.raw_forecasts import raw_forecasts
    from forecaster.serving.stored_graphs import load_runtime

    opened, panel = open_model(str(work), "further"), read_panel(work / "all.csv")
    windows = rolling(panel, panel.offsets[1:], horizon, 1, horizon)
    manifest = opened.manifest
    holdout = make_holdout(panel, windows, horizon=horizon, context_length=manifest.context_length)
    runtime = load_runtime(opened.folder, manifest, "onnx")
    made = raw_forecasts(runtime, manifest, panel, holdout.windows, horizon)
    found = {MODEL: made.values[:, :, 0], **baseline_forecasts(holdout, learned=True)}
    return {who: holdout.scores(found[who]).mase if who in found else np.nan for who in (MODEL, *COMPARED)}


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.sets:
        with tempfile.TemporaryDirectory() as work:
            rows.append(row(name, arguments.root, arguments.seed, Path(work)))
        print(rows[-1], flush=True)
    head = "| set | series | rows | horizon | ours | seasonal naive | Theta | ETS | gradient boosting | seconds |"
    caption = (
        "`python benchmarks/further.py`, MASE of the latest window of every series, the default command, one seed."
    )
    write_section("further sets", "\n".join([caption, "", head, f"|{'---|' * 10}", *rows]))


if __name__ == "__main__":
    main()
