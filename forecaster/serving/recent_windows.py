"""Past windows with their actuals; and quantiles that keep up with the rows that came since the training.

At the training, quantiles are learnt from the test windows. Where the data that is forecast from reaches beyond that
training, whole windows of later rows are as unseen: the weights that serve forecast them, and the quantiles are learnt from
those errors, too. Nothing is stored: the same data gives the same quantiles.

Source: Barber, Candès, Ramdas & Tibshirani 2023, "Conformal prediction beyond exchangeability" (older windows count less; here
for the size of errors alone, as benchmarks/adapting.py found better than for their tails).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.seasonal_scale import context_scale
from forecaster.data.windows import evenly, rolling, rows_after
from forecaster.serving.conformal import Pool, separate
from forecaster.serving.raw_forecasts import raw_forecasts, with_actuals, with_context

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.serving.conformal import Calibration
    from forecaster.serving.manifest import Manifest
    from forecaster.serving.raw_forecasts import RawForecasts
    from forecaster.serving.runtime import Runtime

MAX_WINDOWS = 2000  # that are forecast to learn from


@dataclass(frozen=True)
class RecentWindows:
    """Windows later than all that a model has learnt from, and the errors that it made there."""

    panel: Panel
    windows: Windows  # W
    pool: Pool  # of these windows

    def before(self, timestamp: int) -> RecentWindows:
        """The windows whose last row is older than a timestamp; there may be none."""
        horizon = self.pool.target.shape[1]
        chosen = np.flatnonzero(self.panel.timestamps[self.windows.cutoff + horizon - 1] < timestamp)
        windows = self.windows.take(chosen)
        return RecentWindows(self.panel, windows, self.pool.take(chosen, _separate(windows, horizon)))

    def extend(self, calibration: Calibration) -> Calibration:
        """The calibration, learnt from these windows, too."""
        if not len(self.windows):
            return calibration
        return calibration.extended(self.pool, tuple(map(str, self.panel.series)))


def recent_windows(panel: Panel, manifest: Manifest, runtime: Runtime) -> RecentWindows | None:
    """What the graph forecasts for later windows: as dense as MAX_WINDOWS allows, the latest ones where they are more.

    None where no whole window is later than all that the model has learnt from.
    """
    horizon, ends = manifest.horizon, panel.offsets[1:]
    new = rows_after(panel, manifest.seen_until)
    rich = np.flatnonzero(new >= horizon)
    if not len(rich):
        return None
    stride = densest(horizon, int((new[rich] - horizon).sum()), MAX_WINDOWS - len(rich))
    count = min((int(new.max()) - horizon) // stride + 1, max(MAX_WINDOWS // len(rich), 1))
    windows = rolling(panel, ends, horizon, count, stride, rich)
    windows = windows.take(np.flatnonzero(windows.cutoff >= (ends - new)[windows.series]))
    windows = windows.take(evenly(len(windows), MAX_WINDOWS))
    windows = with_actuals(with_context(windows, manifest.context_length), horizon)
    raw = raw_forecasts(runtime, manifest, panel, windows, horizon)
    return RecentWindows(panel, windows, pooled(raw)) if len(windows) else None


def densest(horizon: int, rows: int, most: int) -> int:
    """The smallest divisor of the horizon at which windows over so many rows are at most `most`; else the horizon."""
    return next((s for s in range(1, horizon) if horizon % s == 0 and rows // s <= most), horizon)


def pooled(raw: RawForecasts) -> Pool:
    """Forecasts of past windows with their actuals."""
    windows, horizon = raw.windows, raw.values.shape[1]
    return Pool(
        forecast=raw.values,
        target=windows.gather(0, horizon),
        seasonal_scale=context_scale(raw.context, raw.panel.season_length),
        series=windows.series,
        separate=_separate(windows, horizon),
        age=windows.remaining / horizon - 1.0,
    )


def _separate(windows: Windows, horizon: int) -> int:
    """Windows that do not overlap, counted from their series' ends back."""
    return separate(windows.series, windows.remaining, horizon)
