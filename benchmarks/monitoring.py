#!/usr/bin/env python3
"""False alarms and delays of `monitor`: simulated years of forecasts, with and without a break.

    python benchmarks/monitoring.py [--years 200] [--seed 0]

Each year is one daily series. Its forecasts are made weekly with a horizon of 7, daily with a horizon of 1, or daily with a
horizon of 7. Errors are normal, Laplace or Student's t (3 degrees), autocorrelated (AR(1), .5), or share a level within a
forecast; naive's errors are of the same kind, 1.3 times as large, and the quantiles cover 80 % at each step. In the middle of
a year with a break the errors double. Prints the alarms in a year without a break, the share of breaks found within ten
cutoffs, the median cutoffs to an alarm, and for daily forecasts the share that is found by a test that knows both distributions
(`found_knowing_distributions`), and the largest that any test could find (`most_found`).
"""

from __future__ import annotations

import argparse
from functools import cache

import numpy as np

from forecaster.commands.live_tests import LiveErrors, live_tests
from forecaster.data.freq import Freq

DAYS = 364
PLANS = {
    "weekly, horizon 7": (7, 7),
    "daily, horizon 1": (1, 1),
    "daily, horizon 7": (1, 7),
}  # cutoff distance, horizon
NOISES = ("normal", "laplace", "student-t", "autocorrelated", "levels")
NOMINAL = 0.8


def errors_of(noise: str, days: int, rng: np.random.Generator) -> np.ndarray:
    """[days] the errors of a forecast one step ahead."""
    if noise == "autocorrelated":
        found = rng.normal(size=days)
        for day in range(1, days):
            found[day] += 0.5 * found[day - 1]
        return found
    if noise == "student-t":
        return rng.standard_t(3, days)
    return rng.laplace(size=days) if noise == "laplace" else rng.normal(size=days)


def errors_by_cutoff(
    noise: str, plan: tuple[int, int], days: int, rng: np.random.Generator, broken_at: int | None = None
) -> np.ndarray:
    """[cutoffs, horizon] errors. An optimal forecast's error h steps ahead sums the shocks since its cutoff."""
    distance, horizon = plan
    cutoffs = np.arange(0, days - horizon + 1, distance)
    shocks = errors_of(noise, days + 1, rng)
    if broken_at is not None:
        shocks[broken_at + 1 :] *= 2
    step = np.arange(1, horizon + 1)
    stamp = cutoffs[:, None] + step
    weights = np.where(step > 1, 0.3, 0.0)  # of the shocks since the cutoff, in addition to the last
    total = np.cumsum(np.concatenate([[0.0], shocks[1:]]))
    error = shocks[stamp] + weights * (total[stamp - 1] - total[cutoffs[:, None]])
    if noise == "levels":
        factor = np.where(cutoffs >= (days + 1 if broken_at is None else broken_at), 2, 1)
        error = error + (factor * rng.normal(size=len(cutoffs)))[:, None]
    return error


@cache
def widths(noise: str, plan: tuple[int, int]) -> np.ndarray:
    """[horizon] how far the quantiles are from the point, at each step."""
    error = errors_by_cutoff(noise, plan, 100_000, np.random.default_rng(1))
    return np.quantile(np.abs(error), NOMINAL, axis=0)


def year(noise: str, plan: tuple[int, int], rng: np.random.Generator, broken_at: int | None) -> LiveErrors:
    """A year of forecasts with their actuals."""
    distance, horizon = plan
    deviation = errors_by_cutoff(noise, plan, DAYS, rng, broken_at)
    error = np.abs(deviation)
    naive = 1.3 * np.abs(errors_by_cutoff(noise, plan, DAYS, rng))
    cutoff = np.repeat(np.arange(len(error)) * distance, horizon)
    step = np.tile(np.arange(1, horizon + 1), len(error))
    return LiveErrors(
        version=np.ones(error.size, np.int64),
        series=np.zeros(error.size, np.int64),
        cutoff=cutoff,
        step=step,
        timestamp=cutoff + step,
        deviation=deviation.ravel(),
        naive=naive.ravel(),
        missed=(error > widths(noise, plan)).ravel() * 1.0,
        nominal_missed=np.full(error.size, 1 - NOMINAL),
    )


