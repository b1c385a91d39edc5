"""Which windows a model is calibrated on, and how coverage is measured on windows that were not used for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.adapt import MOST_WINDOWS, answered, densest
from forecaster.backtest import Backtest
from forecaster.baselines import seasonal_naive
from forecaster.calibration import Calibration, Pool, calibrate, yardstick
from forecaster.data.windows import Windows, evenly, rolling

if TYPE_CHECKING:
    from forecaster.adapt import Since
    from forecaster.data.panel import Panel
    from forecaster.models.artifact import Manifest
    from forecaster.models.runtime import Runtime
    from forecaster.typing import FloatArray, IntArray

# Windows, their raw forecasts [W, H, 1 + Q] and contexts [W, L] -> calibrated quantiles [W, H, Q]
Correct: TypeAlias = "Callable[[Windows, FloatArray, FloatArray], FloatArray]"

FOLDS = 5  # of series, where there are enough of them
FEW_WINDOWS = 10  # separate ones, below which history helps out
PRIOR_WINDOWS = 2  # older ones, that PRIOR_RATIO counts as much as
PRIOR_RATIO = 0.8  # of a model's error to seasonal naive's, where nothing is known: near the median of many sets
MOST_ADAPTATIONS = 100  # of a calibration to newer windows, in one backtest
FEW_SERIES = 30  # with fewer, each judged window is calibrated on those that do not overlap it


@dataclass(frozen=True)
class HeldBack:
    """A pool, and the windows that it is of."""

    pool: Pool
    windows: Windows
    panel: Panel
    levels: tuple[float, ...]
    older: HeldBack | None = None  # windows before them, which the weights have seen, where these are few

    @property
    def names(self) -> tuple[str, ...]:
        """[N] of the series."""
        return tuple(map(str, self.panel.series))

    def learn(self) -> Calibration | None:
        """From all windows."""
        return calibrate(self.pooled(np.arange(len(self.windows))), self.names) if len(self.windows) else None

    def pooled(self, chosen: IntArray) -> Pool:
        """What may be learnt from where only the windows at these positions may be seen: they, and what history adds."""
        share = len(chosen) / max(len(self.windows), 1)
        seen = self.pool.take(chosen, max(round(self.pool.separate * share), 1) if len(chosen) else 0)
        if self.older is None:
            return seen
        return _joined(seen, _history(self.older, replace(self, pool=seen, windows=self.windows.take(chosen))))

    def crossed(self, windows: Windows, raw: FloatArray, context: FloatArray) -> FloatArray:
        """[W, H, Q] quantiles of some windows, each corrected by what was learnt from others; NaN where none are left.

        Many series: from the windows of the series in the other folds. Few: from all windows of which no target is
        among its own.
        """
        found = np.full((*raw.shape[:2], len(self.levels)), np.nan)
        for mine, others in self._folds(windows):
            learnt = calibrate(self.pooled(others), self.names)
            if learnt:
                correct = stored_correction(learnt, self.panel, self.levels)
                found[mine] = correct(windows.take(mine), raw[mine], context[mine])
        return found

    def _folds(self, windows: Windows) -> list[tuple[IntArray, IntArray]]:
        """Positions of windows that are corrected alike, and positions in the pool of those that they learn from."""
        own, pool = windows, self.windows
        if len(np.unique(pool.series)) >= FEW_SERIES:
            parts = [(own.series % FOLDS == fold, pool.series % FOLDS != fold) for fold in range(FOLDS)]
        else:
            # Series end where they end: windows are compared by how far before their series' end they lie.
            back, own_back = (w.remaining for w in (pool, own))
            parts = [(own_back == b, np.abs(back - b) >= self.pool.target.shape[1]) for b in np.unique(own_back)]
        pairs = [(np.flatnonzero(mine), np.flatnonzero(others)) for mine, others in parts]
        return [(mine, others) for mine, others in pairs if len(mine) and (len(others) or self.older)]

    def said(self) -> str:
        """How `crossed` measures, for people."""
        if len(np.unique(self.windows.series)) >= FEW_SERIES:
            return f"each fifth of the series calibrated on the others' {len(self.windows)} windows"
        return "each window calibrated on those that share no target with it"


def held_back_errors(panel: Panel, manifest: Manifest, runtime: Runtime) -> HeldBack:
    """What weights that were fitted before the held-back rows forecast in them: windows as dense as MOST_WINDOWS allows.

    Where those are few, what came before them helps out: see `_history`.
    """
    horizon, count = manifest.horizon, manifest.held_back
    stride = densest(horizon, len(panel.series) * horizon * (count - 1), MOST_WINDOWS - len(panel.series))
    held = _errors(panel, manifest, runtime, panel.offsets[1:], (horizon * (count - 1) // stride + 1, stride))
    if held.pool.separate >= FEW_WINDOWS or not len(held.windows):
        return held
    before = np.maximum(panel.offsets[1:] - horizon * count, panel.offsets[:-1])
    wanted = -(-(FEW_WINDOWS - held.pool.separate) // len(panel.series))
    old = _errors(panel, manifest, runtime, before, (horizon * (wanted - 1) // stride + 1, stride))
    return replace(held, older=old) if len(old.windows) else held


def _errors(panel: Panel, manifest: Manifest, runtime: Runtime, ends: IntArray, grid: tuple[int, int]) -> HeldBack:
    """Forecasts of (count, stride) windows of each series before `ends` [N]."""
    windows, pool = answered(panel, manifest, runtime, rolling(panel, ends, manifest.horizon, *grid))
    return HeldBack(pool, windows, panel, manifest.quantiles)


def _history(old: HeldBack, held: HeldBack) -> Pool:
    """Windows that the weights have seen, with errors of the size that they had where they had not: on `held`'s.

    The weights' own errors there would be too small. Seasonal naive has no weights, so its errors there are honest: they
    are taken, both ways up, times the ratio of the model's error to naive's on the held-back windows, which is drawn
    towards PRIOR_RATIO since few windows tell it.
    """
    ratio = _ratio(old, held)
    pool = old.pool
    miss = ratio * (pool.target - _naive(old))
    point = pool.forecast[:, :, 0]
    twice = pool.take(np.tile(np.arange(len(pool.target)), 2), pool.separate)
    return replace(twice, target=np.concatenate([point + miss, point - miss]))


def _ratio(old: HeldBack, held: HeldBack) -> float:
    """The model's error over naive's on the held-back windows, drawn towards PRIOR_RATIO as by PRIOR_WINDOWS older ones."""
    if not len(held.windows):
        return PRIOR_RATIO
    naive = np.nanmean(np.abs(held.pool.target - _naive(held)))
    prior = PRIOR_WINDOWS * np.nanmean(np.abs(old.pool.target - _naive(old)))
    model = np.nanmean(np.abs(held.pool.target - held.pool.forecast[:, :, 0]))
    count = held.pool.separate
    total = count * naive + prior
    return float((count * model + PRIOR_RATIO * prior) / total) if total > 0 else PRIOR_RATIO


def _naive(held: HeldBack) -> FloatArray:
    """[W, H]"""
    season, horizon = held.panel.season_length, held.pool.target.shape[1]
    return seasonal_naive(held.windows.gather(4 * season, 0), horizon, season)


def _joined(a: Pool, b: Pool) -> Pool:
    return Pool(
        forecast=np.concatenate([a.forecast, b.forecast]),
        target=np.concatenate([a.target, b.target]),
        yardstick=np.concatenate([a.yardstick, b.yardstick]),
        series=np.concatenate([a.series, b.series]),
        separate=a.separate + b.separate,
        age=np.concatenate([a.age, b.age]),
    )


def stored_correction(calibration: Calibration, panel: Panel, levels: tuple[float, ...]) -> Correct:
    """What a stored calibration makes of windows of this panel."""
    names = tuple(map(str, panel.series))

    def correct(windows: Windows, raw: FloatArray, context: FloatArray) -> FloatArray:
        own = [names[n] for n in windows.series]
        return calibration.bands(raw, yardstick(context, panel.season_length), own, levels)

    return correct


def adapted_correction(calibration: Calibration, newer: Since, levels: tuple[float, ...]) -> Correct:
    """The same, each window's quantiles learnt from the newer windows, too, whose targets all came before its cutoff."""

    def correct(windows: Windows, raw: FloatArray, context: FloatArray) -> FloatArray:
        first = newer.panel.timestamps[windows.cutoff]
        stamps = np.unique(first)
        stamps = stamps[evenly(len(stamps), MOST_ADAPTATIONS)]
        found = np.full((*raw.shape[:2], len(levels)), np.nan)
        newest = np.searchsorted(stamps, first, side="right") - 1
        for i, stamp in enumerate(stamps.tolist()):
            mine = np.flatnonzero(newest == i)
            bands = stored_correction(newer.extend(calibration, stamp), newer.panel, levels)
            found[mine] = bands(windows.take(mine), raw[mine], context[mine])
        return found

    return correct


def corrected(judged: Backtest, manifest: Manifest, correct: Correct, said: str) -> Backtest:
    """A backtest with its quantiles calibrated; windows that nothing could be learnt for keep their own."""
    if not judged.quantiles:
        return judged
    windows = judged.holdout.windows
    raw = np.concatenate([judged.prediction[:, :, None], judged.bands], axis=2)
    found = correct(windows, raw, windows.gather(manifest.context_length, 0))
    bands = np.where(np.isnan(found), judged.bands, manifest.limits.hold(found))
    return replace(judged, bands=bands, raw=judged.bands, calibrated=said)
