"""Infers the season length: from the timestamps, if the values do not clearly have another, or from the values alone.

The values show a season as a peak of the autocorrelation of first differences, so that trends do not count, averaged over
the series (Box & Jenkins 1976, §2.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.panel import MIN_CORRELATION, Season, SeasonStrength
from forecaster.data.time_zones import DAY
from forecaster.data.windows import evenly

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.typing import FloatArray, IntArray

MAX_SEASON = 400  # steps
MAX_TESTED = 2016  # steps of a usual season that is noted, but not taken: two weeks of 10-minute rows
MAX_SERIES, MAX_ROWS = 300, 6 * MAX_SEASON  # that are read
MAX_DATED_SERIES = 100  # whose dates propose a season already
MIN_OTHER_CORRELATION = 0.3  # at a season that takes the place of the calendar's, above the calendar's own
MIN_STANDARD_ERRORS = 4.0  # above 0, since many lags are tried
MIN_PEAK_SHARE = 0.75  # of the highest autocorrelation, from which a shorter season is preferred
MAX_VALLEY = 0.5  # of the autocorrelation at a season: what the lowest at a shorter lag is below
ROUNDING = 1e-12  # of the largest value: smaller changes are rounding errors
OUTLIER = 5.0  # robust standard deviations at which a difference is clipped
MAX_OTHERS = 2  # seasons that are noted besides the one that is taken


@dataclass(frozen=True)
class _Correlation:
    """Autocorrelation at lags from 0, averaged over series."""

    mean: FloatArray  # [lags]
    error: float  # standard error of one without a season

    @property
    def minimum(self) -> float:
        """That a season must have."""
        return max(MIN_CORRELATION, MIN_STANDARD_ERRORS * self.error)

    def tests(self, m: int) -> bool:
        """Whether there are enough lags to know whether m is a season."""
        return 2 <= m < (len(self.mean) + 1) // 2

    def is_season(self, m: int, tolerance: float = 0.0) -> bool:
        """Whether it is a peak at lag m, high enough, high at lag 2m, too, and far above the lowest before it.

        The changes of a season sum to 0, so that some lags before it have no positive autocorrelation. Where all have, as in a
        recession of monthly values, the changes last, and come again at no lag.
        """
        here = self.mean[m]
        peak = here > self.mean[m - 1] - tolerance and here >= self.mean[m + 1] - tolerance
        comes_again = here >= self.minimum and self.mean[2 * m] >= 0.5 * here
        return bool(peak and comes_again and self.mean[1:m].min() < MAX_VALLEY * here)

    def peaks(self) -> list[int]:
        """Lags at which there is a season, up to MAX_SEASON."""
        most = min((len(self.mean) + 1) // 2, MAX_SEASON + 1)
        return [m for m in range(2, most) if self.is_season(m)]

    def best(self) -> int:
        """The shortest of the seasons that are about as clear as the clearest; 1 = none."""
        peaks = self.peaks()
        if not peaks:
            return 1
        highest = max(self.mean[m] for m in peaks)
        return next(m for m in peaks if self.mean[m] >= MIN_PEAK_SHARE * highest)

    def at(self, m: int) -> SeasonStrength:
        return SeasonStrength(m, round(float(np.clip(self.mean[m], -1.0, 1.0)), 2) + 0.0)  # + 0: no -0.00


def season_of(target: FloatArray, offsets: IntArray) -> int:
    """Steps of the shortest season that the series in `target` [R] clearly have; 1 = none. `offsets` [N+1] separate them.

    Only the older half of each series is read, so that test windows have no influence. It must hold three whole seasons.
    """
    found = _correlation(target, offsets, MAX_ROWS, MAX_SERIES)
    return 1 if found is None else found.best()


def infer_season(target: FloatArray, offsets: IntArray, freq: Freq) -> Season:
    """The season of series as in `season_of`, whose timestamps have the frequency `freq`.

    That of the calendar, unless the values do not show it and clearly show another one: then theirs. Where
    the rows are too few to test the calendar's, it stays if they have two of it.
    """
    calendar, usual = freq.season_length, usual_seasons(freq)
    longest = max([m for m in usual if m <= MAX_TESTED], default=0)
    series = MAX_SERIES if freq.whole_numbers else MAX_DATED_SERIES
    found = _correlation(target, offsets, max(MAX_ROWS, 6 * longest), series)
    if found is None:
        return Season(calendar, "calendar")
    own, shown = found.best(), found.tests(calendar) and found.is_season(calendar, found.error)
    against = 1 < calendar < len(found.mean) and found.mean[calendar] < 0.0  # of a season this is not so
    tested = found.tests(calendar) or against
    few = not tested and np.median(np.diff(offsets)) < 2 * calendar
    least = 0.0 if freq.whole_numbers else MIN_OTHER_CORRELATION + (max(found.mean[calendar], 0.0) if tested else 0.0)
    if own > 1 and (calendar == 1 or few or (tested and not shown)) and found.mean[own] >= least:
        others = [found.at(calendar)] if tested else []
        return Season(own, "values", found.at(own).strength, tuple(others))
    also = [m for m in (*usual, own) if m not in (1, calendar) and found.tests(m) and found.is_season(m)]
    others = [found.at(m) for m in dict.fromkeys(also)][:MAX_OTHERS]
    strength = found.at(calendar).strength if 1 < calendar < len(found.mean) else None
    return Season(calendar, "calendar", strength, tuple(others))


def usual_seasons(freq: Freq) -> tuple[int, ...]:
    """Steps of the hour, day, week and year, or of the quarter and year, as far as they are whole numbers of steps of `freq`."""
    if freq.whole_numbers or freq.slots:
        return ()
    if freq.unit == "B":
        return tuple(days // freq.count for days in (5, 260) if days % freq.count == 0)
    if freq.unit == "month":
        return tuple(months // freq.count for months in (3, 6, 12) if months % freq.count == 0 and months > freq.count)
    spans = (DAY // 24, DAY, 7 * DAY, 364 * DAY)
    return tuple(span // freq.count for span in spans if span % freq.count == 0 and span > freq.count)


def _correlation(target: FloatArray, offsets: IntArray, rows: int, series: int) -> _Correlation | None:
    """The average over some `series`, of the older half of each, `rows` of it at most; None where none is long enough.

    Of series with more than MAX_ROWS rows fewer are read.
    """
    ends = offsets[:-1] + np.diff(offsets) // 2
    chosen = evenly(len(ends), max(series * MAX_ROWS // rows, 1))
    halves = [target[max(offsets[n], ends[n] - rows) : ends[n]] for n in chosen]
    found = [one for one in (_autocorrelation(half, rows // 3) for half in halves) if one is not None]
    if not found:
        return None
    counts = np.array([len(one) for one in found])
    lags = int(np.median(counts))  # half the series have as many
    long = [one[:lags] for one in found if len(one) >= lags]
    return _Correlation(np.mean(long, axis=0), float(1 / np.sqrt(1.5 * lags * len(long))))


def _autocorrelation(values: FloatArray, longest: int) -> FloatArray | None:
    """Autocorrelation [lags] of one series' differences, at lags up to two thirds of its rows and to `longest`; None where the
    series is too short or constant.
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
    lags = np.arange(min(2 * rows // 3, longest) + 1)
    raw: FloatArray = np.fft.irfft(spectrum * np.conj(spectrum))[lags] / power
    return raw * rows / (rows - lags)