def most_found(noise: str, cutoffs: int = 10, draws: int = 200_000) -> float | None:
    """The largest share of doublings that any test finds within so many daily cutoffs, at one false alarm in a year.

    With one alarm in DAYS cutoffs, a stretch of `cutoffs` has one with a probability of at most cutoffs / DAYS, on average.
    By the lemma of Neyman and Pearson no test of this size finds more than that of the likelihood ratio of the new errors,
    whose distributions it knows. Later steps of overlapping forecasts are sums of the same errors: they add nothing. None
    where each forecast has an error of its own besides.
    """
    if noise == "levels":
        return None
    usual, doubled = (evidence(noise, factor, draws, cutoffs).sum(axis=1) for factor in (1, 2))
    return float(np.mean(doubled > np.quantile(usual, 1 - cutoffs / DAYS)))


def evidence(noise: str, factor: float, years: int, days: int) -> np.ndarray:
    """[years, days] log-likelihood ratio of doubled over usual errors, of errors times `factor`."""
    log_density = {
        "laplace": lambda error: -np.abs(error),
        "student-t": lambda error: -2 * np.log1p(error**2 / 3),
    }.get(noise, lambda error: -(error**2) / 2)
    kind = "normal" if noise == "autocorrelated" else noise  # what is new in an error is normal
    error = factor * errors_of(kind, years * days, np.random.default_rng(int(factor))).reshape(years, days)
    return log_density(error / 2) - log_density(error) - np.log(2)


def found_knowing_distributions(noise: str, cutoffs: int = 10, years: int = 2000) -> float | None:
    """The share of doublings found within so many daily cutoffs by a test that knows both distributions, but not the day.

    It is that of Shiryaev and Roberts, the quickest on average, with one false alarm in a year; after one it begins anew.
    """
    if noise == "levels":
        return None
    usual, doubled = (np.exp(evidence(noise, factor, years, DAYS)) for factor in (1, 2))
    broken = np.concatenate([usual[:, : DAYS // 2], doubled[:, :cutoffs]], axis=1)

    def alarms(ratios: np.ndarray, threshold: float) -> np.ndarray:
        found, statistic = np.zeros(ratios.shape, np.bool_), np.zeros(len(ratios))
        for day in range(ratios.shape[1]):
            statistic = (1 + statistic) * ratios[:, day]
            found[:, day] = statistic >= threshold
            statistic[found[:, day]] = 0
        return found

    low, high = 1.0, 10.0 * DAYS
    while high / low > 1.01:
        middle = np.sqrt(low * high)
        low, high = (middle, high) if alarms(usual, middle).sum() > years else (low, middle)
    return float(np.mean(alarms(broken, high)[:, -cutoffs:].any(axis=1)))


def until(errors: LiveErrors, day: int) -> LiveErrors:
    """What a monitor sees on this day."""
    return errors.take(errors.timestamp <= day)


def alarms(noise: str, plan: tuple[int, int], rng: np.random.Generator) -> int:
    """Alarms in a year without a break."""
    return live_tests(year(noise, plan, rng, None), plan[1], Freq.parse("D")).count


def delay(noise: str, plan: tuple[int, int], rng: np.random.Generator, most: int = 15) -> int:
    """Cutoffs from the break to the alarm; `most` where it comes later or not at all."""
    distance, horizon = plan
    broken_at = DAYS // 2
    errors = year(noise, plan, rng, broken_at)
    for cutoffs in range(1, most):
        day = broken_at + cutoffs * distance
        if day > DAYS:
            break
        if live_tests(until(errors, day), horizon, Freq.parse("D")).alarms:
            return cutoffs
    return most


def main() -> None:
    """Print a row for each plan and noise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--years", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(
        "| forecasts | errors | false alarms in a year | doubling found within 10 cutoffs | known distributions"
        " | at most | median cutoffs to the alarm |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, plan in PLANS.items():
        for noise in NOISES:
            rng = np.random.default_rng(given.seed)
            false = np.mean([alarms(noise, plan, rng) for _ in range(given.years)])
            delays = np.array([delay(noise, plan, rng) for _ in range(given.years)])
            found = np.mean(delays <= 10)
            bounds = [found_knowing_distributions(noise), most_found(noise)] if plan[0] == 1 else [None, None]
            possible = " | ".join("" if share is None else f"{share:.0%}" for share in bounds)
            print(
                f"| {name} | {noise} | {false:.2f} | {found:.0%} | {possible} | {np.median(delays):.0f} |", flush=True
            )


if __name__ == "__main__":
    main()
