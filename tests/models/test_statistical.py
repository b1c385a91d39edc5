"""Theta and ETS, where statsforecast is installed."""

from __future__ import annotations

import sys
from types import ModuleType

import numpy as np
import pytest

from forecaster.evaluation.backtest import baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.models import statistical
from forecaster.models.baselines import seasonal_naive
from tests.support.factories import NAN, panel_of, waves

SEASON, HORIZON = 4, 3
ROWS = 60  # of each series


def holdout():
    """The newest window of each series."""
    panel = panel_of(*waves(2, ROWS))
    return make_holdout(panel, holdout_windows(panel, HORIZON, 1), horizon=HORIZON, context_length=8)


def baselines(learned):
    """Name -> forecasts of these windows."""
    return baseline_forecasts(holdout(), learned=learned)


@pytest.fixture
def stub(monkeypatch):
    """A statsforecast whose models forecast what they are told, after keeping what they were given."""
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
    monkeypatch.setattr(statistical, "find_spec", lambda name: package)
    return Model, given


def test_without_the_library_there_are_none_of_them_and_nothing_fails(monkeypatch):
    monkeypatch.setattr(statistical, "find_spec", lambda name: None)
    assert statistical.statistical() == {}
    assert not {"theta", "ets"} & baselines(learned=True).keys()


def test_they_stand_beside_the_others_only_where_all_are_asked_for(stub):
    assert not {"theta", "ets"} & baselines(learned=False).keys()
    found = baselines(learned=True)
    assert (found["theta"] == 7.0).all() and (found["ets"] == 7.0).all()


def test_they_are_fitted_to_the_whole_history_however_short_the_models_context(stub):
    _, given = stub
    tested = holdout()
    baseline_forecasts(tested, learned=True)
    cutoffs = [int(row) % ROWS for row in tested.windows.cutoff]
    assert min(cutoffs) > 4 * SEASON > tested.context_length
    assert [len(values) for _, values in given] == cutoffs * len(statistical.MODELS)


def test_gaps_are_bridged_and_what_cannot_be_fitted_is_the_seasonal_naive(stub):
    model, given = stub
    theta = statistical.statistical()["theta"]
    context = np.array([[NAN, 1.0, 2.0, NAN, 4.0, 5.0, 6.0, 7.0, 8.0], [NAN] * 8 + [3.0], [NAN] * 9])
    found = theta(context, HORIZON, SEASON)
    ((season, values),) = given
    assert season == SEASON and values.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert found[0].tolist() == [7.0] * 3 and found[1].tolist() == [3.0] * 3 and np.isnan(found[2]).all()
    for broken in (None, NAN):
        model.value = broken
        np.testing.assert_array_equal(theta(context, HORIZON, SEASON), seasonal_naive(context, HORIZON, SEASON))


@pytest.mark.slow
@pytest.mark.parametrize("name", statistical.MODELS)
def test_the_library_goes_on_with_a_clean_season(name):
    pytest.importorskip("statsforecast")
    season = np.tile([10.0, 20.0, 30.0, 15.0], 8) + np.random.default_rng(0).normal(size=32) * 0.1
    found = statistical.statistical()[name](season[None], HORIZON, SEASON)
    np.testing.assert_allclose(found[0], [10.0, 20.0, 30.0], atol=1.0)
