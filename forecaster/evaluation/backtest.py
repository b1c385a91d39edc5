"""A backtest: forecasts of the same test windows by a model and by the baselines, with the same metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import Windows, sampler
from forecaster.evaluation.quantile_metrics import QuantileScores, quantile_scores
from forecaster.models.baselines import (
    BASELINES,
    MAX_STATISTICAL_VALUES,
    fit_gradient_boosting,
    statistical_baselines,
)
from forecaster.serving.forecast import MODEL

if TYPE_CHECKING:
    from forecaster.evaluation.holdout import Holdout
    from forecaster.evaluation.metrics import Scores
    from forecaster.typing import FloatArray

MAX_BOOSTING_WINDOWS = 20_000  # in the fit of gradient boosting


@dataclass(frozen=True)
class Backtest:
    """Forecasts of W test windows by a model and by the baselines."""

    holdout: Holdout
    prediction: FloatArray  # [W, H] the model's point forecasts
    baselines: Mapping[str, FloatArray]  # name -> [W, H] point forecasts
    quantiles: tuple[float, ...]  # Q levels, ascending
    quantile_forecasts: FloatArray  # [W, H, Q] the model's forecast at each level
    # [W, H, Q] before calibration; None = `quantile_forecasts` are not calibrated.
    raw: FloatArray | None = None
    calibrated: str = ""  # on which windows, for people

    @property
    def target(self) -> FloatArray:
        """[W, H] actuals; NaN = not observed."""
        return self.holdout.target

    def scores(self) -> dict[str, Scores]:
        """Scores of all windows together by forecaster: the model, then the baselines."""
        forecasts = {MODEL: self.prediction, **self.baselines}
        return {name: self.holdout.scores(forecast) for name, forecast in forecasts.items()}

    def quantile_scores(self) -> QuantileScores | None:
        """Scores of the quantile forecasts; None where there are none."""
        return self._scored(self.quantile_forecasts)

    def raw_scores(self) -> QuantileScores | None:
        """Scores before calibration; None where the quantile forecasts are not calibrated."""
        return None if self.raw is None else self._scored(self.raw)

    def _scored(self, quantile_forecasts: FloatArray) -> QuantileScores | None:
        return quantile_scores(self.target, quantile_forecasts, self.quantiles, self.holdout.seasonal_scale)


def backtest(
    holdout: Holdout, forecasts: FloatArray, quantiles: tuple[float, ...], baselines: Mapping[str, FloatArray]
) -> Backtest:
    """The backtest of a model's raw `forecasts` [W, H, 1 + Q] and of the baselines' [W, H]."""
    forecasts = forecasts.reshape(*holdout.target.shape, 1 + len(quantiles))
    return Backtest(
        holdout=holdout,
        prediction=forecasts[:, :, 0],
        baselines=baselines,
        quantiles=quantiles,
        quantile_forecasts=forecasts[:, :, 1:],
    )


def baseline_forecasts(holdout: Holdout, *, learned: bool) -> dict[str, FloatArray]:
    """Name of the baseline -> point forecasts [W, H] of the test windows.

    `learned` adds gradient boosting, fitted on the rows before the oldest window of each series, and Theta and ETS where
    their library is installed.
    """
    panel, windows, horizon = holdout.panel, holdout.windows, holdout.horizon
    season, length = panel.season_length, holdout.context_length
    longest = int(panel.lengths.max())
    context = windows.gather(max(length, min(longest, 4 * season)), 0)
    forecasts = {name: baseline(context, horizon, season) for name, baseline in BASELINES.items()}
    if not learned:
        return forecasts
    boosted = _boosting(holdout)
    if boosted:
        forecasts["gradient-boosting"] = boosted(windows.gather(length, 0))
    if others := statistical_baselines():
        history = windows.gather(min(longest, MAX_STATISTICAL_VALUES), 0)
        forecasts |= {name: baseline(history, horizon, season) for name, baseline in others.items()}
    return forecasts


def _boosting(holdout: Holdout) -> Callable[[FloatArray], FloatArray] | None:
    """Gradient boosting, fitted on the rows before each series' oldest test window; None where these have no window."""
    panel, length = holdout.panel, holdout.context_length
    ends = holdout.windows.first_cutoffs(panel.offsets[1:])
    drawn = sampler(panel.offsets[:-1], ends, length, holdout.horizon)
    if not len(drawn):
        return None
    series, cutoff = drawn.epoch(min(len(drawn), MAX_BOOSTING_WINDOWS), np.random.default_rng(0))
    values = Windows(panel.target, panel.offsets[:-1], ends, series, cutoff).gather(length, holdout.horizon)
    return fit_gradient_boosting(values[:, :length], values[:, length:], panel.season_length, seed=0)
