"""What the columns of a raw forecast are: which of them are quantiles of which level, where the centre is, how wide they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

MIN_SHARE = 0.05  # lower limit of the network's own width, as a share of the series' seasonal difference


@dataclass(frozen=True)
class QuantileColumns:
    """The levels of a raw forecast [n, h, 1 + Q]. Between and beyond them, distances from the centre are those of a normal."""

    levels: tuple[float, ...] = ()  # trained, ascending
    point_level: float | None = 0.5  # of the quantile that the point forecast is; None = it is a mean
    centred: bool = True  # False: as models of format 1 have it, whose quantiles may lie on one side of the point

    @property
    def has_widths(self) -> bool:
        """Whether levels on both sides of the median are trained."""
        return self.centred and len(self.levels) > 1 and self.levels[0] < 0.5 < self.levels[-1]

    def centre(self, forecast: FloatArray) -> FloatArray:
        """[n, h] the median; the point forecast where that is the median or no level is trained."""
        if self.point_level == 0.5 or not self.has_widths:
            return np.asarray(forecast[:, :, 0])
        return np.asarray(forecast[:, :, 1:] @ self._weights(0.5))

    def units(self, forecast: FloatArray, seasonal_scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Two [n, h] in the caller's units: the unit of an error below the centre, and of one above."""
        size = np.broadcast_to(seasonal_scale[:, None], forecast.shape[:2])
        if not self.centred:
            return _joint_units(forecast, size)
        if not self.has_widths:
            return size, size
        centre, low, high = self.centre(forecast), forecast[:, :, 1], forecast[:, :, -1]
        down, up = (np.maximum(part, MIN_SHARE * size) for part in (centre - low, high - centre))
        return down, up

    def reference(self, level: float) -> float:
        """The distance of a level from the centre, in the unit of its side, as a normal distribution has it."""
        outer = self.levels[-1] if level > 0.5 else self.levels[0]
        return float(abs(_score(level) / _score(outer)) * np.sign(level - 0.5)) if level != 0.5 else 0.0

    def keep(
        self, away: FloatArray, forecast: FloatArray, units: tuple[FloatArray, FloatArray], levels: Sequence[float]
    ) -> FloatArray:
        """Distances [n, h, len(levels)] from the centre, in which the network's own shape between its levels is kept."""
        if self.has_widths and len(self.levels) > 3:
            centre = self.centre(forecast)[:, :, None]
            for i, level in enumerate(levels):
                if self.levels[0] < level < self.levels[-1] and level != 0.5:
                    own = forecast[:, :, 1:] @ self._weights(level)[:, None] - centre
                    normal = self.reference(level) * units[level > 0.5]
                    ratio = own[:, :, 0] / np.where(normal == 0.0, 1.0, normal)
                    away[:, :, i] *= np.maximum(ratio, 0.0)
        middle = int(np.searchsorted(levels, 0.5))
        below, above = np.minimum(away[:, :, :middle], 0.0), np.maximum(away[:, :, middle:], 0.0)
        below = np.maximum.accumulate(below, axis=2) if middle else below
        return np.concatenate([below, np.maximum.accumulate(above, axis=2)], axis=2)

    def _weights(self, level: float) -> FloatArray:
        """[Q] weights of the trained quantiles that make the one of another level, linear in normal scores."""
        weights = np.zeros(len(self.levels))
        after = int(np.clip(np.searchsorted(self.levels, level), 1, len(self.levels) - 1))
        low, high, here = (_score(one) for one in (self.levels[after - 1], self.levels[after], level))
        weights[after] = (here - low) / (high - low)
        weights[after - 1] = 1.0 - weights[after]
        return weights


def _score(level: float) -> float:
    return NormalDist().inv_cdf(level)


def _joint_units(forecast: FloatArray, size: FloatArray) -> tuple[FloatArray, FloatArray]:
    """As models of format 1 have it: the geometric mean of the network's width and the seasonal difference."""
    if forecast.shape[2] < 3:
        return size, size
    point, low, high = forecast[:, :, 0], forecast[:, :, 1], forecast[:, :, -1]
    down, up = (np.sqrt(size * np.maximum(part, MIN_SHARE * size)) for part in (point - low, high - point))
    return down, up


FORMAT_1 = QuantileColumns(centred=False)
