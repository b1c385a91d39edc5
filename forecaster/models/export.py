"""Export of all members as one graph, from the raw context to the caller's units: a SavedModel and ONNX.

The ONNX graph has ONNX' own RNN, LSTM and GRU operators. tf2onnx would make of a Keras loop an ONNX `Loop`, with one small
product a step. So the graph is cut at each recurrent layer, tf2onnx converts the feed-forward pieces, and the operator with the
layer's weights is put into each cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.models.canonical_onnx import canonicalize
from forecaster.models.canonical_saved_model import canonicalize_saved_model
from forecaster.models.cells import CELLS
from forecaster.models.encoder import Recurrence, run_layer
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.onnx_weights import put_weights
from forecaster.models.shares import combination_weights, combine
from forecaster.models.simple_methods import simple_forecast
from forecaster.models.trees import TREES

if TYPE_CHECKING:
    from forecaster.models.network import Network
    from forecaster.models.settings import NetworkSettings
    from forecaster.typing import FloatArray, Tensor


OPSET = 17


def context_length(members: Sequence[Network], smoothing: Smoothing | None = None) -> int:
    """L of the graph of `members` and smoothing: the longest of theirs. Each reads the latest rows that it needs."""
    return max(*(member.settings.rows for member in members), smoothing.length if smoothing else 0)


def input_shapes(members: Sequence[Network], smoothing: Smoothing | None = None) -> dict[str, tuple[int, ...]]:
    """Shape after the batch of each input of the graph of `members`, in order: of all that one of them reads."""
    length = context_length(members, smoothing)
    found: dict[str, tuple[int, ...]] = {}
    for member in members:  # the first one reads most
        found |= replace(member.settings, context_length=length).shapes
    return found


def joint_forecast(
    members: Sequence[Network],
    inputs: Mapping[str, Tensor],
    recur: Recurrence = run_layer,
    smoothing: Smoothing | None = None,
) -> Tensor:
    """The members' combined forecasts [B, H, 1 + Q], from inputs named as `input_shapes` says, blended with a simple method.

    Medians and means keep quantiles ascending. The simple method is blended with the point forecast, and quantiles are shifted
    by the same difference; so are trees, whose widths know the step alone. Where the point forecast is a quantile itself, those
    below it are kept at or below it, and those above it at or above it.
    """
    from keras import ops

    settings = members[0].settings
    forecasts = [member.forecast(member.own(inputs), recur) for member in members]
    # Only differences from a forecast are combined: ONNX sorts float32, which loses steps of 1 at levels of 1e9.
    anchor, join = forecasts[0][:, :, :1], COMBINATIONS[settings.combine]
    each, kinds = [one - anchor for one in forecasts], [member.settings for member in members]
    moved = combine(each, kinds, join)
    wide = combine(*_without_trees(each, kinds), join) if any(kind.cell == TREES for kind in kinds) else moved
    spread = _around_point(wide[:, :, 1:] - wide[:, :, :1], settings.quantiles, settings.point_level)
    point = anchor + moved[:, :, :1]
    if smoothing and smoothing.weight:
        simple = simple_forecast(inputs["context"], smoothing)[:, :, None]
        point = simple if smoothing.weight == 1.0 else (simple - point) * smoothing.weight + point
    return ops.concatenate([point, point + spread], axis=-1)


def _without_trees(
    forecasts: Sequence[Tensor], members: Sequence[NetworkSettings]
) -> tuple[list[Tensor], list[NetworkSettings]]:
    """Those of the networks, with shares that add up to 1 again; all of them where there are trees alone."""
    shares = combination_weights(members)[1]
    left = 1.0 - sum(share for share, one in zip(shares, members, strict=True) if one.cell == TREES)
    networks = [i for i, one in enumerate(members) if one.cell != TREES]
    if not networks:
        return list(forecasts), list(members)
    return [forecasts[i] for i in networks], [replace(members[i], share=shares[i] / left) for i in networks]


def _around_point(spread: Tensor, levels: Sequence[float], point: float | None) -> Tensor:
    """Differences [B, H, Q] of quantiles from a point forecast that is the quantile of level `point`; None = it is a mean."""
    from keras import ops

    if point is None or not levels:
        return spread
    highest = [np.inf if level > point else 0.0 for level in levels]
    lowest = [-np.inf if level < point else 0.0 for level in levels]
    return ops.minimum(ops.maximum(spread, np.array(lowest)), np.array(highest))


def _median(forecasts: Sequence[Tensor]) -> Tensor:
    from keras import ops

    ordered = ops.sort(ops.stack(forecasts, axis=-1), axis=-1)
    middle = len(forecasts) // 2
    return ordered[..., middle] if len(forecasts) % 2 else 0.5 * (ordered[..., middle - 1] + ordered[..., middle])


def _mean(forecasts: Sequence[Tensor]) -> Tensor:
    from keras import ops

    return ops.mean(ops.stack(forecasts, axis=-1), axis=-1)


COMBINATIONS: dict[str, Callable[[Sequence[Tensor]], Tensor]] = {"median": _median, "mean": _mean}


def write_saved_model(members: Sequence[Network], folder: Path, smoothing: Smoothing | None = None) -> None:
    """Signature `serving_default`: inputs float64, NaN = missing -> prediction [B, H] and quantiles [B, H, Q]."""
    import tensorflow as tf

    module = tf.Module()
    module.kept = [member.model.weights for member in members]  # `serving_weights` reads them
    shapes = input_shapes(members, smoothing)
    specs = [tf.TensorSpec((None, *shape), tf.float64, name=name) for name, shape in shapes.items()]

    def serve(*inputs: Tensor) -> dict[str, Tensor]:
        forecast = joint_forecast(members, dict(zip(shapes, inputs, strict=True)), smoothing=smoothing)
        return {"prediction": forecast[:, :, 0], "quantiles": forecast[:, :, 1:]}

    module.serve = tf.function(serve, input_signature=specs, autograph=False)
    # States of random numbers are no weights. A layer of the user's own may read one all the same.
    read = {id(variable) for variable in module.serve.get_concrete_function().variables}
    others = [v for member in members for v in member.model.variables if all(v is not w for w in member.model.weights)]
    module.others = [variable for variable in others if id(variable.value) in read]
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    canonicalize_saved_model(folder)


def serving_weights(folder: Path, member: int) -> list[FloatArray]:
    """The weights of one member of a stored SavedModel, in the order of `Network.weights`. ValueError where there are none."""
    import tensorflow as tf

    try:
        reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    except tf.errors.OpError as error:
        raise ValueError(f"{folder}: no weights") from error
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith(f"kept/{member}/")]
    if not names:
        raise ValueError(f"{folder}: no member {member}")
    ordered = sorted(names, key=lambda name: int(name.split("/")[2]))
    return [np.asarray(reader.get_tensor(name)) for name in ordered]


@dataclass(frozen=True)
class _Cut:
    """A recurrent layer that is left out of the converted graph."""

    layer: Any
    inputs: Tensor  # [B, T, C]
    start: list[Tensor]  # initial states, or none
    sequence: Tensor  # input in place of the layer's outputs [B, T, units]
    states: list[Tensor]  # inputs in place of its final states [B, units]
    weights: list[FloatArray]  # of the layer


class _Cutter:
    """A `Recurrence` that cuts the graph where a layer would run."""

    def __init__(self) -> None:
        self.cuts: list[_Cut] = []

    def __call__(self, layer: Any, inputs: Tensor, states: Sequence[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        import keras

        count = 2 if hasattr(layer.cell, "state_size") and isinstance(layer.cell.state_size, (list, tuple)) else 1
        count = max(count, len(states or ()))
        mark = f"cut{len(self.cuts)}"
        sequence = keras.Input((inputs.shape[1], layer.units), name=f"{mark}_sequence")
        after = [keras.Input((layer.units,), name=f"{mark}_state{i}") for i in range(count)]
        self.cuts.append(_Cut(layer, inputs, list(states or ()), sequence, after, layer.get_weights()))
        return sequence, after


@dataclass(frozen=True)
class Converted:
    """The graph of some members as tf2onnx makes it, before recurrent operators are put in."""

    model: Any  # onnx' ModelProto
    cuts: list[_Cut]
    settings: list[NetworkSettings]
    smoothing: Smoothing | None
    weights: list[FloatArray]  # of all members
    places: list[list[int]]  # of each cut's weights among them

    def with_weights(self, members: Sequence[Network], smoothing: Smoothing | None) -> Converted | None:
        """The graph of members of the same kinds; None where they are not, or where it has to be converted anew."""
        from onnx import ModelProto

        if ([one.settings for one in members], smoothing) != (self.settings, self.smoothing):
            return None
        weights = [weight for member in members for weight in member.weights]
        cut = {place for places in self.places for place in places}
        if -1 in cut:  # no member has this weight
            return None
        others = [place for place in range(len(weights)) if place not in cut]
        before, after = ([some[i] for i in others] for some in (self.weights, weights))
        model = ModelProto()
        model.CopyFrom(self.model)
        if not put_weights(model.graph, before, after, [self.weights[i] for i in cut]):
            return None
        pairs = zip(self.cuts, self.places, strict=True)
        cuts = [replace(cut, weights=[weights[i] for i in places]) for cut, places in pairs]
        return replace(self, model=model, cuts=cuts, weights=weights)


def write_onnx(
    members: Sequence[Network], path: Path, smoothing: Smoothing | None = None, like: Converted | None = None
) -> Converted:
    """The same graph for onnxruntime, with the same inputs and the output `forecast` [B, H, 1 + Q], float64.

    Where a graph of such members has been written, it is copied with these weights, which takes no conversion.
    """
    import onnx

    made = (like.with_weights(members, smoothing) if like else None) or _converted(members, smoothing)
    graph = onnx.ModelProto()
    graph.CopyFrom(made.model)
    _fill(graph.graph, made.cuts, len(input_shapes(members, smoothing)))
    onnx.checker.check_model(graph)
    path.write_bytes(graph.SerializeToString())
    return made


def _converted(members: Sequence[Network], smoothing: Smoothing | None) -> Converted:
    import keras

    cutter = _Cutter()
    shapes = input_shapes(members, smoothing)
    inputs = [keras.Input(shape, dtype="float64", name=name) for name, shape in shapes.items()]
    forecast = joint_forecast(members, dict(zip(shapes, inputs, strict=True)), cutter, smoothing)
    holes = [hole for cut in cutter.cuts for hole in (cut.sequence, *cut.states)]
    sources = [source for cut in cutter.cuts for source in (cut.inputs, *cut.start)]
    # Keras before 3.13 refuses inputs that no output depends on, such as states that no head reads; 3.13 needs Python 3.11.
    ends = [keras.ops.negative(hole) for hole in holes]
    model = _convert(keras.Model([*inputs, *holes], [forecast, *sources, *ends]))
    _keep_float64(model.graph)
    place = {id(one): i for i, one in enumerate(one for member in members for one in member.model.weights)}
    places = [[place.get(id(one), -1) for one in cut.layer.weights] for cut in cutter.cuts]
    return Converted(
        model=model,
        cuts=cutter.cuts,
        settings=[member.settings for member in members],
        smoothing=smoothing,
        weights=[weight for member in members for weight in member.weights],
        places=places,
    )


def _convert(model: Any) -> Any:
    """As `tf2onnx.convert.from_function`, but optimisation errors are raised.

    tf2onnx copies the graph before each optimisation, to go on without it after an error. Without these copies it takes half
    the time.
    """
    import tensorflow as tf
    from tf2onnx import optimizer, tf_loader
    from tf2onnx.tfonnx import process_tf_graph

    signature = [tf.TensorSpec(t.shape, t.dtype, name=t.name) for t in model.inputs]
    function = tf.function(lambda *inputs: model(list(inputs), training=False), autograph=False)
    concrete = function.get_concrete_function(*signature)
    inputs = [t.name for t in concrete.inputs if t.dtype != tf.resource]
    outputs = [t.name for t in concrete.outputs]
    with tf.device("/cpu:0"):
        frozen = tf_loader.from_function(concrete, inputs, outputs)
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(frozen, name="")
        plain = {name: name.removesuffix(":0") for name in inputs}
        found = process_tf_graph(graph, opset=OPSET, input_names=inputs, output_names=outputs, tensors_to_rename=plain)
    return optimizer.optimize_graph(found, catch_errors=False).make_model("forecaster")


def _keep_float64(graph: Any) -> None:
    """Remove tf2onnx' casts to float32 around Log: onnxruntime takes float64, and float32 loses steps of 1 at levels of 1e9."""
    from onnx import TensorProto

    maker = {name: node for node in graph.node for name in node.output}
    logs = {node.output[0]: node for node in graph.node if node.op_type == "Log"}
    for back in graph.node:
        log = logs.get(back.input[0]) if back.op_type == "Cast" and back.attribute[0].i == TensorProto.DOUBLE else None
        cast = log and maker.get(log.input[0])
        if log is None or cast is None or cast.op_type != "Cast":
            continue
        log.input[0] = cast.input[0]
        back.op_type = "Identity"
        del back.attribute[:]
        stale = [info for info in graph.value_info if info.name == log.output[0]]
        for info in stale:
            graph.value_info.remove(info)


