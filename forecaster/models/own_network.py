"""A network of one's own in place of encoder and head: a function that returns a Keras model, and the contract it must keep.

The function gets shapes and settings and returns a model of scaled steps [B, L, C] -> forecast [B, H, K] in the network's
units. Column 0 of a step is the scaled value, column 1 whether it is observed, the others the features of covariates. The
model may have a second output, a state [B, D]: the calendar and the known covariates are then added from it.

The model is part of the graphs that are trained and stored. Its SimpleRNN, LSTM and GRU layers, also within Bidirectional, run
as those of the built-in networks: by `recur`, which training and the ONNX export replace.
"""

from __future__ import annotations

import importlib
import random
import re
import sys
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from forecaster.errors import ForecasterError, UsageError
from forecaster.models.encoder import Decode, EncoderOutput, Recurrence, run_layer

if TYPE_CHECKING:
    from forecaster.models.encoder import Encoder
    from forecaster.models.settings import NetworkSettings
    from forecaster.typing import Tensor


_NUMBERS = count(1)  # of the networks that this process has built: for names only
NAME = r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*"  # of a layer, as TensorFlow has it in a graph
_TAKEN: WeakSet[Any] = WeakSet()  # layers of the networks that this process has built
_BUILDING = Lock()  # members are built in several threads, and the random state of Python is that of all


@dataclass(frozen=True)
class NetworkShapes:
    """The shapes that the network must have: [B, L, C] -> [B, H, K]."""

    context_length: int  # L rows of context
    inputs: int  # C numbers for each row: value, whether observed, features of covariates
    horizon: int  # H rows ahead
    outputs: int  # K numbers for each row ahead: the point forecast and the quantiles, or a distribution's parameters


class NetworkFunction(str):
    """The name `module:function` of a function that builds a network, and the function itself where Python gave it."""

    function: Callable[[NetworkShapes, NetworkSettings], Any] | None = None

    def __deepcopy__(self, _memo: object) -> NetworkFunction:
        return self

    @classmethod
    def of(cls, given: str | Callable[[NetworkShapes, NetworkSettings], Any]) -> NetworkFunction:
        """The function's name, from text or from the function. UsageError for text of another form."""
        if callable(given):
            name = cls(f"{given.__module__}:{getattr(given, '__qualname__', type(given).__name__)}")
            name.function = given
            return name
        if not isinstance(given, str) or not re.fullmatch(r"[\w.]+:[\w.]+", given):
            raise UsageError(f"{given!r} is not module:function.", "Expected e.g. networks:build.")
        return cls(given)


def find_function(name: str) -> Callable[[NetworkShapes, NetworkSettings], Any]:
    """The function that builds a network. UsageError where its module or name is not found.

    Modules are also searched in the working directory, as `python -m` does.
    """
    given = getattr(name, "function", None)
    if given is not None:
        return given  # type: ignore[no-any-return]
    module, _, function = name.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise UsageError(f"--network {name}: its module imports {error.name}, which is not installed.") from error
        raise UsageError(f"--network {name}: no module '{module}' here.", "Run it where the module is.") from error
    except (Exception, SystemExit) as error:  # a script may end itself where it is imported
        raise UsageError(f"--network {name}: importing '{module}' raised {one_line(error)}.") from error
    finally:
        sys.path.remove(here)
    for part in function.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        raise UsageError(f"--network {name}: module '{module}' has no function '{function}'.")
    return found  # type: ignore[no-any-return]


