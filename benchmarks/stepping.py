"""Part of speed.py: training steps of the default plan, and of the same network with one observation in each recurrent step.

python stepping.py DATA RUNS      prints one JSON object
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

import numpy as np
import tensorflow as tf
from throughput import processors

from forecaster.config import TrainSettings
from forecaster.data.reading.reader import read_panel
from forecaster.models.device import configure
from forecaster.models.network import Network
from forecaster.training.auto_plan import draft_plan
from forecaster.training.compiled_steps import Trainer
from forecaster.training.split import split

STEPS = 40


def main() -> None:
    """Measure both networks in turn."""
    configure("cpu", None)
    panel = read_panel(sys.argv[1])
    plan = draft_plan(panel, TrainSettings(horizon=48)).plan
    network = plan.members[0]
    parts = split(panel, plan.needs, plan.windows)
    task, batch = parts.final, plan.fit.batch_size
    series, cutoff = task.sampler.epoch(STEPS * batch, np.random.default_rng(0))
    pairs = series.reshape(STEPS, batch), cutoff.reshape(STEPS, batch)
    settings = {"segments": network, "steps": replace(network, segment=1)}
    trainers = {k: Trainer(Network(s, 0), task, plan.fit, 10_000, parts=processors()) for k, s in settings.items()}
    found: dict[str, list[float]] = {"segments": [], "steps": [], "gathering": []}
    compile_seconds = max(_seconds(trainer, *pairs) for trainer in trainers.values())
    fetch = gathering(trainers["segments"])
    fetch(*pairs)
    for _ in range(int(sys.argv[2])):
        for name, trainer in trainers.items():
            found[name].append(STEPS * batch / _seconds(trainer, *pairs))
        began = time.perf_counter()
        task.sampler.epoch(STEPS * batch, np.random.default_rng(0))
        np.asarray(fetch(*pairs))
        found["gathering"].append((time.perf_counter() - began) * found["segments"][-1] / (STEPS * batch))
    facts = {"context_length": network.context_length, "segment": network.segment, "compile": compile_seconds}
    print(json.dumps({**found, **facts, "traces": max(trainer.traces for trainer in trainers.values())}))


def gathering(trainer: Trainer) -> tf.types.experimental.PolymorphicFunction:
    """A function that only gathers the windows and extra inputs of each step."""
    network, settings, bounds = trainer.network, trainer.network.settings, trainer.training.bounds

    @tf.function
    def run(series: tf.Tensor, cutoff: tf.Tensor) -> tf.Tensor:
        total = tf.zeros((), tf.float64)
        for i in tf.range(len(series)):
            window, extra = trainer.fetch(
                bounds, series[i], cutoff[i], settings.context_length, network.reach, settings.horizon
            )
            total += tf.add_n([part[(0,) * part.shape.rank] for part in (window, *extra.values())])
        return total

    return run


def _seconds(trainer: Trainer, series: np.ndarray, cutoff: np.ndarray) -> float:
    began = time.perf_counter()
    np.asarray(trainer.steps(series, cutoff))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
