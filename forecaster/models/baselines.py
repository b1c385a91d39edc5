"""Baselines that a network must beat: naive, seasonal naive and drift; gradient boosting; Theta and ETS.

A baseline takes `context` [B, L] float64 (caller's units, NaN = missing, latest last), the horizon H and the season length,
and returns forecasts [B, H] in the same units. Each row is forecast by itself. A row without an observed value is NaN.

Theta and ETS are statsforecast's, an optional package that is imported on first use and fits each window by itself.
Sources: Assimakopoulos & Nikolopoulos 2000 (Theta, which won the M3 competition); Hyndman et al. 2008 (ETS, chosen by AICc).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from forecaster.models.gradient_boosting import fit_boosted_trees, on_one_thread

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

MAX_ROWS = 100_000  # (window, step) pairs that gradient boosting learns from: about 5 s on one core
TREES = 200
MAX_LAGS = 24  # latest values that gradient boosting reads
SEASONS = 4  # values at the same season position that gradient boosting reads
CHUNK_ROWS = 200_000  # (window, step) pairs predicted at once: bounds memory, which B x H would not
STATISTICAL_MODELS = {"theta": "Theta", "ets": "AutoETS"}  # baseline -> class of statsforecast.models
MIN_STATISTICAL_VALUES = 4  # observed values that Theta and ETS need
MAX_STATISTICAL_VALUES = 400  # latest values that Theta and ETS are fitted to: the time of an ETS grows with them


def naive(context: FloatArray, horizon: int, _season_length: int) -> FloatArray:
    """[B, H] the latest observed value."""
    return np.repeat(_latest(context)[:, None], horizon, axis=1)


def seasonal_naive(context: FloatArray, horizon: int, season_length: int) -> FloatArray:
    """[B, H] the latest observed value at the same season position, else the latest observed value."""
    rows, length = context.shape
    lead = -length % season_length
    seasons = np.pad(context, ((0, 0), (lead, 0)), constant_values=np.nan)
    seasons = seasons.reshape(rows, (lead + length) // season_length, season_length)
    latest = _latest(seasons.swapaxes(1, 2))  # [B, season_length]
    season = np.where(np.isnan(latest), _latest(context)[:, None], latest)
    return season[:, np.arange(horizon) % season_length]


def drift(context: FloatArray, horizon: int, _season_length: int) -> FloatArray:
    """[B, H] the line through the first and the last observed value; flat where only one is observed.

    Source: Hyndman & Athanasopoulos, "Forecasting: Principles and Practice", section 5.2.
    """
    length = context.shape[1]
    first, last = _first_index(context), _last_index(context)
    start, end = _pick(context, first), _pick(context, last)
    slope = (end - start) / np.maximum(last - first, 1)
    ahead = np.arange(horizon) + length - last[:, None]  # steps since the last observed value
    return np.asarray(end[:, None] + slope[:, None] * ahead)


def fit_gradient_boosting(
    context: FloatArray, future: FloatArray, season_length: int, seed: int
) -> Callable[[FloatArray], FloatArray]:
    """Fit one scikit-learn HistGradientBoostingRegressor to all windows; returns a function context [B, L] -> [B, H].

    It is fitted to `context` [B, L] and `future` [B, H] (NaN = not observed), each window centred on its mean and scaled by
    its standard deviation. Every step of the horizon is forecast directly, with the step as a feature. At most MAX_ROWS
    (window, step) pairs are drawn, by `seed`. A constant window is forecast by its mean.
    """
    horizon = future.shape[1]
    centre, scale = _mean_and_deviation(context)
    # A constant window has no scale, and a step that is not observed has no error.
    window, step = np.nonzero((scale > 0)[:, None] & ~np.isnan(future))
    if len(window) > MAX_ROWS:
        drawn = np.sort(np.random.default_rng(seed).choice(len(window), MAX_ROWS, replace=False))
        window, step = window[drawn], step[drawn]
    if not len(window):
        return lambda context: np.repeat(_mean_and_deviation(context)[0][:, None], horizon, axis=1)
    features = _features(context, window, step, season_length)
    # scikit-learn cannot bin a feature that is always missing, e.g. the third season back of short windows.
    present = ~np.isnan(features).all(axis=0)
    answer = (future[window, step] - centre[window]) / scale[window]
    regressor = fit_boosted_trees(features[:, present], answer, TREES, seed)

    def predict(context: FloatArray) -> FloatArray:
        size = max(CHUNK_ROWS // horizon, 1)
        parts = [chunk(context[start : start + size]) for start in range(0, len(context), size)]
        return np.concatenate([np.zeros((0, horizon)), *parts])

    def chunk(context: FloatArray) -> FloatArray:
        centre, scale = _mean_and_deviation(context)
        window, step = np.divmod(np.arange(len(context) * horizon), horizon)
        with on_one_thread():
            scaled = regressor.predict(_features(context, window, step, season_length)[:, present])
        return np.asarray(centre[:, None] + scale[:, None] * scaled.reshape(len(context), horizon))

    return predict


def _features(context: FloatArray, window: IntArray, step: IntArray, season_length: int) -> FloatArray:
    """[n, features] of the pairs (window [n], step [n]), in standard deviations of the window."""
    centre, scale = _mean_and_deviation(context)
    length = context.shape[1]
    scaled = (context - centre[:, None]) / np.where(scale > 0, scale, 1)[:, None]
    lags = scaled[window, -min(MAX_LAGS, length) :]
    # The latest row at the step's season position, then one season back at a time.
    at = length - season_length + step % season_length
    back = at[:, None] - season_length * np.arange(SEASONS)
    season = np.where(back >= 0, scaled[window[:, None], np.maximum(back, 0)], np.nan)
    # nanmean would warn of rows without an observed value.
    observed = ~np.isnan(season)
    mean = np.where(observed, season, 0).sum(axis=1) / np.where(observed.any(axis=1), observed.sum(axis=1), np.nan)
    return np.column_stack([lags, season, mean, step, step % season_length])


def _mean_and_deviation(context: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean [B], NaN where nothing is observed, and standard deviation [B] of the observed values, 0 where they are equal."""
    observed = ~np.isnan(context)
    count = np.where(observed.any(axis=1), observed.sum(axis=1), np.nan)
    mean = np.where(observed, context, 0).sum(axis=1) / count
    deviation = np.where(observed, context - mean[:, None], 0)
    scale = np.sqrt((deviation**2).sum(axis=1) / count)
    # The mean of equal values is rounded, so their standard deviation comes out a little above 0.
    return mean, np.where(scale > 1e-12 * np.abs(mean), scale, 0)


