"""Isolated outliers, which are read as missing: a wrong unit, a counter's reset, a day that was booked twice.

One value of another kind costs a network, Theta and the scale of intervals far more than the row that it fills. A row is one
where it is far from the median of the six rows around it, beside the usual step from row to row and beside the range of these
six, where the rows after it go back, and where no row at its place of another season is like it (an additive outlier: Chen & Liu
1993, "Joint estimation of model parameters and outlier effects in time series"). So a level that shifts, a flood that rises and
falls, the peak of every December are none, nor is what stands out too often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.seasonal_profile import LONGER

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray, IntArray

SIDE = 3  # rows before and after each, that it is held against
MIN_ROWS = 12  # observed in a context
FAR = 15.0  # times the median step from row to row
BESIDE = 4.0  # times the range of the rows around, without the least and the greatest of more than SIDE
ALIKE = 0.5  # of the distance, within which another row is like it, or back
# Times as far from 0 as every other value, or as near: it needs no later row that is back. The latest row, which has none, may
# be the first of a new level.
BEYOND = 5.0
MAX_SHARE = 0.02  # of a context's rows, and one


def without_isolated_outliers(context: FloatArray, season_length: int) -> FloatArray:
    """Contexts [B, L], NaN = missing, whose isolated outliers are missing, too; the same array where there are none."""
    windows, rows = isolated_outliers(context, season_length)
    if not len(rows):
        return context
    found: FloatArray = context.copy()
    found[windows, rows] = np.nan
    return found


def isolated_outliers(context: FloatArray, season_length: int) -> tuple[IntArray, IntArray]:
    """The isolated outliers of contexts [B, L], NaN = missing: which context, and which of its rows."""
    with np.errstate(invalid="ignore", over="ignore"):
        windows, rows, usual = _beside_large_steps(context)
        around = _around(context, windows, rows)
        known = _observed(around)
        middle = 0.5 * (_taken(around, (known - 1) // 2) + _taken(around, known // 2))
        cut = (known > SIDE).astype(int)
        inner = _taken(around, known - 1 - cut) - _taken(around, cut)
        distance = np.abs(context[windows, rows] - middle)
        far = (distance > FAR * usual) & (distance > BESIDE * inner) & (known >= SIDE)
        windows, rows, middle, distance = windows[far], rows[far], middle[far], distance[far]
        odd = _goes_back(context, windows, rows, middle, distance) | _unlike_all(context, windows, rows)
        odd &= ~_regular(context, windows, rows, distance, season_length)
        windows, rows = windows[odd], rows[odd]
    count = _observed(context[windows])
    few = np.bincount(windows, minlength=len(context))[windows] <= 1 + MAX_SHARE * count
    kept = few & (count >= MIN_ROWS)
    return windows[kept], rows[kept]


def _beside_large_steps(context: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Context and row of each value beside a large step to the observed one before or after, and the usual step there."""
    seen = ~np.isnan(context)
    before = np.maximum.accumulate(np.where(seen, np.arange(context.shape[1]), 0), axis=1)[:, :-1]  # observed
    step = np.abs(context[:, 1:] - np.take_along_axis(context, before, axis=1))
    usual = _taken(np.sort(step, axis=1), (_observed(step) - 1) // 2)
    still = usual == 0.0
    usual[still] = _range(context[still])
    windows, at = np.nonzero((step > FAR / 2.0 * usual[:, None]) & (usual > 0.0)[:, None])
    size = context.shape[1]
    both = np.unique(np.concatenate([windows * size + at + 1, windows * size + before[windows, at]]))
    return both // size, both % size, usual[both // size]


def _range(context: FloatArray) -> FloatArray:
    """[B] the range of nine tenths of the values, as usual steps are where most values repeat the one before."""
    values = np.sort(context, axis=1)
    last = _observed(values) - 1
    return _taken(values, last * 19 // 20) - _taken(values, last // 20)


def _around(context: FloatArray, windows: IntArray, rows: IntArray) -> FloatArray:
    """[K, 2 · SIDE] the rows around each of K, ascending; NaN, which comes last, where there are none."""
    shifts = [shift for shift in range(-SIDE, SIDE + 1) if shift]
    return np.sort(np.stack([_at(context, windows, rows + shift) for shift in shifts], axis=1), axis=1)


def _at(context: FloatArray, windows: IntArray, rows: IntArray) -> FloatArray:
    """[K] the values at these rows; NaN at rows that are none."""
    last = context.shape[1] - 1
    return np.where((rows >= 0) & (rows <= last), context[windows, np.clip(rows, 0, last)], np.nan)


def _observed(values: FloatArray) -> IntArray:
    return np.asarray(np.count_nonzero(~np.isnan(values), axis=-1))


def _taken(values: FloatArray, place: IntArray) -> FloatArray:
    """The values [K, ·] at a place [K] of the last axis; the first for one before it, NaN where there are none."""
    if not values.shape[-1]:
        return np.full(place.shape, np.nan)
    return np.take_along_axis(values, np.maximum(place, 0)[..., None], axis=-1)[..., 0]


def _goes_back(
    context: FloatArray, windows: IntArray, rows: IntArray, middle: FloatArray, distance: FloatArray
) -> BoolArray:
    """[K] whether one of the SIDE rows after each is near `middle` again."""
    after = [_at(context, windows, rows + shift) for shift in range(1, SIDE + 1)]
    return np.asarray(np.any([np.abs(value - middle) <= ALIKE * distance for value in after], axis=0))


def _unlike_all(context: FloatArray, windows: IntArray, rows: IntArray) -> BoolArray:
    """[K] whether each is BEYOND times as far from 0 as any other value of its context, or BEYOND times as near to it."""
    size, others = np.abs(context[windows, rows]), np.abs(context[windows])
    others[np.arange(len(rows)), rows] = np.nan
    largest, least = np.fmax.reduce(others, axis=1, initial=0.0), np.fmin.reduce(others, axis=1, initial=np.inf)
    return np.asarray((size > BEYOND * largest) | (BEYOND * size < least))


def _regular(
    context: FloatArray, windows: IntArray, rows: IntArray, distance: FloatArray, season_length: int
) -> BoolArray:
    """[K] whether each is like a row at the same place of another season."""
    value = context[windows, rows]
    others = [_at(context, windows, rows + lag) for one in _lags(season_length) for lag in (-one, one)]
    alike = [np.abs(value - other) <= ALIKE * distance for other in others]
    return np.asarray(np.any(alike, axis=0)) if alike else np.zeros(len(rows), dtype=bool)


def _lags(season_length: int) -> list[int]:
    """Rows between those at the same place of two seasons, and of the longer one above it: a year later that moves by days."""
    m, longer = season_length, LONGER.get(season_length)
    lags = [m, 2 * m] if m > 1 else []
    if longer:
        moved = m // 2 if longer.smooth else 0
        lags += [longer.season_length + days for days in range(-moved, moved + 1)]
    return lags
