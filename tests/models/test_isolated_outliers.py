"""Isolated outliers are read as missing; what belongs to a series is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.models.isolated_outliers import isolated_outliers, without_isolated_outliers

MONTHS = 12


def monthly(rows=120, seed=0):
    """[rows] a trend and a season of months around 200, with noise of 5."""
    time = np.arange(rows)
    noise = np.random.default_rng(seed).normal(size=rows)
    return 200.0 + 0.5 * time + 30.0 * np.sin(2.0 * np.pi * time / MONTHS) + 5.0 * noise


def found_in(values, season_length=MONTHS):
    """The rows of one series that are isolated outliers."""
    return isolated_outliers(np.asarray(values, float)[None], season_length)[1].tolist()


@pytest.mark.parametrize("place", [0, 1, 30, 60, 117, 118], ids=lambda place: f"row {place}")
@pytest.mark.parametrize("factor", [3.0, 100.0, 1000.0, -20.0])
def test_one_value_of_another_kind_is_found_wherever_it_is(place, factor):
    values = monthly()
    values[place] *= factor
    assert found_in(values) == [place]


def test_a_zero_among_large_values_is_found():
    values = monthly() + 400.0
    values[50] = 0.0
    assert found_in(values) == [50]


def test_one_is_found_among_values_that_mostly_repeat_themselves():
    sensor = np.round(20.0 + np.sin(np.arange(200) / 30.0), 1)
    sensor[120] = 2000.0
    assert found_in(sensor, 1) == [120]
    demand = np.where(np.arange(200) % 7 < 2, 3.0 + np.arange(200) % 4, 0.0)
    demand[80] = 900.0
    assert found_in(demand, 1) == [80]
    demand[80] = 40.0  # a large order
    assert found_in(demand, 1) == []


@pytest.mark.parametrize(("factor", "expected"), [(3.0, []), (1000.0, [119]), (0.3, []), (0.0, [119]), (-0.01, [119])])
def test_the_latest_row_is_one_only_where_it_is_unlike_all_others(factor, expected):
    values = 400.0 + monthly()
    values[-1] *= factor  # by a little, perhaps a new level
    assert found_in(values) == expected


def test_a_second_row_makes_it_a_level():
    values = 400.0 + monthly()
    values[-2:] = 0.0
    assert found_in(values) == []


def flood(rows=400):
    """A river that rises in a day and falls in a week."""
    rain = np.zeros(rows)
    rain[[90, 200, 330]] = 400.0
    flow = np.empty(rows)
    level = 10.0
    for day in range(rows):
        level = 10.0 + 0.75 * (level - 10.0) + rain[day]
        flow[day] = level
    return flow + np.random.default_rng(0).normal(size=rows) * 0.3


def december():
    values = monthly()
    values[11::MONTHS] *= 4.0
    return values


def with_shift():
    values = monthly()
    values[70:] += 2000.0
    return values


def with_new_level():
    values = monthly()
    values[-2:] *= 10.0
    return values


def with_a_level_for_a_while():
    values = monthly()
    values[60:66] *= 10.0
    return values


def with_spikes():
    values = monthly()
    values[5::14] *= 5.0
    return values


def weekly_peak():
    """Hours, one of which is high once a week."""
    time = np.arange(24 * 7 * 6)
    values = 20.0 + 5.0 * np.sin(2.0 * np.pi * time / 24) + np.random.default_rng(0).normal(size=len(time))
    values[time % 168 == 3] += 500.0
    return values


def day_of_the_year():
    """Days, one of which is high every year, on the same weekday."""
    time = np.arange(4 * 365)
    values = 100.0 + 10.0 * np.sin(2.0 * np.pi * time / 7) + np.random.default_rng(0).normal(size=len(time))
    values[300::364] += 900.0
    return values


ORDINARY = {
    "noise": (np.random.default_rng(1).normal(size=200), 1),
    "heavy tails": (np.random.default_rng(1).standard_t(3, size=200), 1),
    "random walk": (np.random.default_rng(2).normal(size=300).cumsum(), 7),
    "growth": (np.exp(0.05 * np.arange(150)), 12),
    "straight line": (np.arange(60.0), 1),
    "constant": (np.full(60, 3.0), 12),
    "constant with one other value": (np.where(np.arange(60) == 30, 500.0, 3.0), 12),
    "intermittent": (np.where(np.arange(120) % 9 == 4, 7.0, 0.0), 12),
    "flood": (flood(), 7),
    "every December": (december(), 12),
    "level that shifts": (with_shift(), 12),
    "level that has just shifted": (with_new_level(), 12),
    "level for half a year": (with_a_level_for_a_while(), 12),
    "frequent spikes": (with_spikes(), 12),
    "an hour of the week": (weekly_peak(), 24),
    "a day of the year": (day_of_the_year(), 7),
    "few rows": (np.array([1.0, 2.0, 1.5, 900.0, 1.0, 2.0, 1.2, 1.8, 2.1, 1.0]), 1),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_what_belongs_to_a_series_is_none(name):
    assert found_in(*ORDINARY[name]) == []


def test_two_are_found_that_are_near_each_other():
    values = monthly()
    values[50], values[52] = 9000.0, 4000.0
    assert found_in(values) == [50, 52]


def test_a_missing_neighbour_hides_none():
    values = monthly()
    values[[48, 49, 52]] = np.nan
    values[50] = 9000.0
    assert found_in(values) == [50]


def test_they_are_missing_and_all_else_is_as_it_was():
    context = np.stack([monthly(), monthly(seed=1), np.full(120, np.nan)])
    expected = context.copy()
    context[1, 40], expected[1, 40] = 1e6, np.nan
    np.testing.assert_array_equal(without_isolated_outliers(context, MONTHS), expected)
    assert context[1, 40] == 1e6


def test_contexts_without_any_are_not_copied():
    context = np.stack([monthly(), december()])
    assert without_isolated_outliers(context, MONTHS) is context


@pytest.mark.parametrize("shape", [(0, 50), (3, 0), (2, 1), (1, 5)])
def test_small_contexts_are_taken(shape):
    assert without_isolated_outliers(np.ones(shape), MONTHS).shape == shape


@given(scale=st.sampled_from([-4.0, 0.125, 2.0**40, 2.0**-30]), seed=st.integers(0, 30), place=st.integers(0, 118))
def test_the_unit_of_the_values_does_not_matter(scale, seed, place):
    values = monthly(seed=seed)
    values[place] += 3000.0
    assert found_in(values * scale) == found_in(values) == [place]


@given(seed=st.integers(0, 200), season_length=st.sampled_from([1, 7, 12]))
def test_noise_of_any_kind_has_none(seed, season_length):
    rng = np.random.default_rng(seed)
    context = np.stack([rng.normal(size=100), rng.poisson(3, 100), rng.normal(size=100).cumsum()])
    assert not len(isolated_outliers(context, season_length)[1])