def _latest(values: FloatArray) -> FloatArray:
    """[...] the last observed value along the last axis; NaN where there is none."""
    return _pick(values, _last_index(values))


def _last_index(values: FloatArray) -> IntArray:
    """[...] index of the last observed value along the last axis; the last index where there is none."""
    return np.asarray(values.shape[-1] - 1 - _first_index(values[..., ::-1]))


def _first_index(values: FloatArray) -> IntArray:
    """[...] index of the first observed value along the last axis; 0 where there is none."""
    return np.asarray(np.argmax(~np.isnan(values), axis=-1))


def _pick(values: FloatArray, index: IntArray) -> FloatArray:
    """[...] the value at `index` [...] along the last axis."""
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]


Baseline: TypeAlias = Callable[["FloatArray", int, int], "FloatArray"]

BASELINES: dict[str, Baseline] = {"seasonal-naive": seasonal_naive, "naive": naive, "drift": drift}
NAIVE_BASELINES = ("seasonal-naive", "naive")  # which a forecast has to beat


def statistical_baselines() -> dict[str, Baseline]:
    """Theta and ETS by name; empty where statsforecast is not installed."""
    if find_spec("statsforecast") is None:
        return {}
    return {name: _statistical(kind) for name, kind in STATISTICAL_MODELS.items()}


def _statistical(kind: str) -> Baseline:
    def forecast(context: FloatArray, horizon: int, season_length: int) -> FloatArray:
        """[B, H]; a window that statsforecast cannot fit is forecast by the seasonal naive."""
        from statsforecast import models

        answer = seasonal_naive(context, horizon, season_length)
        for i, row in enumerate(context):
            values = _interpolated(row[-MAX_STATISTICAL_VALUES:])
            if len(values) >= MIN_STATISTICAL_VALUES:
                season = season_length if len(values) >= 2 * season_length else 1
                answer[i] = _fit_and_forecast(getattr(models, kind)(season_length=season), values, answer[i])
        return answer

    return forecast


def _fit_and_forecast(model: Any, values: FloatArray, fallback: FloatArray) -> FloatArray:
    """[H] the model's forecast of what comes after `values`; `fallback` [H] where it fails or is not finite."""
    try:
        found = np.asarray(model.forecast(y=values, h=len(fallback))["mean"], np.float64)
    except Exception:  # statsforecast raises errors of many kinds from its numerics
        return fallback
    return found if np.isfinite(found).all() else fallback


def _interpolated(row: FloatArray) -> FloatArray:
    """The row from its first observed value on, gaps interpolated linearly: neither method takes missing values."""
    seen = np.flatnonzero(~np.isnan(row))
    if not len(seen):
        return row[:0]
    return np.interp(np.arange(seen[0], len(row)), seen, row[seen])
