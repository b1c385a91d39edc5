"""Fine-tuning: which tunings are tried, which copy is taken, and how weights are averaged."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.config import TrainSettings
from forecaster.models.network import Network
from forecaster.training import fine_tuning
from forecaster.training.auto_plan import draft_plan
from forecaster.training.fine_tuning import KEPT, best_tuning, with_mean_weights
from forecaster.training.plan import OpenQuestions, Tuning
from tests.support.factories import network_settings, panel_of, waves

SHORT, LONG, LONGEST = Tuning(4, 3e-4), Tuning(12, 1e-3), Tuning(30, 1e-3)
QUESTIONS = OpenQuestions(scalings=(), contexts=(), schedules=(), tunings=(SHORT, LONG, LONGEST))


class Evaluation:
    """Compares forecasts with 0: a network is its own forecast."""

    def forecast(self, networks):
        return np.full((2, 3), networks[0])

    def error(self, forecast):
        return float(np.abs(forecast).mean())


@pytest.fixture
def half_way(monkeypatch):
    monkeypatch.setattr(fine_tuning, "with_mean_weights", lambda before, after: KEPT * before + (1.0 - KEPT) * after)


def tried_and_taken(untouched, tuned, questions=QUESTIONS, *, averaged=True):
    """The tunings that are fitted, and those that are taken with their forecasts."""
    tried = []

    def fit(tuning):
        tried.append(tuning)
        return tuned[len(tried) - 1]

    taken = best_tuning(untouched, fit, questions, Evaluation(), abs(untouched), averaged=averaged)
    return tried, {one: forecast[0, 0] for one, forecast in taken.items()}


def test_a_longer_tuning_is_tried_where_the_last_one_clearly_lowered_the_error(half_way):
    assert tried_and_taken(1.0, [0.98, 0.5, 0.1]) == ([SHORT], {SHORT: 0.98})  # by 2 %
    assert tried_and_taken(1.0, [0.9, 0.89, 0.1]) == ([SHORT, LONG], {LONG: 0.89})
    assert tried_and_taken(1.0, [0.9, 0.95, 0.1]) == ([SHORT, LONG], {SHORT: 0.9})
    assert tried_and_taken(1.0, [0.9, 0.8, 0.7]) == ([SHORT, LONG, LONGEST], {LONGEST: 0.7})
    patient = replace(QUESTIONS, patient=True)
    assert tried_and_taken(1.0, [1.5, 1.4, 0.7], patient, averaged=False) == ([SHORT, LONG, LONGEST], {LONGEST: 0.7})


def test_the_mean_of_the_weights_is_taken_where_its_error_is_lower(half_way):
    assert tried_and_taken(1.0, [-0.8, 2.0])[1] == {replace(SHORT, kept=KEPT): pytest.approx(0.1)}
    assert tried_and_taken(1.0, [-0.8, -0.9], averaged=False)[1] == {SHORT: -0.8}


def test_a_fit_that_diverged_is_not_taken_nor_a_longer_one_tried(half_way):
    assert tried_and_taken(1.0, [None, 0.1]) == ([SHORT], {})
    assert tried_and_taken(1.0, [0.5, None]) == ([SHORT, LONG], {SHORT: 0.5})


def test_weights_are_averaged_one_by_one():
    settings = network_settings(cell="gru", units=3, context_length=8)
    before, after = Network(settings, 0), Network(settings, 1)
    mean = with_mean_weights(before, after)
    for old, new, made in zip(before.weights, after.weights, mean.weights, strict=True):
        np.testing.assert_allclose(made, (old + new) / 2, rtol=1e-6)


def test_few_short_series_are_not_learnt_by_heart_and_few_long_ones_are_not_tuned_for_long(shipped):
    def tunings(series, rows):
        return draft_plan(panel_of(*waves(series, rows), season_length=4), TrainSettings(horizon=4)).questions.tunings

    assert tunings(1, 60) == ()  # 15 stretches of a horizon
    assert len(tunings(1, 100)) == 1
    assert len(tunings(40, 100)) == 2
