"""Baselines against numbers worked by hand, missing values, and what must not change a forecast."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.evaluation.backtest import baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.models import baselines
from forecaster.models.baselines import BASELINES, CHUNK_ROWS, drift, fit_gradient_boosting, naive, seasonal_naive
from tests.support import factories

NAN = float("nan")
SEASON, HORIZON = 4, 3
ROWS = 60  # of each series


def waves(rows=40, length=36, horizon=6, seed=0, missing=0.1):
    """Windows [rows, length] and what follows [rows, horizon]: a season of 6 on a level, some values missing."""
    rng = np.random.default_rng(seed)
    time = np.arange(length + horizon) + rng.integers(0, 6, rows)[:, None]
    values = 50 + 10 * np.sin(time * np.pi / 3) + rng.normal(size=time.shape)
    values[rng.random(values.shape) < missing] = np.nan
    return values[:, :length], values[:, length:]


def loop_seasonal_naive(context, horizon, season_length):
    result = np.full((len(context), horizon), np.nan)
    for row, values in enumerate(context):
        for step in range(horizon):
            same = [t for t in range(len(values)) if (len(values) + step - t) % season_length == 0]
            for places in (same, range(len(values))):
                observed = [values[t] for t in places if not np.isnan(values[t])]
                if observed:
                    result[row, step] = observed[-1]
                    break
    return result


def test_seasonal_naive_repeats_the_last_season():
    context = np.array([[9.0, 9, 1, 2, 3]])
    assert seasonal_naive(context, 5, 3).tolist() == [[1, 2, 3, 1, 2]]


def test_seasonal_naive_goes_back_a_season_where_a_value_is_missing():
    context = np.array([[7.0, 8, 9, 1, NAN, 3]])
    assert seasonal_naive(context, 3, 3).tolist() == [[1, 8, 3]]


def test_seasonal_naive_takes_the_latest_value_where_a_season_position_has_none():
    context = np.array([[NAN, 8.0, 9, NAN, 2, NAN]])
    assert seasonal_naive(context, 3, 3).tolist() == [[2, 2, 9]]


def test_seasonal_naive_of_less_than_a_season_takes_what_there_is():
    assert seasonal_naive(np.array([[1.0, 2]]), 4, 4).tolist() == [[2, 2, 1, 2]]


def test_naive_repeats_the_latest_observed_value():
    assert naive(np.array([[1.0, 5, NAN], [2, NAN, 3]]), 2, 1).tolist() == [[5, 5], [3, 3]]


def test_drift_goes_on_along_the_line_through_both_ends():
    assert drift(np.array([[1.0, 9, 5, 7]]), 3, 1).tolist() == [[9, 11, 13]]


def test_drift_counts_steps_over_missing_ends():
    # (1, 2) to (3, 6): 2 a step; the row after the context is step 5
    assert drift(np.array([[NAN, 2.0, NAN, 6, NAN]]), 2, 1).tolist() == [[10, 12]]


def test_drift_of_one_value_is_flat():
    assert drift(np.array([[NAN, 4.0, NAN]]), 2, 1).tolist() == [[4, 4]]


@pytest.mark.parametrize("name", BASELINES)
def test_nothing_observed_is_nan(name):
    assert np.isnan(BASELINES[name](np.full((2, 5), NAN), 3, 2)).all()


@pytest.mark.parametrize("name", BASELINES)
def test_no_rows_give_no_rows(name):
    assert BASELINES[name](np.zeros((0, 5)), 3, 2).shape == (0, 3)


@pytest.mark.parametrize("name", BASELINES)
def test_a_constant_series_stays_constant(name):
    assert (BASELINES[name](np.full((1, 7), 4.0), 3, 2) == 4).all()


@pytest.mark.parametrize("name", BASELINES)
@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), season_length=st.integers(1, 9))
def test_scaling_the_data_scales_the_forecast_and_rows_do_not_see_each_other(name, seed, season_length):
    context, _ = waves(rows=3, length=8, seed=seed, missing=0.4)
    forecast = BASELINES[name](context, 5, season_length)
    assert forecast.shape == (3, 5)
    scaled = BASELINES[name](context * -4.0, 5, season_length)
    alone = BASELINES[name](context[1:2], 5, season_length)
    assert np.array_equal(scaled, forecast * -4.0, equal_nan=True)
    assert np.array_equal(alone, forecast[1:2], equal_nan=True)


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1), season_length=st.integers(1, 9), missing=st.floats(0, 1))
def test_seasonal_naive_equals_a_slow_loop(seed, season_length, missing):
    context, _ = waves(rows=3, length=8, seed=seed, missing=missing)
    expected = loop_seasonal_naive(context, 11, season_length)
    assert np.array_equal(seasonal_naive(context, 11, season_length), expected, equal_nan=True)


@pytest.fixture(scope="module")
def boosted():
    """A regressor that learned windows with a season of 6."""
    context, future = waves(rows=400)
    return fit_gradient_boosting(context, future, 6, seed=0)


@pytest.mark.slow
def test_gradient_boosting_beats_naive_on_a_season(boosted):
    context, future = waves(seed=1)
    error = np.nanmean(np.abs(boosted(context) - future))
    assert error < 0.3 * np.nanmean(np.abs(naive(context, 6, 6) - future))
    assert error < 1.0 * np.nanmean(np.abs(seasonal_naive(context, 6, 6) - future))


def test_gradient_boosting_scales_with_the_data(boosted):
    context, _ = waves(seed=2)
    assert np.allclose(boosted(context * 1024.0), boosted(context) * 1024.0, rtol=1e-12)
    assert np.allclose(boosted(context + 4096.0), boosted(context) + 4096.0, rtol=1e-3)


def test_gradient_boosting_forecasts_a_constant_window_by_its_value(boosted):
    context = np.full((2, 36), 0.1)
    context[1, :30] = np.nan
    assert np.allclose(boosted(context), 0.1, rtol=1e-12)


def test_gradient_boosting_of_nothing_observed_is_nan(boosted):
    context, _ = waves(rows=3, seed=3)
    context[1] = np.nan
    forecast = boosted(context)
    assert np.isnan(forecast[1]).all()
    assert np.isfinite(forecast[[0, 2]]).all()


def test_gradient_boosting_rows_do_not_see_each_other(boosted):
    context, _ = waves(seed=4)
    assert np.array_equal(boosted(context)[5:6], boosted(context[5:6]))
    assert boosted(context[:0]).shape == (0, 6)


@pytest.mark.slow
def test_gradient_boosting_predicts_more_rows_than_one_chunk_holds(boosted):
    context, _ = waves(rows=7, seed=5)
    many = np.tile(context, (CHUNK_ROWS // 42 + 1, 1))
    assert np.array_equal(boosted(many).reshape(-1, 7, 6)[-1], boosted(context))


def test_gradient_boosting_repeats_itself_with_the_same_seed(boosted, monkeypatch):
    monkeypatch.setattr("forecaster.models.baselines.MAX_ROWS", 500)
    monkeypatch.setattr("forecaster.models.baselines.TREES", 10)
    context, future = waves(rows=200)
    first, second, other = (fit_gradient_boosting(context, future, 6, seed)(context) for seed in (1, 1, 2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_gradient_boosting_learns_constant_series_and_short_contexts(monkeypatch):
    monkeypatch.setattr("forecaster.models.baselines.TREES", 10)
    flat = fit_gradient_boosting(np.full((4, 3), 7.0), np.full((4, 2), 7.0), 12, seed=0)
    assert (flat(np.full((1, 3), 5.0)) == 5).all()
    context, future = waves(rows=100, length=3)
    assert np.isfinite(fit_gradient_boosting(context, future, 12, seed=0)(np.array([[1.0, 2, 3]]))).all()


def holdout():
    """The last window of each series."""
    panel = factories.panel_of(*factories.waves(2, ROWS))
    return make_holdout(panel, holdout_windows(panel, HORIZON, 1), horizon=HORIZON, context_length=8)


def forecasts(learned):
    """Name -> forecasts of these windows."""
    return baseline_forecasts(holdout(), learned=learned)


@pytest.fixture
def stub(monkeypatch):
    """A statsforecast whose models return a given forecast and keep what they were given."""
    given = []

    class Model:
        value = 7.0

        def __init__(self, season_length):
            self.season_length = season_length

        def forecast(self, y, h):
            given.append((self.season_length, y))
            if self.value is None:
                raise ZeroDivisionError
            return {"mean": np.full(h, self.value)}

    package, models = ModuleType("statsforecast"), ModuleType("statsforecast.models")
    models.Theta = models.AutoETS = Model
    package.models = models
    monkeypatch.setitem(sys.modules, "statsforecast", package)
    monkeypatch.setitem(sys.modules, "statsforecast.models", models)
    monkeypatch.setattr(baselines, "find_spec", lambda name: package)
    return Model, given


def test_without_statsforecast_there_is_no_theta_or_ets_and_nothing_fails(monkeypatch):
    monkeypatch.setattr(baselines, "find_spec", lambda name: None)
    assert baselines.statistical_baselines() == {}
    assert not {"theta", "ets"} & forecasts(learned=True).keys()


def test_theta_and_ets_join_the_others_only_where_all_are_asked_for(stub):
    assert not {"theta", "ets"} & forecasts(learned=False).keys()
    found = forecasts(learned=True)
    assert (found["theta"] == 7.0).all() and (found["ets"] == 7.0).all()


def test_theta_and_ets_are_fitted_to_the_whole_history_however_short_the_models_context(stub):
    _, given = stub
    tested = holdout()
    baseline_forecasts(tested, learned=True)
    cutoffs = [int(row) % ROWS for row in tested.windows.cutoff]
    assert min(cutoffs) > 4 * SEASON > tested.context_length
    assert [len(values) for _, values in given] == cutoffs * len(baselines.STATISTICAL_MODELS)


def test_gaps_are_bridged_and_what_cannot_be_fitted_is_the_seasonal_naive(stub):
    model, given = stub
    theta = baselines.statistical_baselines()["theta"]
    context = np.array([[NAN, 1.0, 2.0, NAN, 4.0, 5.0, 6.0, 7.0, 8.0], [NAN] * 8 + [3.0], [NAN] * 9])
    found = theta(context, HORIZON, SEASON)
    ((season, values),) = given
    assert season == SEASON and values.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found[0].tolist() == [7.0] * 3 and found[1].tolist() == [3.0] * 3 and np.isnan(found[2]).all()
    for broken in (None, NAN):
        model.value = broken
        np.testing.assert_array_equal(theta(context, HORIZON, SEASON), seasonal_naive(context, HORIZON, SEASON))


@pytest.mark.slow
@pytest.mark.parametrize("name", baselines.STATISTICAL_MODELS)
def test_statsforecast_goes_on_with_a_clean_season(name):
    pytest.importorskip("statsforecast")
    season = np.tile([10.0, 20.0, 30.0, 15.0], 8) + np.random.default_rng(0).normal(size=32) * 0.1
    found = baselines.statistical_baselines()[name](season[None], HORIZON, SEASON)
    np.testing.assert_allclose(found[0], [10.0, 20.0, 30.0], atol=1.0)
