"""The inputs of a plan: special days that the data shows, and when they are not looked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from forecaster.commands.explain import explain
from forecaster.commands.train import train
from forecaster.config import ExplainSettings, PredictSettings, TrainSettings
from forecaster.data.calendar import width
from forecaster.data.special_days import Rules
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from forecaster.training.auto_plan import draft_plan
from forecaster.training.fit import FitControl, fit
from forecaster.training.member_networks import new_network, pretrained_settings, with_inputs
from forecaster.training.selection import evaluation_set
from forecaster.training.split import split
from tests.data.test_special_days import DAY, daily_values, panel
from tests.support.factories import Recorder, train_settings

ROWS = 4 * 365 - 80
EFFECTS = {"12-25": -0.5, "07-04": -0.4}


def draft(values, **given):
    return draft_plan(panel(values), TrainSettings(horizon=14, **given))


def row_of(plan, name):
    return next((row.value for row in plan.rows if row.setting == name), None)


def test_special_days_are_inputs_and_the_plan_names_them():
    plan = draft(daily_values(ROWS, effects=EFFECTS)).plan
    assert row_of(plan, "special_days") == "12-25, 07-04"
    assert list(Rules.parse(plan.calendar[-1]).effects) == ["12-25", "07-04"] and plan.special_days
    assert plan.members[0].known == width(plan.calendar) and not row_of(plan, "calendar").startswith("days")
    assert plan.takes_days_out and not plan.informed  # pretrained networks know of them, too
    assert not with_inputs(pretrained_settings(plan), plan).known


def test_with_them_all_own_members_and_no_trees_are_tried():
    questions = draft(daily_values(ROWS, effects=EFFECTS)).questions
    assert questions.own_members == len(draft(daily_values(ROWS, effects=EFFECTS)).plan.members)
    assert draft(daily_values(ROWS)).questions.own_members == 2


def test_the_fast_preset_takes_them_out_of_what_the_pretrained_network_reads_and_fits_none():
    drafted = draft(daily_values(ROWS, effects=EFFECTS), preset="fast")
    assert row_of(drafted.plan, "special_days") == "12-25, 07-04"
    assert drafted.questions.own_members == 0 and not drafted.plan.informed
    assert pretrained_settings(drafted.plan).special_days
    assert drafted.plan.needs.special_days == drafted.plan.calendar[-1]


@pytest.mark.parametrize("given", [{}, {"holidays": "none"}])
def test_parts_of_days_and_who_wants_none_leave_the_pretrained_network_as_it_was(given):
    values = np.repeat(daily_values(ROWS, effects=EFFECTS), 1 if given else 4)
    made = panel(values, step=DAY if given else DAY // 4)
    plan = draft_plan(made, TrainSettings(horizon=14, preset="fast", **given)).plan
    assert not (plan.special_days or plan.takes_days_out or plan.needs.special_days)
    assert not pretrained_settings(plan).special_days


@pytest.mark.parametrize("given", [{"holidays": "none"}, {"calendar": False}, {"head": "recursive"}])
def test_they_are_not_looked_for_where_nothing_would_read_them_or_nobody_wants_them(given):
    plan = draft(daily_values(ROWS, effects=EFFECTS), **given).plan
    assert row_of(plan, "special_days") in (None, given.get("holidays")) and not plan.informed


@pytest.mark.slow
def test_a_country_given_takes_their_place():
    pytest.importorskip("holidays")
    plan = draft(daily_values(ROWS, effects=EFFECTS), holidays="US").plan
    assert plan.calendar[-1] == "holidays:US"


def test_the_test_windows_do_not_choose_them():
    values = daily_values(ROWS, effects=EFFECTS)
    before = draft(values)
    assert before.plan.windows
    values[-14 * before.plan.windows :] = 1.0
    assert draft(values).plan.calendar == before.plan.calendar


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("cpu")
def test_a_trained_model_forecasts_them_without_a_flag(tmp_path):
    values = daily_values(ROWS, effects={"12-25": -0.6, "12-20": 0.6})
    frame = pd.DataFrame({"timestamp": pd.date_range("2015-03-01", periods=len(values)), "target": values})
    settings = train_settings(tmp_path, name="x", horizon=28, epochs=6, steps_per_epoch=60, learning_rate=0.005)
    train(frame, settings, Recorder())
    assert read_manifest(tmp_path / "x" / "1").calendar[-1].startswith("days:")
    found = predict(frame, PredictSettings(models=str(tmp_path)), Recorder())
    days = pd.Series(found.prediction[0], index=pd.to_datetime(found.timestamps[0], unit="us").strftime("%m-%d"))
    usual = float(np.median(days))
    assert days["12-25"] < 0.7 * usual and days["12-20"] > 1.2 * usual


@pytest.fixture
def with_christmas():
    """Five years of days up to the 9th of December, and the 28 days after."""
    values = daily_values(5 * 365 - 80 + 28, effects={"12-25": -0.5, "01-01": -0.4})
    frame = pd.DataFrame({"timestamp": pd.date_range("2015-03-01", periods=len(values)), "target": values})
    return frame[:-28], frame[-28:]


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_the_fast_preset_forecasts_them_as_well_as_before_any_training(tmp_path, monkeypatch, with_christmas):
    history, after = with_christmas
    monkeypatch.chdir(tmp_path)
    settings = TrainSettings(models=str(tmp_path / "m"), name="x", horizon=28, windows=4, preset="fast", floor=0.0)
    stored = train(history, settings, Recorder())
    manifest = read_manifest(tmp_path / "m" / "x" / "1")
    assert stored.version == 1 and manifest.served == "pretrained gru" and not manifest.is_fitted
    assert [row.split(",")[0] for row in manifest.calendar] == [manifest.needs.special_days.split(",")[0]]
    graph = onnxruntime.InferenceSession(tmp_path / "m" / "x" / "1" / "model.onnx")
    assert [one.name for one in graph.get_inputs()] == ["context", "days"]

    def error(**options):
        return np.abs(predict(history, PredictSettings(**options), Recorder()).prediction[0] - after.target).mean()

    before = error(horizon=28)  # in a folder without models
    assert error(models=str(tmp_path / "m")) < 1.05 * before < 0.05 * after.target.mean()
    shown = explain(history, ExplainSettings(models=str(tmp_path / "m")), Recorder())
    assert ("calendar", "special days") in [(one.role, one.name) for one in shown.effects]
    rest = predict(history, PredictSettings(models=str(tmp_path / "m"), runtime="tensorflow"), Recorder())
    onnx = predict(history, PredictSettings(models=str(tmp_path / "m")), Recorder())
    np.testing.assert_allclose(rest.prediction, onnx.prediction, rtol=1e-5)
    np.testing.assert_allclose(rest.quantiles, onnx.quantiles, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_a_fine_tuned_copy_learns_ordinary_days_and_its_graph_puts_the_others_back(with_christmas):
    """Its first error is that of the network as it is; a few steps on ordinary days do not make it forget the others."""
    history, _ = with_christmas
    made = panel(history.target.to_numpy())
    plan = draft_plan(made, TrainSettings(horizon=28, windows=4, preset="fast")).plan
    parts = split(made, plan.needs, plan.windows)
    network = new_network(pretrained_settings(plan), 0)
    evaluation = evaluation_set(made, parts.selection, plan).reaching(network.settings.rows)
    before = evaluation.error(evaluation.forecast([network]))
    plain = new_network(replace(network.settings, special_days=False), 0)
    assert before < 0.9 * evaluation.error(evaluation.forecast([plain]))
    tuned = replace(plan.fit, error_scale="series", epochs=1, steps_per_epoch=20, learning_rate=1e-4, batch_size=16)
    done = fit(network, parts.selection, tuned, FitControl(Recorder(), "x"))
    after = evaluation.error(evaluation.forecast([network]))
    assert after < 1.05 * before
    # Its own validation forecasts as the graph does, but for what is known of the days: up to its end, not a year before.
    assert done.error == pytest.approx(after, rel=0.05)
