"""Conformal calibration: quantiles from the errors that the model made on windows that its weights had not seen.

Each error is divided by a unit of its own window and step, the unit being the geometric mean of what the network thinks (the
distance from its point forecast to its outer quantile on that side) and of what the series does (its mean seasonal difference
over the context). So errors of all series make one pool, and few windows per series suffice; and wide stays wide where the
network said so. A level's offset at a step ahead is the conformal quantile of the scaled errors at that step and, where those
are few, of its neighbours', each brought to the step's own size.

Sources: Romano, Patterson & Candès 2019, "Conformalized Quantile Regression"; Lei et al. 2018, "Distribution-Free Predictive
Inference for Regression", section 5.2 (locally weighted errors).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import evenly

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray, IntArray

# Levels whose offsets are kept; others are read off the line between two of them.
GRID = (0.005, 0.01, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.99, 0.995)
MIN_ERRORS = 600  # errors for one step's quantiles; where there are fewer its neighbours' are taken, too
MIN_SHARE = 0.05  # of the series' unit: the network's own is taken to be no smaller
OWN_WINDOWS = 5  # separate windows of a series, from which on it has a factor of its own
PRIOR_WINDOWS = 10  # a factor is drawn towards 1 as by this many windows of a series like all others
HALF_LIFE = 10.0  # horizons after which a window says half as much of how large errors are: benchmarks/adapting.py
MAX_ERRORS = 1000  # windows whose errors are kept, for samples and to learn on from


@dataclass(frozen=True)
class Pool:
    """Forecasts with their actuals: W windows that the weights had not seen."""

    forecast: FloatArray  # [W, H, 1 + Q] raw: the point forecast, then the network's own quantiles
    target: FloatArray  # [W, H] caller's units; NaN = not observed
    seasonal_scale: FloatArray  # [W] see `context_scale`
    series: IntArray  # [W] which series
    separate: int  # windows among them that do not overlap
    age: FloatArray  # [W] horizons that have passed since each, up to the latest rows there are

    def take(self, chosen: IntArray, separate: int) -> Pool:
        """The windows at these positions."""
        return Pool(
            forecast=self.forecast[chosen],
            target=self.target[chosen],
            seasonal_scale=self.seasonal_scale[chosen],
            series=self.series[chosen],
            separate=separate,
            age=self.age[chosen],
        )

    def scaled(self) -> FloatArray:
        """[W, H] errors over their units; NaN where nothing is observed or a window has no unit."""
        miss = self.target - self.forecast[:, :, 0]
        down, up = _units(self.forecast, self.seasonal_scale)
        unit = np.where(miss > 0, up, down)
        return np.asarray(np.where(unit > 0, miss / np.where(unit > 0, unit, 1.0), np.nan))


@dataclass(frozen=True)
class Calibration:
    """What was learnt from a pool. Plain numbers: it can be stored, and put into the place of another."""

    levels: FloatArray  # [G] ascending
    offsets: FloatArray  # [G, H] in units, ascending along G
    factors: Mapping[str, float]  # series -> what its units are multiplied by; 1 for those that are not there
    errors: FloatArray  # [M, H] scaled errors of windows, evenly taken from all; NaN = not observed
    weights: FloatArray  # [M] how many windows that do not overlap each counts for
    age: FloatArray  # [M] horizons that had passed since each
    windows: int  # learnt from
    separate: int  # of them that do not overlap

    @property
    def horizon(self) -> int:
        """Steps that errors are known of."""
        return int(self.offsets.shape[1])

    @property
    def whole(self) -> BoolArray:
        """[M] windows of which every error is known: paths that the future may take."""
        return np.asarray(np.isfinite(self.errors).all(axis=1))

    def quantiles(
        self, forecast: FloatArray, seasonal_scale: FloatArray, series: Sequence[str], levels: Sequence[float]
    ) -> FloatArray:
        """Raw [n, h, 1 + Q] of the series named -> calibrated [n, h, Q], ascending along Q. h may be longer than H.

        The centre is the raw point forecast. Beyond H, where nothing was measured, the last step's offsets grow with
        the root of the step, as a random walk's errors do.
        """
        down, up = self._units(forecast, seasonal_scale, series)
        offsets = self._offsets(levels, forecast.shape[1])[None]
        unit = np.where(offsets > 0, up[:, :, None], down[:, :, None])
        return np.asarray(forecast[:, :, :1] + unit * offsets)

    def samples(
        self, forecast: FloatArray, seasonal_scale: FloatArray, series: Sequence[str], count: int
    ) -> FloatArray:
        """Raw [n, H, 1 + Q] of the series named -> [n, H, count] paths that the future may take.

        Whole windows' errors, drawn by themselves for each series, the same ones every time: so the steps of a path hang
        together as errors do, and quantiles of sums over steps are those of paths' sums. ValueError where no window was
        observed whole.
        """
        whole = self.whole
        if not whole.any():
            raise ValueError("no whole window was held back")
        down, up = self._units(forecast, seasonal_scale, series)
        share = self.weights[whole] / self.weights[whole].sum()
        drawn = np.random.default_rng(0).choice(len(share), size=(len(forecast), count), p=share)
        paths = self.errors[whole][drawn].transpose(0, 2, 1)
        unit = np.where(paths > 0, up[:, :, None], down[:, :, None])
        return np.asarray(forecast[:, :, :1] + unit * paths)

    def cut(self, horizon: int) -> Calibration:
        """For forecasts of fewer steps."""
        return replace(self, offsets=self.offsets[:, :horizon], errors=self.errors[:, :horizon])

    def extended(self, pool: Pool, names: Sequence[str]) -> Calibration:
        """With what a later pool adds, whose series are numbers into `names`. The series' factors stay as they are.

        The shape of the errors' distribution is learnt from all windows alike, as tails need many; their size above all
        from the later ones: there a window counts half after HALF_LIFE horizons.
        """
        factor = np.array([self.factors.get(str(name), 1.0) for name in names])
        more = pool.scaled() / factor[pool.series][:, None]
        if not np.isfinite(more).any() or not np.isfinite(self.errors).any():
            return self
        errors = np.concatenate([self.errors, more])
        weights = np.concatenate([self.weights, even(len(more), pool.separate)])
        count = self.separate + pool.separate
        age = pool.age - pool.age.min()
        age = np.concatenate([self.age + age.max() + 1.0, age])
        size = _mean_size(errors, weights)
        growth = _mean_size(errors, weights * 0.5 ** (age / HALF_LIFE)) / size if size > 0 else 1.0
        return replace(
            self,
            offsets=growth * _quantiles(errors, weights, count),
            errors=growth * errors,
            weights=weights,
            age=age,
            windows=self.windows + len(more),
            separate=count,
        )

    def _units(
        self, forecast: FloatArray, seasonal_scale: FloatArray, series: Sequence[str]
    ) -> tuple[FloatArray, FloatArray]:
        factor = np.array([self.factors.get(str(name), 1.0) for name in series])[:, None]
        down, up = _units(forecast, seasonal_scale)
        return down * factor, up * factor

    def _offsets(self, levels: Sequence[float], horizon: int) -> FloatArray:
        """[horizon, Q]"""
        known = self.horizon
        steps = np.minimum(np.arange(horizon), known - 1)
        growth = np.sqrt(np.maximum(np.arange(horizon) + 1.0, known) / known)
        rows = [np.interp(levels, self.levels, self.offsets[:, step]) for step in steps]
        return np.asarray(np.array(rows).reshape(horizon, len(levels)) * growth[:, None])


def separate(series: IntArray, first: IntArray, horizon: int) -> int:
    """How many windows do not overlap, counted by blocks of a horizon; `first` [W] is each one's first step, from anywhere on."""
    return len(np.unique(np.stack([series, first // horizon]), axis=1).T)


def even(windows: int, separate: int) -> FloatArray:
    """[W] what each window counts where all count the same."""
    return np.full(windows, separate / max(windows, 1))


def _units(forecast: FloatArray, seasonal_scale: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[n, h] units of errors below and above the point forecast, caller's units."""
    size = np.broadcast_to(seasonal_scale[:, None], forecast.shape[:2])
    if forecast.shape[2] < 3:
        return size, size
    point, low, high = forecast[:, :, 0], forecast[:, :, 1], forecast[:, :, -1]
    down, up = (np.sqrt(size * np.maximum(part, MIN_SHARE * size)) for part in (point - low, high - point))
    return down, up


def calibrate(pool: Pool, names: Sequence[str]) -> Calibration | None:
    """Learn from a pool whose series are numbers into `names`. None where not one error has a unit."""
    scaled = pool.scaled()
    if np.isfinite(scaled).sum() < 2:
        return None
    factor = _factors(scaled, pool)
    scaled = scaled / factor[pool.series][:, None]
    kept = evenly(len(scaled), MAX_ERRORS)
    return Calibration(
        levels=np.array(GRID),
        offsets=_quantiles(scaled, np.ones(len(scaled)), pool.separate),
        factors={str(names[int(n)]): float(factor[n]) for n in np.flatnonzero(factor != 1.0)},
        errors=scaled[kept],
        weights=even(len(kept), pool.separate),
        age=pool.age[kept],
        windows=len(scaled),
        separate=pool.separate,
    )


def _factors(scaled: FloatArray, pool: Pool) -> FloatArray:
    """[N] how large each series' scaled errors are over those of all series, where it has enough windows to measure it."""
    count = int(pool.series.max()) + 1
    seen = np.isfinite(scaled)
    sums = np.bincount(pool.series, np.where(seen, np.abs(scaled), 0.0).sum(axis=1), count)
    cells = np.bincount(pool.series, seen.sum(axis=1), count)
    separate = pool.separate * np.bincount(pool.series, minlength=count) / len(scaled)
    overall = sums.sum() / cells.sum()
    if count == 1 or overall == 0:
        return np.ones(count)
    own = (separate * sums / np.maximum(cells, 1) / overall + PRIOR_WINDOWS) / (separate + PRIOR_WINDOWS)
    return np.where((separate >= OWN_WINDOWS) & (cells > 0), own, 1.0)


def _quantiles(scaled: FloatArray, weights: FloatArray, separate: int) -> FloatArray:
    """[W, H] scaled errors and what each window counts [W] -> [G, H] conformal quantiles.

    Conformal prediction takes the ((n + 1) · level)-th smallest of n errors that are independent. Steps of one window are
    not: they count between once and H times, taken here as sqrt(H) times.
    """
    horizon = scaled.shape[1]
    size = _sizes(scaled, weights)
    alike = scaled / size
    per_step = max(np.isfinite(scaled).sum() / horizon, 1.0)
    reach = int(np.ceil(max(MIN_ERRORS / per_step - 1.0, 0.0) / 2.0))
    count = separate * np.sqrt(horizon)
    spread = np.clip(0.5 + (np.array(GRID) - 0.5) * (count + 1.0) / count, 0.0, 1.0)
    offsets = np.empty((len(GRID), horizon))
    for step in range(horizon):
        near = alike[:, max(step - reach, 0) : step + reach + 1]
        seen = np.isfinite(near)
        own = np.broadcast_to(weights[:, None], near.shape)[seen]
        offsets[:, step] = size[step] * _weighted_quantile(near[seen], own, spread)
    return offsets


def _mean_size(scaled: FloatArray, weights: FloatArray) -> float:
    """Mean absolute error of the windows [W, H], each of which counts its weight [W]."""
    seen = np.isfinite(scaled)
    size = np.where(seen, np.abs(scaled), 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return float(np.average(size, weights=weights * seen.any(axis=1)))


def _weighted_quantile(values: FloatArray, weights: FloatArray, levels: FloatArray) -> FloatArray:
    """[G]; with equal weights what numpy.quantile gives: the smallest value is at 0, the largest at 1."""
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    place = np.cumsum(weights) - weights / 2.0
    span = place[-1] - place[0]
    return np.asarray(np.interp(levels, (place - place[0]) / span if span > 0 else place, values))


def _sizes(scaled: FloatArray, weights: FloatArray) -> FloatArray:
    """[H] mean absolute scaled error of each step, smoothed over its neighbours; above 0."""
    horizon = scaled.shape[1]
    count = np.where(np.isfinite(scaled), weights[:, None], 0.0)
    total, count = (count * np.abs(np.where(count > 0, scaled, 0.0))).sum(axis=0), count.sum(axis=0)
    reach = min(horizon // 6, 5)
    box = np.ones(2 * reach + 1)
    sums, counts = (np.convolve(np.pad(part, reach, mode="edge"), box, "valid") for part in (total, count))
    mean = np.where(counts > 0, sums / np.where(counts > 0, counts, 1.0), 0.0)
    overall = total.sum() / count.sum() if count.sum() > 0 else 0.0
    return np.where(mean > 0, mean, overall if overall > 0 else 1.0)
