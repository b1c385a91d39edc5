"""Holidays as inputs that follow from each timestamp."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest

from forecaster.commands.train import train
from forecaster.config import PredictSettings
from forecaster.data.calendar import features, holiday_calendar, holiday_dates, width
from forecaster.data.reading.reader import read_panel
from forecaster.errors import UsageError
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from tests.support.factories import Recorder, panel_of, train_settings

pytest.importorskip("holidays")


def micros(*days):
    return np.array(days, "M8[us]").astype(np.int64)


def test_a_holiday_the_day_before_and_the_day_after_are_inputs():
    wall = micros("2023-12-31T10:00", "2024-01-01T23:00", "2024-01-02", "2024-01-03", "2024-12-31")
    found = features(wall, ("holidays:US",))
    np.testing.assert_array_equal(found, [[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 1, 0]])
    assert found.shape[-1] == width(("holidays:US",))


def test_parts_of_a_country_have_their_own():
    assert len(holiday_dates("DE-BY", (2024,))) > len(holiday_dates("DE", (2024,)))


@pytest.mark.parametrize(
    ("country", "message"),
    [
        ("USX", "--holidays: the holidays of 'USX' are not known. Did you mean 'US'?"),
        ("DE-XX", "--holidays: DE has no part 'XX' with holidays of its own."),
    ],
)
def test_an_unknown_place_is_a_usage_error(country, message):
    with pytest.raises(UsageError) as caught:
        holiday_dates(country, (2024,))
    assert str(caught.value).startswith(message)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "holidays", None)
    with pytest.raises(UsageError, match=r"pip install 'forecaster-rnn(-predict)?\[holidays\]'"):
        holiday_dates("US", (2024,))


def test_steps_longer_than_a_day_have_no_holidays():
    with pytest.raises(UsageError, match="--holidays means nothing for steps of 1"):
        holiday_calendar("US", panel_of([1.0, 2.0]))
    monthly = pd.DataFrame({"timestamp": pd.date_range("2024-01-01", periods=5, freq="MS"), "target": range(5)})
    with pytest.raises(UsageError, match="--holidays means nothing for steps of MS"):
        holiday_calendar("US", read_panel(monthly))


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_the_model_remembers_them_and_predict_needs_no_flag(tmp_path):
    frame = pd.DataFrame({"timestamp": pd.date_range("2023-11-01", periods=55), "target": np.arange(55) % 7 + 5.0})
    settings = train_settings(tmp_path, name="x", holidays="US", calendar=False)
    done = train(frame, settings, Recorder())
    manifest = read_manifest(tmp_path / "x" / "1")
    assert manifest.calendar == ("holidays:US",) and manifest.members[0].known == 3 and done.epochs
    found = predict(frame, PredictSettings(models=str(tmp_path)), Recorder())
    assert np.isfinite(found.prediction).all()


def test_heads_that_feed_back_take_none():
    with pytest.raises(UsageError, match="--holidays has no effect on --head recursive"):
        train_settings("x", holidays="US", head="recursive")
