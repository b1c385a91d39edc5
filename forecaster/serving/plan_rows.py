"""The rows of a plan: what was chosen or given, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PlanRow:
    """One setting of the plan, and why it has its value."""

    setting: str
    value: str | int | float | bool
    reason: str


def plan_lines(plan: Sequence[PlanRow]) -> list[str]:
    """The plan as text: a header, then one aligned line for each setting."""
    cells = [("setting", "value", "because"), *((row.setting, _shown(row.value), row.reason) for row in plan)]
    widths = [max(len(line[column]) for line in cells) for column in range(2)]
    return [f"{setting:<{widths[0]}}  {value:<{widths[1]}}  {reason}" for setting, value, reason in cells]


def _shown(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
