"""Limits of the target: lowest and highest value, whole numbers only. Every forecast is kept within them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecaster.errors import DataError

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray


@dataclass(frozen=True)
class Limits:
    """`low` and `high` are inclusive, in the caller's units; None = no limit."""

    low: float | None = None
    high: float | None = None
    integer: bool = False

    def __bool__(self) -> bool:
        return self.low is not None or self.high is not None or self.integer

    def hold(self, values: FloatArray) -> FloatArray:
        """Each value (any shape) moved to the nearest allowed one. NaN stays; ascending values stay ascending."""
        import numpy as np

        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        # Adding 0.0 makes -0.0, as of a rounded -0.2, a plain 0.
        if not self.integer:
            return np.asarray(np.clip(values, low, high) + 0.0)
        return np.asarray(np.clip(np.rint(values), np.ceil(low), np.floor(high)) + 0.0)

    def refuse_broken(self, panel: Panel) -> None:
        """DataError that names the first target outside the limits."""
        import numpy as np

        if not self:
            return
        wrong = np.flatnonzero(~np.isnan(panel.target) & (self.hold(panel.target) != panel.target))
        if not len(wrong):
            return
        value, where = float(panel.target[wrong[0]]), _target_at(panel, int(wrong[0]))
        if self.low is not None and value < self.low:
            rule, flag = f"below --min {self.low:g}", "--min"
        elif self.high is not None and value > self.high:
            rule, flag = f"above --max {self.high:g}", "--max"
        else:
            rule, flag = "not a whole number, but --integer is given", "--integer"
        raise DataError(
            f"{where} is {rule}.",
            f"Correct the data, or {flag} ({_such_values(len(wrong))}).",
        )


NO_LIMITS = Limits()


def refuse_all_but_counts(panel: Panel, distribution: str) -> None:
    """DataError that names the first target that is not 0, 1, 2, …, which `distribution` needs."""
    import numpy as np

    wrong = np.flatnonzero((panel.target < 0.0) | (np.rint(panel.target) != panel.target) & ~np.isnan(panel.target))
    if len(wrong):
        raise DataError(
            f"{_target_at(panel, int(wrong[0]))} is not a count, but --distribution {distribution} needs counts.",
            f"Correct the data, or take normal or student-t ({_such_values(len(wrong))}).",
        )


def _such_values(count: int) -> str:
    return f"{count:,} such value{'s' * (count > 1)}"


def _target_at(panel: Panel, row: int) -> str:
    """The target of `row`, its series and its timestamp, for a message."""
    import numpy as np

    from forecaster.data.freq import format_timestamps

    series = panel.series[int(np.searchsorted(panel.offsets, row, side="right")) - 1]
    stamp = format_timestamps(panel.timestamps[row : row + 1], panel.freq, panel.zone)[0]
    return f"{panel.source}: series '{series}': the target {panel.target[row]:g} at {stamp}"
