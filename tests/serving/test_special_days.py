"""Forecasts before any training know the special days that a series has shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.config import PredictSettings
from forecaster.data.windows import Windows
from forecaster.serving.predict import predict
from forecaster.serving.zero_shot import ZeroShot, open_pretrained
from tests.data.test_special_days import daily_values, panel
from tests.support.factories import Recorder

CHRISTMAS = {"12-25": -0.5, "01-01": -0.4}
ROWS = 5 * 365 - 80  # up to the 9th of December 2019


def forecast(frame, **options):
    found = predict(frame, PredictSettings(**options), Recorder())
    return found.prediction[0]


def frame_of(values):
    return pd.DataFrame({"timestamp": pd.date_range("2015-03-01", periods=len(values)), "target": values})


@pytest.mark.parametrize("less", [0.0, 200.0], ids=["positive", "around zero"])
def test_the_days_of_past_years_are_in_the_forecast(tmp_path, monkeypatch, less):
    monkeypatch.chdir(tmp_path)
    ordinary = forecast(frame_of(daily_values(ROWS) - less), horizon=28)
    special = forecast(frame_of(daily_values(ROWS, effects=CHRISTMAS) - less), horizon=28)
    expected = np.zeros(28)
    expected[[15, 22]] = 0.5, 0.4  # 25 December and New Year
    lost = (ordinary - special) / (ordinary + less)
    np.testing.assert_allclose(lost, expected, atol=0.08)


def windows_of(made, *cutoffs):
    series = np.zeros(len(cutoffs), np.int64)
    return Windows(made.target, made.offsets[:-1], made.offsets[1:], series, np.array(cutoffs))


def test_no_forecast_knows_a_later_row():
    values, cutoffs = daily_values(6 * 365, effects=CHRISTMAS), (4 * 365 - 80, 5 * 365 - 80, 6 * 365 - 80)
    made = panel(values)
    networks = open_pretrained(7)

    def forecasts(panel):
        zero = ZeroShot(networks, panel, panel.offsets[1:], 28, calibrated=False)
        return zero.forecast(windows_of(panel, *cutoffs), (0.1, 0.9))

    before = forecasts(made)
    for i, cutoff in enumerate(cutoffs):
        later = values.copy()
        later[cutoff:] = 1.0 + later[cutoff:][::-1]
        np.testing.assert_array_equal(forecasts(replace(made, target=later))[i], before[i])
    assert (before[1:, :, 0].min(axis=1) < 0.7 * before[1:, 0, 0]).all()


def test_the_intervals_move_with_the_point():
    made = panel(daily_values(ROWS, effects=CHRISTMAS))
    zero = ZeroShot(open_pretrained(7), made, made.offsets[1:], 28)
    found = zero.forecast(windows_of(made, ROWS), (0.1, 0.5, 0.9))
    assert (np.diff(found[:, :, 1:], axis=2) > 0.0).all()
    np.testing.assert_allclose(found[:, :, 2], found[:, :, 0])


def test_a_series_that_begins_later_has_the_days_of_the_others():
    values = [daily_values(ROWS, seed, effects=CHRISTMAS) for seed in range(5)]
    made = panel(*values, daily_values(300, 9, effects={}))
    stamps = made.timestamps.copy()
    stamps[made.offsets[5] :] += stamps[ROWS - 1] - stamps[-1]
    made = replace(made, timestamps=stamps)
    zero = ZeroShot(open_pretrained(7), made, made.offsets[1:], 28, calibrated=False)
    windows = Windows(made.target, made.offsets[:-1], made.offsets[1:], np.array([5]), made.offsets[6:7])
    found = zero.forecast(windows, ())[0, :, 0]
    assert found[15] < 0.7 * found[14]
