"""A pretrained network as files: the project's own graphs, and a card that says what it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.export import write_onnx, write_saved_model
from forecaster.models.network import Network
from forecaster.models.seasonal_profile import LONGER
from forecaster.models.theta import THETA, THETA_SHARE
from forecaster.pretraining import series
from forecaster.pretraining.train import average, progress
from forecaster.serving.integrity import hash_files
from forecaster.training.member_networks import load_network

if TYPE_CHECKING:
    from forecaster.models.settings import NetworkSettings
    from forecaster.pretraining.network_shapes import Shape

CARD = "card.json"
BUSINESS_DAYS = 5
LICENCE = "MIT, as the program's"
DATA = "made series only (forecaster.make_series): no row of a real series was read in training"


def write_artifact(shape: Shape, state: Path, out: Path, seed: int, others: Sequence[Path] = ()) -> Network:
    """Store the averaged weights of a pretraining's state as `out`/model.onnx, saved_model/ and card.json.

    `others` are states that the training went through on other series: the stored weights are the mean of all of these, as in
    a model soup (Wortsman et al. 2022).
    """
    network = Network(shape.network(), seed)
    states = (state, *others)
    network.weights = [np.mean(each, axis=0) for each in zip(*map(average, states), strict=True)]
    widen(network, shape.widths)
    done = progress(state)
    card: dict[str, Any] = {
        "season_length": shape.season_length,
        "serves": [shape.season_length],
        "shortest": shape.shortest,
        "network": asdict(network.settings),
        "quantiles": list(network.settings.quantiles),
        "parameters": network.parameters,
        "generator": series.VERSION,
        "seed": seed,
        "windows": done.windows,
        "origins": done.windows * (1 + shape.later),
        "steps": done.steps,
        "seconds": round(done.seconds),
        "loss": round(done.loss, 4),
        "averaged": [progress(one).windows for one in states],
        "widths": shape.widths,
        "scores": {},
        "licence": LICENCE,
        "data": DATA,
    }
    _write(network, card, out)
    return network


def widen(network: Network, factor: float) -> None:
    """Make the quantiles `factor` times as far from the point forecast, in the weights of the last layer."""
    settings = network.settings
    spread = factor * np.eye(settings.outputs)
    spread[0] = 1.0 - factor  # what a quantile gets of the point forecast
    spread[0, 0] = 1.0
    last = settings.horizon * settings.outputs
    network.weights = [
        (array.reshape(-1, settings.outputs) @ spread).reshape(array.shape).astype(array.dtype)
        if array.shape[-1] == last
        else array
        for array in network.weights
    ]


def renew_artifact(folder: Path) -> None:
    """Write the graphs of a stored network again, as this version of the program makes them: weights and scores stay."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    _write(load_network(folder), card, folder)


def _write(network: Network, card: dict[str, Any], out: Path) -> None:
    """Write the graphs and the card, with the simple method in it and the hashes."""
    smoothing = partner(network.settings)
    network = network.portable()
    out.mkdir(parents=True, exist_ok=True)
    write_onnx([network], out / "model.onnx", smoothing)
    shutil.rmtree(out / "saved_model", ignore_errors=True)
    write_saved_model([network], out / "saved_model", smoothing)
    files = {name: digest for name, digest in hash_files(out).items() if name != CARD}
    card = {**card, "floor": asdict(smoothing) if smoothing else None, "files": files}
    (out / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")


def partner(settings: NetworkSettings) -> Smoothing | None:
    """The Theta method in the graph, with its share; None where a longer season is taken out of what the graph reads.

    On business days it lowers the error without their year, too.
    """
    m = settings.season_length
    if m in LONGER and m != BUSINESS_DAYS:
        return None
    length = settings.context_length // m * m
    return Smoothing(m, length, settings.horizon, log=False, weight=THETA_SHARE, method=THETA)
