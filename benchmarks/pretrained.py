#!/usr/bin/env python3
"""Score pretrained networks on sets that they never saw.

    python benchmarks/pretrained.py --root DIR [--networks DIR] [--sets NAME ...] [--part train|test] [--write]

`--part train` (the default) forecasts the last horizon of each series' training part: every choice about the generator and the
networks is made by it. `--part test` forecasts the test rows; `--write` puts its table into benchmarks/RESULTS.md.

DIR is laid out as benchmarks/accuracy.py says. The measures are those of its score.py.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from results import write_section

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
NETWORKS = Path(__file__).resolve().parents[1] / "forecaster" / "pretrained"
NAIVE2 = {"m4_hourly": (18.383, 2.395)}  # sMAPE and MASE of the competition's Naive2


@dataclass(frozen=True)
class Set:
    """One benchmark: season and horizon in rows, and published scores."""

    season: int
    horizon: int
    published: str


SETS = {
    "m3_monthly": Set(12, 18, "TimeCopilot .829, AutoGluon (trained) .823"),
    "hospital": Set(12, 12, "Chronos-2 (zero-shot) .740, AutoGluon (trained) .737"),
    "tourism_monthly": Set(12, 24, "DeepAR (trained) 1.409, TiRex (zero-shot) 1.449"),
    "m1_quarterly": Set(4, 8, "ETS 1.658, TimesFM (zero-shot) 1.670"),
    "m3_yearly": Set(1, 6, "AutoGluon (trained) 2.588"),
    "m4_hourly": Set(24, 48, "Doornik OWA .410, ES-RNN OWA .440"),
    "nn5_daily": Set(7, 56, "AutoGluon (trained) .809"),
    "us_births": Set(7, 30, "TBATS 1.453, AutoGluon (trained) 1.323"),
    "saugeen": Set(7, 30, "AutoGluon (trained) 1.437"),
}


@dataclass(frozen=True)
class Windows:
    """One window of each of N series."""

    names: list[str]
    history: list[FloatArray]
    actual: FloatArray  # [N, H]
    scale: FloatArray  # [N] in-sample mean absolute seasonal difference


def windows(root: Path, name: str, part: str) -> Windows:
    """The last window of the training part, or the test window, of each series."""
    wanted = SETS[name]
    history = series(root / "data" / name / "train.csv.gz")
    if part == "train":
        actual = {key: values[-wanted.horizon :] for key, values in history.items()}
        history = {key: values[: -wanted.horizon] for key, values in history.items()}
        history = {key: values for key, values in history.items() if len(values) >= wanted.season + 6}
    else:
        actual = series(root / "data" / name / "test.csv.gz")
    names = [key for key in actual if key in history]
    scale = [np.abs(history[key][wanted.season :] - history[key][: -wanted.season]).mean() for key in names]
    return Windows(names, [history[key] for key in names], np.stack([actual[key] for key in names]), np.array(scale))


def series(path: Path) -> dict[str, FloatArray]:
    """Values of each series, in the file's order."""
    frame = pd.read_csv(path, dtype={"series": str})
    return {str(key): values.to_numpy(float) for key, values in frame.groupby("series", sort=False)["target"]}


def forecasts(root: Path, name: str, part: str, given: Windows, *, calibrated: bool) -> FloatArray:
    """[N, H, 1 + Q] as `predict` makes them before any training: of each series' rows before its window."""
    from forecaster.data.reading.reader import read_panel
    from forecaster.data.windows import Windows as Cutoffs
    from forecaster.serving.zero_shot import ZeroShot, open_pretrained

    wanted = SETS[name]
    panel = read_panel(str(root / "data" / name / "train.csv.gz"), season_length=wanted.season)
    ends = panel.offsets[1:] - (wanted.horizon if part == "train" else 0)
    place = {str(key): i for i, key in enumerate(panel.series)}
    chosen = np.array([place[key] for key in given.names])
    windows = Cutoffs(panel.target, panel.offsets[:-1], ends, chosen, ends[chosen])
    made = ZeroShot(open_pretrained(wanted.season, threads=1), panel, ends, wanted.horizon, calibrated)
    found = made.forecast(windows, LEVELS)
    last = np.array([past[-1] for past in given.history])
    return np.where(np.isnan(found), last[:, None, None], found)  # a series that is too short for any network


