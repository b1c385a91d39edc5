"""Infers the season length from the values, for whole-number timestamps, which imply none.

It is a peak of the autocorrelation of first differences, so that trends do not count, averaged over the series
(Box & Jenkins 1976, §2.1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import evenly

if TYPE_CHECKING:
    from forecaster.typing import FloatArray, IntArray

MAX_SEASON = 400  # steps
MAX_SERIES, MAX_ROWS = 300, 6 * MAX_SEASON  # that are read
MIN_CORRELATION = 0.1  # autocorrelation at a season
MIN_STANDARD_ERRORS = 4.0  # above 0, since many lags are tried
MIN_PEAK_SHARE = 0.75  # of the highest autocorrelation, from which a shorter season is preferred
ROUNDING = 1e-12  # of the largest value: smaller changes are rounding errors
OUTLIER = 5.0  # robust standard deviations at which a difference is clipped


def season_of(target: FloatArray, offsets: IntArray) -> int:
    """Steps of the shortest season that the series in `target` [R] clearly have; 1 = none. `offsets` [N+1] separate them.

    Only the older half of each series is read, so that test windows have no influence. It must hold three whole seasons.
    """
    ends = offsets[:-1] + np.diff(offsets) // 2
    chosen = evenly(len(ends), MAX_SERIES)
    halves = [target[max(offsets[n], ends[n] - MAX_ROWS) : ends[n]] for n in chosen]
    found = [one for one in map(_autocorrelation, halves) if one is not None]
    if not found:
        return 1
    counts = np.array([len(one) for one in found])
    lags = int(np.median(counts))  # half the series have as many
    long = [one[:lags] for one in found if len(one) >= lags]
    mean = np.mean(long, axis=0)
    minimum = max(MIN_CORRELATION, MIN_STANDARD_ERRORS / np.sqrt(1.5 * lags * len(long)))
    peaks = [m for m in range(2, (lags + 1) // 2) if _is_season(mean, m, minimum)]
    if not peaks:
        return 1
    best = max(mean[m] for m in peaks)
    return next(m for m in peaks if mean[m] >= MIN_PEAK_SHARE * best)


def _is_season(correlation: FloatArray, m: int, minimum: float) -> bool:
    """Whether the autocorrelation at lag m is a peak, at least `minimum`, and high at lag 2m, too."""
    here = correlation[m]
    peak = here > correlation[m - 1] and here >= correlation[m + 1]
    return bool(peak and here >= minimum and correlation[2 * m] >= 0.5 * here)


def _autocorrelation(values: FloatArray) -> FloatArray | None:
    """Autocorrelation [lags] of one series' differences, at lags up to two thirds of its rows; None where the series is
    too short or constant.
    """
    # Scaled to about 1 by a power of two, which rounds nothing: products of values near 1e308 would overflow.
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
    lags = np.arange(min(2 * rows // 3, 2 * MAX_SEASON) + 1)
    raw: FloatArray = np.fft.irfft(spectrum * np.conj(spectrum))[lags] / power
    return raw * rows / (rows - lags)
