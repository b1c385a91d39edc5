#!/usr/bin/env python3
"""Run the default command on benchmark sets and compare the scores with published ones.

    python benchmarks/accuracy.py --root DIR [--seeds 0 1 2] [--sets NAME ...] [--peers LIBRARY:CELL:PYTHON ...]

Every set gets the same command, `forecaster train FILE --horizon H`; only the horizon depends on the set. Writes the
accuracy section of benchmarks/RESULTS.md. A peer runs in its own interpreter, e.g. `neuralforecast:GRU:nf/bin/python`.

DIR is a folder of the caller's own. The data is not in the repository, as licences differ. The folder contains:

    data/<set>/train.csv.gz, test.csv.gz      columns series, timestamp, target; for etth1 the published file, ETTh1.csv.gz
    score.py SET FORECASTS --json --root DATA                 prints the set's measures (mase, owa, …) as one JSON object
    peers.py LIBRARY CELL SET OUTPUT --root DATA              only for --peers: forecasts of another library at its defaults
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from processes import forecaster
from results import write_section

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Set:
    """One benchmark: its measure, the required score, and published scores."""

    horizon: int
    measure: str
    required: float  # the best published score of a trained method, or close to it
    goal: float  # better than every published score
    minutes: float
    published: str


SETS = {
    "m4_hourly": Set(48, "owa", 0.460, 0.410, 4, "ES-RNN .440, Doornik .410, FFORMA .484"),
    "tourism_monthly": Set(24, "mase", 1.409, 1.360, 3, "DeepAR 1.409, TimeCopilot 1.429"),
    "hospital": Set(12, "mase", 0.765, 0.740, 3, "Theta .761, ETS .765, Chronos-2 .740"),
    "m1_quarterly": Set(8, "mase", 1.658, 1.600, 3, "ETS 1.658, TimesFM 1.670"),
    "m3_monthly": Set(18, "mase", 0.829, 0.808, 3, "AutoGluon .823, TimeCopilot .829"),
    "m3_yearly": Set(6, "mase", 2.610, 2.585, 3, "AutoGluon 2.588, Theta 2.610"),
    "nn5_daily": Set(56, "mase", 0.858, 0.809, 3, "AutoGluon .809, TBATS .858"),
    "saugeen": Set(30, "mase", 1.453, 1.437, 3, "AutoGluon 1.437, TBATS 1.453"),
    "us_births": Set(30, "mase", 1.453, 1.350, 3, "TBATS 1.453, ETS 1.529"),
    "etth1": Set(96, "mse", 0.365, 0.345, 5, "SegRNN .351, PatchTST .375"),
}
FIT, KNOWN, ALL = 8640, 11520, 14400  # ETTh1: rows that z-scores are taken from, before the test span, and to its end


def run(name: str, root: Path, seed: int, work: Path) -> dict[str, float]:
    """Train at the defaults, forecast, score."""
    return run_etth1(root, seed, work) if name == "etth1" else run_panel(name, root, seed, work)


def run_panel(name: str, root: Path, seed: int, work: Path) -> dict[str, float]:
    """A set with train.csv.gz and test.csv.gz, scored by score.py of the caller's folder."""
    began = time.perf_counter()
    train(root / "data" / name / "train.csv.gz", name, SETS[name].horizon, seed, work)
    seconds = time.perf_counter() - began
    return {**forecast_and_score(name, root, work), "seconds": seconds}


def train(data: Path, name: str, horizon: int, seed: int, work: Path) -> None:
    """The default command."""
    forecaster(
        "train", data, "--horizon", str(horizon), "--name", name, "--models", work, "--seed", str(seed), "--quiet"
    )


def forecast_and_score(name: str, root: Path, work: Path) -> dict[str, float]:
    """The scores of the model of that name in `work`."""
    out = work / f"{name}.csv"
    forecaster("predict", "--model", name, "--models", work, "--output", out, "--quiet")
    return score(name, out, root)