def scores(name: str, given: Windows, found: FloatArray) -> dict[str, float]:
    """MASE, sMAPE, coverage of the 80 % and 95 % intervals; OWA where the set has one."""
    point, actual = found[:, :, 0], given.actual
    error, size = np.abs(actual - point), np.abs(actual) + np.abs(point)
    usable = given.scale > 0.0
    result = {
        "mase": (error.mean(axis=1)[usable] / given.scale[usable]).mean(),
        "smape": np.where(size == 0.0, 0.0, 200.0 * error / np.where(size == 0.0, 1.0, size)).mean(),
        "cover80": 100.0 * ((actual >= found[:, :, 2]) & (actual <= found[:, :, 4])).mean(),
        "cover95": 100.0 * ((actual >= found[:, :, 1]) & (actual <= found[:, :, 5])).mean(),
    }
    if name in NAIVE2:
        smape, mase = NAIVE2[name]
        result["owa"] = (result["smape"] / smape + result["mase"] / mase) / 2.0
    return {key: round(float(value), 4) for key, value in result.items()}


def main() -> None:
    """Score and print; write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--networks", type=Path, default=NETWORKS)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--part", choices=("train", "test"), default="train")
    parser.add_argument("--write", action="store_true", help="with --part test")
    arguments = parser.parse_args()
    from forecaster.serving import pretrained

    pretrained.ROOT = arguments.networks
    rows = []
    for name in arguments.sets:
        folder = arguments.networks / str(SETS[name].season)
        if (folder / "card.json").exists() and (arguments.root / "data" / name).is_dir():
            given = windows(arguments.root, name, arguments.part)
            own, learnt = (
                scores(name, given, forecasts(arguments.root, name, arguments.part, given, calibrated=calibrated))
                for calibrated in (False, True)
            )
            found = {**own, "learnt80": learnt["cover80"], "learnt95": learnt["cover95"]}
            print(json.dumps({"set": name, "series": len(given.names), **found}), flush=True)
            card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
            rows.append(row(name, found, card))
            if arguments.write:
                card["scores"][name] = found
                (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    if arguments.write:
        write_section("pretrained", table(rows))


def row(name: str, found: dict[str, float], card: dict[str, float]) -> str:
    """One line of the table."""
    measure = "owa" if "owa" in found else "mase"
    parts = [
        name,
        measure.upper(),
        f"**{found[measure]:.3f}**",
        f"{found['smape']:.2f}",
        f"{found['cover80']:.0f} / {found['cover95']:.0f}",
        f"{found['learnt80']:.0f} / {found['learnt95']:.0f}",
        f"{card['parameters']:,}",
        f"{card['windows'] / 1e6:.1f}",
        f"{card['seconds'] / 60:.0f}",
        SETS[name].published,
    ]
    return f"| {' | '.join(parts)} |"


def table(rows: list[str]) -> str:
    """The whole section."""
    return "\n".join(
        [
            "`python benchmarks/pretrained.py --part test --write`: the shipped networks, which saw no real series, on the test",
            "rows; the graphs of m3_monthly to m3_yearly are 40 % Theta.",
            "Minutes are those of one core, for one network; a window has three origins. Coverage is that of the network's",
            "own quantiles, then of those calibrated on the history, which `predict` gives where it is long enough.",
            "",
            "| set | measure | zero-shot | sMAPE | 80 / 95 % | calibrated | parameters | 10⁶ windows | minutes | published |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


if __name__ == "__main__":
    main()
