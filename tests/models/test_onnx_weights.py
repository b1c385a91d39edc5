"""A written graph with other weights is the graph that a conversion of these makes, or is converted."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.export import write_onnx
from forecaster.models.network import Network
from forecaster.models.onnx_weights import put_weights
from forecaster.models.trees import TREES, TreeMember, lags_of
from forecaster.serving.runtime import OnnxRuntime
from tests.support.factories import network_settings

onnx = pytest.importorskip("onnx")

ONE = np.array([1.5, 2.5], np.float32)
ZEROS = np.zeros(2, np.float32)


def graph(*constants, inner=()):
    """A sum of constants, some in nodes of their own."""
    helper, names = onnx.helper, [f"c{i}" for i in range(len(constants) + len(inner))]
    nodes = [helper.make_node("Sum", names, ["y"])]
    for name, value in zip(names[len(constants) :], inner, strict=True):
        nodes.append(helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value)))
    stored = [onnx.numpy_helper.from_array(value, name) for name, value in zip(names, constants, strict=False)]
    return helper.make_graph(nodes, "g", [], [], stored)


def values(made):
    return [onnx.numpy_helper.to_array(one).tolist() for one in made.initializer]


def test_a_weight_is_replaced_in_the_shape_that_the_graph_has_and_other_constants_stay():
    made = graph(ONE[None], ONE + 7)
    assert put_weights(made, [ONE], [ONE + 1])
    assert values(made) == [[[2.5, 3.5]], [8.5, 9.5]]


@pytest.mark.parametrize(
    ("made", "before", "after", "absent"),
    [
        (graph(-ONE), [ONE], [ONE + 1], []),  # worked into another constant
        (graph(ZEROS), [ZEROS], [ONE], []),  # any constant may be zeros
        (graph(ONE), [ONE, ONE], [ONE, ONE + 1], []),  # two weights of one value, which differ now
        (graph(ONE, inner=[ONE]), [ONE], [ONE + 1], []),
        (graph(ONE, ONE + 1), [ONE], [ONE + 2], [ONE + 1]),
    ],
)
def test_it_is_refused_where_weights_cannot_be_told(made, before, after, absent):
    assert not put_weights(made, before, after, absent)


def test_weights_that_stay_need_not_be_found():
    made = graph(ONE)
    assert put_weights(made, [ONE, ZEROS, ONE + 9], [ONE + 1, ZEROS, ONE + 9])


def networks(seed):
    kept = {"horizon": 3, "quantiles": (0.1, 0.9), "combine": "mean"}
    members = [Network(network_settings(**kept, cell="gru", bidirectional=True), 1)]
    members.append(Network(network_settings(**kept, cell="lstm", head="recursive", segment=1), 2))
    for member in members:
        rng = np.random.default_rng(seed)
        member.weights = [rng.normal(size=weight.shape).astype(np.float32) for weight in member.weights]
    return members


def trees(seed):
    settings = network_settings(
        cell=TREES, units=2, layers=2, season_length=4, context_length=36, horizon=3, quantiles=(0.1, 0.9), share=0.5
    )
    member, rng = TreeMember(settings), np.random.default_rng(seed)
    kinds = [weight.dtype for weight in member.weights]
    features = len(lags_of(4, 32))
    made = [rng.normal(size=weight.shape).astype(kind) for weight, kind in zip(member.weights, kinds, strict=True)]
    made[0] = rng.integers(0, features, made[0].shape).astype(kinds[0])
    member.weights = made
    return member


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_operations_and_constants_are_those_of_a_conversion(tmp_path, monkeypatch):
    first = write_onnx(networks(3), tmp_path / "first.onnx")
    write_onnx(networks(4), tmp_path / "own.onnx")
    monkeypatch.setattr("forecaster.models.export._convert", None)
    write_onnx(networks(4), tmp_path / "copied.onnx", like=first)
    made, copied, own = (onnx.load(tmp_path / f"{name}.onnx").graph for name in ("first", "copied", "own"))
    assert copied.node == own.node
    assert copied.initializer == own.initializer != made.initializer


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.usefixtures("cpu")
def test_trees_and_a_simple_method_are_copied(tmp_path):
    smoothing = Smoothing(season_length=4, length=8, horizon=3, log=False, weight=0.3)
    first = write_onnx([*networks(3)[:1], trees(3)], tmp_path / "first.onnx", smoothing)
    other = [*networks(4)[:1], trees(4)]
    assert first.with_weights(other, smoothing)
    write_onnx(other, tmp_path / "copied.onnx", smoothing, like=first)
    write_onnx(other, tmp_path / "own.onnx", smoothing)
    context = np.random.default_rng(0).uniform(1, 9, (5, 36))
    copied, own = (OnnxRuntime(tmp_path / name).run(context) for name in ("copied.onnx", "own.onnx"))
    np.testing.assert_array_equal(copied, own)


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_other_networks_are_converted(tmp_path):
    first = write_onnx(networks(3)[:1], tmp_path / "first.onnx")
    assert first.with_weights(networks(4)[1:], None) is None
    assert first.with_weights(networks(4)[:1], Smoothing(4, 8, 3, log=False, weight=0.3)) is None
    assert first.with_weights(networks(4)[:1], None)
