"""Actuals outside an interval, and how unlikely they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import format_timestamps
from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.evaluation.backtest import Backtest
    from forecaster.typing import FloatArray, IntArray


@dataclass(frozen=True)
class Anomaly:
    """An actual outside the interval of its forecast."""

    series: str
    timestamp: str | int
    step: int  # ahead
    actual: float  # caller's units
    prediction: float
    low: float  # the interval's ends
    high: float
    nominal: float  # nominal coverage of the interval
    probability: float  # of an actual as far out or farther, by the ranks of all actuals


def outside(actual: FloatArray, point: FloatArray, low: FloatArray, high: FloatArray) -> tuple[IntArray, FloatArray]:
    """Positions of the actuals [E] outside [low, high], the least likely first, and the probability of each.

    An actual's distance from the point forecast is measured in distances of the interval's end on its side. Its probability is
    the share of actuals, itself included, that are at least as far out: (1 + others as far) / (E + 1). NaN: not observed.
    """
    known = ~np.isnan(actual + point + low + high)
    above = actual > point
    reach = np.where(above, high - point, point - low)
    distance = np.abs(actual - point)
    far = np.divide(distance, reach, out=np.where(distance > 0, np.inf, 0.0), where=reach > 0)
    ascending = np.sort(far[known])
    as_far = len(ascending) - np.searchsorted(ascending, far, side="left")
    out = np.flatnonzero(known & ((actual < low) | (actual > high)))
    probability = np.minimum(1.0, as_far[out] / (len(ascending) + 1) + 1 / (len(ascending) + 1))
    order = np.lexsort((out, -far[out]))
    return out[order], probability[order]


def anomalies_of(found: Backtest) -> list[Anomaly]:
    """The actuals outside the outermost quantiles, the least likely first; each window's forecast of a row counts.

    DataError where there are no quantiles.
    """
    if len(found.quantiles) < 2:
        raise DataError("the model forecasts no quantiles: nothing is outside of them.", "Train with two or more.")
    holdout = found.holdout
    panel, horizon = holdout.panel, holdout.horizon
    low, high = found.quantile_forecasts[:, :, 0], found.quantile_forecasts[:, :, -1]
    places, probability = outside(*(values.reshape(-1) for values in (found.target, found.prediction, low, high)))
    window, step = np.divmod(places, horizon)
    stamps = panel.timestamps[holdout.windows.cutoff[window] + step]
    texts = format_timestamps(stamps, panel.freq, panel.zone).tolist()
    return [
        Anomaly(
            series=str(panel.series[holdout.windows.series[w]]),
            timestamp=text,
            step=int(h) + 1,
            actual=float(found.target[w, h]),
            prediction=float(found.prediction[w, h]),
            low=float(low[w, h]),
            high=float(high[w, h]),
            nominal=round(found.quantiles[-1] - found.quantiles[0], 12),
            probability=float(share),
        )
        for w, h, text, share in zip(window, step, texts, probability, strict=True)
    ]
