"""Training steps that several devices or workers take together: each computes gradients on its part of the batch.

Keras' optimizers clip what they are given. Here that is the gradient of the whole batch: sums go to all workers first, and each
then takes the same step, so their weights stay equal without being sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.models.distributions import DISTRIBUTIONS

if TYPE_CHECKING:
    from forecaster.engines.worker_group import Channel
    from forecaster.models.network import Network
    from forecaster.training.gather import RowGatherer, SeriesBounds
    from forecaster.typing import Tensor


def own_edges(count: Tensor, channel: Channel, parts: int) -> list[Tensor]:
    """[parts + 1] where the parts of a batch of so many windows begin that this worker takes, and where the last ends."""
    first, end = (count * (channel.index + i) // channel.count for i in (0, 1))
    return [first + (end - first) * i // parts for i in range(parts + 1)]


def steps_in_loss(network: Network, error_scale: str, target: Tensor, center: Tensor, scale: Tensor) -> Tensor:
    """[B, P] which steps are in the loss: those observed, of windows whose forecast the network can change."""
    import tensorflow as tf

    observed = ~tf.math.is_nan(target)
    if network.settings.distribution:
        units = DISTRIBUTIONS[network.settings.distribution].units(network.scaler, center, scale)
        return observed & (units.scale > 0.0)
    return observed if error_scale == "series" else observed & (scale > 0.0)


def own_steps(
    network: Network,
    error_scale: str,
    rows: RowGatherer,
    bounds: SeriesBounds,
    series: Tensor,
    cutoff: Tensor,
    days: Tensor,
) -> Tensor:
    """[k] how many steps are in the training loss of each batch of index pairs [k, B]; `days` [R, 2] as those of a task."""
    import tensorflow as tf

    length, (first, last) = network.settings.context_length, network.head.target_span()
    flat = tf.reshape(series, [-1]), tf.reshape(cutoff, [-1])
    around = network.settings.rows, network.reach
    window = rows.gather(bounds, *flat, *around)
    special = rows.gather_days(bounds, days, *flat, *around) if network.settings.special_days else None
    window, _ = network.as_read(window, network.reach, special)
    _, _, center, scale = network.scaler.scale_context(window[:, :length])
    found = steps_in_loss(network, error_scale, window[:, first:last], center, scale)
    each = tf.reduce_sum(tf.cast(found, tf.float32), axis=1)
    return tf.reduce_sum(tf.reshape(each, tf.shape(series)), axis=1)


def share(losses: Callable[[], tuple[Tensor, Tensor]], times: Tensor, variables: list[Any]) -> Tensor:
    """[weights + 1] what a part adds to the gradients of the batch's mean loss, and its sum of losses.

    `times`: 1 over the steps of the batch, by the loss's scale. It is multiplied before the gradients are taken, as in one
    process, so the digits are the same.
    """
    import tensorflow as tf

    with tf.GradientTape() as tape:
        loss, _ = losses()
    return tf.concat([_flat(tape, loss, variables, times), [loss]], axis=0)


def mean_of(
    sums: Tensor, steps: Tensor, times: Tensor, penalties: Callable[[], list[Tensor]], variables: list[Any]
) -> tuple[Tensor, list[Tensor]]:
    """The mean loss of a batch and its gradients, from the sums of all its parts; with penalties that each batch has once.

    Gradients are `times` those of the loss, the loss's scale.
    """
    import tensorflow as tf

    whole, loss = sums[:-1], sums[-1] / steps
    with tf.GradientTape() as tape:
        found = penalties()
        penalty = tf.add_n(found) if found else None
    if penalty is not None:
        whole, loss = whole + _flat(tape, penalty, variables, times), loss + penalty
    pieces = tf.split(whole, [math.prod(one.shape) for one in variables])
    return loss, [tf.reshape(piece, one.shape) for piece, one in zip(pieces, variables, strict=True)]


def _flat(tape: Any, loss: Tensor, variables: list[Any], times: Any) -> Tensor:
    """[weights] the gradients of the loss, times a factor."""
    import tensorflow as tf

    zero = tf.UnconnectedGradients.ZERO
    found = tape.gradient(loss, variables, output_gradients=tf.convert_to_tensor(times), unconnected_gradients=zero)
    return tf.concat([tf.reshape(one, [-1]) for one in found], axis=0)


def skip_masks(seeds: list[Any], parts: int) -> None:
    """Have dropout go on as if the batch had so many more parts: those of other workers have masks of their own."""
    for seed in seeds:
        seed.assign(seed + np.array([0, parts], seed.dtype))


def take_weights_of_first(network: Network, channel: Channel) -> None:
    """Give the network the weights of the first worker: processors of two kinds may round differently."""
    weights = network.weights
    flat = np.concatenate([np.ravel(one) for one in weights]).astype(np.float64)
    flat = channel.total(flat if channel.index == 0 else np.zeros_like(flat)).astype(np.float64)
    pieces = np.split(flat, np.cumsum([one.size for one in weights])[:-1])
    pairs = zip(pieces, weights, strict=True)
    network.weights = [piece.reshape(one.shape).astype(one.dtype) for piece, one in pairs]
