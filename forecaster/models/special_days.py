"""Special days in a graph: taken out of what a network reads, and put onto its forecast.

What they do to each row is an input of the graph: a factor f and a summand e (`forecaster.data.day_effects`). With y the value on
the day and r what the network reads and forecasts,

    y = e + f r.

`ops` is NumPy for arrays, or `keras.ops` within a graph.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

LEAST_FACTOR = 0.05  # of a day that is taken out: what is closed says nothing of the days around it


def as_ordinary(values: Any, factor: Any, summand: Any, ops: Any = np) -> Any:
    """Values [...] of days with these effects, as they would be on ordinary ones."""
    return (values - summand) / ops.maximum(factor, LEAST_FACTOR * ops.ones_like(factor))


@dataclass(frozen=True)
class DaysAround:
    """The special days around windows."""

    effects: Any  # [B, rows + steps, 2] factor and summand of the rows before a cutoff, and of steps from it on
    rows: int

    def taken_out(self, values: Any, ops: Any = np) -> Any:
        """Values [B, rows + some of the steps] without them."""
        here = self.effects[:, : values.shape[1]]
        return as_ordinary(values, here[:, :, 0], here[:, :, 1], ops)

    def put_back(self, values: Any, _ops: Any = np) -> Any:
        """Values [B, K, ·] of the first K steps, with them."""
        here = self.effects[:, self.rows : self.rows + values.shape[1]]
        # The operand that is broadcast comes first: see WindowScaler.restore.
        return here[:, :, 1:] + here[:, :, :1] * values
