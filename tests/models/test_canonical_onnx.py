"""The form of a stored ONNX graph does not depend on names and orders."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.canonical_onnx import canonicalize

onnx = pytest.importorskip("onnx")


def graph(names, order):
    """y = (x + 1) * 1, with two constants of one value and a third that nothing reads, under other names and in another order."""
    helper, one = onnx.helper, np.ones(1, np.float32)
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [None]) for n in ("x", "y"))
    nodes = [helper.make_node("Add", ["x", names[0]], [names[1]]), helper.make_node("Mul", [names[1], names[2]], ["y"])]
    constants = [onnx.numpy_helper.from_array(one, name) for name in (names[0], names[2], names[3])]
    made = helper.make_graph([nodes[i] for i in order], names[0], [x], [y], constants[:: 1 if order[0] else -1])
    made.name = "forecaster"
    return made


def test_equal_graphs_get_equal_bytes():
    first, second = graph("abcd", (0, 1)), graph("pqrs", (1, 0))
    canonicalize(first)
    canonicalize(second)
    assert first.SerializeToString() == second.SerializeToString()


def test_a_settled_graph_computes_what_it_did_and_stores_each_constant_once():
    made = graph("abcd", (1, 0))
    canonicalize(made)
    onnx.checker.check_graph(made)
    assert [node.op_type for node in made.node] == ["Add", "Mul"]
    assert len(made.initializer) == 1
    assert made.node[0].input == ["x", "constant_0"]
    assert made.node[1].input == ["Add_0", "constant_0"]


def test_names_stay_where_an_inner_graph_may_read_them():
    made = graph("abcd", (0, 1))
    inner = onnx.helper.make_graph([], "inner", [], [])
    made.node[0].attribute.append(onnx.helper.make_attribute("body", inner))
    canonicalize(made)
    assert made.node[0].input == ["x", "a"]
