"""Model selection fits short schedules first, longer ones only where they lower the error, other scalings only to combine."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest

from forecaster.config import TrainSettings
from forecaster.data.extra_inputs import Needs
from forecaster.data.windows import Windows
from forecaster.training.auto_plan import draft_plan
from forecaster.training.evaluation_set import EvaluationSet
from forecaster.training.plan import Candidate, TargetScaling, TrainingSchedule
from forecaster.training.selection import _CandidateFits, choose_components
from tests.data.test_special_days import daily_values
from tests.data.test_special_days import panel as days_panel
from tests.support.factories import Recorder, panel_of, waves

SCHEDULES = tuple(TrainingSchedule(*one) for one in ((6, 5e-3), (6, 2e-3), (20, 5e-3), (30, 5e-3)))
NONE, LOG = TargetScaling("none", "series"), TargetScaling("log", "transform")


def candidate(scaling, context_length, epochs, learning_rate):
    return Candidate(scaling, context_length, TrainingSchedule(epochs, learning_rate))


def _asked(draft, member):
    """(transform, epochs, rate), and the context length where it is not the rule's own."""
    network, fit = member.network, member.fit
    other = () if network.context_length == draft.questions.contexts[0] else (network.context_length,)
    return (network.transform, fit.epochs, fit.learning_rate, *other)


@pytest.fixture
def draft():
    made = draft_plan(panel_of(*waves(3, 60)), TrainSettings(members=2))
    return with_questions(made, scalings=(NONE, LOG), contexts=(24,), schedules=SCHEDULES)


def with_questions(draft, **answers):
    return replace(draft, questions=replace(draft.questions, **answers))


def fits_of(draft, errors):
    """Fits of candidates that err as `errors` says: (transform, epochs, rate[, another context]) -> error."""
    rounds = []

    def fit_all(_stage, _task, members):
        asked = [_asked(draft, member) for member in members]
        rounds.append(asked)
        fits = [
            SimpleNamespace(
                state=SimpleNamespace(last_error=errors[one]), stopped="epochs" if errors[one] < 9 else "diverged"
            )
            for one in asked
        ]
        return SimpleNamespace(networks=asked, fits=fits, stopped="epochs")

    return _CandidateFits(draft, None, fit_all), rounds


def test_where_longer_does_not_pay_the_shortest_schedule_is_taken_and_none_longer_tried(draft):
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("log", 6, 5e-3): 1.1,
        ("none", 6, 2e-3): 1.02,
        ("none", 20, 5e-3): 0.995,  # within the margin
    }
    fits, rounds = fits_of(draft, errors)
    assert fits.search() == candidate(NONE, 24, 6, 5e-3)
    assert [len(jobs) for jobs in rounds] == [2, 2]


def test_a_still_longer_schedule_is_tried_only_where_the_last_one_clearly_won(draft):
    errors = {
        ("none", 6, 5e-3): 0.92,
        ("log", 6, 5e-3): 0.9,
        ("log", 6, 2e-3): 0.95,
        ("log", 20, 5e-3): 0.8,
        ("log", 30, 5e-3): 0.75,
        ("none", 20, 5e-3): 0.85,
    }
    fits, rounds = fits_of(draft, errors)
    best = fits.search()
    assert best == candidate(LOG, 24, 30, 5e-3)
    assert rounds[-1] == [("log", 30, 5e-3), ("none", 20, 5e-3)]
    assert fits.longest(best) == {NONE: ("none", 20, 5e-3), LOG: ("log", 30, 5e-3)}


def test_a_schedule_that_barely_won_ends_the_search_and_the_other_scaling_is_fitted_as_long(draft):
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("log", 6, 5e-3): 1.02,
        ("none", 6, 2e-3): 1.0,
        ("none", 20, 5e-3): 0.98,
        ("log", 20, 5e-3): 1.0,
    }
    fits, rounds = fits_of(draft, errors)
    assert fits.search() == candidate(NONE, 24, 20, 5e-3)
    assert rounds[-1] == [("log", 20, 5e-3)]


def test_a_scaling_that_was_far_behind_is_not_fitted_for_longer(draft):
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("log", 6, 5e-3): 1.04,
        ("none", 6, 2e-3): 1.0,
        ("none", 20, 5e-3): 0.98,
    }
    fits, rounds = fits_of(draft, errors)
    assert fits.search() == candidate(NONE, 24, 20, 5e-3)
    assert rounds[-1] == [("none", 6, 2e-3), ("none", 20, 5e-3)]


def test_one_member_needs_no_other_scaling_to_be_mixed_with(draft):
    draft = replace(draft, plan=replace(draft.plan, members=draft.plan.members[:1]))
    errors = {("none", 6, 5e-3): 1.0, ("log", 6, 5e-3): 1.1, ("none", 6, 2e-3): 1.0, ("none", 20, 5e-3): 0.98}
    fits, rounds = fits_of(draft, errors)
    assert fits.search().schedule.epochs == 20
    assert len(rounds) == 2


