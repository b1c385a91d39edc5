"""Sequential tests of a ledger's forecasts: have the errors risen, are they above naive's, do the quantiles cover?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.time_zones import DAY
from forecaster.evaluation.sequential_tests import TestState, level_test, mean_test

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.typing import BoolArray, FloatArray, IntArray

# The bound of the theorem, for all tests together. It holds whatever the distribution of the errors, where no
# correlation is subtracted, and is not tight: in simulated years (benchmarks/monitoring.py) there is less than one.
MAX_FALSE_ALARMS_PER_YEAR = 2.8
MIN_PERIODS_PER_ALARM = 20.0  # where a year has few periods, as with months
MIN_CUTOFFS = 5  # with their actuals, for a verdict that all is well
RISE, NAIVE, COVERAGE = "rise", "naive", "coverage"
# Test -> its share of the false alarms. The first finds a doubled error soonest, the others a model that never was good.
SHARES = {RISE: 0.77, NAIVE: 0.05, COVERAGE: 0.18}
# Of the false alarms, those of stretches as long as cutoffs are apart, and of whole horizons where these are longer.
LENGTH_SHARES = (0.92, 0.08)
COVERAGE_GAP = 0.1  # between nominal and empirical coverage, which a calibration on few windows may have
# Candidates for the correlation of a series' deviation with the one before; 0 first, while it is unknown.
CORRELATIONS = (0.0, *(sign * tenth / 10 for tenth in range(1, 10) for sign in (1, -1)))
YEAR = 365.25 * DAY  # microseconds


@dataclass(frozen=True)
class LiveErrors:
    """E forecasts of one step with their actuals, of one or more versions of a model."""

    version: IntArray  # [E]
    series: IntArray  # [E] its number
    cutoff: IntArray  # [E] in steps (`Freq.ordinals`)
    step: IntArray  # [E] from 1
    timestamp: IntArray  # [E] of the actual, in steps
    deviation: FloatArray  # [E] forecast minus actual, scaled
    naive: FloatArray  # [E] that of seasonal naive
    missed: FloatArray  # [E] 1 = outside the outermost quantiles, 0 = inside; NaN = no quantiles
    nominal_missed: FloatArray  # [E] nominal share of actuals outside

    @property
    def error(self) -> FloatArray:
        """[E] absolute error, scaled."""
        return np.abs(self.deviation)

    def take(self, chosen: BoolArray) -> LiveErrors:
        """The forecasts at these positions."""
        return LiveErrors(**{name: values[chosen] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Alarm:
    """What a test has found."""

    test: str  # rise | naive | coverage
    since: int  # the first step after the change
    before: LiveErrors  # the forecasts for the steps before
    after: LiveErrors

    def reason(self, since: str) -> str:
        """As a clause. `since`: the first timestamp after the change, as text."""
        error, naive = _mean(self.after.error), _mean(self.after.naive)
        if self.test == RISE:
            old, old_naive = _mean(self.before.error), _mean(self.before.naive)
            of_naive = f", seasonal naive's {naive / old_naive:.2f} times" if old_naive > 0 else ""
            times = f"{error / old:.2f} times" if old > 0 else "above"
            return f"since {since} its error is {times} the error before{of_naive}"
        if self.test == NAIVE:
            times = f"{error / naive:.2f} of" if naive > 0 else "above"
            return f"since {since} its error is {times} seasonal naive's"
        covered, nominal = 1 - _mean(self.after.missed), 1 - _mean(self.after.nominal_missed)
        return f"since {since} its quantiles cover {covered:.0%} of the actuals, not {nominal:.0%}"


@dataclass(frozen=True)
class LiveTests:
    """The results of the tests."""

    cutoffs: int  # stretches between two cutoffs whose actuals are all there
    alarms: tuple[Alarm, ...]  # now
    count: int  # alarms since the first forecast, by all tests
    first: int  # the first step after the change, or of the latest stretches


def joined(parts: list[LiveErrors]) -> LiveErrors:
    """The forecasts of several versions."""
    return LiveErrors(**{name: np.concatenate([vars(one)[name] for one in parts]) for name in vars(parts[0])})


def live_tests(errors: LiveErrors, horizon: int, freq: Freq) -> LiveTests:
    """Test the scores of each stretch of steps.

    A stretch is as long as the usual distance of two cutoffs, and its score is of the first steps of each forecast: the scores
    share no actuals, and each cutoff counts once, however many series and steps it has. With forecasts more often than each
    horizon, stretches of a whole horizon are tested, too, with a small share of the false alarms.
    """
    if not len(errors.step):
        return LiveTests(0, (), 0, 0)
    distances = np.diff(np.unique(errors.cutoff))
    usual = int(np.clip(np.median(distances), 1, horizon)) if len(distances) else horizon
    lengths = tuple(dict.fromkeys((usual, horizon)))
    found = [_Stretches(errors, length) for length in lengths]
    alarms: list[Alarm] = []
    count = 0
    for stretches, share in zip(found, LENGTH_SHARES if len(found) > 1 else (1.0,), strict=True):
        threshold = max(MIN_PERIODS_PER_ALARM, periods_per_year(freq, stretches.length)) / MAX_FALSE_ALARMS_PER_YEAR
        for test, state in stretches.tests(threshold / share).items():
            count += state.alarms
            if state.since is not None and all(one.test != test for one in alarms):
                alarms.append(stretches.alarm(test, state.since))
    first = min((one.since for one in alarms), default=found[0].first_of_latest(2 * MIN_CUTOFFS))
    return LiveTests(found[0].count, tuple(alarms), count, first)


def periods_per_year(freq: Freq, steps: int) -> float:
    """Stretches of so many steps in a year. Whole-number steps are taken for days."""
    a_year = {"clock": YEAR, "B": 261.0, "month": 12.0, "step": 365.25 * freq.count}[freq.unit]
    return a_year / (freq.count * steps)


class _Stretches:
    """Stretches of `length` steps whose actuals are all there, and the scores of each."""

    def __init__(self, errors: LiveErrors, length: int) -> None:
        self.length, self.origin = length, int(errors.cutoff.min()) + 1
        number = (errors.timestamp - self.origin) // length
        whole = (int(errors.timestamp.max()) + 1 - self.origin) // length
        used = (errors.step <= length) & (number < whole) & (number >= 0)
        self.errors, self.every = errors.take(used), errors
        self.numbers, self.index = np.unique(number[used], return_inverse=True)
        self.count = len(self.numbers)

    def tests(self, threshold: float) -> dict[str, TestState]:
        """The state of each test. `threshold`: in scores for each false alarm of all tests."""
        found: dict[str, TestState] = {}
        error, naive = self._means(self.errors.error), self._means(self.errors.naive)
        latest = np.full(self.count, -1, np.int64)
        np.maximum.at(latest, self.index, self.errors.version)
        restart = np.diff(latest, prepend=latest[:1]) != 0  # after a rollback it is a lower number
        valid = ~np.isnan(error)
        found[RISE] = _spread(self._rise(valid, threshold / SHARES[RISE], restart[valid]), valid)
        both = np.where(np.isnan(error + naive), 0.0, error + naive)
        excess = np.divide(error - naive, both, out=np.zeros(self.count), where=both > 0)
        found[NAIVE] = mean_test(excess, 1.0, threshold / SHARES[NAIVE], restart)
        missed = self._means(self.errors.missed)
        allowed = self._means(self.errors.nominal_missed) + COVERAGE_GAP
        known = ~np.isnan(missed)
        if known.any():
            # Divided by the allowed share, the excess is never below -1.
            excess = missed[known] / allowed[known] - 1.0
            found[COVERAGE] = _spread(mean_test(excess, 1.0, threshold / SHARES[COVERAGE], restart[known]), known)
        return found

    def _rise(self, valid: BoolArray, threshold: float, restart: BoolArray) -> TestState:
        """Whether the error has risen. `valid` [stretches]: those that have a score.

        Stretches of one step are tested for what each series' error before does not tell. If the deviations are d_t = r
        d_{t-1} + e_t, where d is autocorrelated, so is its size, and tests of sizes lose much; e is not autocorrelated.
        """
        if self.length > 1:
            return level_test(self._means(self.errors.error)[valid], threshold, restart)
        now, before = self.errors.deviation, self._deviations_before()
        both = ~np.isnan(before)
        sizes = [
            np.where(both, np.abs(now - r * np.nan_to_num(before)), math.sqrt(1 - r * r) * np.abs(now))
            for r in CORRELATIONS
        ]
        x, y = now[both], before[both]
        sums = np.stack(
            [self._sums(self.index[both], values)[valid] for values in (x, y, x * y, y * y, np.ones_like(x))]
        )

        def nearest(stretches: IntArray) -> int:
            """The position in CORRELATIONS of what these stretches have."""
            sum_x, sum_y, product, square, count = sums[:, stretches].sum(axis=1)
            variance = square - sum_y * sum_y / max(count, 1.0)
            r = (product - sum_x * sum_y / max(count, 1.0)) / variance if variance > 0 else 0.0
            return int(np.argmin(np.abs(np.array(CORRELATIONS) - r)))

        return level_test(np.stack([self._means(size)[valid] for size in sizes], axis=1), threshold, restart, nearest)

    def _deviations_before(self) -> FloatArray:
        """[E] the deviation of the same series one stretch before; NaN where there is none."""
        key = self.errors.series * (self.count + 1) + self.index
        keys, place = np.unique(key, return_inverse=True)
        mean = np.bincount(place, self.errors.deviation) / np.bincount(place)
        adjacent = np.diff(self.numbers, prepend=self.numbers[:1]) == 1  # no stretch is missing between
        at = np.searchsorted(keys, keys - 1)
        there = (keys[at] == keys - 1) & adjacent[keys % (self.count + 1)]
        found: FloatArray = np.where(there, mean[at], np.nan)[place]
        return found

    def alarm(self, test: str, stretch: int) -> Alarm:
        """The alarm of a test about a change at the beginning of this stretch."""
        since = int(self.origin + self.numbers[stretch] * self.length)
        before = self.every.timestamp < since
        return Alarm(test, since, self.every.take(before), self.every.take(~before))

    def first_of_latest(self, stretches: int) -> int:
        """The first step of the latest stretches."""
        if not self.count:
            return self.origin
        return int(self.origin + self.numbers[-min(stretches, self.count)] * self.length)

    def _means(self, values: FloatArray) -> FloatArray:
        """[stretches] means of `values` [E]; NaN where there is none."""
        there = ~np.isnan(values)
        count = np.bincount(self.index[there], minlength=self.count)
        total = self._sums(self.index[there], values[there])
        found: FloatArray = np.divide(total, count, out=np.full(self.count, np.nan), where=count > 0)
        return found

    def _sums(self, stretches: IntArray, values: FloatArray) -> FloatArray:
        """[stretches] sums of values, each of a stretch."""
        found: FloatArray = np.bincount(stretches, values, minlength=self.count).astype(np.float64)
        return found


def _spread(state: TestState, tested: BoolArray) -> TestState:
    """The state with positions among all stretches."""
    since = None if state.since is None else int(np.flatnonzero(tested)[state.since])
    return TestState(state.alarm, since)


def _mean(values: FloatArray) -> float:
    """The mean of what is there; NaN where nothing is."""
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")
