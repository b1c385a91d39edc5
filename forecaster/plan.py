"""What will be trained: a plan, its rows with their reasons, and the questions that short trial fits still have to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

from forecaster.data.inputs import Needs
from forecaster.models.cells import CELLS
from forecaster.models.fit import FitSettings
from forecaster.models.floor import Floor
from forecaster.models.network import NetworkSettings
from forecaster.models.training_record import PlanRow

T = TypeVar("T", int, float, str, bool)
Pair: TypeAlias = "tuple[str, str]"  # transform and error scale

EPOCH_STEPS = 50


class Chooser:
    """Collects settings with their reasons: a given value wins, else what the rule says."""

    def __init__(self) -> None:
        self.rows: list[PlanRow] = []

    def __call__(self, setting: str, given: T | None, automatic: T, reason: str) -> T:
        value, because = (automatic, reason) if given is None else (given, "as given")
        self.rows.append(PlanRow(setting, value, because))
        return value


@dataclass(frozen=True)
class Choice:
    """One answer to what the rows alone do not say."""

    transform: str
    error_scale: str
    context_length: int
    epochs: int
    learning_rate: float

    @property
    def pair(self) -> Pair:
        """What it is fitted on."""
        return self.transform, self.error_scale

    def __str__(self) -> str:
        steps = self.epochs * EPOCH_STEPS
        fitted_on = f"transform {self.transform}, error scale {self.error_scale}, context {self.context_length}"
        return f"{fitted_on}, {steps} steps at {self.learning_rate:g}"


@dataclass(frozen=True)
class Plan:
    """What will be trained, and how."""

    horizon: int
    members: tuple[NetworkSettings, ...]
    fit: FitSettings
    calendar: tuple[str, ...]  # rows of CALENDAR that the networks are told of each step ahead
    windows: int  # held back per series for the scores, one horizon apart; 0 = too few rows
    rows: tuple[PlanRow, ...]
    transforms: tuple[Pair, ...]  # to choose from, the likeliest first
    contexts: tuple[int, ...]  # context lengths to choose from, the rule's own first
    courses: tuple[tuple[int, float], ...]  # (epochs, learning rate) to choose from, the cheapest first
    scales: tuple[str, ...] = ()  # each member's error scale, where they differ
    floor: Floor | None = None  # statistical forecast that is blended in
    floors: tuple[Floor, ...] = ()  # to choose from, beside none
    asked: tuple[dict[float, float], ...] = ()  # for each set of windows: share of the floor -> error, without it 1
    judged_floor: Floor | None = None  # of the judged weights

    @property
    def needs(self) -> Needs:
        """What the networks read of a panel."""
        return Needs(self.context_length, self.horizon, self.calendar, self.members[0].covariates)

    @property
    def context_length(self) -> int:
        """L of the longest member."""
        return max(member.context_length for member in self.members)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Levels, ascending."""
        return self.members[0].quantiles

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Each member's transform and error scale."""
        return tuple((member.transform, fit.error_scale) for member, fit in self.jobs)

    @property
    def jobs(self) -> tuple[tuple[NetworkSettings, FitSettings], ...]:
        """Each member, and how it is fitted."""
        scales = self.scales or (self.fit.error_scale,) * len(self.members)
        return tuple((m, replace(self.fit, error_scale=own)) for m, own in zip(self.members, scales, strict=True))

    def with_cell(self, cell: str, because: str) -> Plan:
        """The plan with one cell for every member."""
        gate = CELLS[cell].has_reset_gate
        members = tuple(replace(m, cell=cell, reset_after=m.reset_after or not gate) for m in self.members)
        rows = tuple(replace(row, value=cell, reason=because) if row.setting == "cell" else row for row in self.rows)
        return replace(self, members=members, rows=rows)

    def mixed(self, pairs: Sequence[Pair], because: str) -> Plan:
        """The plan with each member on a transform and an error scale of its own."""
        members = tuple(replace(m, transform=name) for m, (name, _) in zip(self.members, pairs, strict=True))
        row = PlanRow("mixture", ", ".join(f"{name} by {scale}" for name, scale in pairs), because)
        return replace(self, members=members, scales=tuple(scale for _, scale in pairs), rows=(*self.rows, row))

    def decided(self, choice: Choice, because: str) -> Plan:
        """The plan with its questions answered."""
        asked = (["transform", "error_scale"] if len(self.transforms) > 1 else []) + (
            ["epochs", "learning_rate"] if len(self.courses) > 1 else []
        )
        if choice.context_length != self.contexts[0]:
            asked.append("context_length")  # else the rule that it is from says more
        rows = tuple(
            replace(row, value=getattr(choice, row.setting), reason=because) if row.setting in asked else row
            for row in self.rows
        )
        return replace(
            self,
            members=tuple(
                replace(member, transform=choice.transform, context_length=choice.context_length)
                for member in self.members
            ),
            fit=replace(
                self.fit, error_scale=choice.error_scale, epochs=choice.epochs, learning_rate=choice.learning_rate
            ),
            rows=rows,
            scales=(),
            transforms=((choice.transform, choice.error_scale),),
            contexts=(choice.context_length,),
            courses=((choice.epochs, choice.learning_rate),),
        )
