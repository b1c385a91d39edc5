#!/usr/bin/env python3
"""Intervals before any training, of single series: the pretrained networks' own, or calibrated on the history.

    python benchmarks/history_intervals.py --root DIR [--sets NAME ...] [--series 60]

DIR is described in accuracy.py. The last horizon of each series' *training* part is unseen; of us_births 20 of them. Writes a
section of ABLATIONS.md: coverage, and the interval score at 80 and 95 % over the seasonal scale, of the networks' own intervals
and, over theirs, of those calibrated on at least so many windows that do not overlap.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from missing_ends import SETS
from results import ABLATIONS, write_section

from forecaster.data.reading.reader import read_panel
from forecaster.data.windows import latest_windows
from forecaster.errors import DataError
from forecaster.serving import zero_shot
from forecaster.serving.pretrained import NO_SEASON
from forecaster.serving.zero_shot import ZeroShot, open_pretrained

LEVELS = (0.025, 0.1, 0.9, 0.975)
LEAST = (10**9, 10, 20, 30, 100)  # windows: none is enough for the first
CUTOFFS = 20  # of a set of one series
HEAD = (
    "set",
    "series",
    "rows",
    "own: 80 %",
    "95 %",
    "score 80 %",
    "95 %",
    *(f"{least} windows" for least in LEAST[1:]),
)
TEXT = """`python benchmarks/history_intervals.py --root DIR`: coverage of the networks' own intervals at 80 and 95 % and
their interval scores over the seasonal scale; then both scores over these where at least so many windows of the history that do
not overlap calibrate the intervals. A hundred is kept; panels have as many soon.

"""


def parts_of(name: str, root: Path, most: int) -> list[tuple[pd.DataFrame, np.ndarray]]:
    """Rows that are known, and the values of the horizon after them."""
    horizon = SETS[name][0]
    frame = pd.read_csv(root / "data" / name / "train.csv.gz")
    if "series" not in frame or frame["series"].nunique() == 1:
        ends = [len(frame) - 45 * k for k in range(CUTOFFS)]
        return [(frame[: end - horizon], frame["target"].to_numpy()[end - horizon : end]) for end in ends]
    names = frame["series"].unique()
    chosen = np.random.default_rng(0).choice(names, min(len(names), most), replace=False)
    each = (rows for one, rows in frame.groupby("series", sort=False) if one in set(chosen))
    return [(rows[:-horizon], rows["target"].to_numpy()[-horizon:]) for rows in each if len(rows) >= 3 * horizon]


def measures(rows: pd.DataFrame, actual: np.ndarray) -> np.ndarray | None:
    """[LEAST, 4] coverage and interval score at 80 %, then at 95 %; None where no network answers or no scale is known."""
    try:
        panel = read_panel(rows)
    except DataError:
        return None
    season = panel.season_length
    scale = float(np.nanmean(np.abs(panel.target[season:] - panel.target[:-season])))
    networks = open_pretrained(season if season > 1 else NO_SEASON)
    found = []
    for least in LEAST:
        with (
            mock.patch.object(zero_shot, "MIN_SEPARATE", min(least, 10)),
            mock.patch.object(zero_shot, "MIN_SURE", least),
        ):
            made = ZeroShot(networks, panel, panel.offsets[1:], len(actual)).forecast(latest_windows(panel), LEVELS)[0]
        row = []
        for low, high, share in ((made[:, 2], made[:, 3], 0.2), (made[:, 1], made[:, 4], 0.05)):
            miss = np.maximum(low - actual, 0.0) + np.maximum(actual - high, 0.0)
            row += [float(np.mean(miss == 0.0)), float(np.mean(high - low + 2.0 / share * miss)) / scale]
        found.append(row)
    return np.array(found) if np.isfinite(found).all() else None


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    every = [one for one in SETS if one != "saugeen"]
    parser.add_argument("--sets", nargs="+", default=every)
    parser.add_argument("--series", type=int, default=60)
    arguments = parser.parse_args()
    rows = []
    for name in arguments.sets:
        parts = parts_of(name, arguments.root, arguments.series)
        found = [one for one in (measures(*part) for part in parts) if one is not None]
        mean = np.mean(found, axis=0)
        own, others = mean[0], mean[1:]
        cells = [f"{own[0]:.0%}", f"{own[2]:.0%}", f"{own[1]:.2f}", f"{own[3]:.2f}"]
        ratios = [f"{one[1] / own[1]:.3f}, {one[3] / own[3]:.3f}" for one in others]
        rows.append([name, str(len(found)), str(int(np.median([len(known) for known, _ in parts]))), *cells, *ratios])
        print(*rows[-1], flush=True)
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (HEAD, ["---"] * len(HEAD), *rows))
    if arguments.sets == every:
        write_section("intervals of single series before any training", f"{TEXT}{table}", ABLATIONS)


if __name__ == "__main__":
    main()
