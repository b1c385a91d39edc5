"""Which cell, for `--cell auto`: every cell is fitted alike and held against the others on the validation windows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecaster.models.cells import CELLS
from forecaster.training.selection import FitAll, try_all

if TYPE_CHECKING:
    from forecaster.progress import Watch
    from forecaster.training.plan import Plan
    from forecaster.training.task import Task


def choose_cell(plan: Plan, task: Task, fit_all: FitAll, watch: Watch) -> Plan:
    """The plan with the cell whose first member errs least on `task`'s validation windows, and why."""
    plans = {cell: plan.with_cell(cell, "") for cell in CELLS}
    tried = try_all(list(plans.values()), task, fit_all)
    errors = {cell: error for cell, (_, error) in zip(plans, tried, strict=True)}
    best = min(errors, key=errors.__getitem__)
    others = ", ".join(f"{cell} {error:.3g}" for cell, error in errors.items() if cell != best)
    because = f"validation error {errors[best]:.3g}, {others}"
    watch.note(f"trial: cell {best}: {because}")
    return plan.with_cell(best, because)
