"""The recurrent stack by itself: sizes, directions, links, and going on from where it stopped."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.cells import CELLS
from forecaster.models.encoder import Encoder, EncoderSettings
from tests.models.test_cells import LOOPS

ROWS, LENGTH, UNITS = 3, 8, 4
STACKS = [(1, False), (2, False), (2, True)]  # layers, residual


def encoder_of(seed=1, **changes):
    base = {
        "cell": "gru",
        "units": UNITS,
        "layers": 1,
        "bidirectional": False,
        "residual": False,
        "dropout": 0.0,
        "reset_after": True,
        "segment": 2,
        "input_initializer": "glorot",
        "recurrent_initializer": "orthogonal",
        "portable": True,
    }
    numbers = iter(range(seed, 1000))
    return Encoder(EncoderSettings(**{**base, **changes}), lambda: next(numbers))


def values_and_mask(length=LENGTH, seed=0):
    values = np.random.default_rng(seed).normal(size=(ROWS, length)).astype(np.float32)
    return values, np.ones_like(values)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("layers", "residual"), STACKS)
@pytest.mark.parametrize("segment", [1, 4])
def test_every_stack_gives_a_sequence_its_end_and_its_states(cell, bidirectional, layers, residual, segment):
    encoder = encoder_of(cell=cell, bidirectional=bidirectional, layers=layers, residual=residual, segment=segment)
    read = encoder.read(*values_and_mask())
    width = UNITS * (2 if bidirectional else 1)
    assert read.inputs.shape == (ROWS, LENGTH // segment, 2 * segment)
    assert read.sequence.shape == (ROWS, LENGTH // segment, width)
    assert read.last.shape == (ROWS, width)
    assert [tuple(s.shape) for s in read.states] == [(ROWS, width)] * CELLS[cell].states
    assert len(read.layer_states) == layers


def test_a_segment_holds_its_values_and_then_its_mask():
    values = np.arange(8, dtype=np.float32)[None]
    mask = np.array([[1, 1, 0, 1, 1, 1, 1, 0]], np.float32)
    inputs = np.asarray(encoder_of(segment=4).read(values, mask).inputs)
    assert inputs.tolist() == [[[0, 1, 2, 3, 1, 1, 0, 1], [4, 5, 6, 7, 1, 1, 1, 0]]]


def test_segments_of_one_observation_reach_the_cell_as_they_are():
    encoder = encoder_of(segment=1)
    values, mask = values_and_mask()
    sequence, *_ = encoder.layers[0][0](np.stack([values, mask], axis=2))
    np.testing.assert_array_equal(encoder.read(values, mask).sequence, sequence)


def test_the_backward_direction_reads_from_the_end():
    encoder = encoder_of(bidirectional=True, segment=1)
    values, mask = values_and_mask()
    read = encoder.read(values, mask)
    forward, backward = (layer for layer in encoder.layers[0])
    flipped, *_ = backward(np.stack([values, mask], axis=2)[:, ::-1])
    onward, *_ = forward(np.stack([values, mask], axis=2))
    np.testing.assert_allclose(read.sequence[:, :, UNITS:], np.asarray(flipped)[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(read.last[:, :UNITS], np.asarray(onward)[:, -1], atol=1e-6)
    np.testing.assert_allclose(read.last[:, UNITS:], np.asarray(flipped)[:, -1], atol=1e-6)


def test_residual_links_add_a_layers_input_to_its_output():
    linked, plain = encoder_of(layers=2, residual=True), encoder_of(layers=2)
    values, mask = values_and_mask()
    embedded = linked.embed(linked.read(values, mask).inputs)
    first, *_ = linked.layers[0][0](embedded)
    second, *_ = linked.layers[1][0](embedded + first)
    np.testing.assert_allclose(linked.read(values, mask).sequence, embedded + first + second, atol=1e-6)
    assert not np.allclose(plain.read(values, mask).sequence, linked.read(values, mask).sequence)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("layers", "residual"), STACKS)
@pytest.mark.parametrize("segment", [1, 2])
def test_going_on_by_a_segment_equals_reading_a_longer_context(cell, bidirectional, layers, residual, segment):
    encoder = encoder_of(cell=cell, bidirectional=bidirectional, layers=layers, residual=residual, segment=segment)
    values, mask = values_and_mask()
    whole = encoder.read(values, mask)
    start = encoder.read(values[:, : LENGTH - 2 * segment], mask[:, : LENGTH - 2 * segment])
    middle = encoder.advance(start, values[:, LENGTH - 2 * segment : LENGTH - segment])
    end = encoder.advance(middle, values[:, LENGTH - segment :])
    np.testing.assert_allclose(end.last, whole.last, atol=1e-5)
    for found, expected in zip(end.states, whole.states, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_forward_stack_does_not_see_what_comes_later(cell):
    encoder = encoder_of(cell=cell, layers=2, residual=True)
    values, mask = values_and_mask()
    changed = values.copy()
    changed[:, 4:] = 100
    before, after = encoder.read(values, mask).sequence, encoder.read(changed, mask).sequence
    np.testing.assert_array_equal(before[:, :2], after[:, :2])
    assert np.abs(np.asarray(before - after)[:, 2:]).min(axis=(1, 2)).max() > 0


def test_dropout_between_layers_acts_in_training_only():
    import keras

    encoder = encoder_of(layers=2, dropout=0.5)
    values, mask = keras.Input((LENGTH,)), keras.Input((LENGTH,))
    model = keras.Model([values, mask], encoder.read(values, mask).sequence)
    fixed = [np.asarray(model(values_and_mask(), training=False)) for _ in range(2)]
    drawn = [np.asarray(model(values_and_mask(), training=True)) for _ in range(2)]
    np.testing.assert_array_equal(*fixed)
    assert not np.array_equal(*drawn)


@pytest.mark.parametrize("cell", CELLS)
def test_a_bidirectional_stack_follows_its_equations(cell):
    """[h→; h←], where h← reads from the end; the second layer reads both of the first; residual links add them."""
    encoder = encoder_of(cell=cell, bidirectional=True, layers=2, residual=True, segment=4)
    read = encoder.read(*values_and_mask())
    hidden, weights = np.asarray(read.inputs), encoder.embed.get_weights()
    hidden = np.maximum(hidden @ weights[0] + weights[1], 0)
    for forward, backward in encoder.layers:
        ahead, back = (
            LOOPS[cell](x, *layer.get_weights())[0] for layer, x in ((forward, hidden), (backward, hidden[:, ::-1]))
        )
        both = np.concatenate([ahead, back[:, ::-1]], axis=2)
        hidden = hidden + both if both.shape == hidden.shape else both
    np.testing.assert_allclose(read.sequence, hidden, atol=1e-5)
    np.testing.assert_allclose(
        read.last, np.concatenate([hidden[:, -1, :UNITS], hidden[:, 0, UNITS:]], axis=1), atol=1e-5
    )
