"""Fine-tuning: how far a pretrained network is fitted further, and how much of its weights is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from forecaster.training.fit import mean_weights
from forecaster.training.member_networks import new_network

if TYPE_CHECKING:
    from forecaster.models.network import Network
    from forecaster.training.evaluation_set import EvaluationSet
    from forecaster.training.plan import OpenQuestions, Tuning
    from forecaster.typing import FloatArray

# Of a pretrained network's weights in those of its fine-tuned copy, or none of them (benchmarks/ABLATIONS.md, Fine-tuning).
KEPT = 0.5
MIN_CLEAR_GAIN = 0.03  # share by which a tuning must lower the error for a longer one to be tried


def best_tuning(
    untouched: Network,
    fit: Callable[[Tuning], Network | None],
    questions: OpenQuestions,
    evaluation: EvaluationSet,
    lowest: float,
    *,
    averaged: bool,
) -> dict[Tuning, FloatArray]:
    """The tuning with the lowest error on the windows of `evaluation`, and its forecasts [W, H]; empty where all diverged.

    `lowest` is the error of the `untouched` network. Longer tunings are tried as long as the last one clearly lowered the error,
    or all of them where the questions are `patient`. Where copies may be `averaged`, each is compared with the mean of its
    weights and the untouched network's. `fit` gives a tuned copy, None where it diverged.
    """
    errors: dict[Tuning, float] = {}
    forecasts: dict[Tuning, FloatArray] = {}
    for tuning in questions.tunings:
        network = fit(tuning)
        if network is None:
            break
        copies = {tuning: network}
        if averaged:
            copies[replace(tuning, kept=KEPT)] = with_mean_weights(untouched, network)
        forecasts |= {one: evaluation.forecast([copy]) for one, copy in copies.items()}
        errors |= {one: evaluation.error(forecasts[one]) for one in copies}
        reached = min(errors[one] for one in copies)
        if reached > lowest * (1.0 - MIN_CLEAR_GAIN) and not questions.patient:
            break
        lowest = min(lowest, reached)
    best = min(errors, key=errors.__getitem__, default=None)
    return {} if best is None else {best: forecasts[best]}


def with_mean_weights(before: Network, after: Network) -> Network:
    """A network whose weights are means of those of two, KEPT of the first (Wortsman et al. 2022)."""
    made = new_network(after.settings, 0)
    made.weights = mean_weights(before.weights, after.weights, KEPT)
    return made
