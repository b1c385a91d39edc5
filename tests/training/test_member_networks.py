"""Networks of the members before they are fitted: the pretrained network with fewer outputs forecasts the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.config import TrainSettings
from forecaster.data.covariate_encodings import Encoding
from forecaster.training import member_networks
from forecaster.training.auto_plan import draft_plan
from forecaster.training.fit import FitControl, fit
from forecaster.training.member_networks import (
    TREND_KEPT,
    is_lengthened,
    level_weights,
    new_network,
    pretrained_settings,
    step_weights,
)
from tests.support.factories import Recorder, fit_settings, panel_of, waves
from tests.support.pretrained import LEVELS, WHOLE, draft_of


def test_the_member_has_the_plans_horizon_and_levels(shipped):
    draft = draft_of()
    plan, member = draft.plan, pretrained_settings(draft.plan)
    assert draft.questions.pretrained
    assert (member.horizon, member.quantiles, member.pretrained) == (3, (0.1, 0.5, 0.9), 4)
    assert member.point_level == plan.members[0].point_level and member.combine == plan.members[0].combine


@pytest.mark.parametrize(
    "options", [{"season": 7}, {"horizon": 25}, {"members": 1}, {"loss": "mse"}, {"quantiles": (0.01, 0.5)}]
)
def test_where_the_network_cannot_do_what_is_asked_it_is_no_member(shipped, options):
    assert pretrained_settings(draft_of(**options).plan) is None


@pytest.mark.parametrize(
    "options",
    [
        {"pretrained": False},
        {"cell": "lstm"},
        {"cell": "auto"},
        {"start_from": "a"},
        {"layers": 3},
        {"units": 20},
        {"center": "last"},
        {"recurrent_initializer": "glorot"},
    ],
)
def test_options_that_it_does_not_have_rule_it_out(shipped, options):
    assert not draft_of(**options).questions.pretrained


@pytest.mark.parametrize(
    "options",
    [{"cell": "gru"}, {"layers": 1}, {"units": 4}, {"horizon": 2}, {"combine": "mean"}, {"transform": "log"}],
)
def test_options_that_it_has_or_that_are_chosen_anyway_do_not(shipped, options):
    assert draft_of(**options).questions.pretrained


def test_it_reads_gaps_filled_where_rows_are_missing(shipped):
    assert not pretrained_settings(draft_of().plan).fills_gaps
    series = waves(3, 80)
    for values in series:
        values[5:8] = np.nan
    gaps = draft_plan(panel_of(*series, season_length=4), TrainSettings(horizon=3, pretrained=True)).plan
    assert pretrained_settings(gaps).fills_gaps and not gaps.members[0].fills_gaps


def test_more_steps_than_it_was_trained_for_need_many_series_to_learn_them_from(shipped):
    assert not draft_of(horizon=7).questions.pretrained
    many = draft_of(series=30, horizon=7)
    assert many.questions.pretrained and is_lengthened(pretrained_settings(many.plan))
    assert not is_lengthened(pretrained_settings(draft_of(horizon=6).plan))


def made_by_both(monkeypatch, settings):
    """[B, H, 1 + Q] what a member of these settings and the whole network, of random weights, forecast of some contexts.

    Before quantiles are sorted: those of random weights cross.
    """
    from forecaster.models.network import Network

    whole, rng = Network(WHOLE, 3), np.random.default_rng(0)
    whole.weights = [rng.normal(0.0, 0.3, array.shape).astype(array.dtype) for array in whole.weights]
    monkeypatch.setattr(member_networks, "_pretrained", lambda season: whole)
    context = 50 + rng.normal(size=(5, 12)).cumsum(axis=1)
    return [np.asarray(one.horizon_model()([context])[0]) for one in (new_network(settings, 9), whole)]


@pytest.mark.usefixtures("cpu")
def test_a_cut_network_forecasts_as_the_whole_one(shipped, monkeypatch):
    settings = replace(WHOLE, horizon=4, quantiles=(0.1, 0.5, 0.9), pretrained=4)
    mine, theirs = made_by_both(monkeypatch, settings)
    columns = [0, *(1 + LEVELS.index(level) for level in settings.quantiles)]
    np.testing.assert_allclose(mine, theirs[:, :4, columns], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("cpu")
def test_a_lengthened_network_forecasts_the_same_first_steps_and_goes_on_by_the_season(shipped, monkeypatch):
    settings = replace(WHOLE, horizon=9, pretrained=4)
    mine, theirs = made_by_both(monkeypatch, settings)
    assert (WHOLE.horizon, WHOLE.season_length) == (6, 4)
    np.testing.assert_allclose(mine[:, :6], theirs, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(mine[:, 6], mine[:, 2], rtol=1e-4, atol=1e-5)  # no second season shows a trend
    np.testing.assert_allclose(mine[:, 8] - mine[:, 4], TREND_KEPT * (mine[:, 4] - mine[:, 0]), rtol=1e-3, atol=1e-4)


def test_steps_beyond_the_trained_ones_repeat_a_season_and_damp_its_trend():
    season = np.array([3.0, -1.0, 0.0, 2.0])
    np.testing.assert_allclose(step_weights(8, 14, 4) @ np.tile(season, 2), np.tile(season, 4)[:14])
    rising = step_weights(8, 20, 4) @ (np.tile(season, 2) + np.repeat([0.0, 1.0], 4))
    np.testing.assert_allclose(rising[[0, 4, 8, 12, 16]] - 3.0, np.cumsum([0.0, 1.0, *(TREND_KEPT ** np.arange(1, 4))]))
    np.testing.assert_array_equal(step_weights(8, 3, 4), np.eye(8)[:3])
    assert step_weights(8, 11, 52).shape == (
        11,
        8,
    )  # a season that is longer than what was trained: the last step's trend


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_inputs_that_a_pretrained_network_did_not_have_change_no_forecast_at_first(shipped, monkeypatch):
    from forecaster.models.network import Network

    trained = replace(WHOLE, segment=4, level=True, context_length=16)  # reads the level, as those that are shipped
    whole = Network(trained, 3)
    rng = np.random.default_rng(0)
    whole.weights = [rng.normal(0.0, 0.3, array.shape).astype(array.dtype) for array in whole.weights]
    monkeypatch.setattr(member_networks, "_pretrained", lambda season: whole)
    encodings = tuple(Encoding(role, role, mean=1.0, scale=2.0) for role in ("known", "past", "static"))
    settings = replace(trained, horizon=4, covariates=encodings, known=2, pretrained=4)
    network, plain = new_network(settings, 9), new_network(replace(settings, covariates=(), known=0), 9)
    context = 50 + rng.normal(size=(5, 16)).cumsum(axis=1)
    inputs = [context, *(rng.normal(size=(5, *shape)) for shape in [*settings.shapes.values()][1:])]
    mine, theirs = (np.asarray(one.horizon_model()(given)[0]) for one, given in ((network, inputs), (plain, [context])))
    np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-6)
    others = [values + 1.0 for values in inputs[1:]]
    network.weights = [array + 0.1 for array in network.weights]  # after training they do
    assert not np.allclose(*(np.asarray(network.horizon_model()(one)[0]) for one in (inputs, [context, *others])))


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
