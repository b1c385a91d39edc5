"""The season of series whose timestamps are whole numbers and so do not tell it: how far apart values move alike.

Autocorrelations of first differences, so that trends do not count, averaged over the series (Box & Jenkins 1976, §2.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import evenly

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

LONGEST = 400  # steps of a season that is looked for
MOST_SERIES, MOST_ROWS = 300, 6 * LONGEST  # that are looked at
LEAST = 0.1  # autocorrelation of a season
SURE = 4.0  # standard errors that it must be above 0, of the many that are looked at
NEARLY = 0.75  # share of the highest autocorrelation, from which on a shorter season is taken for it
ROUNDING = 1e-12  # of the largest value: changes of a line that are no larger than this are none
OUTLIER = 5.0  # robust standard deviations, at which a difference is cut off


def season_of(target: FloatArray, offsets: IntArray) -> int:
    """Steps of the shortest season that series [R], one after the other, clearly have; 1 = none.

    Only the older half of each series is looked at, so that what is held back to judge a model has no say in it. Three whole
    seasons must lie there.
    """
    ends = offsets[:-1] + np.diff(offsets) // 2
    chosen = evenly(len(ends), MOST_SERIES)
    halves = [target[max(offsets[n], ends[n] - MOST_ROWS) : ends[n]] for n in chosen]
    found = [one for one in map(_autocorrelation, halves) if one is not None]
    if not found:
        return 1
    counts = np.array([len(one) for one in found])
    lags = int(np.median(counts))  # that half the series have
    long = [one[:lags] for one in found if len(one) >= lags]
    mean = np.mean(long, axis=0)
    least = max(LEAST, SURE / np.sqrt(1.5 * lags * len(long)))
    peaks = [m for m in range(2, (lags + 1) // 2) if _is_season(mean, m, least)]
    if not peaks:
        return 1
    best = max(mean[m] for m in peaks)
    return next(m for m in peaks if mean[m] >= NEARLY * best)


def _is_season(correlation: FloatArray, m: int, least: float) -> bool:
    """Whether values move alike m steps apart, more so than their neighbours, and again after as many."""
    here = correlation[m]
    peak = here > correlation[m - 1] and here >= correlation[m + 1]
    return bool(peak and here >= least and correlation[2 * m] >= 0.5 * here)


def _autocorrelation(values: FloatArray) -> FloatArray | None:
    """Of the differences of one series, at lags up to two thirds of its rows; None where it is too short or never changes."""
    # Brought to about 1 by a power of two, which rounds nothing: products of 1e308, and of less, would overflow.
    largest = np.max(np.abs(values), where=~np.isnan(values), initial=0.0)
    change = np.diff(np.ldexp(values, -int(np.frexp(largest)[1])))
    seen = ~np.isnan(change)
    if seen.sum() < 8:
        return None
    change = change - np.median(change[seen])
    spread = 1.4826 * float(np.median(np.abs(change[seen])))
    change = np.where(seen, np.clip(change, -OUTLIER * spread, OUTLIER * spread) if spread > 0 else change, 0.0)
    power = float(change @ change)
    if not power > len(change) * ROUNDING**2:
        return None
    rows = len(change)
    spectrum = np.fft.rfft(change, 2 * rows)
    lags = np.arange(min(2 * rows // 3, 2 * LONGEST) + 1)
    raw: FloatArray = np.fft.irfft(spectrum * np.conj(spectrum))[lags] / power
    return raw * rows / (rows - lags)
