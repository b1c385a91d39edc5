"""The seasonal profile: what it finds in series that are known, the same in arrays and in graphs, and inside a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.models.seasonal_profile import (
    LONGER,
    MAX_FACTOR,
    MIN_FACTOR,
    Profile,
    Season,
    season_of,
    seasonal_profile,
    shown_in,
    steps_of,
)
from tests.support.factories import NAN, network_settings

WEEK = Profile(12, seasons=3)
YEAR = Profile(30, seasons=3, smooth=2)


def waves(profile, rows=6, noise=1.0, seed=0):
    """Contexts of whole seasons with a trend, and the season in them."""
    rng = np.random.default_rng(seed)
    season = 10.0 * np.sin(np.arange(profile.season_length) * 2.0 * np.pi / profile.season_length)
    steps = profile.seasons * profile.season_length
    return 50.0 + 0.3 * np.arange(steps) + np.tile(season, profile.seasons) + rng.normal(
        0.0, noise, (rows, steps)
    ), season


@pytest.mark.parametrize("profile", [WEEK, YEAR])
def test_a_season_beside_a_trend_is_found(profile):
    values, season = waves(profile, noise=0.1)
    found = seasonal_profile(values, profile)
    assert np.abs(found - season).max() < (0.4 if profile is WEEK else 2.0)  # a moving average takes some of it
    assert np.abs(found.mean(axis=1)).max() < 1e-9


@pytest.mark.parametrize("profile", [WEEK, YEAR])
def test_noise_has_hardly_a_profile(profile):
    values = np.random.default_rng(1).normal(0.0, 1.0, (200, profile.seasons * profile.season_length))
    assert seasonal_profile(values, profile).std() < 0.5 * values.std() / np.sqrt(profile.seasons)


def test_fewer_than_two_observed_seasons_show_none():
    values, _ = waves(WEEK)
    values[:, : 2 * 12] = NAN
    assert not seasonal_profile(values, WEEK).any()
    assert not seasonal_profile(np.full_like(values, NAN), WEEK).any()
    assert not seasonal_profile(np.full_like(values, 7.0), WEEK).any()


@pytest.mark.parametrize("profile", [WEEK, YEAR])
def test_missing_values_are_left_out(profile):
    values, season = waves(profile, noise=0.1)
    gaps = np.where(np.random.default_rng(2).random(values.shape) < 0.2, NAN, values)
    assert np.median(np.abs(seasonal_profile(gaps, profile) - season)) < 1.5  # a step that no season shows has none


@pytest.mark.parametrize("size", [1e-200, 1e-9, 1e9, 1e200])
@pytest.mark.parametrize("profile", [WEEK, YEAR])
def test_it_goes_with_the_unit_and_not_with_the_level(profile, size):
    values, _ = waves(profile)
    found = seasonal_profile(values, profile)
    np.testing.assert_allclose(seasonal_profile(values * size, profile), found * size, rtol=1e-9)
    np.testing.assert_allclose(seasonal_profile(values + 1e6, profile), found, atol=1e-6)


def test_earlier_rows_than_its_seasons_change_nothing():
    values, _ = waves(WEEK)
    longer = np.concatenate([np.full((len(values), 24), 1e6), values], axis=1)
    np.testing.assert_array_equal(seasonal_profile(longer, WEEK), seasonal_profile(values, WEEK))


def test_a_context_less_its_profile_goes_on_in_the_same_season():
    profile = np.arange(12.0)[None]
    np.testing.assert_array_equal(steps_of(profile, -2, 14)[0], [10, 11, *range(12), 0, 1])
    values = np.concatenate([np.zeros((1, 20)), steps_of(profile, -5, 15)], axis=1)
    assert not Season(np.ones_like(profile), profile).taken_out(values, 5, 15).any()


@pytest.mark.parametrize("level", [-100.0, 0.0, 30.0, 300.0])
def test_what_is_taken_out_of_the_steps_ahead_is_put_back(level):
    values = waves(WEEK)[0] - 50.0 + level
    season, ahead = season_of(values, WEEK), np.random.default_rng(3).normal(level, 5.0, (len(values), 7))
    read = season.taken_out(np.concatenate([values, ahead], axis=1), 5, 7)
    np.testing.assert_allclose(season.put_back(read[:, 5:, None])[:, :, 0], ahead, rtol=1e-9)
    assert (season.factor != 1.0).any() == (values.min() > 0.0)


def test_a_positive_season_that_grows_with_the_level_leaves_no_trace_of_itself():
    """A quiet hour is as much quieter in percent, so that a lower level makes no forecast of nothing at night."""
    shape = np.array([0.4, 0.5, 0.8, 1.0, 1.1, 1.3, 1.4, 1.5, 1.3, 1.1, 0.9, 0.7])
    values = 100.0 * np.tile(shape, 3)[None]
    season = season_of(values, WEEK)
    np.testing.assert_allclose(season.put_back(np.full((1, 12, 1), 50.0))[0, :, 0], 50.0 * shape, rtol=1e-6)
    np.testing.assert_allclose(season.taken_out(0.8 * values, 12), 80.0, rtol=1e-6)


def test_factors_are_bounded_and_the_rest_is_a_sum():
    values = np.full((1, 36), 1.0)
    values[0, ::12], values[0, 6::12] = 100.0, 0.01
    season = season_of(values, WEEK)
    assert season.factor.min() >= MIN_FACTOR and season.factor.max() == MAX_FACTOR
    np.testing.assert_allclose(season.taken_out(values, 12)[0] * season.factor[0] + season.summand[0], values[0, -12:])


def test_far_from_zero_a_season_is_a_sum():
    values, _ = waves(WEEK)
    season = season_of(values + 1e9, WEEK)
    read = season.taken_out(values + 1e9, 36) - 1e9
    np.testing.assert_allclose(
        read, Season(np.ones((1, 12)), seasonal_profile(values, WEEK)).taken_out(values, 36), atol=1e-4
    )


def test_a_profile_needs_a_history_that_shows_it():
    assert shown_in(None, 10_000) is None
    assert shown_in(LONGER[7], 540) is None
    assert shown_in(LONGER[7], 735) == replace(LONGER[7], seasons=3)
    assert shown_in(LONGER[24], 10_000) == LONGER[24]


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("profile", [WEEK, YEAR])
def test_a_graph_finds_what_arrays_show(profile):
    from keras import ops

    values, _ = waves(profile)
    values[0, :7] = values[1] = values[2, ::5] = NAN
    values[3] = 4.0
    graph = np.asarray(seasonal_profile(ops.convert_to_tensor(values), profile, ops))
    np.testing.assert_allclose(graph, seasonal_profile(values, profile), rtol=1e-9, atol=1e-9)
    found, expected = season_of(ops.convert_to_tensor(values), profile, ops), season_of(values, profile)
    np.testing.assert_allclose(np.asarray(found.factor), expected.factor, rtol=1e-9)
    np.testing.assert_allclose(np.asarray(found.summand), expected.summand, rtol=1e-9, atol=1e-9)


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("count", [1, 3, 5])  # as many windows as steps, too
def test_a_network_forecasts_the_context_without_it_and_puts_it_back(count):
    from forecaster.models.network import Network

    plain = Network(network_settings(cell="gru", quantiles=(0.1, 0.9)), seed=1)
    settings = replace(plain.settings, profile=WEEK)
    network = Network(settings, seed=1)
    values = waves(WEEK, rows=count)[0]
    season = season_of(values, WEEK)
    expected = season.put_back(np.asarray(plain.forecast([season.taken_out(values, settings.context_length)])))
    assert settings.rows == 36 > settings.context_length
    np.testing.assert_allclose(np.asarray(network.forecast(network.own({"context": values}))), expected, rtol=1e-6)
    np.testing.assert_allclose(network.model.predict(values, verbose=0), expected, rtol=1e-5)
