"""A backtest: the forecasts of a model and of the baselines for the same test windows, scored alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.bands import BandScores, band_scores
from forecaster.baselines import BASELINES, fit_gradient_boosting
from forecaster.data.windows import Windows, sampler
from forecaster.forecast import MODEL
from forecaster.holdout import oldest_cutoffs
from forecaster.report import Report, Subject
from forecaster.statistical import MAX_VALUES, statistical

if TYPE_CHECKING:
    from forecaster.holdout import Holdout
    from forecaster.metrics import Scores
    from forecaster.models.artifact import Manifest
    from forecaster.models.settings import NetworkSettings
    from forecaster.typing import FloatArray

BOOSTING_WINDOWS = 20_000  # that gradient boosting learns from, at most


@dataclass(frozen=True)
class Backtest:
    """Forecasts of W test windows by a model and by the baselines."""

    holdout: Holdout
    prediction: FloatArray  # [W, H] the model's point forecasts
    baselines: Mapping[str, FloatArray]  # name -> [W, H] point forecasts
    quantiles: tuple[float, ...]  # Q levels, ascending
    bands: FloatArray  # [W, H, Q] the model's forecast at each level
    raw: FloatArray | None = None  # [W, H, Q] the same before calibration; None = `bands` are not calibrated
    calibrated: str = ""  # on what, for people

    @property
    def target(self) -> FloatArray:
        """[W, H] actuals; NaN = not observed."""
        return self.holdout.target

    def scores(self) -> dict[str, Scores]:
        """Everybody's, all windows together, the model's first."""
        return {who: self.holdout.scores(found) for who, found in {MODEL: self.prediction, **self.baselines}.items()}

    def band_scores(self) -> BandScores | None:
        """Of the quantiles; None where there are none."""
        return self._scored(self.bands)

    def raw_scores(self) -> BandScores | None:
        """Of the quantiles before calibration; None where they are not calibrated."""
        return None if self.raw is None else self._scored(self.raw)

    def _scored(self, bands: FloatArray) -> BandScores | None:
        return band_scores(self.target, bands, self.quantiles, self.holdout.seasonal_scale)


def backtest(
    holdout: Holdout, forecasts: FloatArray, quantiles: tuple[float, ...], baselines: Mapping[str, FloatArray]
) -> Backtest:
    """A model's raw `forecasts` [W, H, 1 + Q] of the test windows, alongside the baselines' [W, H]."""
    forecasts = forecasts.reshape(*holdout.target.shape, 1 + len(quantiles))
    return Backtest(
        holdout=holdout,
        prediction=forecasts[:, :, 0],
        baselines=baselines,
        quantiles=quantiles,
        bands=forecasts[:, :, 1:],
    )


def baseline_forecasts(holdout: Holdout, *, learned: bool) -> dict[str, FloatArray]:
    """Name -> point forecasts [W, H] of the test windows.

    `learned` adds gradient boosting, fitted on the rows before the oldest window of each series, and Theta and ETS where
    they are installed.
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
    if others := statistical():
        history = windows.gather(min(longest, MAX_VALUES), 0)
        forecasts |= {name: baseline(history, horizon, season) for name, baseline in others.items()}
    return forecasts


def _boosting(holdout: Holdout) -> Callable[[FloatArray], FloatArray] | None:
    """Fitted on the rows before the oldest test window of each series; None where there is no window among them."""
    panel, length = holdout.panel, holdout.context_length
    ends = oldest_cutoffs(holdout.windows, panel.offsets[1:])
    drawn = sampler(panel.offsets[:-1], ends, length, holdout.horizon)
    if not len(drawn):
        return None
    series, cutoff = drawn.epoch(min(len(drawn), BOOSTING_WINDOWS), np.random.default_rng(0))
    values = Windows(panel.target, panel.offsets[:-1], ends, series, cutoff).gather(length, holdout.horizon)
    return fit_gradient_boosting(values[:, :length], values[:, length:], panel.season_length, seed=0)


def subject(manifest: Manifest, version: int, seconds: float) -> Subject:
    """Which model a report is about."""
    return Subject(
        model=manifest.name,
        version=version,
        cell=", ".join(dict.fromkeys(_cell(member) for member in manifest.members)),
        parameters=manifest.parameters,
        horizon=manifest.horizon,
        context_length=manifest.context_length,
        freq=manifest.data.freq,
        season_length=manifest.data.season_length,
        seconds=round(seconds, 2),
    )


def _cell(member: NetworkSettings) -> str:
    return f"bidirectional {member.cell}" if member.bidirectional else member.cell


def make_report(about: Subject, found: Backtest) -> Report:
    """Everybody's scores in all and per step ahead, and the model's per series."""
    holdout, scores = found.holdout, found.scores()
    return Report(
        **vars(about),
        windows=len(holdout.target),
        metrics=scores[MODEL],
        baselines={who: scores[who] for who in found.baselines},
        by_series=holdout.scores_by_series(found.prediction),
        by_step=holdout.scores_by_step(found.prediction),
        baselines_by_step={who: holdout.scores_by_step(forecast) for who, forecast in found.baselines.items()},
        judged_on=holdout.description,
        intervals=found.band_scores(),
        raw_intervals=found.raw_scores(),
        calibrated=found.calibrated,
    )
