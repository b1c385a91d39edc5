"""Series with too few observed rows for a model to go by: which they are, and how much wider their intervals become.

A network that is given one row forecasts with the errors of windows in which it saw a whole context. How far such a series
moves is not known from its own rows, so the spread of the training data's series takes its place.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.calendar import rows_to_lags
from forecaster.errors import listed
from forecaster.serving.calibration_file import CALIBRATION

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.serving.manifest import DataFacts, Manifest
    from forecaster.typing import FloatArray, IntArray

MIN_CONTEXT_SHARE = 0.25  # of the context that must be observed
MAX_CONTEXT_SHARE = 0.9  # of the context that a season may ask for: a missing row in a context of one season is no lack
UNKNOWN_SPREAD = 0.5  # of the level, where no training data says how far series move


def needed_rows(manifest: Manifest) -> int:
    """Observed rows within the context that a series needs: a season, and a quarter of the context.

    Not more than the series of the training had, and as few in a context as these had: the model was tested on such series.
    Where it was not, and nothing measured its errors, series as short as these lack rows all the same.
    """
    facts, length = manifest.data, manifest.reach
    wanted = max(facts.season_length, int(np.ceil(MIN_CONTEXT_SHARE * length)))
    wanted = int(np.ceil(facts.observed_share * wanted))
    known = manifest.test_windows > 0 or CALIBRATION in manifest.files
    usual = facts.rows // facts.series_count if known and facts.series_count and facts.rows else wanted
    return max(min(wanted, int(MAX_CONTEXT_SHARE * length), usual), 2)


def observed_in_reach(panel: Panel, reach: int) -> IntArray:
    """[N] observed targets among the last `reach` rows of each series."""
    first = np.maximum(panel.offsets[:-1], panel.offsets[1:] - reach)
    return panel.observed_between(first, panel.offsets[1:])


def missing_past(panel: Panel, manifest: Manifest) -> tuple[str, str] | None:
    """Which series lack the weeks or years before that the model reads, and what these are; None where most have them.

    Series as short as the training's lack nothing.
    """
    if manifest.serves_simple_method:
        return None
    facts = manifest.data
    rows = rows_to_lags(panel, manifest.needs.calendar, manifest.needs.horizon)
    rows = min(rows, facts.rows // facts.series_count) if facts.series_count and facts.rows else rows
    short = np.flatnonzero(panel.lengths < rows)
    if 2 * len(short) <= len(panel.series):
        return None
    what = "days of the years" if "years" in manifest.needs.calendar else "times of the weeks"
    return f"{_who(panel, short)} fewer than {rows:,} rows", f"the same {what} before"


def described(panel: Panel, chosen: IntArray, needed: int, reach: int) -> str:
    """What is said about the series at positions `chosen`: `2 of 5 series (a, b) have fewer than 12 …`."""
    where = f"last {reach:,} rows" if reach > 1 else "last row"
    return f"{_who(panel, chosen)} fewer than {needed} observed values in the {where}"


def _who(panel: Panel, chosen: IntArray) -> str:
    names = listed(panel.series[chosen])
    return f"{len(chosen):,} of {len(panel.series):,} series ({names}) {'has' if len(chosen) == 1 else 'have'}"


def typical_spread(panel: Panel, chosen: IntArray, facts: DataFacts | None) -> FloatArray:
    """[n] standard deviation, in the caller's units, of series like those at positions `chosen` [n] of the panel.

    It is that of the training data, or as large a share of the series' own level where that share means something.
    """
    level = np.abs(_levels(panel, chosen))
    if facts is None or facts.scale is None or facts.level is None:
        return np.asarray(np.maximum(UNKNOWN_SPREAD * level, _ranges(panel, chosen) / 2))
    spread = np.full(len(chosen), facts.scale)
    if abs(facts.level) > facts.scale:  # values that stay on one side of 0: spread goes with the level
        spread = facts.scale * level / abs(facts.level)
    return np.asarray(np.maximum(spread, _ranges(panel, chosen) / 2))


def widened_quantiles(values: FloatArray, levels: tuple[float, ...], spread: FloatArray) -> FloatArray:
    """Forecasts [n, H, 1 + Q] with quantiles at least as far from the point as normal ones of this `spread` [n]."""
    wide: FloatArray = values.copy()
    for q, level in enumerate(levels, start=1):
        normal = values[:, :, 0] + NormalDist().inv_cdf(level) * spread[:, None]
        wide[:, :, q] = np.minimum(values[:, :, q], normal) if level < 0.5 else np.maximum(values[:, :, q], normal)
        if level == 0.5:
            wide[:, :, q] = values[:, :, q]
    return wide


def widened_samples(samples: FloatArray, spread: FloatArray) -> FloatArray:
    """Sample paths [n, H, S], each moved by one draw of normal errors of this `spread` [n], in the paths' own order."""
    count = samples.shape[2]
    rank = samples.mean(axis=1).argsort(axis=1).argsort(axis=1)  # [n, S]
    draws = np.array([NormalDist().inv_cdf((i + 0.5) / count) for i in range(count)])
    return np.asarray(samples + (draws[rank] * spread[:, None])[:, None, :])


def _levels(panel: Panel, chosen: IntArray) -> FloatArray:
    """[n] median of each series' observed targets."""
    parts = (panel.target[panel.offsets[n] : panel.offsets[n + 1]] for n in chosen)
    return np.array([np.median(part[~np.isnan(part)]) for part in parts])


def _ranges(panel: Panel, chosen: IntArray) -> FloatArray:
    return np.asarray((panel.highest - panel.lowest)[chosen])
