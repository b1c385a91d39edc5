"""Networks with covariates: what moves them, and that every stored form answers alike."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.data.covariate_encodings import Encoding
from forecaster.models.covariate_layers import MAX_SCORE, CovariatePath, Features, _seasonal_rows
from forecaster.models.export import write_onnx, write_saved_model
from forecaster.models.network import Network
from forecaster.serving.verify_export import verify_graphs
from tests.support.factories import NAN, network_settings

COVARIATES = (
    Encoding("price", "known", None, 5.0, 2.0),
    Encoding("sky", "known", ("a", "b")),
    Encoding("left", "past"),
    Encoding("kind", "static", ("x", "y")),
)


def settings(**changes):
    return network_settings(**{"covariates": COVARIATES, "season_length": 4, **changes})


def inputs(net, count=5, seed=0):
    rng = np.random.default_rng(seed)
    named = {name: rng.normal(3, 1, (count, *shape)) for name, shape in net.settings.shapes.items()}
    for name in ("known", "past"):
        if name in named and "sky" in [one.name for one in net.settings.covariates]:
            named[name][..., net.settings.known_width * (name == "known") + 1] = rng.integers(
                0, 3, named[name].shape[:-1]
            )
    if "static" in named:
        named["static"][:] = rng.integers(0, 2, named["static"].shape)
    return named


def shaken(net, seed=0):
    """Every weight drawn anew: paths that start at zero take part."""
    rng = np.random.default_rng(seed)
    net.weights = [rng.normal(0, 0.3, w.shape).astype(np.float32) for w in net.weights]
    return net


def answer(net, named):
    return np.asarray(net.model(list(named.values())))


def test_inputs_are_named_and_shaped_by_role():
    net = Network(settings(known=2), 0)
    assert net.settings.shapes == {"context": (8,), "known": (3, 4), "past": (8, 3), "static": (1,)}
    assert [tensor.name for tensor in net.inputs()] == ["context", "known", "past", "static"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "column"), [("known", 0), ("known", 1), ("past", 0), ("past", 1), ("past", 2), ("static", 0)]
)
def test_each_column_moves_the_forecast(name, column):
    net = shaken(Network(settings(), 0))
    named = inputs(net)
    before = answer(net, named)
    values = named[name][..., column]
    named[name][..., column] = np.where(values == 0.0, 1.0, 0.0) if (name, column) != ("past", 2) else values + 1.0
    assert not np.allclose(answer(net, named), before, rtol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("segment", "roles"),
    [
        (1, ("known",)),
        (2, ("known", "past", "static")),
        *(
            pytest.param(segment, roles, marks=pytest.mark.long)
            for segment, roles in [(1, ("past",)), (2, ("static",)), (1, ("known", "past", "static"))]
        ),
    ],
)
def test_stored_graphs_answer_as_the_network(tmp_path, cpu, segment, roles):
    own = tuple(one for one in COVARIATES if one.role in roles)
    members = [
        shaken(Network(settings(covariates=own, segment=segment, cell=c, context_length=length), 1))
        for c, length in (("gru", 8), ("rnn", 4))
    ]
    named = inputs(members[0])
    if "known" in roles:
        named["known"][0] = NAN
        named["past"][1, :, 0] = NAN
    portable = [member.portable() for member in members]
    write_saved_model(portable, tmp_path / "saved_model")
    write_onnx(portable, tmp_path / "model.onnx")
    verify_graphs(tmp_path, members, named)


def test_missing_and_unseen_values_have_a_path_of_their_own():
    features = Features(COVARIATES[:2], lambda: 1)
    found = np.asarray(features(np.array([[5.0, 0], [7.0, 1], [NAN, 2], [1e9, NAN]])))
    np.testing.assert_allclose(found[:, 0], [0.0, 1.0, 0.0, MAX_SCORE])
    np.testing.assert_array_equal(found[:, 1], [1, 1, 0, 1])
    np.testing.assert_array_equal(found[2:, 2:], 0.0)  # until something of the kind is learnt from
    assert found[:2, 2:].all() and not np.array_equal(found[0, 2:], found[1, 2:])
    (embedding,) = features.embeddings.values()
    embedding.set_weights([np.arange(12.0).reshape(4, 3)])
    np.testing.assert_array_equal(features(np.array([[5.0, 2], [5.0, NAN]]))[:, 2:], [[6, 7, 8], [9, 10, 11]])


def test_the_network_starts_as_one_without_covariates():
    """Only what is learnt of a covariate moves a forecast, where each step reads several observations."""
    plain, net = Network(network_settings(season_length=4), 3), Network(settings(), 3)
    named = inputs(net)
    np.testing.assert_allclose(answer(net, named), plain.model([named["context"]]), rtol=1e-6)


def test_like_rows_are_whole_seasons_back():
    np.testing.assert_array_equal(_seasonal_rows(8, 3, 4), [[4, 0], [5, 1], [6, 2]])
    np.testing.assert_array_equal(_seasonal_rows(8, 6, 4)[4], [4, 0])  # a season ahead: the same as the first
    np.testing.assert_array_equal(_seasonal_rows(3, 2, 5), [[2, 1, 0], [2, 1, 0]])


def test_seasons_with_similar_covariates_weigh_more():
    """With one key learnt, the earlier season whose covariate was the same gives nearly all of the mean."""
    path = CovariatePath(context_length=8, horizon=2, season_length=4, outputs=1, dropout=0.0, seed=lambda: 1)
    before, ahead = np.zeros((1, 8, 1), np.float32), np.zeros((1, 2, 1), np.float32)
    before[0, :4] = 50.0
    weights = np.asarray(path._attention(ahead, before, np.ones((1, 2, 2), np.float32)))
    np.testing.assert_allclose(weights, [[[1, 0], [1, 0]]], atol=1e-6)
    observed = np.array([[[0.0, 1.0], [1.0, 1.0]]], np.float32)
    np.testing.assert_allclose(np.asarray(path._attention(ahead, before, observed)), [[[0, 1], [1, 0]]], atol=1e-6)
