"""Gradients through time against a linear network, whose Jacobians are known, and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.evaluation import gradient_norms
from forecaster.evaluation.gradient_norms import Memory, NetworkMemory, memory_of
from forecaster.models.network import Network
from tests.models.test_own_network import alike
from tests.support.factories import network_settings

pytestmark = pytest.mark.usefixtures("cpu")


def contexts(rows=6, length=8):
    return np.random.default_rng(0).uniform(1, 9, (rows, length))


@pytest.fixture
def many_draws(monkeypatch):
    monkeypatch.setattr(gradient_norms, "DRAWS", 30)


def linear(factor, **changes):
    """A SimpleRNN whose recurrent weights are `factor` times the unit matrix and whose inputs are tiny, so tanh is linear."""
    net = Network(network_settings(cell="rnn", segment=1, **changes), seed=1)
    [layer] = net.encoder.layers[0]
    kernel, recurrent, bias = layer.get_weights()
    layer.set_weights([1e-4 * kernel, factor * np.eye(len(recurrent)), bias])
    return net


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.5, 1.2])
def test_a_linear_network_s_gradient_is_a_power_of_its_recurrent_weights(factor, many_draws):
    found = memory_of(linear(factor), [contexts()])
    [states] = found.states
    np.testing.assert_allclose(states, factor ** np.arange(7, -1, -1), rtol=1e-3)
    np.testing.assert_allclose(found.rows[:-1] / found.rows[1:], factor, rtol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("cell", ["lstm"])
def test_row_gradients_are_those_of_finite_differences(cell, many_draws):
    net = Network(network_settings(cell=cell, segment=2, horizon=2), seed=1)
    found = memory_of(net, [contexts(2)])
    values, mask, _ = net.encoder_inputs([contexts(2)])
    values = np.asarray(values)

    def forecast(changed):
        return np.asarray(net.head.forecast(net.encoder, net.encoder.read(changed, np.asarray(mask))))[:, :, 0]

    for row in (0, 7):
        step = np.zeros_like(values)
        step[:, row] = 1e-2
        slope = (forecast(values + step) - forecast(values - step)) / 2e-2
        assert found.rows[row] == pytest.approx(np.sqrt((slope**2).sum(axis=1).mean()), rel=0.25)


def test_each_layer_of_a_stack_has_its_states_and_the_last_has_gradient_1():
    found = memory_of(Network(network_settings(cell="lstm", layers=2, bidirectional=True), seed=1), [contexts()])
    assert [one.shape for one in found.states] == [(4,), (4,)]
    assert all(one[-1] == 1 and (one > 0).all() for one in found.states)


def test_the_reach_is_the_number_of_latest_rows_with_the_share():
    flat, last = Memory(np.ones(10), ()), Memory(np.array([0.0] * 9 + [1.0]), ())
    assert (flat.reach(0.9), last.reach(0.9), Memory(np.zeros(10), ()).reach(0.5)) == (9, 1, 0)
    assert "no row of the context changes it" in NetworkMemory("still", 1, Memory(np.zeros(10), ())).sentence


@pytest.mark.slow
def test_a_network_of_one_s_own_has_the_memory_of_the_built_in_one_with_its_weights(many_draws):
    plain, mine = alike()
    found, expected = (memory_of(network, [contexts()]) for network in (mine, plain))
    np.testing.assert_allclose(found.rows, expected.rows, rtol=1e-4)
    np.testing.assert_allclose(found.states, expected.states, rtol=1e-4)
