"""Stored graphs that answer. onnxruntime by default, so that a forecast costs no TensorFlow; TensorFlow for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from forecaster.errors import ArtifactError

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

BATCH = 2048  # windows a call


class Runtime(Protocol):
    """A loaded graph."""

    def run(self, context: FloatArray) -> FloatArray:
        """Context [B, L] float64, NaN = missing -> forecast [B, H, K] in the caller's units."""


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

    def run(self, context: FloatArray) -> FloatArray:
        (forecast,) = self._session.run(["forecast"], {"context": np.ascontiguousarray(context, np.float64)})
        return np.asarray(forecast)


class TensorflowRuntime:
    """saved_model/ by TensorFlow, on a GPU where there is one."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        import tensorflow as tf

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        try:
            self._loaded = tf.saved_model.load(str(path))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: not a SavedModel that TensorFlow can load.", "Train again.") from error
        self._serve = self._loaded.signatures["serving_default"]

    def run(self, context: FloatArray) -> FloatArray:
        import tensorflow as tf

        answer = self._serve(context=tf.constant(context, tf.float64))
        return np.concatenate([answer["prediction"].numpy()[:, :, None], answer["quantiles"].numpy()], axis=2)


# Runtime -> the part of an artifact that it loads, and how.
RUNTIMES: dict[str, tuple[str, Callable[[Path, int], Runtime]]] = {
    "onnx": ("model.onnx", OnnxRuntime),
    "tensorflow": ("saved_model", TensorflowRuntime),
}


def forecast(runtime: Runtime, context: FloatArray, horizon: int) -> FloatArray:
    """[B, L] -> [B, horizon, K] for any horizon: a longer one feeds point forecasts back as the newest context.

    A context row with nothing observed gives NaN: there is nothing to forecast from.
    """
    parts = [_forecast(runtime, context[i : i + BATCH], horizon) for i in range(0, len(context), BATCH)]
    return np.concatenate(parts) if parts else np.empty((0, horizon, 1))


def _forecast(runtime: Runtime, context: FloatArray, horizon: int) -> FloatArray:
    empty = np.isnan(context).all(axis=1)
    length = context.shape[1]
    answers = [runtime.run(context)]
    while sum(answer.shape[1] for answer in answers) < horizon:
        context = np.concatenate([context, answers[-1][:, :, 0]], axis=1)[:, -length:]
        answers.append(runtime.run(context))
    result: FloatArray = np.concatenate(answers, axis=1)[:, :horizon]
    result[empty] = np.nan
    return result
