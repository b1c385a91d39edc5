"""Conformal calibration: quantiles from a model's errors on windows that its weights have not seen.

Four modules work together. This one learns a `Calibration` from a `ErrorPool` of errors. `train` pools the errors of the tested
weights on the test windows (evaluation/cross_conformal.py) and stores the result in calibration.npz: offsets for each level
and step, a factor for each series, and the scaled errors of up to MAX_ERRORS windows. `quantiles` applies the stored
calibration to the forecasts of `predict`. `recent_windows` pools the errors of the serving weights on windows later than the
training; `predict` extends the calibration by them and stores nothing. `recalibrate` pools the errors of the forecasts in a
ledger and stores a new calibration, as a new version of the model.

Calibration scales the network's own distances from the centre, its median, level by level and step by step. An error is divided
by the network's own width on the error's side, so the errors of all series form one pool, few windows per series suffice, and a
step that the network finds uncertain keeps a wide interval. The scale of a level at a step is the conformal quantile of the
errors there, over the distance that the network itself gives the level. Where errors are few, those of neighbouring steps are
added, each rescaled to this step's mean error. Windows of many series at one cutoff share one shock, so the scale is shrunk
towards 1, and what differs between the sides towards their mean, by the number of separate cutoffs. The centre is never moved.

Models of format 1 have offsets from the point forecast, in units of another kind: see `_joint_units`.

Sources: Romano, Patterson & Candès 2019, "Conformalized Quantile Regression"; Lei et al. 2018, "Distribution-Free Predictive
Inference for Regression", section 5.2 (locally weighted errors).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import evenly
from forecaster.serving.quantile_columns import FORMAT_1, QuantileColumns

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray, IntArray

# Levels whose offsets are stored; other levels are interpolated.
GRID = (0.005, 0.01, 0.025, *(round(0.05 * i, 2) for i in range(1, 20)), 0.975, 0.99, 0.995)
MIN_ERRORS = 600  # for the quantiles of one step; with fewer, the errors of neighbouring steps are added
OWN_WINDOWS = 5  # separate windows that a series needs for a factor of its own
PRIOR_WINDOWS = 10  # shrinkage of a factor: so many additional windows with the mean error of all series
HALF_LIFE = 10.0  # horizons after which a window's weight in the size of errors is halved: benchmarks/adapting.py
COMMON_SHOCK = 0.25  # log of a scale that the common shock of one cutoff may make: larger ones are taken nearly whole
MIN_SCALE = 1e-3
MAX_ERRORS = 1000  # windows whose errors are stored, for samples and for later extension


@dataclass(frozen=True)
class ErrorPool:
    """Forecasts and actuals of W windows that the weights have not seen."""

    forecast: FloatArray  # [W, H, 1 + Q] raw: the point forecast, then the network's own quantiles
    target: FloatArray  # [W, H] caller's units; NaN = not observed
    seasonal_scale: FloatArray  # [W] of the contexts, see `context_scale`
    series: IntArray  # [W] index of each window's series
    separate: int  # windows among them that do not overlap
    age: FloatArray  # [W] horizons between each window and the latest rows
    shape: QuantileColumns = FORMAT_1  # what the columns of the forecast are

    @property
    def cutoffs(self) -> int:
        """How many cutoffs are a horizon or more apart, whatever the series: each is one witness."""
        return len(np.unique(np.floor(self.age)))

    def take(self, chosen: IntArray, separate: int) -> ErrorPool:
        """The windows at these positions."""
        return ErrorPool(
            forecast=self.forecast[chosen],
            target=self.target[chosen],
            seasonal_scale=self.seasonal_scale[chosen],
            series=self.series[chosen],
            separate=separate,
            age=self.age[chosen],
            shape=self.shape,
        )

    def scaled(self, shape: QuantileColumns | None = None) -> FloatArray:
        """[W, H] errors divided by their units; NaN where the target is not observed or the unit is 0."""
        shape = self.shape if shape is None else shape
        miss = self.target - shape.centre(self.forecast)
        down, up = shape.units(self.forecast, self.seasonal_scale)
        unit = np.where(miss > 0, up, down)
        return np.asarray(np.where(unit > 0, miss / np.where(unit > 0, unit, 1.0), np.nan))


@dataclass(frozen=True)
class Calibration:
    """What was learnt from a pool, as plain numbers and arrays that can be stored."""

    levels: FloatArray  # [G] ascending
    offsets: FloatArray  # [G, H] in units, ascending along G
    factors: Mapping[str, float]  # series -> factor of its units; 1 for a series that is not listed
    errors: FloatArray  # [M, H] scaled errors of an even choice of the windows; NaN = not observed
    weights: FloatArray  # [M] the number of separate windows that each stands for
    age: FloatArray  # [M] horizons between each window and the latest rows at the time
    windows: int  # in the pool
    separate: int  # windows among them that do not overlap
    shape: QuantileColumns = FORMAT_1  # what the columns of a forecast are
    cutoffs: int = 0  # separate ones, whatever the series
    reach: float = (
        np.inf
    )  # largest absolute error in the pool, in seasonal scales: no correction widens a quantile beyond it

    @property
    def horizon(self) -> int:
        """Steps with known errors, H."""
        return int(self.offsets.shape[1])

    @property
    def whole(self) -> BoolArray:
        """[M] whether every error of a window is known, so that it can serve as a sample path."""
        return np.asarray(np.isfinite(self.errors).all(axis=1))

    def quantiles(
        self,
        forecast: FloatArray,
        seasonal_scale: FloatArray,
        series: Sequence[str],
        levels: Sequence[float],
        lead: IntArray | None = None,
    ) -> FloatArray:
        """Raw forecasts [n, h, 1 + Q] of the named series -> calibrated quantiles [n, h, len(levels)], ascending.

        `lead` [n]: steps between the context and the first of these h; None = 0. Beyond the H steps of the calibration the
        last step's scales hold.
        """
        down, up = self._units(forecast, seasonal_scale, series)
        step = _steps(forecast, lead)
        offsets = self.ahead(levels, int(step.max(initial=-1)) + 1)[step]
        unit = np.where(offsets > 0, up[:, :, None], down[:, :, None])
        away = unit * offsets
        if self.shape.has_widths:
            away = self._within_reach(away, forecast, seasonal_scale, levels, step)
        if self.shape.centred:
            away = self.shape.keep(away, forecast, (down, up), levels)
        return np.asarray(self.shape.centre(forecast)[:, :, None] + away)

    def _within_reach(
        self,
        away: FloatArray,
        forecast: FloatArray,
        seasonal_scale: FloatArray,
        levels: Sequence[float],
        step: IntArray,
    ) -> FloatArray:
        """Distances [n, h, Q] from the centre, no larger than the reach, or than the network's own where these are larger.

        A network that is sure in one window and far off there would have the widths of all other windows multiplied. Levels
        beyond the trained ones reach further, as those of a normal do.
        """
        if len(levels) == 0:
            return away
        growth = np.sqrt(np.maximum((step + 1.0) / max(self.horizon, 1), 1.0))
        scaled = self.reach * np.where(seasonal_scale > 0.0, seasonal_scale, 1.0)
        known = np.where(seasonal_scale > 0.0, scaled, np.inf)[:, None] * growth
        units = self.shape.units(forecast, seasonal_scale)
        references = np.array([abs(self.shape.reference(one)) for one in levels])
        own = references * np.stack([units[one > 0.5] for one in levels], axis=-1)
        limit = np.maximum(own, known[:, :, None] * np.maximum(references, 1.0))
        return np.asarray(np.clip(away, -limit, limit))

    def samples(
        self,
        forecast: FloatArray,
        seasonal_scale: FloatArray,
        series: Sequence[str],
        count: int,
        lead: IntArray | None = None,
    ) -> FloatArray:
        """Raw forecasts [n, h, 1 + Q] of the named series, h ≤ H -> [n, h, count] sample paths.

        A path takes its steps from the calibrated quantiles, at the levels that the errors of one whole window have among
        those of all windows. So its steps are correlated as errors are, quantiles of a sum over steps can be read off the
        paths, and the quantiles of one step are the calibrated ones, with their `lead`. Draws are independent between series
        and the same at every call. ValueError where no window was observed whole.
        """
        errors = self.errors[:, : forecast.shape[1]]
        whole = np.isfinite(errors).all(axis=1)
        if not whole.any():
            raise ValueError("no test window was observed whole")
        errors, share = errors[whole], self.weights[whole] / self.weights[whole].sum()
        rng = np.random.default_rng(0)
        drawn = rng.choice(len(share), size=(len(forecast), count), p=share)
        if not self.shape.centred:
            down, up = self._units(forecast, seasonal_scale, series)
            paths = errors[drawn].transpose(0, 2, 1)
            unit = np.where(paths > 0, up[:, :, None], down[:, :, None])
            return np.asarray(forecast[:, :, :1] + unit * paths)
        order = np.argsort(errors, axis=0, kind="stable")
        below = np.empty_like(errors)  # [M, h] share of the windows with a smaller error
        np.put_along_axis(below, order, np.cumsum(share[order], axis=0) - share[order], axis=0)
        within = rng.random((len(forecast), count))  # the place between two errors, the same at every step
        level = (below[drawn] + (share[drawn] * within)[:, :, None]).transpose(0, 2, 1)
        return _at_levels(self.quantiles(forecast, seasonal_scale, series, GRID, lead), level)

    def uncorrected(self) -> Calibration:
        """The networks' own quantiles, with these errors for samples; itself where networks have no widths."""
        if not self.shape.has_widths:
            return self
        own = np.array([self.shape.reference(level) for level in self.levels])
        return replace(self, offsets=np.repeat(own[:, None], self.horizon, axis=1), factors={})

    def extended(self, pool: ErrorPool, names: Sequence[str]) -> Calibration:
        """The calibration, extended by a later pool whose series are indices into `names`. Factors do not change.

        The shape of the error distribution is learnt from all windows alike, as tails need many. Its size is learnt
        mostly from the later windows: the weight of a window is halved every HALF_LIFE horizons.
        """
        factor = np.array([self.factors.get(str(name), 1.0) for name in names])
        more = pool.scaled(self.shape) / factor[pool.series][:, None]
        if not np.isfinite(more).any() or not np.isfinite(self.errors).any():
            return self
        errors = np.concatenate([self.errors, more])
        weights = np.concatenate([self.weights, even_weights(len(more), pool.separate)])
        count = self.separate + pool.separate
        age = pool.age - pool.age.min()
        age = np.concatenate([self.age + age.max() + 1.0, age])
        size = _mean_size(errors, weights)
        growth = _mean_size(errors, weights * 0.5 ** (age / HALF_LIFE)) / size if size > 0 else 1.0
        cutoffs = self.cutoffs + pool.cutoffs
        return replace(
            self,
            levels=np.array(GRID),
            offsets=_shrunk(growth * _quantiles(errors, weights, count), self.shape, cutoffs),
            errors=growth * errors,
            weights=weights,
            age=age,
            windows=self.windows + len(more),
            separate=count,
            cutoffs=cutoffs,
            reach=max(self.reach, _reach(pool)),
        )

    def _units(
        self, forecast: FloatArray, seasonal_scale: FloatArray, series: Sequence[str]
    ) -> tuple[FloatArray, FloatArray]:
        factor = np.array([self.factors.get(str(name), 1.0) for name in series])[:, None]
        down, up = self.shape.units(forecast, seasonal_scale)
        return down * factor, up * factor

    def ahead(self, levels: Sequence[float], horizon: int) -> FloatArray:
        """[horizon, Q] offsets of these levels, in units.

        Units that are no widths do not grow beyond the known steps, so there the offsets grow with the square root of the
        step, as the errors of a random walk do.
        """
        known = self.horizon
        steps = np.minimum(np.arange(horizon), known - 1)
        growth = np.sqrt(np.maximum(np.arange(horizon) + 1.0, known) / known)
        if self.shape.has_widths:
            growth = np.ones(horizon)
        rows = [np.interp(levels, self.levels, self.offsets[:, step]) for step in steps]
        return np.asarray(np.array(rows).reshape(horizon, len(levels)) * growth[:, None])


