"""Stored graphs that answer. onnxruntime by default, so that a forecast costs no TensorFlow; TensorFlow for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from forecaster.errors import ArtifactError
from forecaster.models.device import require_tensorflow

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

BATCH = 2048  # windows a call


class Runtime(Protocol):
    """A loaded graph."""

    def run(self, context: FloatArray, known: FloatArray | None) -> FloatArray:
        """Context [B, L] float64, NaN = missing; known [B, H, F] where the graph uses it -> [B, H, K], caller's units."""


class OnnxRuntime:
    """model.onnx by onnxruntime on the CPU. `threads` 0 = as many as there are cores."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        import onnxruntime

        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises classes of its own, one a cause
            raise ArtifactError(f"{path}: not a graph that onnxruntime can load.", "Train again.") from error

    def run(self, context: FloatArray, known: FloatArray | None) -> FloatArray:
        inputs = {"context": np.ascontiguousarray(context, np.float64)}
        if known is not None:
            inputs["known"] = np.ascontiguousarray(known, np.float64)
        (forecast,) = self._session.run(["forecast"], inputs)
        return np.asarray(forecast)


class TensorflowRuntime:
    """saved_model/ by TensorFlow, on a GPU where there is one."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        require_tensorflow()
        import tensorflow as tf

        if threads:
            with suppress(RuntimeError):  # TensorFlow has run before in this process: that setting stays
                tf.config.threading.set_intra_op_parallelism_threads(threads)
        try:
            self._loaded = tf.saved_model.load(str(path))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: not a SavedModel that TensorFlow can load.", "Train again.") from error
        self._serve = self._loaded.signatures["serving_default"]

    def run(self, context: FloatArray, known: FloatArray | None) -> FloatArray:
        import tensorflow as tf

        inputs = {} if known is None else {"known": tf.constant(known, tf.float64)}
        answer = self._serve(context=tf.constant(context, tf.float64), **inputs)
        return np.concatenate([answer["prediction"].numpy()[:, :, None], answer["quantiles"].numpy()], axis=2)


# Runtime -> the part of an artifact that it loads, and how.
RUNTIMES: dict[str, tuple[str, Callable[[Path, int], Runtime]]] = {
    "onnx": ("model.onnx", OnnxRuntime),
    "tensorflow": ("saved_model", TensorflowRuntime),
}


def forecast(runtime: Runtime, context: FloatArray, horizon: int, known: FloatArray | None = None) -> FloatArray:
    """[B, L] -> [B, horizon, K] for any horizon: a longer one feeds point forecasts back as the newest context.

    `known` [B, blocks, H, F], where the graph uses it, has a block for each run of the graph. A context row with nothing
    observed gives NaN: there is nothing to forecast from.
    """
    starts = range(0, len(context), BATCH)
    parts = [
        _forecast(runtime, context[i : i + BATCH], horizon, None if known is None else known[i : i + BATCH])
        for i in starts
    ]
    return np.concatenate(parts) if parts else np.empty((0, horizon, 1))


def _forecast(runtime: Runtime, context: FloatArray, horizon: int, known: FloatArray | None) -> FloatArray:
    empty = np.isnan(context).all(axis=1)
    length, done = context.shape[1], 0
    answers: list[FloatArray] = []
    while done < horizon:
        if answers:
            context = np.concatenate([context, answers[-1][:, :, 0]], axis=1)[:, -length:]
        answers.append(runtime.run(context, None if known is None else known[:, len(answers)]))
        done += answers[-1].shape[1]
    result: FloatArray = np.concatenate(answers, axis=1)[:, :horizon]
    result[empty] = np.nan
    return result
