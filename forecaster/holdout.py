"""The windows that a model is tested on: whole horizons that its weights have not seen, and how far forecasts are from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import rolling
from forecaster.metrics import Scores, score, score_by_series, score_by_step, seasonal_scale
from forecaster.raw_forecasts import with_context

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Holdout:
    """W test windows of a panel that can be forecast, with their actuals."""

    panel: Panel
    windows: Windows  # W; each has an observed value among the `context_length` rows before it
    target: FloatArray  # [W, H] actuals in the caller's units; NaN = not observed
    seasonal_scale: (
        FloatArray  # [W] denominator of MASE, from the rows before the series' oldest window; NaN = undefined
    )
    context_length: int  # rows before a window that the model reads
    description: str = ""  # which windows these are, for people

    @property
    def horizon(self) -> int:
        """H."""
        return int(self.target.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """[N] of the panel's series."""
        return tuple(map(str, self.panel.series))

    def scores(self, forecast: FloatArray) -> Scores:
        """Of point forecasts [W, H], all windows together."""
        return score(self.target, forecast, self.seasonal_scale)

    def scores_by_step(self, forecast: FloatArray) -> tuple[Scores, ...]:
        """[H] scores of point forecasts [W, H], one for each step ahead."""
        return tuple(score_by_step(self.target, forecast, self.seasonal_scale))

    def scores_by_series(self, forecast: FloatArray) -> dict[str, Scores]:
        """Scores of point forecasts [W, H], one for each series that has windows."""
        names, series = self.names, self.windows.series
        scores = score_by_series(self.target, forecast, self.seasonal_scale, series, len(names))
        return {names[n]: scores[n] for n in np.unique(series)}

    def window_errors(self, forecast: FloatArray) -> FloatArray:
        """[W] mean absolute error of each window over its seasonal scale; caller's units where no window has a scale.

        NaN = undefined.
        """
        observed = ~np.isnan(self.target)
        misses = np.where(observed, np.abs(self.target - forecast), 0.0)
        count = np.where(observed.any(axis=1), observed.sum(axis=1), np.nan)
        known = np.isfinite(self.seasonal_scale).any()
        scale: FloatArray = self.seasonal_scale if known else np.ones(len(misses))
        return np.asarray(misses.sum(axis=1) / count / scale)


def make_holdout(
    panel: Panel, windows: Windows, *, horizon: int, context_length: int, description: str = ""
) -> Holdout:
    """The `windows` that can be forecast. Those with nothing observed in their context are left out: nobody can."""
    windows = with_context(windows, context_length)
    ends = oldest_cutoffs(windows, panel.offsets[1:])
    scale = seasonal_scale(panel.target, panel.offsets, ends, panel.season_length)
    return Holdout(
        panel=panel,
        windows=windows,
        target=windows.gather(0, horizon),
        seasonal_scale=scale[windows.series],
        context_length=context_length,
        description=description,
    )


def holdout_windows(panel: Panel, horizon: int, count: int) -> Windows:
    """The windows that a training on this panel is tested on: the newest `count` of each series, one horizon apart."""
    return rolling(panel, panel.offsets[1:], horizon, count, horizon)


def oldest_cutoffs(windows: Windows, otherwise: IntArray) -> IntArray:
    """[N] the cutoff of each series' oldest window; `otherwise` [N] for a series without windows."""
    oldest: IntArray = otherwise.copy()
    np.minimum.at(oldest, windows.series, windows.cutoff)
    return oldest
