"""Checks a network of one's own before anything is fitted: its forecasts, and that its graphs can be stored."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import ForecasterError, UsageError
from forecaster.models.own_network import one_line

if TYPE_CHECKING:
    from forecaster.models.network import Network
    from forecaster.models.settings import NetworkSettings
    from forecaster.typing import FloatArray

ROWS = 6


def check_own_network(settings: NetworkSettings) -> None:
    """UsageError, in one line, where the network of `settings` breaks its contract.

    Its output has another shape, is not finite or depends on the other windows of a batch; or its graph cannot be stored as
    a SavedModel and as ONNX, needs a GPU, a Python callback or a file, or forecasts otherwise once it is stored.
    """
    from forecaster.models.network import Network

    network = Network(settings, 0)
    inputs = _samples(settings)
    forecast = np.asarray(network.forecast(list(inputs.values())))
    bad = ~np.isfinite(forecast).all(axis=(1, 2))
    if bad.any():
        what = (
            ("a context without an observed value", "a constant context")[int(np.argmax(bad))] if bad[:2].any() else ""
        )
        raise UsageError(
            f"--network {settings.network}: its forecast of {what or 'random numbers'} is NaN or infinite."
        )
    if not np.allclose(network.forecast(list(inputs.values())), forecast, rtol=1e-3, atol=1e-3):
        raise UsageError(
            f"--network {settings.network}: its forecast of the same windows is another each time.",
            "Draw random numbers in training only, as Dropout does.",
        )
    alone = np.concatenate([network.forecast([values[i : i + 1] for values in inputs.values()]) for i in range(ROWS)])
    if not np.allclose(alone, forecast, rtol=1e-3, atol=1e-3):
        raise UsageError(
            f"--network {settings.network}: a window's forecast depends on the other windows of its batch.",
            "Normalise over the steps or features of a window, not over the batch.",
        )
    _check_export(network, inputs)


def _samples(settings: NetworkSettings) -> dict[str, FloatArray]:
    """Inputs of the graph [6, …]: a context without a value, a constant one, and random ones."""
    rng = np.random.default_rng(0)
    inputs: dict[str, FloatArray] = {
        name: rng.uniform(0.0, 1.0, (ROWS, *shape)) for name, shape in settings.shapes.items()
    }
    inputs["context"] = settings.origin + rng.gamma(4.0, 25.0, (ROWS, settings.context_length))
    inputs["context"][0], inputs["context"][1] = np.nan, settings.origin + 7.0
    return inputs


def _check_export(network: Network, inputs: dict[str, FloatArray]) -> None:
    """Store the graphs in a temporary folder, and compare them with the network."""
    from forecaster.models.export import write_onnx, write_saved_model
    from forecaster.serving.verify_export import verify_graphs

    name, portable = network.settings.network, [network.portable()]
    with tempfile.TemporaryDirectory() as place:
        folder, form = Path(place), "SavedModel"
        try:
            write_saved_model(portable, folder / "saved_model")
            form = "ONNX"
            write_onnx(portable, folder / "model.onnx")
            verify_graphs(folder, [network], inputs)
        except ForecasterError as error:
            raise UsageError(f"--network {name}: {error.message.rstrip('.')}.") from error
        except Exception as error:
            raise UsageError(
                f"--network {name}: it cannot be stored as {form}: {one_line(error)}.", "Build it of other operations."
            ) from error
