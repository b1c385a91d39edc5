"""What a manifest keeps of the training for people: the plan with its reasons, and what each member adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class PlanRow:
    """One setting of the plan, and why it is what it is."""

    setting: str
    value: str | int | float | bool
    reason: str


@dataclass(frozen=True)
class Contribution:
    """What one member adds to an ensemble."""

    member: str  # what it is, for people
    error: float | None  # its own MASE on the test windows; None = undefined
    without: float | None  # MASE of the ensemble without it


def plan_lines(plan: Sequence[PlanRow]) -> list[str]:
    """What was chosen, and why: aligned lines below a header."""
    cells = [("setting", "value", "because"), *((row.setting, _shown(row.value), row.reason) for row in plan)]
    wide = [max(len(line[column]) for line in cells) for column in range(2)]
    return [f"{setting:<{wide[0]}}  {value:<{wide[1]}}  {reason}" for setting, value, reason in cells]


def _shown(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
