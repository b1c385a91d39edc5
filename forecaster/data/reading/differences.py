"""Differences between neighbouring rows of a series, counted: the steps that a frequency is inferred from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.series_blocks import series_blocks

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, IntArray

_MIN_DIVISOR_SHARE = 0.2  # of differences that equal their greatest common divisor, for it to be the step


def inner_neighbours(offsets: IntArray) -> BoolArray:
    """[R - 1] whether neighbouring rows are of one series."""
    inner = np.ones(max(int(offsets[-1]) - 1, 0), dtype=bool)
    inner[offsets[1:-1] - 1] = False
    return inner


@dataclass(frozen=True)
class Differences:
    """How often each difference between neighbouring rows of a series occurs."""

    values: IntArray  # distinct, ascending
    counts: IntArray

    @classmethod
    def of(
        cls, timestamps: IntArray, offsets: IntArray, shown: Callable[[IntArray], IntArray] = lambda some: some
    ) -> Differences:
        """Those of `shown` of the timestamps [R]."""
        found = []
        for some, part in series_blocks(offsets):
            each = np.diff(shown(timestamps[part]))[inner_neighbours(offsets[some.start : some.stop + 1] - part.start)]
            if len(each) and (each == each[0]).all():  # nearly always, and much quicker than sorting
                found.append((each[:1], np.array([len(each)])))
            else:
                found.append(np.unique(each, return_counts=True))
        values, place = np.unique(np.concatenate([one for one, _ in found]), return_inverse=True)
        return cls(values, np.bincount(place.ravel(), np.concatenate([count for _, count in found])).astype(np.int64))

    @property
    def mode(self) -> int:
        """The most frequent one, the smallest of equals."""
        return int(self.values[np.argmax(self.counts)])

    @property
    def positive(self) -> Differences:
        """Those above 0."""
        above = self.values > 0
        return Differences(self.values[above], self.counts[above])

    @property
    def step(self) -> int:
        """The most frequent one, or their greatest common divisor, where they are not multiples of it and enough equal that."""
        mode = self.mode
        if (self.values % mode == 0).all():
            return mode
        divisor = int(np.gcd.reduce(self.values))
        share = self.counts[self.values == divisor].sum() / self.counts.sum()
        return divisor if share >= _MIN_DIVISOR_SHARE else mode
