"""The adding problem: how far back each cell learns to remember, and the gradients that say why.

    python benchmarks/adding_problem.py --write                       # lags 10, 30, 100: minutes on one core
    python benchmarks/adding_problem.py --lags 1000 --cells gru --steps 2000 --json FILE  # a slow fit alone
    python benchmarks/adding_problem.py --lags --json FILE --write                          # what FILE has

A sequence of numbers from 0 to 1, two of which are marked, one in each half; the network gives their sum (Hochreiter &
Schmidhuber 1997). Always answering 1 has a mean squared error of 1/6 = .167. The lag is the length of the sequence.
`--write` puts the table between the marks of docs/cells.md and draws docs/adding_problem.svg.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import time
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

ROOT = Path(__file__).parent.parent
PAGE, FIGURE = ROOT / "docs" / "cells.md", ROOT / "docs" / "adding_problem.svg"
CELLS = [("rnn", "glorot"), ("rnn", "he"), ("rnn", "orthogonal"), ("gru", "orthogonal"), ("lstm", "orthogonal")]
BATCH, TESTED, EVERY = 64, 1000, 100
LEARNT, CHANCE = 0.01, 1 / 6


@dataclass(frozen=True)
class Result:
    """One cell at one lag."""

    cell: str
    initializer: str  # of the recurrent weights
    lag: int
    error: float  # mean squared error on sequences that were not trained on
    steps: int  # of training, until the error was LEARNT or the steps were spent
    seconds: float
    before: list[float]  # state gradients before the fit, oldest first
    after: list[float]


def draw(count: int, lag: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values and marks [count, lag], sums [count]."""
    values, marks = rng.random((count, lag)), np.zeros((count, lag))
    rows, half = np.arange(count), lag // 2
    marks[rows, rng.integers(0, half, count)] = marks[rows, rng.integers(half, lag, count)] = 1
    return values.astype(np.float32), marks.astype(np.float32), (values * marks).sum(axis=1).astype(np.float32)


def run(cell: str, initializer: str, lag: int, options: argparse.Namespace) -> Result:
    """Fit one network."""
    import keras
    import tensorflow as tf

    from forecaster.evaluation.gradient_norms import state_gradients
    from forecaster.models.encoder import Encoder, EncoderSettings
    from forecaster.training.fast_recurrence import fast_layer

    rng, seeds = np.random.default_rng(options.seed), itertools.count(1000 * options.seed + 1)
    encoder = Encoder(
        EncoderSettings(
            cell=cell, units=options.units, layers=1, bidirectional=False, residual=False, dropout=0.0, reset_after=True,
            segment=1, input_initializer="glorot", recurrent_initializer=initializer, portable=False,
        ),
        lambda: next(seeds),
    )  # fmt: skip
    dense = keras.layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(seed=next(seeds)))
    tested = draw(TESTED, lag, np.random.default_rng(9999))
    dense(encoder.read(*(part[:2] for part in tested[:2])).last)  # makes the weights
    fast = encoder.with_recurrence(fast_layer)
    inputs = [keras.Input((lag,)), keras.Input((lag,))]
    model = keras.Model(inputs, dense(fast.read(*inputs).last)[:, 0])
    weights = [*encoder.layers[0][0].trainable_variables, *dense.trainable_variables]
    optimizer = keras.optimizers.Adam(options.rate, global_clipnorm=1.0)
    optimizer.build(weights)

    @tf.function(autograph=False)
    def step(values, marks, sums):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((model([values, marks], training=True) - sums) ** 2)
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    few = tested[0][:16], tested[1][:16]
    before = state_gradients(encoder, *few)[0]
    began, error, done = time.perf_counter(), float("inf"), 0
    while done < options.steps and error > LEARNT:
        for _ in range(EVERY):
            step(*draw(BATCH, lag, rng))
        done += EVERY
        error = float(np.mean((np.asarray(model(list(tested[:2]))) - tested[2]) ** 2))
    seconds = time.perf_counter() - began
    after = state_gradients(encoder, *few)[0]
    found = Result(cell, initializer, lag, error, done, seconds, before.tolist(), after.tolist())
    print(f"{cell:5}{initializer:11} lag {lag:5}: error {error:.4f} after {done} steps, {seconds:.0f} s", flush=True)
    return found


