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


@pytest.mark.slow
@pytest.mark.parametrize("less", [0.0, 200.0], ids=["positive", "around zero"])
def test_the_days_of_past_years_are_in_the_forecast(tmp_path, monkeypatch, less):
    monkeypatch.chdir(tmp_path)
    ordinary = forecast(frame_of(daily_values(ROWS) - less), horizon=28)
    special = forecast(frame_of(daily_values(ROWS, effects=CHRISTMAS) - less), horizon=28)
    expected = np.zeros(28)
    expected[[15, 22]] = 0.5, 0.4  # 25 December and New Year
    lost = (ordinary - special) / (ordinary + less)
    np.testing.assert_allclose(lost, expected, atol=0.08)


@pytest.mark.slow
def test_days_just_past_do_not_move_the_forecast(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = ROWS + 25  # up to the third of January
    ordinary = forecast(frame_of(daily_values(rows)), horizon=14)
    special = forecast(frame_of(daily_values(rows, effects=CHRISTMAS)), horizon=14)
    np.testing.assert_allclose(special, ordinary, rtol=0.02)


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


@pytest.mark.slow
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


def last_month(*series):
    """[N, 28] forecasts of 28 days after the last row of series."""
    made = panel(*series)
    zero = ZeroShot(open_pretrained(7), made, made.offsets[1:], 28, calibrated=False)
    windows = Windows(made.target, made.offsets[:-1], made.offsets[1:], np.arange(len(series)), made.offsets[1:])
    return zero.forecast(windows, ())[:, :, 0]


@pytest.mark.parametrize("sundays", [1.0, 0.0], ids=["open on Sundays", "closed on Sundays"])
def test_what_is_closed_on_a_day_has_nothing_on_it_after_years_of_growth(sundays):
    growth = np.exp(np.linspace(0.0, 2.3, ROWS))
    values = daily_values(ROWS, effects={"12-25": -1.0}) * growth
    values[::7] *= sundays  # the first of March 2015 was a Sunday
    found = last_month(values)[0]
    assert found[15] < 0.01 * found[16]


def test_series_without_a_special_day_keep_their_level_on_that_of_others():
    with_it = [daily_values(ROWS, seed, effects={"12-25": -0.8}) for seed in range(4)]
    found = last_month(*with_it, *(daily_values(ROWS, seed) for seed in range(4, 12)))
    share = found[:, 15] / found[:, 16]
    np.testing.assert_allclose(share[:4], 0.2, atol=0.06)
    np.testing.assert_allclose(share[4:], 1.0, atol=0.1)


def test_blocks_of_series_do_not_change_their_forecasts(monkeypatch):
    series = [daily_values(ROWS, seed, effects=CHRISTMAS) for seed in range(5)]
    together = last_month(*series)
    monkeypatch.setattr("forecaster.data.day_effects.SERIES", 2)
    np.testing.assert_allclose(last_month(*series), together, rtol=1e-9)
