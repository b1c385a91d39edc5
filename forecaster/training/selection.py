"""Model selection: short fits choose the scaling, the context length, the training schedule and the cell.

Every choice is made on the validation windows, which are before the test windows. So the scores on the test windows are those of
choices that have not seen them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from forecaster.models.cells import CELLS
from forecaster.training.combination import Served, choose_simple_method, select_scalings, statistical_partner
from forecaster.training.ensemble_selection import ensemble_without_fit, pretrained_error, select_ensemble
from forecaster.training.evaluation_set import EvaluationSet
from forecaster.training.fit_types import MemberFit
from forecaster.training.member_networks import pretrained_settings
from forecaster.training.plan import Candidate, Draft, OpenQuestions, Plan, TargetScaling
from forecaster.training.split import history_windows

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.models.network import Network
    from forecaster.training.fit_types import FitAll, Task
    from forecaster.typing import Watch

SELECTION_STAGE = "model selection"  # as reports of progress name it
MIN_GAIN = 0.01  # share by which a longer schedule must lower the error: less is noise of the validation windows
# Share by which the last schedule must for a longer one to be tried, and another context must. A scaling that is so far behind
# after short fits is not fitted for longer.
MIN_CLEAR_GAIN = 0.03
# Error of the pretrained network over that of members that start from nothing, from which no fit makes it a member: inputs that
# it does not read make the difference (benchmarks/ABLATIONS.md, Special days).
HOPELESS = 1.35


def select_settings(draft: Draft, panel: Panel, task: Task, fit_all: FitAll, watch: Watch) -> Plan:
    """The plan with its open questions answered on `task`'s validation windows; as drafted where there are none."""
    plan, questions = draft.plan, draft.questions
    if task.validation is None or not questions.is_open:
        return plan
    evaluation = evaluation_set(panel, task, plan).reaching(max(questions.contexts))
    if questions.pretrained and not questions.own_members and pretrained_settings(plan):
        return choose_components(plan, [], questions, evaluation, task, fit_all, watch).plan
    enough = pretrained_error(plan, evaluation) if questions.pretrained else math.inf
    fits = _CandidateFits(draft, task, fit_all)
    # Of special days a longer fit learns what the pretrained network does not know.
    best = fits.search(math.inf if plan.special_days else enough)
    for candidate, error in fits.errors.items():
        watch.note(
            f"model selection: {candidate}: validation error {error:.4g}{' (chosen)' if candidate == best else ''}"
        )
    if enough > HOPELESS * min(fits.errors.values()):
        questions = replace(questions, tunings=())
    others = ", ".join(f"{error:.3g}" for candidate, error in fits.errors.items() if candidate != best)
    reason = f"validation error {fits.errors[best]:.3g}, others {others}" if others else "as given"
    fitted = fits.longest(best)
    mixed = select_scalings(draft.decided(best, reason), evaluation, fitted, best.scaling, watch)
    # The short fits' networks represent the members that will have their scalings.
    networks = [fitted[scaling] for scaling in mixed.scalings if scaling in fitted]
    return choose_components(mixed, networks, questions, evaluation, task, fit_all, watch).plan


def without_validation(draft: Draft, panel: Panel, task: Task, watch: Watch) -> Plan:
    """The plan where rows are too few for validation windows: what is made without a fit, if the history can show its error.

    A pretrained network and a simple method are fitted to no row of the `task`, so the windows in it show their errors.
    """
    plan, questions = draft.plan, draft.questions
    simple = plan.smoothing
    if not questions.pretrained or questions.blended or simple is None or simple.weight == 1.0:
        return plan
    windows = history_windows(panel, task.training.end, plan.horizon)
    if not len(windows):
        return plan
    evaluation = EvaluationSet(panel, windows, task.scale, task.relative, plan.needs, plan.fit.loss)
    return ensemble_without_fit(plan, evaluation, watch, statistical_partner(questions.smoothings, evaluation))


def evaluation_set(panel: Panel, task: Task, plan: Plan) -> EvaluationSet:
    """The validation windows of a task, and the plan's error. ValueError where there are none."""
    if task.validation is None:
        raise ValueError("a task of model selection has validation windows")
    return EvaluationSet(
        panel,
        task.validation,
        task.scale,
        task.relative,
        plan.needs,
        loss="mse" if plan.members[0].point_level is None else plan.fit.loss,
        history=history_windows(panel, task.validation.end, plan.horizon),
    )


