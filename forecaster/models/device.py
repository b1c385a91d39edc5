"""The processor that networks are fitted on, and its threads. TensorFlow takes both only before its first operation."""

from __future__ import annotations

import os
from importlib.util import find_spec

from forecaster.errors import UsageError, install_hint


def require_tensorflow() -> None:
    """UsageError where TensorFlow is not installed: such a host can predict, but not train."""
    if find_spec("tensorflow") is None:
        raise UsageError(
            "this needs TensorFlow, which is not installed here.",
            f"{install_hint()[:-1]}, or do it on a host that has it.",
        )


def configure(device: str, threads: int | None) -> str:
    """Set up TensorFlow for `auto`, `cpu` or `gpu`, with as many threads as there are processors, or `threads`.

    Returns the processor's name, for messages. UsageError where the GPU or TensorFlow is missing.
    """
    require_tensorflow()
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise UsageError("--device gpu: TensorFlow sees no GPU.", "`forecaster doctor` says why.")
    try:
        if device == "cpu" and gpus:
            tf.config.set_visible_devices([], "GPU")
        # Each operation has one thread, and several operations run at once: networks that are fitted together, parts of a
        # batch. Most operations here are too small to be split, and with a single thread for all operations networks would
        # wait for each other: two then take 2.2 times as long.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(threads or os.cpu_count() or 1)
    except RuntimeError:
        pass  # a second training in one process keeps the setting of the first
    tf.config.experimental.enable_op_determinism()
    return f"GPU ({gpus[0].name})" if gpus and device != "cpu" else "CPU"
