"""Forecasts of past windows beside what came; and quantiles that keep up with the rows that came since the training.

At the training, quantiles are learnt from windows that were held back. Where the data that is forecast from reaches beyond
that training, whole windows of newer rows are as unseen, and newer: the weights that serve forecast them, and their errors
are learnt from beside the stored ones. Nothing is stored: the same data gives the same quantiles.

Source: Barber, Candès, Ramdas & Tibshirani 2023, "Conformal prediction beyond exchangeability" (older windows count less; here
for the size of errors alone, as benchmarks/adapting.py found better than for their tails).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.calibration import Pool, separate, yardstick
from forecaster.data.inputs import ExtraInputs
from forecaster.data.windows import evenly, rolling, rows_after
from forecaster.models.runtime import forecast

if TYPE_CHECKING:
    from forecaster.calibration import Calibration
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.artifact import Manifest
    from forecaster.models.runtime import Runtime

MOST_WINDOWS = 2000  # that are forecast to learn from


@dataclass(frozen=True)
class Since:
    """Windows newer than all that a model has learnt from, and what it got wrong there."""

    panel: Panel
    windows: Windows
    pool: Pool

    def extend(self, calibration: Calibration, before: int | None = None) -> Calibration:
        """The calibration with what is known here before a timestamp: windows whose last target is older."""
        if before is None:
            return calibration.extended(self.pool, self._names)
        horizon = self.pool.target.shape[1]
        chosen = np.flatnonzero(self.panel.timestamps[self.windows.cutoff + horizon - 1] < before)
        if not len(chosen):
            return calibration
        own = self.windows.take(chosen)
        return calibration.extended(self.pool.take(chosen, _separate(own, horizon)), self._names)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(map(str, self.panel.series))


def since(panel: Panel, manifest: Manifest, runtime: Runtime) -> Since | None:
    """What the graph forecasts for newer windows: as dense as MOST_WINDOWS allows, the newest ones where they are more.

    None where no whole window is newer than all that the model has learnt from.
    """
    horizon, ends = manifest.horizon, panel.offsets[1:]
    new = rows_after(panel, manifest.seen_until)
    rich = np.flatnonzero(new >= horizon)
    if not len(rich):
        return None
    stride = densest(horizon, int((new[rich] - horizon).sum()), MOST_WINDOWS - len(rich))
    count = min((int(new.max()) - horizon) // stride + 1, max(MOST_WINDOWS // len(rich), 1))
    windows = rolling(panel, ends, horizon, count, stride, rich)
    windows = windows.take(np.flatnonzero(windows.cutoff >= (ends - new)[windows.series]))
    windows, pool = answered(panel, manifest, runtime, windows.take(evenly(len(windows), MOST_WINDOWS)))
    return Since(panel, windows, pool) if len(windows) else None


def densest(horizon: int, rows: int, most: int) -> int:
    """The smallest divisor of the horizon at which windows over so many rows are at most `most`; else the horizon."""
    return next((s for s in range(1, horizon) if horizon % s == 0 and rows // s <= most), horizon)


def answered(panel: Panel, manifest: Manifest, runtime: Runtime, windows: Windows) -> tuple[Windows, Pool]:
    """Forecasts of past windows, caller's units, beside what came; windows with nothing to see or to compare are left out."""
    horizon = manifest.horizon
    context, target = windows.gather(manifest.context_length, 0), windows.gather(0, horizon)
    usable = np.flatnonzero(~np.isnan(context).all(axis=1) & ~np.isnan(target).all(axis=1))
    windows, context, target = windows.take(usable), context[usable], target[usable]
    raw = forecast(runtime, context, horizon, ExtraInputs(panel, windows, manifest.needs))
    raw = raw.reshape(len(windows), horizon, 1 + len(manifest.quantiles))
    pool = Pool(
        forecast=raw,
        target=target,
        yardstick=yardstick(context, panel.season_length),
        series=windows.series,
        separate=_separate(windows, horizon),
        age=windows.remaining / horizon - 1.0,
    )
    return windows, pool


def _separate(windows: Windows, horizon: int) -> int:
    """Windows that do not overlap, counted from their series' ends back."""
    return separate(windows.series, windows.remaining, horizon)
