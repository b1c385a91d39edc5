"""Isolated outliers, which are read as missing: a wrong unit, a counter's reset, a day that was booked twice.

One value of another kind costs a network, Theta and the scale of intervals far more than the row that it fills. A row is one
where it is far from the median of the six rows around it, beside how far rows usually are and beside the range of these six,
where the rows after it go back, and where no row at its place of another season is like it (an additive outlier: Chen & Liu
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
STEP = 5.0  # times the mean step from row to row: without so large a one no row is far
FAR = 15.0  # robust standard deviations of the rows' distances from those around them
BESIDE = 4.0  # times the range of the rows around, without the least and the greatest of more than SIDE
ALIKE = 0.5  # of the distance, within which another row is like it, or back
BEYOND = (
    5.0  # times the largest other value, which the latest row must have: nobody knows yet whether the level has shifted
)
MAX_SHARE = 0.02  # of a context's rows, and one
SIGMA = 1.4826  # standard deviation of a normal distribution over its median absolute deviation


def without_isolated_outliers(context: FloatArray, season_length: int) -> FloatArray:
    """Contexts [B, L], NaN = missing, whose isolated outliers are missing, too; the same array where there are none."""
    some = _with_large_steps(context)
    outlying = isolated_outliers(context[some], season_length)
    if not outlying.any():
        return context
    found: FloatArray = context.copy()
    found[some] = np.where(outlying, np.nan, context[some])
    return found


def isolated_outliers(context: FloatArray, season_length: int) -> BoolArray:
    """[B, L] whether each row of contexts [B, L], NaN = missing, is an isolated outlier."""
    around = _around(context)
    known = _observed(around)
    middle = 0.5 * (_taken(around, (known - 1) // 2) + _taken(around, known // 2))
    cut = (known > SIDE).astype(int)
    inner = _taken(around, known - 1 - cut) - _taken(around, cut)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(context - middle)
        usual = SIGMA * _taken(np.sort(distance, axis=1), (_observed(distance) - 1) // 2)[:, None]
        far = (distance > FAR * usual) & (usual > 0.0) & (distance > BESIDE * inner) & (known >= SIDE)
        far &= _goes_back(context, middle, distance) | _beyond_all(context)
        windows, rows = np.nonzero(far)
        regular = _regular(context, windows, rows, distance[windows, rows], season_length)
    far[windows[regular], rows[regular]] = False
    count = _observed(context)
    far &= ((count >= MIN_ROWS) & (far.sum(axis=1) <= 1 + MAX_SHARE * count))[:, None]
    return np.asarray(far)


def _with_large_steps(context: FloatArray) -> IntArray:
    """The contexts in which a row may be far from those around it: a look that costs little."""
    with np.errstate(over="ignore", invalid="ignore"):
        step = np.abs(np.diff(context, axis=1))
        seen = ~np.isnan(step)
        step[~seen] = 0.0
        return np.flatnonzero(step.max(axis=1, initial=0.0) * seen.sum(axis=1) > STEP * step.sum(axis=1))


def _around(context: FloatArray) -> FloatArray:
    """[B, L, 2 · SIDE] the rows around each, ascending; NaN, which comes last, where there are none."""
    padded = np.pad(context, ((0, 0), (SIDE, SIDE)), constant_values=np.nan)
    length = context.shape[1]
    shifts = [shift for shift in range(2 * SIDE + 1) if shift != SIDE]
    return np.sort(np.stack([padded[:, shift : shift + length] for shift in shifts], axis=2), axis=2)


def _observed(values: FloatArray) -> IntArray:
    return np.asarray(np.count_nonzero(~np.isnan(values), axis=-1))


def _taken(values: FloatArray, place: IntArray) -> FloatArray:
    """The values [..., K] at a place [...] of the last axis; the first for one before it."""
    return np.take_along_axis(values, np.maximum(place, 0)[..., None], axis=-1)[..., 0]


def _goes_back(context: FloatArray, middle: FloatArray, distance: FloatArray) -> BoolArray:
    """[B, L] whether one of the SIDE rows after each is near `middle` again."""
    found = np.zeros(context.shape, dtype=bool)
    for shift in range(1, min(SIDE, context.shape[1] - 1) + 1):
        found[:, :-shift] |= np.abs(context[:, shift:] - middle[:, :-shift]) <= ALIKE * distance[:, :-shift]
    return found


def _beyond_all(context: FloatArray) -> BoolArray:
    """[B, L] whether each row is BEYOND times as far from 0 as any other."""
    size = np.where(np.isnan(context), 0.0, np.abs(context))
    if size.shape[1] < MIN_ROWS:
        return np.zeros(size.shape, dtype=bool)
    second = np.partition(size, -2, axis=1)[:, -2:-1]
    return np.asarray(size > BEYOND * second)


def _regular(
    context: FloatArray, windows: IntArray, rows: IntArray, distance: FloatArray, season_length: int
) -> BoolArray:
    """Whether these rows of these windows are like one at the same place of another season."""
    found, value, last = np.zeros(len(rows), dtype=bool), context[windows, rows], context.shape[1] - 1
    for lag in _lags(season_length):
        for other in (rows - lag, rows + lag):
            there = (other >= 0) & (other <= last)
            found |= there & (np.abs(value - context[windows, np.clip(other, 0, last)]) <= ALIKE * distance)
    return found


def _lags(season_length: int) -> list[int]:
    """Rows between those at the same place of two seasons, and of the longer one above it: a year later that moves by days."""
    m, longer = season_length, LONGER.get(season_length)
    lags = [m, 2 * m] if m > 1 else []
    if longer:
        moved = m // 2 if longer.smooth else 0
        lags += [longer.season_length + days for days in range(-moved, moved + 1)]
    return lags
