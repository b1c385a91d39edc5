"""Which processor fits, and with how many threads. TensorFlow takes both only before its first operation."""

from __future__ import annotations

from forecaster.errors import UsageError


def configure(device: str, threads: int | None) -> str:
    """Set up TensorFlow for `auto`, `cpu` or `gpu`; returns what fits, for people. UsageError for a GPU that is not there."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if device == "gpu" and not gpus:
        raise UsageError("--device gpu: TensorFlow sees no GPU.", "`forecaster doctor` says why.")
    try:
        if device == "cpu" and gpus:
            tf.config.set_visible_devices([], "GPU")
        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        pass  # a second training in one process: the first one's setting stays
    tf.config.experimental.enable_op_determinism()
    return f"GPU ({gpus[0].name})" if gpus and device != "cpu" else "CPU"
