"""The windows that forecasts are compared on, and the error that compares them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.extra_inputs import Needs
from forecaster.data.time_zones import days_on_clock
from forecaster.models.losses import pinball_level
from forecaster.training.memory_forecasts import forecasts, smoothed

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.special_days import Rules
    from forecaster.data.windows import Windows
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.network import Network
    from forecaster.typing import FloatArray, IntArray

MIN_WITNESSES = 3  # stretches of a horizon, for a comparison to say something
STRONG_EFFECT = 0.5  # of the strongest of a plan's special days, for errors to show who knows of it
SIGNIFICANCE = 0.05  # of the test that one forecast is better than another


@dataclass(frozen=True)
class EvaluationSet:
    """Windows that forecasts are compared on, and the error that compares them."""

    panel: Panel
    windows: Windows
    scale: FloatArray  # [N] seasonal scale of each series
    relative: bool  # every value is positive: relative errors are defined
    needs: Needs
    loss: str = "mae"  # of the fits: where it asks for the mean, so does the comparison
    history: Windows | None = None  # earlier windows, to compare what is fitted to nothing; None: these windows alone
    # Forecasts of these windows by simple methods, whatever their weights: they are asked for again and again.
    simple: dict[Smoothing, FloatArray] = field(default_factory=dict, repr=False, compare=False)

    def reaching(self, context_length: int) -> EvaluationSet:
        """The same windows with contexts of at least so many rows."""
        longest = max(self.needs.context_length, context_length)
        return replace(self, needs=replace(self.needs, context_length=longest))

    @property
    def rows(self) -> int:
        """Rows before the latest cutoff of the longest series."""
        windows = self.windows
        return int((windows.cutoff - windows.start[windows.series]).max(initial=0))

    @property
    def cutoffs(self) -> int:
        """How many different cutoffs the windows have, counted from the end of each series."""
        return len(np.unique(self.windows.remaining))

    def has_special_days(self, rules: Rules) -> bool:
        """Whether a step of the windows is on a day with STRONG_EFFECT."""
        panel, steps = self.panel, np.arange(self.needs.horizon)
        stamps = panel.timestamps[np.unique(np.minimum(self.windows.cutoff[:, None] + steps, len(panel.target) - 1))]
        days = np.unique(days_on_clock(stamps, panel.zone))
        return bool((np.abs(rules.of(days)) >= STRONG_EFFECT * max(map(abs, rules.effects.values()))).any())

    def forecast(self, networks: Sequence[Network]) -> FloatArray:
        """Combined point forecasts [W, H] of `networks`."""
        return forecasts(self.panel, self.windows, self.needs, networks)

    def smoothed(self, smoothing: Smoothing) -> FloatArray:
        """Forecasts [W, H] of a simple method alone."""
        alone = replace(smoothing, weight=1.0)
        if alone not in self.simple:
            self.simple[alone] = smoothed(self.panel, self.windows, alone, self.needs.covariates)
        return self.simple[alone]

    def error(self, forecast: FloatArray) -> float:
        """Error of forecasts [W, H], defined as the validation error of a fit (`training.fit`); of squares for a mean."""
        truth = self.windows.gather(0, self.needs.horizon)
        miss, size = np.abs(truth - forecast), np.abs(truth) + np.abs(forecast)
        level = pinball_level(self.loss)
        if level is not None:
            miss = miss * np.where(truth > forecast, 2.0 * level, 2.0 * (1.0 - level))
        scaled = miss / self.scale[self.windows.series][:, None]
        if self.loss == "mse":
            return math.sqrt(_mean(scaled * scaled))
        if not self.relative:
            return _mean(scaled)
        return math.sqrt(_mean(scaled) * _mean(2.0 * miss / np.where(size > 0.0, size, 1.0)))

    @property
    def _places(self) -> IntArray:
        """[2, W] series of each window, and the stretch of a horizon that holds its cutoff: windows that overlap err alike."""
        return np.stack([self.windows.series, self.windows.remaining // self.needs.horizon])

    @property
    def stretches(self) -> int:
        """How many stretches of a horizon hold windows, over all series."""
        return len(np.unique(self._places, axis=1).T)

    def clearly_lower(self, one: FloatArray, other: FloatArray) -> bool:
        """Whether one forecast [W, H] has lower errors than another, by a t-test over stretches of a horizon that hold windows.

        Windows that overlap err alike, so their mean is one witness. With fewer than MIN_WITNESSES the answer is no.
        """
        from scipy import special

        truth = self.windows.gather(0, self.needs.horizon)
        scale = self.scale[self.windows.series]
        first, second = (_window_errors(truth, forecast, scale, self.loss) for forecast in (one, other))
        known = np.isfinite(first - second)
        _, stretch = np.unique(self._places[:, known], axis=1, return_inverse=True)
        if not known.any():
            return False
        sums, sizes = (np.bincount(stretch.ravel(), weights) for weights in ((first - second)[known], None))
        difference = sums / sizes
        count = len(difference)
        if count < MIN_WITNESSES:
            return False
        needed = float(special.stdtrit(count - 1, 1.0 - SIGNIFICANCE))
        return bool(difference.mean() < -needed * difference.std(ddof=1) / math.sqrt(count))

    @property
    def of_history(self) -> EvaluationSet:
        """The windows of the longer history; these where there is none."""
        return replace(self, windows=self.history or self.windows, history=None, simple={})

    def history_error(self, smoothing: Smoothing) -> float:
        """Error of a simple method alone over the history."""
        history = self.of_history
        return history.error(history.smoothed(smoothing))


def _window_errors(truth: FloatArray, forecast: FloatArray, scale: FloatArray, loss: str) -> FloatArray:
    """[W] the mean of each window's errors in the loss of the fits, over the seasonal scale; NaN where nothing is observed."""
    miss = (truth - forecast) / scale[:, None]
    level = pinball_level(loss)
    each = miss * miss if loss == "mse" else np.abs(miss)
    if level is not None:
        each = np.maximum(level * miss, (level - 1.0) * miss)
    seen = ~np.isnan(each)
    return np.asarray(np.where(seen, each, 0.0).sum(axis=1) / np.where(seen.any(axis=1), seen.sum(axis=1), np.nan))


def _mean(each: FloatArray) -> float:
    """Mean over windows of their means of [W, H], NaN = not observed; windows without an observed value are left out."""
    seen = ~np.isnan(each).all(axis=1)
    return float(np.nanmean(each[seen], axis=1).mean())
