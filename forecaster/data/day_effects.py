"""What special days do to the values of series: a factor and a summand of each day.

    value on the day = summand + factor · value on an ordinary day

Of series that are never negative the effect is a share of the value, so the summand is 0; of others the factor is 1. Each series
has the effects that its own years show, as far as they were known a whole number of years before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.day_deviations import daily_values, deviations_of
from forecaster.data.special_days import effects_on_series, has_days
from forecaster.data.time_zones import DAY, days_on_clock
from forecaster.data.windows import rows_after

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.special_days import Rules
    from forecaster.data.windows import Windows
    from forecaster.typing import BoolArray, FloatArray, IntArray

SERIES = 256  # whose days are looked at together
YEAR = 366 * DAY  # after which effects are learnt anew, so that no forecast knows of later rows


def are_rows_days(panel: Panel) -> bool:
    """Whether each row is a day: effects of its days are effects of its rows."""
    return panel.freq.count == DAY and has_days(panel.freq)


@dataclass(frozen=True)
class DayEffects:
    """What special days do to B series."""

    rules: Rules
    own: dict[str, FloatArray]  # [B] the effect of each rule
    share: BoolArray  # [B] whether it is a share of the value

    def of(self, days: IntArray, series: IntArray) -> tuple[FloatArray, FloatArray]:
        """Factor and summand [...] of `series`, of the B, on `days` since 1970, which broadcast to them."""
        first = int(days.min())
        # Far fewer than rows: to look a day up is quicker than to date it.
        every = np.arange(first, int(days.max()) + 1)
        table = np.zeros((len(self.share), len(every)))
        for rule, among in self.rules.among(every):
            table += self.own[rule][:, None] * among
        effect, share = table[series, days - first], self.share[series]
        return np.where(share, np.maximum(1.0 + effect, 0.0), 1.0), np.where(share, 0.0, effect)


def learn_day_effects(panel: Panel, rules: Rules, series: IntArray, ends: IntArray) -> DayEffects | None:
    """The effects on some series [B], from the rows before `ends` [N]; None where they have no row there."""
    if not (ends[series] > panel.offsets[series]).any():
        return None
    first, past = daily_values(panel, series, ends)
    known = deviations_of(first, past, rules.of(np.arange(first, first + past.shape[1])) != 0.0)
    return DayEffects(rules, effects_on_series(known, rules), known.share)


@dataclass(frozen=True)
class YearsBefore:
    """Which rows of a panel may be known of windows: those a whole number of years before the end, none from the cutoff on."""

    panel: Panel
    ends: IntArray  # [N] the first row of each series that must not be known at all

    def parts(self, windows: Windows) -> Iterator[tuple[int, IntArray]]:
        """Years, and positions of windows of SERIES series at most whose cutoffs are less than a year after so many of them."""
        years = -((self.panel.timestamps[windows.cutoff - 1] - self._end) // YEAR)
        _, block = np.unique(windows.series, return_inverse=True)
        _, part = np.unique(np.stack([years, block // SERIES]), axis=1, return_inverse=True)
        part = part.reshape(-1)
        for one in range(part.max(initial=-1) + 1):
            mine = np.flatnonzero(part == one)
            yield int(years[mine[0]]), mine

    def ends_before(self, years: int) -> IntArray:
        """[N] the first row of each series after the timestamp so many years before the last one."""
        after = self.panel.offsets[1:] - rows_after(self.panel, self._end - years * YEAR)
        return np.asarray(np.minimum(after, self.ends))

    @cached_property
    def _end(self) -> int:
        """The latest timestamp that may be known."""
        return int(self.panel.timestamps[self.ends[self.ends > self.panel.offsets[:-1]] - 1].max())


def days_around(panel: Panel, windows: Windows, before: int, after: int, rules: Rules) -> FloatArray:
    """[W, before + after, 2] factor and summand of the rows before each cutoff and of the steps from it on; 1 and 0 = ordinary.

    No row from a cutoff on is read.
    """
    found = np.zeros((len(windows), before + after, 2))
    found[..., 0] = 1.0
    if not are_rows_days(panel) or not len(windows):
        return found
    rows = np.maximum(windows.cutoff[:, None] + np.arange(-before, 0), windows.start[windows.series][:, None])
    stamps = panel.freq.after(panel.timestamps[windows.cutoff - 1], after, panel.zone)
    days = days_on_clock(np.concatenate([panel.timestamps[rows], stamps], axis=1), panel.zone)
    known = YearsBefore(panel, panel.offsets[1:])
    for years, mine in known.parts(windows):
        some, series = np.unique(windows.series[mine], return_inverse=True)
        effects = learn_day_effects(panel, rules, some, known.ends_before(years))
        if effects:
            found[mine] = np.stack(effects.of(days[mine], series.reshape(-1)[:, None]), axis=-1)
    return found


def days_of_rows(panel: Panel, ends: IntArray, rules: Rules) -> FloatArray:
    """[R, 2] factor and summand of each row, by what the rows before `ends` [N] show."""
    found = np.zeros((len(panel.target), 2))
    found[:, 0] = 1.0
    for first in range(0, len(panel.series), SERIES):
        some = np.arange(first, min(first + SERIES, len(panel.series)))
        effects = learn_day_effects(panel, rules, some, ends)
        if effects:
            rows = slice(panel.offsets[some[0]], panel.offsets[some[-1] + 1])
            series = np.repeat(some - first, panel.lengths[some])
            found[rows] = np.stack(effects.of(days_on_clock(panel.timestamps[rows], panel.zone), series), axis=-1)
    return found