def _fill(graph: Any, cuts: list[_Cut], inputs: int) -> None:
    """Put ONNX' recurrent operators into the cuts; only the first `inputs` inputs and the output `forecast` remain."""
    outputs = [output.name for output in graph.output]
    holes = [hole.name for hole in graph.input][inputs:]
    position, hole = 1, 0
    for cut in cuts:
        states = len(cut.states)
        sources = outputs[position : position + 1 + len(cut.start)]
        _operator(graph, cut, sources, holes[hole : hole + 1 + states])
        position += 1 + len(cut.start)
        hole += 1 + states
    _rename_output(graph, outputs[0], "forecast")
    del graph.input[inputs:]
    del graph.output[1:]
    canonicalize(graph)


def _operator(graph: Any, cut: _Cut, sources: list[str], results: list[str]) -> None:
    """Add one recurrent layer's operator, with transposes, as it is time-major."""
    from onnx import helper, numpy_helper

    kind = type(cut.layer).__name__
    cell = next((cell for cell in CELLS.values() if cell.layer == kind), None)
    if cell is None:
        raise TypeError(f"no row of CELLS names the layer {kind}")
    weights = cell.to_onnx(cut.weights)
    mark = results[0]
    names = {key: f"{mark}_{key}" for key in ("w", "r", "b", "x", "y", "axis0", "axis1")}
    for key in ("w", "r", "b"):
        array = np.ascontiguousarray(getattr(weights, key)[None], dtype=np.float32)
        graph.initializer.append(numpy_helper.from_array(array, names[key]))
    for key, axis in (("axis0", 0), ("axis1", 1)):
        graph.initializer.append(numpy_helper.from_array(np.array([axis], np.int64), names[key]))
    starts = [f"{mark}_start{i}" for i in range(len(sources) - 1)]
    ends = [f"{name}_end" for name in results[1:]]
    nodes = [helper.make_node("Transpose", [sources[0]], [names["x"]], perm=[1, 0, 2])]
    nodes += [
        helper.make_node("Unsqueeze", [source, names["axis0"]], [start])
        for source, start in zip(sources[1:], starts, strict=True)
    ]
    inputs = [names["x"], names["w"], names["r"], names["b"], *([""] if starts else []), *starts]
    attributes = {"hidden_size": cut.layer.units}
    if cell.has_reset_gate:
        attributes["linear_before_reset"] = int(cut.layer.reset_after)
    nodes.append(helper.make_node(cell.operator, inputs, [names["y"], *ends], **attributes))
    nodes.append(helper.make_node("Squeeze", [names["y"], names["axis1"]], [f"{mark}_t"]))
    nodes.append(helper.make_node("Transpose", [f"{mark}_t"], [results[0]], perm=[1, 0, 2]))
    nodes += [
        helper.make_node("Squeeze", [end, names["axis0"]], [result])
        for end, result in zip(ends, results[1:], strict=True)
    ]
    graph.node.extend(nodes)


def _rename_output(graph: Any, old: str, new: str) -> None:
    from onnx import helper

    graph.node.append(helper.make_node("Identity", [old], [new]))
    graph.output[0].name = new
