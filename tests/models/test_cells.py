"""Each cell against its equations worked in NumPy, step by step."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from forecaster.models.cells import CELLS, INITIALIZERS, CellSettings

UNITS, INPUTS, STEPS, ROWS = 3, 2, 5, 4
SETTINGS = CellSettings(UNITS, True, "glorot", "orthogonal", portable=True)
KINDS = [("rnn", True), ("lstm", True), ("gru", False), ("gru", True)]


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_loop(x, kernel, recurrent, bias):
    """h_t = tanh(W x_t + U h_{t-1} + b)."""
    h, outputs = np.zeros((len(x), len(recurrent))), []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ kernel + h @ recurrent + bias)
        outputs.append(h)
    return np.stack(outputs, axis=1), [h]


def lstm_loop(x, kernel, recurrent, bias):
    """Gate blocks in Keras' order: input, forget, candidate, output."""
    wi, wf, wc, wo = np.split(kernel, 4, axis=1)
    ui, uf, uc, uo = np.split(recurrent, 4, axis=1)
    bi, bf, bc, bo = np.split(bias, 4)
    h, c, outputs = np.zeros((len(x), len(recurrent))), np.zeros((len(x), len(recurrent))), []
    for t in range(x.shape[1]):
        i = sigmoid(x[:, t] @ wi + h @ ui + bi)
        f = sigmoid(x[:, t] @ wf + h @ uf + bf)
        o = sigmoid(x[:, t] @ wo + h @ uo + bo)
        c = f * c + i * np.tanh(x[:, t] @ wc + h @ uc + bc)
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1), [h, c]


def gru_loop(x, kernel, recurrent, bias, *, z_keeps=True):
    """Gate blocks: update, reset, candidate. `z_keeps`: z weighs the old state (Cho v1, Keras), else the new one."""
    after = bias.ndim == 2
    input_bias, recurrent_bias = (bias[0], bias[1]) if after else (bias, np.zeros_like(bias))
    wz, wr, wh = np.split(kernel, 3, axis=1)
    uz, ur, uh = np.split(recurrent, 3, axis=1)
    bz, br, bh = np.split(input_bias, 3)
    cz, cr, ch = np.split(recurrent_bias, 3)
    h, outputs = np.zeros((len(x), len(recurrent))), []
    for t in range(x.shape[1]):
        z = sigmoid(x[:, t] @ wz + bz + h @ uz + cz)
        r = sigmoid(x[:, t] @ wr + br + h @ ur + cr)
        recalled = r * (h @ uh + ch) if after else (r * h) @ uh
        candidate = np.tanh(x[:, t] @ wh + bh + recalled)
        h = z * h + (1 - z) * candidate if z_keeps else (1 - z) * h + z * candidate
        outputs.append(h)
    return np.stack(outputs, axis=1), [h]


LOOPS = {"rnn": rnn_loop, "lstm": lstm_loop, "gru": gru_loop}
GATE_BLOCKS = {"rnn": 1, "lstm": 4, "gru": 3}


def seeds():
    numbers = iter(range(1, 100))
    return lambda: next(numbers)


def layer_of(cell, **changes):
    layer = CELLS[cell].build(replace(SETTINGS, **changes), seeds())
    layer.build((None, STEPS, INPUTS))
    return layer


def random_weights(layer, seed=0):
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=w.shape).astype(np.float32) for w in layer.get_weights()])
    return layer.get_weights()


def inputs(seed=7):
    return np.random.default_rng(seed).normal(size=(ROWS, STEPS, INPUTS)).astype(np.float32)


@pytest.mark.parametrize(("cell", "reset_after"), KINDS)
def test_a_cell_follows_its_equations(cell, reset_after):
    layer = layer_of(cell, reset_after=reset_after)
    weights = random_weights(layer)
    sequence, *states = layer(inputs())
    expected, expected_states = LOOPS[cell](inputs(), *weights)
    np.testing.assert_allclose(sequence, expected, atol=1e-5)
    assert len(states) == len(expected_states) == CELLS[cell].states
    for state, expected_state in zip(states, expected_states, strict=True):
        np.testing.assert_allclose(state, expected_state, atol=1e-5)


