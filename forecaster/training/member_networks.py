"""Networks of the members before they are fitted: with random weights, with those of a pretrained network, or trees.

The pretrained network's outputs are cut to the plan's horizon and quantile levels, which changes no forecast: a level between
two that it was trained at is interpolated in the last layer's weights.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from forecaster.models import trees
from forecaster.serving.manifest import network_settings
from forecaster.serving.pretrained import find_card

if TYPE_CHECKING:
    from pathlib import Path

    from forecaster.models.network import Network
    from forecaster.models.settings import NetworkSettings
    from forecaster.training.plan import Plan
    from forecaster.typing import FloatArray


def pretrained_settings(plan: Plan) -> NetworkSettings | None:
    """The pretrained network for the plan's season as a member; None where none can be one.

    It reads no covariates, forecasts medians and quantiles, and no more steps than it was trained for.
    """
    first = plan.members[0]
    card = find_card(first.season_length)
    if card is None or len(plan.members) < 2 or plan.fit.loss != "mae":
        return None
    own, trained = card.network, card.network.quantiles
    if first.covariates or first.distribution or own.head != "direct" or plan.horizon > own.horizon:
        return None
    if any(not trained[0] <= level <= trained[-1] for level in plan.quantiles):
        return None
    return replace(
        own,
        horizon=plan.horizon,
        quantiles=plan.quantiles,
        combine=first.combine,
        point_level=first.point_level,
        pretrained=card.season_length,
    )


def tree_settings(plan: Plan, differenced: int, context_length: int) -> NetworkSettings:
    """The member of trees, which reads the context alone."""
    first = plan.members[0]
    return replace(
        first,
        cell=trees.TREES,
        units=trees.COUNT,
        layers=trees.DEPTH,
        bidirectional=False,
        season_length=differenced,
        context_length=context_length,
        segment=1,
        head="direct",
        transform="none",
        known=0,
        lags=0,
        linear=False,
        level=False,
        recent=0,
    )


def new_network(settings: NetworkSettings, seed: int) -> Network:
    """A new member: with random weights, with those of the pretrained network that the settings name, or of trees."""
    from forecaster.models.network import Network

    if settings.cell == trees.TREES:
        return trees.TreeMember(settings)
    network = Network(settings, seed)
    if settings.pretrained:
        whole = _pretrained(settings.pretrained)
        network.weights = cut_weights(whole.weights, whole.settings, settings)
    return network


@lru_cache(maxsize=2)
def _pretrained(season_length: int) -> Network:
    card = find_card(season_length)
    if card is None:
        raise ValueError(f"no pretrained network for a season of {season_length}")
    return load_network(card.folder)


def load_network(folder: Path) -> Network:
    """The network of an artifact's card, with the weights of its SavedModel. Its files are not checked here."""
    import tensorflow as tf

    from forecaster.models.network import Network

    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    network = Network(network_settings(card["network"]), 0)
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    # Layers also keep the states of their random numbers, which are whole numbers.
    network.weights = [variable.numpy() for variable in loaded.kept[0] if variable.dtype.is_floating]
    return network


def cut_weights(weights: Sequence[FloatArray], whole: NetworkSettings, part: NetworkSettings) -> list[FloatArray]:
    """The weights of a network with the first steps of `whole`'s horizon, and the quantile levels of `part`."""
    outputs = whole.horizon * whole.outputs
    levels = level_weights(whole.quantiles, part.quantiles)
    found = []
    for array in weights:
        if array.shape[-1] == outputs:
            steps = array.reshape(*array.shape[:-1], whole.horizon, whole.outputs)[..., : part.horizon, :] @ levels
            found.append(steps.reshape(*array.shape[:-1], -1).astype(array.dtype))
        elif array.shape[-1] == whole.horizon:
            found.append(array[..., : part.horizon])
        else:
            found.append(array)
    return found


def level_weights(trained: Sequence[float], levels: Sequence[float]) -> FloatArray:
    """[1 + Q, 1 + len(levels)] by which outputs at the `trained` levels become outputs at these; the point stays."""
    found = np.zeros((1 + len(trained), 1 + len(levels)))
    found[0, 0] = 1.0
    for column, level in enumerate(levels, start=1):
        after = int(np.searchsorted(trained, level))
        if trained[after] == level:
            found[1 + after, column] = 1.0
        else:
            share = (level - trained[after - 1]) / (trained[after] - trained[after - 1])
            found[after, column], found[1 + after, column] = 1.0 - share, share
    return found
