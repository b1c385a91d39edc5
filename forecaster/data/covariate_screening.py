"""Finds known covariates that are uninformative about the target. They only make a network harder to fit.

A covariate is compared with the target by how both change from one season to the next, in ranks, so that neither units nor
outliers count: by their correlation at every lag up to a season, as it is and along the season's phase. It is uninformative
if no correlation is significant and none is likely to exceed NEGLIGIBLE, by Student's t over the sums of blocks of time, with
Bonferroni's correction for the number of correlations. About 10,000 rows can show that. With fewer rows, or too few seasons,
every covariate stays; so does one that is constant or repeats with the season. Past and static covariates always stay,
since they may inform at any lag. Covariates that inform only together are not recognised.
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
SIGNIFICANCE = 0.01  # probability that an uninformative covariate counts as informative
MIN_BLOCKS, MAX_BLOCKS = 12, 60  # of time
MIN_BLOCK_SEASONS = 4  # in a block, so that one hardly depends on the next
MAX_LAG = 168  # steps
MAX_ROWS = 100_000  # that are read: the latest ones, of series taken evenly
MAX_LEVELS = 20  # of a category: the most frequent ones


def uninformative_covariates(panel: Panel, ends: IntArray, horizon: int) -> tuple[str, ...]:
    """Names of the known covariates that are uninformative in the rows of each series before `ends` [N]."""
    known = [one for one in panel.covariates if one.role == "known"]
    if not known:
        return ()
    lengths = ends - panel.offsets[:-1]
    rows = min(int(lengths.max()), MAX_ROWS)
    long = np.flatnonzero(2 * lengths >= rows)
    some = long[evenly(len(long), max(1, MAX_ROWS // max(rows, 1)))]

    def latest(values: FloatArray) -> FloatArray:
        """[n, rows] of the longer series; NaN before the first row of one."""
        return Windows(values, panel.offsets[:-1], ends, some, ends[some]).gather(rows, 0)

    season = panel.season_length
    reach = min(max(season, horizon), MAX_LAG)
    blocks = min((rows - season - 2 * reach) // (MIN_BLOCK_SEASONS * season), MAX_BLOCKS)
    if blocks < MIN_BLOCKS:
        return ()
    target = _change(_ranks(latest(panel.target)), season)

    def uninformative(one: Covariate) -> bool:
        features = list(_features(one, latest(one.values), season))
        return bool(features) and _unrelated(target, features, reach, blocks)

    return tuple(one.name for one in known if uninformative(one))


def _unrelated(target: FloatArray, features: list[FloatArray], reach: int, count: int) -> bool:
    """Whether `count` blocks of time show that the target [n, T] is unrelated to each feature [n, T] at lags up to `reach`."""
    from scipy.special import stdtrit

    critical = float(stdtrit(count - 1, 1.0 - SIGNIFICANCE / 2 / (len(features) * (2 * reach + 1))))
    if np.count_nonzero(target) < (critical / NEGLIGIBLE) ** 2:  # too few rows to show it for any covariate
        return False
    middle = target[:, reach : target.shape[1] - reach]
    starts = np.linspace(0, middle.shape[1], count, endpoint=False).astype(np.int64)
    for feature in features:
        size = np.sqrt(np.sum(middle**2) * np.sum(feature**2))
        for lag in range(2 * reach + 1):
            products = np.einsum("nt,nt->t", middle, feature[:, lag : lag + middle.shape[1]])
            blocks = np.add.reduceat(products, starts)
            found, margin = abs(blocks.sum()) / size, critical * blocks.std(ddof=1) * np.sqrt(count) / size
            if found > margin or found + margin > NEGLIGIBLE:
                return False
    return True


def _features(one: Covariate, values: FloatArray, season: int) -> Iterator[FloatArray]:
    """The features of a covariate [n, T]: its rank, its distance from the median, or each of its levels; by phase, too."""
    if one.levels is None:
        ranks = _ranks(values.reshape(1, -1)).reshape(values.shape)
        forms = [ranks, np.abs(ranks)]
    else:
        codes, counts = np.unique(values[~np.isnan(values)], return_counts=True)
        frequent = codes[np.argsort(-counts, kind="stable")][:MAX_LEVELS]
        forms = [np.where(np.isnan(values), np.nan, values == code) for code in frequent]
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
    """The change from one season to the next, less its mean; 0 where it is not known."""
    change: FloatArray = np.full(values.shape, np.nan)
    change[:, season:] = values[:, season:] - values[:, :-season]
    seen = ~np.isnan(change)
    mean = change.sum(where=seen) / max(1, np.count_nonzero(seen))
    return np.where(seen, change - mean, 0.0)
