"""Forecasts of series with less than a season of rows: their level, as part of a season looks like a trend.

The network without a season goes on along it: on hours with 8 rows its error was three times that of the last value, and on
months with 6 rows a third larger (benchmarks/ABLATIONS.md, Less than a season). It gives the widths of the quantiles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING

if TYPE_CHECKING:
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray

METHOD = EXPONENTIAL_SMOOTHING  # what forecasts say that they are made by
WEIGHT = 0.3  # of each row in the level


@dataclass(frozen=True)
class LevelRuntime:
    """A graph whose point forecasts are replaced by the level of the context; quantiles are as far from it as from its own.

    They are not closer to it than those of a normal distribution with the spread of the context, in which seasons are.
    """

    graph: Runtime
    quantiles: tuple[float, ...]  # Q levels of the graph

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`."""
        made = np.array(self.graph.run(context, extra), np.float64)  # [B, H, 1 + Q]
        level, spread = (one[:, None] for one in level_and_spread(context))
        for q, share in enumerate(self.quantiles, start=1):
            own, usual = made[:, :, q] - made[:, :, 0], NormalDist().inv_cdf(share) * spread
            made[:, :, q] = level + (np.minimum(own, usual) if share < 0.5 else np.maximum(own, usual))
            if share == 0.5:
                made[:, :, q] = level
        made[:, :, 0] = level
        return made


def level_and_spread(context: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[B] the exponentially smoothed level of contexts [B, L], NaN = missing, and [B] the standard deviation; NaN where empty.

    Simple exponential smoothing: Hyndman & Athanasopoulos, "Forecasting: Principles and Practice", section 8.1.
    """
    level = np.full(len(context), np.nan)
    for row in np.asarray(context, np.float64).T:
        moved = np.where(np.isnan(level), row, level + WEIGHT * (row - level))
        level = np.where(np.isnan(row), level, moved)
    seen = ~np.isnan(context)
    count = seen.sum(axis=1)
    away = np.where(seen, context - level[:, None], 0.0)
    mean = away.sum(axis=1) / np.maximum(count, 1)
    squares = np.where(seen, (away - mean[:, None]) ** 2, 0.0).sum(axis=1)
    return level, np.sqrt(squares / np.maximum(count - 1, 1))
