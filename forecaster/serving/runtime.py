"""Load a stored graph and run it on arrays: contexts in, forecasts out. `raw_forecasts` runs it on windows of a panel.

onnxruntime is the default, as it starts without TensorFlow. Both can use a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from forecaster.data.target_limits import Limits
from forecaster.engines.local import usable_processors
from forecaster.errors import ArtifactError, UsageError
from forecaster.models.device import gpu_number, require_tensorflow, show_gpus

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

BATCH = 2048  # windows whose inputs are in memory at once, at most
BATCH_VALUES = 2_000_000  # and of their contexts: there may be as many of each covariate
PART = 128  # windows per run of a graph by onnxruntime: their states stay in a core's cache
CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"  # onnxruntime's names


class Runtime(Protocol):
    """A loaded graph."""

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """Context [B, L] float64, NaN = missing, and the graph's other inputs by name -> [B, H, 1 + Q].

        The last axis is the point forecast, then the Q quantiles, all in the caller's units.
        """


class OnnxRuntime:
    """model.onnx by onnxruntime. `threads` 0 = one for each processor that this process may use.

    `device`: `cpu`; `gpu` or `gpu:N` = by CUDA; `auto` = by CUDA where it is there. ArtifactError where the graph does not load,
    UsageError where CUDA is asked for and does not start.

    Each thread runs the whole graph on a part of the windows. onnxruntime's own threads share every operation, which are
    small here, and spin between them: several times the seconds of a processor where others use it, too.
    """

    def __init__(self, path: Path, threads: int = 0, device: str = "cpu") -> None:
        import onnxruntime

        by_cuda = _by_cuda(device, onnxruntime.get_available_providers())
        onnxruntime.set_default_logger_severity(4)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._threads = threads or usable_processors()
        options.log_severity_level = 4
        self._path = path
        self._session: Any = self._on_cuda(options, device) if by_cuda else None
        self._size = PART
        if self._session is not None:
            self._threads, self._size = 1, BATCH  # a GPU runs many windows at once
            return
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[CPU])
        except Exception as error:  # onnxruntime has an exception class for each cause, without a common one
            _refuse_shortage(error)
            raise ArtifactError(f"{path}: not a graph that onnxruntime can load.", "Train again.") from error

    def _on_cuda(self, options: Any, device: str) -> Any:
        """The session by CUDA; None where it does not start and is not asked for. UsageError where it is."""
        import onnxruntime

        # Without TF32, which rounds to ten bits: forecasts are those of a processor to float32's digits.
        cuda = (CUDA, {"device_id": gpu_number(device) or 0, "use_tf32": 0})
        why = "its libraries or the driver are not found"
        try:
            session = onnxruntime.InferenceSession(str(self._path), options, providers=[cuda, CPU])
            if CUDA in session.get_providers():
                return session
        except Exception as error:  # a number that no GPU has, too
            why = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        if device == "auto":
            return None
        raise UsageError(
            f"--device {device}: CUDA does not start: {why}.", "`forecaster doctor` lists devices; or leave it out."
        )

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`."""
        named = {"context": context, **(extra or {})}
        inputs = {name: np.ascontiguousarray(values, np.float64) for name, values in named.items()}
        try:
            forecast = self._forecast(inputs, len(context))
        except MemoryError:
            raise
        except Exception as error:
            raise _failed(self._path, error) from error
        return _checked(forecast, len(context), self._path)

    def _forecast(self, inputs: Mapping[str, FloatArray], windows: int) -> FloatArray:
        """The graph's answer, in parts that do not depend on the number of threads, so that the values do not either."""
        size = self._size
        parts = [{name: inputs[name][i : i + size] for name in inputs} for i in range(0, windows, size)]
        if len(parts) <= 1:
            return self._answer(inputs)
        if self._threads == 1:
            return np.concatenate([self._answer(part) for part in parts])
        with ThreadPoolExecutor(min(self._threads, len(parts))) as pool:
            return np.concatenate([*pool.map(self._answer, parts)])

    def _answer(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        (answer,) = self._session.run(["forecast"], dict(inputs))
        return np.asarray(answer)


def _by_cuda(device: str, available: Sequence[str]) -> bool:
    """Whether onnxruntime is to run a graph by CUDA. UsageError where that is asked for and it cannot."""
    if device == "cpu":
        return False
    if CUDA not in available and device != "auto":
        raise UsageError(
            f"--device {device}: this onnxruntime cannot use a GPU.",
            "pip install onnxruntime-gpu in place of onnxruntime, or leave out --device.",
        )
    return CUDA in available


class TensorflowRuntime:
    """saved_model/ by TensorFlow, on a GPU where there is one and `device` is not `cpu`. ArtifactError where it does not load."""

    def __init__(self, path: Path, threads: int = 0, device: str = "auto") -> None:
        require_tensorflow()
        import tensorflow as tf

        show_gpus(device)
        if threads:
            with suppress(RuntimeError):  # too late once TensorFlow has run in this process
                tf.config.threading.set_intra_op_parallelism_threads(threads)
        self._path = path
        try:
            self._loaded = tf.saved_model.load(str(path))
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path}: not a SavedModel that TensorFlow can load.", "Train again.") from error
        self._serve = self._loaded.signatures["serving_default"]

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`."""
        import tensorflow as tf

        inputs = {name: tf.constant(values, tf.float64) for name, values in (extra or {}).items()}
        try:
            answer = self._serve(context=tf.constant(context, tf.float64), **inputs)
            found = np.concatenate([answer["prediction"].numpy()[:, :, None], answer["quantiles"].numpy()], axis=2)
        except MemoryError:
            raise
        except Exception as error:
            raise _failed(self._path, error) from error
        return _checked(found, len(context), self._path)


def _refuse_shortage(error: Exception) -> None:
    """MemoryError where this is what a library's error says: the graph is as it should be."""
    if any(text in str(error) for text in ("bad_alloc", "ailed to allocate memory")):
        raise MemoryError from error


def _failed(path: Path, error: Exception) -> ArtifactError:
    """A graph that loads, but does not run. Each library has an exception class for each cause, without a common one."""
    _refuse_shortage(error)
    return ArtifactError(
        f"{path}: the graph fails when it runs ({type(error).__name__}).", "Train again, or roll back."
    )


def _checked(answer: FloatArray, windows: int, path: Path) -> FloatArray:
    """The answer if it is [windows, H, 1 + Q] numbers; else ArtifactError."""
    if answer.ndim == 3 and len(answer) == windows and answer.size and answer.dtype.kind in "fiu":
        return answer.astype(np.float64, copy=False)
    found = "×".join(map(str, answer.shape)) or "a single value"
    raise ArtifactError(
        f"{path}: the graph's forecasts of {windows} windows are {found} of {answer.dtype}, not numbers by window, step "
        "and quantile.",
        "Train again, or roll back.",
    )


@dataclass(frozen=True)
class StoredRuntime:
    """The graph of a stored version, whose forecasts have the shape that its manifest says, and are clipped to its limits."""

    graph: Runtime
    horizon: int
    columns: int  # 1 + Q
    limits: Limits

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`, within the limits. ArtifactError where the graph gives other steps or quantiles."""
        answer = self.graph.run(context, extra)
        steps, columns = answer.shape[1:]
        if (steps, columns) != (self.horizon, self.columns):
            raise ArtifactError(
                f"the stored graph gives {steps} steps of {columns} values, not {self.horizon} of {self.columns}.",
                "Train again, or roll back.",
            )
        return self.limits.hold(answer) if self.limits else answer


# Name of a runtime -> the part of a stored version that it loads, and its class.
RUNTIMES: dict[str, tuple[str, Callable[[Path, int, str], Runtime]]] = {
    "onnx": ("model.onnx", OnnxRuntime),
    "tensorflow": ("saved_model", TensorflowRuntime),
}

# A slice of the windows -> their extra inputs by name, [b, blocks, ...] each: see data/extra_inputs.py.
Gather: TypeAlias = "Callable[[slice], Mapping[str, FloatArray]]"


def no_extra_inputs(_part: slice) -> dict[str, FloatArray]:
    """No extra inputs, for graphs that read the context alone."""
    return {}


def forecast(runtime: Runtime, context: FloatArray, horizon: int, extra: Gather = no_extra_inputs) -> FloatArray:
    """Contexts [B, L] -> forecasts [B, horizon, 1 + Q], in batches. NaN for a context without an observed value.

    Where `horizon` is longer than the graph's own, the graph runs again with its point forecasts appended to the
    context. The `extra` inputs have one block for each run.
    """
    found = [
        forecast_batch(runtime, context[part], horizon, extra(part)) for part in batches(len(context), context.shape[1])
    ]
    return np.concatenate(found) if found else np.empty((0, horizon, 1))


def batches(windows: int, context_length: int) -> Iterator[slice]:
    """The slices of so many windows whose inputs may be in memory at once."""
    size = max(1, min(BATCH, BATCH_VALUES // context_length))
    return (slice(first, first + size) for first in range(0, windows, size))


def forecast_batch(runtime: Runtime, context: FloatArray, horizon: int, extra: Mapping[str, FloatArray]) -> FloatArray:
    """As `forecast`, of contexts and extra inputs that are one batch."""
    empty = np.isnan(context).all(axis=1)
    length, done = context.shape[1], 0
    answers: list[FloatArray] = []
    while done < horizon:
        if answers:
            context = np.concatenate([context, answers[-1][:, :, 0]], axis=1)[:, -length:]
        block = {name: values[:, len(answers)] for name, values in extra.items()}
        answers.append(runtime.run(context, block))
        done += answers[-1].shape[1]
    result: FloatArray = np.concatenate(answers, axis=1)[:, :horizon]
    result[empty] = np.nan
    return result
