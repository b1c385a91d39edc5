"""Short fits that answer what the rows alone do not say: which transform, how long a context, how many steps, how fast.

Every answer is measured on the validation windows, which lie before those that the scores are taken from. Nothing after them
is seen, so the scores stay honest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from forecaster.blend import Bench, mix, with_floor
from forecaster.models.task import MemberFit
from forecaster.plan import Choice, Pair, Plan

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.models.network import Network
    from forecaster.models.task import Stage, Task
    from forecaster.watch import Watch

# Fits every network on a task, at once where there are processors.
FitAll: TypeAlias = "Callable[[str, Task, Sequence[MemberFit]], Stage]"

STAGE = "trial"
MARGIN = 0.01  # that a longer course must win by: less is within the noise of a validation window
PAYS = 0.03  # that longer courses must have won by for a still longer one to be tried, or another context by


def settle(plan: Plan, panel: Panel, task: Task, fit_all: FitAll, watch: Watch) -> Plan:
    """The plan with its open questions answered on `task`'s validation windows."""
    questions = (plan.transforms, plan.contexts, plan.courses)
    if task.validation is None or (all(len(answers) == 1 for answers in questions) and not plan.floors):
        return plan
    trials = _Trials(plan, task, fit_all)
    best = trials.settle()
    for choice, error in trials.errors.items():
        watch.note(f"trial: {choice}: validation error {error:.4g}{' (taken)' if choice == best else ''}")
    others = ", ".join(f"{error:.3g}" for choice, error in trials.errors.items() if choice != best)
    decided = plan.decided(
        best, f"validation error {trials.errors[best]:.3g}, others {others}" if others else "as given"
    )
    needs = replace(plan.needs, context_length=max(plan.contexts))
    bench = Bench(panel, task.validation, task.scale, task.relative, needs)
    fitted = trials.longest(best)
    mixed = mix(decided, bench, fitted, best.pair, watch)
    # The other pairs' networks stand in for the members that will be on them.
    networks = [fitted[pair] for pair in mixed.pairs if pair in fitted]
    return with_floor(mixed, bench, networks, "validation windows", watch)


def try_all(plans: Sequence[Plan], task: Task, fit_all: FitAll) -> list[tuple[Network, float]]:
    """The first member of each plan, fitted, and its validation error, infinite where it diverged.

    KeyboardInterrupt where not all were fitted: nothing is decided then.
    """
    stage = fit_all(STAGE, task, [MemberFit(plan.members[0], plan.fit) for plan in plans])
    if len(stage.fits) < len(plans) or stage.stopped == "interrupted":
        raise KeyboardInterrupt
    errors = [one.state.last_error if one.stopped != "diverged" else math.inf for one in stage.fits]
    return [
        (network, error if math.isfinite(error) else math.inf)
        for network, error in zip(stage.networks, errors, strict=True)
    ]


class _Trials:
    """Short fits of the first member, each with another choice."""

    def __init__(self, plan: Plan, task: Task, fit_all: FitAll) -> None:
        self.plan, self.task, self.fit_all = plan, task, fit_all
        self.errors: dict[Choice, float] = {}  # on the validation windows, after the last epoch
        self.fitted: dict[Choice, Network] = {}

    def settle(self) -> Choice:
        """The pair that errs least after the shortest course, on the shortest course that none clearly beats.

        Courses are tried from short to long, a still longer one only where the last one clearly won. Where the shortest is
        not enough the other pairs are fitted for longer, too, so that they can be mixed with the leader.
        """
        shortest, *longer = sorted({epochs for epochs, _ in self.plan.courses})
        leader = self._leader()
        self._fit([*self._courses(leader, shortest), *(self._courses(leader, longer[0]) if longer else ())])
        before = self.errors[leader]
        best = self._cheapest(leader.pair)
        for last, epochs in itertools.pairwise(longer):
            if best.epochs != last or self.errors[best] > before * (1.0 - PAYS):
                break
            before = self.errors[best]
            self._fit([*self._courses(leader, epochs), *self._others(best, shortest)])
            best = self._cheapest(leader.pair)
        self._fit(self._others(best, shortest))
        return best

    def _leader(self) -> Choice:
        """The pair that errs least on the first course, on the context that clearly suits the likeliest pair best."""
        pairs = [Choice(*pair, self.plan.contexts[0], *self.plan.courses[0]) for pair in self.plan.transforms]
        first = pairs[0]
        others = [replace(first, context_length=length) for length in self.plan.contexts[1:]]
        self._fit([*pairs, *others])
        leader, suited = (min(some, key=self.errors.__getitem__) for some in (pairs, [first, *others]))
        if self.errors[suited] < self.errors[first] * (1.0 - PAYS):
            leader = replace(leader, context_length=suited.context_length)
        return leader

    def _courses(self, choice: Choice, epochs: int) -> list[Choice]:
        """The choice on every course of this length that it has not been on."""
        courses = [course for course in self.plan.courses if course[0] == epochs]
        choices = [replace(choice, epochs=epochs, learning_rate=rate) for epochs, rate in courses]
        return [one for one in choices if one not in self.errors]

    def _others(self, best: Choice, shortest: int) -> list[Choice]:
        """The other pairs on the best course, where they may be mixed and have only been on the shortest."""
        if best.epochs == shortest or len(self.plan.members) == 1:
            return []
        done = {choice.pair for choice in self.errors if choice.epochs > shortest}
        pairs = [pair for pair in self.plan.transforms if pair not in done]
        return [replace(best, transform=name, error_scale=scale) for name, scale in pairs]

    def _cheapest(self, pair: Pair) -> Choice:
        """The pair's shortest course that no longer one beats by more than the margin."""
        errors = {choice: error for choice, error in self.errors.items() if choice.pair == pair}
        least = min(errors.values())
        good = [choice for choice, error in errors.items() if error <= least * (1.0 + MARGIN)]
        return min(good, key=lambda choice: (choice.epochs, errors[choice]))

    def longest(self, best: Choice) -> dict[Pair, Network]:
        """Each pair's network of its longest course, the best of several; of the best pair the best one.

        Those that diverged are left out.
        """
        found = {}
        for choice in sorted(self.fitted, key=lambda choice: (choice.epochs, -self.errors[choice])):
            if math.isfinite(self.errors[choice]):
                found[choice.pair] = self.fitted[choice]
        return {**found, best.pair: self.fitted[best]}

    def _fit(self, choices: Sequence[Choice]) -> None:
        if not choices:
            return
        decided = [self.plan.decided(choice, "") for choice in choices]
        for choice, (network, error) in zip(choices, try_all(decided, self.task, self.fit_all), strict=True):
            self.errors[choice], self.fitted[choice] = error, network
