"""Windows of made series: a pool from which batches are drawn, and whose oldest series are replaced as training goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.seasonal_profile import LONGER, seasonal_profile, shown_in
from forecaster.pretraining.series import BLOCK, draw_series

if TYPE_CHECKING:
    from forecaster.pretraining.network_shapes import Shape
    from forecaster.typing import FloatArray

BLOCKS = 12  # in the pool
USES = 3  # windows drawn for each series before it is replaced, on average


class WindowPool:
    """A pool in a stated place of its stream: block `number` of seed `seed` is always the same."""

    def __init__(self, shape: Shape, seed: int, number: int = 0) -> None:
        self.shape, self.seed, self.number = shape, seed, number
        self.rows = shape.reach + shape.span + shape.spare
        self.series = np.empty((0, self.rows), np.float32)
        self.left = 0  # windows until the next block
        self.rng = np.random.default_rng([seed, 1, number])
        first = max(0, number - BLOCKS)
        self.series = np.concatenate([self._block(i) for i in range(first, first + BLOCKS)])
        self.number = max(number, BLOCKS)

    def _block(self, number: int) -> FloatArray:
        rng = np.random.default_rng([self.seed, 0, number])
        return draw_series(rng, BLOCK, self.rows, self.shape.season_length)

    def windows(self, count: int) -> FloatArray:
        """[B, span] windows; of half of them only the latest rows of the context are there, mostly few.

        Where a shape reaches further back, half of the windows are without the profile of the longer season.
        """
        self.left -= count
        if self.left <= 0:
            place = self.number % BLOCKS * BLOCK
            self.series[place : place + BLOCK] = self._block(self.number)
            self.number += 1
            self.left = BLOCK * USES
        shape, rng = self.shape, self.rng
        length, rows = shape.reach + shape.context_length, shape.reach + shape.span
        series, start = rng.integers(0, len(self.series), count), rng.integers(0, self.rows - rows + 1, count)
        found: FloatArray = self.series[series[:, None], start[:, None] + np.arange(rows)]
        short = np.exp(rng.uniform(np.log(shape.shortest), np.log(length + 1), count)).astype(int)
        seen = np.where(rng.random(count) < 0.5, length, short)
        found[:, :length][np.arange(length) < length - seen[:, None]] = np.nan
        longer = shown_in(LONGER[shape.season_length], length) if shape.reach else None
        if longer:
            less = np.flatnonzero(rng.random(count) < 0.5)
            profile = seasonal_profile(found[less, :length], longer)
            found[less] -= profile[:, np.arange(rows) % longer.season_length]
        return found[:, shape.reach :]
