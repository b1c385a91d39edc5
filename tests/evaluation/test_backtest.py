"""A backtest: everybody on the same windows, scored alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.data.seasonal_scale import context_scale
from forecaster.data.windows import rolling
from forecaster.evaluation.backtest import backtest, baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.evaluation.metrics import score
from forecaster.evaluation.report import make_report, subject
from forecaster.models.baselines import drift, naive, seasonal_naive
from forecaster.serving.raw_forecasts import raw_forecasts
from tests.serving.test_manifest import MANIFEST
from tests.support.factories import NAN, panel_of, waves

HORIZON, CONTEXT = 3, 8


def last_value(context):
    """[W, H, 3] the latest value, and 2 below and above it."""
    return np.repeat(context[:, -1:], HORIZON, axis=1)[:, :, None] + np.array([0.0, -2.0, 2.0])


def backtested(panel, windows=None, learned=False):
    """The latest value as the forecast of the `windows`, or of the latest two of each series."""
    windows = holdout_windows(panel, HORIZON, 2) if windows is None else windows
    holdout = make_holdout(panel, windows, horizon=HORIZON, context_length=CONTEXT, description="4 windows")
    forecasts = last_value(holdout.windows.gather(CONTEXT, 0))
    return backtest(holdout, forecasts, MANIFEST.quantiles, baseline_forecasts(holdout, learned=learned))


def test_the_model_and_the_baselines_answer_the_same_windows():
    panel = panel_of(*waves(3, 40))
    found = backtested(panel)
    windows = holdout_windows(panel, HORIZON, 2)
    context = windows.gather(16, HORIZON)[:, :16]  # baselines see four seasons
    np.testing.assert_array_equal(found.holdout.target, windows.gather(0, HORIZON))
    np.testing.assert_array_equal(found.baselines["naive"], naive(context, HORIZON, 4))
    np.testing.assert_array_equal(found.baselines["seasonal-naive"], seasonal_naive(context, HORIZON, 4))
    np.testing.assert_array_equal(found.baselines["drift"], drift(context, HORIZON, 4))
    np.testing.assert_array_equal(found.prediction, found.baselines["naive"])
    assert found.scores()["model"] == found.scores()["naive"]


def test_the_models_quantiles_and_the_rows_of_the_windows_are_kept():
    panel = panel_of(*waves(3, 40))
    found = backtested(panel)
    assert found.quantiles == (0.1, 0.9)
    np.testing.assert_array_equal(
        found.quantile_forecasts - found.prediction[:, :, None], np.full((6, HORIZON, 2), [-2, 2])
    )
    np.testing.assert_array_equal(found.holdout.windows.cutoff, holdout_windows(panel, HORIZON, 2).cutoff)


def test_the_model_sees_its_own_context_and_nothing_more():
    panel = panel_of(*waves(3, 40))
    windows, seen = holdout_windows(panel, HORIZON, 2), []

    class Graph:
        def run(self, context, _extra=None):
            seen.append(context)
            return last_value(context)

    found = raw_forecasts(Graph(), MANIFEST, panel, windows, HORIZON)
    np.testing.assert_array_equal(seen[0], windows.gather(CONTEXT, 0))
    np.testing.assert_array_equal(found.scale(7), context_scale(seen[0], 7))
    np.testing.assert_array_equal(found.values, last_value(seen[0]))


def test_the_seasonal_scale_is_in_sample_of_the_oldest_window():
    panel = panel_of(*waves(1, 40))
    scale = backtested(panel).holdout.seasonal_scale
    changed = panel.target.copy()
    changed[34:] *= 100
    assert backtested(replace(panel, target=changed)).holdout.seasonal_scale[0] == scale[0]
    in_sample = panel.target[:34]
    assert scale[0] == pytest.approx(np.abs(in_sample[4:] - in_sample[:-4]).mean())


def test_scores_are_those_of_the_metrics():
    panel = panel_of(*waves(2, 40))
    found = backtested(panel)
    holdout, forecast = found.holdout, found.prediction
    target, scale = holdout.target, holdout.seasonal_scale
    assert found.scores()["model"] == score(target, forecast, scale, holdout.square_scale)
    assert holdout.scores_by_series(forecast)["s0"] == score(
        target[:2], forecast[:2], scale[:2], holdout.square_scale[:2]
    )
    assert len(holdout.scores_by_step(forecast)) == HORIZON


def test_windows_without_an_observed_context_are_left_out():
    values = waves(2, 40)
    values[0][:37] = NAN
    found = backtested(panel_of(*values))
    assert found.holdout.windows.series.tolist() == [1, 1]
    assert list(found.holdout.scores_by_series(found.prediction)) == ["s1"]
    assert np.isfinite(found.scores()["model"].mase)


def test_no_window_at_all_gives_undefined_scores():
    panel = panel_of([1.0, 2.0, 3.0, 4.0])
    found = backtested(panel, rolling(panel, panel.offsets[1:], HORIZON, 1, HORIZON))
    assert set(found.scores()["model"].to_json().values()) == {None}


@pytest.mark.slow
def test_gradient_boosting_learns_from_rows_before_the_windows():
    panel = panel_of(*waves(3, 60))
    found = backtested(panel, learned=True).baselines["gradient-boosting"]
    changed = panel.target.copy()
    for n in range(3):
        changed[panel.offsets[n + 1] - 3 : panel.offsets[n + 1]] = 1e9
    again = backtested(replace(panel, target=changed), learned=True).baselines["gradient-boosting"]
    np.testing.assert_array_equal(found, again)


def test_a_report_says_who_was_tested_on_what():
    report = make_report(subject(MANIFEST, 3, 1.234), backtested(panel_of(*waves(2, 40))))
    assert (report.model, report.version, report.windows, report.judged_on) == (MANIFEST.name, 3, 4, "4 windows")
    assert report.cell == "rnn, lstm"
    assert set(report.baselines) == set(report.baselines_by_step) == {"seasonal-naive", "naive", "drift"}
