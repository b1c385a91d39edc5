"""Other weights in a converted ONNX graph: a conversion takes many times as long as putting constants in the places of others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

Value: TypeAlias = "tuple[str, bytes]"  # type and bytes


def put_weights(
    graph: Any, before: Sequence[FloatArray], after: Sequence[FloatArray], absent: Sequence[FloatArray] = ()
) -> bool:
    """Replace the constants that are the weights `before` by `after`, in place. False where it is not certain which these are.

    It is not where a weight has been worked into another constant, is one that others may be by chance, such as zeros, or has
    the value of another that becomes a different one, or where one of those that are put in later (`absent`) is there. The graph
    is then not to be used.
    """
    from onnx import numpy_helper

    changes: dict[Value, FloatArray] = {}
    for old, new in zip(before, after, strict=True):
        if _value(changes.setdefault(_value(old), new)) != _value(new):
            return False
    changes = {value: new for value, new in changes.items() if value != _value(new)}
    if any(_ordinary(old) for old in before if _value(old) in changes):
        return False
    if any(_value(numpy_helper.to_array(inner)) in changes for inner in _inner_constants(graph)):
        return False
    found, later = set(), {_value(weight) for weight in absent if not _ordinary(weight)}
    for constant in graph.initializer:
        value = _value(numpy_helper.to_array(constant))
        if value in later:
            return False
        if value in changes:
            found.add(value)
            shaped = np.ascontiguousarray(changes[value]).reshape(tuple(constant.dims))
            constant.CopyFrom(numpy_helper.from_array(shaped, constant.name))
    return len(found) == len(changes)


def _value(array: FloatArray) -> Value:
    return array.dtype.str, np.ascontiguousarray(array).tobytes()


def _ordinary(weight: FloatArray) -> bool:
    """Whether a constant that is no weight may have this value: one whole number, or a repeated one."""
    first = weight.flat[0] if weight.size else 0.0
    return bool((weight == first).all()) and (weight.size > 1 or float(first).is_integer())


def _inner_constants(graph: Any) -> Iterator[Any]:
    """The constants of nodes, and all of graphs within the graph."""
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("g"):
                yield from attribute.g.initializer
                yield from _inner_constants(attribute.g)