def test_a_fit_that_diverged_is_never_chosen_nor_combined(draft):
    errors = {
        ("none", 6, 5e-3): math.inf,
        ("log", 6, 5e-3): 1.1,
        ("log", 6, 2e-3): 1.2,
        ("log", 20, 5e-3): math.inf,
    }
    fits, _ = fits_of(draft, errors)
    best = fits.search()
    assert best == candidate(LOG, 24, 6, 5e-3)
    assert set(fits.longest(best)) == {LOG}


def test_half_the_context_is_taken_for_all_that_follows_where_it_clearly_wins(draft):
    draft = with_questions(draft, contexts=(24, 12))
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("none", 6, 5e-3, 12): 0.95,
        ("log", 6, 5e-3): 0.9,
        ("log", 6, 5e-3, 12): 0.8,
        ("log", 6, 2e-3, 12): 0.85,
        ("log", 20, 5e-3, 12): 0.795,  # within the margin
    }
    fits, rounds = fits_of(draft, errors)
    best = fits.search()
    assert best == candidate(LOG, 12, 6, 5e-3)
    assert [len(jobs) for jobs in rounds] == [3, 3]
    decided = draft.decided(best, "so its error was lowest")
    assert decided.context_length == 12
    assert {member.context_length for member in decided.members} == {12}
    assert [(row.value, row.reason) for row in decided.rows if row.setting == "context_length"] == [
        (12, "so its error was lowest")
    ]


def test_half_the_context_that_barely_wins_is_not_taken_but_its_network_may_stand_in(draft):
    draft = with_questions(draft, contexts=(24, 12))
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("none", 6, 5e-3, 12): 0.98,
        ("log", 6, 5e-3): 0.9,
        ("log", 6, 2e-3): 0.92,
        ("log", 20, 5e-3): 0.91,
    }
    fits, _ = fits_of(draft, errors)
    best = fits.search()
    assert best == candidate(LOG, 24, 6, 5e-3)
    assert fits.longest(best) == {NONE: ("none", 6, 5e-3, 12), LOG: ("log", 6, 5e-3)}
    rows = [row for row in draft.decided(best, "its error was lowest").rows if row.setting == "context_length"]
    assert rows == [row for row in draft.plan.rows if row.setting == "context_length"]


def test_no_longer_schedule_is_tried_where_a_pretrained_network_is_better_without_a_fit(draft):
    errors = {("none", 6, 5e-3): 1.0, ("log", 6, 5e-3): 1.1, ("none", 6, 2e-3): 0.97}
    fits, rounds = fits_of(draft, errors)
    assert fits.search(enough=0.9) == candidate(NONE, 24, 6, 2e-3)
    assert [len(jobs) for jobs in rounds] == [2, 1]
    more, _ = fits_of(draft, {**errors, ("none", 20, 5e-3): 0.8, ("none", 30, 5e-3): 0.9, ("log", 20, 5e-3): 1.0})
    assert more.search(enough=1.05).schedule.epochs == 20


def test_a_patient_search_tries_every_schedule_whatever_the_shorter_ones_gained(draft):
    errors = {
        ("none", 6, 5e-3): 1.0,
        ("log", 6, 5e-3): 1.1,
        ("none", 6, 2e-3): 1.02,
        ("none", 20, 5e-3): 0.995,
        ("none", 30, 5e-3): 0.5,
        ("log", 30, 5e-3): 0.7,
    }
    fits, rounds = fits_of(with_questions(draft, patient=True), errors)
    assert fits.search(enough=0.1) == candidate(NONE, 24, 30, 5e-3)
    assert sum(map(len, rounds)) == len(errors)


def windows_before(made, horizon, back):
    """The evaluation set of one window whose horizon begins so many days before the end of a panel."""
    cutoffs = made.offsets[1:] - back
    windows = Windows(made.target, made.offsets[:-1], made.offsets[1:], np.arange(len(cutoffs)), cutoffs)
    return EvaluationSet(made, windows, np.ones(len(cutoffs)), relative=True, needs=Needs(28, horizon, ()))


@pytest.mark.parametrize("networks", [["own"], []], ids=["default", "fast"])
@pytest.mark.parametrize(("back", "has_them"), [(30, False), (70, True)], ids=["January", "Christmas"])
def test_where_no_window_has_a_special_day_only_what_reads_these_serves(back, has_them, networks):
    made = days_panel(daily_values(4 * 365, effects={"12-25": -0.5}))  # up to the end of February
    preset = "default" if networks else "fast"
    drafted, watch = draft_plan(made, TrainSettings(horizon=14, preset=preset)), Recorder()
    assert drafted.plan.special_days
    evaluation, asked = windows_before(made, 14, back), []

    class Asking(EvaluationSet):
        def smoothed(self, smoothing):
            asked.append(smoothing)
            return super().smoothed(smoothing)

        def forecast(self, _networks):
            return self.windows.gather(0, 14) * 1.02

    questions = replace(drafted.questions, pretrained=False, trees=(0, 0))
    evaluation = Asking(**{one.name: getattr(evaluation, one.name) for one in fields(evaluation)})
    plan = choose_components(drafted.plan, networks, questions, evaluation, None, None, watch).plan
    assert bool(asked) == has_them
    if not has_them:
        assert plan.smoothing is None
        assert next(row.value for row in plan.rows if row.setting == "floor") == 0.0
