"""Tests of a ledger's forecasts: each cutoff counts once, whatever the horizon and the distance of the cutoffs."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.commands.live_tests import LiveErrors, _Stretches, live_tests, periods_per_year
from forecaster.data.freq import Freq

DAY = Freq.parse("D")
PLANS = pytest.mark.parametrize(("distance", "horizon"), [(7, 7), (1, 1), (1, 7)])


def errors_of(distance, horizon, days, *, break_at=None, factor=2.0, version=1, seed=0, naive=1.3):
    """Forecasts of one daily series; normal errors, which grow by `factor` from the day `break_at` on."""
    rng = np.random.default_rng(seed)
    cutoff = np.repeat(np.arange(0, days - horizon + 1, distance), horizon)
    step = np.tile(np.arange(1, horizon + 1), len(cutoff) // horizon)
    deviation = rng.normal(size=len(cutoff))
    if break_at is not None:
        deviation[cutoff >= break_at] *= factor
    return LiveErrors(
        version=np.full(len(cutoff), version),
        series=np.zeros(len(cutoff), np.int64),
        cutoff=cutoff,
        step=step,
        timestamp=cutoff + step,
        deviation=deviation,
        naive=np.abs(naive * rng.normal(size=len(cutoff))),
        missed=(np.abs(deviation) > 1.28) * 1.0,
        nominal_missed=np.full(len(cutoff), 0.2),
    )


@PLANS
def test_years_without_a_break_have_at_most_one_false_alarm_each(distance, horizon):
    found = [live_tests(errors_of(distance, horizon, 364, seed=seed), horizon, DAY) for seed in range(40)]
    assert sum(one.count for one in found) <= 40


@pytest.mark.parametrize(("distance", "horizon", "most"), [(7, 7, 40), (1, 1, 36), (1, 7, 36)])
def test_a_doubled_error_is_found_within_ten_cutoffs(distance, horizon, most):
    """`most`: of 40 years, what any test could find of normal errors; see `most_found` in benchmarks/monitoring.py."""
    seen = 182 + 10 * distance + (horizon - distance)
    found = [
        bool(live_tests(errors_of(distance, horizon, seen, break_at=182, seed=seed), horizon, DAY).alarms)
        for seed in range(40)
    ]
    assert sum(found) >= 0.75 * most


@pytest.mark.parametrize("series", [1, 8])
def test_a_doubled_error_is_found_as_soon_where_errors_are_autocorrelated(series):
    days, found = 192, 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        deviation = rng.normal(size=(days, series)) + (series > 1) * rng.normal(size=(days, 1))
        deviation[182:] *= 2
        for day in range(1, days):
            deviation[day] += 0.6 * deviation[day - 1]
        found += bool(live_tests(panel_errors(deviation), 1, DAY).alarms)
    assert found >= 0.75 * 36


def panel_errors(deviation):
    """Daily forecasts of one step: deviations [days, series]."""
    days, series = deviation.shape
    unknown, day = np.full(deviation.size, np.nan), np.repeat(np.arange(days), series)
    return LiveErrors(
        version=np.ones(deviation.size, np.int64),
        series=np.tile(np.arange(series), days),
        cutoff=day,
        step=np.ones(deviation.size, np.int64),
        timestamp=day + 1,
        deviation=deviation.ravel(),
        naive=unknown,
        missed=unknown,
        nominal_missed=unknown,
    )


def test_the_deviation_before_is_of_the_same_series_one_step_before():
    errors = panel_errors(np.arange(12.0).reshape(6, 2))
    kept = errors.take((errors.timestamp != 4) & ~((errors.series == 1) & (errors.timestamp == 2)))
    before = _Stretches(kept, 1)._deviations_before()
    found = {(int(s), int(t)): b for s, t, b in zip(kept.series, kept.timestamp, before, strict=True)}
    assert {key: value for key, value in found.items() if not np.isnan(value)} == {
        (0, 2): 0.0,
        (0, 3): 2.0,
        (0, 6): 8.0,
        (1, 6): 9.0,
    }


def test_five_weeks_of_errors_far_above_naives_with_nothing_covered_are_an_alarm_within_nine_forecasts():
    errors = errors_of(7, 7, 63, break_at=28, factor=10.0)
    found = live_tests(errors, 7, DAY)
    assert found.cutoffs == 9 and "coverage" in {one.test for one in found.alarms}
    assert 21 <= min(one.since for one in found.alarms) - 1 <= 35


def test_a_model_that_never_was_good_is_an_alarm_though_its_error_has_not_changed():
    found = live_tests(errors_of(7, 7, 84, naive=0.1), 7, DAY)
    assert [one.test for one in found.alarms] == ["naive"] and found.alarms[0].since == 1


def test_a_new_version_begins_without_the_alarm_of_the_one_before_it():
    old, new = errors_of(7, 7, 140, break_at=70, factor=6.0), errors_of(7, 7, 35, version=2, seed=1)
    later = {"cutoff": new.cutoff + 140, "timestamp": new.timestamp + 140}
    parts = {name: np.concatenate([vars(old)[name], {**vars(new), **later}[name]]) for name in vars(old)}
    assert live_tests(old, 7, DAY).alarms
    assert not live_tests(LiveErrors(**parts), 7, DAY).alarms


def test_a_rollback_ends_the_alarm_of_the_version_that_was_rolled_back():
    old, new = errors_of(7, 7, 140, break_at=70, factor=6.0, version=2), errors_of(7, 7, 35, seed=1)
    later = {"cutoff": new.cutoff + 140, "timestamp": new.timestamp + 140}
    parts = {name: np.concatenate([vars(old)[name], {**vars(new), **later}[name]]) for name in vars(old)}
    assert not live_tests(LiveErrors(**parts), 7, DAY).alarms


def test_steps_whose_actuals_are_not_there_yet_wait():
    errors = errors_of(7, 7, 70)
    assert live_tests(errors.take(errors.timestamp <= 66), 7, DAY).cutoffs == 9
    assert live_tests(errors.take(errors.timestamp < 0), 7, DAY).cutoffs == 0


def test_many_series_of_one_cutoff_count_once():
    one = errors_of(7, 7, 70)
    many = LiveErrors(**{name: np.tile(values, 50) for name, values in vars(one).items()})
    assert live_tests(many, 7, DAY).cutoffs == live_tests(one, 7, DAY).cutoffs == 10


@pytest.mark.parametrize(
    ("freq", "steps", "count"), [("D", 7, 52.18), ("h", 24, 365.25), ("MS", 1, 12), ("B", 5, 52.2)]
)
def test_the_stretches_of_a_year_follow_from_the_frequency(freq, steps, count):
    assert periods_per_year(Freq.parse(freq), steps) == pytest.approx(count, rel=1e-3)
