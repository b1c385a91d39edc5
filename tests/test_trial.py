"""The order of the trial fits: cheap first, longer only where longer paid, the others only where they may be mixed."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from forecaster.config import TrainSettings
from forecaster.plan import Choice
from forecaster.planning import make_plan
from forecaster.trial import _Trials
from tests.tiny import panel_of, waves

COURSES = ((6, 5e-3), (6, 2e-3), (20, 5e-3), (30, 5e-3))
NONE, LOG = ("none", "series"), ("log", "transform")


def _asked(plan, member):
    """(transform, epochs, rate), and the context length where it is not the rule's own."""
    network, fit = member.network, member.fit
    other = () if network.context_length == plan.contexts[0] else (network.context_length,)
    return (network.transform, fit.epochs, fit.learning_rate, *other)


@pytest.fixture
def plan():
    made = make_plan(panel_of(*waves(3, 60)), TrainSettings(members=2))
    return replace(made, transforms=(NONE, LOG), contexts=(24,), courses=COURSES)


def trials_of(plan, errors):
    """Trials whose fits err as `errors` says: (transform, epochs, rate[, another context]) -> error."""
    rounds = []

    def fit_all(stage, task, members):
        asked = [_asked(plan, member) for member in members]
        rounds.append(asked)
        fits = [
            SimpleNamespace(
                state=SimpleNamespace(last_error=errors[one]), stopped="epochs" if errors[one] < 9 else "diverged"
            )
            for one in asked
        ]
        return SimpleNamespace(networks=asked, fits=fits, stopped="epochs")

    return _Trials(plan, None, fit_all), rounds


def test_where_longer_does_not_pay_the_shortest_course_is_taken_and_none_longer_tried(plan):
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("log", 6, 5e-3): 1.1,
        ("none", 6, 2e-3): 1.02,
        ("none", 20, 5e-3): 0.995,  # within the margin
    }
    trials, rounds = trials_of(plan, errors)
    assert trials.settle() == Choice(*NONE, 24, 6, 5e-3)
    assert [len(jobs) for jobs in rounds] == [2, 2]


def test_a_still_longer_course_is_tried_only_where_the_last_one_clearly_won(plan):
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("log", 6, 5e-3): 0.9,
        ("log", 6, 2e-3): 0.95,
        ("log", 20, 5e-3): 0.8,
        ("log", 30, 5e-3): 0.75,
        ("none", 20, 5e-3): 0.85,
    }
    trials, rounds = trials_of(plan, errors)
    best = trials.settle()
    assert best == Choice(*LOG, 24, 30, 5e-3)
    assert rounds[-1] == [("log", 30, 5e-3), ("none", 20, 5e-3)]
    assert trials.longest(best) == {NONE: ("none", 20, 5e-3), LOG: ("log", 30, 5e-3)}


def test_a_course_that_barely_won_ends_the_search_and_the_other_pair_is_fitted_as_long(plan):
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("log", 6, 5e-3): 1.1,
        ("none", 6, 2e-3): 1.0,
        ("none", 20, 5e-3): 0.98,
        ("log", 20, 5e-3): 1.0,
    }
    trials, rounds = trials_of(plan, errors)
    assert trials.settle() == Choice(*NONE, 24, 20, 5e-3)
    assert rounds[-1] == [("log", 20, 5e-3)]


def test_one_member_needs_no_other_pair_to_be_mixed_with(plan):
    plan = replace(plan, members=plan.members[:1])
    errors = {("none", 6, 5e-3): 1.0, ("log", 6, 5e-3): 1.1, ("none", 6, 2e-3): 1.0, ("none", 20, 5e-3): 0.98}
    trials, rounds = trials_of(plan, errors)
    assert trials.settle().epochs == 20
    assert len(rounds) == 2


def test_a_fit_that_diverged_is_never_taken_nor_mixed(plan):
    errors = {
        ("none", 6, 5e-3): math.inf,
        ("log", 6, 5e-3): 1.1,
        ("log", 6, 2e-3): 1.2,
        ("log", 20, 5e-3): math.inf,
    }
    trials, _ = trials_of(plan, errors)
    best = trials.settle()
    assert best == Choice(*LOG, 24, 6, 5e-3)
    assert set(trials.longest(best)) == {LOG}


def test_half_the_context_is_taken_for_all_that_follows_where_it_clearly_wins(plan):
    plan = replace(plan, contexts=(24, 12))
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("none", 6, 5e-3, 12): 0.95,
        ("log", 6, 5e-3): 0.9,
        ("log", 6, 5e-3, 12): 0.8,
        ("log", 6, 2e-3, 12): 0.85,
        ("log", 20, 5e-3, 12): 0.795,  # within the margin
    }
    trials, rounds = trials_of(plan, errors)
    best = trials.settle()
    assert best == Choice(*LOG, 12, 6, 5e-3)
    assert [len(jobs) for jobs in rounds] == [3, 3]
    decided = plan.decided(best, "so it erred least")
    assert decided.contexts == (12,)
    assert {member.context_length for member in decided.members} == {12}
    assert [(row.value, row.reason) for row in decided.rows if row.setting == "context_length"] == [
        (12, "so it erred least")
    ]


def test_half_the_context_that_barely_wins_is_not_taken_but_its_network_may_stand_in(plan):
    plan = replace(plan, contexts=(24, 12))
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("none", 6, 5e-3, 12): 0.98,
        ("log", 6, 5e-3): 0.9,
        ("log", 6, 2e-3): 0.92,
        ("log", 20, 5e-3): 0.91,
    }
    trials, _ = trials_of(plan, errors)
    best = trials.settle()
    assert best == Choice(*LOG, 24, 6, 5e-3)
    assert trials.longest(best) == {NONE: ("none", 6, 5e-3, 12), LOG: ("log", 6, 5e-3)}
    said = [row for row in plan.decided(best, "it erred least").rows if row.setting == "context_length"]
    assert said == [row for row in plan.rows if row.setting == "context_length"]
