#!/usr/bin/env python3
"""What serves a single series for which nothing that is fitted is clearly better: a simple method, or what is fitted to nothing.

    python benchmarks/single_series.py --root DIR [--sets NAME ...] [--series 300]

DIR is described in accuracy.py. No network is fitted. Each series of a set is one of its own: the last horizon of its *training*
part is unseen, and windows of the rows before it are its history, as in a training. Of smoothing, Theta, the last value, the
last season and drift the one with the lowest error over the history stands against the pretrained network, which is blended
with Theta as it is shipped. The made series are those of generated.py. Writes a section of ABLATIONS.md: MASE of each rule for
the choice between both, over that of the lowest error over the history.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from generated import KINDS, ROWS
from missing_ends import SETS
from results import ABLATIONS, write_section

from forecaster.data.extra_inputs import Needs
from forecaster.data.reading.reader import read_panel
from forecaster.data.windows import rolling
from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING, Smoothing, smoothing_length
from forecaster.models.simple_methods import DRIFT, NAIVE, SEASONAL_NAIVE
from forecaster.models.theta import THETA
from forecaster.serving.zero_shot import ZeroShot, open_pretrained
from forecaster.training.combination import ESTIMATION_GAIN, FAR_LOWER, MAX_DRIFT
from forecaster.training.evaluation_set import EvaluationSet
from forecaster.training.memory_forecasts import smoothed
from forecaster.training.selection_plan import theta_lengths
from forecaster.training.split import history_windows

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray

NOT_FITTED = "not fitted"
MADE_SERIES, MADE_HORIZON = 100, 12
RULES = ("lower", "half", "never", "t-test", "kept")
HEAD = ("set", "series", "simple lower", "MASE", "half of both", "never", "t-test", "t-test or two thirds (kept)")
TEXT = """`python benchmarks/single_series.py --root DIR`: no network is fitted; each series is one of its own, and the last
horizon of its training part is unseen. *Simple lower*: the share in which a simple method's error over the history is below that
of the pretrained network with Theta. MASE where it then serves, and over that: half of both there; never a simple method; one
whose error is clearly lower by a t-test; and one whose error is that, or below two thirds."""
Forecasts = dict[str, tuple["FloatArray", "FloatArray"]]  # of the history's windows and of the last ones, by method


def rows_of(name: str, root: Path, most: int) -> tuple[pd.DataFrame, int]:
    """The rows of some series, and the horizon."""
    import pandas as pd

    rng = np.random.default_rng(0)
    if name in SETS:
        frame = pd.read_csv(root / "data" / name / "train.csv.gz")
        names = frame["series"].unique()
        return frame[frame["series"].isin(rng.choice(names, min(len(names), most), replace=False))], SETS[name][0]
    stamps, t = pd.date_range("2010-01-01", periods=ROWS, freq="MS"), np.arange(float(ROWS))
    made = [pd.DataFrame({"series": i, "timestamp": stamps, "target": KINDS[name](rng, t)}) for i in range(MADE_SERIES)]
    return pd.concat(made), MADE_HORIZON


def forecasts(panel: Panel, horizon: int) -> tuple[EvaluationSet, EvaluationSet, Forecasts]:
    """The windows of the history and the last ones, and all forecasts of both."""
    season, ends = panel.season_length, panel.offsets[1:] - horizon
    windows = history_windows(panel, ends, horizon), rolling(panel, panel.offsets[1:], horizon, 1, horizon)
    rows, whole = int(np.median(panel.lengths - horizon)), max(1, 36 // season) * season
    lengths = {EXPONENTIAL_SMOOTHING: smoothing_length(season, rows), NAIVE: whole, DRIFT: min(whole, rows)}
    lengths |= {THETA: max(theta_lengths(season, rows), default=0), SEASONAL_NAIVE: whole if season > 1 else 0}
    network = ZeroShot(open_pretrained(season), panel, ends, horizon, calibrated=False)
    made = {NOT_FITTED: (network.forecast(windows[0], ())[:, :, 0], network.forecast(windows[1], ())[:, :, 0])}
    for method, length in lengths.items():
        if length:
            simple = Smoothing(season, length, horizon, bool(np.nanmin(panel.target) >= 0.0), 1.0, method)
            made[method] = smoothed(panel, windows[0], simple), smoothed(panel, windows[1], simple)
    change = [np.abs(values[season:] - values[:-season]) for values in np.split(panel.target, panel.offsets[1:-1])]
    scale = np.array([np.nanmean(one[:-horizon]) if len(one) > horizon else np.nan for one in change])
    history, last = (EvaluationSet(panel, some, scale, False, Needs(1, horizon, ())) for some in windows)
    return history, last, made


def of_series(i: int, whole: EvaluationSet) -> tuple[EvaluationSet, np.ndarray]:
    """The windows of one series, and their places."""
    from dataclasses import replace

    mine = np.flatnonzero(whole.windows.series == i)
    return replace(whole, windows=whole.windows.take(mine)), mine


def errors_of(panel: Panel, horizon: int) -> list[dict[str, float]]:
    """Of each series MASE by each rule, and whether a simple method has the lower error over the history."""
    history, last, made = forecasts(panel, horizon)
    found = []
    for i in range(len(panel.series)):
        (before, mine), (after, end) = of_series(i, history), of_series(i, last)
        error = {method: before.error(both[0][mine]) for method, both in made.items()} if len(mine) else {}
        if not error or not len(end) or not all(np.isfinite(one) for one in error.values()):
            continue
        rank = {one: error[one] / (1.0 if "naive" in one else 1.0 - ESTIMATION_GAIN) for one in error}
        rivals = [
            one for one in error if one != NOT_FITTED and (one != DRIFT or error[one] <= MAX_DRIFT * error[NAIVE])
        ]
        simple = min(rivals, key=rank.__getitem__)
        one, other = made[simple], made[NOT_FITTED]
        lower = rank[simple] <= rank[NOT_FITTED]
        clearly = lower and before.clearly_lower(one[0][mine], other[0][mine])
        far = lower and error[simple] < FAR_LOWER * error[NOT_FITTED]
        share = {
            "lower": 1.0 * lower,
            "half": 0.5 * lower,
            "never": 0.0,
            "t-test": 1.0 * clearly,
            "kept": 1.0 * (clearly or far),
        }
        blend = {rule: part * one[1][end] + (1.0 - part) * other[1][end] for rule, part in share.items()}
        found.append({**{rule: after.error(forecast) for rule, forecast in blend.items()}, "simple": float(lower)})
    return found


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument(
        "--sets", nargs="+", default=[one for one in (*SETS, *KINDS) if one not in ("us_births", "saugeen")]
    )
    parser.add_argument("--series", type=int, default=300)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.sets:
        frame, horizon = rows_of(name, arguments.root, arguments.series)
        with tempfile.TemporaryDirectory() as work:
            frame.to_csv(path := Path(work) / "data.csv", index=False)
            found = errors_of(read_panel(path), horizon)
        mean = {rule: float(np.nanmean([one[rule] for one in found])) for rule in (*RULES, "simple")}
        ratios = [f"{mean[rule] / mean['lower']:.3f}" for rule in RULES[1:]]
        rows.append([name, str(len(found)), f"{mean['simple']:.0%}", f"{mean['lower']:.4f}", *ratios])
        print(*rows[-1], flush=True)
    table = "\n".join(f"| {' | '.join(row)} |" for row in (HEAD, ["---"] * len(HEAD), *rows))
    if len(rows) == len(SETS) - 2 + len(KINDS):
        write_section("single series", f"{TEXT}\n\n{table}", ABLATIONS)


if __name__ == "__main__":
    main()
