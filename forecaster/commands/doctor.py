"""The command `doctor`: versions, devices and why a GPU is not used, threads, the model store."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.engines.local import usable_processors
from forecaster.errors import ForecasterError, counted
from forecaster.models.cells import CELLS
from forecaster.serving.store import Store
from forecaster.version import __version__

if TYPE_CHECKING:
    from forecaster.config import StoreSettings

LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "onnxruntime", "onnx", "tf2onnx")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Finding:
    """One row of the result."""

    topic: str  # "versions" | "devices" | "threads" | "store"
    name: str
    value: str
    note: str = ""  # what it means, or what to do; may be empty


def doctor(settings: StoreSettings) -> tuple[Finding, ...]:
    """All findings. Imports tensorflow, which alone knows the devices that it can use."""
    return (*_versions(), *_devices(), *_threads(), *_store(Path(settings.models)))


def to_json(findings: Sequence[Finding]) -> dict[str, list[dict[str, str]]]:
    """The findings by topic."""
    found: dict[str, list[dict[str, str]]] = {one.topic: [] for one in findings}
    for one in findings:
        found[one.topic].append({"name": one.name, "value": one.value, "note": one.note})
    return found


def _versions() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    yield Finding("versions", "python", platform.python_version())
    yield Finding("versions", "forecaster", __version__)
    for library in LIBRARIES:
        try:
            yield Finding("versions", library, version(library))
        except PackageNotFoundError:
            yield Finding("versions", library, "not installed")


def _devices() -> Iterator[Finding]:
    yield Finding("devices", "cpu", counted(usable_processors(), "processor"), platform.machine())
    try:
        import tensorflow as tf
    except ImportError:
        yield Finding("devices", "gpu", "not used", "tensorflow is not installed: training is not possible here")
        yield Finding("devices", "predict on a gpu", *_predict_on_gpu())
        return
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        kind = tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        yield Finding("devices", "gpu", "used", str(kind))
    if not gpus:
        yield Finding("devices", "gpu", "not used", why_no_gpu(tf.test.is_built_with_cuda(), _has_driver()))
    yield Finding("devices", "predict on a gpu", *_predict_on_gpu())
    yield Finding("devices", "cudnn", *cudnn_cells())
    yield Finding("devices", "mixed precision", *mixed_precision(bool(gpus)))


def _predict_on_gpu() -> tuple[str, str]:
    """Whether onnxruntime is one that can use CUDA, and what to do."""
    try:
        import onnxruntime
    except ImportError:
        return "not possible", "onnxruntime is not installed"
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return "possible", "predict, evaluate and explain use it unless --device cpu is given"
    return "not possible", "onnxruntime has no CUDA: pip install onnxruntime-gpu in its place"


def cudnn_cells() -> tuple[str, str]:
    """The cells that a GPU runs with cuDNN's kernels, and what runs step by step."""
    fast = [name for name, cell in CELLS.items() if cell.runs_on_cudnn()]
    slow = [name for name in CELLS if name not in fast]
    slow += [f"{name} with --no-reset-after" for name in fast if not CELLS[name].runs_on_cudnn(reset_after=False)]
    return ", ".join(fast), f"a GPU runs step by step: {', '.join(slow)}, and every cell with --recurrent-dropout"


def mixed_precision(has_gpu: bool) -> tuple[str, str]:
    """Whether `train --precision mixed` helps here, and why."""
    if has_gpu:
        return "may help", "float16 on a GPU: compare the seconds of two trainings, as it was not measured on one"
    return "does not help", "no GPU: fits in bfloat16 took .9 (rnn) to 1.5 × (lstm) the seconds of float32"


def why_no_gpu(built_with_cuda: bool, has_driver: bool) -> str:
    """Why TensorFlow sees no GPU, and the remedy: the first cause that applies."""
    if not has_driver:
        return "no NVIDIA driver on this machine"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES='{visible}' hides it: unset this variable"
    if not built_with_cuda:
        return "this TensorFlow is built without CUDA: pip install 'tensorflow[and-cuda]'"
    return "TensorFlow does not find the CUDA libraries: pip install 'tensorflow[and-cuda]', or see doctor --verbose"


def _has_driver() -> bool:
    return NVIDIA_DRIVER.exists() or Path("/dev/nvidiactl").exists()


def _threads() -> Iterator[Finding]:
    yield Finding("threads", "usable", str(usable_processors()), "all are used unless --threads is given")
    for name in THREAD_VARIABLES:
        if name in os.environ:
            yield Finding("threads", name, os.environ[name], "set in the environment")


def _store(root: Path) -> Iterator[Finding]:
    there = root if root.is_dir() else next(folder for folder in root.resolve().parents if folder.is_dir())
    yield Finding("store", "path", str(root.resolve()), "" if root.is_dir() else "made by the first train")
    writable = os.access(there, os.W_OK | os.X_OK)
    yield Finding(
        "store", "writable", "yes" if writable else "no", "" if writable else "train cannot store here: give --models"
    )
    try:
        store = Store(root)
        for name in store.names():
            yield _serving(store, name)
    except ForecasterError as error:
        yield Finding("store", "fault", error.message, error.hint)


def _serving(store: Store, name: str) -> Finding:
    try:
        serves = store.current(name)
    except ForecasterError as error:
        return Finding("store", "fault", error.message, error.hint)
    return Finding("store", name, f"@{serves} serves", counted(len(store.versions(name)), "version"))
