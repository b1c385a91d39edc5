#!/usr/bin/env python3
"""Is the cell that `compare` advises the right one? On 18 sets its advice is compared with later windows.

    python benchmarks/advice.py --root DIR --runs FILE.jsonl [--sets NAME ...] [--write]

DIR is described in accuracy.py. Each set is compared once, with three seeds and several test windows. The advice is that of
`compare` with one of the seeds on the earlier half of the windows. What it costs is measured with the other seeds
on the later half, which the advice has not seen: the error of the advised cell over that of the best. There are three ways to
part the seeds, and the cost is the mean of the three. FILE.jsonl gets a line for each set with the error of each window, so a run
that was stopped goes on, and a changed rule of advice needs no new fit.

Of the sets six are made: row t is .95 times row t - M and noise, with M from 5 to 500, and rows in between say nothing. The
networks have no linear path here, so what they know of row t - M came through the cell. Series, rows and training steps are
capped, so that a set takes about half a minute of one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
from further import bike_sharing, etth1, whole
from results import write_section

from forecaster.commands.compare import LIKELY

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.commands.compare import Comparison

ABOUT = """`python benchmarks/advice.py --root DIR --runs FILE.jsonl`: `compare` of three cells, one network each, 300 training
steps of 64 windows (600 on made sets), at most 50 series and 2,000 rows. The cell that it advises on the earlier half of the test
windows is compared with the best on the later half, of fits with other seeds. There are three ways to part the three seeds; the
cost is the mean of the three errors above the best. Where the advice names several cells, it depends on the seed.
*Three seeds*: their advice, and its cost on the later windows of the same fits, since no other seeds are left."""
CELLS, DEFAULT = ("rnn", "lstm", "gru"), "gru"
SEEDS = 3
MAX_SERIES, MAX_ROWS, MIN_WINDOWS = 50, 2000, 60  # windows of all series together, if the rows allow it
MAX_COST, ENOUGH = 0.02, 16
CAPPED = {"epochs": 6, "steps_per_epoch": 50, "learning_rate": 5e-3, "batch_size": 64}
FEW_SERIES = (
    10  # fewer are fitted on the schedule that model selection finds: on one that does not suit, seeds differ much
)
HORIZONS = {
    "air_passengers": 12,
    "bike_sharing": 24,
    "etth1": 24,
    "hospital": 12,
    "m1_quarterly": 8,
    "m3_monthly": 18,
    "m3_yearly": 6,
    "m4_hourly": 48,
    "nn5_daily": 28,
    "saugeen": 30,
    "tourism_monthly": 24,
    "us_births": 30,
}
MEMORIES = {f"memory {rows}": rows for rows in (5, 15, 50, 100, 200, 500)}
MADE_HORIZON, MADE_SERIES, MADE_EPOCHS, MAX_STEPS = 4, 6, 12, 16


@dataclass(frozen=True)
class Set:
    """Rows, and the options of `compare` for them."""

    frame: pd.DataFrame  # series, timestamp, target
    options: dict[str, Any]


def made(memory: int) -> Set:
    """Series whose rows follow from those `memory` rows before; the context is just long enough."""
    import pandas as pd

    rng = np.random.default_rng(memory)
    rows = max(400, 4 * memory + 200)
    parts = []
    for n in range(MADE_SERIES):
        values = rng.normal(size=rows)
        for t in range(memory, rows):
            values[t] = 0.95 * values[t - memory] + math.sqrt(1.0 - 0.95**2) * values[t]
        parts.append(pd.DataFrame({"series": f"s{n}", "timestamp": np.arange(rows), "target": values}))
    segment = 1
    while -(-(memory + 1) // segment) > MAX_STEPS:
        segment *= 2
    context = -(-max(memory + 1, 16) // segment) * segment
    options: dict[str, object] = {
        "horizon": MADE_HORIZON,
        "context_length": context,
        "segment": segment,
        "season_length": 1,
        "windows": 20,
    }
    options.update(transform="none", calendar=False, linear=False, epochs=MADE_EPOCHS)
    return Set(pd.concat(parts, ignore_index=True), options)


def real(name: str, root: Path, *, selected: bool) -> Set:
    """A benchmark set, at most MAX_SERIES series of it, evenly chosen, and their latest MAX_ROWS rows.

    `selected`: on the transform and schedule that model selection finds, instead of the capped ones.
    """
    import pandas as pd

    if name == "air_passengers":
        [path] = (root / "data" / name).glob("*.csv")
        frame = pd.read_csv(path)
        frame.columns = ["timestamp", "target"]
        frame = frame.assign(series="passengers", timestamp=pd.to_datetime(frame["timestamp"]))
    else:
        frame = {"bike_sharing": bike_sharing, "etth1": etth1}.get(name, whole(name))(root)
    names = frame["series"].unique()
    names = names[:: -(-len(names) // MAX_SERIES)]
    frame = frame[frame["series"].isin(names)].groupby("series", sort=False).tail(MAX_ROWS)
    horizon, rows = HORIZONS[name], int(frame.groupby("series").size().median())
    windows = min(-(-MIN_WINDOWS // len(names)), rows // 2 // horizon)
    options = {"horizon": horizon, "windows": max(windows // 2 * 2, 2)}
    if selected:
        return Set(frame, options)
    return Set(frame, {**CAPPED, **options, "transform": "log" if (frame["target"] > 0.0).all() else "none"})


def measure(name: str, root: Path, *, selected: bool) -> dict[str, Any]:
    """The errors of each cell, seed and window of a set."""
    from forecaster.commands.compare import compare
    from forecaster.config import CompareSettings
    from forecaster.typing import Silent

    chosen = made(MEMORIES[name]) if name in MEMORIES else real(name, root, selected=selected)
    began = time.process_time()
    settings = CompareSettings(**chosen.options, cells=CELLS, bidirectional=False, seeds=SEEDS, quantiles=(), threads=1)
    found = compare(chosen.frame, settings, Silent())
    return {
        "set": name,
        "series": int(chosen.frame["series"].nunique()),
        "options": chosen.options,
        "seconds": round(time.process_time() - began),
        "windows": {"series": found.windows.series.tolist(), "cutoff": found.windows.cutoff.tolist()},
        "cells": {
            entry.name: {
                "errors": np.round(entry.errors, 5).tolist(),
                "seconds_per_epoch": entry.seconds_per_epoch,
                "mase": entry.score("mase"),
            }
            for entry in found.entries
        },
        "baselines": {who: scores.mase for who, scores in found.baselines.items()},
    }


def comparison(run: dict[str, Any]) -> Comparison:
    """What `compare` found, of a stored line."""
    from forecaster.commands.compare import Comparison, Entry
    from forecaster.data.windows import Windows

    none = np.empty(0, np.int64)
    windows = Windows(np.empty(0), none, none, *(np.array(run["windows"][key]) for key in ("series", "cutoff")))
    entries = tuple(
        Entry(name, name, False, 0, one["seconds_per_epoch"], 0, (), np.array(one["errors"], float))
        for name, one in run["cells"].items()
    )
    return Comparison(entries, {}, None, (), {}, windows)


@dataclass(frozen=True)
class Advice:
    """Three pieces of advice about one set, each from other seeds, and what they cost."""

    name: str
    windows: int  # later ones
    advised: tuple[str, ...]
    ahead: float  # mean share of the bootstrap's draws in which the advised cell has the lower error than the next
    best: tuple[str, ...]  # later, with the other seeds
    cost: float  # mean of: error of the advised cell over that of the best, less one
    default: float  # the same of the default
    worst: float  # the same of the worst

    @property
    def harmless(self) -> bool:
        """Right, or costing little."""
        return self.cost <= MAX_COST


def advice_of(run: dict[str, Any], seeds: int) -> Advice:
    """What `seeds` seeds advise on the earlier windows, compared with the others on the later windows; 3 with the same."""
    whole = comparison(run)
    series, cutoff = whole.windows.series, whole.windows.cutoff
    later = np.zeros(len(series), bool)
    for n in np.unique(series):
        mine = np.flatnonzero(series == n)
        later[mine[np.argsort(cutoff[mine])][-(len(mine) // 2) :]] = len(mine) > 1
    advised, best, ahead, costs = [], [], [], []
    for chosen in itertools.combinations(range(SEEDS), seeds):
        others = [seed for seed in range(SEEDS) if seed not in chosen] or chosen
        advice, truth = whole.on(np.flatnonzero(~later), list(chosen)), whole.on(np.flatnonzero(later), list(others))
        errors = {entry.name: entry.error for entry in truth.entries}
        advised.append(advice.entries[0].name)
        best.append(truth.entries[0].name)
        ahead.append(advice.lead.ahead if advice.lead else float("nan"))
        taken = errors[advised[-1]], errors[DEFAULT], max(errors.values())
        costs.append([error / errors[best[-1]] - 1.0 for error in taken])
    cost, default, worst = map(float, np.mean(costs, axis=0))
    return Advice(
        name=run["set"],
        windows=int(later.sum()),
        advised=tuple(advised),
        ahead=float(np.mean(ahead)),
        best=tuple(best),
        cost=cost,
        default=default,
        worst=worst,
    )


def table(runs: list[dict[str, Any]]) -> str:
    """The section of RESULTS.md."""
    lines = [
        ABOUT,
        "",
        "| set | later windows | advised | share of draws | best later | cost | | always gru | worst cell "
        "| three seeds | share | cost |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    found, three = ([advice_of(run, seeds) for run in runs] for seeds in (1, SEEDS))
    for one, all_ in zip(found, three, strict=True):
        verdict = "right" if one.cost == 0.0 else "harmless" if one.harmless else "**wrong**"
        lines.append(
            f"| {one.name} | {one.windows} | {names(one.advised)} | {one.ahead:.0%} | {names(one.best)} | {one.cost:.1%} "
            f"| {verdict} | {one.default:.1%} | {one.worst:.1%} | {names(all_.advised)} | {all_.ahead:.0%} | {all_.cost:.1%} |"
        )
    likely = [one for one in three if one.ahead >= LIKELY]
    counted = {
        "the advice": [one.cost for one in found],
        "always gru": [one.default for one in found],
        "the advice of three seeds": [one.cost for one in three],
        f"of these, those ahead in {LIKELY:.0%} of draws or more": [one.cost for one in likely],
    }
    lines += [
        "",
        f"Right or costing at most {MAX_COST:.0%} (aim: {ENOUGH} of 18):",
        "",
        "| | sets | mean cost |",
        "|---|---|---|",
    ]
    for what, costs in counted.items():
        lines.append(f"| {what} | {sum(cost <= MAX_COST for cost in costs)} of {len(costs)} | {np.mean(costs):.1%} |")
    return "\n".join(lines)


def names(cells: tuple[str, ...]) -> str:
    """How often each cell is named."""
    counted = [(cell, cells.count(cell)) for cell in dict.fromkeys(cells)]
    return cells[0] if len(counted) == 1 else ", ".join(f"{cell} {count}" for cell, count in counted)


def main() -> None:
    """Measure the sets that are not in the file of runs, and print or write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", default=[*MEMORIES, *HORIZONS])
    parser.add_argument(
        "--selected", action="store_true", help="let model selection choose the schedule of benchmark sets"
    )
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    kept = options.runs.read_text().splitlines() if options.runs.exists() else []
    runs = {run["set"]: run for run in map(json.loads, kept)}
    for name in options.sets:
        if name in runs:
            continue
        runs[name] = measure(name, options.root, selected=options.selected)
        with options.runs.open("a") as file:
            file.write(json.dumps(runs[name]) + "\n")
        print(advice_of(runs[name], 1), f"{runs[name]['seconds']} s", flush=True)
    text = table([runs[name] for name in options.sets])
    print(text)
    if options.write:
        write_section("advice", text)


if __name__ == "__main__":
    main()
