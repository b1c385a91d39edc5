"""Special days in forecasts that nothing was trained for: what they did to a series in the years before is put onto its forecast.

The pretrained networks read no dates. Three years of days show which of them differ from others year after year, and by how much
(`forecaster.data.special_days`). Of positive series the effect is a share of the forecast, else a sum.
"""

from __future__ import annotations

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
    from forecaster.typing import FloatArray, IntArray

SERIES = 256  # whose days are looked at together
YEAR = 366 * DAY  # after which special days are found anew, so that no forecast knows of later rows


@dataclass(frozen=True)
class SpecialDays:
    """The special days of a panel, as they were known a whole number of years before its end."""

    panel: Panel
    ends: IntArray  # [N] the first row of each series that must not be known

    def put_onto(self, raw: RawForecasts) -> RawForecasts:
        """Raw forecasts with the effects of the special days among their steps; no row from a window's cutoff on is read."""
        panel, windows = self.panel, raw.windows
        if panel.freq.count != DAY or not has_days(panel.freq) or not len(windows):
            return raw
        years = -((panel.timestamps[windows.cutoff - 1] - self._end) // YEAR)
        values = raw.values.copy()
        for back in np.unique(years):
            ends, rules = self._known_before(int(back))
            if rules is None:
                continue
            by_series = np.flatnonzero(years == back)
            by_series = by_series[np.argsort(windows.series[by_series], kind="stable")]
            series, begins = np.unique(windows.series[by_series], return_index=True)
            for first in range(0, len(series), SERIES):
                last = begins[first + SERIES] if first + SERIES < len(series) else len(by_series)
                mine = by_series[begins[first] : last]
                some = series[first : first + SERIES]
                if (ends[some] > panel.offsets[some]).any():
                    values[mine] = self._with_effects(values[mine], windows.take(mine), rules, some, ends)
        return replace(raw, values=values)

    def _with_effects(
        self, values: FloatArray, windows: Windows, rules: Rules, some: IntArray, ends: IntArray
    ) -> FloatArray:
        """Forecasts [w, H, ·] of windows of `some` series [B], with the effects that the rows before `ends` [N] show."""
        panel = self.panel
        first, past = daily_values(panel, some, ends)
        days = np.arange(first, first + past.shape[1])
        deviations = deviations_of(first, past, rules.of(days) != 0.0)
        own, place = effects_on_series(deviations, rules), np.searchsorted(some, windows.series)
        stamps = panel.freq.after(panel.timestamps[windows.cutoff - 1], values.shape[1], panel.zone)
        effect = np.zeros(stamps.shape)
        for rule, among in rules.among(wall_clock(stamps, panel.zone) // DAY):
            effect += own[rule][place, None] * among
        effect, share = effect[:, :, None], deviations.share[place, None, None]
        return np.where(share, values * np.maximum(1.0 + effect, 0.0), values + effect)

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
