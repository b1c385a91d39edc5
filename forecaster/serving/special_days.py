"""Special days in forecasts that nothing was trained for: what they did to a series in the years before is put onto its forecast.

The pretrained networks read no dates. Three years of days show which of them differ from others year after year, and by how much
(`forecaster.data.special_days`). Of positive series the effect is a share of the forecast, else a sum.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.special_days import deviations_before, find_special_days, has_days
from forecaster.data.time_zones import DAY, wall_clock
from forecaster.data.windows import rows_after

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.special_days import Rules
    from forecaster.serving.raw_forecasts import RawForecasts
    from forecaster.typing import FloatArray, IntArray

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
        last = panel.timestamps[windows.cutoff - 1]
        years = -((last - self._end) // YEAR)
        values = raw.values.copy()
        for back in np.unique(years):
            if (rules := self._rules(int(back))) is None:
                continue
            ends = self._ends(int(back))
            for n in np.unique(windows.series[years == back]):
                mine = np.flatnonzero((windows.series == n) & (years == back))
                values[mine] = self._with_effects(values[mine], last[mine], rules, int(n), int(ends[n]))
        return replace(raw, values=values)

    def _with_effects(self, values: FloatArray, last: IntArray, rules: Rules, n: int, end: int) -> FloatArray:
        """Forecasts [w, H, ·] of series n after timestamps `last` [w], with the effects that its rows before `end` show."""
        panel = self.panel
        deviations = deviations_before(panel, n, end) if end > panel.offsets[n] else None
        if deviations is None:
            return values
        stamps = panel.freq.after(last, values.shape[1], panel.zone)
        effect = deviations.effects(rules).of(wall_clock(stamps, panel.zone) // DAY)[:, :, None]
        return np.asarray(values * np.maximum(1.0 + effect, 0.0) if deviations.share else values + effect)

    @cached_property
    def _end(self) -> int:
        """The latest timestamp that may be known."""
        return int(self.panel.timestamps[self.ends[self.ends > self.panel.offsets[:-1]] - 1].max())

    def _ends(self, back: int) -> IntArray:
        """[N] the first row of each series after the timestamp so many years before the last one."""
        after = self.panel.offsets[1:] - rows_after(self.panel, self._end - back * YEAR)
        return np.asarray(np.minimum(after, self.ends))

    def _rules(self, back: int) -> Rules | None:
        """The special days that were known so many years before the end."""
        if back not in self._known:
            self._known[back] = find_special_days(self.panel, self._ends(back))
        return self._known[back]

    @cached_property
    def _known(self) -> dict[int, Rules | None]:
        return {}
