"""The verdict of a test: a warning wherever naive is better, windows are few, or intervals do not cover as promised."""

from __future__ import annotations

from dataclasses import replace

import pytest

from forecaster.evaluation.metrics import Scores
from forecaster.evaluation.verdict import verdict_of
from tests.support.stub_commands import REPORT

NAN = float("nan")


def report(own, naive, *, seasonal=9.0, windows=52, method="gru ×4", metric="mase"):
    scores = {
        name: replace(REPORT.metrics, mase=value if metric == "mase" else NAN, mae=value)
        for name, value in (("model", own), ("naive", naive), ("seasonal-naive", seasonal))
    }
    model = scores.pop("model")
    return replace(REPORT, metrics=model, baselines=scores, windows=windows, method=method)


@pytest.mark.parametrize("metric", ["mase", "mae"])
def test_a_lower_error_is_said_without_a_warning(metric):
    found = verdict_of(report(0.72, 1.0, metric=metric))
    assert found.sentence == "28% lower error than naive over 52 windows." and not found.warning


def test_means_are_compared_by_squares():
    better = replace(REPORT.metrics, mase=1.0, rmsse=0.5)
    naive = replace(REPORT.metrics, mase=0.7, rmsse=1.0)  # as the median of a series that mostly is 0 has it
    one = replace(REPORT, metrics=better, baselines={"naive": naive}, windows=52)
    assert "43% higher error than naive" in verdict_of(one).sentence
    found = verdict_of(replace(one, forecasts_mean=True))
    assert found.sentence == "50% lower root mean square error than naive over 52 windows." and not found.warning


@pytest.mark.parametrize(
    ("own", "naive", "seasonal"), [(1.05, 1.0, 9.0), (1.05, 9.0, 1.0), (2.0, 1.9, 1.0), (1.0, 0.0, 9.0)]
)
def test_where_the_better_naive_forecast_is_better_there_is_a_warning(own, naive, seasonal):
    found = verdict_of(report(own, naive, seasonal=seasonal))
    assert "higher error" in found.sentence and "does not beat" in found.warning


@pytest.mark.parametrize(("drift", "words"), [(0.68, "drift has an 8% lower error"), (0.72, ""), (float("nan"), "")])
def test_any_baseline_that_is_clearly_better_is_named(drift, words):
    one = report(0.74, 1.0)
    found = verdict_of(replace(one, baselines={**one.baselines, "drift": replace(REPORT.metrics, mase=drift)}))
    assert (
        found.sentence.startswith("26% lower error than naive")
        and (words in found.warning)
        and bool(words) == bool(found.warning)
    )


def test_of_a_pretrained_network_no_selection_is_spoken_of():
    assert "which selection did not see" in verdict_of(replace(report(2.0, 1.0), version=1)).warning
    assert verdict_of(replace(report(2.0, 1.0), version=0)).warning == "on the test windows it does not beat naive"


def test_a_naive_forecast_that_serves_is_no_failure():
    assert not verdict_of(report(1.0, 1.0, method="naive")).warning
    assert "does not beat" in verdict_of(report(1.0, 1.0)).warning


def test_few_windows_and_no_windows_are_said():
    assert "2 windows are too few" in verdict_of(report(0.5, 1.0, windows=2)).warning
    assert "no test windows" in verdict_of(None).warning
    assert "no error is defined" in verdict_of(replace(report(NAN, NAN, seasonal=NAN))).warning


@pytest.mark.parametrize(("covered", "warns"), [(0.83, False), (0.71, False), (0.65, True), (0.97, True)])
def test_coverage_that_is_off_is_said(covered, warns):
    from forecaster.evaluation.quantile_metrics import QuantileScores

    intervals = QuantileScores(1.0, 1.0, 1.0, 0.8, covered, 1.0, 1.0, {})
    found = verdict_of(replace(report(0.5, 1.0), intervals=intervals))
    assert f"80% intervals covered {covered:.0%}" in found.sentence
    assert ("intervals covered" in found.warning) == warns


def test_scores_have_the_fields_that_verdicts_read():
    assert {"mase", "mae"} <= set(Scores.__dataclass_fields__)
