#!/usr/bin/env python3
"""Is the cell that `compare` advises the right one? On 18 sets its advice is compared with later windows.

    python benchmarks/advice.py --root DIR --runs FILE.jsonl [--sets NAME ...] [--write]

DIR is described in accuracy.py. `compare` runs twice on each set: without the later half of the test windows, as a user would
ask today, and after these rows came, on the later windows, with all rows before them and other seeds. What the advice of the
first costs is the error of the advised cell in the second over that of the best. FILE.jsonl gets a line for each set with the
error of each window and seed, so a run that was stopped goes on, and a changed rule of advice needs no new fit. Rules are chosen
on the earlier windows alone: one half of them advises, the other half is forecast (of many series, halves of the series).

Of the sets six are made: row t is .95 times row t - M and noise, with M from 5 to 500, and rows in between say nothing. The
networks have no linear path here, so what they know of row t - M came through the cell. Series, rows and training steps are
capped, so that a set takes about a minute of one core.
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
from forecaster.evaluation.bootstrap import paired

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from forecaster.commands.compare import Comparison, Entry
    from forecaster.typing import IntArray

ABOUT = """`python benchmarks/advice.py --root DIR --runs FILE.jsonl`: `compare` of three cells, one network each, 300 training
steps of 64 windows (600 on made sets), at most 500 series and 2,000 rows. The cell that it advises before the later windows is
compared with the best on these, of fits on all rows before them with three other seeds. *One seed*: the mean of the advice of
each of the three seeds; where it names several cells, it depends on the seed."""
RULE_ABOUT = """Rules that were compared on the earlier windows alone: one half advises, the other half is forecast (halves of the
series where they are many, of the time elsewhere). Sets on which the advice is right or costs at most 2%:"""
CELLS, DEFAULT = ("rnn", "lstm", "gru"), "gru"
SEEDS, LATER_SEED = 3, 100
MAX_SERIES, MAX_ROWS = 500, 2000
MIN_WINDOWS = 60  # earlier and later ones of all series together, if the rows allow it
MAX_COST, ENOUGH = 0.02, 16
CAPPED = {"epochs": 6, "steps_per_epoch": 50, "learning_rate": 5e-3, "batch_size": 64}
FEW_SERIES = 10  # of fewer, the halves are of the time
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
    options: dict[str, Any] = {
        "horizon": MADE_HORIZON,
        "context_length": context,
        "segment": segment,
        "season_length": 1,
        "windows": 10,
    }
    options.update(transform="none", calendar=False, linear=False, epochs=MADE_EPOCHS)
    return Set(pd.concat(parts, ignore_index=True), options)


def real(name: str, root: Path) -> Set:
    """A benchmark set, at most MAX_SERIES series of it, evenly chosen, and their latest MAX_ROWS rows."""
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
    options = {"horizon": horizon, "windows": max(windows // 2, 1)}
    return Set(frame, {**CAPPED, **options, "transform": "log" if (frame["target"] > 0.0).all() else "none"})


def measure(name: str, root: Path) -> dict[str, Any]:
    """The errors of each cell, seed and window of a set: before the later windows, and on them."""
    chosen = made(MEMORIES[name]) if name in MEMORIES else real(name, root)
    began = time.process_time()
    held = chosen.options["horizon"] * chosen.options["windows"]
    before = chosen.frame.groupby("series", sort=False).cumcount(ascending=False) >= held
    return {
        "set": name,
        "options": chosen.options,
        "earlier": compared(chosen.frame[before], chosen.options, 0),
        "later": compared(chosen.frame, chosen.options, LATER_SEED),
        "seconds": round(time.process_time() - began),
    }


def compared(frame: pd.DataFrame, options: dict[str, Any], seed: int) -> dict[str, Any]:
    """The errors of each cell, seed and window that `compare` finds."""
    from forecaster.commands.compare import compare
    from forecaster.config import CompareSettings
    from forecaster.typing import Silent

    given: dict[str, Any] = {
        "cells": CELLS,
        "bidirectional": False,
        "seeds": SEEDS,
        "seed": seed,
        "quantiles": (),
        "threads": 1,
    }
    found = compare(frame, CompareSettings(**options, **given), Silent())
    return {
        "windows": {"series": found.windows.series.tolist(), "cutoff": found.windows.cutoff.tolist()},
        "cells": {
            entry.name: {
                "errors": np.round(entry.errors, 5).tolist(),
                "seconds_per_epoch": entry.seconds_per_epoch,
            }
            for entry in found.entries
        },
    }


def comparison(run: dict[str, Any]) -> Comparison:
    """What `compare` found, of one half of a stored line."""
    from forecaster.commands.compare import Comparison, Entry
    from forecaster.data.windows import Windows

    none = np.empty(0, np.int64)
    windows = Windows(np.empty(0), none, none, *(np.array(run["windows"][key]) for key in ("series", "cutoff")))
    entries = tuple(
        Entry(name, name, False, 0, one["seconds_per_epoch"], 0, (), np.array(one["errors"], float))
        for name, one in run["cells"].items()
    )
    return Comparison(entries, {}, None, (), {}, windows).on(np.arange(len(windows)))


def lowest(found: Comparison) -> str:
    """What `compare` advises."""
    return found.entries[0].name


def cheapest(found: Comparison) -> str:
    """The cell that trains fastest of those that the lowest error is not ahead of in LIKELY of the draws."""
    return first_within(found, sorted(found.entries, key=lambda entry: entry.seconds_per_epoch))


def usual(found: Comparison) -> str:
    """DEFAULT, or the lowest error where it is ahead of DEFAULT in LIKELY of the draws."""
    return first_within(found, [entry for entry in found.entries if entry.name == DEFAULT])


def first_within(found: Comparison, entries: Sequence[Entry]) -> str:
    """The first that the lowest error is not ahead of in LIKELY of the draws; the lowest error if there is none."""
    best = found.entries[0]
    for entry in entries:
        lead = paired(best.errors, entry.errors, found.windows.series)
        if entry is best or lead is None or lead.ahead < LIKELY:
            return entry.name
    return best.name


RULES = {
    "lowest error": lowest,
    f"the fastest of those less than {LIKELY:.0%} behind": cheapest,
    f"gru, if less than {LIKELY:.0%} behind": usual,
}


def cost(cell: str, truth: Comparison) -> float:
    """The error of a cell over that of the best, less one."""
    errors = {entry.name: entry.error for entry in truth.entries}
    return errors[cell] / min(errors.values()) - 1.0


def halves(found: Comparison) -> list[tuple[IntArray, IntArray]]:
    """Windows that advise, and windows that are forecast: halves of the series where they are many, else of the time."""
    series, cutoff = found.windows.series, found.windows.cutoff
    one = series % 2 == 0
    if len(np.unique(series)) < FEW_SERIES:
        one = np.array([cutoff[n] < np.median(cutoff[series == series[n]]) for n in range(len(series))])
    return [(np.flatnonzero(one), np.flatnonzero(~one)), (np.flatnonzero(~one), np.flatnonzero(one))]


def validated(run: dict[str, Any], rule: Callable[[Comparison], str], seeds: int) -> float:
    """The mean cost of a rule's advice on the earlier windows alone; one seed advises and the others forecast, or all do both."""
    whole, costs = comparison(run["earlier"]), []
    for (advising, tested), chosen in itertools.product(halves(whole), itertools.combinations(range(SEEDS), seeds)):
        others = [seed for seed in range(SEEDS) if seed not in chosen] or list(chosen)
        costs.append(cost(rule(whole.on(advising, list(chosen))), whole.on(tested, others)))
    return float(np.mean(costs))


