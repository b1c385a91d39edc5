"""Sequential tests: alarms where scores rise or a mean is above its bound, few where nothing happens."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.evaluation.sequential_tests import level_test, mean_test

THRESHOLD = 52.0


def alarms_of(test, draw, *, runs=30, length=100):
    rng = np.random.default_rng(3)
    return sum(test(draw(rng, length)).alarms for _ in range(runs))


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: np.abs(rng.normal(size=n)),
        lambda rng, n: np.abs(rng.standard_cauchy(size=n)),
        lambda rng, n: rng.integers(0, 2, size=n).astype(float),
        lambda _rng, n: np.zeros(n),
    ],
    ids=["normal", "cauchy", "binary", "constant"],
)
def test_scores_whose_order_says_nothing_give_few_alarms(draw):
    # 30 runs of 100 scores: at most one alarm in 52 scores is 57.
    assert alarms_of(lambda scores: level_test(scores, THRESHOLD), draw) <= 57


def test_a_mean_at_its_bound_gives_few_alarms():
    draw = lambda rng, n: rng.uniform(-1, 1, size=n)  # noqa: E731
    assert alarms_of(lambda excess: mean_test(excess, 1.0, THRESHOLD), draw) <= 57


def test_a_rise_is_found_soon_stays_found_and_ends_with_its_cause():
    rng = np.random.default_rng(0)
    scores = np.abs(rng.normal(size=180))
    scores[60:120] += 4
    found = level_test(scores, 500)
    first = int(np.argmax(found.alarm))
    assert not found.alarm[:60].any() and 60 < first <= 68 and found.alarm[first:120].all()
    assert not found.alarm[160:].any() and found.since is None and found.alarms == 1
    during = level_test(scores[:120], 500)
    assert during.since is not None and 58 <= during.since <= 62


def test_a_mean_that_was_never_within_its_bound_is_found_from_its_first_score():
    found = mean_test(np.full(12, 0.8), 1.0, THRESHOLD)
    assert found.alarm[-1] and found.since == 0 and not found.alarm[:2].any()


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_lasting_change_of_the_mean_is_not_taken_for_autocorrelation(noise):
    excess = np.repeat([-0.2, 0.9], [6, 12]) + noise * np.random.default_rng(0).normal(size=18)
    found = mean_test(excess, 1.0, 200.0)
    assert found.since == 6 and found.alarm[-1]


def test_an_alarm_is_forgotten_where_another_model_takes_over():
    usual = np.random.default_rng(0).uniform(1, 2, 45)
    scores = np.insert(usual, 40, np.full(10, 9.0))
    restart = np.zeros(55, np.bool_)
    restart[50] = True
    assert level_test(scores, THRESHOLD).alarm[50]
    assert not level_test(scores, THRESHOLD, restart).alarm[50:].any()


def test_autocorrelated_scores_give_fewer_alarms_than_their_number_would():
    def draw(rng, n):
        scores = rng.normal(size=n)
        for t in range(1, n):
            scores[t] += 0.7 * scores[t - 1]
        return scores

    assert alarms_of(lambda scores: level_test(scores, THRESHOLD), draw) <= 57


def test_misses_that_come_in_groups_give_no_more_alarms_than_single_ones_may():
    rng, threshold, days, years = np.random.default_rng(0), 200, 364, 40
    missed = np.zeros((days, years))
    inside = rng.random(years) < 0.2
    for day in range(days):
        inside = np.where(rng.random(years) < 0.5, inside, rng.random(years) < 0.2)
        missed[day] = inside
    alarms = sum(mean_test(year / 0.2 - 1.0, 1.0, threshold).alarms for year in missed.T)
    assert alarms <= years * days / threshold


@given(st.lists(st.integers(0, 50), min_size=1, max_size=40), st.floats(0.01, 100))
def test_only_the_order_of_the_scores_counts(scores, factor):
    values = np.array(scores, np.float64)
    assert level_test(values, 20).alarm.tolist() == level_test(values * factor + 1, 20).alarm.tolist()


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_a_test_of_fewer_scores_says_what_it_said_then(excess):
    whole, early = mean_test(np.array(excess), 1.0, 20), mean_test(np.array(excess[:-1]), 1.0, 20)
    assert whole.alarm[:-1].tolist() == early.alarm.tolist()


def test_of_scores_of_several_kinds_one_is_tested_from_the_first_choice_on():
    kinds = np.random.default_rng(1).uniform(1, 2, (80, 2))
    kinds[60:] = [1.5, 9.0]
    first = lambda positions: 0  # noqa: E731
    second = lambda positions: int(len(positions) >= 8)  # noqa: E731
    assert not level_test(kinds, THRESHOLD, choose=first).alarm[60:].any()
    assert (
        level_test(kinds, THRESHOLD, choose=second).alarm.tolist() == level_test(kinds[:, 1], THRESHOLD).alarm.tolist()
    )
