"""Training speed of networks in pairs: one's own against the built-in one, and the encoder–decoder against `recursive`.

    python benchmarks/network_speed.py --runs 15 --write

Both of a pair are compiled in one process and take training steps in turn, the order changing from run to run; each run gives
one ratio of windows a second, and the median of the ratios counts. Time is that of the processor, which other work on the
machine changes little; the ratio of the clock's is given beside it. A network of one's own is the built-in one, written in Keras
as a user would.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np
from results import write_section

from forecaster.data.windows import Windows, sampler
from forecaster.models.device import configure
from forecaster.models.network import Network
from forecaster.models.own_network import NetworkFunction
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.training.compiled_steps import Trainer
from forecaster.training.fit_types import Source, Task

SERIES, ROWS = 100, 1000
MAX_LOSS, MIN_RATE = 0.05, 0.5  # of a network of one's own, and of the encoder–decoder

NETWORK = NetworkSettings(
    cell="gru", units=64, layers=1, bidirectional=False, dropout=0.1, residual=False, reset_after=True,
    context_length=96, horizon=48, segment=1, head="direct", transform="none", center="mean",
    input_initializer="glorot", recurrent_initializer="orthogonal", quantiles=(0.1, 0.9),
)  # fmt: skip
FIT = FitSettings(
    loss="mae", error_scale="series", epochs=1000, batch_size=256, steps_per_epoch=20, learning_rate=2e-3,
    schedule="cosine", clip_norm=1.0, patience=0, seed=0,
)  # fmt: skip


@dataclass(frozen=True)
class Pair:
    """Two networks, or two fits of them, whose speeds are compared."""

    name: str
    network: NetworkSettings
    other: NetworkSettings  # the denominator
    least: float  # the ratio to be reached
    fit: FitSettings = FIT  # of the first; the other's is FIT


@dataclass(frozen=True)
class Found:
    """The speeds of a pair, one for each run."""

    pair: Pair
    rates: list[tuple[float, float]]  # windows for each second of the processor
    clock: list[float]  # ratios of windows for each second of the clock

    @property
    def ratios(self) -> list[float]:
        """Of the processor's seconds."""
        return [one / other for one, other in self.rates]


def own(shapes, settings):
    """The direct network of one recurrent layer, as a user writes it."""
    import keras
    from keras import layers

    cell = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}[settings.cell]
    steps = keras.Input((shapes.context_length, shapes.inputs))
    hidden = steps
    if settings.segment > 1:
        count = shapes.context_length // settings.segment
        hidden = layers.Reshape((count, settings.segment * shapes.inputs))(steps)
        hidden = layers.Dense(settings.units, activation="relu")(hidden)
    state = cell(settings.units)(hidden)
    flat = layers.Dense(settings.units, activation="relu")(layers.Dropout(settings.dropout)(state))
    flat = layers.Dense(shapes.horizon * shapes.outputs)(flat)
    return keras.Model(steps, [layers.Reshape((shapes.horizon, shapes.outputs))(flat), state])


def pairs() -> list[Pair]:
    """All that are measured."""
    found = []
    for cell, length, segment in [("rnn", 96, 1), ("lstm", 96, 1), ("gru", 96, 1), ("gru", 336, 24)]:
        built_in = replace(NETWORK, cell=cell, context_length=length, segment=segment)
        mine = replace(built_in, network=NetworkFunction.of(own))
        name = f"one's own, {cell}, context {length}, S = {segment}"
        found.append(Pair(name, mine, built_in, 1.0 - MAX_LOSS))
    forced = replace(FIT, teacher_forcing=(1.0, 0.0))
    for cell, length, segment in [("rnn", 96, 1), ("lstm", 96, 1), ("gru", 96, 1), ("gru", 336, 24)]:
        recursive = replace(NETWORK, cell=cell, context_length=length, segment=segment, head="recursive")
        decoder = replace(recursive, head="encoder-decoder")
        shape = f"{cell}, context {length}, S = {segment}"
        found.append(Pair(f"encoder–decoder, {shape}", decoder, recursive, MIN_RATE))
        if (cell, segment) == ("gru", 1):
            found.append(Pair(f"with teacher forcing, {shape}", decoder, recursive, MIN_RATE, forced))
            found.append(Pair(f"with attention, {shape}", replace(decoder, attention=True), recursive, MIN_RATE))
    return found


