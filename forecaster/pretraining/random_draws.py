"""The random numbers that all kinds of made series are drawn with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray

USUAL_ROWS = 160  # of a series whose slopes are drawn as they are
WARM_UP = 24  # rows before the first that is kept


@dataclass(frozen=True)
class Draw:
    """What a kind is drawn with."""

    rng: np.random.Generator
    count: int  # N
    length: int  # T
    season_length: int

    @property
    def pace(self) -> float:
        """What slopes are multiplied by, so that long series do not drift further than short ones."""
        return min(1.0, USUAL_ROWS / self.length)

    def normal(self, *shape: int) -> FloatArray:
        """Standard normal numbers, float32."""
        return self.rng.standard_normal(shape, np.float32)

    def share(self, probability: float) -> BoolArray:
        """[N] true for this share of the series."""
        return self.rng.random(self.count) < probability

    def log_uniform(self, low: float, high: float) -> FloatArray:
        """[N] numbers whose logarithms are uniform."""
        return np.exp(self.rng.uniform(np.log(low), np.log(high), self.count)).astype(np.float32)

    def amplitudes(self) -> FloatArray:
        """[N] standard deviations of the seasons; a quarter has none, of daily and hourly series a tenth."""
        none = 0.25 if self.season_length in (1, 4, 12) else 0.1
        return np.where(self.share(none), 0.0, self.log_uniform(0.01, 0.6)).astype(np.float32)

    def slopes(self, share: float, size: float) -> FloatArray:
        """[N] lasting slopes in a row, 0 but for this share."""
        return np.where(self.share(share), self.normal(self.count) * (size * self.pace), 0.0).astype(np.float32)

    def white(self, length: int) -> FloatArray:
        """[T, N] normal noise, of 3 series in 10 with heavy tails."""
        noise = self.normal(length, self.count)
        heavy = np.flatnonzero(self.share(0.3))
        noise[:, heavy] = self.heavy(length, len(heavy))
        return noise

    def heavy(self, *shape: int) -> FloatArray:
        """Student's t with 4 degrees of freedom, variance 1, float32: a normal number over a root of a chi-squared one."""
        squares = self.rng.standard_gamma(2.0, shape, np.float32)
        return self.normal(*shape) / np.sqrt(np.maximum(squares, 1e-3))