def choose_components(
    plan: Plan,
    networks: Sequence[Network],
    questions: OpenQuestions,
    evaluation: EvaluationSet,
    task: Task,
    fit_all: FitAll,
    watch: Watch,
) -> Served:
    """The plan of `networks`, which represent its members, with shares of a pretrained network and of a simple method.

    Without `networks` the pretrained network, which there must be, takes the place of all members.
    """
    days = plan.special_days
    if days and not questions.blended and not evaluation.has_special_days(days):
        reason = "no validation window has a special day: only what reads these serves"
        watch.note(f"model selection: {reason}")
        knows = questions.pretrained and plan.takes_days_out
        questions = replace(questions, smoothings=(), trees=(0, 0), pretrained=knows)
        plan = replace(plan, smoothing=None).with_row("floor", 0.0, reason)
    if questions.pretrained or any(questions.trees):
        partner = None if questions.blended else statistical_partner(questions.smoothings, evaluation)
        found, unfitted = select_ensemble(plan, networks, questions, evaluation, task, fit_all, watch, partner)
    else:
        found, unfitted = Served(plan, evaluation.forecast(networks)), None
    return choose_simple_method(found, questions, evaluation, watch, unfitted)


def choose_cell(plan: Plan, task: Task, fit_all: FitAll, watch: Watch) -> Plan:
    """For `--cell auto`: the plan with the cell whose first member has the lowest error on `task`'s validation windows.

    Every cell is fitted alike, and the reason in the plan names all errors.
    """
    plans = {cell: plan.with_cell(cell, "") for cell in CELLS}
    tried = try_all(list(plans.values()), task, fit_all)
    errors = {cell: error for cell, (_, error) in zip(plans, tried, strict=True)}
    best = min(errors, key=errors.__getitem__)
    others = ", ".join(f"{cell} {error:.3g}" for cell, error in errors.items() if cell != best)
    because = f"validation error {errors[best]:.3g}, {others}"
    watch.note(f"model selection: cell {best}: {because}")
    return plan.with_cell(best, because)


def try_all(plans: Sequence[Plan], task: Task, fit_all: FitAll) -> list[tuple[Network, float]]:
    """The first member of each plan, fitted, and its validation error, infinite where it diverged.

    KeyboardInterrupt where not all were fitted: no choice can be made then.
    """
    stage = fit_all(SELECTION_STAGE, task, [MemberFit(plan.members[0], plan.fit) for plan in plans])
    if len(stage.fits) < len(plans) or stage.stopped == "interrupted":
        raise KeyboardInterrupt
    errors = [one.state.last_error if one.stopped != "diverged" else math.inf for one in stage.fits]
    return [
        (network, error if math.isfinite(error) else math.inf)
        for network, error in zip(stage.networks, errors, strict=True)
    ]


