"""The encoder–decoder against its equations worked in NumPy, at any horizon, with teacher forcing and with attention."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.export import write_onnx, write_saved_model
from forecaster.models.network import Network
from forecaster.serving.runtime import OnnxRuntime, TensorflowRuntime, forecast
from forecaster.serving.verify_export import verify_graphs
from tests.models.test_cells import LOOPS
from tests.support.factories import network_settings

pytestmark = pytest.mark.usefixtures("cpu")

ROWS, UNITS = 3, 4
KINDS = [("rnn", False, 1), ("gru", True, 2), ("lstm", True, 1), ("lstm", False, 2)]


def network(**changes):
    return Network(network_settings(head="encoder-decoder", **changes), seed=1)


def scaled_window(length=8, seed=0):
    values = np.random.default_rng(seed).normal(size=(ROWS, length)).astype(np.float32)
    return values, np.ones_like(values)


def dense(layer, x):
    weights = layer.get_weights()
    return x @ weights[0] + (weights[1] if len(weights) > 1 else 0)


def step(net, given, states):
    """One step of the decoder's cell: its equations over a sequence whose start is `states`."""
    kernel, recurrent, *bias = net.head.decoder.get_weights()
    name = net.settings.cell
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    h = states[0]
    if name == "rnn":
        return [np.tanh(given @ kernel + h @ recurrent + bias[0])]
    if name == "lstm":
        i, f, c, o = np.split(given @ kernel + h @ recurrent + bias[0], 4, axis=1)
        cell = sigmoid(f) * states[1] + sigmoid(i) * np.tanh(c)
        return [sigmoid(o) * np.tanh(cell), cell]
    x, u = given @ kernel + bias[0][0], h @ recurrent + bias[0][1]
    (xz, xr, xh), (uz, ur, uh) = np.split(x, 3, axis=1), np.split(u, 3, axis=1)
    z = sigmoid(xz + uz)
    return [z * h + (1 - z) * np.tanh(xh + sigmoid(xr + ur) * uh)]


def oracle(net, values, mask, horizon, teacher=None):
    """The module's equations, segment after segment."""
    head, size = net.head, net.settings.segment
    read = net.encoder.read(values, mask)
    sequence, before = np.asarray(read.sequence), values[:, -size:]
    context = np.tanh(dense(head.summary, np.asarray(read.last)))
    states = [np.tanh(dense(bridge, context)) for bridge in head.bridges]
    parts = []
    for t in range(-(-horizon // size)):
        if head.key:
            scores = dense(head.score, np.tanh(dense(head.asked, states[0])[:, None] + dense(head.key, sequence)))
            weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            context = (weights * sequence).sum(axis=1)
        given = np.concatenate([before, context], axis=1)
        states = step(net, given, states)
        flat = dense(head.dense, np.concatenate([states[0], given], axis=1))
        parts.append(flat.reshape(ROWS, size, -1))
        before = parts[-1][:, :, 0]
        if teacher is not None:
            actual = teacher[:, t * size : (t + 1) * size]
            before = np.where(np.isnan(actual), before, actual)
    return np.concatenate(parts, axis=1)[:, :horizon]


def test_the_cells_of_the_oracle_are_those_of_the_other_tests():
    assert set(LOOPS) == {cell for cell, _, _ in KINDS}


@pytest.mark.parametrize(("cell", "attention", "segment"), KINDS)
def test_it_follows_its_equations(cell, attention, segment):
    net = network(cell=cell, attention=attention, segment=segment, horizon=6, quantiles=(0.1, 0.9))
    values, mask = scaled_window()
    found = net.head.forecast(net.encoder, net.encoder.read(values, mask))
    np.testing.assert_allclose(found, oracle(net, values, mask, 6), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("attention", [False, True])
def test_the_same_weights_decode_five_times_the_horizon(attention):
    short, long = (network(cell="gru", attention=attention, horizon=horizon) for horizon in (3, 15))
    long.weights = short.weights
    values, mask = scaled_window()
    found = long.head.forecast(long.encoder, long.encoder.read(values, mask))
    np.testing.assert_allclose(found, oracle(short, values, mask, 15), atol=1e-5)


@pytest.mark.parametrize("segment", [1, 2])
def test_a_teacher_is_read_in_place_of_forecasts_where_it_is_there(segment):
    net = network(cell="gru", segment=segment, horizon=5)
    values, mask = scaled_window()
    teacher = np.random.default_rng(5).normal(size=(ROWS, 5)).astype(np.float32)
    teacher[0] = np.nan
    teacher[1, 1:3] = np.nan
    padded = np.pad(teacher, ((0, 0), (0, 1)), constant_values=np.nan)
    read = net.encoder.read(values, mask)
    found = np.asarray(net.head.forced(net.encoder, read, teacher))
    np.testing.assert_allclose(found, oracle(net, values, mask, 5, padded), atol=1e-5)
    np.testing.assert_allclose(found[0], np.asarray(net.head.forecast(net.encoder, read))[0], atol=1e-6)
    assert not np.allclose(found[2], np.asarray(net.head.forecast(net.encoder, read))[2])


def test_attention_reads_the_middle_of_the_context_that_the_last_state_has_forgotten():
    """With recurrent weights of 0 the last state knows the last segment alone."""
    for attention in (False, True):
        net = network(cell="rnn", attention=attention, segment=2)
        [layer] = net.encoder.layers[0]
        kernel, recurrent, bias = layer.get_weights()
        layer.set_weights([kernel, 0 * recurrent, bias])
        values, mask = scaled_window()
        changed = values.copy()
        changed[:, 2:4] += 1
        before, after = (
            np.asarray(net.head.forecast(net.encoder, net.encoder.read(v, mask))) for v in (values, changed)
        )
        assert np.allclose(before, after) != attention


@pytest.mark.slow
@pytest.mark.parametrize("attention", [False, True])
def test_both_stored_graphs_forecast_as_the_network_and_feed_back_beyond_the_horizon(attention, tmp_path):
    net = network(cell="lstm", attention=attention, bidirectional=True, quantiles=(0.1, 0.9))
    context = np.random.default_rng(0).uniform(1, 9, (ROWS, 8))
    write_saved_model([net.portable()], tmp_path / "saved_model")
    write_onnx([net.portable()], tmp_path / "model.onnx")
    verify_graphs(tmp_path, [net], {"context": context})
    expected, window = [], context
    for _ in range(5):
        expected.append(np.asarray(net.model([window])))
        window = np.concatenate([window, expected[-1][:, :, 0]], axis=1)[:, -8:]
    for runtime in (OnnxRuntime(tmp_path / "model.onnx"), TensorflowRuntime(tmp_path / "saved_model")):
        np.testing.assert_allclose(forecast(runtime, context, 15), np.concatenate(expected, axis=1), rtol=1e-4)
