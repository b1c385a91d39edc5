"""Pretraining of one network: batches from the pool, a cosine rate, and states from which it goes on."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.models.network import Network
from forecaster.pretraining.pool import WindowPool
from forecaster.pretraining.training_step import Steps

if TYPE_CHECKING:
    from forecaster.pretraining.network_shapes import Shape
    from forecaster.typing import FloatArray

BATCH = 256
CALL = 8  # steps in one call of the graph
WARM_UP = 300  # steps in which the rate rises
RATE = 2e-3
LEAST_RATE = 0.02  # of the highest
EVERY = 100_000  # windows between two states
SNAPSHOT = 100_000  # windows at the first state that is kept; the others are kept at twice as many each
STATE = "state.npz"


@dataclass(frozen=True)
class PretrainingProgress:
    """How far a pretraining has come."""

    windows: int = 0
    steps: int = 0
    seconds: float = 0.0  # of processor time
    block: int = 0  # of the pool
    loss: float = float("nan")  # moving average


def pretrain(
    shape: Shape,
    folder: Path,
    *,
    windows: int,
    seed: int = 0,
    report: Callable[[PretrainingProgress], None] | None = None,
) -> Network:
    """Train until so many windows have been seen, going on from `folder`'s state; the network has the averaged weights.

    Without a state it begins from that of the season that the shape names, in the folder beside, or from nothing.
    """
    network = Network(shape.network(), seed)
    steps = Steps(network, shape.later, RATE)
    first = folder.parent / str(shape.start) / STATE
    done = PretrainingProgress()
    if (folder / STATE).exists():
        done = _restore(steps, folder / STATE)
    elif shape.start and first.exists():
        steps.begin(average(first.parent))
    pool = WindowPool(shape, seed, done.block)
    began, stored = time.process_time() - done.seconds, done.windows
    while done.windows < windows:
        steps.optimizer.learning_rate = _rate(done, windows)
        batches = np.stack([pool.windows(BATCH) for _ in range(CALL)])
        loss = float(steps.run(batches).numpy().mean())
        done = PretrainingProgress(
            windows=done.windows + BATCH * CALL,
            steps=done.steps + CALL,
            seconds=time.process_time() - began,
            block=pool.number,
            loss=loss if np.isnan(done.loss) else 0.95 * done.loss + 0.05 * loss,
        )
        if done.windows - stored >= EVERY or done.windows >= windows:
            doubled = stored < SNAPSHOT or int(np.log2(done.windows / SNAPSHOT)) > int(np.log2(stored / SNAPSHOT))
            stored = done.windows
            _store(steps, done, folder)
            if doubled:  # kept, for the curve of the error over the windows seen
                shutil.copy(folder / STATE, folder / f"{done.windows}.npz")
            if report:
                report(done)
    network.weights = average(folder)
    return network


def _rate(done: PretrainingProgress, windows: int) -> float:
    """The learning rate: it rises over the first steps, then falls as a cosine over all windows."""
    share = min(1.0, done.windows / windows)
    cosine = LEAST_RATE + (1.0 - LEAST_RATE) * 0.5 * (1.0 + np.cos(np.pi * share))
    return float(RATE * min(1.0, (done.steps + 1) / WARM_UP) * cosine)


def average(folder: Path) -> list[FloatArray]:
    """The averaged weights of a state, in the order of `Network.weights`."""
    with np.load(folder / STATE) as stored:
        return [stored[name] for name in _names(stored.files, "average")]


def progress(folder: Path) -> PretrainingProgress:
    """How far the state of a folder has come."""
    with np.load(folder / STATE) as stored:
        return PretrainingProgress(**json.loads(str(stored["progress"])))


def _names(names: list[str], part: str) -> list[str]:
    return sorted((name for name in names if name.startswith(f"{part}/")), key=lambda name: int(name.split("/")[1]))


def _store(steps: Steps, done: PretrainingProgress, folder: Path) -> None:
    """Replace the folder's state, and add a line to its history."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        f"{part}/{i}": value for part, values in steps.state().items() for i, value in enumerate(values)
    }
    unfinished = folder / f"{STATE}.part"
    with unfinished.open("wb") as file:
        np.savez(file, progress=json.dumps(asdict(done)), **arrays)
    unfinished.replace(folder / STATE)
    with (folder / "history.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(done)) + "\n")


def _restore(steps: Steps, path: Path) -> PretrainingProgress:
    with np.load(path) as stored:
        parts = ("weights", "average", "optimizer")
        steps.restore({part: [stored[name] for name in _names(stored.files, part)] for part in parts})
        return replace(PretrainingProgress(**json.loads(str(stored["progress"]))))
