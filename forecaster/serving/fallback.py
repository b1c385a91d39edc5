"""Seasonal naive forecasts for series that the model cannot forecast, and the test for an implausible forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import latest_windows
from forecaster.models.baselines import seasonal_naive
from forecaster.models.isolated_outliers import without_isolated_outliers

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, FloatArray, IntArray

SEASONAL_NAIVE = "seasonal-naive"  # in the column `source`
MAX_RANGES = 10  # a value farther outside of all observed ones, in ranges of the series, is implausible
MIN_OBSERVED = 20  # values for a reliable range
MAX_SEASONS = 4  # that seasonal naive searches for the latest observed values


def plausible_range(panel: Panel) -> tuple[FloatArray, FloatArray]:
    """[N] lowest and [N] highest plausible value of each series: MAX_RANGES of its ranges outside of its past values.

    Measured on the actual futures of 1,750 series of four competition sets: none is more than 4 ranges outside of its
    history, and one in a hundred more than 1, whereas a log model that diverges is off by powers of ten. The range of
    fewer than 20 values is unreliable (1 future in 80 leaves that of 10 values so far), and that of equal values is 0:
    there the range extends to zero. NaN where nothing is observed.
    """
    low, high = panel.lowest, panel.highest
    spread = high - low
    level = np.maximum(np.abs(low), np.abs(high))
    spread = np.where(
        (panel.observed_counts >= MIN_OBSERVED) & (spread > 0),
        spread,
        np.maximum(spread, np.where(level > 0, level, 1.0)),
    )
    return low - MAX_RANGES * spread, high + MAX_RANGES * spread


def implausible(values: FloatArray, low: FloatArray, high: FloatArray) -> BoolArray:
    """[n] whether a value of a forecast [n, H, 1 + Q] is below `low` or above `high` [n]; NaN is neither."""
    outside = (values < low[:, None, None]) | (values > high[:, None, None])
    return np.asarray(outside.any(axis=(1, 2)))


def naive_forecast(panel: Panel, chosen: IntArray, horizon: int) -> FloatArray:
    """[n, H] seasonal naive of the series `chosen` [n], from their latest observed values; NaN where none is observed."""
    season = panel.season_length
    rows = max(season, min(MAX_SEASONS * season, int(panel.lengths.max())))
    context = without_isolated_outliers(latest_windows(panel).take(chosen).gather(rows, 0), season)
    forecast = seasonal_naive(context, horizon, season)
    for i in np.flatnonzero(np.isnan(forecast).any(axis=1)):
        values = _observed(panel, int(chosen[i]))
        forecast[i] = values[-1] if len(values) else np.nan
    return forecast


def naive_quantiles(panel: Panel, chosen: IntArray, forecast: FloatArray, quantiles: tuple[float, ...]) -> FloatArray:
    """[n, H, Q] quantiles around seasonal naive forecasts [n, H].

    The quantiles are those of the series' seasonal differences about their median, times the square root of the number
    of seasons ahead. Source: Hyndman & Athanasopoulos, "Forecasting: Principles and Practice", section 5.5,
    without the normal distribution.
    """
    horizon, season = forecast.shape[1], panel.season_length
    growth = np.sqrt(np.arange(horizon) // season + 1.0)
    quantile_forecasts = np.repeat(forecast[:, :, None], len(quantiles), axis=2)
    for i, n in enumerate(chosen):
        values = panel.target[panel.offsets[n] : panel.offsets[n + 1]]
        lag = season if len(values) > season else 1
        differences = values[lag:] - values[:-lag]
        differences = differences[~np.isnan(differences)]
        if len(differences) and quantiles:
            offsets = np.quantile(differences, quantiles) - np.median(differences)
            quantile_forecasts[i] += growth[:, None] * offsets[None, :]
    return quantile_forecasts


def _observed(panel: Panel, n: int) -> FloatArray:
    values = panel.target[panel.offsets[n] : panel.offsets[n + 1]]
    return values[~np.isnan(values)]
