"""One fit of 200 steps, alone, on two devices of one process, or as a worker of TF_CONFIG; prints the losses as JSON."""

from __future__ import annotations

import json
import os
import sys

from forecaster.engines.tf_config import cluster_of
from forecaster.engines.worker_group import Alone, join
from forecaster.models.device import configure
from forecaster.models.network import Network
from forecaster.training.compiled_steps import Trainers
from forecaster.training.fit import FitControl, fit
from forecaster.training.split import Needs, split
from tests.support.factories import Recorder, fit_settings, network_settings, panel_of, waves


def losses(device_count: int, parts: int) -> dict[str, list[float]]:
    """Training and validation loss of each of ten epochs, and some weights at the end.

    Dropout draws masks, gradients are larger than what they are clipped to, some windows lack actuals, and a batch is odd.
    """
    import tensorflow as tf

    configure("cpu", parts)
    if device_count > 1:
        cpus = [tf.config.LogicalDeviceConfiguration()] * device_count
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], cpus)
    cluster = cluster_of(os.environ)
    group = join(cluster) if cluster else Alone()
    network = Network(network_settings(cell="gru", dropout=0.2, quantiles=(0.1, 0.9)), seed=1)
    task = split(panel_of(*waves(3, 40)), Needs(8, 3, calendar=()), 1).selection
    settings = fit_settings(epochs=10, steps_per_epoch=20, batch_size=13, clip_norm=0.05, learning_rate=3e-3)
    control = FitControl(Recorder(), "test", channel=group.channel())
    devices = [one.name for one in tf.config.list_logical_devices("CPU")] if device_count > 1 else None
    done = fit(network, task, settings, control, parts=parts, trainers=Trainers(devices))
    group.end()
    weights = [float(one.sum()) for one in network.weights]
    return {
        "loss": [row.loss for row in done.history],
        "validation": [row.validation_loss or 0.0 for row in done.history],
        "weights": weights,
    }


if __name__ == "__main__":
    print(json.dumps(losses(int(sys.argv[1]), int(sys.argv[2]))))
