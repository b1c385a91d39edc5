"""The form of a stored ONNX graph: order, names and constants follow from what it computes, so equal networks give equal bytes.

tf2onnx names nodes by counters and merges equal nodes in the order of a set, which differs from process to process. Here each
node gets its place on the way from the output to the inputs, and a name from that place. A constant is stored once.
"""

from __future__ import annotations

from typing import Any


def canonicalize(graph: Any) -> None:
    """Order nodes and constants, drop what nothing reads, store equal constants once, and name all anew, in place.

    Inputs and outputs keep their names. So do all names in a graph with inner graphs, which may read any of them.
    """
    sort_nodes(graph)
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        return
    _share_constants(graph)
    _rename(graph)


def sort_nodes(graph: Any) -> None:
    """Order nodes so that each comes after those it reads, as ONNX demands, and drop those that nothing reads."""
    maker = {name: node for node in graph.node for name in node.output}
    ordered: list[Any] = []
    placed: set[int] = set()
    stack = [maker[output.name] for output in graph.output]
    while stack:
        node = stack[-1]
        missing = [maker[n] for n in node.input if n in maker and id(maker[n]) not in placed]
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


def _share_constants(graph: Any) -> None:
    """Keep the constants that are read, each value once, in the order in which they are read."""
    by_name = {one.name: one for one in graph.initializer}
    kept: dict[tuple[int, tuple[int, ...], bytes], Any] = {}
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name not in by_name:
                continue
            one = by_name[name]
            node.input[place] = kept.setdefault(_value(one), one).name
    constants = list(kept.values())
    del graph.initializer[:]
    graph.initializer.extend(constants)


def _value(constant: Any) -> tuple[int, tuple[int, ...], bytes]:
    """Type, shape and bytes of a constant."""
    from onnx import numpy_helper

    return constant.data_type, tuple(constant.dims), numpy_helper.to_array(constant).tobytes()


def _rename(graph: Any) -> None:
    """Name constants, nodes and their results by their places."""
    names = {one.name: one.name for one in (*graph.input, *graph.output)}
    names[""] = ""  # an optional input or output that is not there
    for number, constant in enumerate(graph.initializer):
        names[constant.name] = f"constant_{number}"
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
        for place, result in enumerate(node.output):
            names.setdefault(result, f"{node.name}_{place}" if place else node.name)
    for constant in graph.initializer:
        constant.name = names[constant.name]
    for node in graph.node:
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    del graph.value_info[:]
