"""Networks of the members before they are fitted: with random weights, with those of a pretrained network, or trees.

The pretrained network's outputs are cut to the plan's horizon and quantile levels, which changes no forecast: a level between
two that it was trained at is interpolated in the last layer's weights. Steps beyond the trained ones go on by its season there,
until a fit changes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.models import trees
from forecaster.models.seasonal_profile import shown_in
from forecaster.serving.manifest import network_settings
from forecaster.serving.pretrained import find_card, find_network

if TYPE_CHECKING:
    from pathlib import Path

    from forecaster.models.network import Network
    from forecaster.models.settings import NetworkSettings
    from forecaster.training.plan import Plan
    from forecaster.typing import FloatArray

MAX_LONGER = 4  # times the steps that a pretrained network was trained for
TREND_KEPT = 0.3  # of the change from season to season, beyond these steps


def pretrained_settings(plan: Plan, rows: int = 0) -> NetworkSettings | None:
    """The pretrained network for the plan's season as a member, for histories of so many rows; None where none can be one.

    It reads the context alone, and forecasts medians and quantiles.
    """
    first = plan.members[0]
    card, profile = find_network(first.season_length)
    if card is None or len(plan.members) < 2 or plan.fit.loss != "mae":
        return None
    own, trained = card.network, card.network.quantiles
    if first.distribution or own.head != "direct" or plan.horizon > MAX_LONGER * own.horizon:
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
        profile=shown_in(profile, rows),
        fills_gaps=plan.has_gaps,
        special_days=plan.takes_days_out,
    )


def is_lengthened(pretrained: NetworkSettings) -> bool:
    """Whether a pretrained member forecasts more steps than it was trained for."""
    card, _ = find_network(pretrained.pretrained)
    return card is not None and pretrained.horizon > card.network.horizon


def with_inputs(pretrained: NetworkSettings, plan: Plan) -> NetworkSettings:
    """A pretrained network that also reads the plan's covariates, holidays and events and, beside them, its calendar."""
    first = plan.members[0]
    if not plan.informed:
        return pretrained
    return replace(pretrained, covariates=first.covariates, known=first.known, lags=first.lags)


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
        take_over(network, _pretrained(settings.pretrained))
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


def take_over(network: Network, whole: Network) -> None:
    """Give `network` the weights of `whole`, of which it may have fewer steps and levels, and more inputs.

    What reads these starts at zero: at first they change no forecast.
    """
    before = dict(_layers(whole))
    for path, layer in _layers(network):
        values = cut_weights(before[path].get_weights(), whole.settings, network.settings)
        if path == "encoder/embed_extra":
            values[0] = _behind_covariates(values[0], layer.kernel.shape[0])
        layer.set_weights(values)
    if network.known:
        network.known.out.set_weights([np.zeros_like(values) for values in network.known.out.get_weights()])


def _layers(network: Network) -> Iterator[tuple[str, Any]]:
    """The layers of the parts that every network has, each with its place."""
    for name in ("encoder", "head", "linear"):
        yield from _layers_in(getattr(network, name), name)


def _layers_in(part: object, path: str) -> Iterator[tuple[str, Any]]:
    import keras

    if isinstance(part, keras.layers.Layer):
        yield path, part
    elif isinstance(part, list):
        for i, one in enumerate(part):
            yield from _layers_in(one, f"{path}/{i}")
    elif type(part).__module__.startswith("forecaster.models"):
        for name, one in vars(part).items():
            yield from _layers_in(one, f"{path}/{name}")


def _behind_covariates(kernel: FloatArray, inputs: int) -> FloatArray:
    """The weights [S, D] of a segment's levels as those of S rows in which the level comes after the covariates' features."""
    segment, units = kernel.shape
    wide = np.zeros((segment, inputs // segment, units), kernel.dtype)
    wide[:, -1] = kernel
    return wide.reshape(inputs, units)


def cut_weights(weights: Sequence[FloatArray], whole: NetworkSettings, part: NetworkSettings) -> list[FloatArray]:
    """The weights of a network with the first steps of `whole`'s horizon, and the quantile levels of `part`."""
    outputs = whole.horizon * whole.outputs
    ahead = step_weights(whole.horizon, part.horizon, whole.season_length)
    levels = level_weights(whole.quantiles, part.quantiles)
    found = []
    for array in weights:
        if array.shape[-1] == outputs:
            steps = ahead @ array.reshape(*array.shape[:-1], whole.horizon, whole.outputs) @ levels
            found.append(steps.reshape(*array.shape[:-1], -1).astype(array.dtype))
        elif array.shape[-1] == whole.horizon:
            found.append((array @ ahead.T).astype(array.dtype))
        else:
            found.append(array)
    return found


def step_weights(trained: int, horizon: int, season_length: int) -> FloatArray:
    """[horizon, trained] by which the outputs of the steps that were trained become those of more steps, or of fewer.

    A later step is the one a season before it and a part of the change to that one from the one before: a damped trend.
    """
    m = season_length if season_length <= trained else 1
    found = np.zeros((max(horizon, trained), trained))
    found[:trained] = np.eye(trained)
    for step in range(trained, horizon):
        found[step] = found[step - m]
        if step >= 2 * m:
            found[step] += TREND_KEPT * (found[step - m] - found[step - 2 * m])
    return found[:horizon]


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
