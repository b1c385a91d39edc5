"""A network whose weights are those of a pretrained artifact, to be fitted further."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from forecaster.models.network import Network
from forecaster.serving.manifest import network_settings

if TYPE_CHECKING:
    from pathlib import Path


def load_network(folder: Path) -> Network:
    """The network of an artifact's card, with the weights of its SavedModel. Its files are not checked here."""
    import tensorflow as tf

    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    network = Network(network_settings(card["network"]), 0)
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    # Layers also keep the states of their random numbers, which are whole numbers.
    network.weights = [variable.numpy() for variable in loaded.kept[0] if variable.dtype.is_floating]
    return network
