"""The data of a plot of one series: its latest history, forecasts with intervals, and actuals, if any."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecaster.data.freq import format_timestamps
from forecaster.data.time_zones import wall_clock
from forecaster.errors import DataError, UsageError, nearest
from forecaster.serving.forecast import MODEL

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.evaluation.backtest import Backtest
    from forecaster.evaluation.metrics import Scores
    from forecaster.serving.forecast import ForecastRun
    from forecaster.typing import FloatArray, IntArray

Times: TypeAlias = "NDArray[np.datetime64] | NDArray[np.int64]"

DEFAULT_SERIES = 4  # drawn where the caller names none
MAX_SERIES = 50  # on a page or a picture
MAX_WINDOWS = 6  # forecasts of a series, the latest
MAX_HISTORY = 400  # steps


@dataclass(frozen=True)
class SeriesView:
    """T steps of a series, and W forecasts of H steps that start within them, in the caller's units."""

    name: str
    note: str  # why this series, and its score, for people; may be empty
    times: Times  # [T] wall clock, or whole-number steps
    stamps: tuple[str, ...]  # [T] as in files
    observed: FloatArray  # [T] NaN = not observed, or not yet
    starts: IntArray  # [W] position of each forecast's first step
    prediction: FloatArray  # [W, H]
    quantiles: tuple[float, ...]  # Q levels, ascending
    quantile_forecasts: FloatArray  # [W, H, Q]


