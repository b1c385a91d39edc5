"""A pretrained network as files: the project's own graphs, and a card that says what it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.export import write_onnx, write_saved_model
from forecaster.models.network import Network
from forecaster.pretraining import series
from forecaster.pretraining.train import average, progress
from forecaster.serving.integrity import hash_files

if TYPE_CHECKING:
    from forecaster.pretraining.shapes import Shape

CARD = "card.json"
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
    network = network.portable()
    out.mkdir(parents=True, exist_ok=True)
    write_onnx([network], out / "model.onnx")
    write_saved_model([network], out / "saved_model")
    done = progress(state)
    card = {
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
        "scores": {},
        "licence": LICENCE,
        "data": DATA,
        "files": {name: digest for name, digest in hash_files(out).items() if name != CARD},
    }
    (out / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return network
