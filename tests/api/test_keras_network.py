"""Networks as plain Keras models: they forecast as the program's own, and answer to Keras' verbs."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import forecaster
from forecaster.errors import UsageError
from forecaster.models.heads import HEADS, OPEN_HEADS
from forecaster.models.network import Network
from tests.support.factories import network_settings

pytestmark = pytest.mark.usefixtures("cpu")

SMALL = {"context_length": 6, "horizon": 3, "units": 4}


def rows(count=5, columns=2, seed=0):
    values = np.random.default_rng(seed).normal(size=(count, 6, columns)).astype(np.float32)
    if columns > 1:
        values[:, :, 1] = 1
    return values


def test_the_signature_names_every_argument():
    kinds = {p.kind for p in inspect.signature(forecaster.network).parameters.values()}
    assert kinds == {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "head"), [*(("gru", head) for head in HEADS), ("rnn", "direct"), ("lstm", "seq2seq")])
def test_it_forecasts_as_the_program_s_network_with_the_same_weights(cell, head):
    settings = network_settings(cell=cell, head=head, context_length=6, horizon=3, segment=2, layers=2)
    own = Network(settings, seed=1)
    plain = forecaster.network(**SMALL, cell=cell, head=head, segment=2, layers=2)
    plain.set_weights(own.weights)
    read = own.encoder.read(rows()[:, :, 0], rows()[:, :, 1])
    expected = (own.head.training if head == "per-step" else own.head.forecast)(own.encoder, read)
    np.testing.assert_allclose(plain(rows()), np.asarray(expected)[:, :, 0], atol=1e-6)


@pytest.mark.parametrize("inputs", [1, 2, 5])
@pytest.mark.parametrize("segment", [1, 3])
def test_any_number_of_columns_and_outputs_is_read(inputs, segment):
    model = forecaster.network(**SMALL, inputs=inputs, segment=segment, bidirectional=True, outputs=3)
    assert model(rows(columns=inputs)).shape == (5, 3, 3)


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_a_saved_model_forecasts_the_same(head, tmp_path):
    import keras

    model = forecaster.network(**SMALL, head=head, dropout=0.1)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again(rows()), model(rows()), atol=1e-6)


@pytest.mark.slow
def test_it_is_fitted_by_keras_and_exported(tmp_path):
    import tensorflow as tf

    model = forecaster.network(**SMALL, known=2)
    model.compile("adam", "mse")
    inputs, known = rows(20), np.ones((20, 3, 2), np.float32)
    before = [array.copy() for array in model.get_weights()]
    model.fit([inputs, known], np.zeros((20, 3)), shuffle=False, verbose=0)
    assert all(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True) if a.ndim == 2)
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert any("GRU" in line for line in lines)
    model.export(str(tmp_path / "exported"), verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "exported"))
    np.testing.assert_allclose(loaded.serve([inputs, known]), model([inputs, known]), atol=1e-6)


def test_the_same_seed_gives_the_same_weights():
    first, second, other = (forecaster.network(**SMALL, seed=seed).get_weights() for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_numbers_of_numpy_are_taken():
    model = forecaster.network(context_length=np.int64(6), horizon=np.int32(3), units=np.int64(4), seed=np.int64(1))
    assert model(rows()).shape == (5, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": "gnu"}, "network(): cell: 'gnu' is not known. Did you mean 'gru'?"),
        ({"units": 0}, "network(): units: 0 is not a whole number from 1 up."),
        ({"segment": 4}, "network(): context_length 6 is not a multiple of segment 4."),
        ({"residual": True}, "network(): residual has no effect on one layer."),
        ({"units": True}, "network(): units: True is not a whole number from 1 up."),
        ({"known": -1}, "network(): known: -1 is not a whole number from 0 up."),
        ({"bidirectional": "no"}, "network(): bidirectional: 'no' is neither True nor False."),
        ({"dropout": 1.0}, "network(): dropout: 1.0 is not a number from 0 to below 1."),
        ({"recurrent_dropout": "half"}, "network(): recurrent_dropout: 'half' is not a number from 0 to below 1."),
        ({"cell": "lstm", "forget_bias": float("nan")}, "network(): forget_bias: nan is not a number."),
        ({"cell": "lstm", "reset_after": False}, "network(): reset_after has no effect on lstm: it has no reset gate."),
        *(
            (
                {"head": head, "inputs": 3},
                f"network(): head '{head}' feeds its forecasts back, so it reads the target alone.",
            )
            for head in HEADS
            if head not in OPEN_HEADS
        ),
    ],
)
def test_impossible_settings_are_refused_in_one_line(changes, message):
    with pytest.raises(UsageError) as caught:
        forecaster.network(**{**SMALL, **changes})
    assert str(caught.value).startswith(message)
