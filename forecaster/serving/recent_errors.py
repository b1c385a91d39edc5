"""Extends the calibration with the errors in windows later than the training.

`train` learns quantiles from the test windows. Where the data of `predict` goes on after the training data, the serving
weights have not seen whole windows of the later rows either. These windows are forecast, and their errors extend the
calibration. Nothing is stored: the same data gives the same quantiles.

Source: Barber, Candès, Ramdas & Tibshirani 2023, "Conformal prediction beyond exchangeability". Older windows have less weight;
here in the size of errors only, which benchmarks/adapting.py found better than in their tails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import evenly, rolling, rows_after
from forecaster.models.isolated_outliers import without_isolated_outliers
from forecaster.serving.conformal import ErrorPool, separate
from forecaster.serving.raw_forecasts import raw_forecasts, with_actuals, with_context

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.serving.conformal import Calibration
    from forecaster.serving.manifest import Manifest
    from forecaster.serving.raw_forecasts import RawForecasts
    from forecaster.serving.runtime import Runtime

MAX_WINDOWS = 2000  # that are forecast for this


@dataclass(frozen=True)
class RecentWindows:
    """Windows later than all data that a model has learnt from, with the model's errors."""

    panel: Panel
    windows: Windows  # W
    pool: ErrorPool  # of these windows

    def before(self, timestamp: int) -> RecentWindows:
        """The windows whose last row is before a timestamp; there may be none."""
        horizon = self.pool.target.shape[1]
        chosen = np.flatnonzero(self.panel.timestamps[self.windows.cutoff + horizon - 1] < timestamp)
        windows = self.windows.take(chosen)
        return RecentWindows(self.panel, windows, self.pool.take(chosen, _separate(windows, horizon)))

    def extend(self, calibration: Calibration) -> Calibration:
        """The calibration, extended by these windows."""
        if not len(self.windows):
            return calibration
        return calibration.extended(self.pool, tuple(map(str, self.panel.series)))


@dataclass(frozen=True)
class NamedPool:
    """The errors in the recent windows of a panel, without the panel."""

    pool: ErrorPool  # its `series` count in `names`
    names: tuple[str, ...]

    @classmethod
    def of(cls, recent: RecentWindows) -> NamedPool:
        """Those of these windows."""
        series, index = np.unique(recent.pool.series, return_inverse=True)
        pool = replace(recent.pool, series=index.reshape(-1).astype(np.int64))
        return cls(pool, tuple(str(recent.panel.series[n]) for n in series))


def extended_by(calibration: Calibration, pools: Sequence[NamedPool]) -> Calibration:
    """The calibration, extended by the recent windows of several panels, each with series of its own."""
    if not pools:
        return calibration
    before = np.cumsum([0, *(len(one.names) for one in pools)])
    shifted = [replace(one.pool, series=one.pool.series + n) for one, n in zip(pools, before, strict=False)]
    whole = {
        name: np.concatenate([getattr(pool, name) for pool in shifted])
        for name in ("forecast", "target", "seasonal_scale", "series", "age")
    }
    pool = ErrorPool(separate=sum(one.separate for one in shifted), shape=shifted[0].shape, **whole)
    return calibration.extended(pool, [name for one in pools for name in one.names])


def recent_windows(
    panel: Panel, manifest: Manifest, runtime: Runtime, limit: int | None = None
) -> RecentWindows | None:
    """Forecasts of the windows after the model's training data: the densest, then the latest, `limit` at most.

    `limit`: None = MAX_WINDOWS.
    None where no whole window is later than all data that the model has learnt from.
    """
    horizon, ends, limit = manifest.horizon, panel.offsets[1:], limit or MAX_WINDOWS
    new = rows_after(panel, manifest.seen_until)
    rich = np.flatnonzero(new >= horizon)
    if not len(rich):
        return None
    stride = densest(horizon, int((new[rich] - horizon).sum()), limit - len(rich))
    count = min((int(new.max()) - horizon) // stride + 1, max(limit // len(rich), 1))
    windows = rolling(panel, ends, horizon, count, stride, rich)
    windows = windows.take(np.flatnonzero(windows.cutoff >= (ends - new)[windows.series]))
    windows = windows.take(evenly(len(windows), limit))
    windows = with_actuals(with_context(windows, manifest.reach), horizon)
    raw = raw_forecasts(runtime, manifest, panel, windows, horizon)
    return RecentWindows(panel, windows, pooled(raw)) if len(windows) else None


def densest(horizon: int, rows: int, max_windows: int) -> int:
    """Stride between windows: the smallest divisor of the horizon that gives at most `max_windows` over `rows` rows."""
    return next((s for s in range(1, horizon) if horizon % s == 0 and rows // s <= max_windows), horizon)


def pooled(raw: RawForecasts) -> ErrorPool:
    """A pool of forecasts of past windows, with their actuals from the panel, without isolated outliers."""
    windows, horizon, season = raw.windows, raw.values.shape[1], raw.panel.season_length
    rows = without_isolated_outliers(windows.gather(raw.reach, horizon), season)
    return ErrorPool(
        forecast=raw.values,
        target=rows[:, raw.reach :],
        seasonal_scale=raw.scale(season),
        series=windows.series,
        separate=_separate(windows, horizon),
        age=windows.remaining / horizon - 1.0,
        shape=raw.shape,
    )


def _separate(windows: Windows, horizon: int) -> int:
    """How many windows do not overlap, counted back from the ends of their series."""
    return separate(windows.series, windows.remaining, horizon)
