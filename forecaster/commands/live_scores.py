"""Scores of a ledger's forecasts that have their actuals, in the measures of `evaluate`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.evaluation.quantile_metrics import pinball
from forecaster.serving.ledger import Entries

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class LiveScores:
    """The scores of one group of forecasts that have their actuals."""

    group: str  # a step ahead, a week, a series
    count: int
    mae: float  # caller's units
    naive_mae: float  # of seasonal naive, from the same rows
    relative: float  # relative error: the scaled error over that of seasonal naive; below 1 is better than naive
    coverage: float  # empirical coverage: share of actuals between the outermost quantiles; NaN without quantiles
    wape: float = float("nan")  # sum of the absolute errors over that of the absolute actuals, percent
    bias: float = float("nan")  # sum of the errors over that of the absolute actuals, percent; above 0 = too high
    rmsse: float = float("nan")  # as `evaluate` has it; NaN where the data has no season before a cutoff
    pinball: float = float("nan")  # caller's units, mean over the levels; NaN without quantiles

    def to_json(self) -> dict[str, str | int | float]:
        """The fields by name."""
        return dict(vars(self))


@dataclass(frozen=True)
class ForecastActuals:
    """E forecasts, each of one step, with their actuals."""

    entries: Entries
    actual: FloatArray  # [E] caller's units; NaN = not observed yet
    levels: tuple[float, ...]  # of the quantiles
    square_scale: FloatArray  # [E] denominator of RMSSE; NaN = undefined

    def take(self, chosen: IntArray | BoolArray) -> ForecastActuals:
        """The forecasts at these positions."""
        parts = {name: values[chosen] for name, values in vars(self.entries).items()}
        return ForecastActuals(Entries(**parts), self.actual[chosen], self.levels, self.square_scale[chosen])

    def scores(self, group: str) -> LiveScores:
        """Scores of these forecasts; NaN where there are none."""
        own = self.entries
        error, naive = np.abs(own.prediction - self.actual), np.abs(own.naive - self.actual)
        scaled = ~np.isnan(own.scale)
        model, baseline = (_mean(part[scaled] / own.scale[scaled]) for part in (error, naive))
        covered = float("nan")
        if own.quantile_forecasts.shape[1] > 1:
            inside = (own.quantile_forecasts[:, 0] <= self.actual) & (self.actual <= own.quantile_forecasts[:, -1])
            covered = _mean(inside.astype(np.float64))
        relative = model / baseline if baseline > 0 else float("nan")
        return LiveScores(
            group=group,
            count=len(self.actual),
            mae=_mean(error),
            wape=_percent(error, self.actual),
            bias=_percent(own.prediction - self.actual, self.actual),
            naive_mae=_mean(naive),
            relative=relative,
            coverage=covered,
            rmsse=self._rmsse(),
            pinball=_mean(pinball(self.actual, own.quantile_forecasts, self.levels).mean(axis=1))
            if self.levels
            else float("nan"),
        )

    def _rmsse(self) -> float:
        """The mean over series and cutoffs of the root mean square error over the root mean square seasonal difference."""
        usable = ~np.isnan(self.square_scale)
        if not usable.any():
            return float("nan")
        own = self.entries
        _, series = np.unique(own.series[usable].astype(str), return_inverse=True)
        _, cutoff = np.unique(own.cutoff[usable], return_inverse=True)
        _, window = np.unique(series * (cutoff.max() + 1) + cutoff, return_inverse=True)
        scaled = (own.prediction - self.actual)[usable] / self.square_scale[usable]
        return _mean(np.sqrt(np.bincount(window, scaled**2) / np.bincount(window)))


def _by_series(panel: Panel, made: Entries) -> Iterator[tuple[slice, IntArray]]:
    """For each series of the forecasts that the panel has: its rows there, and the positions of its forecasts."""
    number = {str(name): n for n, name in enumerate(panel.series)}
    names, index = np.unique(made.series.astype(str), return_inverse=True)
    for i, name in enumerate(names):
        if (n := number.get(str(name))) is not None:
            yield slice(panel.offsets[n], panel.offsets[n + 1]), np.flatnonzero(index == i)


def find_actuals(panel: Panel, made: Entries) -> FloatArray:
    """[E] the actual at each forecast's timestamp; NaN where none is observed yet."""
    actual = np.full(len(made.series), np.nan)
    for rows, chosen in _by_series(panel, made):
        stamps, values = panel.timestamps[rows], panel.target[rows]
        at = np.minimum(np.searchsorted(stamps, made.timestamp[chosen]), len(stamps) - 1)
        actual[chosen] = np.where(stamps[at] == made.timestamp[chosen], values[at], np.nan)
    return actual


def square_scales(panel: Panel, made: Entries, season_length: int) -> FloatArray:
    """[E] root mean square seasonal difference of the rows up to each forecast's cutoff, one step's where they are too few.

    NaN where the data has none of these rows, or they never change.
    """
    found = np.full(len(made.series), np.nan)
    for rows, chosen in _by_series(panel, made):
        count = np.searchsorted(panel.timestamps[rows], made.cutoff[chosen], side="right")  # rows up to the cutoff
        season, step = (_mean_squares(panel.target[rows], lag)[count] for lag in (season_length, 1))
        found[chosen] = np.sqrt(np.where(count > season_length, season, step))
    return np.where(found > 0, found, np.nan)


def _mean_squares(values: FloatArray, lag: int) -> FloatArray:
    """[R + 1] mean square of x[t] - x[t - lag] over the first 0, 1, … R rows; NaN where there is none."""
    square = np.full(len(values) + 1, np.nan)
    if lag < len(values):
        with np.errstate(over="ignore"):
            square[lag + 1 :] = (values[lag:] - values[:-lag]) ** 2
    seen = ~np.isnan(square)
    total = np.cumsum(np.where(seen, square, 0.0))
    count = np.cumsum(seen)
    return np.asarray(np.divide(total, count, out=np.full(len(square), np.nan), where=count > 0))


def _percent(part: FloatArray, whole: FloatArray) -> float:
    """A sum over another's of absolute values, percent."""
    total = float(np.abs(whole).sum())
    return 100.0 * float(part.sum()) / total if total > 0 else float("nan")


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
