"""Calibrates a model on its test windows, and tests the calibrated quantiles on windows left out of the calibration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import evenly, rolling
from forecaster.evaluation.backtest import Backtest, backtest
from forecaster.evaluation.quantile_metrics import coverage
from forecaster.models.baselines import seasonal_naive
from forecaster.serving.conformal import Calibration, ErrorPool, calibrate
from forecaster.serving.raw_forecasts import raw_forecasts, with_actuals, with_context
from forecaster.serving.recent_errors import MAX_WINDOWS, densest, pooled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from forecaster.data.panel import Panel
    from forecaster.data.target_limits import Limits
    from forecaster.data.windows import Windows
    from forecaster.evaluation.holdout import Holdout
    from forecaster.serving.manifest import Manifest
    from forecaster.serving.raw_forecasts import RawForecasts
    from forecaster.serving.recent_errors import RecentWindows
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray, IntArray

FOLDS = 5  # of series, where there are at least MIN_SERIES
MIN_WINDOWS = 10  # separate ones; with fewer, older windows are used, too
MIN_UNSEEN_WINDOWS = 30  # the same where nothing is fitted: older windows are as good
PRIOR_WINDOWS = 2  # weight of PRIOR_RATIO, in older windows
PRIOR_RATIO = 0.8  # prior of a model's error over seasonal naive's, near the median of many sets
MAX_ADAPTATIONS = 100  # to recent windows, in one backtest
MAX_COVERAGE_GAP = 0.03  # of raw quantiles that need no correction
MIN_GAIN = 0.05  # share by which one at one cutoff must lower the loss all the same; of n cutoffs this over √n
MAX_LACK = 0.2  # of the share of actuals that raw quantiles cover, for a lower loss to speak for them
MAX_COST = 0.1  # share by which a correction may raise the loss that ends such a lack
MIN_SERIES = 30  # with fewer, each test window is calibrated on those that do not overlap it


@dataclass(frozen=True)
class HoldoutErrors:
    """The errors of W windows in the rows that the weights were not fitted on."""

    panel: Panel
    windows: Windows  # W
    pool: ErrorPool  # of these windows
    older: HoldoutErrors | None = None  # of earlier windows; None = not needed
    fitted: bool = True  # whether the weights have seen the earlier windows

    @property
    def names(self) -> tuple[str, ...]:
        """[N] names of the series."""
        return tuple(map(str, self.panel.series))

    def learn(self) -> Calibration | None:
        """The calibration from all windows; None where there are none or they never vary."""
        return calibrate(self.pooled(np.arange(len(self.windows))), self.names) if len(self.windows) else None

    def pooled(self, chosen: IntArray) -> ErrorPool:
        """The pool of the windows at these positions and, where the test windows are few, of older ones."""
        share = len(chosen) / max(len(self.windows), 1)
        seen = self.pool.take(chosen, max(round(self.pool.separate * share), 1) if len(chosen) else 0)
        if self.older is None:
            return seen
        if not self.fitted:
            return _joined(seen, self.older.pool)
        return _joined(seen, _history(self.older, replace(self, pool=seen, windows=self.windows.take(chosen))))

    def crossed(self, raw: RawForecasts, levels: tuple[float, ...]) -> FloatArray:
        """[W, H, Q] quantiles of some windows, each calibrated on other windows; NaN where there are no others.

        With many series, the others are the windows of the series in the other folds. With few, they are all windows
        that share no target with it.
        """
        found = np.full((*raw.values.shape[:2], len(levels)), np.nan)
        for mine, others in self._folds(raw.windows):
            learnt = calibrate(self.pooled(others), self.names)
            if learnt:
                found[mine] = calibrated_quantiles(learnt, raw.take(mine), levels)
        return found

    def _folds(self, windows: Windows) -> list[tuple[IntArray, IntArray]]:
        """Pairs of positions: windows with the same calibration, and the windows of the pool that it is learnt from."""
        own, pool = windows, self.windows
        if len(np.unique(pool.series)) >= MIN_SERIES:
            parts = [(own.series % FOLDS == fold, pool.series % FOLDS != fold) for fold in range(FOLDS)]
        else:
            # Series may end at different times: windows are compared by their distance from the end of their series.
            back, own_back = (w.remaining for w in (pool, own))
            parts = [(own_back == b, np.abs(back - b) >= self.pool.target.shape[1]) for b in np.unique(own_back)]
        pairs = [(np.flatnonzero(mine), np.flatnonzero(others)) for mine, others in parts]
        return [(mine, others) for mine, others in pairs if len(mine) and (len(others) or self.older)]

    @property
    def description(self) -> str:
        """How `crossed` calibrates, for people."""
        if len(np.unique(self.windows.series)) >= MIN_SERIES:
            return f"each fifth of the series calibrated on the others' {len(self.windows)} windows"
        return "each window calibrated on those that share no target with it"


def dense_forecasts(panel: Panel, manifest: Manifest, runtime: Runtime) -> RawForecasts:
    """Forecasts of windows in the test rows, as dense as MAX_WINDOWS allows; the test windows are among them."""
    horizon, stride = manifest.horizon, _stride(panel, manifest)
    windows = rolling(panel, panel.offsets[1:], horizon, horizon * (manifest.test_windows - 1) // stride + 1, stride)
    return raw_forecasts(runtime, manifest, panel, with_context(windows, manifest.reach), horizon)


def _stride(panel: Panel, manifest: Manifest) -> int:
    """Rows between two of the dense windows, a divisor of the horizon."""
    rows = len(panel.series) * manifest.horizon * (manifest.test_windows - 1)
    return densest(manifest.horizon, rows, MAX_WINDOWS - len(panel.series))


def holdout_errors(dense: RawForecasts, manifest: Manifest, runtime: Runtime) -> HoldoutErrors:
    """The errors of the `dense` forecasts and, where these are few, of earlier windows: see `_history`."""
    panel, horizon = dense.panel, manifest.horizon
    found = _errors(dense)
    least = MIN_WINDOWS if manifest.is_fitted else MIN_UNSEEN_WINDOWS
    if found.pool.separate >= least or not len(found.windows):
        return found
    before = np.maximum(panel.offsets[1:] - horizon * manifest.test_windows, panel.offsets[:-1])
    wanted = -(-(least - found.pool.separate) // len(panel.series))
    stride = _stride(panel, manifest)
    windows = rolling(panel, before, horizon, horizon * (wanted - 1) // stride + 1, stride)
    windows = with_actuals(with_context(windows, manifest.reach), horizon)
    if not manifest.is_fitted:  # its errors are those of use, but where it has seen no season
        rows = windows.cutoff - windows.start[windows.series]
        windows = windows.take(np.flatnonzero(rows >= 2 * panel.season_length))
    if not len(windows):
        return found
    older = _errors(raw_forecasts(runtime, manifest, panel, windows, horizon))
    return replace(found, older=older, fitted=manifest.is_fitted) if len(older.windows) else found


def _errors(raw: RawForecasts) -> HoldoutErrors:
    """The errors of the windows with actuals."""
    raw = raw.take(np.flatnonzero(raw.windows.observed_counts(0, raw.values.shape[1])))
    return HoldoutErrors(raw.panel, raw.windows, pooled(raw))


def _history(old: HoldoutErrors, new: HoldoutErrors) -> ErrorPool:
    """A pool of windows that the weights have seen, with errors as large as on the unseen windows of `new`.

    The model's own errors on seen windows are too small. Seasonal naive is not fitted, so its errors are unbiased: they
    are used with both signs, times the ratio of the model's error to naive's on the windows of `new`. The ratio is shrunk
    towards PRIOR_RATIO, as few windows measure it badly.
    """
    ratio = _ratio(old, new)
    pool = old.pool
    miss = ratio * (pool.target - _naive(old))
    point = pool.shape.centre(pool.forecast)
    twice = pool.take(np.tile(np.arange(len(pool.target)), 2), pool.separate)
    return replace(twice, target=np.concatenate([point + miss, point - miss]))


def _ratio(old: HoldoutErrors, new: HoldoutErrors) -> float:
    """The model's error over naive's on the windows of `new`, shrunk towards PRIOR_RATIO by PRIOR_WINDOWS older ones."""
    if not len(new.windows):
        return PRIOR_RATIO
    naive = np.nanmean(np.abs(new.pool.target - _naive(new)))
    prior = PRIOR_WINDOWS * np.nanmean(np.abs(old.pool.target - _naive(old)))
    model = np.nanmean(np.abs(new.pool.target - new.pool.shape.centre(new.pool.forecast)))
    count = new.pool.separate
    total = count * naive + prior
    return float((count * model + PRIOR_RATIO * prior) / total) if total > 0 else PRIOR_RATIO


def _naive(errors: HoldoutErrors) -> FloatArray:
    """[W, H] seasonal naive forecasts of the windows."""
    season, horizon = errors.panel.season_length, errors.pool.target.shape[1]
    return seasonal_naive(errors.windows.gather(4 * season, 0), horizon, season)


def _joined(a: ErrorPool, b: ErrorPool) -> ErrorPool:
    return ErrorPool(
        forecast=np.concatenate([a.forecast, b.forecast]),
        target=np.concatenate([a.target, b.target]),
        seasonal_scale=np.concatenate([a.seasonal_scale, b.seasonal_scale]),
        series=np.concatenate([a.series, b.series]),
        separate=a.separate + b.separate,
        age=np.concatenate([a.age, b.age]),
        shape=a.shape,
    )


def calibrated_quantiles(calibration: Calibration, raw: RawForecasts, levels: tuple[float, ...]) -> FloatArray:
    """[W, H, Q] calibrated quantiles of the windows at these levels."""
    scale = raw.scale(raw.panel.season_length)
    return calibration.quantiles(raw.values, scale, raw.names, levels, raw.lead)


def adapted_quantiles(
    calibration: Calibration, recent: RecentWindows, raw: RawForecasts, levels: tuple[float, ...]
) -> FloatArray:
    """[W, H, Q] as `calibrated_quantiles`, each also learnt from the recent windows that end before its cutoff."""
    first = raw.panel.timestamps[raw.windows.cutoff]
    stamps = np.unique(first)
    stamps = stamps[evenly(len(stamps), MAX_ADAPTATIONS)]
    found = np.full((*raw.values.shape[:2], len(levels)), np.nan)
    latest = np.searchsorted(stamps, first, side="right") - 1
    for i, stamp in enumerate(stamps.tolist()):
        mine = np.flatnonzero(latest == i)
        learnt = recent.before(stamp).extend(calibration)
        found[mine] = calibrated_quantiles(learnt, raw.take(mine), levels)
    return found


def _needless(raw: Backtest, calibrated: Backtest, cutoffs: int) -> str:
    """Why the raw quantiles serve, after "the networks' own quantiles"; "" where the calibrated ones do.

    Windows of few cutoffs share a shock: a correction that they ask for must be clear where the raw ones cover what they should.
    A lower loss does not excuse intervals that cover half of what they claim, as where most actuals are 0.
    """
    before, after = _loss(raw), _loss(calibrated)
    lack, rest = _lack(raw), _lack(calibrated)
    if before < after and not (lack > MAX_LACK and abs(rest) < lack / 2 and after <= before * (1.0 + MAX_COST)):
        return "have the lower loss"
    if (
        len(raw.quantiles) > 1
        and abs(lack) <= MAX_COVERAGE_GAP
        and after > before * (1.0 - MIN_GAIN / np.sqrt(max(cutoffs, 1)))
    ):
        return "cover what they should, and a correction gains little"
    return ""


def _lack(tested: Backtest) -> float:
    """By how much the outermost quantiles cover less than they claim; negative where they cover more."""
    low, high = tested.quantile_forecasts[:, :, 0], tested.quantile_forecasts[:, :, -1]
    return tested.quantiles[-1] - tested.quantiles[0] - coverage(tested.target, low, high)


def _loss(tested: Backtest) -> float:
    """Mean pinball loss of the quantiles over the seasonal scale; windows without a scale are left out."""
    scale, target = tested.holdout.seasonal_scale, tested.target
    level = np.array(tested.quantiles)
    miss = (target[:, :, None] - tested.quantile_forecasts) / np.where(scale > 0, scale, np.nan)[:, None, None]
    each = np.maximum(level * miss, (level - 1.0) * miss)
    return float(np.nanmean(each)) if np.isfinite(each).any() else 0.0


def with_quantiles(tested: Backtest, found: FloatArray, limits: Limits, description: str) -> Backtest:
    """The backtest with calibrated quantiles [W, H, Q]; the raw ones where these are NaN, as nothing could be learnt."""
    if not tested.quantiles:
        return tested
    quantiles = np.where(np.isnan(found), tested.quantile_forecasts, limits.hold(found))
    return replace(tested, quantile_forecasts=quantiles, raw=tested.quantile_forecasts, calibrated=description)


@dataclass(frozen=True)
class CrossCalibration:
    """A backtest on the training's test windows, and the calibration from its errors."""

    backtest: Backtest
    calibration: Calibration | None  # from all windows; None where nothing could be learnt


