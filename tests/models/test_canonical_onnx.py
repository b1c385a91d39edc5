"""The form of a stored ONNX graph does not depend on names and orders."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.canonical_onnx import canonicalize

onnx = pytest.importorskip("onnx")


def graph(names, order):
    """y = (x + 1) * 1, with two constants of one value and a third that nothing reads, under other names and in another order."""
    helper, one = onnx.helper, np.ones(1, np.float32)
    x, y = (helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [names[0]]) for n in ("x", "y"))
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


def loop(names, order):
    """y = x, three times times 2 plus 1: a loop whose body reads a node and a constant around it, under other names."""
    helper, numpy_helper, types = onnx.helper, onnx.numpy_helper, onnx.TensorProto
    a, b, c, d, e, count, go, state, more, end = names
    nodes = [helper.make_node("Mul", [state, a], [d]), helper.make_node("Add", [d, b], [end])]
    nodes.append(helper.make_node("Identity", [go], [more]))
    one = numpy_helper.from_array(np.ones(1, np.float32), b)
    scalars = [helper.make_tensor_value_info(n, kind, []) for n, kind in ((count, types.INT64), (go, types.BOOL))]
    into, out, x, y = (helper.make_tensor_value_info(n, types.FLOAT, [a]) for n in (state, end, "x", "y"))
    until = helper.make_tensor_value_info(more, types.BOOL, [])
    body = helper.make_graph([nodes[i] for i in order], names[0] + names[1], [*scalars, into], [until, out], [one])
    body.doc_string = f"graph for {names[0]}"
    outer = [helper.make_node("Add", [c, c], [a]), helper.make_node("Loop", [e, "", "x"], ["y"], names[2], body=body)]
    constants = [numpy_helper.from_array(np.ones(1, np.float32), c), numpy_helper.from_array(np.array(3), e)]
    return helper.make_graph([outer[i] for i in order[:2]], "forecaster", [x], [y], constants[:: 1 - 2 * order[0]])


def test_equal_graphs_with_loops_get_equal_bytes_and_compute_what_they_did():
    runtime = pytest.importorskip("onnxruntime")
    first, second = loop("abcdefghij", (0, 1, 2)), loop("jihgfedcba", (1, 0, 2))
    assert first.SerializeToString() != second.SerializeToString()
    canonicalize(first)
    canonicalize(second)
    assert first.SerializeToString() == second.SerializeToString()
    canonicalize(second)
    assert first.SerializeToString() == second.SerializeToString()
    opset = onnx.helper.make_opsetid("", 17)
    model = onnx.helper.make_model(first, ir_version=8, opset_imports=[opset])
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in first.node] == ["Add", "Loop"]
    session = runtime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"x": np.array([1, 2], np.float32)})
    np.testing.assert_array_equal(found, [15.0, 23.0])


def test_a_name_of_an_inner_graph_hides_the_same_name_of_another_inner_graph():
    helper, types = onnx.helper, onnx.TensorProto
    out, y = (helper.make_tensor_value_info(n, types.FLOAT, [1]) for n in ("out", "y"))
    value = {name: onnx.numpy_helper.from_array(np.full(1, v, np.float32), "v") for name, v in (("a", 1.0), ("b", 2.0))}
    one, other = (
        helper.make_graph([helper.make_node("Identity", ["v"], ["out"])], "same", [], [out], [value[name]])
        for name in "ab"
    )
    node = helper.make_node("If", ["yes"], ["y"], then_branch=one, else_branch=other)
    yes = helper.make_tensor_value_info("yes", types.BOOL, [])
    made = helper.make_graph([node], "forecaster", [yes], [y])
    canonicalize(made)
    branches = {attribute.name: attribute.g for attribute in made.node[0].attribute}
    names = [inner.initializer[0].name for inner in branches.values()]
    assert len({*names}) == 2
    assert branches["then_branch"].node[0].input == [branches["then_branch"].initializer[0].name]
    onnx.checker.check_graph(made)