def test_the_reset_gate_is_applied_before_or_after_the_product():
    before, after = layer_of("gru", reset_after=False), layer_of("gru", reset_after=True)
    kernel, recurrent, bias = random_weights(before)
    after.set_weights([kernel, recurrent, np.stack([bias, np.zeros_like(bias)])])
    assert np.abs(np.asarray(before(inputs())[0]) - np.asarray(after(inputs())[0])).max() > 1e-3


@pytest.mark.parametrize("reset_after", [False, True])
def test_both_update_gate_conventions_are_one_family(reset_after):
    layer = layer_of("gru", reset_after=reset_after)
    weights = random_weights(layer)
    negated = [np.array(w) for w in weights]
    for w in negated:
        w[..., :UNITS] *= -1  # the update gate's block of the kernel, the recurrent kernel and each bias
    expected, _ = gru_loop(inputs(), *negated, z_keeps=False)
    np.testing.assert_allclose(layer(inputs())[0], expected, atol=1e-5)


@pytest.mark.parametrize(("cell", "reset_after"), KINDS)
@pytest.mark.parametrize(("count", "units"), [(1, 1), (2, 5), (7, 3)])
def test_parameters_are_as_the_formula_says(cell, reset_after, count, units):
    layer = CELLS[cell].build(replace(SETTINGS, units=units, reset_after=reset_after), seeds())
    layer.build((None, STEPS, count))
    block = units * (count + units + 1)
    second_bias = 3 * units if cell == "gru" and reset_after else 0
    assert layer.count_params() == GATE_BLOCKS[cell] * block + second_bias
    assert CELLS[cell].parameters(count, units, reset_after) == layer.count_params()


@pytest.mark.parametrize("cell", CELLS)
def test_recurrent_weights_start_orthogonal(cell):
    _, recurrent, _ = layer_of(cell).get_weights()
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(UNITS), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_biases_start_at_zero_but_the_forget_gate_at_one(cell):
    *_, bias = layer_of(cell).get_weights()
    expected = np.zeros_like(bias)
    if cell == "lstm":
        expected[UNITS : 2 * UNITS] = 1
    np.testing.assert_array_equal(bias, expected)


@pytest.mark.parametrize(("name", "fan"), [("glorot", INPUTS + 60), ("he", INPUTS)])
def test_input_weights_start_within_the_limit_of_their_initializer(name, fan):
    layer = CELLS["rnn"].build(replace(SETTINGS, units=60, input_initializer=name), seeds())
    layer.build((None, STEPS, INPUTS))
    size = np.abs(layer.get_weights()[0]).max()
    limit = np.sqrt(6 / fan)
    assert 0.8 * limit < size <= limit


@pytest.mark.parametrize("role", ["input_initializer", "recurrent_initializer"])
def test_an_initializer_changes_the_weights_of_its_role_only(role):
    place = ("input_initializer", "recurrent_initializer").index(role)
    found = [layer_of("gru", **{role: name}).get_weights() for name in INITIALIZERS]
    kinds = {weights[place].tobytes() for weights in found}
    others = {weights[1 - place].tobytes() for weights in found}
    assert (len(kinds), len(others)) == (len(INITIALIZERS), 1)


def test_another_seed_gives_other_first_weights():
    a, b = (CELLS["gru"].build(SETTINGS, lambda s=s: s) for s in (1, 2))
    for layer in (a, b):
        layer.build((None, STEPS, INPUTS))
    assert not np.array_equal(a.get_weights()[0], b.get_weights()[0])


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_layers_to_train_keep_the_arguments_that_cudnn_wants(cell):
    layer = layer_of(cell, portable=False)
    assert layer.activation.__name__ == "tanh"
    assert (layer.use_bias, layer.unroll, layer.dropout, layer.recurrent_dropout) == (True, False, 0, 0)
    if cell != "rnn":  # cuDNN is not asked for Elman's cell by Keras
        assert layer.recurrent_activation.__name__ == "sigmoid"
        assert layer.use_cudnn == "auto"
    if cell == "gru":
        assert layer.reset_after is True


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_portable_layers_never_take_a_cudnn_kernel(cell):
    assert layer_of(cell, portable=True).use_cudnn is False


