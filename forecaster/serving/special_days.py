"""Special days in forecasts that nothing was trained for: taken out of what a network reads, and put onto its forecast.

The pretrained networks read no dates. Three years of days show which of them differ from others year after year, and by how much
(`forecaster.data.special_days`). Of series that are never negative the effect is a share of the value, else a sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.day_deviations import daily_values, deviations_of
from forecaster.data.special_days import effects_on_series, find_special_days, has_days
from forecaster.data.time_zones import DAY, wall_clock
from forecaster.data.windows import rows_after

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.special_days import Rules
    from forecaster.data.windows import Windows
    from forecaster.serving.raw_forecasts import RawForecasts
    from forecaster.typing import BoolArray, FloatArray, IntArray

SERIES = 256  # whose days are looked at together
LEAST_SHARE = 0.05  # of an ordinary day that a special one has: what is closed says nothing of the days around it
YEAR = 366 * DAY  # after which special days are found anew, so that no forecast knows of later rows


@dataclass(frozen=True)
class _Effects:
    """What special days do to B series."""

    rules: Rules
    own: dict[str, FloatArray]  # [B] the effect of each rule
    share: BoolArray  # [B] whether it is a share of the value

    def taken_out(self, values: FloatArray, days: IntArray, series: IntArray) -> FloatArray:
        """Values [...] of `series` on `days`, which broadcast to them, as they would be on ordinary ones."""
        effect = self._on(days, series)
        return np.where(self.share[series], values / np.maximum(1.0 + effect, LEAST_SHARE), values - effect)

    def put_onto(self, values: FloatArray, days: IntArray, series: IntArray) -> FloatArray:
        """Values [...] of `series` on ordinary `days`, which broadcast to them, as they are on these."""
        effect = self._on(days, series)
        return np.where(self.share[series], values * np.maximum(1.0 + effect, 0.0), values + effect)

    def _on(self, days: IntArray, series: IntArray) -> FloatArray:
        first, effect = int(days.min()), np.zeros(np.broadcast_shapes(days.shape, series.shape))
        # Far fewer than rows: to look a day up is quicker than to date it.
        every = np.arange(first, int(days.max()) + 1)
        for rule, among in self.rules.among(every):
            effect += self.own[rule][series] * among[days - first]
        return effect


@dataclass(frozen=True)
class SpecialDays:
    """The special days of a panel, as they were known a whole number of years before its end."""

    panel: Panel
    ends: IntArray  # [N] the first row of each series that must not be known

    def forecasts(self, made: Callable[[Windows], RawForecasts], windows: Windows) -> RawForecasts:
        """`made` of windows whose special days are taken out, and put onto their steps; no row from a cutoff on is read."""
        if self.panel.freq.count != DAY or not has_days(self.panel.freq) or not len(windows):
            return made(windows)
        years = -((self.panel.timestamps[windows.cutoff - 1] - self._end) // YEAR)
        if not any(self._known_before(int(back))[1] for back in np.unique(years)):
            return made(windows)
        _, block = np.unique(windows.series, return_inverse=True)
        _, part = np.unique(np.stack([years, block // SERIES]), axis=1, return_inverse=True)
        part = part.reshape(-1)
        parts = [np.flatnonzero(part == one) for one in range(part.max() + 1)]
        found = [self._of_year(made, windows.take(mine), int(years[mine[0]])) for mine in parts]
        order = np.argsort(np.concatenate(parts))
        cutoff, values, lead = (
            np.concatenate(some)[order]
            for some in zip(*((one.read.cutoff, one.values, one.lead) for one in found), strict=True)
        )
        return replace(found[0], windows=windows, read=replace(windows, cutoff=cutoff), values=values, lead=lead)

    def _of_year(self, made: Callable[[Windows], RawForecasts], windows: Windows, back: int) -> RawForecasts:
        """Those of windows whose cutoffs lie less than a year after what was known so many years before the end."""
        (ends, rules), panel, some = self._known_before(back), self.panel, np.unique(windows.series)
        if rules is None or not (ends[some] > panel.offsets[some]).any():
            return made(windows)
        first, past = daily_values(panel, some, ends)
        known = deviations_of(first, past, rules.of(np.arange(first, first + past.shape[1])) != 0.0)
        effects = _Effects(rules, effects_on_series(known, rules), known.share)
        target = np.empty_like(windows.target)  # only the rows of these series are touched
        which = np.repeat(np.arange(len(some)), panel.lengths[some])
        rows = np.concatenate([np.arange(panel.offsets[n], panel.offsets[n + 1]) for n in some])
        target[rows] = effects.taken_out(windows.target[rows], self._days(panel.timestamps[rows]), which)
        raw = made(replace(windows, target=target))
        stamps = panel.freq.after(panel.timestamps[windows.cutoff - 1], raw.values.shape[1], panel.zone)
        days, series = self._days(stamps)[:, :, None], np.searchsorted(some, windows.series)[:, None, None]
        return replace(raw, values=effects.put_onto(raw.values, days, series))

    def _days(self, timestamps: IntArray) -> IntArray:
        return np.asarray(wall_clock(timestamps, self.panel.zone) // DAY)

    @cached_property
    def _end(self) -> int:
        """The latest timestamp that may be known."""
        return int(self.panel.timestamps[self.ends[self.ends > self.panel.offsets[:-1]] - 1].max())

    def _ends(self, back: int) -> IntArray:
        """[N] the first row of each series after the timestamp so many years before the last one."""
        after = self.panel.offsets[1:] - rows_after(self.panel, self._end - back * YEAR)
        return np.asarray(np.minimum(after, self.ends))

    def _known_before(self, back: int) -> tuple[IntArray, Rules | None]:
        """What was known so many years before the end: the rows before [N], and the special days in them."""
        if back not in self._known:
            ends = self._ends(back)
            self._known[back] = ends, find_special_days(self.panel, ends)
        return self._known[back]

    @cached_property
    def _known(self) -> dict[int, tuple[IntArray, Rules | None]]:
        return {}
