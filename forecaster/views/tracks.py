"""What is drawn of one series: its newest history, the forecasts with their intervals, and what came, if it did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from forecaster.data.freq import format_timestamps
from forecaster.data.zones import wall_clock
from forecaster.errors import DataError, UsageError, nearest
from forecaster.forecast import MODEL

if TYPE_CHECKING:
    from forecaster.backtest import Backtest
    from forecaster.data.panel import Panel
    from forecaster.forecast import Forecast
    from forecaster.metrics import Scores
    from forecaster.typing import FloatArray, IntArray

Times: TypeAlias = "NDArray[np.datetime64] | NDArray[np.int64]"

FEW = 4  # series drawn where nobody names them
MOST = 50  # series that a page or a picture has room for
WINDOWS = 6  # newest forecasts of a series that are drawn one after another
LONGEST_HISTORY = 400  # steps


@dataclass(frozen=True)
class Track:
    """T steps of a series, and the W forecasts of H steps that begin among them. Units of the caller."""

    name: str
    note: str  # for people: why this series, how good; may be empty
    times: Times  # [T] wall clock, or whole-number steps
    stamps: tuple[str, ...]  # [T] as in files
    observed: FloatArray  # [T] NaN = not observed, or not yet
    starts: IntArray  # [W] position of each forecast's first step
    prediction: FloatArray  # [W, H]
    quantiles: tuple[float, ...]  # Q levels, ascending
    bands: FloatArray  # [W, H, Q]

    @property
    def judged(self) -> bool:
        """Whether anything that was forecast has been observed."""
        return bool((~np.isnan(self.observed[self.starts[0] :])).any())


@dataclass(frozen=True)
class Interval:
    """Two quantiles that hold a share of the outcomes between them."""

    low: int  # index among the quantiles
    high: int
    label: str

    def of(self, bands: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Its ends [...] in quantiles [..., Q]."""
        return bands[..., self.low], bands[..., self.high]

    @classmethod
    def between(cls, quantiles: Sequence[float]) -> tuple[Interval, ...]:
        """The widest first; a level in the middle bounds none."""
        pairs = [(i, len(quantiles) - 1 - i) for i in range(len(quantiles) // 2)]
        return tuple(cls(i, j, _label(quantiles[i], quantiles[j])) for i, j in pairs)


def _label(low: float, high: float) -> str:
    if math.isclose(low, 1 - high):
        return f"{100 * (high - low):.4g} % interval"
    return f"quantiles {low:g} to {high:g}"


def tracks_ahead(forecast: Forecast, chosen: Sequence[str]) -> tuple[Track, ...]:
    """A forecast that knows the rows it was made from, after these; the series `chosen`, or the first few."""
    if not forecast.about or forecast.about.panel is None:
        raise ValueError("a forecast to draw keeps its panel")
    panel = forecast.about.panel
    names = [str(name) for name in forecast.series]
    rows = {str(name): n for n, name in enumerate(panel.series)}
    return tuple(_ahead(forecast, panel, names.index(name), rows[name]) for name in choose(chosen, names, FEW))


def _ahead(forecast: Forecast, panel: Panel, n: int, row: int) -> Track:
    end = int(panel.offsets[row + 1])
    first = max(int(panel.offsets[row]), end - _history(panel.season_length, 3 * forecast.prediction.shape[1]))
    stamps = np.concatenate([panel.timestamps[first:end], forecast.timestamps[n]])
    one = slice(n, n + 1)
    return Track(
        name=str(forecast.series[n]),
        note="" if forecast.source[n] == MODEL else f"forecast by {forecast.source[n]}",
        times=_times(stamps, panel),
        stamps=tuple(map(str, format_timestamps(stamps, panel.freq, panel.zone))),
        observed=np.concatenate([panel.target[first:end], np.full(forecast.prediction.shape[1], np.nan)]),
        starts=np.array([end - first]),
        prediction=forecast.prediction[one],
        quantiles=forecast.quantiles,
        bands=forecast.bands[one],
    )


def tracks_judged(
    judged: Backtest, panel: Panel, scores: Mapping[str, Scores], chosen: Sequence[str]
) -> tuple[Track, ...]:
    """A backtest's newest windows against what came; the series `chosen`, or the worst, the median and the best.

    `scores` are those of each judged series. DataError for a series that has no window.
    """
    unjudged = [name for name in chosen if name in judged.holdout.names and name not in scores]
    if unjudged:
        raise DataError(f"series '{unjudged[0]}' has no judged window: nothing to draw.", "Choose another series.")
    notes = {name: _scored(scores[name]) for name in chosen} if chosen else worst_median_best(scores)
    return tuple(_judged(judged, panel, name, notes[name]) for name in choose(chosen, list(notes)))


def worst_median_best(scores: Mapping[str, Scores]) -> dict[str, str]:
    """Series -> what it stands for, by MASE; the first few where none has one."""
    ranked = sorted((s for s in scores if not math.isnan(scores[s].mase)), key=lambda s: -scores[s].mase)
    if len(ranked) < len(("worst", "median", "best")):
        return {name: _scored(scores[name]) for name in (ranked or list(scores)[:FEW])}
    places = {"worst": ranked[0], "median": ranked[len(ranked) // 2], "best": ranked[-1]}
    of = f"of {len(ranked):,} series"
    return {name: f"{place} {of}, {_scored(scores[name])}" for place, name in places.items()}


def _scored(scores: Scores) -> str:
    return "MASE undefined" if math.isnan(scores.mase) else f"MASE {scores.mase:.3g}"


def _judged(judged: Backtest, panel: Panel, name: str, note: str) -> Track:
    n, tested = judged.holdout.names.index(name), judged.holdout.windows
    windows = np.flatnonzero(tested.series == n)[-WINDOWS:]
    horizon, cutoff = judged.holdout.horizon, tested.cutoff[windows]
    end = min(int(cutoff.max()) + horizon, int(panel.offsets[n + 1]))
    shown = _history(panel.season_length, int(np.ptp(cutoff)) + horizon)
    first = max(int(panel.offsets[n]), int(cutoff.min()) - shown)
    stamps = panel.timestamps[first:end]
    return Track(
        name=name,
        note=note,
        times=_times(stamps, panel),
        stamps=tuple(map(str, format_timestamps(stamps, panel.freq, panel.zone))),
        observed=panel.target[first:end],
        starts=cutoff - first,
        prediction=judged.prediction[windows],
        quantiles=judged.quantiles,
        bands=judged.bands[windows],
    )


def choose(chosen: Sequence[str], names: Sequence[str], most: int = MOST) -> tuple[str, ...]:
    """The `chosen` of the series `names`, or the first `most`. UsageError for unknown ones and for too many."""
    for name in chosen:
        if name not in names:
            raise UsageError(f"--plot-series: there is no series '{name}'.", nearest(name, tuple(names[:1000])))
    if len(chosen) > MOST:
        raise UsageError(f"--plot-series: {len(chosen)} series are too many to look at.", f"Choose {MOST} at most.")
    return tuple(dict.fromkeys(chosen)) or tuple(names[:most])


def _history(season_length: int, ahead: int) -> int:
    """Steps to show before what is forecast: two seasons, and no less than is `ahead`."""
    return min(max(2 * season_length, ahead, 12), LONGEST_HISTORY)


def _times(stamps: IntArray, panel: Panel) -> Times:
    return stamps if panel.freq.whole_numbers else wall_clock(stamps, panel.zone).astype("M8[us]")
