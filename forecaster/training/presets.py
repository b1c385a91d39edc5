"""How much a training tries and fits where no option says it: the rows that `--preset` names."""

from __future__ import annotations

from dataclasses import dataclass

from forecaster.training.plan import TrainingSchedule, Tuning

FAST_RATE, SLOW_RATE = 5e-3, 2e-3  # of Adam
SHORT = TrainingSchedule(6, FAST_RATE)
SCHEDULES = (
    SHORT,
    TrainingSchedule(6, SLOW_RATE),
    TrainingSchedule(26, FAST_RATE),
)
# A longer one has a lower error on panels of many rows, a higher one on others (benchmarks/ABLATIONS.md, Fine-tuning).
TUNINGS = (Tuning(4, 3e-4), Tuning(12, 1e-3))


@dataclass(frozen=True)
class Preset:
    """What a training tries and fits. Options that are given come before it."""

    reason: str  # in the plan
    members: int  # networks in the ensemble
    own_members: int  # of them start from nothing beside a pretrained network; 0 = it answers without any
    schedules: tuple[TrainingSchedule, ...]  # to choose from, at the rates of Adam
    half_context: bool  # whether half the context is tried
    patient: bool  # tries longer schedules even where the last one did not clearly lower the error
    tunings: tuple[Tuning, ...]  # fits that start from a pretrained network, the shortest first


DEFAULT = "default"
PRESETS: dict[str, Preset] = {
    "fast": Preset(
        reason="no network is fitted where a pretrained one answers",
        members=2,
        own_members=0,
        schedules=(SHORT,),
        half_context=False,
        patient=False,
        tunings=(),
    ),
    "default": Preset(
        reason="accurate for its time",
        members=4,
        own_members=2,  # the time of others goes to fits that start from the pretrained network
        schedules=SCHEDULES,
        half_context=True,
        patient=False,
        tunings=TUNINGS,
    ),
    "best": Preset(
        reason="more members and longer fits",
        members=8,
        own_members=4,
        schedules=SCHEDULES,
        half_context=True,
        patient=True,
        tunings=(*TUNINGS, Tuning(30, 1e-3)),
    ),
}
