"""Members that start from a pretrained network: the same forecasts with fewer outputs, and a choice that can lose nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.config import TrainSettings
from forecaster.models.served_method import served_method
from forecaster.serving.pretrained import Card
from forecaster.training import pretrained_members
from forecaster.training.auto_plan import draft_plan
from forecaster.training.fit import FitControl, fit
from forecaster.training.pretrained_members import (
    TUNINGS,
    UNTOUCHED,
    join_pretrained,
    level_weights,
    pretrained_member,
    started,
)
from tests.support.factories import Recorder, fit_settings, network_settings, panel_of, waves
from tests.support.pretrained import LEVELS

WHOLE = network_settings(
    cell="gru", center="season", season_length=4, horizon=6, quantiles=LEVELS, linear=True, context_length=12
)


@pytest.fixture
def shipped(monkeypatch):
    """A card of a network for a season of 4, which is made when it is asked for."""
    card = Card(Path("nowhere"), 4, (4,), WHOLE, 7, {})
    monkeypatch.setattr(pretrained_members, "find_card", lambda season: card if season == 4 else None)
    monkeypatch.setattr("forecaster.training.auto_plan.find_card", lambda season: card if season == 4 else None)
    return card


def drafted(season=4, **options):
    draft = draft_plan(
        panel_of(*waves(3, 60), season_length=season), TrainSettings(**{"horizon": 3, "pretrained": True, **options})
    )
    return draft.plan, draft.questions


def test_the_member_has_the_plans_horizon_and_levels(shipped):
    plan, questions = drafted()
    member = pretrained_member(plan)
    assert questions.pretrained
    assert (member.horizon, member.quantiles, member.pretrained) == (3, (0.1, 0.5, 0.9), 4)
    assert member.point_level == plan.members[0].point_level and member.combine == plan.members[0].combine


@pytest.mark.parametrize(
    "options", [{"season": 7}, {"horizon": 7}, {"members": 1}, {"loss": "mse"}, {"quantiles": (0.01, 0.5)}]
)
def test_where_the_network_cannot_do_what_is_asked_it_is_no_member(shipped, options):
    assert pretrained_member(drafted(**options)[0]) is None


@pytest.mark.parametrize("options", [{"pretrained": False}, {"cell": "lstm"}, {"cell": "auto"}, {"start_from": "a"}])
def test_options_rule_it_out(shipped, options):
    assert not drafted(**options)[1].pretrained


@pytest.mark.usefixtures("cpu")
def test_a_cut_network_forecasts_as_the_whole_one(shipped, monkeypatch):
    from forecaster.models.network import Network

    whole = Network(WHOLE, 3)
    rng = np.random.default_rng(0)
    whole.weights = [rng.normal(0.0, 0.3, array.shape).astype(array.dtype) for array in whole.weights]
    monkeypatch.setattr(pretrained_members, "_pretrained", lambda season: whole)
    settings = replace(WHOLE, horizon=4, quantiles=(0.1, 0.5, 0.9), pretrained=4)
    context = 50 + rng.normal(size=(5, 12)).cumsum(axis=1)
    # Before quantiles are sorted: those of random weights cross.
    mine, theirs = (np.asarray(one.horizon_model()([context])[0]) for one in (started(settings, 9), whole))
    columns = [0, *(1 + LEVELS.index(level) for level in settings.quantiles)]
    np.testing.assert_allclose(mine, theirs[:, :4, columns], rtol=1e-4, atol=1e-5)


@given(st.lists(st.floats(0.025, 0.975), min_size=1, max_size=5, unique=True))
def test_levels_between_those_trained_are_interpolated(levels):
    levels = sorted(levels)
    found = np.array([0.0, *LEVELS]) @ level_weights(LEVELS, levels)
    np.testing.assert_allclose(found, [0.0, *levels], atol=1e-12)


@pytest.mark.usefixtures("cpu")
def test_a_fit_of_no_epoch_leaves_a_network_as_it_is():
    from forecaster.models.network import Network

    network = Network(WHOLE, 1)
    before = network.weights
    done = fit(network, None, fit_settings(epochs=0), FitControl(Recorder(), "test"))
    assert (done.history, done.stopped, done.best_epoch) == ((), "epochs", 0) and done.state.finished
    for one, other in zip(before, network.weights, strict=True):
        np.testing.assert_array_equal(one, other)


class Evaluation:
    """Compares forecasts with 0: a network is its own forecast."""

    def __init__(self, series):
        self.panel = SimpleNamespace(series=range(series))

    def reaching(self, length):
        assert length == WHOLE.context_length
        return self

    def forecast(self, networks):
        return np.median([np.full((2, 3), value) for value in networks], axis=0)

    def error(self, forecast):
        return float(np.abs(forecast).mean())


def joined(plan, own, tuned, series=30):
    """The plan after the choice, where networks in place of the tunings err by `tuned`."""

    def fit_all(_stage, _task, members):
        assert [(one.fit.epochs, one.fit.learning_rate) for one in members] == [
            (one.epochs, one.learning_rate) for one in TUNINGS[: len(tuned)]
        ]
        fits = [SimpleNamespace(stopped="diverged" if value is None else "epochs") for value in tuned]
        return SimpleNamespace(networks=tuned, fits=fits, stopped="epochs")

    return join_pretrained(plan, own, Evaluation(series), None, fit_all, Recorder())


def test_they_join_only_where_they_clearly_lower_the_error(shipped):
    plan, _ = drafted()
    kept, networks = joined(plan, [1.0] * 4, [1.2, 1.1, 0.995])
    assert kept is plan and networks == [1.0] * 4
    changed, networks = joined(plan, [1.0] * 4, [0.8, 0.5, None])
    assert [member.pretrained for member in changed.members].count(4) >= 3
    assert any(row.setting == "pretrained" for row in changed.rows)
    assert "fine-tuned gru" in served_method(changed.members, None)


def test_the_untouched_network_is_half_of_the_members_at_most(shipped):
    plan, _ = drafted()
    changed, networks = joined(plan, [1.0] * 4, [0.1, 0.5, 0.6])
    fits = changed.member_fits
    assert len(changed.members) == 4 and networks.count(0.1) == 2
    assert [one.fit.epochs for one in fits].count(UNTOUCHED.epochs) == 2
    assert all(one.network.tuned == (one.fit.epochs > 0) for one in fits if one.network.pretrained)


def test_own_members_come_first_with_their_scalings(shipped):
    plan, _ = drafted()
    changed, networks = joined(plan, [0.2] * 4, [-0.3, 5.0, None])
    kinds = [member.pretrained for member in changed.members]
    assert kinds == sorted(kinds) and kinds[0] == 0 and kinds[-1] == 4
    assert changed.calendar == plan.calendar and len(networks) == 4
    scales = [one.fit.error_scale for one in changed.member_fits]
    assert scales[0] == plan.fit.error_scale and scales[-1] == "series"


def test_with_few_series_the_network_is_not_fitted_further(shipped):
    plan, _ = drafted()
    changed, _ = joined(plan, [0.5] * 4, [-0.4], series=29)
    assert [member.pretrained for member in changed.members] == [0, 0, 4, 4]
    assert not any(member.tuned for member in changed.members)
