"""Optimizers: each step as worked by hand, weight decay apart from the gradient, clipping by value."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.optimizers import OPTIMIZERS
from tests.support.factories import fit_settings

pytestmark = pytest.mark.usefixtures("cpu")


def one_step(gradient, steps=1, **changes):
    """The weight 1 after some steps on the same gradient, at a rate of 0.1."""
    import keras
    import tensorflow as tf

    weight = keras.Variable(np.ones(2, np.float32), name="kernel")
    settings = fit_settings(**{"clip_norm": 0.0, **changes})
    optimizer = OPTIMIZERS[settings.optimizer].make(settings, 0.1)
    optimizer.build([weight])
    for _ in range(steps):
        optimizer.apply([tf.constant(np.full(2, gradient, np.float32))], [weight])
    return float(np.asarray(weight)[0])


def test_sgd_steps_along_the_gradient_and_momentum_adds_the_step_before():
    assert one_step(2.0, optimizer="sgd") == pytest.approx(1 - 0.1 * 2)
    assert one_step(2.0, 2, optimizer="sgd", momentum=0.5) == pytest.approx(1 - 0.2 - (0.2 + 0.5 * 0.2))


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop"])
def test_the_first_step_does_not_depend_on_the_gradient_s_size(name):
    expected = 0.1 / np.sqrt(0.1) if name == "rmsprop" else 0.1  # rmsprop: g / sqrt(0.1 g²)
    for gradient in (0.5, 50.0):
        assert 1 - one_step(gradient, optimizer=name) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_takes_its_share_whatever_the_gradient(name):
    assert one_step(0.0, optimizer=name, weight_decay=0.5) == pytest.approx(1 - 0.1 * 0.5)


def test_biases_do_not_decay():
    import keras
    import tensorflow as tf

    bias = keras.Variable(np.ones(2, np.float32), name="bias")
    optimizer = OPTIMIZERS["adamw"].make(fit_settings(optimizer="adamw", weight_decay=0.5), 0.1)
    optimizer.build([bias])
    optimizer.apply([tf.zeros(2)], [bias])
    np.testing.assert_array_equal(bias, 1)


def test_gradients_are_clipped_by_value_or_by_norm():
    assert one_step(9.0, optimizer="sgd", clip_value=0.5) == pytest.approx(1 - 0.1 * 0.5)
    assert one_step(9.0, optimizer="sgd", clip_norm=1.0) == pytest.approx(1 - 0.1 / np.sqrt(2))


def test_adam_follows_its_equations():
    """m and v are means of g and g² that fade; the step is m / √v, each over what it lacks at first (Kingma & Ba 2015)."""
    import keras
    import tensorflow as tf

    weight = keras.Variable(np.ones(2, np.float32), name="kernel")
    optimizer = OPTIMIZERS["adam"].make(fit_settings(clip_norm=0.0), 0.1)
    optimizer.build([weight])
    expected, m, v = 1.0, 0.0, 0.0
    for t, gradient in enumerate((2.0, -1.0, 0.5), 1):
        optimizer.apply([tf.constant(np.full(2, gradient, np.float32))], [weight])
        m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
        expected -= 0.1 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
    np.testing.assert_allclose(weight, expected, rtol=1e-5)
