"""Ensemble selection: which members join, with which shares, and when they lose nothing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from forecaster.config import TrainSettings
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.served_method import served_method
from forecaster.models.shares import combination_weights
from forecaster.models.theta import THETA
from forecaster.models.trees import TREES as TREE_CELL
from forecaster.training import ensemble_selection, fine_tuning
from forecaster.training.auto_plan import draft_plan
from forecaster.training.ensemble_selection import ensemble_shares, ensemble_without_fit, near_best, select_ensemble
from forecaster.training.plan import OWN, UNTOUCHED, OpenQuestions, Tuning
from tests.support.factories import Recorder, panel_of, waves
from tests.support.pretrained import WHOLE, draft_of

NO_QUESTIONS = OpenQuestions(scalings=(), contexts=(), schedules=())
TUNINGS = (Tuning(4, 3e-4), Tuning(12, 1e-3))


@pytest.fixture(autouse=True)
def _all_good(monkeypatch):
    """No component has too large an error for a share, and shares do not depend on errors but for the selection.

    Means of weights are far worse than either network, and no copy takes the place of the network as it is.
    """
    monkeypatch.setattr(ensemble_selection, "REPLACING_GAIN", 1.0)
    monkeypatch.setattr(fine_tuning, "with_mean_weights", lambda _before, _after: 9.0)
    monkeypatch.setattr(ensemble_selection, "POWER", 0.0)
    monkeypatch.setattr(ensemble_selection, "MAX_ERROR", float("inf"))


class Evaluation:
    """Compares forecasts with 0: a network is its own forecast."""

    rows = 40
    cutoffs = 3
    stretches = 10**9  # of which the usual shares are nothing

    def reaching(self, length):
        assert length in (WHOLE.context_length, 12)
        return self

    def forecast(self, networks):
        return np.median([np.full((2, 3), value) for value in networks], axis=0)

    def error(self, forecast):
        return float(np.abs(forecast).mean())

    @property
    def of_history(self):
        return self

    def smoothed(self, _smoothing):
        return np.full((2, 3), 0.5)

    def clearly_lower(self, one, other):
        return self.error(one) < self.error(other)


def fits_of(tuned, tunings):
    """Fits that give the untouched network and those after each tuning as their forecasts."""
    made = {(one.epochs, one.learning_rate): value for one, value in zip((UNTOUCHED, *tunings), tuned, strict=True)}

    def fit_all(_stage, _task, members):
        networks = [made[one.fit.epochs, one.fit.learning_rate] for one in members]
        fits = [SimpleNamespace(stopped="diverged" if value is None else "epochs") for value in networks]
        return SimpleNamespace(networks=networks, fits=fits, stopped="epochs")

    return fit_all


def joined(plan, own, tuned):
    """The plan after the choice, where networks in place of the untouched one and the tunings err by `tuned`."""
    tunings = TUNINGS[: len(tuned) - 1]
    questions = replace(NO_QUESTIONS, pretrained=True, tunings=tunings, own_members=2)
    made, unfitted = select_ensemble(plan, own, questions, Evaluation(), None, fits_of(tuned, tunings), Recorder())
    assert [(one.pretrained, one.tuned, one.share) for one in unfitted.plan.members] == [(4, False, 1.0)]
    assert not {"units", "cell", "epochs"} & {
        row.setting for row in unfitted.plan.rows
    }  # of networks that are not there
    assert (
        Evaluation().of_history.error(unfitted.history) == pytest.approx(abs(tuned[0]))
        and served_method(unfitted.plan.members, None) == "pretrained gru"
    )
    return made.plan, made.forecast


def test_they_join_unless_the_error_is_clearly_lower_without_them(shipped):
    plan = draft_of().plan
    kept, forecast = joined(plan, [1.0] * 4, [5.0, 4.0, 3.0])
    assert kept is plan and (forecast == 1.0).all()
    assert joined(plan, [1.0] * 4, [1.05])[0] is not plan  # by less than the choice of settings flatters the others
    changed, forecast = joined(plan, [1.0] * 4, [1.1, 0.5, None])
    assert [member.pretrained for member in changed.members] == [0, 0, 4, 4]
    assert any(row.setting == "pretrained" for row in changed.rows)
    assert "fine-tuned gru" in served_method(changed.members, None)
    assert (forecast < 1.0).all()


def test_a_tuning_that_is_not_selected_is_not_fitted_again(shipped):
    changed, _ = joined(draft_of().plan, [1.0] * 4, [0.5, 2.0, 3.0])
    assert [(member.pretrained, member.tuned) for member in changed.members] == [(0, False), (0, False), (4, False)]
    assert changed.members[2].share == pytest.approx(0.625)


def simple(method=THETA):
    return Smoothing(4, 12, 3, log=False, weight=0.5, method=method)


def test_without_validation_windows_nothing_is_fitted_and_the_history_gives_the_shares(shipped, monkeypatch):
    plan = draft_of().plan
    monkeypatch.setattr(ensemble_selection, "new_network", lambda _settings, _seed: -0.5)
    changed = ensemble_without_fit(plan, Evaluation(), Recorder(), simple())
    assert [(member.pretrained, member.share) for member in changed.members] == [(4, 1.0)]
    assert changed.method == "50 % pretrained gru; 50 % theta"  # one is too low by as much as the other is too high
    alone = ensemble_without_fit(plan, Evaluation(), Recorder(), None)
    assert (alone.method, alone.smoothing) == ("pretrained gru", None)
    monkeypatch.setattr(ensemble_selection, "new_network", lambda _settings, _seed: 0.6)
    assert ensemble_without_fit(plan, Evaluation(), Recorder(), simple()).smoothing.weight == pytest.approx(0.625)
    no_network = draft_of(members=1).plan
    assert ensemble_without_fit(no_network, Evaluation(), Recorder(), simple()) is no_network
    longer = draft_of(series=30, horizon=7).plan  # than the network was trained for: no fit teaches it the last step
    assert ensemble_without_fit(longer, Evaluation(), Recorder(), simple()) is longer


@pytest.mark.parametrize(("stretches", "share"), [(0, 0.4), (12, 0.5125), (10**9, 0.625)])
def test_few_windows_of_the_history_leave_the_shares_near_the_usual_ones(shipped, monkeypatch, stretches, share):
    monkeypatch.setattr(ensemble_selection, "new_network", lambda _settings, _seed: 0.6)
    monkeypatch.setattr(Evaluation, "stretches", stretches)
    made = ensemble_without_fit(draft_of().plan, Evaluation(), Recorder(), simple())
    assert made.smoothing.weight == pytest.approx(share)
    alone = ensemble_without_fit(draft_of().plan, Evaluation(), Recorder(), None)
    assert [member.share for member in alone.members] == [1.0]


NO_TUNING = replace(NO_QUESTIONS, pretrained=True, tunings=(), own_members=2)


def test_a_statistical_method_joins_unless_its_error_is_far_larger(shipped, monkeypatch):
    plan = draft_of().plan
    own, tuned = [1.0] * 4, [-0.5]
    made, unfitted = select_ensemble(plan, own, NO_TUNING, Evaluation(), None, fits_of(tuned, ()), Recorder(), simple())
    # Of ten rounds of the selection five take the network and five the method, and the own members are always there.
    assert made.plan.smoothing.weight == pytest.approx(0.25 * 0.5 + 0.75 / 3)
    rest, shares = combination_weights(made.plan.members)
    weight = made.plan.smoothing.weight
    assert made.forecast[0, 0] == pytest.approx((1.0 - weight) * (rest * 1.0 + sum(shares) * -0.5) + weight * 0.5)
    assert "theta" in made.plan.method and unfitted.plan.method == "50 % pretrained gru; 50 % theta"
    little = [0.45]  # the network has the lower error alone: over the history both have a share all the same
    unfitted = select_ensemble(plan, own, NO_TUNING, Evaluation(), None, fits_of(little, ()), Recorder(), simple())[1]
    assert unfitted.plan.smoothing.weight == pytest.approx(0.75 * 0.5)
    worse = [0.1]
    monkeypatch.setattr(ensemble_selection, "MAX_ERROR", 1.25)
    made, unfitted = select_ensemble(plan, own, NO_TUNING, Evaluation(), None, fits_of(worse, ()), Recorder(), simple())
    assert made.plan.smoothing is None and unfitted.plan.smoothing is None


def test_a_component_with_a_far_larger_error_has_no_share(shipped, monkeypatch):
    monkeypatch.setattr(ensemble_selection, "MAX_ERROR", 1.25)
    parts = {UNTOUCHED: np.full((2, 3), 1.0), OWN: np.full((2, 3), 1.2), simple(): np.full((2, 3), 1.3)}
    assert list(near_best(parts, Evaluation().error)) == [UNTOUCHED, OWN]
    plan = draft_of().plan
    kept, _ = select_ensemble(plan, [1.0] * 4, NO_TUNING, Evaluation(), None, fits_of([2.0], ()), Recorder())
    assert kept.plan is plan  # all members of its own, and no others
    nothing, _ = select_ensemble(plan, [1.0] * 4, NO_TUNING, Evaluation(), None, fits_of([0.5], ()), Recorder())
    assert [member.pretrained for member in nothing.plan.members] == [4]  # and none of its own


def test_a_method_that_is_far_better_than_every_network_serves_alone_beside_one(shipped, monkeypatch):
    """With a fast preset nothing starts from nothing: without this there was no member at all."""
    monkeypatch.setattr(ensemble_selection, "MAX_ERROR", 1.25)
    plan, watch = draft_of().plan, Recorder()
    made, _ = select_ensemble(plan, (), NO_TUNING, Evaluation(), None, fits_of([2.0], ()), watch, simple())
    assert [member.pretrained for member in made.plan.members] == [4]
    assert (made.plan.method, made.plan.smoothing.weight) == (THETA, 1.0) and (made.forecast == 0.5).all()
    assert watch.notes == ["model selection: 100% theta: no network's error is near"]


def test_trees_join_where_they_lower_the_error_beside_or_without_a_pretrained_network(shipped):
    questions = replace(NO_QUESTIONS, pretrained=True, trees=(4, 12), own_members=2)

    def fits(*forecasts):
        def fit_all(_stage, _task, members):
            assert [one.network.cell for one in members][-1] == TREE_CELL and members[-1].fit.epochs == 1
            kinds = [SimpleNamespace(stopped="epochs")] * len(members)
            return SimpleNamespace(networks=list(forecasts), fits=kinds, stopped="epochs")

        return fit_all

    plan = draft_of().plan
    made, _ = select_ensemble(plan, [1.0] * 4, questions, Evaluation(), None, fits(0.9, -0.9), Recorder())
    assert [one.cell for one in made.plan.members] == ["gru", "gru", "gru", TREE_CELL]
    assert made.plan.members[-1].context_length == 12 and "trees" in made.plan.method
    worse, _ = select_ensemble(plan, [1.0] * 4, questions, Evaluation(), None, fits(0.9, 3.0), Recorder())
    assert TREE_CELL not in [one.cell for one in worse.plan.members]
    alone = replace(questions, pretrained=False)
    made, unfitted = select_ensemble(plan, [1.0] * 4, alone, Evaluation(), None, fits(-0.9), Recorder())
    assert [one.cell for one in made.plan.members] == ["gru", "gru", "lstm", "gru", TREE_CELL] and unfitted is None
    none, _ = select_ensemble(plan, [1.0] * 4, alone, Evaluation(), None, fits(3.0), Recorder())
    assert none.plan is plan


def test_a_copy_that_is_clearly_better_takes_the_place_of_the_network_as_it_is(shipped, monkeypatch):
    monkeypatch.setattr(ensemble_selection, "REPLACING_GAIN", 0.05)
    changed, _ = joined(draft_of().plan, [1.0] * 4, [1.0, 0.97, 2.0])
    assert [(member.pretrained, member.tuned) for member in changed.members[2:]] == [(4, False), (4, True)]
    changed, _ = joined(draft_of().plan, [1.0] * 4, [1.0, 0.9, 2.0])
    assert [(member.pretrained, member.tuned) for member in changed.members[2:]] == [(4, True)]
    monkeypatch.setattr(Evaluation, "cutoffs", 10)  # one series, whose windows lie at many times
    changed, _ = joined(draft_of().plan, [1.0] * 4, [1.0, 0.97, 2.0])
    assert [(member.pretrained, member.tuned) for member in changed.members[2:]] == [(4, True)]


def test_members_with_a_small_share_are_not_fitted_twice(shipped, monkeypatch):
    monkeypatch.setattr(ensemble_selection, "POWER", 6.0)
    changed, _ = joined(draft_of().plan, [1.0] * 4, [0.8, 0.65, 0.7])  # own members have 11 % of the forecast
    assert [member.pretrained for member in changed.members] == [0, 4, 4]
    changed, _ = joined(draft_of().plan, [1.0] * 4, [0.98, 0.95, 2.0])
    assert [member.pretrained for member in changed.members] == [0, 0, 4, 4]


def test_the_forecast_that_is_returned_is_that_of_the_shares(shipped):
    changed, forecast = joined(draft_of().plan, [1.0] * 4, [0.8, 0.5, -0.4])
    rest, shares = combination_weights(changed.members)
    assert shares[:2] == [0.0, 0.0] and rest + sum(shares) == pytest.approx(1.0)
    assert forecast[0, 0] == pytest.approx(rest * 1.0 + shares[2] * 0.8 - shares[3] * 0.4)


def test_the_best_tuning_alone_joins_and_is_fitted_again_as_it_was(shipped):
    changed, _ = joined(draft_of().plan, [1.0] * 4, [0.8, 0.6, -0.5])
    tuned = [one for one in changed.member_fits if one.network.tuned]
    assert [(one.fit.epochs, one.fit.learning_rate) for one in tuned] == [(TUNINGS[1].epochs, TUNINGS[1].learning_rate)]
    untouched = [one for one in changed.member_fits if one.network.pretrained and not one.network.tuned]
    assert [one.fit.epochs for one in untouched] == [0]


def test_there_are_as_many_members_as_asked_for_at_most(shipped):
    for count, kinds in ((2, [0, 4]), (3, [0, 4, 4]), (4, [0, 0, 4, 4]), (6, [0, 0, 4, 4])):
        changed, _ = joined(
            draft_of(members=count).plan, [1.0] * count, [0.3, -0.4, 0.5][: count + 1 if count > 2 else 1]
        )
        assert [member.pretrained for member in changed.members] == kinds


def test_own_members_keep_their_scalings_and_calendar(shipped):
    plan = draft_of().plan
    changed, _ = joined(plan, [0.2] * 4, [-0.3, 5.0])
    assert changed.calendar == plan.calendar
    scales = [one.fit.error_scale for one in changed.member_fits]
    assert scales[0] == plan.fit.error_scale and scales[-1] == "series"


def test_without_a_tuning_the_network_joins_as_it_is(shipped):
    changed, _ = joined(draft_of().plan, [0.5] * 4, [-0.4])
    assert [member.pretrained for member in changed.members] == [0, 0, 4]
    assert not any(member.tuned for member in changed.members)


def test_a_given_length_of_training_allows_no_tuning(shipped):
    many = panel_of(*waves(30, 60), season_length=4)
    assert draft_plan(many, TrainSettings(horizon=3)).questions.tunings
    given = TrainSettings(horizon=3, epochs=2, steps_per_epoch=5)
    assert not draft_plan(many, given).questions.tunings and draft_plan(many, given).questions.pretrained


def test_a_forecast_with_a_larger_error_has_a_smaller_share(monkeypatch):
    def error(forecast):
        return float(np.abs(forecast).mean())

    parts = {"low": np.full((2, 3), 1.0), "high": np.full((2, 3), 1.2)}
    equal = ensemble_shares(parts, error, ("high",))
    monkeypatch.setattr(ensemble_selection, "POWER", 6.0)
    found = ensemble_shares(parts, error, ("high",))
    assert equal["high"] == pytest.approx(0.375) and found["high"] == pytest.approx(0.75 / (1 + 1.2**6))
    assert sum(found.values()) == pytest.approx(1.0)


def test_shares_are_between_equal_ones_and_the_selected_ones():
    def error(forecast):
        return float(np.abs(forecast).mean())

    good, bad, worse = np.zeros((2, 3)), np.full((2, 3), 9.0), np.full((2, 3), 20.0)
    assert ensemble_shares({"good": good, "bad": bad, "worse": worse}, error, ("bad",)) == {"good": 0.625, "bad": 0.375}
    assert ensemble_shares({"above": good + 1.0, "below": good - 1.0}, error) == {"above": 0.5, "below": 0.5}
