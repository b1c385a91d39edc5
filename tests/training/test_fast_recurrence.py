"""Hand-derived BPTT gives the outputs and the gradients of Keras' layers."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.cells import CELLS, CellSettings
from forecaster.models.encoder import run_layer
from forecaster.training.fast_recurrence import fast_layer

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]

BATCH, STEPS, INPUTS, UNITS = 7, 5, 3, 4
LAYERS = {"rnn": True, "lstm": True, "gru": True, "gru, reset before": False}  # cell and its `reset_after`


def made(name):
    """A layer with weights that make every gate move, and how many states it has."""
    cell = CELLS[name.split(",")[0]]
    layer = cell.build(CellSettings(UNITS, LAYERS[name], "glorot", "orthogonal", portable=False), lambda: 0)
    layer.build((None, STEPS, INPUTS))
    rng = np.random.default_rng(0)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(size=weight.shape))
    return layer, cell.states


def results(recur, name, *, states, steps=STEPS):
    """Outputs, final states and every gradient of a sum that weighs each of them differently."""
    import keras
    import tensorflow as tf

    layer, count = made(name)
    rng = np.random.default_rng(1)
    given = [rng.normal(size=(BATCH, steps, INPUTS)).astype(np.float32)]
    given += [rng.normal(size=(BATCH, UNITS)).astype(np.float32) for _ in range(count if states else 0)]
    inputs = [keras.Input(value.shape[1:]) for value in given]
    sequence, after = recur(layer, inputs[0], inputs[1:] or None)
    model = keras.Model(inputs, [sequence, *after])
    weights = [np.random.default_rng(2).normal(size=(BATCH, *out.shape[1:])) for out in model.outputs]

    @tf.function
    def run(*values):
        with tf.GradientTape() as tape:
            tape.watch(values)
            found = model(list(values))
            loss = tf.add_n([tf.reduce_sum(out * np.float32(w)) for out, w in zip(found, weights, strict=True)])
        return found, tape.gradient(loss, [*(v.value for v in layer.trainable_variables), *values])

    found, gradients = run(*map(tf.constant, given))
    return [np.asarray(value) for value in (*found, *gradients)]


@pytest.mark.parametrize("states", [False, True])
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_states_and_gradients_are_those_of_the_keras_layer(name, states):
    lean, keras = (results(recur, name, states=states) for recur in (fast_layer, run_layer))
    for one, other in zip(lean, keras, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_one_step_alone_works(name):
    lean, keras = (results(recur, name, states=True, steps=1) for recur in (fast_layer, run_layer))
    for one, other in zip(lean, keras, strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_the_gradient_is_that_of_finite_differences(name):
    """Of the first bias, to the outputs summed with weights: not taken from any framework."""
    import tensorflow as tf

    layer, _ = made(name)
    values = np.random.default_rng(3).normal(size=(BATCH, STEPS, INPUTS)).astype(np.float32)
    weights = np.random.default_rng(4).normal(size=(BATCH, STEPS, UNITS)).astype(np.float32)
    bias = layer.cell.bias

    def loss():
        return tf.reduce_sum(fast_layer(layer, tf.constant(values), None)[0] * weights)

    with tf.GradientTape() as tape:
        total = loss()
    gradient = np.asarray(tape.gradient(total, bias.value)).reshape(-1)
    start, size = np.asarray(bias).copy(), 1e-2
    for place in (0, UNITS):
        found = []
        for sign in (1, -1):
            moved = start.copy().reshape(-1)
            moved[place % moved.size] += sign * size
            bias.assign(moved.reshape(start.shape))
            found.append(float(loss()))
        bias.assign(start)
        assert (found[0] - found[1]) / (2 * size) == pytest.approx(gradient[place % gradient.size], rel=2e-2, abs=2e-2)
