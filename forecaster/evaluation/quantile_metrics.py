"""Metrics of quantile forecasts: pinball loss, weighted quantile loss, CRPS, coverage, width, and MSIS as M4 defines it.

Everything here works on windows: `target` [W, H] float64 in the caller's units (NaN = not observed, without weight) and
`quantile_forecasts` [W, H, Q], the value at each of Q ascending levels. A score is a mean over all observed steps unless
its docstring says otherwise.
Sources: Koenker & Bassett 1978 (pinball); Gneiting & Raftery 2007, "Strictly Proper Scoring Rules" (CRPS, interval score);
Makridakis, Spiliotis & Assimakopoulos 2020, "The M4 Competition" (MSIS).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from forecaster.serving.manifest import json_key

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray, Json


@dataclass(frozen=True)
class QuantileScores:
    """Scores of quantile forecasts; NaN where one is undefined, e.g. of an interval where there is one level.

    A field is written to JSON under its own name, or under the `key` of its metadata.
    """

    pinball: float  # caller's units, mean over the levels
    wql: float  # weighted quantile loss: 2 · pinball over the sum of |target|, mean over the levels
    crps: float  # caller's units, integrated over the given levels
    nominal_coverage: float = field(metadata={"key": "promised"})  # of the interval between the outermost levels
    empirical_coverage: float = field(metadata={"key": "coverage"})  # share of the targets in that interval
    width: float  # of that interval, caller's units
    msis: float  # interval score of that interval over the seasonal scale, mean over windows
    below: Mapping[float, float]  # level -> share of the targets at or below its value
    pinball_at: Mapping[float, float] = field(default_factory=dict)  # level -> its pinball loss, caller's units

    def to_json(self) -> dict[str, Json]:
        """The scores by JSON key; None for NaN and infinity, which JSON does not have."""
        shares: dict[str, Json] = {repr(level): _finite(share) for level, share in self.below.items()}
        numbers: dict[str, Json] = {
            json_key(one): _finite(getattr(self, one.name))
            for one in fields(self)
            if one.name not in ("below", "pinball_at")
        }
        losses: dict[str, Json] = {repr(level): _finite(loss) for level, loss in self.pinball_at.items()}
        return {**numbers, "below": shares, "pinball_at": losses}


def quantile_scores(
    target: FloatArray, quantile_forecasts: FloatArray, levels: tuple[float, ...], scale: FloatArray
) -> QuantileScores | None:
    """Scores of all windows together; None where there are no levels. `scale` [W]: seasonal scale, NaN = undefined."""
    if not levels:
        return None
    seen = ~np.isnan(target)
    y, q = target[seen], quantile_forecasts[seen]
    losses = pinball(y, q, levels)
    low, high = quantile_forecasts[:, :, 0], quantile_forecasts[:, :, -1]
    covered, width = coverage(target, low, high), mean_width(target, low, high)
    nominal = levels[-1] - levels[0] if len(levels) > 1 else math.nan
    alone = len(levels) == 1
    return QuantileScores(
        pinball=_mean(losses.mean(axis=1)),
        wql=float(2.0 * losses.sum(axis=0).mean() / np.abs(y).sum()) if np.abs(y).sum() > 0 else math.nan,
        crps=_mean(2.0 * losses @ _shares(levels)),
        nominal_coverage=nominal,
        empirical_coverage=math.nan if alone else covered,
        width=math.nan if alone else width,
        msis=math.nan if alone else msis(target, low, high, nominal, scale),
        below={level: _mean(y <= q[:, i]) for i, level in enumerate(levels)},
        pinball_at={level: _mean(losses[:, i]) for i, level in enumerate(levels)},
    )


def coverage(target: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Share of the observed targets [W, H] within intervals [W, H]."""
    seen = ~np.isnan(target)
    return _mean(((low <= target) & (target <= high))[seen])


def mean_width(target: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Mean width of intervals [W, H] where targets are observed, caller's units."""
    return _mean((high - low)[~np.isnan(target)])


def pinball(target: FloatArray, quantile_forecasts: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Targets [n], forecasts [n, Q] -> losses [n, Q]: `level` of an error below the target, `1 - level` of one above it."""
    miss, level = target[:, None] - quantile_forecasts, np.asarray(levels)
    return np.maximum(level * miss, (level - 1.0) * miss)


def msis(target: FloatArray, low: FloatArray, high: FloatArray, nominal: float, scale: FloatArray) -> float:
    """Mean scaled interval score of intervals [W, H]: the width, plus 2 / (1 - `nominal`) times the distance of a target
    outside of it.

    The mean over windows of the mean over a window's observed steps, divided by its `scale` [W]. Windows without a scale
    above 0 are left out.
    """
    alpha = 1.0 - nominal
    score = high - low + 2.0 / alpha * (np.maximum(low - target, 0.0) + np.maximum(target - high, 0.0))
    seen = ~np.isnan(target)
    counts = seen.any(axis=1) & (scale > 0)
    total = np.where(seen, score, 0.0).sum(axis=1)[counts]
    return _mean(total / seen.sum(axis=1)[counts] / scale[counts])


def _shares(levels: tuple[float, ...]) -> FloatArray:
    """[Q] the part of (0, 1) that each level weighs in the integral: up to half-way to its neighbours."""
    edges = [0.0, *((a + b) / 2.0 for a, b in pairwise(levels)), 1.0]
    return np.diff(edges)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: FloatArray | BoolArray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