def onnx_answer(cell, weights, x, linear_before_reset):
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    stored = CELLS[cell].to_onnx(weights)
    arrays = {key: np.ascontiguousarray(getattr(stored, key)[None], np.float32) for key in ("w", "r", "b")}
    attributes = {"linear_before_reset": int(linear_before_reset)} if CELLS[cell].has_reset_gate else {}
    node = helper.make_node(CELLS[cell].operator, ["x", "w", "r", "b"], ["y"], hidden_size=UNITS, **attributes)
    graph = helper.make_graph(
        [node],
        "cell",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [STEPS, ROWS, INPUTS])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [STEPS, 1, ROWS, UNITS])],
        [numpy_helper.from_array(array, key) for key, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x.swapaxes(0, 1)})[0][:, 0].swapaxes(0, 1)


@pytest.mark.parametrize(("cell", "reset_after"), KINDS)
def test_onnx_operators_with_converted_weights_follow_the_equations(cell, reset_after):
    weights = random_weights(layer_of(cell, reset_after=reset_after), seed=3)
    expected, _ = LOOPS[cell](inputs(), *weights)
    np.testing.assert_allclose(onnx_answer(cell, weights, inputs(), reset_after), expected, atol=1e-5)


def test_recurrent_dropout_masks_the_state_alike_at_all_steps_of_a_sequence():
    layer = layer_of("rnn", recurrent_dropout=0.5)
    kernel, recurrent, bias = random_weights(layer)
    sequence, _ = layer(inputs(), training=True)
    found = []
    for row in range(ROWS):
        masks = itertools.product((0.0, 2.0), repeat=UNITS)  # what is kept is divided by the share that is kept
        loops = {m: rnn_loop(inputs()[[row]], kernel, np.array(m)[:, None] * recurrent, bias)[0][0] for m in masks}
        found += [m for m, outputs in loops.items() if np.allclose(sequence[row], outputs, atol=1e-5)]
    assert len(found) == ROWS and len(set(found)) > 1


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize(
    ("cell", "changes"),
    [
        ("rnn", {}),
        ("lstm", {}),
        ("lstm", {"recurrent_dropout": 0.2}),
        ("gru", {}),
        ("gru", {"reset_after": False}),
        ("gru", {"recurrent_dropout": 0.2}),
        ("lstm", {"portable": True}),
    ],
)
def test_keras_asks_for_cudnns_kernel_as_the_table_says(cell, changes, policy, monkeypatch):
    import importlib

    import keras
    import tensorflow as tf

    rnn = importlib.import_module("keras.src.backend.tensorflow.rnn")  # a function has its name, too
    asked = []

    def kernel(*given, **named):
        asked.append({one.dtype for one in (*given, *named.values()) if isinstance(one, tf.Tensor)})
        raise NotImplementedError  # as where it is not there: Keras goes on with its own loop

    monkeypatch.setattr(rnn, "_is_gpu_available", lambda: True)
    monkeypatch.setattr(rnn, "_cudnn_lstm", kernel)
    monkeypatch.setattr(rnn, "_cudnn_gru", kernel)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        layer_of(cell, **{"portable": False, **changes})(inputs())
    finally:
        keras.config.set_dtype_policy(before)
    options = {name: value for name, value in changes.items() if name != "portable"}
    expected = CELLS[cell].runs_on_cudnn(**options) and not changes.get("portable")
    assert bool(asked) == expected
    assert all(kinds == {tf.float16 if policy == "mixed_float16" else tf.float32} for kinds in asked)
