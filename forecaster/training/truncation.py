"""Truncated backpropagation through time: gradients go back a number of recurrent steps, and no further."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from forecaster.models.encoder import Recurrence
    from forecaster.typing import Tensor


def truncated(recur: Recurrence, steps: int) -> Recurrence:
    """`recur` in pieces of `steps`, between which states pass but gradients do not (Williams & Peng 1990). 0 = `recur` itself.

    Pieces are counted from the end: the latest has all its steps, the first may have fewer.
    """
    if not steps:
        return recur

    def run(layer: Any, inputs: Tensor, states: Sequence[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        from keras import ops

        length = inputs.shape[1]
        edges = [*range(length, 0, -steps), 0][::-1]
        parts: list[Tensor] = []
        after = None if states is None else list(states)
        for first, last in pairwise(edges):
            if first and after is not None:
                after = [ops.stop_gradient(state) for state in after]
            sequence, after = recur(layer, inputs[:, first:last], after)
            parts.append(sequence)
        assert after is not None
        return (ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]), after

    return run
