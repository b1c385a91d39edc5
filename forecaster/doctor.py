"""What `forecaster doctor` shows: versions, devices and why a GPU is or is not used, threads, the model store."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster import __version__
from forecaster.errors import ForecasterError
from forecaster.models.store import Store

if TYPE_CHECKING:
    from forecaster.settings import StoreSettings

LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "scikit-learn", "onnxruntime", "onnx", "tf2onnx")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Row:
    """One finding."""

    topic: str  # "versions" | "devices" | "threads" | "store"
    name: str
    value: str
    note: str = ""  # what it means, or what to do; may be empty


def doctor(settings: StoreSettings) -> tuple[Row, ...]:
    """All findings. Imports tensorflow, since nothing else knows what it can use."""
    return (*_versions(), *_devices(), *_threads(), *_store(Path(settings.models)))


def to_json(rows: Sequence[Row]) -> dict[str, list[dict[str, str]]]:
    """The findings by topic."""
    found: dict[str, list[dict[str, str]]] = {row.topic: [] for row in rows}
    for row in rows:
        found[row.topic].append({"name": row.name, "value": row.value, "note": row.note})
    return found


def _versions() -> Iterator[Row]:
    from importlib.metadata import PackageNotFoundError, version

    yield Row("versions", "python", platform.python_version())
    yield Row("versions", "forecaster", __version__)
    for library in LIBRARIES:
        try:
            yield Row("versions", library, version(library))
        except PackageNotFoundError:
            yield Row("versions", library, "not installed")


def _devices() -> Iterator[Row]:
    yield Row("devices", "cpu", f"{_processors()} processors", platform.machine())
    try:
        import tensorflow as tf
    except ImportError:
        yield Row("devices", "gpu", "not used", "tensorflow is not installed: training is not possible here")
        return
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        kind = tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
        yield Row("devices", "gpu", "used", str(kind))
    if not gpus:
        yield Row("devices", "gpu", "not used", why_no_gpu(tf.test.is_built_with_cuda(), _has_driver()))


def why_no_gpu(built_with_cuda: bool, has_driver: bool) -> str:
    """Why TensorFlow sees no GPU, and what mends it: the first cause that holds."""
    if not has_driver:
        return "no NVIDIA driver on this machine"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return f"CUDA_VISIBLE_DEVICES='{visible}' hides it: unset that variable"
    if not built_with_cuda:
        return "this TensorFlow is built without CUDA: pip install 'tensorflow[and-cuda]'"
    return "TensorFlow does not find the CUDA libraries: pip install 'tensorflow[and-cuda]', or see doctor --verbose"


def _has_driver() -> bool:
    return NVIDIA_DRIVER.exists() or Path("/dev/nvidiactl").exists()


def _threads() -> Iterator[Row]:
    yield Row("threads", "usable", str(_processors()), "all are used unless --threads says otherwise")
    for name in THREAD_VARIABLES:
        if name in os.environ:
            yield Row("threads", name, os.environ[name], "set in the environment")


def _processors() -> int:
    """Processors that this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


def _store(root: Path) -> Iterator[Row]:
    there = root if root.is_dir() else next(folder for folder in root.resolve().parents if folder.is_dir())
    yield Row("store", "path", str(root.resolve()), "" if root.is_dir() else "made by the first train")
    writable = os.access(there, os.W_OK | os.X_OK)
    yield Row("store", "writable", "yes" if writable else "no", "" if writable else "train cannot store: use --models")
    try:
        store = Store(root)
        for name in store.names():
            yield Row("store", name, f"@{store.current(name)} serves", f"{len(store.versions(name))} versions")
    except ForecasterError as error:
        yield Row("store", "fault", error.message, error.hint)
