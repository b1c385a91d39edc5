"""Quantiles of a simple method that serves alone without test windows, from its own errors: it was fitted to none of the rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.seasonal_scale import context_scale
from forecaster.data.windows import evenly, rolling
from forecaster.models.isolated_outliers import without_isolated_outliers
from forecaster.serving.conformal import GRID, Calibration, ErrorPool, calibrate, separate
from forecaster.serving.quantile_columns import QuantileColumns
from forecaster.serving.raw_forecasts import with_actuals, with_context
from forecaster.training.memory_forecasts import smoothed

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.models.exponential_smoothing import Smoothing

MAX_WINDOWS = 1000


def simple_calibration(panel: Panel, smoothing: Smoothing, steps: int) -> Calibration | None:
    """The calibration of a simple method's forecasts; None where no window of the history shows an error.

    Errors are measured up to `steps` ahead, which the rows allow. Beyond them widths grow with the square root of the step.
    """
    known = min(steps, smoothing.horizon)
    stride = max(1, known // 4)
    count = max(1, (int(panel.lengths.max()) - known) // stride)
    windows = rolling(panel, panel.offsets[1:], known, count, stride)
    windows = with_actuals(with_context(windows, smoothing.length), known)
    windows = windows.take(evenly(len(windows), MAX_WINDOWS))
    if not len(windows):
        return None
    rows = without_isolated_outliers(windows.gather(smoothing.length, known), panel.season_length)
    pool = ErrorPool(
        forecast=smoothed(panel, windows, replace(smoothing, horizon=known))[:, :, None],
        target=rows[:, smoothing.length :],
        seasonal_scale=context_scale(rows[:, : smoothing.length], panel.season_length),
        series=windows.series,
        separate=separate(windows.series, windows.remaining, known),
        age=windows.remaining / known - 1.0,
        shape=QuantileColumns(),
    )
    found = calibrate(pool, tuple(map(str, panel.series)))
    if found is None:
        return None
    more = smoothing.horizon - known
    return replace(
        found,
        offsets=found.ahead(GRID, smoothing.horizon).T,
        errors=np.pad(found.errors, ((0, 0), (0, more)), constant_values=np.nan),
    )
