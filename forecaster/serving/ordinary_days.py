"""Days made ordinary for what no training knows: special days are taken out of what a network reads, and put onto its forecast.

The pretrained networks read no dates. Three years of days show which of them differ from others year after year, and by how much
(`forecaster.data.special_days`). Of series that are never negative the effect is a share of the value, else a sum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.day_effects import YearsBefore, are_rows_days, learn_day_effects
from forecaster.data.special_days import find_special_days
from forecaster.data.time_zones import days_on_clock
from forecaster.models.special_days import DaysAround, as_ordinary

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.special_days import Rules
    from forecaster.data.windows import Windows
    from forecaster.serving.raw_forecasts import RawForecasts
    from forecaster.typing import IntArray


@dataclass(frozen=True)
class SpecialDays:
    """The special days of a panel, as they were known a whole number of years before its end."""

    panel: Panel
    ends: IntArray  # [N] the first row of each series that must not be known

    def forecasts(self, made: Callable[[Windows], RawForecasts], windows: Windows) -> RawForecasts:
        """`made` of windows whose special days are taken out, and put onto their steps; no row from a cutoff on is read."""
        if not are_rows_days(self.panel) or not len(windows):
            return made(windows)
        parts = list(self._years.parts(windows))
        if not any(self._found_before(years) for years, _ in parts):
            return made(windows)
        found = [self._of_year(made, windows.take(mine), years) for years, mine in parts]
        order = np.argsort(np.concatenate([mine for _, mine in parts]))
        cutoff, values, lead = (
            np.concatenate(some)[order]
            for some in zip(*((one.read.cutoff, one.values, one.lead) for one in found), strict=True)
        )
        return replace(found[0], windows=windows, read=replace(windows, cutoff=cutoff), values=values, lead=lead)

    def _of_year(self, made: Callable[[Windows], RawForecasts], windows: Windows, years: int) -> RawForecasts:
        """Those of windows whose cutoffs lie less than a year after what was known so many years before the end."""
        rules, panel, some = self._found_before(years), self.panel, np.unique(windows.series)
        effects = learn_day_effects(panel, rules, some, self._years.ends_before(years)) if rules else None
        if effects is None:
            return made(windows)
        target = np.empty_like(windows.target)  # only the rows of these series are touched
        which = np.repeat(np.arange(len(some)), panel.lengths[some])
        rows = np.concatenate([np.arange(panel.offsets[n], panel.offsets[n + 1]) for n in some])
        target[rows] = as_ordinary(
            windows.target[rows], *effects.of(days_on_clock(panel.timestamps[rows], panel.zone), which)
        )
        raw = made(replace(windows, target=target))
        stamps = panel.freq.after(panel.timestamps[windows.cutoff - 1], raw.values.shape[1], panel.zone)
        ahead = effects.of(days_on_clock(stamps, panel.zone), np.searchsorted(some, windows.series)[:, None])
        return replace(raw, values=DaysAround(np.stack(ahead, axis=-1), 0).put_back(raw.values))

    def _found_before(self, years: int) -> Rules | None:
        """The special days in the rows that were there so many years before the end."""
        if years not in self._found:
            self._found[years] = find_special_days(self.panel, self._years.ends_before(years))
        return self._found[years]

    @cached_property
    def _years(self) -> YearsBefore:
        return YearsBefore(self.panel, self.ends)

    @cached_property
    def _found(self) -> dict[int, Rules | None]:
        return {}
