"""The forecasts that a network must beat: naive, seasonal naive and drift; gradient boosting on the same windows.

A baseline reads `context` [B, L] float64 (caller's units, NaN = missing, newest last) and returns [B, H] in the same
units. Rows do not see each other. A row with nothing observed is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

MAX_ROWS = 100_000  # (window, step) pairs that gradient boosting learns from: about 5 s on one core
TREES = 200
MAX_LAGS = 24  # newest values that it reads
SEASONS = 4  # values at the same season position that it reads
CHUNK_ROWS = 200_000  # (window, step) pairs predicted at once, so that memory does not follow B x H


def naive(context: FloatArray, horizon: int, _season_length: int) -> FloatArray:
    """[B, H] the newest observed value."""
    return np.repeat(_newest(context)[:, None], horizon, axis=1)


def seasonal_naive(context: FloatArray, horizon: int, season_length: int) -> FloatArray:
    """[B, H] the newest observed value at the same season position, else the newest observed value."""
    rows, length = context.shape
    lead = -length % season_length
    seasons = np.pad(context, ((0, 0), (lead, 0)), constant_values=np.nan)
    seasons = seasons.reshape(rows, (lead + length) // season_length, season_length)
    newest = _newest(seasons.swapaxes(1, 2))  # [B, season_length]
    season = np.where(np.isnan(newest), _newest(context)[:, None], newest)
    return season[:, np.arange(horizon) % season_length]


def drift(context: FloatArray, horizon: int, _season_length: int) -> FloatArray:
    """[B, H] the line through the oldest and the newest observed value; flat where they are one and the same.

    Source: Hyndman & Athanasopoulos, "Forecasting: Principles and Practice", section 5.2.
    """
    length = context.shape[1]
    first, last = _first_index(context), _last_index(context)
    oldest, newest = _pick(context, first), _pick(context, last)
    slope = (newest - oldest) / np.maximum(last - first, 1)
    ahead = np.arange(horizon) + length - last[:, None]  # steps since the newest observed value
    return np.asarray(newest[:, None] + slope[:, None] * ahead)


def fit_gradient_boosting(
    context: FloatArray, future: FloatArray, season_length: int, seed: int
) -> Callable[[FloatArray], FloatArray]:
    """One scikit-learn HistGradientBoostingRegressor over all windows: (context [B, L]) -> [B, H].

    Learns from `context` [B, L] and `future` [B, H] (NaN = not observed), each window centred on its mean and scaled
    by its standard deviation; every step of the horizon is forecast directly, the step being a feature. At most
    MAX_ROWS (window, step) pairs are drawn, by `seed`. A window that does not vary is forecast by its mean.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    horizon = future.shape[1]
    centre, scale = _locate(context)
    # A window that does not vary has no scale to learn at, and a step that is not observed teaches nothing.
    window, step = np.nonzero((scale > 0)[:, None] & ~np.isnan(future))
    if len(window) > MAX_ROWS:
        drawn = np.sort(np.random.default_rng(seed).choice(len(window), MAX_ROWS, replace=False))
        window, step = window[drawn], step[drawn]
    if not len(window):
        return lambda context: np.repeat(_locate(context)[0][:, None], horizon, axis=1)
    features = _features(context, window, step, season_length)
    # scikit-learn cannot bin a feature that is never there, e.g. the third season back of short windows.
    present = ~np.isnan(features).all(axis=0)
    answer = (future[window, step] - centre[window]) / scale[window]
    # Absolute error: one window with a jump must not bend the forecasts of all others.
    regressor = HistGradientBoostingRegressor(
        loss="absolute_error", max_iter=TREES, learning_rate=0.1, early_stopping=False, random_state=seed
    )
    # Two threads save a third where cores are free, and take ten times as long, waiting, where they are not.
    with threadpool_limits(1, user_api="openmp"):
        regressor.fit(features[:, present], answer)

    def predict(context: FloatArray) -> FloatArray:
        size = max(CHUNK_ROWS // horizon, 1)
        parts = [chunk(context[start : start + size]) for start in range(0, len(context), size)]
        return np.concatenate([np.zeros((0, horizon)), *parts])

    def chunk(context: FloatArray) -> FloatArray:
        centre, scale = _locate(context)
        window, step = np.divmod(np.arange(len(context) * horizon), horizon)
        with threadpool_limits(1, user_api="openmp"):
            scaled = regressor.predict(_features(context, window, step, season_length)[:, present])
        return np.asarray(centre[:, None] + scale[:, None] * scaled.reshape(len(context), horizon))

    return predict


def _features(context: FloatArray, window: IntArray, step: IntArray, season_length: int) -> FloatArray:
    """[n, features] of the pairs (window [n], step [n]), in units of the window's own spread."""
    centre, scale = _locate(context)
    length = context.shape[1]
    scaled = (context - centre[:, None]) / np.where(scale > 0, scale, 1)[:, None]
    newest = scaled[window, -min(MAX_LAGS, length) :]
    # Newest row at the step's season position, then one season back at a time.
    at = length - season_length + step % season_length
    back = at[:, None] - season_length * np.arange(SEASONS)
    season = np.where(back >= 0, scaled[window[:, None], np.maximum(back, 0)], np.nan)
    # nanmean warns about rows of nothing but NaN.
    observed = ~np.isnan(season)
    mean = np.where(observed, season, 0).sum(axis=1) / np.where(observed.any(axis=1), observed.sum(axis=1), np.nan)
    return np.column_stack([newest, season, mean, step, step % season_length])


def _locate(context: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[B] mean and [B] standard deviation of the observed values; 0 where they do not vary, NaN mean where none is."""
    observed = ~np.isnan(context)
    count = np.where(observed.any(axis=1), observed.sum(axis=1), np.nan)
    mean = np.where(observed, context, 0).sum(axis=1) / count
    off = np.where(observed, context - mean[:, None], 0)
    spread = np.sqrt((off**2).sum(axis=1) / count)
    # The mean of equal values is off by rounding, so equal values spread a little: that is no scale.
    return mean, np.where(spread > 1e-12 * np.abs(mean), spread, 0)


def _newest(values: FloatArray) -> FloatArray:
    """[...] the last value along the last axis that is not NaN; NaN where all are."""
    return _pick(values, _last_index(values))


def _last_index(values: FloatArray) -> IntArray:
    """[...] where along the last axis the last value stands that is not NaN; the end where all are."""
    return np.asarray(values.shape[-1] - 1 - _first_index(values[..., ::-1]))


def _first_index(values: FloatArray) -> IntArray:
    """[...] where along the last axis the first value stands that is not NaN; 0 where all are."""
    return np.asarray(np.argmax(~np.isnan(values), axis=-1))


def _pick(values: FloatArray, index: IntArray) -> FloatArray:
    """[...] the value at `index` [...] along the last axis."""
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]


Baseline: TypeAlias = Callable[["FloatArray", int, int], "FloatArray"]

BASELINES: dict[str, Baseline] = {"seasonal-naive": seasonal_naive, "naive": naive, "drift": drift}
