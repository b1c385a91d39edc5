#!/usr/bin/env python3
"""Train a network on made series, and store it as an artifact.

    python benchmarks/pretrain.py --season 12 --windows 2000000 [--work DIR] [--out DIR] [--seed 0] [--threads 1]

It goes on from the state in --work, so that it can be stopped at any time, and run again with more windows. --out gets a folder
named by the season: the graph for onnxruntime and for TensorFlow, and a card.
"""

from __future__ import annotations

import argparse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Train, and store where --out is given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--season", type=int, required=True)
    parser.add_argument("--windows", type=int, default=2_000_000)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "pretrain")
    parser.add_argument("--out", type=Path, help="e.g. forecaster/pretrained; default: nothing is stored")
    parser.add_argument("--average", type=Path, nargs="*", default=(), help="further states whose weights are averaged")
    parser.add_argument(
        "--renew", action="store_true", help="only write the graphs in --out again, of the same weights"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="0 = one for each core")
    arguments = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from forecaster.pretraining.artifact import renew_artifact, write_artifact
    from forecaster.pretraining.network_shapes import SHAPES
    from forecaster.pretraining.train import PretrainingProgress, pretrain

    def report(done: PretrainingProgress) -> None:
        rate = done.windows / done.seconds
        print(
            f"{done.windows} windows, {done.steps} steps, {done.seconds:.0f} s, loss {done.loss:.4f}, {rate:.0f}/s",
            flush=True,
        )

    if arguments.renew:
        renew_artifact(arguments.out / str(arguments.season))
        return
    folder = arguments.work / str(arguments.season)
    shape = SHAPES[arguments.season]
    pretrain(shape, folder, windows=arguments.windows, seed=arguments.seed, report=report)
    if arguments.out:
        write_artifact(shape, folder, arguments.out / str(arguments.season), arguments.seed, arguments.average)


if __name__ == "__main__":
    main()