def cross_calibrated(
    holdout: Holdout, manifest: Manifest, runtime: Runtime, baselines: Mapping[str, FloatArray]
) -> CrossCalibration:
    """Backtest weights that were fitted before the `test_windows` of the manifest, on some or all of these windows.

    The quantiles of each window are calibrated on other windows.
    """
    dense = dense_forecasts(holdout.panel, manifest, runtime)
    # Windows are in the order of their cutoffs, which are rows of the panel.
    raw = dense.take(np.searchsorted(dense.windows.cutoff, holdout.windows.cutoff))
    errors = holdout_errors(dense, manifest, runtime)
    found, calibration = backtest(holdout, manifest.held(raw.values), manifest.quantiles, baselines), errors.learn()
    if calibration and manifest.quantiles:
        quantiles = errors.crossed(raw, manifest.quantiles)
        calibrated = with_quantiles(found, quantiles, manifest.limits, errors.description)
        why = _needless(found, calibrated, calibration.cutoffs)
        if errors.pool.separate >= MIN_WINDOWS and calibration.shape.has_widths and why:
            own = f"not at all: the networks' own quantiles {why} on these windows"
            return CrossCalibration(replace(found, calibrated=own), calibration.uncorrected())
        found = calibrated
    return CrossCalibration(found, calibration)
