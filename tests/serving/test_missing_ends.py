"""Rows that are missing at the end of a series are forecast before the first step that is served, by a stored model, too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.config import EvaluateSettings, PredictSettings
from forecaster.data.extra_inputs import Needs
from forecaster.data.windows import latest_windows
from forecaster.serving import raw_forecasts
from forecaster.serving.conformal import GRID, calibrate
from forecaster.serving.predict import predict
from forecaster.training.memory_forecasts import smoothed
from tests.serving.test_conformal import drawn
from tests.support.factories import NAN, Recorder, panel_of
from tests.support.stored_models import HOUR, stored, wave, write_csv

HORIZON = 6


def forecast_of(tmp_path, rows, **options):
    data = write_csv(tmp_path / "data.csv", rows, value=options.pop("value", wave))
    settings = PredictSettings(models=str(tmp_path / "models"), model="m", **options)
    return predict(str(data), settings, Recorder())


@pytest.mark.parametrize("lead", [1, HORIZON, 3 * HORIZON])
def test_the_steps_are_those_of_a_longer_horizon_after_the_last_observed_row(tmp_path, lead):
    stored(tmp_path / "models", horizon=HORIZON)
    longer = forecast_of(tmp_path, 96, horizon=HORIZON + lead)
    found = forecast_of(tmp_path, 96 + lead, value=lambda n, t: wave(n, t) if t < 96 else None)
    np.testing.assert_array_equal(found.timestamps, longer.timestamps[:, lead:])
    np.testing.assert_array_equal(found.prediction, longer.prediction[:, lead:])
    np.testing.assert_array_equal(found.quantile_forecasts, longer.quantile_forecasts[:, lead:])


def test_each_series_has_its_own_number_of_missing_rows(tmp_path):
    stored(tmp_path / "models", horizon=HORIZON)
    whole = forecast_of(tmp_path, 100)
    found = forecast_of(tmp_path, 100, value=lambda n, t: wave(n, t) if t < 95 or not n else None)
    np.testing.assert_array_equal(found.prediction[0], whole.prediction[0])
    longer = forecast_of(tmp_path, 95, horizon=HORIZON + 5)
    np.testing.assert_array_equal(found.prediction[1], longer.prediction[1, 5:])


def test_a_window_that_would_move_too_far_stays():
    panel = panel_of([1.0, 2.0, 3.0, 4.0, NAN, NAN, NAN])
    windows, moved = latest_windows(panel).from_last_observed([panel.target], 2)
    assert moved.tolist() == [0] and windows.cutoff.tolist() == [7]
    windows, moved = latest_windows(panel).from_last_observed([panel.target], 3)
    assert moved.tolist() == [3] and windows.cutoff.tolist() == [4]


def test_an_evaluation_forecasts_a_window_as_predict_did_then(tmp_path):
    def value(n, t):
        return wave(n, t) if t not in (115, 116, 117, 118, 119) else None

    stored(tmp_path / "models", horizon=HORIZON, last=int(np.datetime64("2024-01-05T00", "us").astype(np.int64)) - HOUR)
    served = forecast_of(tmp_path, 120, value=value)
    data = write_csv(tmp_path / "later.csv", 126, value=value)
    judged = evaluate(str(data), EvaluateSettings(models=str(tmp_path / "models"), model="m"), Recorder()).backtest
    last = judged.holdout.windows.remaining == HORIZON
    np.testing.assert_array_equal(judged.prediction[last], served.prediction)
    np.testing.assert_array_equal(judged.quantile_forecasts[last], served.quantile_forecasts)


def test_a_simple_method_is_judged_with_its_steps_after_the_last_observed_row(smoothing):
    rows = np.tile([1.0, 2.0, 3.0, 4.0], 6)
    whole, ended = panel_of(rows), panel_of(np.where(np.arange(24) < 21, rows, NAN))
    found = smoothed(ended, latest_windows(ended), smoothing)
    np.testing.assert_allclose(found, smoothed(whole, latest_windows(whole), smoothing))


@pytest.fixture
def smoothing():
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.simple_methods import SEASONAL_NAIVE

    return Smoothing(season_length=4, length=8, horizon=4, log=False, weight=1.0, method=SEASONAL_NAIVE)


class Past:
    """The facts of a graph that reads a past covariate."""

    def __init__(self, role):
        from forecaster.data.covariate_encodings import Encoding

        self.needs = Needs(8, 2, (), (Encoding("x", role),))


@pytest.mark.parametrize(("role", "moved"), [("past", 1), ("known", 3)])
def test_past_covariates_are_read_as_far_as_they_are_observed(role, moved):
    from forecaster.data.panel import Covariate

    panel = panel_of([1.0, 2.0, 3.0, 4.0, 5.0, NAN, NAN, NAN])
    panel = replace(panel, covariates=(Covariate("x", role, np.array([*range(7), NAN])),))
    _, found = raw_forecasts._from_last_observed(panel, latest_windows(panel), Past(role))
    assert found.tolist() == [moved]


@pytest.mark.parametrize("width", [None, 2.0])
def test_quantiles_are_those_of_the_steps_true_distance(width):
    pool = drawn(500, width=None if width is None else np.full(500, width))
    learnt, lead = calibrate(pool, ["s"]), np.array([0, 2, 9])
    longer = pool.forecast[:3, :1].repeat(15, axis=1)
    scale, names = np.ones(3), ["s"] * 3
    whole = learnt.quantiles(longer, scale, names, (0.1, 0.5, 0.9))
    part = np.stack([longer[i, lead[i] : lead[i] + 6] for i in range(3)])
    found = learnt.quantiles(part, scale, names, (0.1, 0.5, 0.9), lead)
    for i in range(3):
        np.testing.assert_allclose(found[i], whole[i, lead[i] : lead[i] + 6])


def test_paths_have_the_quantiles_of_the_steps_true_distance():
    pool = drawn(500, width=np.full(500, 2.0))
    pool = replace(pool, shape=replace(pool.shape, levels=(0.1, 0.9), centred=True))
    learnt, lead = calibrate(pool, ["s"]), np.array([4])
    paths = learnt.samples(pool.forecast[:1], np.ones(1), ["s"], 20_000, lead)
    expected = learnt.quantiles(pool.forecast[:1], np.ones(1), ["s"], (0.1, 0.9), lead)[0]
    found = np.quantile(paths[0], (0.1, 0.9), axis=1).T
    np.testing.assert_allclose(found, expected, atol=0.15)
    assert GRID[0] < 0.1
