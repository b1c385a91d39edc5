"""The periods of a frequency: the timestamp that each is called by, and where it begins and ends."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import WEEKDAYS, Freq
from forecaster.data.reading.written_dates import MONTHS
from forecaster.data.time_zones import DAY, instants_of, wall_clock
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.typing import IntArray

_ANCHOR = re.compile(r"-([A-Z]{3})(?=@|$)")
_MONDAY = 3 * DAY  # from a Monday to 1970-01-01


@dataclass(frozen=True)
class Periods:
    """The periods of `freq`; those of months are whole calendar months, whatever day of them they are called by."""

    freq: Freq
    first: int = (
        0  # the weekday on which weeks begin, 0 = Monday; the month with which quarters and years begin, 0 = January
    )

    @classmethod
    def parse(cls, name: str) -> Periods:
        """The periods called `name`, as pandas spells them: weeks of `W-SAT` end on Saturdays, quarters of `QS-FEB` begin
        with February, years of `YE-JUN` end with June. UsageError on any other text.
        """
        freq = Freq.parse(name)
        anchor = None if "WOM" in freq.rule else _ANCHOR.search(name.strip())
        if anchor is None:
            return cls(freq)
        if freq.unit == "clock" and anchor[1] in WEEKDAYS:
            return cls(freq, (WEEKDAYS.index(anchor[1]) + 1) % 7)
        if freq.unit == "month" and (month := anchor[1].lower()) in MONTHS:
            return cls(freq, (MONTHS.index(month) + freq.at_end) % freq.count)
        kind = "day of the week" if freq.unit == "clock" else "month"
        raise UsageError(
            f"frequency '{name}': {anchor[1]} is no {kind}.", f"Leave it out, or give one, e.g. {_example(freq)}."
        )

    @property
    def name(self) -> str:
        """The shortest spelling that `parse` reads back to this: "W", "W-SAT", "QS-FEB"."""
        if not self.first:
            return self.freq.name
        if self.freq.unit == "clock":
            return f"{self.freq.name}-{WEEKDAYS[self.first - 1]}"
        return f"{self.freq.name}-{MONTHS[self.first - self.freq.at_end].upper()}"

    def labels(self, timestamps: IntArray, zone: str | None) -> IntArray:
        """The timestamp that the period of each timestamp is called by, same shape: its begin, or its last day for frequencies
        of month ends.
        """
        freq = self.freq
        if freq.unit == "clock":
            return self._begins(timestamps, zone)
        if freq.unit == "B":  # a weekend belongs to its Friday
            midnight = instants_of(_floor(wall_clock(timestamps, zone), DAY), zone)
            return freq.advance(midnight, np.zeros_like(midnight), zone)
        begin = _midnights(self._months(timestamps, zone) + (freq.count - 1) * freq.at_end, zone)
        return freq.advance(begin, np.zeros_like(begin), zone)

    def edges(self, timestamps: IntArray, zone: str | None) -> tuple[IntArray, IntArray]:
        """When the period of each timestamp begins, and when the next one does; same shape."""
        if self.freq.unit == "month":
            month = self._months(timestamps, zone)
            return _midnights(month, zone), _midnights(month + self.freq.count, zone)
        begin = self.labels(timestamps, zone)
        return begin, self.freq.advance(begin, np.ones_like(begin), zone)

    def _begins(self, timestamps: IntArray, zone: str | None) -> IntArray:
        if self.freq.count < DAY:
            return _floor(timestamps, self.freq.count)
        shift = _MONDAY - self.first * DAY if self.freq.count % (7 * DAY) == 0 else 0
        return instants_of(_floor(wall_clock(timestamps, zone) + shift, self.freq.count) - shift, zone)

    def _months(self, timestamps: IntArray, zone: str | None) -> IntArray:
        """The first month of each period, since 1970."""
        months = wall_clock(timestamps, zone).astype("M8[us]").astype("M8[M]").astype(np.int64)
        return _floor(months - self.first, self.freq.count) + self.first


def floored(timestamps: IntArray, freq: Freq, zone: str | None) -> IntArray:
    """The timestamp that the period of `freq` of each timestamp is called by, same shape; weeks begin on Mondays."""
    return Periods(freq).labels(timestamps, zone)


def refuse_anchor(name: str) -> None:
    """UsageError for a frequency called `name` whose weeks, quarters or years `floored` does not know."""
    anchored = _ANCHOR.search(name) is not None
    periods = Periods.parse(name)
    if anchored and periods.first != (1 if periods.freq.unit == "clock" else 0):  # W-MON: weeks end on Mondays
        grid = "Mondays" if periods.freq.unit == "clock" else "the quarters and years of the calendar"
        raise UsageError(
            f"--freq {name} with --snap: rows are moved to {grid}.",
            f"Give --freq {periods.freq.name}, or join rows with --resample {name} --aggregate sum, mean or last.",
        )


def _midnights(months: IntArray, zone: str | None) -> IntArray:
    """When months since 1970 begin."""
    return instants_of(months.astype("M8[M]").astype("M8[us]").astype(np.int64), zone)


def _floor(values: IntArray, step: int) -> IntArray:
    return np.asarray(values // step * step)


def _example(freq: Freq) -> str:
    return f"{freq.name}-{'SAT' if freq.unit == 'clock' else 'JUN'}"
