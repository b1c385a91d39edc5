#!/usr/bin/env python3
"""False alarms and delays of `monitor`: simulated years of forecasts, with and without a break.

    python benchmarks/monitoring.py [--years 200] [--seed 0]

Each year is one daily series. Its forecasts are made weekly with a horizon of 7, daily with a horizon of 1, or daily with a
horizon of 7. Errors are normal, Laplace or Student's t (3 degrees), autocorrelated (AR(1), .5), or share a level within a
forecast; naive's errors are 1.3 times as large. In the middle of a year with a break the errors double. Prints the alarms
in a year without a break, the share of breaks found within ten cutoffs, and the median cutoffs to an alarm.
"""

from __future__ import annotations

import argparse

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
    draw = {"laplace": rng.laplace, "student-t": lambda size: rng.standard_t(3, size)}.get(noise, rng.normal)
    return draw(size=days)


def year(noise: str, plan: tuple[int, int], rng: np.random.Generator, broken_at: int | None) -> LiveErrors:
    """A year of forecasts with their actuals. An optimal forecast's error h steps ahead sums the shocks since its cutoff."""
    distance, horizon = plan
    cutoffs = np.arange(0, DAYS - horizon + 1, distance)
    shocks = errors_of(noise, DAYS + 1, rng)
    if broken_at is not None:
        shocks[broken_at + 1 :] *= 2
    step = np.arange(1, horizon + 1)
    stamp = cutoffs[:, None] + step
    weights = np.where(step > 1, 0.3, 0.0)  # of the shocks since the cutoff, in addition to the last
    total = np.cumsum(np.concatenate([[0.0], shocks[1:]]))
    error = shocks[stamp] + weights * (total[stamp - 1] - total[cutoffs[:, None]])
    if noise == "levels":
        factor = np.where(cutoffs >= (DAYS + 1 if broken_at is None else broken_at), 2, 1)
        error = error + (factor * rng.normal(size=len(cutoffs)))[:, None]
    spread = np.sqrt(1 + (step - 1) * 0.09)
    naive = 1.3 * rng.normal(size=error.shape) * spread
    size = {"laplace": 1.61, "student-t": 1.64, "autocorrelated": 1.48, "levels": 1.81}.get(noise, 1.28)
    missed = (np.abs(error) > size * spread).astype(float)
    return LiveErrors(
        version=np.ones(error.size, np.int64),
        cutoff=np.repeat(cutoffs, horizon),
        step=np.tile(step, len(cutoffs)),
        timestamp=stamp.ravel(),
        error=np.abs(error).ravel(),
        naive=np.abs(naive).ravel(),
        missed=missed.ravel(),
        nominal_missed=np.full(error.size, 1 - NOMINAL),
    )


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
        "| forecasts | errors | false alarms in a year | doubling found within 10 cutoffs | median cutoffs to the alarm |"
    )
    print("|---|---|---|---|---|")
    for name, plan in PLANS.items():
        for noise in NOISES:
            rng = np.random.default_rng(given.seed)
            false = np.mean([alarms(noise, plan, rng) for _ in range(given.years)])
            delays = np.array([delay(noise, plan, rng) for _ in range(given.years)])
            found = np.mean(delays <= 10)
            print(f"| {name} | {noise} | {false:.2f} | {found:.0%} | {np.median(delays):.0f} |", flush=True)


if __name__ == "__main__":
    main()
