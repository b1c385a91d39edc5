"""Quantile functions without a closed form: tabulated once from the exact ones, interpolated in the graph.

A graph holds the table as a constant and reads it with hat functions, which are 1 at their own node and fall to 0 at the next:
straight lines between nodes, one matrix product, nothing that a runtime would have to know. Interpolated quantiles ascend as
the tabulated ones do, since all levels are weighed alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, Tensor


@dataclass(frozen=True)
class Axis:
    """Evenly spaced nodes. What lies beyond the ends is read as if it lay there."""

    first: float
    last: float
    count: int

    @property
    def nodes(self) -> FloatArray:
        """[G]"""
        return np.linspace(self.first, self.last, self.count)

    def hats(self, x: Tensor) -> Tensor:
        """[...] float32 -> [..., G] weights of the nodes, two of them above 0 at most; their sum is 1."""
        from keras import ops

        spacing = (self.last - self.first) / (self.count - 1)
        place = ops.clip((x - self.first) / spacing, 0.0, float(self.count - 1))
        away = ops.abs(place[..., None] - np.arange(self.count, dtype=np.float32))
        return ops.relu(1.0 - away)


TAIL = Axis(0.0, 0.5, 129)  # 1/ν: from the normal distribution to where the variance is infinite
LOG_MEAN = Axis(float(np.log(1e-3)), float(np.log(1e4)), 49)
LOG_DISPERSION = Axis(float(np.log(1e-4)), float(np.log(50.0)), 41)


@lru_cache(maxsize=16)
def student_t_table(levels: tuple[float, ...]) -> FloatArray:
    """[G, Q] quantiles of the standard distribution at each 1/ν of TAIL."""
    from scipy import special

    tail, level = TAIL.nodes[:, None], np.array(levels)
    return np.asarray(np.where(tail > 0.0, special.stdtrit(1.0 / np.maximum(tail, 1e-9), level), special.ndtri(level)))


@lru_cache(maxsize=16)
def negative_binomial_table(levels: tuple[float, ...]) -> FloatArray:
    """[I, J, Q] quantiles at each mean and dispersion, as `standardised`: so means beyond the ends go on as there."""
    mean, dispersion = np.exp(LOG_MEAN.nodes)[:, None, None], np.exp(LOG_DISPERSION.nodes)[None, :, None]
    return (negative_binomial_quantile(np.array(levels), mean, dispersion) - mean) / spread(mean, dispersion)


def spread(mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    """Standard deviation of a count plus what rounding it would add and more, so that it does not vanish with the mean."""
    return np.asarray(np.sqrt(squared_spread(mean, dispersion)))


def squared_spread(mean: Tensor, dispersion: Tensor) -> Tensor:
    """Of arrays and, in a graph, of tensors."""
    return mean + dispersion * mean * mean + 0.25


def negative_binomial_quantile(level: FloatArray, mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    """The continuous quantile, shifted so that it rounds to the least whole number that the level's share does not exceed.

    The distribution function I(r, k + 1), a regularised incomplete beta function, is solved for a k that need not be whole.
    Variance = mean + dispersion · mean². From -0.5 up: a tail below 0.5 is a 0.
    """
    from scipy import special

    shape = 1.0 / dispersion
    return np.asarray(special.btdtrib(shape, level, shape / (shape + mean)) - 0.5)
