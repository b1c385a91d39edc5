"""Heads: what each one forecasts, and what it is trained on."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.heads import HEADS
from forecaster.models.network import Network
from tests.support.factories import network_settings

ROWS = 3


def scaled_window(length, seed=0):
    values = np.random.default_rng(seed).normal(size=(ROWS, length)).astype(np.float32)
    return values, np.ones_like(values)


def network(**changes):
    return Network(network_settings(**changes), seed=1)


def forecast_in_network_units(net, values, mask):
    return np.asarray(net.head.forecast(net.encoder, net.encoder.read(values, mask)))


def hand_rolled(net, values, mask):
    """The context grows by the forecasts, one segment at a time, and is read from its start again."""
    settings, parts = net.settings, []
    while sum(part.shape[1] for part in parts) < settings.horizon:
        emitted = np.asarray(net.head.dense(net.encoder.read(values, mask).last))
        parts.append(emitted.reshape(ROWS, settings.segment, settings.outputs))
        values = np.concatenate([values, parts[-1][:, :, 0]], axis=1)
        mask = np.ones_like(values)
    return np.concatenate(parts, axis=1)[:, : settings.horizon]


@pytest.mark.slow
@pytest.mark.parametrize("head", ["recursive", "per-step"])
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("segment", [1, 2])
def test_recursion_equals_a_loop_that_grows_the_context(head, cell, bidirectional, segment):
    net = network(head=head, cell=cell, bidirectional=bidirectional, segment=segment, horizon=5, quantiles=(0.1, 0.9))
    values, mask = scaled_window(8)
    np.testing.assert_allclose(
        forecast_in_network_units(net, values, mask), hand_rolled(net, values, mask), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("segment", [1, 2])
def test_training_at_a_step_does_not_depend_on_later_inputs(segment):
    net = network(head="per-step", cell="gru", layers=2, residual=True, segment=segment)
    values, mask = scaled_window(8)
    changed = values.copy()
    changed[:, 4:] = -50
    before, after = (np.asarray(net.head.training(net.encoder, net.encoder.read(v, mask))) for v in (values, changed))
    np.testing.assert_array_equal(before[:, :4], after[:, :4])  # steps 1 to 4/S forecast S observations each
    assert not np.array_equal(before[:, 4:], after[:, 4:])


@pytest.mark.parametrize("segment", [1, 2])
def test_the_per_step_head_trains_on_every_step_after_the_first_segment(segment):
    net = network(head="per-step", segment=segment)
    assert net.head.target_span() == (segment, 8 + segment)
    z, _, _ = net.training_model()([scaled_window(8)[0]])
    assert z.shape == (ROWS, 8, 1)


def test_the_last_step_in_training_is_the_first_forecast():
    net = network(head="per-step", segment=2)
    values, mask = scaled_window(8)
    trained = np.asarray(net.head.training(net.encoder, net.encoder.read(values, mask)))
    np.testing.assert_allclose(
        trained[:, -2:], forecast_in_network_units(net, values, mask)[:, :2], rtol=1e-5, atol=1e-6
    )


def test_a_bidirectional_per_step_head_trains_on_the_last_step_only():
    """Its backward pass has read what earlier steps would have to forecast."""
    net = network(head="per-step", bidirectional=True)
    assert net.head.target_span() == (8, 10)
    z, _, _ = net.training_model()([scaled_window(8)[0]])
    assert z.shape == (ROWS, 2, 1)


@pytest.mark.parametrize("head", ["direct", "recursive", "seq2seq"])
def test_other_heads_train_on_the_horizon_as_they_forecast_it(head):
    net = network(head=head)
    values, mask = scaled_window(8)
    assert net.head.target_span() == (8, 11)
    trained = np.asarray(net.head.training(net.encoder, net.encoder.read(values, mask)))
    np.testing.assert_array_equal(trained, forecast_in_network_units(net, values, mask))


def test_decoder_segments_know_their_position_and_start_from_the_encoder():
    net = network(head="seq2seq", cell="gru", horizon=6)
    values, mask = scaled_window(8)
    steps = forecast_in_network_units(net, values, mask)
    assert not np.allclose(steps[:, :2], steps[:, 2:4])
    assert not np.allclose(steps[0], steps[1])


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_dropout_acts_in_training_only(head):
    net = network(head=head, dropout=0.5)
    model, context = net.training_model(), scaled_window(8)[0]
    fixed = [np.asarray(model([context], training=False)[0]) for _ in range(2)]
    drawn = [np.asarray(model([context], training=True)[0]) for _ in range(2)]
    np.testing.assert_array_equal(*fixed)
    assert not np.array_equal(*drawn)


def test_the_direct_head_follows_its_equation():
    """W₂ relu(W₁ h_T + b₁) + b₂."""
    net = network(head="direct", quantiles=(0.1, 0.9))
    values, mask = scaled_window(8)
    (w1, b1), (w2, b2) = net.head.hidden.get_weights(), net.head.dense.get_weights()
    flat = np.maximum(np.asarray(net.encoder.read(values, mask).last) @ w1 + b1, 0) @ w2 + b2
    found = forecast_in_network_units(net, values, mask)
    np.testing.assert_allclose(found, flat.reshape(found.shape), atol=1e-5)
