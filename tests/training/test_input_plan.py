"""The inputs of a plan: special days that the data shows, and when they are not looked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.commands.train import train
from forecaster.config import PredictSettings, TrainSettings
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from forecaster.training.auto_plan import draft_plan
from tests.data.test_special_days import daily_values, panel
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
    assert plan.calendar[-1].startswith("days:1.00/") and ",12-25=-1.000,07-04=-0." in plan.calendar[-1]
    assert plan.informed and not row_of(plan, "calendar").startswith("days")


def test_with_them_all_own_members_and_no_trees_are_tried():
    questions = draft(daily_values(ROWS, effects=EFFECTS)).questions
    assert questions.own_members == len(draft(daily_values(ROWS, effects=EFFECTS)).plan.members)
    assert draft(daily_values(ROWS)).questions.own_members == 2


@pytest.mark.parametrize(
    "given", [{"holidays": "none"}, {"calendar": False}, {"preset": "fast"}, {"head": "recursive"}]
)
def test_they_are_not_looked_for_where_nothing_would_read_them_or_nobody_wants_them(given):
    plan = draft(daily_values(ROWS, effects=EFFECTS), **given).plan
    assert row_of(plan, "special_days") in (None, given.get("holidays")) and not plan.informed


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