def score(name: str, forecasts: Path, root: Path) -> dict[str, float]:
    """The measures that score.py prints."""
    done = subprocess.run(
        [sys.executable, root / "score.py", name, forecasts, "--json", "--root", root / "data"],
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(json.loads(done.stdout))


def run_etth1(root: Path, seed: int, work: Path) -> dict[str, float]:
    """Every window of the test span, by one model trained on the rows before the span, as in the literature."""
    from forecaster.data.extra_inputs import ExtraInputs
    from forecaster.data.reading.reader import read_panel
    from forecaster.data.windows import Windows
    from forecaster.serving.open_model import open_model
    from forecaster.serving.runtime import forecast
    from forecaster.serving.stored_graphs import load_runtime

    frame = wide_etth1(root)
    data = work / "etth1.csv"
    frame.iloc[:KNOWN].to_csv(data, index=False)
    horizon = SETS["etth1"].horizon
    began = time.perf_counter()
    train(data, "etth1", horizon, seed, work)
    seconds = time.perf_counter() - began
    opened = open_model(str(work), "etth1")
    runtime = load_runtime(opened.folder, opened.manifest, "onnx")
    panel = read_panel(frame)
    series, cutoff = np.divmod(np.arange(len(panel.series) * (ALL - KNOWN - horizon + 1)), ALL - KNOWN - horizon + 1)
    start, end = panel.offsets[:-1], panel.offsets[1:]
    windows = Windows(panel.target, start, end, series, start[series] + KNOWN + cutoff)
    spread = np.array([panel.target[a : a + FIT].std() for a in start])
    squares, sizes = [], []
    for part in windows.batches(2048):
        values = part.gather(opened.manifest.context_length, horizon)
        context, truth = values[:, :-horizon], values[:, -horizon:]
        extra = ExtraInputs(panel, part, opened.manifest.needs)
        error = (truth - forecast(runtime, context, horizon, extra)[:, :, 0]) / spread[part.series][:, None]
        squares.append((error**2).mean(axis=1))
        sizes.append(np.abs(error).mean(axis=1))
    return {
        "mse": float(np.concatenate(squares).mean()),
        "mae": float(np.concatenate(sizes).mean()),
        "seconds": seconds,
    }


def run_peer(peer: str, name: str, root: Path, work: Path) -> dict[str, float]:
    """A peer library at its defaults, by its own interpreter."""
    library, cell, python = peer.split(":", 2)
    if name == "etth1":
        return run_peer_etth1(cell, python, root, work)
    out = work / f"{library}-{cell}-{name}.csv"
    began = time.perf_counter()
    words: list[str | Path] = [python, root / "peers.py", library, cell, name, out, "--root", root / "data"]
    subprocess.run(words, capture_output=True, check=True)
    return {**score(name, out, root), "seconds": time.perf_counter() - began}


def run_peer_etth1(cell: str, python: str, root: Path, work: Path) -> dict[str, float]:
    """NeuralForecast on the same rolling windows; the seconds are those of all of it, forecasts included."""
    frame = wide_etth1(root)
    data = work / "etth1-peer.csv"
    frame.to_csv(data, index=False)
    spans = (SETS["etth1"].horizon, FIT, KNOWN)
    words: list[str | Path] = [python, Path(__file__).with_name("rolling_peer.py"), cell, data, *map(str, spans)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def wide_etth1(root: Path) -> pd.DataFrame:
    """The rows up to the end of the test span."""
    import pandas as pd

    return pd.read_csv(root / "data" / "etth1" / "ETTh1.csv.gz").iloc[:ALL]


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--peers", nargs="*", default=[])
    arguments = parser.parse_args()
    rows = []
    for name in arguments.sets:
        if not (arguments.root / "data" / name).is_dir():
            print(f"{name}: not found, skipped", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as work:
            runs = [
                reported(f"{name}, seed {seed}", run(name, arguments.root, seed, Path(work)))
                for seed in arguments.seeds
            ]
            peers = {
                peer: reported(f"{name}, {peer}", run_peer(peer, name, arguments.root, Path(work)))
                for peer in arguments.peers
            }
        rows.append(row(name, runs, peers))
        print(rows[-1], flush=True)
    write_section("accuracy", table(rows, arguments.seeds))


def reported(what: str, found: dict[str, float]) -> dict[str, float]:
    """Print a result as soon as it is there (a peer may take an hour, and the next may never end) and return it."""
    print(f"{what}: {json.dumps(found)}", file=sys.stderr, flush=True)
    return found


def row(name: str, runs: list[dict[str, float]], peers: dict[str, dict[str, float]]) -> str:
    """One line of the table."""
    wanted = SETS[name]
    values = [one[wanted.measure] for one in runs]
    median = statistics.median(values)
    reached = "goal" if median <= wanted.goal else "required" if median <= wanted.required else "neither"
    seconds = statistics.median(one["seconds"] for one in runs)
    others = "; ".join(
        f"{':'.join(peer.split(':')[:2])} {one[wanted.measure]:.3f} in {one['seconds']:.0f} s"
        for peer, one in peers.items()
    )
    return (
        f"| {name} | {wanted.measure.upper()} | **{median:.4f}** | {min(values):.4f}–{max(values):.4f} | {wanted.required:.3f} | "
        f"{wanted.goal:.3f} | {reached} | {seconds:.0f} (≤ {wanted.minutes * 60:.0f}) | {wanted.published} | {others or '–'} |"
    )


def table(rows: list[str], seeds: list[int]) -> str:
    """The whole section."""
    head = (
        "| set | measure | ours (median) | spread | required | goal | reached | seconds | published | peers, same run |"
    )
    return "\n".join(
        [
            f"`python benchmarks/accuracy.py`, {len(seeds)} seed(s), the default command on every set:",
            "",
            head,
            "|---|---|---|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


if __name__ == "__main__":
    main()
