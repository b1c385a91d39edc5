"""The form of a stored ONNX graph: order, names and constants follow from what it computes, so equal networks give equal bytes.

tf2onnx names nodes by counters and merges equal nodes in the order of a set, which differs from process to process. Here each
node gets its place on the way from the output to the inputs, and a name from that place. A constant is stored once. The same
holds within the graphs of a node, such as the body of a loop, which may read what is around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def canonicalize(graph: Any) -> None:
    """Order nodes and constants, drop what nothing reads, store equal constants once, and name all anew, in place.

    The graph's inputs and outputs keep their names.
    """
    sort_nodes(graph)
    _settle(graph, {one.name: one.name for one in (*graph.input, *graph.output)}, "")
    _name_sizes(graph, {})


def sort_nodes(graph: Any) -> None:
    """Order nodes so that each comes after those it reads, as ONNX demands, and drop those that nothing reads."""
    for node in graph.node:
        for _, inner in _inner_graphs(node):
            sort_nodes(inner)
    maker = {name: node for node in graph.node for name in node.output}
    ordered: list[Any] = []
    placed: set[int] = set()
    stack = [maker[output.name] for output in graph.output if output.name in maker]
    while stack:
        node = stack[-1]
        missing = [maker[n] for n in _reads(node) if n in maker and id(maker[n]) not in placed]
        if id(node) in placed:
            stack.pop()
        elif missing:
            stack.extend(missing)
        else:
            placed.add(id(node))
            ordered.append(node)
            stack.pop()
    del graph.node[:]
    graph.node.extend(ordered)


def _inner_graphs(node: Any) -> Iterator[tuple[str, Any]]:
    """The graphs of a node, each with a name for its place."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.name, attribute.g
        for number, inner in enumerate(attribute.graphs):
            yield f"{attribute.name}_{number}", inner


def _reads(node: Any) -> Iterator[str]:
    """The names that a node reads, and those around it that its graphs read, in order."""
    yield from node.input
    for _, inner in _inner_graphs(node):
        own = {one.name for one in (*inner.input, *inner.initializer)}
        own.update(name for one in inner.node for name in one.output)
        yield from (name for name in _all_reads(inner) if name not in own)


def _all_reads(graph: Any) -> Iterator[str]:
    """The names that a graph's nodes read, then those of its outputs, in order."""
    for node in graph.node:
        yield from _reads(node)
    for output in graph.output:
        yield output.name


def _settle(graph: Any, around: Mapping[str, str], prefix: str) -> None:
    """Keep the constants that are read, each value once, and name constants, nodes and their results by their places.

    `around`: old -> new name of what the graph finds or has to keep. The new names begin with `prefix`.
    """
    names = {**around, "": ""}  # an optional input or output that is not there
    by_name = {one.name: one for one in graph.initializer}
    kept: dict[tuple[int, tuple[int, ...], bytes], Any] = {}
    for name in _all_reads(graph):
        if name in by_name:
            kept.setdefault(_value(by_name[name]), by_name[name])
    constants = list(kept.values())
    places = {value: f"{prefix}constant_{number}" for number, value in enumerate(kept)}
    names.update({name: places[_value(one)] for name, one in by_name.items() if _value(one) in places})
    for number, node in enumerate(graph.node):
        node.name = f"{prefix}{node.op_type}_{number}"
        for place, result in enumerate(node.output):
            names.setdefault(result, f"{node.name}_{place}" if place else node.name)
    for constant in constants:
        constant.name = names[constant.name]
    for node in graph.node:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        for key, inner in _inner_graphs(node):
            _settle_inner(inner, names, f"{node.name}_{key}")
    for output in graph.output:
        output.name = names[output.name]
    del graph.initializer[:]
    graph.initializer.extend(constants)
    del graph.value_info[:]


def _settle_inner(graph: Any, around: Mapping[str, str], name: str) -> None:
    """The same for a graph of a node, whose own inputs and outputs are named by their places, too."""
    graph.name = name
    graph.ClearField("doc_string")  # tf2onnx' has its name as it was
    own = {one.name for one in graph.initializer} | {result for node in graph.node for result in node.output}
    names = {old: new for old, new in around.items() if old not in own}
    for number, one in enumerate(graph.input):
        names[one.name] = f"{name}_input_{number}"
        one.name = names[one.name]
    _settle(graph, names, f"{name}_")


def _name_sizes(graph: Any, names: dict[str, str]) -> None:
    """Name the sizes that differ from call to call in the order of their places; `names`: those that have one, old -> new."""
    for one in (*graph.input, *graph.output):
        for size in one.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = names.setdefault(size.dim_param, f"size_{len(names)}")
    for node in graph.node:
        for _, inner in _inner_graphs(node):
            _name_sizes(inner, names)


def _value(constant: Any) -> tuple[int, tuple[int, ...], bytes]:
    """Type, shape and bytes of a constant."""
    from onnx import numpy_helper

    return constant.data_type, tuple(constant.dims), numpy_helper.to_array(constant).tobytes()
