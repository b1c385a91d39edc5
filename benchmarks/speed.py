#!/usr/bin/env python3
"""Measure speed and memory, compare them with their limits, and write the speed section of benchmarks/RESULTS.md.

    python benchmarks/speed.py [--root DIR] [--torch PYTHON] [--nf PYTHON] [--runs 5] [--rows help,predict,...]

DIR is a folder of the caller's own with m4_hourly, described in accuracy.py; --torch and --nf are the interpreters of
environments with torch and with neuralforecast. BENCH_ROOT, BENCH_TORCH and BENCH_NF do the same. Rows that need one of
these are skipped without it. Programs that are compared run in turn; the figure is the ratio, pair by pair: median
(smallest–largest).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from machine_limits import machine_limit
from processes import FORECASTER, PYTHON, Runs, Spread, Worker, measure, once, ratio
from results import write_section

HERE = Path(__file__).parent
COMMANDS = (
    "",
    "train",
    "evaluate",
    "explain",
    "predict",
    "check",
    "compare",
    "tune",
    "batch",
    "monitor",
    "schedule",
    "doctor",
    "models",
)
SHORTEST = ("--steps-per-epoch", "5", "--epochs", "1", "--members", "1", "--quiet")
SHORT = ("--transform", "log", "--floor", "0", "--steps-per-epoch", "50", "--epochs", "8", "--members", "2")


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    what: str
    limit: str
    aim: str
    measured: str
    holds: bool
    reached: bool


@dataclass(frozen=True)
class Bench:
    """Folders, interpreters, and the number of runs."""

    work: Path
    root: Path | None
    torch: str | None
    nf: str | None
    runs: int

    @property
    def hourly(self) -> Path | None:
        """The training rows of m4_hourly."""
        return self.root and self.root / "data" / "m4_hourly" / "train.csv.gz"

    def model(self, name: str, data: Path, *options: str) -> tuple[str, ...]:
        """Train a model quickly, without regard to accuracy, and return the command that predicts with it."""
        models = str(self.work / "models")
        once([*FORECASTER, "train", str(data), "--name", name, "--models", models, *options, *SHORTEST])
        output = str(self.work / f"{name}.out.csv")
        return *FORECASTER, "predict", str(data), "--models", models, "--model", name, "--quiet", "--output", output


def at_most(value: float, limit: float, aim: float) -> tuple[bool, bool]:
    """Whether a value is within the limit, and within the aim."""
    return value <= limit, value <= aim


def not_below(value: float, limit: float, aim: float) -> tuple[bool, bool]:
    """Whether a value reaches the limit, and the aim."""
    return value >= limit, value >= aim


def helps(bench: Bench) -> Iterator[Row]:
    known = [
        c for c in COMMANDS if not subprocess.run([*FORECASTER, *c.split(), "--help"], capture_output=True).returncode
    ]
    found = measure(*([*FORECASTER, *command.split(), "--help"] for command in known), runs=bench.runs)
    worst = max(found, key=lambda run: run.seconds.median)
    name = known[found.index(worst)] or "forecaster"
    text = f"{worst.seconds.text()} s ({name}, the slowest of {len(known)}; {worst.cpu.text()} s of a processor)"
    yield Row("`--help` of every command", "≤ 0.25 s", "0.15 s", text, *at_most(worst.seconds.median, 0.25, 0.15))


def small(bench: Bench) -> Iterator[Row]:
    command = bench.model("small", HERE.parent / "data" / "AirPassengers.csv")
    ours, tensorflow = measure(command, [PYTHON, "-c", "import tensorflow"], runs=bench.runs)
    share = ratio(ours.seconds, tensorflow.seconds)
    yield Row("`predict`, one series of 144 rows, over `import tensorflow`", "≤ 0.30 ×", "≤ 0.20 ×",
              f"{share.text()} × ({_both(ours, tensorflow)})", *at_most(share.median, 0.30, 0.20))  # fmt: skip
    yield Row("its memory", "≤ 200 MB", "≤ 120 MB", f"{ours.megabytes.text(0)} MB",
              *at_most(ours.megabytes.median, 200, 120))  # fmt: skip


def hourly(bench: Bench) -> Iterator[Row]:
    if not bench.hourly:
        return
    command = bench.model("hourly", bench.hourly, "--horizon", "48")
    pandas = [PYTHON, "-c", "import sys, pandas; pandas.read_csv(sys.argv[1])", str(bench.hourly)]
    ours, other = measure(command, pandas, runs=bench.runs)
    share = ratio(ours.seconds, other.seconds)
    text = f"{share.text()} × ({_both(ours, other)}; {ours.megabytes.text(0)} MB against {other.megabytes.text(0)} MB)"
    yield Row("`predict`, m4_hourly, over `pandas.read_csv` of the file", "≤ 2.0 ×", "≤ 1.3 ×", text,
              *at_most(share.median, 2.0, 1.3))  # fmt: skip


def many(bench: Bench) -> Iterator[Row]:
    part, whole = bench.work / "part.csv", bench.work / "whole.csv"
    _write_series(part, 200, 48)
    _write_series(whole, 100_000, 48)
    command = [str(whole) if word == str(part) else word for word in bench.model("many", part, "--horizon", "12")]
    (ours,) = measure(command, runs=bench.runs)
    seconds, memory = ours.seconds.median, ours.megabytes.median
    text = f"{ours.seconds.text(1)} s ({ours.cpu.text(1)} s of a processor), {ours.megabytes.text(0)} MB"
    holds, reached = (a and b for a, b in zip(at_most(seconds, 60, 25), at_most(memory, 2500, 1200), strict=True))
    yield Row("`predict`, 100,000 series × 48 rows, horizon 12", "≤ 60 s, ≤ 2.5 GB", "≤ 25 s, ≤ 1.2 GB", text,
              holds, reached)  # fmt: skip


def training(bench: Bench) -> Iterator[Row]:
    script = str(HERE / "throughput.py")
    pythons = {"forecaster": PYTHON, "keras": PYTHON, "torch": bench.torch}
    for cell in ("rnn", "lstm", "gru"):
        workers = {k: Worker([python, script, k, cell]) for k, python in pythons.items() if python}
        found: dict[str, list[float]] = {kind: [] for kind in workers}
        for _ in range(bench.runs):
            for kind, worker in workers.items():
                found[kind].append(worker.ask())
        for worker in workers.values():
            worker.close()
        speed = {kind: Spread(tuple(values)) for kind, values in found.items()}
        rates = "; ".join(f"{kind} {values.text(0)} windows/s" for kind, values in speed.items())
        for kind, limit in (("keras", 1.0), ("torch", 0.9)):
            if kind in speed:
                gain = ratio(speed["forecaster"], speed[kind])
                text = f"{gain.text()} × ({rates}; machine limit {machine_limit(cell)})"
                yield Row(f"training, {cell}, S = 1, over {kind}", f"≥ {limit} ×", "≥ 1.5 ×", text,
                          *not_below(gain.median, limit, 1.5))  # fmt: skip
                rates = "as above"


def plan(bench: Bench) -> Iterator[Row]:
    if not bench.hourly:
        return
    command = [PYTHON, str(HERE / "stepping.py"), str(bench.hourly)]
    found = json.loads(subprocess.run([*command, str(bench.runs)], capture_output=True, text=True, check=True).stdout)
    segments, steps = Spread(tuple(found["segments"])), Spread(tuple(found["steps"]))
    gain = ratio(segments, steps)
    text = (
        f"{gain.text(1)} × ({segments.text(0)} against {steps.text(0)} windows/s, context {found['context_length']}, "
        f"segment {found['segment']})"
    )
    yield Row(
        "training, the default plan on m4_hourly over S = 1", "≥ 10 ×", "≥ 25 ×", text, *not_below(gain.median, 10, 25)
    )
    share = Spread(tuple(100 * value for value in found["gathering"]))
    holds = share.median <= 5 and found["traces"] == 1 and found["compile"] <= 10
    text = f"{share.text(1)} % of a step; traced {found['traces']} time(s); first call {found['compile']:.1f} s"
    yield Row("input pipeline; retracing; compile", "≤ 5 %; none; ≤ 10 s", "", text, holds, holds)


def accurate(bench: Bench) -> Iterator[Row]:
    if not (bench.root and bench.hourly):
        return
    models, output = str(bench.work / "models"), bench.work / "accurate.csv"
    # The default plan reaches less than .45: accuracy.py measures how long that takes.
    seconds, _, memory = once([*FORECASTER, "train", str(bench.hourly), "--horizon", "48", "--models", models,
                               "--name", "accurate", "--quiet", *SHORT])  # fmt: skip
    once([*FORECASTER, "predict", "--models", models, "--model", "accurate", "--output", str(output), "--quiet"])
    owa = _owa(bench.root, output)
    text = f"OWA {owa:.3f} after {seconds:.0f} s, {memory:,.0f} MB"
    share = None
    if bench.nf:
        other = bench.work / "nf.csv"
        theirs, _, _ = once([bench.nf, str(bench.root / "peers.py"), "neuralforecast", "GRU", "m4_hourly", str(other)])
        share = seconds / theirs
        text += f"; NeuralForecast GRU OWA {_owa(bench.root, other):.3f} after {theirs:.0f} s: {share:.2f} ×"
    good = owa <= 0.55 and share is not None
    yield Row(f"seconds to OWA ≤ .55 on m4_hourly (one run: `train {' '.join(SHORT)}`)", "≤ 1/5 of NeuralForecast's GRU",
              "≤ 1/10", text, good and (share or 1) <= 0.2, good and (share or 1) <= 0.1)  # fmt: skip


def memory(bench: Bench) -> Iterator[Row]:
    for series, rows in ((400, 1000), (10_000, 1000)):
        data = bench.work / f"{series}.csv"
        _write_series(data, series, rows)
        peaks = []
        for context in ("48", "480"):
            options = ("--horizon", "12", "--segment", "12", "--context-length", context, "--name", f"memory{context}")
            command = [*FORECASTER, "train", str(data), "--models", str(bench.work / "models"), *options, *SHORTEST]
            peaks.append(once(command)[2])
        share = peaks[1] / peaks[0]
        text = f"{share:.2f} × ({peaks[0]:,.0f} MB at context 48, {peaks[1]:,.0f} MB at 480)"
        yield Row(f"memory of training, {series * rows:,} rows, ten times the context", "≤ 1.2 ×", "the same", text,
                  *at_most(share, 1.2, 1.2))  # fmt: skip


def _both(ours: Runs, other: Runs) -> str:
    return (
        f"{ours.seconds.text()} s against {other.seconds.text()} s; processor {ours.cpu.text()} s, {other.cpu.text()} s"
    )


def _write_series(path: Path, series: int, rows: int) -> None:
    rng, t = np.random.default_rng(0), np.arange(rows)
    stamps = (np.datetime64("1920-01") + t).astype("M8[D]").astype(str)
    with path.open("w") as file:
        file.write("series,timestamp,target\n")
        for n in range(series):
            values = np.round(100 + 50 * np.sin(t * np.pi / 6 + n) + 10 * rng.normal(size=rows), 2).tolist()
            file.write("".join(f"S{n:06d},{stamp},{value!r}\n" for stamp, value in zip(stamps, values, strict=True)))


def _owa(root: Path, forecasts: Path) -> float:
    command = [PYTHON, str(root / "score.py"), "m4_hourly", str(forecasts), "--root", str(root / "data"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout)["owa"])


ROWS: dict[str, Callable[[Bench], Iterator[Row]]] = {
    "help": helps,
    "small": small,
    "hourly": hourly,
    "many": many,
    "training": training,
    "plan": plan,
    "memory": memory,
    "accurate": accurate,
}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    env = os.environ.get
    parser.add_argument("--root", type=Path, default=env("BENCH_ROOT"))
    parser.add_argument("--torch", default=env("BENCH_TORCH"))
    parser.add_argument("--nf", default=env("BENCH_NF"))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", default=",".join(ROWS), help="some of %(default)s; RESULTS.md is then not written")
    arguments = parser.parse_args()
    root = Path(arguments.root).absolute() if arguments.root else None
    chosen = arguments.rows.split(",")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), root, arguments.torch, arguments.nf, arguments.runs)
        for name in chosen:
            for row in ROWS[name](bench):
                rows.append(row)
                print(
                    f"{'ok  ' if row.holds else 'MISS'} {row.what}: {row.measured} [{row.limit}; {row.aim}]",
                    flush=True,
                )
    if chosen == list(ROWS):
        write_section("speed", _text(rows, arguments.runs))


def _text(rows: list[Row], runs: int) -> str:
    when = datetime.now(timezone.utc).date().isoformat()
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    lines = [
        f"{when}, {os.cpu_count()} processors, Python {sys.version.split()[0]}, {runs} runs of each in turn, load {load} at the "
        "end. Median (smallest–largest).",
        "",
        "| what | limit | aim | measured | |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        mark = "aim reached" if row.reached else "holds" if row.holds else "**misses**"
        lines.append(f"| {row.what} | {row.limit} | {row.aim} | {row.measured} | {mark} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
