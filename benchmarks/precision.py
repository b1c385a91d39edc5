#!/usr/bin/env python3
"""Windows per second of `train --precision mixed` over `float32`, on the processors that this process may use.

    python benchmarks/precision.py [--runs 5] [--cells rnn lstm gru]

The network of throughput.py, one kind after the other in two processes that keep running. Prints rows: windows/s of each, and the
median ratio with the smallest and the largest.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from processes import PYTHON, Spread, Worker, ratio

KINDS = ("mixed", "forecaster")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cells", nargs="+", default=["rnn", "lstm", "gru"])
    arguments = parser.parse_args()
    script = str(Path(__file__).with_name("throughput.py"))
    for cell in arguments.cells:
        workers = {kind: Worker([PYTHON, script, kind, cell]) for kind in KINDS}
        found: dict[str, list[float]] = {kind: [] for kind in KINDS}
        for _ in range(arguments.runs):
            for kind, worker in workers.items():
                found[kind].append(worker.ask())
        for worker in workers.values():
            worker.close()
        mixed, plain = (Spread(tuple(found[kind])) for kind in KINDS)
        print(f"| {cell} | {mixed.median:,.0f} | {plain.median:,.0f} | {ratio(mixed, plain).text()} |", flush=True)


if __name__ == "__main__":
    main()
