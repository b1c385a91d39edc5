"""Which known columns tell nothing of the target, where many rows show that: they only make a network harder to fit.

A column is held against the target by what both change by from one season to the next, in ranks, so that neither units nor
outliers count: their correlation at every lag up to a season, as they are and along the season's phase. A column tells nothing
where none of these is beyond chance and none can be larger than NEGLIGIBLE, by Student's t over the sums of blocks of time,
with Bonferroni's correction for the number of correlations. Some 10,000 rows can show that; where there are fewer, or too few
seasons, every column stays, and so does one that is constant or repeats with the season. Past columns and static ones always
stay: what they tell may have any lag, or none. What two columns tell only together is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import Windows, evenly

if TYPE_CHECKING:
    from forecaster.data.panel import Covariate, Panel
    from forecaster.typing import FloatArray, IntArray

NEGLIGIBLE = 0.1  # correlation: one hundredth of the variance
CHANCE = 0.01  # that a column which tells nothing is taken to tell something
LEAST_BLOCKS, MOST_BLOCKS = 12, 60  # of time
BLOCK = 4  # seasons in a block at least, so that one hardly depends on the next
FARTHEST = 168  # steps of lag
MOST_ROWS = 100_000  # that are looked at, the newest of series evenly taken
MOST_LEVELS = 20  # of a category, the most frequent


def telling_nothing(panel: Panel, ends: IntArray, horizon: int) -> tuple[str, ...]:
    """Names of the known columns that tell nothing of the target, by the rows of each series before `ends` [N] alone."""
    known = [one for one in panel.covariates if one.role == "known"]
    if not known:
        return ()
    lengths = ends - panel.offsets[:-1]
    rows = min(int(lengths.max()), MOST_ROWS)
    long = np.flatnonzero(2 * lengths >= rows)
    some = long[evenly(len(long), max(1, MOST_ROWS // max(rows, 1)))]

    def newest(values: FloatArray) -> FloatArray:
        """[n, rows], NaN where a series is shorter."""
        return Windows(values, panel.offsets[:-1], ends, some, ends[some]).gather(rows, 0)

    season = panel.season_length
    reach = min(max(season, horizon), FARTHEST)
    blocks = min((rows - season - 2 * reach) // (BLOCK * season), MOST_BLOCKS)
    if blocks < LEAST_BLOCKS:
        return ()
    target = _change(_ranks(newest(panel.target)), season)

    def tells_nothing(one: Covariate) -> bool:
        features = list(_features(one, newest(one.values), season))
        return bool(features) and _unrelated(target, features, reach, blocks)

    return tuple(one.name for one in known if tells_nothing(one))


def _unrelated(target: FloatArray, features: list[FloatArray], reach: int, count: int) -> bool:
    """Whether `count` blocks of time show that the target [n, T] goes with no feature [n, T], at no lag up to `reach`."""
    from scipy.special import stdtrit

    beyond = float(stdtrit(count - 1, 1.0 - CHANCE / 2 / (len(features) * (2 * reach + 1))))
    if np.count_nonzero(target) < (beyond / NEGLIGIBLE) ** 2:  # too few to show it of any column
        return False
    middle = target[:, reach : target.shape[1] - reach]
    starts = np.linspace(0, middle.shape[1], count, endpoint=False).astype(np.int64)
    for feature in features:
        size = np.sqrt(np.sum(middle**2) * np.sum(feature**2))
        for lag in range(2 * reach + 1):
            products = np.einsum("nt,nt->t", middle, feature[:, lag : lag + middle.shape[1]])
            blocks = np.add.reduceat(products, starts)
            found, spread = abs(blocks.sum()) / size, beyond * blocks.std(ddof=1) * np.sqrt(count) / size
            if found > spread or found + spread > NEGLIGIBLE:
                return False
    return True


def _features(one: Covariate, values: FloatArray, season: int) -> Iterator[FloatArray]:
    """What a column [n, T] may tell by: how high it is, how far from its middle, or each of its levels; by phase, too."""
    if one.levels is None:
        ranks = _ranks(values.reshape(1, -1)).reshape(values.shape)
        forms = [ranks, np.abs(ranks)]
    else:
        codes, counts = np.unique(values[~np.isnan(values)], return_counts=True)
        most = codes[np.argsort(-counts, kind="stable")][:MOST_LEVELS]
        forms = [np.where(np.isnan(values), np.nan, values == code) for code in most]
    angle = 2 * np.pi * np.arange(values.shape[1]) / season
    for form in forms:
        change = _change(form, season)
        if not change.any():
            continue
        yield change
        if season > 2:
            yield change * np.cos(angle)
            yield change * np.sin(angle)


def _ranks(values: FloatArray) -> FloatArray:
    """Each row's ranks, from -1 to 1; NaN stays."""
    from scipy.stats import rankdata

    seen = np.count_nonzero(~np.isnan(values), axis=1, keepdims=True)
    ranks: FloatArray = 2 * rankdata(values, axis=1, nan_policy="omit") / (seen + 1) - 1
    return ranks


def _change(values: FloatArray, season: int) -> FloatArray:
    """From one season to the next, on average 0; 0 where that is not known."""
    change: FloatArray = np.full(values.shape, np.nan)
    change[:, season:] = values[:, season:] - values[:, :-season]
    seen = ~np.isnan(change)
    mean = change.sum(where=seen) / max(1, np.count_nonzero(seen))
    return np.where(seen, change - mean, 0.0)
