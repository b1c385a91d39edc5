"""Chooses how gradients become steps of the weights: optimizer, weight decay, clipping, truncation, teacher forcing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from forecaster.errors import UsageError
from forecaster.models.optimizers import OPTIMIZERS

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.models.settings import FitSettings, NetworkSettings
    from forecaster.training.plan import Chooser

TEACHER_FORCING = (1.0, 0.0)


def rate_of(settings: TrainSettings, adam: float) -> float:
    """The learning rate where none is given, from that of Adam."""
    return adam * OPTIMIZERS[settings.optimizer or "adam"].rate


def with_optimizer(choose: Chooser, settings: TrainSettings, fit: FitSettings, network: NetworkSettings) -> FitSettings:
    """The fit settings with the optimizer's. UsageError where gradients would go back further than there are steps."""
    row = OPTIMIZERS[choose("optimizer", settings.optimizer, "adam", "adapts to each weight's gradients")]
    momentum = row.momentum or 0.0
    if row.momentum is not None:
        momentum = choose("momentum", settings.momentum, momentum, "the optimizer's own")
    decay = settings.weight_decay
    if decay is not None or row.weight_decay:
        decay = choose("weight_decay", decay, row.weight_decay, "the optimizer's own")
    if settings.clip_value:
        choose("clip_value", settings.clip_value, 0.0, "")
    steps = network.context_length // network.segment
    if settings.truncate is not None:
        if settings.truncate >= steps:
            raise UsageError(
                f"--truncate {settings.truncate} has no effect: a context takes {steps} recurrent steps.",
                "Give fewer, a longer --context-length or a smaller --segment.",
            )
        choose("truncate", settings.truncate, 0, "")
    forcing = (0.0, 0.0)
    if network.head == "encoder-decoder":
        forcing = settings.teacher_forcing or TEACHER_FORCING
        given = None if settings.teacher_forcing is None else _shown(forcing)
        choose(
            "teacher_forcing",
            given,
            _shown(forcing),
            "the decoder learns from actuals first, from its forecasts at last",
        )
    return replace(
        fit,
        optimizer=settings.optimizer or "adam",
        momentum=momentum,
        weight_decay=decay or 0.0,
        clip_value=settings.clip_value or 0.0,
        truncate=settings.truncate or 0,
        teacher_forcing=forcing,
    )


def _shown(shares: tuple[float, float]) -> str:
    return f"{shares[0]:g}..{shares[1]:g}"
