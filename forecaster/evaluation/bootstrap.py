"""Bootstrap of paired errors: the uncertainty of a comparison of two forecasters on the same windows.

Windows of one series are correlated, so whole series are drawn where there are at least MIN_SERIES (cluster bootstrap, Field &
Welsh 2007). With fewer, single windows are drawn as if they were independent. Of forecasters that were fitted with several seeds,
the seeds are drawn, too, as another fit has other errors: the same for both, since fits with one seed read the same windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

DRAWS = 1000
MIN_SERIES = 5  # with fewer, windows are drawn
LEVEL = 0.95  # of the interval


@dataclass(frozen=True)
class Paired:
    """One forecaster's errors compared with another's."""

    difference: float  # (mean error - the other's) / the other's; below 0 = a lower error
    low: float  # ends of the interval with LEVEL of all draws
    high: float
    ahead: float  # share of draws with a lower error
    won: float  # share of windows with a lower error; an equal error counts half
    windows: int
    drawn: int  # series or windows in each draw

    def to_json(self) -> dict[str, float | int]:
        """The fields by name."""
        return dict(vars(self))


def paired(errors: FloatArray, others: FloatArray, series: IntArray) -> Paired | None:
    """Compare the errors [W] of two forecasters on the same windows of `series` [W]; NaN = undefined.

    Errors of fits with S seeds, the same of both, are [S, W].
    None where fewer than two windows have all errors, or the others' mean error is 0.
    """
    own, other = np.atleast_2d(errors), np.atleast_2d(others)
    both = np.isfinite(own).all(axis=0) & np.isfinite(other).all(axis=0)
    own, other, series = own[:, both], other[:, both], series[both]
    if own.shape[1] < 2 or not other.mean() > 0.0:
        return None
    _, group = np.unique(series, return_inverse=True)
    if group.max() + 1 < MIN_SERIES:
        group = np.arange(len(series))
    shares = _draws(*(np.array([np.bincount(group, weights=row) for row in rows]) for rows in (own, other)))
    errors, others = own.mean(axis=0), other.mean(axis=0)
    tail = 50.0 * (1.0 - LEVEL)
    low, high = np.percentile(shares, [tail, 100.0 - tail])
    won = (errors < others).mean() + 0.5 * (errors == others).mean()
    ahead = (shares < 0.0).mean() + 0.5 * (shares == 0.0).mean()
    difference = errors.mean() / others.mean() - 1.0
    return Paired(
        difference=float(difference),
        low=float(low),
        high=float(high),
        ahead=float(ahead),
        won=float(won),
        windows=len(errors),
        drawn=int(group.max()) + 1,
    )


def _draws(own: FloatArray, other: FloatArray) -> FloatArray:
    """[DRAWS] relative differences of the sums [S, G] of errors over groups; groups and seeds are drawn with replacement."""
    rng = np.random.default_rng(0)
    shares = np.empty(DRAWS)
    for i in range(DRAWS):
        drawn = rng.integers(0, own.shape[1], own.shape[1])
        # A single seed is not drawn: nothing shows how much another would change.
        seeds = rng.integers(0, len(own), len(own)) if len(own) > 1 else slice(None)
        mine, theirs = (rows[seeds][:, drawn].mean(axis=0).sum() for rows in (own, other))
        shares[i] = mine / theirs - 1.0 if theirs > 0.0 else 0.0
    return shares
