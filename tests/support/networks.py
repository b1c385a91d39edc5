"""Networks of one's own, as users write them: the three of docs/own_networks.md, and some that break the contract."""

from __future__ import annotations

import keras
from keras import layers, ops


def built_in(shapes, settings):
    """The built-in direct GRU with segments, written by hand, with its state for the calendar."""
    segment, units = settings.segment, settings.units
    steps = keras.Input((shapes.context_length, shapes.inputs))
    count = shapes.context_length // segment
    parts = [layers.Reshape((count, segment))(steps[:, :, i]) for i in range(2)]
    hidden = layers.Dense(units, activation="relu")(layers.Concatenate()(parts))
    state = layers.GRU(units)(hidden)
    flat = layers.Dense(shapes.horizon * shapes.outputs)(layers.Dense(units, activation="relu")(state))
    return keras.Model(steps, [layers.Reshape((shapes.horizon, shapes.outputs))(flat), state])


def sequential(shapes, settings):
    """Two directions, by Keras' wrapper."""
    return keras.Sequential([
        layers.Input((shapes.context_length, shapes.inputs)),
        layers.Bidirectional(layers.LSTM(settings.units, return_sequences=True), merge_mode="sum"),
        layers.GRU(settings.units, reset_after=False, name="same"),
        layers.Dense(shapes.horizon * shapes.outputs),
        layers.Reshape((shapes.horizon, shapes.outputs)),
    ])  # fmt: skip


class Subclassed(keras.Model):
    """A model without a functional graph."""

    def __init__(self, shapes, settings):
        super().__init__()
        self.shapes = shapes
        self.hidden = layers.Dense(settings.units, activation="tanh")
        self.out = layers.Dense(shapes.horizon * shapes.outputs)

    def call(self, steps):
        flat = self.out(ops.max(self.hidden(steps), axis=1))
        return ops.reshape(flat, (-1, self.shapes.horizon, self.shapes.outputs))


def regularized(shapes, settings):
    steps = keras.Input((shapes.context_length, shapes.inputs))
    flat = layers.Dense(shapes.horizon * shapes.outputs, kernel_regularizer="l2")(layers.Flatten()(steps))
    return keras.Model(steps, layers.Reshape((shapes.horizon, shapes.outputs))(flat))


def _dense(shapes, change):
    steps = keras.Input((shapes.context_length, shapes.inputs))
    flat = layers.Dense(shapes.horizon * shapes.outputs)(layers.Flatten()(steps))
    return keras.Model(steps, change(layers.Reshape((shapes.horizon, shapes.outputs))(flat)))


def wrong_shape(shapes, settings):
    return _dense(shapes, lambda z: z[:, 1:])


def wrong_input(shapes, settings):
    return keras.Sequential([layers.Input((shapes.context_length + 1, shapes.inputs)), layers.Dense(1)])


def not_a_model(shapes, settings):
    return lambda steps: steps


def raises(shapes, settings):
    raise KeyError("units")


def not_a_number(shapes, settings):
    return _dense(shapes, lambda z: ops.log(ops.minimum(z, -1.0)))


def over_the_batch(shapes, settings):
    return _dense(shapes, lambda z: z - ops.mean(z, axis=0, keepdims=True))


def at_random(shapes, settings):
    return _dense(shapes, layers.Lambda(lambda z: z + keras.random.normal(ops.shape(z))))


def by_name(shapes, settings):
    model = _dense(shapes, lambda z: z)
    return keras.Model(model.inputs, {"forecast": model.outputs[0]})


def in_half_precision(shapes, settings):
    return _dense(shapes, layers.Dense(shapes.outputs, dtype="float16"))


def with_a_space(shapes, settings):
    return _dense(shapes, layers.Dense(shapes.outputs, name="the last"))


def ends_the_program(shapes, settings):
    raise SystemExit(3)


def not_storable(shapes, settings):
    import tensorflow as tf

    def in_python(z):
        return tf.reshape(tf.numpy_function(lambda a: a, [z], tf.float32), tf.shape(z))

    return _dense(shapes, layers.Lambda(in_python, output_shape=(shapes.horizon, shapes.outputs)))


def not_in_onnx(shapes, settings):
    import tensorflow as tf

    return _dense(shapes, layers.Lambda(tf.math.bessel_i0, output_shape=(shapes.horizon, shapes.outputs)))