def one_line(error: BaseException) -> str:
    """An exception in one line, without a closing full stop."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:200].rstrip('.')}" if lines else type(error).__name__


class OwnEncoder:
    """In place of `Encoder`: reads all steps by the user's model, which also makes the forecast."""

    recur: Recurrence = staticmethod(run_layer)

    def __init__(self, settings: NetworkSettings, seed: int, *, portable: bool) -> None:
        self.settings, self.seed, self.portable = settings, seed, portable
        self.built: list[Any] = []  # the model, made at the first reading, which knows the number of inputs

    def with_recurrence(self, recur: Recurrence, _decode: Decode | None = None) -> OwnEncoder:
        """The same model and weights, with recurrent layers run by `recur`."""
        other = copy(self)
        other.recur = recur
        return other

    def read(self, values: Tensor, mask: Tensor, extra: Tensor | None = None) -> EncoderOutput:
        """Scaled values and mask [B, L], covariates' features [B, L, E] -> forecast [B, H, K] as the sequence.

        `last` is the model's second output, or else the point forecasts [B, H].
        """
        from keras import ops

        steps = ops.stack([values, mask], axis=2)
        if extra is not None:
            steps = ops.concatenate([steps, extra], axis=2)
        if not self.built:
            self.built.append(self._build(steps.shape[2]))
        model = self.built[0]
        outputs = model(steps) if self.recur is run_layer else _through(model, steps, self.recur)
        z, *state = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        z = ops.cast(z, "float32")
        if len(z.shape) == 2:
            z = z[:, :, None]
        return EncoderOutput(steps, z, state[0] if state else z[:, :, 0], [], [])

    def _build(self, inputs: int) -> Any:
        """The user's model with weights, checked. UsageError where it breaks the contract."""
        import keras

        s = self.settings
        shapes = NetworkShapes(s.context_length, inputs, s.horizon, s.outputs)
        function = find_function(s.network)
        with _BUILDING:
            state = random.getstate()
            random.seed(self.seed)  # from which Keras draws the seeds that the function does not give
            try:
                model = function(shapes, s)
            except ForecasterError:
                raise
            except (Exception, SystemExit) as error:
                raise UsageError(f"--network {s.network}: it raised {one_line(error)}.") from error
            finally:
                random.setstate(state)
        if not isinstance(model, keras.Model):
            raise UsageError(f"--network {s.network}: it returned {type(model).__name__}, no keras.Model.")
        _check_layers(s.network, model)
        if isinstance(model, keras.Sequential) and model.built:
            model = keras.Model(model.inputs, model.outputs)
        try:
            outputs = model(keras.Input((shapes.context_length, inputs)))
        except Exception as error:
            wanted = f"[B, {shapes.context_length}, {inputs}]"
            raise UsageError(
                f"--network {s.network}: its model does not read {wanted}: {one_line(error)}.",
                "Its input must be (shapes.context_length, shapes.inputs).",
            ) from error
        _check_outputs(s.network, outputs, shapes)
        _check_weights(s.network, model)
        _prepare(model, portable=self.portable)
        return model


def _check_layers(name: str, model: Any) -> None:
    """UsageError for layers that another network has, which would share its weights, or whose names no graph can have."""
    for layer in model._flatten_layers():
        if layer in _TAKEN:
            given = re.sub("^(own[0-9]+_)+", "", layer.name)
            raise UsageError(
                f"--network {name}: it returned layer '{given}' before, so that networks would share its weights.",
                "Build new layers at each call.",
            )
        if not re.fullmatch(NAME, layer.name):
            raise UsageError(
                f"--network {name}: a stored graph cannot have a layer of the name '{layer.name}'.",
                "Take letters, digits, '_', '-' and '.', a letter or digit first.",
            )


def _check_weights(name: str, model: Any) -> None:
    for weight in model.trainable_variables:
        if weight.dtype != "float32":
            raise UsageError(
                f"--network {name}: weights '{weight.path}' are {weight.dtype}, not float32.", "Leave out its dtype."
            )


def _check_outputs(name: str, outputs: Any, shapes: NetworkShapes) -> None:
    parts = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    if not parts or not all(hasattr(part, "shape") for part in parts):
        raise UsageError(
            f"--network {name}: its model returns {type(outputs).__name__}, no tensor.",
            "Its output must be the forecast, or the forecast and a state.",
        )
    forecast, *state = parts
    wanted: list[tuple[int | None, ...]] = [(None, shapes.horizon, shapes.outputs)]
    if shapes.outputs == 1:
        wanted.append((None, shapes.horizon))
    if tuple(forecast.shape) not in wanted:
        raise UsageError(
            f"--network {name}: its model returns {_shown(forecast.shape)}, not {_shown(wanted[0])}.",
            "Its output must be (shapes.horizon, shapes.outputs) for each window.",
        )
    if len(state) > 1 or (state and (len(state[0].shape) != 2 or state[0].shape[1] is None)):
        raise UsageError(f"--network {name}: the second output of its model must be one state, [B, D].")


