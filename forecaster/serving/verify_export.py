"""Checks that stored graphs are portable and forecast as the trained network does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.errors import ForecasterError
from forecaster.models.export import joint_forecast

if TYPE_CHECKING:
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.network import Network
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray

TOLERANCE = 1e-4  # relative to a window's range, between the trained network, SavedModel and ONNX
ROUNDED = 16  # units in the last place


def verify_graphs(
    folder: Path,
    members: Sequence[Network],
    inputs: Mapping[str, FloatArray],
    smoothing: Smoothing | None = None,
) -> None:
    """ForecasterError unless both graphs in `folder` are portable and agree with the trained networks on these inputs."""
    from forecaster.serving.runtime import OnnxRuntime, TensorflowRuntime

    expected = np.asarray(joint_forecast(members, inputs, smoothing=smoothing))
    refuse_unportable(folder / "saved_model")
    _agree("SavedModel", TensorflowRuntime(folder / "saved_model"), inputs, expected)
    _agree("ONNX", OnnxRuntime(folder / "model.onnx"), inputs, expected)
    _without_gpu(folder / "saved_model")


def verify_onnx(
    path: Path, members: Sequence[Network], inputs: Mapping[str, FloatArray], smoothing: Smoothing | None = None
) -> None:
    """ForecasterError unless this ONNX graph agrees with the trained networks on these inputs."""
    from forecaster.serving.runtime import OnnxRuntime

    expected = np.asarray(joint_forecast(members, inputs, smoothing=smoothing))
    _agree("ONNX", OnnxRuntime(path), inputs, expected)


def _agree(what: str, runtime: Runtime, inputs: Mapping[str, FloatArray], expected: FloatArray) -> None:
    """Compare a graph's forecasts with `expected` [B, H, 1 + Q], relative to the range of each window and its forecast."""
    context, extra = inputs["context"], {name: values for name, values in inputs.items() if name != "context"}
    both = np.concatenate([context, expected.reshape(len(expected), -1)], axis=1)
    low, high = np.nanmin(both, axis=1), np.nanmax(both, axis=1)
    level = np.maximum(np.abs(low), np.abs(high))
    # No finer than float64 at their level.
    size = np.maximum(np.where(high > low, high - low, level), ROUNDED * np.spacing(level) / TOLERANCE)
    found = runtime.run(context, extra)
    worst = float((np.abs(found - expected) / np.where(size > 0, size, 1.0)[:, None, None]).max())
    if not worst <= TOLERANCE:
        raise ForecasterError(f"the {what} graph differs from the trained network by {worst:.1e} (relative).")


def refuse_unportable(folder: Path) -> None:
    """ForecasterError for an operation that needs a GPU, a Python callback, or a path of this machine in the graph."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    places = [*_own_places(), folder.parent]
    for meta in saved.meta_graphs:
        functions = [node for function in meta.graph_def.library.function for node in function.node_def]
        for node in [*meta.graph_def.node, *functions]:
            if "cudnn" in node.op.lower() or "PyFunc" in node.op:
                raise ForecasterError(
                    f"the SavedModel contains the operation {node.op}, which only runs where it was trained."
                )
            for text in _texts(node.attr.values()):
                _refuse_place(text, places)
        for asset in meta.asset_file_def:
            _refuse_place(asset.filename.encode(), places)


def _own_places() -> list[Path]:
    """The working directory and the user's, as far as there are any: a service has no home, and a folder may be deleted."""
    found = []
    for place in (Path.cwd, Path.home):
        with suppress(OSError, RuntimeError):
            found.append(place())
    return found


def _texts(values: Iterable[Any]) -> Iterator[bytes]:
    """The texts among the attributes of a graph's operation. Names of operations are no paths, though they have slashes."""
    for value in values:
        yield from (value.s, *value.list.s, *value.tensor.string_val)


def _refuse_place(text: bytes, places: Sequence[Path]) -> None:
    """ForecasterError where a text names one of these folders, or something in it."""
    for place in places:
        if len(place.parts) > 1 and re.search(rb"(?<![\w./-])" + re.escape(os.fsencode(place)) + rb"(?![\w.-])", text):
            raise ForecasterError(f"the SavedModel contains the path {place} of this machine.")


def _without_gpu(folder: Path) -> None:
    """Where this process sees a GPU, load the SavedModel in a process that does not."""
    import tensorflow as tf

    if not tf.config.get_visible_devices("GPU"):
        return
    code = "import sys, tensorflow as tf; tf.saved_model.load(sys.argv[1])"
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", code, str(folder)], env=hidden, capture_output=True, text=True)
    if done.returncode:
        raise ForecasterError(f"the SavedModel does not load without a GPU: {done.stderr.strip().splitlines()[-1]}")
