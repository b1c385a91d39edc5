"""Tables against the exact quantile functions, on nodes, between them and beyond their ends."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from forecaster.models.quantile_tables import (
    LOG_DISPERSION,
    LOG_MEAN,
    TAIL,
    Axis,
    negative_binomial_quantile,
    negative_binomial_table,
    spread,
    student_t_table,
)

LEVELS = (0.005, 0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975, 0.995)


def hats(axis, x):
    return np.asarray(axis.hats(np.asarray(x, np.float32)))


def test_hats_are_one_at_their_node_and_share_what_lies_between():
    axis = Axis(1.0, 3.0, 5)
    np.testing.assert_array_equal(hats(axis, axis.nodes), np.eye(5))
    np.testing.assert_allclose(hats(axis, [1.25, 2.1]), [[0.5, 0.5, 0, 0, 0], [0, 0, 0.8, 0.2, 0]], atol=1e-6)
    np.testing.assert_array_equal(hats(axis, [-9, 99]), np.eye(5)[[0, 4]])
    assert hats(axis, np.full((2, 3), 2.0)).shape == (2, 3, 5)


def test_student_t_quantiles_are_exact_to_a_thousandth():
    tail = np.linspace(1e-3, 0.499, 301)
    found = hats(TAIL, tail) @ student_t_table(LEVELS)
    exact = stats.t.ppf(LEVELS, 1 / tail[:, None])
    np.testing.assert_allclose(found, exact, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(student_t_table(LEVELS)[0], stats.norm.ppf(LEVELS))


@pytest.mark.parametrize("level", LEVELS)
def test_the_continuous_quantile_rounds_to_the_count(level):
    rng = np.random.default_rng(0)
    mean, dispersion = np.exp(rng.uniform(*np.log([1e-2, 1e3]), 300)), np.exp(rng.uniform(*np.log([1e-3, 20]), 300))
    found = negative_binomial_quantile(np.array(level), mean, dispersion)
    counted = stats.nbinom.ppf(level, 1 / dispersion, 1 / (1 + dispersion * mean))
    np.testing.assert_array_equal(np.rint(np.maximum(found, 0)), counted)


def interpolated(mean, dispersion):
    rows = np.einsum("ni,ijq->njq", hats(LOG_MEAN, np.log(mean)), negative_binomial_table(LEVELS))
    away = np.einsum("nj,njq->nq", hats(LOG_DISPERSION, np.log(dispersion)), rows)
    return mean[:, None] + spread(mean, dispersion)[:, None] * away


def test_negative_binomial_quantiles_are_exact_to_a_fiftieth_of_their_spread():
    rng = np.random.default_rng(1)
    mean, dispersion = np.exp(rng.uniform(*np.log([1e-3, 1e4]), 2000)), np.exp(rng.uniform(*np.log([1e-4, 50]), 2000))
    exact = negative_binomial_quantile(np.array(LEVELS), mean[:, None], dispersion[:, None])
    worst = np.abs(interpolated(mean, dispersion) - exact) / spread(mean, dispersion)[:, None]
    assert worst[:, 2:7].max() < 0.01 and worst[:, 1:8].max() < 0.02 and worst.max() < 0.05


def test_beyond_its_ends_the_table_goes_on_as_there():
    """Large means as the gamma distribution, small dispersions as Poisson's, small means as nothing."""
    wide = np.array([0.05, 0.5])
    gamma = stats.gamma.ppf(np.array(LEVELS), 1 / wide[:, None], scale=wide[:, None])
    np.testing.assert_allclose(interpolated(np.full(2, 1e7), wide) / 1e7, gamma, rtol=2e-3, atol=2e-3)
    poisson = stats.poisson.ppf(LEVELS, 50.0)
    assert np.abs(interpolated(np.array([50.0]), np.array([1e-8]))[0] - poisson).max() <= 1
    assert (interpolated(np.array([1e-6]), np.array([0.5])) < 0.5).all()
