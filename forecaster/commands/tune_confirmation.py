"""Whether a plan that `tune` found is better than the automatic one as both would be served, measured again with other seeds.

The search fits one network for each plan, on whose validation windows the best of many plans looks better than it is. Here both
plans are fitted as `train` fits them, all members, with the shares of the pretrained network and of a simple method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forecaster.training.auto_plan import draft_plan
from forecaster.training.selection import choose_components, evaluation_set
from forecaster.training.split import split
from forecaster.typing import Silent

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.training.fit_members import EnsembleFitter

REPEATS = 3  # each with seeds of its own
STAGE = "confirmation"  # as reports of progress name it


@dataclass(frozen=True)
class Confirmation:
    """Errors of the automatic plan and of the found one, as served, for each seed."""

    automatic: tuple[float, ...]
    found: tuple[float, ...]

    @property
    def won(self) -> int:
        """Repeats in which the found plan had the lower error."""
        return sum(found < automatic for found, automatic in zip(self.found, self.automatic, strict=True))

    @property
    def confirmed(self) -> bool:
        """Whether it had the lower error every time."""
        return bool(self.found) and self.won == len(self.found)

    @property
    def sentence(self) -> str:
        """How sure the gain is, for people."""
        if not self.found:
            return "Nothing to confirm: the automatic plan stays."
        mean, before = (sum(errors) / len(errors) for errors in (self.found, self.automatic))
        as_served = f"as served, {mean:.4g} against {before:.4g} in the mean"
        if self.confirmed:
            return f"Confirmed with {len(self.found)} of {len(self.found)} other seeds: {as_served}."
        return f"Not confirmed: lower with {self.won} of {len(self.found)} other seeds only ({as_served}). No file is written."


def confirm(
    panel: Panel, automatic: TrainSettings, found: TrainSettings, fitting: EnsembleFitter, *, repeats: int = REPEATS
) -> Confirmation:
    """Measure both plans with `repeats` other seeds, each the automatic one first."""
    return measured(lambda settings: served_error(panel, settings, fitting), automatic, found, repeats)


def measured(
    error: Callable[[TrainSettings], float], automatic: TrainSettings, found: TrainSettings, repeats: int
) -> Confirmation:
    """The errors of both with seeds that the search did not have."""
    pairs = [
        (error(replace(automatic, seed=automatic.seed + i)), error(replace(found, seed=found.seed + i)))
        for i in range(1, repeats + 1)
    ]
    return Confirmation(tuple(before for before, _ in pairs), tuple(after for _, after in pairs))


def served_error(panel: Panel, settings: TrainSettings, fitting: EnsembleFitter) -> float:
    """Validation error of what `train` would serve with these settings: all members and the simple method that suits them."""
    draft = draft_plan(panel, settings)
    plan, task = draft.plan, split(panel, draft.plan.needs, draft.plan.windows).selection
    if task is None or task.validation is None:
        raise ValueError("a search has validation windows")
    networks = fitting.fit_all(STAGE, task, plan.member_fits).networks
    evaluation = evaluation_set(panel, task, plan)
    made = choose_components(plan, networks, draft.questions, evaluation, task, fitting.fit_all, Silent())
    return evaluation.error(made.forecast)
