"""The compiled decoder computes what the encoder–decoder computes step by step, and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.network import Network
from forecaster.training.fast_decoder import fast_decode
from tests.support.factories import network_settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]

ROWS, HORIZON = 5, 5
NAN = float("nan")


def network(**changes):
    """Weights far from their start, so that no gate is near its middle and attention is not even."""
    settings = {"head": "encoder-decoder", "horizon": HORIZON, **changes}
    net, rng = Network(network_settings(**settings), seed=1), np.random.default_rng(2)
    net.weights = [weight + 0.4 * rng.normal(size=weight.shape).astype(np.float32) for weight in net.weights]
    return net


def results(net, decode, teacher=None):
    """Forecasts [B, H, K], and the derivatives of a sum of them with respect to every weight."""
    import tensorflow as tf

    context = np.random.default_rng(0).uniform(1, 9, (ROWS, net.settings.context_length))
    inputs = [tf.constant(context), *([] if teacher is None else [tf.constant(teacher)])]
    model = net.training_model(decode=decode, forced=teacher is not None)

    @tf.function(autograph=False)
    def run():
        with tf.GradientTape() as tape:
            z = model(inputs, training=True)[0]
            loss = tf.reduce_sum(z * np.random.default_rng(1).normal(size=z.shape[1:]))
        return [z, *tape.gradient(loss, net.model.trainable_variables)]

    return run()


def assert_same(net, teacher=None):
    fast, plain = (results(net, decode, teacher) for decode in (fast_decode, None))
    for one, other in zip(fast, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("cell", "attention", "segment", "quantiles"),
    [
        ("rnn", True, 1, ()),
        ("gru", True, 2, (0.1, 0.9)),
        pytest.param("lstm", True, 2, (0.1, 0.9), marks=pytest.mark.long),
        pytest.param("gru", False, 1, (0.5,), marks=pytest.mark.long),
    ],
)
def test_it_forecasts_and_learns_as_the_steps_in_turn(cell, attention, segment, quantiles):
    assert_same(network(cell=cell, attention=attention, segment=segment, quantiles=quantiles))


def test_no_gradient_passes_an_actual_that_is_read_in_place_of_a_forecast():
    teacher = np.random.default_rng(5).normal(size=(ROWS, HORIZON)).astype(np.float32)
    teacher[0], teacher[1, 1:3], teacher[2, 3] = NAN, NAN, NAN
    assert_same(network(cell="gru", attention=True, segment=2), teacher)


def test_dropout_hides_the_same_numbers_forward_and_backward():
    net = network(cell="gru", attention=True, segment=2, dropout=0.5)
    width = sum(net.settings.units if part else 2 for part in (1, 0, 1))  # state, segment, context
    hidden = np.where(np.random.default_rng(6).uniform(size=width) < 0.5, 0.0, 2.0).astype(np.float32)
    net.head.dropout = lambda values: values * hidden
    assert_same(net)


def test_exponentials_that_overflow_are_as_saturated_as_a_tanh():
    net = network(cell="rnn", attention=True)
    net.head.key.set_weights([300.0 * net.head.key.get_weights()[0]])
    assert_same(net)
    kernel, bias = net.head.asked.get_weights()
    net.head.asked.set_weights([kernel, bias - 60.0])  # e^{2a} is 0, and e^{2k} without a bound infinite
    assert all(np.isfinite(one).all() for one in results(net, fast_decode))


def test_a_cell_without_equations_here_runs_step_by_step():
    assert_same(network(cell="gru", attention=True, reset_after=False))
