"""Infers the season length: from the timestamps, if the values do not clearly have another, or from the values alone.

The values show a season as a peak of the autocorrelation of differences, so that trends do not count, averaged over the series
(Box & Jenkins 1976, §2.1). From row to row a smooth season of many rows changes less than noise does, so differences over
several rows are looked at, too: those of a random walk over k rows have an autocorrelation of 0 from lag k on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.day_deviations import SPREAD
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
SPANS = (
    1,
    2,
    4,
    8,
    16,
    32,
    64,
    128,
)  # rows between the two of a difference; those of a season are at least twice as many
SAME_SEASON = 1.1  # times the rows of a season: what is no longer is that season, less exactly found
MAX_OTHERS = 2  # seasons that are noted besides the one that is taken


@dataclass(frozen=True)
class _Correlation:
    """Autocorrelation at lags from 0, averaged over series."""

    mean: FloatArray  # [lags]
    error: float  # standard error of one without a season
    span: int  # rows between the two of each difference

    @property
    def minimum(self) -> float:
        """That a season must have."""
        return max(MIN_CORRELATION, MIN_STANDARD_ERRORS * self.error)

    def tests(self, m: int) -> bool:
        """Whether there are enough lags to know whether m is a season."""
        return max(2, 2 * self.span * (self.span > 1)) <= m < (len(self.mean) + 1) // 2

    def is_season(self, m: int, tolerance: float = 0.0) -> bool:
        """Whether it is a peak at lag m, high enough, high at lag 2m, too, and far above the lowest before and after it.

        The changes of a season sum to 0, so that some lags before it have no positive autocorrelation. Where all have, as in a
        recession of monthly values, the changes last, and come again at no lag. Where those before it have none and those after
        it do, noise has lowered the first lag of changes that last.
        """
        here = self.mean[m]
        peak = here > self.mean[m - 1] - tolerance and here >= self.mean[m + 1] - tolerance
        comes_again = here >= self.minimum and self.mean[2 * m] >= 0.5 * here
        valleys = self.mean[1:m].min(), self.mean[m + 1 : 2 * m].min()
        return bool(peak and comes_again and max(valleys) < MAX_VALLEY * here)

    def peaks(self) -> list[SeasonStrength]:
        """Seasons up to MAX_SEASON, ascending."""
        most = min((len(self.mean) + 1) // 2, MAX_SEASON + 1)
        return [SeasonStrength(m, float(self.mean[m])) for m in range(2, most) if self.tests(m) and self.is_season(m)]

    def at(self, m: int) -> SeasonStrength:
        return SeasonStrength(m, round(float(np.clip(self.mean[m], -1.0, 1.0)), 2) + 0.0)  # + 0: no -0.00


def _best(found: Sequence[_Correlation]) -> int:
    """The shortest of the seasons that are about as clear as the clearest; 1 = none."""
    peaks = [peak for one in found for peak in one.peaks()]
    highest = max((peak.strength for peak in peaks), default=0.0)
    clear = [peak for peak in peaks if peak.strength >= MIN_PEAK_SHARE * highest]
    shortest = min((peak.length for peak in clear), default=1)
    same = [peak for peak in clear if _same(peak.length, shortest)]
    return max(same, key=lambda peak: peak.strength).length if same else 1


def _same(one: int, other: int) -> bool:
    """Whether two lengths are those of one season, one of them less exactly found."""
    return max(one, other) <= SAME_SEASON * min(one, other)


def infer_season(target: FloatArray, offsets: IntArray, freq: Freq) -> Season:
    """The season of the series in `target` [R], separated by `offsets` [N+1], whose timestamps have the frequency `freq`.

    Only the older half of each series is read, so that test windows have no influence. Numbered rows have the shortest season
    that the values clearly show, three times at least. Dated ones have that of the calendar, unless the values do not show it
    and clearly show another one from row to row: then theirs. Where the rows are too few to test the calendar's, it stays if
    they have two of it.
    """
    if freq.whole_numbers:
        return _season_of_numbered(target, offsets)
    calendar, usual = freq.season_length, usual_seasons(freq)
    longest = max([m for m in usual if m <= MAX_TESTED], default=0)
    rows = max(MAX_ROWS, 6 * longest)
    halves = _older_halves(target, offsets, rows, MAX_DATED_SERIES)
    found = next(iter(_correlations(halves, rows, SPANS[:1])), None)
    if found is None:
        return Season(calendar, "calendar")
    own, against = _best([found]), 1 < calendar < len(found.mean) and found.mean[calendar] < 0.0
    shown = found.tests(calendar) and found.is_season(calendar, found.error)
    clearest = found  # of the differences that show the calendar's season
    if not shown and 1 < calendar < len(found.mean):
        longer = _correlations(halves, rows, [span for span in SPANS[1:] if 2 * span <= calendar])
        showing = [one for one in longer if one.tests(calendar) and one.is_season(calendar, one.error)]
        clearest, shown = max(showing, key=lambda one: one.mean[calendar], default=found), bool(showing)
    tested = found.tests(calendar) or against
    few = not tested and np.median(np.diff(offsets)) < 2 * calendar
    least = MIN_OTHER_CORRELATION + (max(found.mean[calendar], 0.0) if tested else 0.0)
    if own > 1 and (calendar == 1 or few or (tested and not shown)) and found.mean[own] >= least:
        others = [clearest.at(calendar)] if tested else []
        return Season(own, "values", found.at(own).strength, tuple(others))
    also = [m for m in (*usual, own) if not _same(m, calendar) and found.tests(m) and found.is_season(m)]
    others = [found.at(m) for m in dict.fromkeys(also)][:MAX_OTHERS]
    strength = clearest.at(calendar).strength if 1 < calendar < len(found.mean) else None
    if strength is not None and strength < MIN_CORRELATION and not found.tests(calendar):
        strength = None  # two seasons with noise do not show that there is none
    return Season(calendar, "calendar", strength, tuple(others))


def _season_of_numbered(target: FloatArray, offsets: IntArray) -> Season:
    """The season of rows that have no calendar."""
    halves = _older_halves(target, offsets, MAX_ROWS, MAX_SERIES)
    found = _correlations(halves, MAX_ROWS, SPANS)
    if not found:
        return Season(1, "calendar")
    own = _best(found)
    strength = max(one.at(own).strength for one in found if one.tests(own)) if own > 1 else None
    return Season(own, "values" if own > 1 else "calendar", strength)


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


def _older_halves(target: FloatArray, offsets: IntArray, rows: int, series: int) -> list[FloatArray]:
    """The older half of some `series`, `rows` of it at most. Of series with more than MAX_ROWS rows fewer are read."""
    ends = offsets[:-1] + np.diff(offsets) // 2
    chosen = evenly(len(ends), max(series * MAX_ROWS // rows, 1))
    return [target[max(offsets[n], ends[n] - rows) : ends[n]] for n in chosen]


def _correlations(halves: Sequence[FloatArray], rows: int, spans: Sequence[int]) -> list[_Correlation]:
    """The averages over the series at lags up to a third of `rows`, of each of the spans for which some are long enough."""
    found = []
    for span in spans:
        each = [one for one in (_autocorrelation(half, rows // 3, span) for half in halves) if one is not None]
        if not each:
            break
        lags = int(np.median([len(one) for one in each]))  # half the series have as many
        long = [one[:lags] for one in each if len(one) >= lags]
        # Differences that overlap are correlated: Bartlett 1946.
        overlap = np.sqrt(1.0 + 2.0 * np.sum((1.0 - np.arange(1, span) / span) ** 2))
        found.append(_Correlation(np.mean(long, axis=0), float(overlap / np.sqrt(1.5 * lags * len(long))), span))
    return found


def _autocorrelation(values: FloatArray, longest: int, span: int) -> FloatArray | None:
    """Autocorrelation [lags] of one series' differences over `span` rows, at lags up to two thirds of its rows and to `longest`.

    None where the series is too short or constant.
    """
    # Scaled to about 1 by a power of two, which rounds nothing: products of values near 1e308 would overflow.
    largest = np.max(np.abs(values), where=~np.isnan(values), initial=0.0)
    scaled = np.ldexp(values, -int(np.frexp(largest)[1]))
    change = scaled[span:] - scaled[:-span]
    seen = ~np.isnan(change)
    if seen.sum() < 8:
        return None
    change = change - np.median(change[seen])
    spread = SPREAD * float(np.median(np.abs(change[seen])))
    change = np.where(seen, np.clip(change, -OUTLIER * spread, OUTLIER * spread) if spread > 0 else change, 0.0)
    power = float(change @ change)
    if not power > len(change) * ROUNDING**2:
        return None
    rows = len(change)
    spectrum = np.fft.rfft(change, 2 * rows)
    lags = np.arange(min(2 * rows // 3, longest) + 1)
    raw: FloatArray = np.fft.irfft(spectrum * np.conj(spectrum))[lags] / power
    return raw * rows / (rows - lags)
