"""The best speed that this machine allows: operations over its matrix rate, bytes over its memory bandwidth."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
from throughput import CONTEXT, HORIZON, UNITS

GATES = {"rnn": 1, "lstm": 4, "gru": 3}


@cache
def rates() -> tuple[float, float]:
    """Operations per second in a product of large matrices, bytes per second in a copy of a large array; all processors."""
    a = np.ones((2048, 2048), np.float32)
    big = np.ones(32 << 20, np.uint8)
    product = min(_seconds(lambda: a @ a) for _ in range(7))
    copy = min(_seconds(lambda: big.copy()) for _ in range(7))
    return 2 * 2048**3 / product, 2 * len(big) / copy


def machine_limit(cell: str) -> str:
    """The smaller bound on windows per second for training the network of throughput.py, and which bound it is."""
    gates = GATES[cell]
    products = 2 * CONTEXT * gates * UNITS * (2 + UNITS) + 2 * UNITS * (UNITS + HORIZON)
    operations = 3 * products  # forward, gradients of the inputs, gradients of the weights
    # Each step's gates are written, and read again in the backward pass; so are their derivatives.
    moved = 4 * CONTEXT * UNITS * (4 * gates + 4)
    rate, bandwidth = rates()
    bound = {"matrix rate": rate / operations, "bandwidth": bandwidth / moved}
    binding = min(bound, key=bound.__getitem__)
    return f"{bound[binding]:,.0f} windows/s by {binding}, {rate / 1e9:,.0f} GFLOP/s, {bandwidth / 1e9:,.0f} GB/s"


def _seconds(work) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


__all__ = ["machine_limit", "rates"]