def task_of(network: NetworkSettings) -> Task:
    """Windows of random series."""
    offsets = np.arange(SERIES + 1) * ROWS
    target = np.random.default_rng(0).normal(size=SERIES * ROWS)
    draws = sampler(offsets[:-1], offsets[1:], network.context_length, network.horizon)
    none = np.empty(0, np.int64)
    return Task(Windows(target, offsets[:-1], offsets[1:], none, none), draws, None, np.ones(SERIES), Source(target))


def steps_of(network: NetworkSettings, fit: FitSettings, steps: int) -> Callable[[], None]:
    """A function that takes so many training steps, from drawing windows to the new weights."""
    task, parts = task_of(network), len(os.sched_getaffinity(0))
    trainer = Trainer(Network(network, 0), task, fit, 10_000, parts=parts)
    rng = np.random.default_rng(0)

    def run() -> None:
        series, cutoff = task.sampler.epoch(steps * fit.batch_size, rng)
        np.asarray(trainer.steps(series.reshape(steps, -1), cutoff.reshape(steps, -1)))

    return run


def measure(pair: Pair, runs: int, steps: int) -> Found:
    """Run both in turn."""
    calls = [steps_of(pair.network, pair.fit, steps), steps_of(pair.other, FIT, steps)]
    for call in calls:
        call()  # compiles
    rates, clock = [], []
    for run in range(runs):
        spent = {}
        for which in (0, 1) if run % 2 else (1, 0):
            began, processor = time.perf_counter(), time.process_time()
            calls[which]()
            spent[which] = time.process_time() - processor, time.perf_counter() - began
        windows = steps * pair.fit.batch_size
        rates.append((windows / spent[0][0], windows / spent[1][0]))
        clock.append(spent[1][1] / spent[0][1])
    found = Found(pair, rates, clock)
    print(row(found), flush=True)
    return found


def row(found: Found) -> str:
    """A row of the table."""
    one, other = np.median(found.rates, axis=0)
    ratio = float(np.median(found.ratios))
    least = found.pair.least
    aim = f"≥ {least:g} | {'holds' if ratio >= least else 'misses'}"
    return f"| {found.pair.name} | {one:,.0f} | {other:,.0f} | {spread(found.ratios)} | {spread(found.clock)} | {aim} |"


def spread(ratios: Sequence[float]) -> str:
    """The median, and the quartiles."""
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    return f"{middle:.3f} ({low:.3f}–{high:.3f})"


def main() -> None:
    """Measure all pairs, print rows, and write them with --write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10, help="training steps of 256 windows in each run")
    parser.add_argument("--only", default="", help="pairs whose name contains this")
    parser.add_argument("--write", action="store_true", help="write the section of RESULTS.md")
    options = parser.parse_args()
    configure("cpu", None)
    rows = [row(measure(pair, options.runs, options.steps)) for pair in pairs() if options.only in pair.name]
    about = (
        f"`python benchmarks/network_speed.py --runs {options.runs} --steps {options.steps}`: training steps of 256 windows, "
        f"64 units, horizon {NETWORK.horizon},\n{len(os.sched_getaffinity(0))} processor, both of a pair in turn in one "
        "process. Windows for each second of the processor; medians, quartiles in brackets.\n"
        "One's own: `--network`, the built-in network written in Keras, over the built-in one. Encoder–decoder: over\n"
        "`--head recursive`. Attention weighs all recurrent steps anew at each step ahead, which is more work than the cells'."
    )
    header = "| pair | windows/s | of the other | ratio | by the clock | aim | |\n|---|---|---|---|---|---|---|"
    if options.write:
        write_section("networks in pairs", "\n".join([about, "", header, *rows]))


if __name__ == "__main__":
    main()