class _CandidateFits:
    """Short fits of the first member, one for each candidate."""

    def __init__(self, draft: Draft, task: Task, fit_all: FitAll) -> None:
        self.draft, self.questions, self.task, self.fit_all = draft, draft.questions, task, fit_all
        self.errors: dict[Candidate, float] = {}  # on the validation windows, after the last epoch
        self.fitted: dict[Candidate, Network] = {}

    def search(self, enough: float = math.inf) -> Candidate:
        """The scaling with the lowest error after the shortest schedule, on the shortest schedule that no other clearly beats.

        Schedules are tried from short to long, a longer one only where the last one clearly lowered the error. Where the
        shortest schedule is not the best, the other scalings are fitted for longer, too, so that they can be combined with
        the leader. None is tried where every error is above `enough`: a pretrained network has it without a fit. Where the
        questions are `patient`, every schedule is tried.
        """
        shortest, *longer = sorted({schedule.epochs for schedule in self.questions.schedules})
        leader = self._leader()
        if min(self.errors.values()) > enough and not self.questions.patient:
            longer = []
        self._fit([*self._schedules(leader, shortest), *(self._schedules(leader, longer[0]) if longer else ())])
        before = self.errors[leader]
        best = self._cheapest(leader.scaling)
        for last, epochs in itertools.pairwise(longer):
            clear = best.schedule.epochs == last and self.errors[best] <= before * (1.0 - MIN_CLEAR_GAIN)
            if not clear and not self.questions.patient:
                break
            before = self.errors[best]
            self._fit([*self._schedules(leader, epochs), *self._others(best, shortest)])
            best = self._cheapest(leader.scaling)
        if not self.questions.agrees(best.schedule):
            best = self._as_given(leader, best)
        self._fit(self._others(best, shortest))
        return best

    def _as_given(self, leader: Candidate, best: Candidate) -> Candidate:
        """The leader on the best schedule that has the given settings; one more is tried where none was."""
        tried = [one for one in self.errors if one.scaling == leader.scaling and self.questions.agrees(one.schedule)]
        if not tried:
            tried = [replace(best, schedule=self.questions.as_given(best.schedule))]
            self._fit(tried)
        return min(tried, key=self.errors.__getitem__)

    def _leader(self) -> Candidate:
        """The scaling with the lowest error on the first schedule, and a shorter context where its error is clearly lower."""
        context, schedule = self.questions.contexts[0], self.questions.schedules[0]
        candidates = [Candidate(scaling, context, schedule) for scaling in self.questions.scalings]
        first = candidates[0]
        others = [replace(first, context_length=length) for length in self.questions.contexts[1:]]
        self._fit([*candidates, *others])
        leader, best_context = (min(some, key=self.errors.__getitem__) for some in (candidates, [first, *others]))
        if self.errors[best_context] < self.errors[first] * (1.0 - MIN_CLEAR_GAIN):
            leader = replace(leader, context_length=best_context.context_length)
        return leader

    def _schedules(self, candidate: Candidate, epochs: int) -> list[Candidate]:
        """The candidate on every schedule of this length that it was not fitted on."""
        schedules = [schedule for schedule in self.questions.schedules if schedule.epochs == epochs]
        candidates = [replace(candidate, schedule=schedule) for schedule in schedules]
        return [one for one in candidates if one not in self.errors]

    def _others(self, best: Candidate, shortest: int) -> list[Candidate]:
        """The other scalings on the best schedule, where they may be combined and were only fitted on the shortest.

        Those that are far behind after short fits are left out, unless the questions are `patient`.
        """
        if best.schedule.epochs == shortest or len(self.draft.plan.members) == 1:
            return []
        done = {candidate.scaling for candidate in self.errors if candidate.schedule.epochs > shortest}
        context, schedule = self.questions.contexts[0], self.questions.schedules[0]
        short = {one: self.errors[Candidate(one, context, schedule)] for one in self.questions.scalings}
        most = math.inf if self.questions.patient else min(short.values()) * (1.0 + MIN_CLEAR_GAIN)
        near = [scaling for scaling, error in short.items() if error <= most]
        return [replace(best, scaling=scaling) for scaling in near if scaling not in done]

    def _cheapest(self, scaling: TargetScaling) -> Candidate:
        """The scaling's shortest schedule whose error is within MIN_GAIN of the lowest."""
        errors = {candidate: error for candidate, error in self.errors.items() if candidate.scaling == scaling}
        lowest = min(errors.values())
        good = [candidate for candidate, error in errors.items() if error <= lowest * (1.0 + MIN_GAIN)]
        return min(good, key=lambda candidate: (candidate.schedule.epochs, errors[candidate]))

    def longest(self, best: Candidate) -> dict[TargetScaling, Network]:
        """Each scaling's network with the lowest error on its longest schedule; of the best scaling that of `best`.

        Networks that diverged are left out.
        """
        found = {}
        for candidate in sorted(self.fitted, key=lambda one: (one.schedule.epochs, -self.errors[one])):
            if math.isfinite(self.errors[candidate]):
                found[candidate.scaling] = self.fitted[candidate]
        return {**found, best.scaling: self.fitted[best]}

    def _fit(self, candidates: Sequence[Candidate]) -> None:
        if not candidates:
            return
        plans = [self.draft.decided(candidate, "") for candidate in candidates]
        for candidate, (network, error) in zip(candidates, try_all(plans, self.task, self.fit_all), strict=True):
            self.errors[candidate], self.fitted[candidate] = error, network
