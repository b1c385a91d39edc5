"""Distributions: likelihoods and quantiles against scipy's, and what a network that learns one answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from forecaster.models.distributions import DISTRIBUTIONS, _mean_and_dispersion, _tail, log_rising
from forecaster.models.network import Network
from forecaster.models.scaling import WindowScaler
from forecaster.training.fit import FitControl, fit
from forecaster.training.split import Needs, split
from tests.support.factories import NAN, Recorder, fit_settings, network_settings, panel_of

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
ROWS, STEPS = 50, 3


def parts(name, seed=0):
    """z [B, P, K], centre and scale [B, 1], truth [B, P] and the row, of windows on many levels."""
    row, rng = DISTRIBUTIONS[name], np.random.default_rng(seed)
    center, scale = rng.uniform(0, 50, (ROWS, 1)), rng.uniform(0.5, 20, (ROWS, 1))
    z = rng.normal(0, 2, (ROWS, STEPS, len(row.parameters))).astype(np.float32)
    truth = center + 2 * scale * rng.normal(size=(ROWS, STEPS))
    return row, z, center, scale, np.rint(np.abs(truth)) if row.counts else truth


def of_scipy(name, z, units):
    """The same distributions, frozen, in the units in which the likelihood is."""
    if name == "negative-binomial":
        mean, dispersion = (np.asarray(part) for part in _mean_and_dispersion(z, units))
        return stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
    scale = np.logaddexp(0, z[..., 1].astype(np.float64)) + 1e-3
    if name == "normal":
        return stats.norm(z[..., 0], scale)
    return stats.t(1 / np.asarray(_tail(z[..., 2])), z[..., 0], scale)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_loss_is_the_negative_log_likelihood(name):
    row, z, center, scale, truth = parts(name)
    units = row.units(WindowScaler("none", "mean"), center, scale)
    exact = of_scipy(name, z, units)
    expected = -exact.logpmf(truth) if row.counts else -exact.logpdf((truth - center) / scale)
    np.testing.assert_allclose(row.loss(z, truth, units), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["normal", "student-t"])
@pytest.mark.parametrize("transform", ["none", "log"])
def test_quantiles_are_those_of_the_distribution_after_the_transform(name, transform):
    row, z, center, scale, _ = parts(name)
    center, scale = (center, scale) if transform == "none" else (np.log1p(center), scale / 50)
    units = row.units(WindowScaler(transform, "mean"), center, scale)
    found = np.asarray(row.forecast(z, LEVELS, units))
    inner = np.stack([of_scipy(name, z, units).ppf(level) for level in LEVELS], axis=2)
    expected = center[:, :, None] + scale[:, :, None] * np.concatenate([z[:, :, :1], inner], axis=2)
    if transform == "log":
        expected = np.maximum(np.expm1(expected), 0)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(np.asarray(row.forecast(z, (), units)), found[:, :, :1], rtol=1e-12)


def test_quantiles_of_counts_are_within_one_of_scipys_and_mostly_round_to_them():
    row, z, center, scale, _ = parts("negative-binomial")
    units = row.units(WindowScaler("none", "mean"), center, scale)
    found = np.asarray(row.forecast(z, LEVELS, units))
    exact = of_scipy("negative-binomial", z, units)
    counted = np.stack([exact.ppf(level) for level in LEVELS], axis=2)
    np.testing.assert_allclose(found[:, :, 0], exact.mean(), rtol=1e-6)
    assert np.abs(found[:, :, 1:] - counted).max() < 1
    assert (np.rint(found[:, :, 1:]) == counted).mean() > 0.97


def test_the_rising_factorial_is_as_scipys_gamma_function_says():
    y, x = np.meshgrid([0.0, 0.5, 1.0, 5.0, 1e4], [1e-3, 0.1, 1.0, 30.0, 1e4])
    expected = special.gammaln(x + y) - special.gammaln(x)
    np.testing.assert_allclose(log_rising(y, x), expected, rtol=1e-9, atol=1e-9)
    # Where scipy's difference drowns: Γ(x + 3) / Γ(x) = x (x + 1) (x + 2).
    far = np.array([1e8, 1e12])
    np.testing.assert_allclose(log_rising(np.full(2, 3.0), far), 3 * np.log(far), rtol=1e-9)


def means(location, center, scale):
    row = DISTRIBUTIONS["negative-binomial"]
    z = np.stack([location, np.zeros_like(location)], axis=1)[None].astype(np.float32)
    units = row.units(WindowScaler("none", "mean"), np.array([[center]]), np.array([[scale]]))
    return np.asarray(_mean_and_dispersion(z, units)[0])[0]


def test_the_mean_of_counts_is_the_location_until_it_nears_zero_and_never_gets_there():
    location = np.linspace(-14, 5, 101)
    found, straight = means(location, 8.0, 4.0), 8 + 4 * location
    np.testing.assert_allclose(found[straight >= 2], straight[straight >= 2], rtol=1e-6)
    assert (np.diff(found) > 0).all() and (found > 0).all()


def test_a_window_of_zeros_can_be_moved_and_another_constant_one_stays():
    assert np.ptp(means(np.array([-1.0, 1.0]), 0.0, 0.0)) > 0.5
    np.testing.assert_allclose(means(np.array([-1.0, 1.0]), 7.0, 0.0), 7.0, rtol=1e-12)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("head", ["direct", "per-step"])
def test_the_head_says_the_parameters_and_the_graph_answers_quantiles_that_ascend(name, head):
    row = DISTRIBUTIONS[name]
    net = Network(network_settings(head=head, distribution=name, quantiles=LEVELS), seed=1)
    assert row.parameters[0] == "location" and net.settings.outputs == len(row.parameters)
    rng = np.random.default_rng(0)
    net.weights = [rng.normal(scale=2, size=w.shape) for w in net.weights]
    found = np.asarray(net.model([rng.integers(0, 9, (20, 8)).astype(float)]))
    assert found.shape == (20, 3, 6) and np.isfinite(found).all()
    assert (np.diff(found[:, :, 1:], axis=2) >= 0).all() and (np.diff(found[:, :, 1:], axis=2) > 0).any()
    constant, single, empty, zero = np.full(8, 7.0), np.full(8, NAN), np.full(8, NAN), np.zeros(8)
    single[3] = 7.0
    found = np.asarray(net.model([np.stack([constant, single, empty, zero])]))
    np.testing.assert_allclose(found[:2, :, 0], 7.0, rtol=1e-12)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_linear_path_moves_the_location_only(name):
    net = Network(network_settings(distribution=name, linear=True), seed=1)
    context = np.random.default_rng(0).uniform(1, 9, (4, 8))
    before = np.asarray(net.training_model()([context])[0])
    net.linear.dense.kernel.assign(np.ones_like(net.linear.dense.kernel))
    net.linear.dense.bias.assign(np.ones_like(net.linear.dense.bias))
    after = np.asarray(net.training_model()([context])[0])
    np.testing.assert_array_equal(after[:, :, 1:], before[:, :, 1:])
    assert (after[:, :, 0] != before[:, :, 0]).all()


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_rows_of_a_batch_do_not_see_each_other(name):
    """Not even where there are as many as steps, parameters or quantiles: see WindowScaler.restore."""
    net = Network(network_settings(distribution=name, quantiles=(0.1, 0.9), linear=True), seed=1)
    context = np.random.default_rng(0).uniform(0, 9, (3, 8)) + 100.0 * np.arange(3)[:, None]
    alone = np.concatenate([np.asarray(net.model([row[None]])) for row in context])
    for rows in (2, 3):
        np.testing.assert_allclose(net.model([context[:rows]]), alone[:rows], rtol=1e-5)


LENGTH, SERIES, HORIZON = 150, 24, 3


def drawn(name):
    """[N, R] series whose noise is of the distribution, none like the next in level."""
    rng, shape = np.random.default_rng(3), (SERIES, LENGTH)
    level = np.linspace(1, 12, SERIES)[:, None]
    if name == "negative-binomial":
        return rng.negative_binomial(2.0, 2.0 / (2.0 + level), shape).astype(float)
    return level * (10 + (rng.normal(size=shape) if name == "normal" else rng.standard_t(2.5, shape)))


@pytest.fixture(scope="module")
def learnt(cpu):
    """Name -> its network, fitted on the first 90 rows of each series, and the series."""
    found = {}
    for name in DISTRIBUTIONS:
        values = drawn(name)
        settings = network_settings(
            distribution=name, horizon=HORIZON, context_length=24, segment=6, quantiles=(0.025, 0.1, 0.9, 0.975)
        )
        net = Network(settings, seed=1)
        task = split(panel_of(*values[:, :90]), Needs(24, HORIZON, calendar=()), 0).final
        options = fit_settings(epochs=4, steps_per_epoch=40, batch_size=64, schedule="cosine", learning_rate=2e-2)
        fit(net, task, options, FitControl(Recorder(), "coverage"))
        found[name] = net, values
    return found


def counted(level):
    """Share of the drawn counts within the true quantiles: more than nominal, since their ends are counts, too."""
    true = stats.nbinom(2.0, 2.0 / (2.0 + np.linspace(1, 12, SERIES)))
    return (true.cdf(true.ppf(level)) - true.cdf(true.ppf(1 - level) - 1)).mean()


def rolled(net, values):
    """Answers [W, H, 1 + Q] and truth [W, H] of windows after the rows that were fitted on."""
    cutoffs = range(114, LENGTH - HORIZON, HORIZON)
    context = np.concatenate([values[:, c - 24 : c] for c in cutoffs])
    return np.asarray(net.model([context])), np.concatenate([values[:, c : c + HORIZON] for c in cutoffs])


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_the_empirical_coverage_is_near_the_nominal_one(name, learnt):
    answer, truth = rolled(*learnt[name])
    if DISTRIBUTIONS[name].counts:
        answer = np.rint(answer)
    for low, high, level in ((2, 3, 0.9), (1, 4, 0.975)):
        covered = ((truth >= answer[:, :, low]) & (truth <= answer[:, :, high])).mean()
        nominal = counted(level) if DISTRIBUTIONS[name].counts else 2 * level - 1
        assert covered == pytest.approx(nominal, abs=0.05), f"{covered:.3f} of {nominal}"


@pytest.mark.slow
def test_the_tail_is_learnt_heavy_where_the_noise_is(learnt):
    net, values = learnt["student-t"]
    context = values[:, 90:114]
    z = np.asarray(net.training_model()([context])[0])
    assert np.median(1 / np.asarray(_tail(z[..., 2]))) < 6
