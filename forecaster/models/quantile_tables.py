"""Quantile functions without a closed form: tabulated once by SciPy, interpolated linearly in the graph.

The graph has the table as a constant and multiplies it by hat functions, which are 1 at their own node and fall to 0 at the
next. That is linear interpolation by one matrix product, which every runtime can do. Interpolated quantiles ascend as the
tabulated ones do, since all levels have the same weights.
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
    """Evenly spaced nodes. Values beyond the ends are clipped to them."""

    first: float
    last: float
    count: int

    @property
    def nodes(self) -> FloatArray:
        """[G] the nodes, ascending."""
        return np.linspace(self.first, self.last, self.count)

    def hats(self, x: Tensor) -> Tensor:
        """[...] float32 -> [..., G] weights of the nodes; two at most are above 0, and their sum is 1."""
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
    """[I, J, Q] quantiles at each mean and dispersion, minus the mean and over `spread`.

    Standardised, they hardly change with the mean, so the last ones serve for means beyond the ends.
    """
    mean, dispersion = np.exp(LOG_MEAN.nodes)[:, None, None], np.exp(LOG_DISPERSION.nodes)[None, :, None]
    return (negative_binomial_quantile(np.array(levels), mean, dispersion) - mean) / spread(mean, dispersion)


def spread(mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    """√(mean + dispersion · mean² + ¼): a count's standard deviation, kept from vanishing with the mean."""
    return np.asarray(np.sqrt(squared_spread(mean, dispersion)))


def squared_spread(mean: Tensor, dispersion: Tensor) -> Tensor:
    """The square of `spread`, of arrays and, in a graph, of tensors."""
    return mean + dispersion * mean * mean + 0.25


def negative_binomial_quantile(level: FloatArray, mean: FloatArray, dispersion: FloatArray) -> FloatArray:
    """A continuous quantile of the negative binomial distribution with variance = mean + dispersion · mean².

    The distribution function I(r, k + 1), a regularised incomplete beta function, is solved for a real k. The result is
    k - 0.5, which rounds to the smallest count whose distribution function reaches the level; -0.5 is the lowest.
    """
    from scipy import special

    shape = 1.0 / dispersion
    return np.asarray(special.btdtrib(shape, level, shape / (shape + mean)) - 0.5)
