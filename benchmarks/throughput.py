"""Part of speed.py: train one network again and again, and answer every line on stdin with windows per second.

    python throughput.py forecaster|mixed|keras|torch CELL      the same network: one layer of 64 units, context 96, horizon 48

torch runs in an environment of its own, so nothing of the project is imported at the head of this module.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np

UNITS, CONTEXT, HORIZON, BATCH, STEPS = 64, 96, 48, 256, 20
TORCH_STEPS = 5  # enough for a loop that needs no start-up; PyTorch is slow on busy processors
DROPOUT, RATE, CLIP = 0.1, 2e-3, 1.0


def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Scaled windows with their masks [W, L, 2] and targets [W, H], as a user would lay them out."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(STEPS * BATCH, CONTEXT + HORIZON)).astype(np.float32)
    context = np.stack([values[:, :CONTEXT], np.ones_like(values[:, :CONTEXT])], axis=2)
    return context, values[:, CONTEXT:]


def keras_fit(cell: str) -> Callable[[], None]:
    """Stock Keras: a Sequential model and `fit`."""
    import keras

    layer = {"rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    model = keras.Sequential([
        keras.Input((CONTEXT, 2)),
        layer(UNITS),
        keras.layers.Dropout(DROPOUT),
        keras.layers.Dense(UNITS, activation="relu"),
        keras.layers.Dense(HORIZON),
    ])  # fmt: skip
    model.compile(keras.optimizers.Adam(RATE, global_clipnorm=CLIP), loss="mae")
    x, y = arrays()
    return lambda: model.fit(x, y, batch_size=BATCH, epochs=1, verbose=0)


def torch_loop(cell: str) -> Callable[[], None]:
    """Plain PyTorch: a module and the usual training loop."""
    import torch

    layer = {"rnn": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell](2, UNITS, batch_first=True)
    head = torch.nn.Sequential(
        torch.nn.Dropout(DROPOUT), torch.nn.Linear(UNITS, UNITS), torch.nn.ReLU(), torch.nn.Linear(UNITS, HORIZON)
    )
    parameters = [*layer.parameters(), *head.parameters()]
    optimizer, loss_of = torch.optim.Adam(parameters, RATE), torch.nn.L1Loss()
    x, y = (torch.from_numpy(part[: TORCH_STEPS * BATCH]) for part in arrays())

    def run() -> None:
        for chosen in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss = loss_of(head(layer(x[chosen])[0][:, -1]), y[chosen])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, CLIP)
            optimizer.step()

    return run


def forecaster_steps(cell: str, precision: str = "float32") -> Callable[[], None]:
    """A training step of `forecaster train --segment 1`, from drawing windows to the new weights."""
    from forecaster.data.windows import Windows, sampler
    from forecaster.models.device import configure
    from forecaster.models.network import Network
    from forecaster.models.settings import FitSettings, NetworkSettings
    from forecaster.training.compiled_steps import Trainer
    from forecaster.training.fit import STEPS_PER_CALL
    from forecaster.training.fit_types import Source, Task
    from forecaster.training.precision import layers_in, policy_of

    configure("cpu", None)
    rows, series = 1000, 100
    offsets = np.arange(series + 1) * rows
    target = np.random.default_rng(0).normal(size=series * rows)
    draws = sampler(offsets[:-1], offsets[1:], CONTEXT, HORIZON)
    none = np.empty(0, np.int64)
    task = Task(Windows(target, offsets[:-1], offsets[1:], none, none), draws, None, np.ones(series), Source(target))
    network = NetworkSettings(
        cell=cell, units=UNITS, layers=1, bidirectional=False, dropout=DROPOUT, residual=False, reset_after=True,
        context_length=CONTEXT, horizon=HORIZON, segment=1, head="direct", transform="none", center="mean",
        input_initializer="glorot", recurrent_initializer="orthogonal", quantiles=(),
    )  # fmt: skip
    fit = FitSettings(
        loss="mae", error_scale="series", epochs=1000, batch_size=BATCH, steps_per_epoch=STEPS, learning_rate=RATE,
        schedule="cosine", clip_norm=CLIP, patience=0, seed=0, precision=precision,
    )  # fmt: skip
    with layers_in(policy_of(precision, on_gpu=False)):
        own = Network(network, 0)
    trainer = Trainer(own, task, fit, 10_000, parts=processors())
    rng = np.random.default_rng(0)

    def run() -> None:
        chosen, cutoff = (pairs.reshape(STEPS, BATCH) for pairs in draws.epoch(STEPS * BATCH, rng))
        for first in range(0, STEPS, STEPS_PER_CALL):
            part = slice(first, first + STEPS_PER_CALL)
            np.asarray(trainer.steps(chosen[part], cutoff[part]))

    return run


def processors() -> int:
    """Number of processors that this process may use."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def mixed_steps(cell: str) -> Callable[[], None]:
    """As `forecaster_steps`, with `--precision mixed`."""
    return forecaster_steps(cell, "mixed")


KINDS = {"keras": keras_fit, "torch": torch_loop, "forecaster": forecaster_steps, "mixed": mixed_steps}


def serve(run: Callable[[], None], windows: int) -> None:
    """Answer every line with windows per second of one run, after one run that is not counted."""
    run()
    for _ in sys.stdin:
        began = time.perf_counter()
        run()
        print(json.dumps(windows / (time.perf_counter() - began)), flush=True)


if __name__ == "__main__":
    serve(KINDS[sys.argv[1]](sys.argv[2]), (TORCH_STEPS if sys.argv[1] == "torch" else STEPS) * BATCH)