def _steps(forecast: FloatArray, lead: IntArray | None) -> IntArray:
    """[n or 1, h] of each step of a raw forecast [n, h, 1 + Q], how many steps after its context it is; 0 = the first."""
    step = np.arange(forecast.shape[1])
    return np.asarray(step[None] if lead is None else lead[:, None] + step)


def separate(series: IntArray, first: IntArray, horizon: int) -> int:
    """How many windows do not overlap, counted by blocks of a horizon; `first` [W] is each one's first step, from any origin."""
    return len(np.unique(np.stack([series, first // horizon]), axis=1).T)


def even_weights(windows: int, separate: int) -> FloatArray:
    """[W] equal weights that add up to the number of separate windows."""
    return np.full(windows, separate / max(windows, 1))


def calibrate(pool: ErrorPool, names: Sequence[str]) -> Calibration | None:
    """Learn from a pool whose series are indices into `names`. None where fewer than two errors have a unit."""
    scaled = pool.scaled()
    if np.isfinite(scaled).sum() < 2:
        return None
    factor = _factors(scaled, pool)
    scaled = scaled / factor[pool.series][:, None]
    kept = evenly(len(scaled), MAX_ERRORS)
    return Calibration(
        levels=np.array(GRID),
        offsets=_shrunk(_quantiles(scaled, np.ones(len(scaled)), pool.separate), pool.shape, pool.cutoffs),
        factors={str(names[int(n)]): float(factor[n]) for n in np.flatnonzero(factor != 1.0)},
        errors=scaled[kept],
        weights=even_weights(len(kept), pool.separate),
        age=pool.age[kept],
        windows=len(scaled),
        separate=pool.separate,
        shape=pool.shape,
        cutoffs=pool.cutoffs,
        reach=_reach(pool),
    )


def _reach(pool: ErrorPool) -> float:
    """The largest absolute error in seasonal scales; infinite where none has a scale."""
    scale = np.where(pool.seasonal_scale > 0.0, pool.seasonal_scale, np.nan)[:, None]
    size = np.abs(pool.target - pool.shape.centre(pool.forecast)) / scale
    return float(np.nanmax(size)) if np.isfinite(size).any() else np.inf


def _shrunk(offsets: FloatArray, shape: QuantileColumns, cutoffs: int) -> FloatArray:
    """Offsets [G, H] in own widths, with the median in the centre, shrunk by the number of separate cutoffs.

    A scale that one cutoff's shock may have made is shrunk by half where there is one cutoff, one that is far larger hardly.
    """
    if not shape.centred:
        return offsets
    level = np.array(GRID)[:, None]
    mirrored = -offsets[::-1]  # of the level as far on the other side
    both = (cutoffs * offsets + 0.5 * (offsets + mirrored)) / (cutoffs + 1.0)
    own = np.where(level > 0.5, np.maximum(both, 0.0), np.where(level < 0.5, np.minimum(both, 0.0), 0.0))
    if not shape.has_widths:
        return own
    raw = np.array([shape.reference(one) for one in GRID])[:, None]
    scale = np.log(np.maximum(own / np.where(raw == 0.0, 1.0, raw), MIN_SCALE))
    shock = COMMON_SHOCK * (1.0 + np.abs(raw)) / 2.0 / np.sqrt(cutoffs)
    share = np.maximum(cutoffs / (cutoffs + 1.0), 1.0 - (shock / np.maximum(np.abs(scale), shock)) ** 2)
    return np.asarray(np.maximum.accumulate(raw * np.exp(share * scale), axis=0))


def _at_levels(quantiles: FloatArray, level: FloatArray) -> FloatArray:
    """Quantiles [n, h, G] at the levels of GRID -> their values at other levels [n, h, count], interpolated linearly."""
    grid = np.array(GRID)
    level = np.clip(level, grid[0], grid[-1])
    after = np.clip(np.searchsorted(grid, level), 1, len(grid) - 1)
    share = (level - grid[after - 1]) / (grid[after] - grid[after - 1])
    low, high = (np.take_along_axis(quantiles, at, axis=2) for at in (after - 1, after))
    return np.asarray(low + share * (high - low))


def _factors(scaled: FloatArray, pool: ErrorPool) -> FloatArray:
    """[N] mean scaled error of each series over that of all series, shrunk towards 1; 1 with fewer than OWN_WINDOWS."""
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
    """Scaled errors [W, H] and weights of the windows [W] -> conformal quantiles [G, H].

    Conformal prediction takes the ((n + 1) · level)-th smallest of n independent errors. The H steps of one window are
    correlated, so they are worth between 1 and H independent errors: sqrt(H) is assumed.
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
    """Mean over windows [W, H] of their mean absolute error, weighted [W]."""
    seen = np.isfinite(scaled)
    size = np.where(seen, np.abs(scaled), 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    return float(np.average(size, weights=weights * seen.any(axis=1)))


def _weighted_quantile(values: FloatArray, weights: FloatArray, levels: FloatArray) -> FloatArray:
    """[G] weighted quantiles. With equal weights they are numpy.quantile's: level 0 is the smallest value, 1 the largest."""
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
