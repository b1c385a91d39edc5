"""Two workers of `TF_CONFIG` over one process, on the same two processors: windows per second, and the loss of 200 steps.

    python benchmarks/scale.py --series "" --workers 3

Each fits the GRU that `train` plans for 200 series × 400 days. One process has two threads, each worker one; they run in turn,
so many times. The first epoch, which compiles, is not counted.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

EPOCHS, STEPS, BATCH = 10, 20, 256
WORDS = "--horizon 14 --cell gru --members 1 --floor 0 --no-pretrained --learning-rate 0.003 --error-scale series --windows 2"
FIT = f"--transform none --epochs {EPOCHS} --steps-per-epoch {STEPS} --batch-size {BATCH} --patience 0 --no-final-fit --quiet"


def _make(path: Path) -> None:
    rng, count, length = np.random.default_rng(0), 200, 400
    days = np.datetime64("2023-01-01") + np.arange(length)
    level = rng.lognormal(3.0, 1.0, count)[:, None]
    target = rng.poisson(level * (1 + 0.5 * np.sin(2 * np.pi * np.arange(length) / 7)))
    rows = [f"s{n},{day},{target[n, i]}" for n in range(count) for i, day in enumerate(days)]
    path.write_text("\n".join(["series,timestamp,target", *rows]) + "\n", encoding="utf-8")


def _fit(folder: Path, cores: list[int], workers: int, *words: str) -> tuple[float, list[float]]:
    """Windows per second and the loss of each epoch, of one process on all cores or of a worker on each."""
    sockets = [socket.socket() for _ in range(workers)]
    for one in sockets:
        one.bind(("localhost", 0))
    hosts = [f"localhost:{one.getsockname()[1]}" for one in sockets]
    for one in sockets:
        one.close()
    processes = []
    for index in range(workers):
        own = cores if workers == 1 else [cores[index]]
        config = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        command = ["taskset", "-c", ",".join(map(str, own)), sys.executable, "-m", "forecaster", "train", "data.csv"]
        command += [*WORDS.split(), *FIT.split(), *words, "--threads", str(len(own))]
        environ = {**os.environ, "TF_CONFIG": json.dumps(config)}
        processes.append(subprocess.Popen(command, cwd=folder, env=environ, stdout=subprocess.DEVNULL))
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit("a training failed")
    (path,) = folder.glob("models/data/*/history.csv")
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    shutil.rmtree(folder / "models")
    seconds = float(rows[-1]["seconds"]) - float(rows[0]["seconds"])
    return BATCH * STEPS * (EPOCHS - 1) / seconds, [float(row["loss"]) for row in rows]


def compare(times: int, *words: str) -> str:
    """A line with the medians of so many runs of each, in turn, and the largest difference of the losses."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise SystemExit("two processors are needed")
    pairs, apart = [], 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make(folder / "data.csv")
        for _ in range(times):
            (one, own), (both, other) = _fit(folder, cores, 1, *words), _fit(folder, cores, 2, *words)
            pairs.append((one, both))
            apart = max(apart, float(np.abs(np.array(other) / np.array(own) - 1.0).max()))
            load = " ".join(f"{value:.1f}" for value in os.getloadavg())
            print(f"one process {one:,.0f}, two workers {both:,.0f} windows/s, load {load}", flush=True)
    first, second = np.median(pairs, axis=0)
    ratio = np.median([both / one for one, both in pairs])
    return (
        f"one process {first:,.0f}, two workers {second:,.0f} windows/s, median ratio {ratio:.2f}; "
        f"losses of {EPOCHS * STEPS} steps differ by {apart:.1e} at most"
    )


if __name__ == "__main__":
    print(compare(int(sys.argv[1]), *sys.argv[2:]))
