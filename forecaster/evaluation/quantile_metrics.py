"""How good forecast quantiles are: pinball, weighted quantile loss, CRPS, coverage, width, and MSIS as M4 defines it.

Everything here works on windows: `target` [W, H] float64 in the caller's units (NaN = not observed, weighs nothing) and
`quantile_forecasts` [W, H, Q], the value at each of Q ascending levels. Unless said otherwise a score is a mean over all observed steps.
Sources: Koenker & Bassett 1978 (pinball); Gneiting & Raftery 2007, "Strictly Proper Scoring Rules" (CRPS, interval score);
Makridakis, Spiliotis & Assimakopoulos 2020, "The M4 Competition" (MSIS).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray


@dataclass(frozen=True)
class QuantileScores:
    """Scores of one set of quantiles; NaN where one is undefined, e.g. of an interval where there is one level."""

    pinball: float  # caller's units, mean over the levels
    wql: float  # weighted quantile loss: 2 · pinball over the sum of |target|, mean over the levels
    crps: float  # caller's units, integrated over the levels there are
    promised: float  # nominal coverage of the outermost levels
    coverage: float  # share of the targets between them
    width: float  # between them, caller's units
    msis: float  # interval score of the outermost levels over the window's scale, mean over windows
    below: Mapping[float, float]  # level -> share of the targets at or below its value


def quantile_scores(
    target: FloatArray, quantile_forecasts: FloatArray, levels: tuple[float, ...], scale: FloatArray
) -> QuantileScores | None:
    """Scores of all windows; None where there are no levels. `scale` [W] is MASE's, NaN = undefined."""
    if not levels:
        return None
    seen = ~np.isnan(target)
    y, q = target[seen], quantile_forecasts[seen]
    losses = pinball(y, q, levels)
    low, high = quantile_forecasts[:, :, 0], quantile_forecasts[:, :, -1]
    covered, width = coverage(target, low, high), mean_width(target, low, high)
    promised = levels[-1] - levels[0] if len(levels) > 1 else math.nan
    alone = len(levels) == 1
    return QuantileScores(
        pinball=_mean(losses.mean(axis=1)),
        wql=float(2.0 * losses.sum(axis=0).mean() / np.abs(y).sum()) if np.abs(y).sum() > 0 else math.nan,
        crps=_mean(2.0 * losses @ _shares(levels)),
        promised=promised,
        coverage=math.nan if alone else covered,
        width=math.nan if alone else width,
        msis=math.nan if alone else msis(target, low, high, promised, scale),
        below={level: _mean(y <= q[:, i]) for i, level in enumerate(levels)},
    )


def coverage(target: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Share of the observed targets [W, H] within intervals [W, H]."""
    seen = ~np.isnan(target)
    return _mean(((low <= target) & (target <= high))[seen])


def mean_width(target: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Of intervals [W, H] where targets are observed, caller's units."""
    return _mean((high - low)[~np.isnan(target)])


def pinball(target: FloatArray, quantile_forecasts: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """[n], [n, Q] -> [n, Q]: `level` of the miss where the truth is above the value, 1 - level where it is below."""
    miss, level = target[:, None] - quantile_forecasts, np.asarray(levels)
    return np.maximum(level * miss, (level - 1.0) * miss)


def msis(target: FloatArray, low: FloatArray, high: FloatArray, nominal: float, scale: FloatArray) -> float:
    """Mean scaled interval score of intervals [W, H] of a nominal coverage: width, and 2 / alpha of every miss.

    A window counts by the mean over its observed steps over its `scale` [W]; windows without a scale above 0 are left out.
    """
    alpha = 1.0 - nominal
    score = high - low + 2.0 / alpha * (np.maximum(low - target, 0.0) + np.maximum(target - high, 0.0))
    seen = ~np.isnan(target)
    counts = seen.any(axis=1) & (scale > 0)
    total = np.where(seen, score, 0.0).sum(axis=1)[counts]
    return _mean(total / seen.sum(axis=1)[counts] / scale[counts])


def _shares(levels: tuple[float, ...]) -> FloatArray:
    """[Q] what share of (0, 1) each level counts for: half-way to its neighbours, to the end at the ends."""
    edges = [0.0, *((a + b) / 2.0 for a, b in pairwise(levels)), 1.0]
    return np.diff(edges)


def _mean(values: FloatArray | BoolArray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
