"""Sequential tests for a series of scores: has the level risen, is the mean above a bound? With a false-alarm rate.

Each test bets against its null hypothesis, score by score. A bet is an e-value: under the null hypothesis its mean, given
the scores before, is at most 1. The Shiryaev-Roberts statistic R_t = (1 + R_{t-1}) e_t adds the bets that began at each score,
so that a change at any time is found. Under the null hypothesis the mean of R_t is at most t: an alarm at R_t >= A comes
by score t with a probability of at most t / A, whatever the distribution of the scores.

Sources: Shin, Ramdas, Rinaldo: E-detectors, a nonparametric framework for sequential change detection (2023); Vovk, Petej,
Nouretdinov, Ahlberg, Carlsson, Gammerman: Retrain or not retrain, conformal test martingales for change-point detection (2021).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from forecaster.typing import BoolArray, FloatArray, IntArray

POWERS = (0.25, 0.5)  # bets on small p-values: power * p ** (power - 1) has a mean of 1 for uniform p
STAKES = (0.9, 0.5)  # shares of the wealth that are bet on a mean above its bound
CAP = 2.0  # times the threshold: so that an alarm ends soon after its cause
CLEAR = 0.06  # times the threshold: below it an alarm ends
MIN_SCORES = 8  # scores, to estimate an autocorrelation


@dataclass(frozen=True)
class TestState:
    """A sequential test after the latest score."""

    alarm: BoolArray  # [T] whether there is an alarm after each score
    since: int | None  # the first score after the change that the last alarm is about; None: no alarm now

    @property
    def alarms(self) -> int:
        """How often an alarm has begun."""
        return int(np.diff(self.alarm.astype(np.int64), prepend=0).clip(0).sum())


class _Bets:
    """The statistics of some bets, and the alarm that their mean gives."""

    def __init__(self, bets: int, threshold: float) -> None:
        self.statistics, self.threshold = [0.0] * bets, threshold
        self.alarm = False
        self.evidence = 0.0  # logarithm of the product of the boldest bets, which come first
        self.lowest, self.lowest_at = 0.0, 0  # of the evidence, before the alarm

    def add(self, t: int, bets: list[float]) -> bool:
        """Take in the bets on score `t`. Returns whether there is an alarm."""
        if self.evidence <= self.lowest and not self.alarm:
            self.lowest, self.lowest_at = self.evidence, t
        self.evidence += math.log(max(bets[0], 1e-12))
        highest = CAP * self.threshold
        self.statistics = [min((1 + old) * bet, highest) for old, bet in zip(self.statistics, bets, strict=True)]
        level = sum(self.statistics) / len(bets)
        self.alarm = level >= self.threshold or (self.alarm and level >= CLEAR * self.threshold)
        return self.alarm

    def restart(self) -> None:
        """Forget an alarm, as another model makes the forecasts now."""
        if self.alarm:
            self.statistics = [0.0] * len(self.statistics)
            self.alarm, self.lowest = False, math.inf


def level_test(
    scores: FloatArray,
    threshold: float,
    restart: BoolArray | None = None,
    choose: Callable[[IntArray], int] | None = None,
) -> TestState:
    """Whether the scores [T] have risen. Null hypothesis: each order of the scores is equally likely.

    A score's p-value is its rank among the scores before it. Scores during an alarm are not among these, so a lasting rise
    is not taken for the normal level. Of autocorrelated scores, what follows from the score before is subtracted, and the
    bets are weakened (`_informative_share`), as large scores still come in groups. `restart` [T]: before these scores an
    alarm is forgotten. Scores [T, C] of C kinds: `choose` is given the positions of scores before, and returns the kind.
    """
    kinds = scores if scores.ndim > 1 else scores[:, None]
    bets = _Bets(len(POWERS), threshold)
    reference: list[int] = []  # positions, in the order of time
    ascending: list[float] = []
    kind, correlation, mean, due = 0, 0.0, 0.0, MIN_SCORES
    alarm = np.zeros(len(kinds), np.bool_)
    for t in range(len(kinds)):
        if restart is not None and restart[t]:
            bets.restart()
        if len(reference) >= due:  # again after each tenth more
            before, due = np.array(reference), len(reference) * 11 // 10 + 1
            kind = choose(before) if choose else 0
            past = kinds[before, kind]
            correlation, mean = _autocorrelation(np.argsort(np.argsort(past)).astype(np.float64)), float(past.mean())
            ascending = np.sort(past - correlation * (kinds[before - 1, kind] - mean) * (before > 0)).tolist()
        new = float(kinds[t, kind] - correlation * (kinds[t - 1, kind] - mean))
        below, not_above = bisect_left(ascending, new), bisect_right(ascending, new)
        p = (len(ascending) - not_above + (not_above - below + 1) / 2) / (len(ascending) + 1)
        share = _informative_share(correlation)
        alarm[t] = bets.add(t, [(power * p ** (power - 1)) ** share for power in POWERS])
        if not alarm[t]:
            reference.append(t)
            insort(ascending, new)
    return TestState(alarm, bets.lowest_at if bets.alarm else None)


def mean_test(excess: FloatArray, largest_loss: float, threshold: float, restart: BoolArray | None = None) -> TestState:
    """Whether the mean of `excess` [T] is above 0. Null hypothesis: given the scores before, it is at most 0.

    `largest_loss`: `excess` is never below minus this. Autocorrelation weakens the bets (`_informative_share`); that of the
    scores before and after the change that the bets speak for, each about its own mean, as a lasting change is none.
    `restart` [T]: before these scores an alarm is forgotten.
    """
    bets = _Bets(len(STAKES), threshold)
    past: list[float] = []  # outside alarms
    places: list[int] = []  # theirs, in the order of time
    share, due = 1.0, MIN_SCORES
    alarm = np.zeros(len(excess), np.bool_)
    for t, value in enumerate((excess / largest_loss).tolist()):
        if restart is not None and restart[t]:
            bets.restart()
        if len(past) >= due:
            change = bisect_left(places, bets.lowest_at)
            share, due = _informative_share(_autocorrelation(np.array(past), change)), len(past) * 11 // 10 + 1
        alarm[t] = bets.add(t, [(1 + stake * value) ** share for stake in STAKES])
        if not alarm[t]:
            past.append(value)
            places.append(t)
    return TestState(alarm, bets.lowest_at if bets.alarm else None)


def _informative_share(correlation: float) -> float:
    """The power to which bets are raised: n scores with an autocorrelation r inform like n (1 - r) / (1 + r) in a mean.

    In a tail they inform less, as large scores come in groups: it is the square. Raised to a power below 1, a bet is an
    e-value still.
    """
    return ((1 - correlation) / (1 + correlation)) ** 2


def _autocorrelation(values: FloatArray, change: int = 0) -> float:
    """The autocorrelation at lag 1, less its standard error where there is none, where this is positive; else 0.

    Those before the position `change`, and those from there on, have a mean of their own.
    """
    centred = np.concatenate([part - part.mean() for part in (values[:change], values[change:]) if len(part)])
    square = float((centred * centred).sum())
    if square <= len(values) * (1e-9 * float(np.abs(values).max())) ** 2:  # of constants, what rounding leaves
        return 0.0
    return max(0.0, float((centred[1:] * centred[:-1]).sum()) / square - 1 / math.sqrt(len(values)))
