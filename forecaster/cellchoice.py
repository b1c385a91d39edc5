"""Which cell, for `--cell auto`: every cell is fitted alike and held against the others on the validation windows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from forecaster.models.cells import CELLS
from forecaster.trial import STAGE, FitAll

if TYPE_CHECKING:
    from forecaster.models.fit import Task
    from forecaster.plan import Plan
    from forecaster.watch import Watch


def choose_cell(plan: Plan, task: Task, fit_all: FitAll, watch: Watch) -> Plan:
    """The plan with the cell whose first member errs least on `task`'s validation windows, and why."""
    plans = {cell: plan.with_cell(cell, "") for cell in CELLS}
    stage = fit_all(STAGE, task, [(one.members[0], one.fit) for one in plans.values()])
    if len(stage.fits) < len(plans) or stage.stopped == "interrupted":
        raise KeyboardInterrupt  # nothing is decided yet
    found = {
        cell: one.state.last_error for cell, one in zip(plans, stage.fits, strict=True) if one.stopped != "diverged"
    }
    errors = {cell: found[cell] if math.isfinite(found.get(cell, math.nan)) else math.inf for cell in plans}
    best = min(errors, key=errors.__getitem__)
    others = ", ".join(f"{cell} {error:.3g}" for cell, error in errors.items() if cell != best)
    because = f"validation error {errors[best]:.3g}, {others}"
    watch.note(f"trial: cell {best}: {because}")
    return plan.with_cell(best, because)