def _shown(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join(["B", *("?" if size is None else str(size) for size in shape[1:])]) + "]"


def _prepare(model: Any, *, portable: bool) -> None:
    """Give every layer a name of its own, as several members are put into one graph; `portable`: no cuDNN kernel."""
    number = next(_NUMBERS)
    for layer in {id(one): one for one in model._flatten_layers()}.values():
        layer.name = f"own{number}_{layer.name}"
        if layer.trainable_variables:
            _TAKEN.add(layer)
        if portable and hasattr(layer, "use_cudnn"):
            layer.use_cudnn = False


def _through(model: Any, inputs: Tensor, recur: Recurrence) -> Any:
    """The model's outputs, with its recurrent layers run by `recur`. A subclassed model has no graph: it runs as it is."""
    import keras

    if not hasattr(model, "_run_through_graph"):
        return model(inputs)
    # `keras.models.clone_model` with a call_function does the same, but its result begins at inputs of its own.

    in_graph = not _has_values(inputs)

    def operation(op: Any) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            if in_graph:
                args, kwargs = keras.tree.map_structure(_as_constant, (args, kwargs))
            if isinstance(op, keras.Model) and len(args) == 1:
                return _through(op, args[0], recur)
            states = kwargs.get("initial_state", args[1] if len(args) > 1 else None)
            if _runs_by_recur(op, args[0], kwargs):
                return _recurrent(op, args[0], states, recur)
            if isinstance(op, keras.layers.Bidirectional) and states is None and _both_run(op, args[0], kwargs):
                return _bidirectional(op, args[0], recur)
            return op(*args, **kwargs)

        return run

    return model._run_through_graph(inputs, operation_fn=operation)


def _as_constant(value: Any) -> Any:
    """A tensor that was computed while the network was built becomes a constant of the graph, not an input of it."""
    return value.numpy() if _has_values(value) else value


def _has_values(value: Any) -> bool:
    """Whether a tensor has values now, outside a graph, where a gradient must pass it as it is."""
    import tensorflow as tf

    return isinstance(value, tf.Tensor) and hasattr(value, "numpy")


def _runs_by_recur(op: Any, inputs: Any, kwargs: dict[str, Any], *, backwards: bool = False) -> bool:
    """Whether an operation is a recurrent layer as the built-in networks have them."""
    import keras

    if type(op) not in (keras.layers.SimpleRNN, keras.layers.LSTM, keras.layers.GRU):
        return False
    standard = (
        op.activation is keras.activations.tanh
        and getattr(op, "recurrent_activation", keras.activations.sigmoid) is keras.activations.sigmoid
        and op.use_bias
        and not (op.dropout or op.recurrent_dropout or op.stateful)
        and op.go_backwards == backwards
    )
    masked = kwargs.get("mask") is not None or getattr(inputs, "_keras_mask", None) is not None
    return bool(standard and not masked and inputs.shape[1] is not None)


def _both_run(op: Any, inputs: Any, kwargs: dict[str, Any]) -> bool:
    forward = _runs_by_recur(op.forward_layer, inputs, kwargs)
    return forward and _runs_by_recur(op.backward_layer, inputs, kwargs, backwards=True) and not op.return_state


def _recurrent(layer: Any, inputs: Tensor, states: Any, recur: Recurrence) -> Any:
    """What the layer returns: outputs [B, T, U] or the last one [B, U], with the final states if it returns them."""
    start = None if states is None else list(states) if isinstance(states, (list, tuple)) else [states]
    sequence, after = recur(layer, inputs, start)
    output = sequence if layer.return_sequences else after[0]
    return [output, *after] if layer.return_state else output


def _bidirectional(layer: Any, inputs: Tensor, recur: Recurrence) -> Any:
    from keras import ops

    forward, after = recur(layer.forward_layer, inputs, None)
    backward, before = recur(layer.backward_layer, ops.flip(inputs, axis=1), None)
    both = (forward, ops.flip(backward, axis=1)) if layer.return_sequences else (after[0], before[0])
    merge: dict[str | None, Callable[[Tensor, Tensor], Any]] = {
        "concat": lambda a, b: ops.concatenate([a, b], axis=-1),
        "sum": lambda a, b: a + b,
        "ave": lambda a, b: (a + b) / 2,
        "mul": lambda a, b: a * b,
        None: lambda a, b: (a, b),
    }
    return merge[layer.merge_mode](*both)


class OwnHead:
    """In place of a head: the user's model has made the forecast."""

    def __init__(self, settings: NetworkSettings) -> None:
        self.settings = settings

    def target_span(self) -> tuple[int, int]:
        """The horizon."""
        return self.settings.context_length, self.settings.context_length + self.settings.horizon

    def forecast(self, _encoder: Encoder | OwnEncoder, read: EncoderOutput) -> Tensor:
        """[B, H, K] in the network's units."""
        return read.sequence

    def training(self, encoder: Encoder | OwnEncoder, read: EncoderOutput) -> Tensor:
        """[B, H, K], as `forecast`."""
        return self.forecast(encoder, read)
