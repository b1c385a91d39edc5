"""The processor that networks are fitted on, and its threads. TensorFlow takes both only before its first operation."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib.util import find_spec

from forecaster.errors import UsageError, install_hint


def require_tensorflow() -> None:
    """UsageError where TensorFlow is not installed: such a host can predict, but not train."""
    if find_spec("tensorflow") is None:
        raise UsageError(
            "this needs TensorFlow, which is not installed here.",
            f"{install_hint()[:-1]}, or do it on a host that has it.",
        )


def gpu_number(device: str) -> int | None:
    """The N of `gpu:N`; None for another device."""
    return int(device[4:]) if device.startswith("gpu:") else None


def show_gpus(device: str) -> list[str]:
    """Let TensorFlow see the GPUs of `auto`, `cpu`, `gpu` or `gpu:N`, where it has not begun; return their names.

    UsageError where one is asked for and is not there.
    """
    import tensorflow as tf

    gpus, number = tf.config.list_physical_devices("GPU"), gpu_number(device)
    if device.startswith("gpu") and not gpus:
        raise UsageError(f"--device {device}: TensorFlow sees no GPU.", "`forecaster doctor` says why.")
    if number is not None and number >= len(gpus):
        raise UsageError(f"--device {device}: there are {len(gpus)} GPUs here, counted from 0.", "Name one of them.")
    chosen = [] if device == "cpu" else gpus if number is None else gpus[number : number + 1]
    if len(chosen) != len(gpus):
        with suppress(RuntimeError):  # a second call in one process keeps the setting of the first
            tf.config.set_visible_devices(chosen, "GPU")
    return [one.name for one in chosen]


def configure(device: str, threads: int | None) -> str:
    """Set up TensorFlow for `auto`, `cpu`, `gpu` or `gpu:N`, with as many threads as there are processors, or `threads`.

    Returns the processor's name, for messages. UsageError where the GPU or TensorFlow is missing.
    """
    require_tensorflow()
    import tensorflow as tf

    gpus = show_gpus(device)
    try:
        # Each operation has one thread, and several operations run at once: networks that are fitted together, parts of a
        # batch. Most operations here are too small to be split, and with a single thread for all operations networks would
        # wait for each other: two then take 2.2 times as long.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(threads or os.cpu_count() or 1)
    except RuntimeError:
        pass  # a second training in one process keeps the setting of the first
    tf.config.experimental.enable_op_determinism()
    return f"GPU ({gpus[0]})" if gpus else "CPU"