def table(results: list[Result], options: argparse.Namespace) -> str:
    """The rows of docs/cells.md."""
    lines = [
        "| cell | recurrent weights | lag | error | steps | seconds | gradient at the first step, before | after |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in results:
        learnt = f"**{one.error:.4f}**" if one.error <= LEARNT else f"{one.error:.4f}"
        lines.append(
            f"| {one.cell} | {one.initializer} | {one.lag} | {learnt} | {one.steps:,} | {one.seconds:.0f} "
            f"| {one.before[0]:.1e} | {one.after[0]:.1e} |"
        )
    about = (
        f"{options.units} units, batches of {BATCH}, Adam at {options.rate:g}, gradients clipped at norm 1, seed {options.seed}. "
        f"Bold: learnt, error at most {LEARNT:g}.\nThe steps of the others are all that they were given. Chance is {CHANCE:.3f}."
    )
    return "\n".join([about, "", *lines, "", *stops(results)])


def stops(results: list[Result]) -> list[str]:
    """A table of the longest lag that each cell learnt, and of the next one, at which it stopped within its steps."""
    lines = [
        "| cell | recurrent weights | learns lags up to | steps there | stops at | error there | after steps |",
        "|---|---|---|---|---|---|---|",
    ]
    for cell, initializer in CELLS:
        own = [one for one in results if (one.cell, one.initializer) == (cell, initializer)]
        learnt = max((one for one in own if one.error <= LEARNT), key=lambda one: one.lag, default=None)
        longer = [one for one in own if learnt is None or one.lag > learnt.lag]
        to = f"{learnt.lag} | {learnt.steps:,}" if learnt else "none | –"
        if longer:
            first = min(longer, key=lambda one: one.lag)
            end = f"{first.lag} | {first.error:.4f} | {first.steps:,}"
        else:
            end = "none that was tried | – | –"
        lines.append(f"| {cell} | {initializer} | {to} | {end} |")
    return lines


def figure(results: list[Result]) -> None:
    """Gradients of the last state by earlier ones at the longest lag, before and after the fit."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "adding"
    import matplotlib.pyplot as plt

    longest = max(one.lag for one in results)
    drawn, axes = plt.subplots(1, 2, figsize=(9, 3), sharey=True, layout="constrained")
    for axis, which in zip(axes, ("before", "after"), strict=True):
        for one in results:
            if one.lag == longest:
                name = f"{one.cell} {one.initializer}" if one.cell == "rnn" else one.cell
                axis.semilogy(range(longest - 1, -1, -1), np.maximum(getattr(one, which), 1e-30), label=name)
        axis.set_title(f"{which} the fit", fontsize=10)
        axis.set_xlabel("steps back")
    axes[0].set_ylabel("‖∂s_T/∂s_t‖")
    axes[0].set_ylim(1e-12, 1e2)
    axes[1].legend(fontsize=8)
    drawn.savefig(FIGURE, metadata={"Date": None, "Creator": None})


def main() -> None:
    """Run every cell at every lag."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lags", type=int, nargs="*", default=[10, 30, 100])
    parser.add_argument("--steps", type=int, default=2000, help="of training at most")
    parser.add_argument("--units", type=int, default=32)
    parser.add_argument("--rate", type=float, default=5e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", nargs="+", default=["rnn", "gru", "lstm"])
    parser.add_argument("--json", help="file of all results; those that it has already are not run again")
    parser.add_argument("--write", action="store_true", help="into docs/cells.md")
    options = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    kept = Path(options.json) if options.json else None
    results = [Result(**one) for one in json.loads(kept.read_text(encoding="utf-8"))] if kept and kept.exists() else []
    done = {(one.lag, one.cell, one.initializer) for one in results}
    for lag, (cell, initializer) in itertools.product(options.lags, CELLS):
        if (lag, cell, initializer) not in done and cell in options.cells:
            results.append(run(cell, initializer, lag, options))
            if kept:
                kept.write_text(json.dumps([asdict(one) for one in results]), encoding="utf-8")
    results.sort(key=lambda one: (one.lag, CELLS.index((one.cell, one.initializer))))
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        mark = r"(<!-- adding problem -->\n).*?(<!-- end -->)"
        PAGE.write_text(
            re.sub(mark, lambda m: m[1] + table(results, options) + "\n" + m[2], page, flags=re.DOTALL),
            encoding="utf-8",
        )
        figure(results)
    print(table(results, options))


if __name__ == "__main__":
    main()
