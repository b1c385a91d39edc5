"""Truncated backpropagation: the same forecast, and gradients that end after as many steps as given."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.cells import CELLS
from forecaster.models.encoder import run_layer
from forecaster.training.fast_recurrence import fast_layer
from forecaster.training.truncation import truncated
from tests.models.test_cells import layer_of, random_weights

pytestmark = pytest.mark.usefixtures("cpu")

STEPS = 5


def gradients(layer, recur):
    """Outputs, and the derivative of the last state with respect to each step's inputs: [T] norms."""
    import tensorflow as tf

    x = tf.constant(np.random.default_rng(3).normal(size=(4, STEPS, 2)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        sequence, after = recur(layer, x, None)
        loss = tf.reduce_sum(after[0])
    return np.asarray(sequence), [np.asarray(one) for one in after], np.abs(tape.gradient(loss, x)).sum(axis=(0, 2))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("steps", [1, 2, 4])
def test_gradients_end_and_forecasts_stay(cell, steps):
    layer = layer_of(cell)
    random_weights(layer)
    whole, states, every = gradients(layer, run_layer)
    cut, cut_states, some = gradients(layer, truncated(run_layer, steps))
    np.testing.assert_allclose(cut, whole, atol=1e-6)
    for a, b in zip(states, cut_states, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert (every > 0).all()
    assert (some[-steps:] > 0).all() and (some[:-steps] == 0).all()
    np.testing.assert_allclose(some[-steps:], every[-steps:], rtol=1e-4)


def test_0_cuts_nothing():
    assert truncated(fast_layer, 0) is fast_layer
