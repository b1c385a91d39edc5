"""Effects of the calendar on made series."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

FIRST, LAST = "1930-01", "2030-01"  # months that a made monthly series may cover


@cache
def _weekdays() -> FloatArray:
    """[months, 7] number of Mondays, Tuesdays, … in each month."""
    months = np.arange(FIRST, LAST, dtype="datetime64[M]")
    days = np.arange(months[0].astype("datetime64[D]"), (months[-1] + 1).astype("datetime64[D]"))
    weekday = (days.astype(int) + 3) % 7
    found = np.zeros((len(months), 7), np.float32)
    np.add.at(found, ((days.astype("datetime64[M]") - months[0]).astype(int), weekday), 1.0)
    return found


def months(rng: np.random.Generator, length: int, count: int) -> FloatArray:
    """[T, N] logarithms of the days of each month, weighted by weekday, around 0; three series in four have none of it."""
    table = _weekdays()
    effect = np.zeros((length, count), np.float32)
    some = np.flatnonzero(rng.random(count) < 0.25)
    weight = np.ones((7, len(some)), np.float32)
    by_day = np.flatnonzero(rng.random(len(some)) < 0.6)  # the others count every day alike
    weight[:5, by_day] += rng.normal(0.0, 0.15, (5, len(by_day)))
    weight[5:, by_day] = rng.uniform(0.0, 1.8, (2, len(by_day)))
    days = table @ np.maximum(weight, 0.0)  # [months, some]
    days = np.log(np.maximum(days, 1.0) / days.mean(axis=0))
    start = rng.integers(0, len(table) - length + 1, len(some))
    effect[:, some] = days[start + np.arange(length)[:, None], np.arange(len(some))]
    return effect
