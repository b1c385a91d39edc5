"""Judging: everybody on the same windows, scored alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.backtest import backtest, make_report, subject
from forecaster.baselines import drift, naive, seasonal_naive
from forecaster.data.windows import rolling
from forecaster.metrics import score
from forecaster.split import held_back
from tests.models.test_artifact import MANIFEST
from tests.tiny import NAN, panel_of, waves

HORIZON, CONTEXT = 3, 8


def last_value(context, known):
    """[W, H, 3] the newest value, and 2 below and above it."""
    return np.repeat(context[:, -1:], HORIZON, axis=1)[:, :, None] + np.array([0.0, -2.0, 2.0])


def judged(panel, windows=2, answer=last_value, learned=False):
    return backtest(panel, held_back(panel, HORIZON, windows), MANIFEST, answer, learned=learned)


def test_the_model_and_the_baselines_answer_the_same_windows():
    panel = panel_of(*waves(3, 40))
    found = judged(panel)
    windows = held_back(panel, HORIZON, 2)
    context = windows.gather(16, HORIZON)[:, :16]  # baselines see four seasons
    np.testing.assert_array_equal(found.target, windows.gather(0, HORIZON))
    np.testing.assert_array_equal(found.forecasts["naive"], naive(context, HORIZON, 4))
    np.testing.assert_array_equal(found.forecasts["seasonal-naive"], seasonal_naive(context, HORIZON, 4))
    np.testing.assert_array_equal(found.forecasts["drift"], drift(context, HORIZON, 4))
    np.testing.assert_array_equal(found.forecasts["model"], found.forecasts["naive"])
    assert found.scores("model") == found.scores("naive")


def test_the_models_quantiles_and_the_rows_of_the_windows_are_kept():
    panel = panel_of(*waves(3, 40))
    found = judged(panel)
    assert found.quantiles == (0.1, 0.9)
    np.testing.assert_array_equal(found.bands - found.forecasts["model"][:, :, None], np.full((6, HORIZON, 2), [-2, 2]))
    np.testing.assert_array_equal(found.cutoff, held_back(panel, HORIZON, 2).cutoff)


def test_the_model_sees_its_own_context_and_nothing_more():
    panel = panel_of(*waves(3, 40))
    seen = []

    def answer(context, known):
        seen.append(context)
        return last_value(context, known)

    judged(panel, answer=answer)
    np.testing.assert_array_equal(seen[0], held_back(panel, HORIZON, 2).gather(CONTEXT, 0))


def test_the_yardstick_is_in_sample_of_the_oldest_window():
    panel = panel_of(*waves(1, 40))
    found = judged(panel)
    changed = panel.target.copy()
    changed[34:] *= 100
    assert judged(replace(panel, target=changed)).scale[0] == found.scale[0]
    in_sample = panel.target[:34]
    assert found.scale[0] == pytest.approx(np.abs(in_sample[4:] - in_sample[:-4]).mean())


def test_scores_are_those_of_the_metrics():
    panel = panel_of(*waves(2, 40))
    found = judged(panel)
    assert found.scores("model") == score(found.target, found.forecasts["model"], found.scale)
    by_series = found.by_series("model")
    assert by_series["s0"] == score(found.target[:2], found.forecasts["model"][:2], found.scale[:2])
    assert len(found.by_step("model")) == HORIZON


def test_windows_without_an_observed_context_are_left_out():
    values = waves(2, 40)
    values[0][:37] = NAN
    found = judged(panel_of(*values))
    assert found.series.tolist() == [1, 1]
    assert list(found.by_series("model")) == ["s1"]
    assert np.isfinite(found.scores("model").mase)


def test_no_window_at_all_gives_undefined_scores():
    panel = panel_of([1.0, 2.0, 3.0, 4.0])
    found = backtest(panel, rolling(panel, panel.offsets[1:], HORIZON, 1, HORIZON), MANIFEST, last_value, learned=False)
    assert set(found.scores("model").to_json().values()) == {None}


def test_gradient_boosting_learns_from_rows_before_the_windows():
    panel = panel_of(*waves(3, 60))
    found = judged(panel, learned=True).forecasts["gradient-boosting"]
    changed = panel.target.copy()
    for n in range(3):
        changed[panel.offsets[n + 1] - 3 : panel.offsets[n + 1]] = 1e9
    again = judged(replace(panel, target=changed), learned=True).forecasts["gradient-boosting"]
    np.testing.assert_array_equal(found, again)


def test_a_report_says_who_was_judged_on_what():
    report = make_report(subject(MANIFEST, 3, 1.234), judged(panel_of(*waves(2, 40))), "4 windows")
    assert (report.model, report.version, report.windows, report.judged_on) == (MANIFEST.name, 3, 4, "4 windows")
    assert report.cell == "rnn, lstm"
    assert set(report.baselines) == set(report.baselines_by_step) == {"seasonal-naive", "naive", "drift"}