@dataclass(frozen=True)
class Advice:
    """What so many seeds advise about one set, and what it costs; one piece of advice for each way to choose them."""

    advised: tuple[str, ...]
    ahead: float  # mean share of the bootstrap's draws in which the advised cell has the lower error than the next
    cost: float  # mean

    @property
    def harmless(self) -> bool:
        """Right, or costing little."""
        return self.cost <= MAX_COST


def advice_of(run: dict[str, Any], seeds: int) -> Advice:
    """What `seeds` seeds advise on the earlier windows, compared with the fits before the later ones."""
    earlier, truth = comparison(run["earlier"]), comparison(run["later"])
    everything = np.arange(len(earlier.windows))
    found = [earlier.on(everything, list(chosen)) for chosen in itertools.combinations(range(SEEDS), seeds)]
    return Advice(
        advised=tuple(lowest(one) for one in found),
        ahead=float(np.mean([one.lead.ahead if one.lead else float("nan") for one in found])),
        cost=float(np.mean([cost(lowest(one), truth) for one in found])),
    )


def table(runs: list[dict[str, Any]]) -> str:
    """The section of RESULTS.md."""
    lines = [
        ABOUT,
        "",
        "| set | windows, earlier and later | advised | share of draws | best later | cost | | one seed | cost "
        "| always gru | worst cell |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    found, single = ([advice_of(run, seeds) for run in runs] for seeds in (SEEDS, 1))
    truths = [comparison(run["later"]) for run in runs]
    default = [cost(DEFAULT, truth) for truth in truths]
    for run, one, alone, truth, usual_cost in zip(runs, found, single, truths, default, strict=True):
        verdict = "right" if one.cost == 0.0 else "harmless" if one.harmless else "**wrong**"
        lines.append(
            f"| {run['set']} | {len(comparison(run['earlier']).windows)}, {len(truth.windows)} | {names(one.advised)} "
            f"| {one.ahead:.0%} | {lowest(truth)} | {one.cost:.1%} | {verdict} | {names(alone.advised)} | {alone.cost:.1%} "
            f"| {usual_cost:.1%} | {cost(truth.entries[-1].name, truth):.1%} |"
        )
    counted = {
        "the advice": [one.cost for one in found],
        f"of these, those ahead in {LIKELY:.0%} of draws or more": [one.cost for one in found if one.ahead >= LIKELY],
        "the advice of one seed": [one.cost for one in single],
        "always gru": default,
    }
    lines += ["", f"Right or costing at most {MAX_COST:.0%} (aim: {ENOUGH} of 18):", *shares(counted)]
    rules = {
        f"{name}, {seeds} seed{'s' if seeds > 1 else ''}": [validated(run, rule, seeds) for run in runs]
        for (name, rule), seeds in itertools.product(RULES.items(), (1, SEEDS))
    }
    return "\n".join([*lines, "", RULE_ABOUT, *shares(rules)])


def shares(counted: dict[str, list[float]]) -> list[str]:
    """How many of the costs are small, a row for each name."""
    return [
        "",
        "| | sets | mean cost |",
        "|---|---|---|",
        *(
            f"| {what} | {sum(one <= MAX_COST for one in costs)} of {len(costs)} | {np.mean(costs):.1%} |"
            for what, costs in counted.items()
        ),
    ]


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
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    kept = options.runs.read_text().splitlines() if options.runs.exists() else []
    runs = {run["set"]: run for run in map(json.loads, kept)}
    for name in options.sets:
        if name in runs:
            continue
        runs[name] = measure(name, options.root)
        with options.runs.open("a") as file:
            file.write(json.dumps(runs[name]) + "\n")
        print(name, advice_of(runs[name], SEEDS), f"{runs[name]['seconds']} s", flush=True)
    text = table([runs[name] for name in options.sets])
    print(text)
    if options.write:
        write_section("advice", text)


if __name__ == "__main__":
    main()
