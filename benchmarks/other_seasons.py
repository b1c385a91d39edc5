#!/usr/bin/env python3
"""Score the networks for weeks and business days before any training, on sets made of daily ones.

    python benchmarks/other_seasons.py --root DIR [--networks DIR] [--write]

No such set is among those of benchmarks/accuracy.py. Weeks are sums of the days of the *training* parts, business days are the
days without the two lowest weekdays. A long series gives many cutoffs. Each is forecast with the network for its season, and
without it, as seasons are forecast that no network knows. DIR is laid out as benchmarks/accuracy.py says.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pretrained import NETWORKS, series
from results import write_section

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

WEEK = 7


@dataclass(frozen=True)
class Made:
    """How rows are made of days."""

    name: str
    season: int
    freq: str  # of pandas
    days: int  # in a row; 0 = business days
    longest: int  # rows of a history
    apart: int  # rows between two cutoffs
    horizons: tuple[int, ...]


KINDS = (
    Made("weeks", 52, "7D", WEEK, 330, 8, (8, 13, 26)),
    Made("business days", 5, "B", 0, 1000, 45, (5, 20, 40)),
)
SOURCES = ("nn5_daily", "us_births", "saugeen")


def rows(days: FloatArray, kind: Made) -> FloatArray:
    """The rows that the kind makes of daily values."""
    if kind.days:
        whole = len(days) // kind.days * kind.days
        return np.asarray(days[len(days) - whole :].reshape(-1, kind.days).sum(axis=1))
    weekday = np.arange(len(days)) % WEEK
    means = [np.nanmean(days[weekday == day]) for day in range(WEEK)]
    first = int(np.argmin([means[day] + means[(day + 1) % WEEK] for day in range(WEEK)]))
    return np.asarray(days[(weekday - first) % WEEK >= 2])


def cut(values: FloatArray, kind: Made) -> Iterator[FloatArray]:
    """Histories that end `apart` rows apart, each with a horizon at its end; a short series gives one."""
    least = max(2 * kind.season, kind.longest // 2) + max(kind.horizons)
    for end in range(len(values), min(least, len(values) - 1), -kind.apart):
        yield values[max(0, end - kind.longest) : end]


def write_set(root: Path, source: str, kind: Made, path: Path) -> int:
    """Write the set as a file; the number of its series."""
    parts = []
    for values in series(root / "data" / source / "train.csv.gz").values():
        parts += list(cut(rows(values, kind), kind))
    stamps = pd.date_range("2005-01-03", periods=max(map(len, parts)), freq=kind.freq)
    frames = [
        pd.DataFrame({"series": f"s{i}", "timestamp": stamps[: len(part)], "target": part})
        for i, part in enumerate(parts)
    ]
    pd.concat(frames).to_csv(path, index=False)
    return len(parts)


def errors(path: Path, kind: Made, horizon: int) -> tuple[float, float, float]:
    """Absolute errors over a series' mean absolute step, of what answers and of the better naive; coverage at 80 %."""
    from forecaster.data.reading.reader import read_panel
    from forecaster.data.windows import Windows
    from forecaster.serving.zero_shot import ZeroShot, open_pretrained

    panel = read_panel(str(path), season_length=kind.season)
    ends = panel.offsets[1:] - horizon
    windows = Windows(panel.target, panel.offsets[:-1], panel.offsets[1:], np.arange(len(ends)), ends)
    found = ZeroShot(open_pretrained(kind.season, threads=1), panel, ends, horizon).forecast(windows, (0.1, 0.9))
    actual = windows.gather(0, horizon)
    histories = [panel.target[start:end] for start, end in zip(panel.offsets, ends, strict=False)]
    scale = np.array([np.nanmean(np.abs(np.diff(past))) for past in histories])[:, None]
    last = np.array([past[-1] for past in histories])[:, None]
    season = np.stack([np.resize(past[-kind.season :], horizon) for past in histories])
    usable = scale[:, 0] > 0.0

    def error(forecast: FloatArray) -> float:
        return float(np.nanmean((np.abs(actual - forecast) / scale)[usable]))

    inside = (actual >= found[:, :, 1]) & (actual <= found[:, :, 2])
    return error(found[:, :, 0]), min(error(last), error(season)), float(100.0 * inside.mean())


def main() -> None:
    """Score and print; write the table where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--networks", type=Path, default=NETWORKS)
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    from forecaster.serving import pretrained

    lines = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        shutil.copytree(arguments.networks, work / "without")
        for kind in KINDS:
            shutil.rmtree(work / "without" / str(kind.season), ignore_errors=True)
        for kind in KINDS:
            for source in SOURCES:
                path = work / "set.csv"
                count = write_set(arguments.root, source, kind, path)
                for horizon in kind.horizons:
                    pretrained.ROOT = arguments.networks
                    own, naive, cover = errors(path, kind, horizon)
                    pretrained.ROOT = work / "without"
                    before, _, cover_before = errors(path, kind, horizon)
                    lines.append(
                        f"| {kind.name} of {source} | {count} | {horizon} | **{own:.3f}** | {before:.3f} | {naive:.3f} "
                        f"| {cover:.0f} | {cover_before:.0f} |"
                    )
                    print(lines[-1], flush=True)
    if arguments.write:
        write_section("other seasons", table(lines))


def table(lines: list[str]) -> str:
    """The whole section."""
    return "\n".join(
        [
            "`python benchmarks/other_seasons.py --write`: before any training, on sets made of the *training* parts of daily",
            "ones; absolute errors over the mean absolute step of a series' history. *Without*: as a season is forecast that no",
            "network knows, by the one without a season, on the series less its profile. Coverage is that of 80 % intervals.",
            "",
            "| set | windows | horizon | network | without | better naive | covered | without |",
            "|---|---|---|---|---|---|---|---|",
            *lines,
        ]
    )


if __name__ == "__main__":
    main()