@dataclass(frozen=True)
class Interval:
    """The interval between two quantiles."""

    low: int  # index among the quantiles
    high: int
    label: str

    def of(self, quantile_forecasts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Its two ends [...] in quantile forecasts [..., Q]."""
        return quantile_forecasts[..., self.low], quantile_forecasts[..., self.high]

    @classmethod
    def between(cls, quantiles: Sequence[float]) -> tuple[Interval, ...]:
        """The intervals between pairs of levels, the widest first; a middle level belongs to none."""
        pairs = [(i, len(quantiles) - 1 - i) for i in range(len(quantiles) // 2)]
        return tuple(cls(i, j, _label(quantiles[i], quantiles[j])) for i, j in pairs)


def _label(low: float, high: float) -> str:
    if math.isclose(low, 1 - high):
        return f"{100 * (high - low):.4g} % interval"
    return f"quantiles {low:g} to {high:g}"


def forecast_views(made: ForecastRun, chosen: Sequence[str]) -> tuple[SeriesView, ...]:
    """Views of a forecast with the rows that it was made from: of the series `chosen`, or the first few."""
    names = [str(name) for name in made.forecast.series]
    return tuple(_forecast_view(made, names.index(name)) for name in choose_series(chosen, names, DEFAULT_SERIES))


def _forecast_view(made: ForecastRun, n: int) -> SeriesView:
    """The view of the n-th series."""
    forecast, panel, position = made.forecast, made.panel, int(made.positions[n])
    end = int(panel.offsets[position + 1])
    first = max(int(panel.offsets[position]), end - _history(panel.season_length, 3 * forecast.prediction.shape[1]))
    stamps = np.concatenate([panel.timestamps[first:end], forecast.timestamps[n]])
    one = slice(n, n + 1)
    return SeriesView(
        name=str(forecast.series[n]),
        note="" if forecast.source[n] == MODEL else f"forecast by {forecast.source[n]}",
        times=_times(stamps, panel),
        stamps=tuple(map(str, format_timestamps(stamps, panel.freq, panel.zone))),
        observed=np.concatenate([panel.target[first:end], np.full(forecast.prediction.shape[1], np.nan)]),
        starts=np.array([end - first]),
        prediction=forecast.prediction[one],
        quantiles=forecast.quantiles,
        quantile_forecasts=forecast.quantile_forecasts[one],
    )


def backtest_views(
    backtest: Backtest, panel: Panel, scores: Mapping[str, Scores], chosen: Sequence[str]
) -> tuple[SeriesView, ...]:
    """Views of the latest windows of a backtest: of the series `chosen`, or the largest, the worst, the median and the best.

    `scores` are by series. DataError for a series that has no window.
    """
    without = [name for name in chosen if name in backtest.holdout.names and name not in scores]
    if without:
        raise DataError(
            f"series '{without[0]}' has no test window: there is nothing to draw.", "Choose another series."
        )
    notes = {name: _scored(scores[name]) for name in chosen} if chosen else notable_series(backtest, scores)
    return tuple(_backtest_view(backtest, panel, name, notes[name]) for name in choose_series(chosen, list(notes)))


def notable_series(backtest: Backtest, scores: Mapping[str, Scores]) -> dict[str, str]:
    """Series -> its note: as `worst_median_best`, and the largest by its mean absolute actual, which matters most."""
    notes = worst_median_best(scores)
    sizes = dict.fromkeys(scores, 0.0)
    for n, actuals in zip(backtest.holdout.windows.series.tolist(), np.abs(backtest.target), strict=True):
        name = backtest.holdout.names[n]
        if name in sizes and not np.isnan(actuals).all():
            sizes[name] = max(sizes[name], float(np.nanmean(actuals)))
    if len(scores) <= len(notes) or not any(sizes.values()):
        return notes
    largest = max(sizes, key=lambda name: sizes[name])
    if largest in notes:
        return {name: f"largest, {note}" if name == largest else note for name, note in notes.items()}
    return {largest: f"largest of {len(scores):,} series, {_scored(scores[largest])}", **notes}


def worst_median_best(scores: Mapping[str, Scores]) -> dict[str, str]:
    """Series -> its note, for the worst, the median and the best by MASE; the first few where none has a MASE."""
    ranked = sorted((s for s in scores if not math.isnan(scores[s].mase)), key=lambda s: -scores[s].mase)
    if len(ranked) < len(("worst", "median", "best")):
        return {name: _scored(scores[name]) for name in (ranked or list(scores)[:DEFAULT_SERIES])}
    places = {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}
    of = f"of {len(ranked):,} series"
    return {name: f"{place} {of}, {_scored(scores[name])}" for place, name in places.items()}


def _scored(scores: Scores) -> str:
    return "MASE undefined" if math.isnan(scores.mase) else f"MASE {scores.mase:.3g}"


def _backtest_view(backtest: Backtest, panel: Panel, name: str, note: str) -> SeriesView:
    n, tested = backtest.holdout.names.index(name), backtest.holdout.windows
    windows = np.flatnonzero(tested.series == n)[-MAX_WINDOWS:]
    horizon, cutoff = backtest.holdout.horizon, tested.cutoff[windows]
    end = min(int(cutoff.max()) + horizon, int(panel.offsets[n + 1]))
    shown = _history(panel.season_length, int(np.ptp(cutoff)) + horizon)
    first = max(int(panel.offsets[n]), int(cutoff.min()) - shown)
    stamps = panel.timestamps[first:end]
    return SeriesView(
        name=name,
        note=note,
        times=_times(stamps, panel),
        stamps=tuple(map(str, format_timestamps(stamps, panel.freq, panel.zone))),
        observed=panel.target[first:end],
        starts=cutoff - first,
        prediction=backtest.prediction[windows],
        quantiles=backtest.quantiles,
        quantile_forecasts=backtest.quantile_forecasts[windows],
    )


def choose_series(chosen: Sequence[str], names: Sequence[str], limit: int = MAX_SERIES) -> tuple[str, ...]:
    """The `chosen` of the series `names`, or the first `limit`. UsageError for unknown ones and for too many."""
    for name in chosen:
        if name not in names:
            raise UsageError(f"--plot-series: there is no series '{name}'.", nearest(name, tuple(names[:1000])))
    if len(chosen) > MAX_SERIES:
        raise UsageError(f"--plot-series: {len(chosen)} series are too many to draw.", f"Choose {MAX_SERIES} at most.")
    return tuple(dict.fromkeys(chosen)) or tuple(names[:limit])


def _history(season_length: int, ahead: int) -> int:
    """Steps to show before the forecast: two seasons, and at least as many as are `ahead`."""
    return min(max(2 * season_length, ahead, 12), MAX_HISTORY)


def _times(stamps: IntArray, panel: Panel) -> Times:
    return stamps if panel.freq.whole_numbers else wall_clock(stamps, panel.zone).astype("M8[us]")
