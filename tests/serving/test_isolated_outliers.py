"""A value of another kind in the history moves no forecast and widens no interval."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from forecaster.config import PredictSettings
from forecaster.data.extra_inputs import Needs
from forecaster.data.windows import latest_windows
from forecaster.serving.fallback import naive_forecast
from forecaster.serving.predict import predict
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.recent_errors import pooled
from tests.models.test_isolated_outliers import monthly
from tests.support.factories import Recorder, panel_of

GRAPH = SimpleNamespace(context_length=48, reach=48, quantiles=(0.1, 0.9), needs=Needs(48, 6, ()))


class Recording:
    """The latest observed value, with a width of 1, and what was read for it."""

    def run(self, context, _extra=None):
        self.read = context
        last = np.array([row[~np.isnan(row)][-1] for row in context])
        return np.repeat(last[:, None, None] + [0.0, -0.5, 0.5], 6, axis=1)


def spoilt(place, value):
    values = monthly(96)
    values[place] = value
    return values


@pytest.mark.parametrize(("place", "value"), [(80, 2e5), (60, -900.0), (94, -4000.0)])
def test_a_graph_reads_it_as_missing(place, value):
    panel, runtime = panel_of(spoilt(place, value), monthly(96), season_length=12), Recording()
    raw = raw_forecasts(runtime, GRAPH, panel, latest_windows(panel), 6)
    expected = np.stack([monthly(96)[-48:]] * 2)
    expected[0, place - 96] = np.nan
    np.testing.assert_array_equal(runtime.read, expected)
    assert np.nanmax(raw.values) < 400.0
    scale = raw.scale(12)
    assert scale[0] == pytest.approx(scale[1], rel=0.2)


def test_the_latest_row_is_forecast_before_the_first_step():
    values = monthly(96)
    panel, whole = panel_of([*values[:95], 5e6], monthly(96), season_length=12), panel_of(values[:95], season_length=12)

    class Line:
        """The latest value and one more for each step: it must be observed."""

        def run(self, context, _extra=None):
            steps = np.arange(1.0, 7.0)[None, :, None]
            return np.repeat(context[:, -1:, None] + steps, 3, axis=2)

    found = raw_forecasts(Line(), GRAPH, panel, latest_windows(panel), 6).values[0, :, 0]
    expected = raw_forecasts(Line(), GRAPH, whole, latest_windows(whole), 7).values[0, 1:, 0]
    np.testing.assert_array_equal(found, expected)


def test_its_error_says_nothing_of_the_intervals():
    panel = panel_of(spoilt(93, 2e5), season_length=12)
    windows = latest_windows(panel)
    before = type(windows)(windows.target, windows.start, windows.end, windows.series, windows.cutoff - 6)
    pool = pooled(raw_forecasts(Recording(), GRAPH, panel, before, 6))
    np.testing.assert_array_equal(pool.target[0], [*monthly(96)[90:93], np.nan, *monthly(96)[94:]])


def test_seasonal_naive_does_not_repeat_it():
    panel = panel_of(spoilt(92, 2e5), season_length=12)
    forecast = naive_forecast(panel, np.array([0]), 12)[0]
    expected = monthly(96)[84:]
    expected[8] = monthly(96)[80]
    np.testing.assert_array_equal(forecast, expected)


@pytest.mark.parametrize("place", [20, 70, 94, 95])
def test_the_pretrained_network_forecasts_as_without_it(tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)

    def forecast(values):
        frame = pd.DataFrame({"timestamp": pd.date_range("2015-01-01", periods=96, freq="MS"), "target": values})
        return predict(frame, PredictSettings(horizon=12), Recorder())

    clean, found = forecast(monthly(96)), forecast(spoilt(place, 300_000.0))
    np.testing.assert_allclose(found.prediction, clean.prediction, rtol=0.05)
    widths = [np.diff(one.quantile_forecasts[:, :, [0, -1]]).mean() for one in (clean, found)]
    assert widths[1] == pytest.approx(widths[0], rel=0.3)
