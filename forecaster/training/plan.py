"""The plan of a training: its settings with their reasons, and the settings that are left to model selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from forecaster.data.calendar import tells_special_days
from forecaster.data.extra_inputs import Needs
from forecaster.data.special_days import Rules, is_special_days, special_days_row
from forecaster.models.cells import CELLS
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.served_method import served_method
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.serving.manifest import needs_of
from forecaster.serving.plan_rows import PlanRow
from forecaster.training.fit_types import MemberFit

T = TypeVar("T", int, float, str, bool)

EPOCH_STEPS = 50
# Rows of a plan that say nothing where no member starts from nothing.
OF_OWN_MEMBERS = {one.name for kind in (NetworkSettings, FitSettings) for one in fields(kind)} - {"horizon", "loss"}


class Chooser:
    """Collects the plan's rows: each setting with its value and the reason."""

    def __init__(self) -> None:
        self.rows: list[PlanRow] = []
        self.given: set[str] = set()
        self.changed: dict[str, int | float | str | bool] = {}  # what is given and differs from the automatic value

    def __call__(self, setting: str, given: T | None, automatic: T, reason: str) -> T:
        """The given value, else the automatic one with its reason; either becomes a row."""
        value, because = (automatic, reason) if given is None else (given, "as given")
        if given is not None:
            self.given.add(setting)
        if value != automatic:
            self.changed[setting] = value
        self.rows.append(PlanRow(setting, value, because))
        return value

    def replace(self, setting: str, value: str, reason: str) -> None:
        """Another value and reason in the row of a setting."""
        self.rows = [PlanRow(setting, value, reason) if row.setting == setting else row for row in self.rows]


@dataclass(frozen=True)
class TargetScaling:
    """How a member's targets are transformed and its errors are scaled."""

    transform: str  # a row of TRANSFORMS
    error_scale: str  # one of ERROR_SCALES

    def __str__(self) -> str:
        return f"{self.transform} by {self.error_scale}"

    def agrees(self, transform: str | None, error_scale: str | None) -> bool:
        """Whether it has the values that are given; None = not given."""
        return transform in (None, self.transform) and error_scale in (None, self.error_scale)


@dataclass(frozen=True)
class TrainingSchedule:
    """Length of a fit and its first learning rate."""

    epochs: int
    learning_rate: float


@dataclass(frozen=True)
class Tuning:
    """How far a pretrained network is fitted further."""

    epochs: int  # of EPOCH_STEPS steps; 0 = it stays as it is
    learning_rate: float
    kept: float = 0.0  # of its weights in those after the fit

    def __str__(self) -> str:
        if self.epochs <= 0:
            return {OWN: "from nothing", TREE_MEMBER: "trees"}.get(self, "as it is")
        kept = f" ({self.kept:.0%} of its weights kept)" if self.kept else ""
        return f"after {self.epochs * EPOCH_STEPS} steps at {self.learning_rate:g}{kept}"


UNTOUCHED = Tuning(0, 3e-4)
OWN = Tuning(-1, 0.0)  # the members that start from nothing
TREE_MEMBER = Tuning(-2, 0.0)  # the member of trees, which is no network


@dataclass(frozen=True)
class Candidate:
    """One answer to every open question."""

    scaling: TargetScaling
    context_length: int
    schedule: TrainingSchedule

    @property
    def settings(self) -> dict[str, str | int | float]:
        """The settings that it decides, by the names of the plan's rows."""
        return {**vars(self.scaling), "context_length": self.context_length, **vars(self.schedule)}

    def __str__(self) -> str:
        steps = self.schedule.epochs * EPOCH_STEPS
        scaling = f"transform {self.scaling.transform}, error scale {self.scaling.error_scale}"
        return f"{scaling}, context {self.context_length}, {steps} steps at {self.schedule.learning_rate:g}"


def is_informed(network: NetworkSettings, calendar: Sequence[str], *, takes_days_out: bool = False) -> bool:
    """Whether a network with this calendar reads what the target's own past does not show: covariates, holidays, events.

    Special days are none of these where pretrained networks know of them, too: they are taken out of what these read.
    """
    others = [row for row in calendar if not (takes_days_out and is_special_days(row))]
    return bool(network.covariates) or any(map(tells_special_days, others))


@dataclass(frozen=True)
class Plan:
    """Every decision about a training."""

    horizon: int
    members: tuple[NetworkSettings, ...]
    fit: FitSettings
    calendar: tuple[str, ...]  # names of calendar rows (`is_row`) that the networks read of each step ahead
    windows: int  # test windows of each series, one horizon apart; 0 = too few rows
    rows: tuple[PlanRow, ...]
    error_scales: tuple[str, ...] = ()  # each member's, where they differ from the fit's
    smoothing: Smoothing | None = None  # the simple method that is blended in
    own_fits: tuple[FitSettings | None, ...] = ()  # each member's, where that is not `fit`; empty = all are fitted so
    has_gaps: bool = False  # so many rows are missing that pretrained networks read them filled
    takes_days_out: bool = False  # special days, of what pretrained networks read: they are put onto their forecasts

    @property
    def needs(self) -> Needs:
        """What the networks read of a panel, those that model selection may add among them."""
        return needs_of(
            self.members, self.context_length, self.horizon, self.calendar, takes_days_out=self.takes_days_out
        )

    @property
    def context_length(self) -> int:
        """L of the graph: the rows that the longest member reads."""
        return max(member.rows for member in self.members)

    @property
    def informed(self) -> bool:
        """Whether the networks read what a pretrained one does not: covariates, holidays or events."""
        return is_informed(self.members[0], self.calendar, takes_days_out=self.takes_days_out)

    @property
    def special_days(self) -> Rules | None:
        """The special days that its networks read."""
        row = special_days_row(self.calendar)
        return Rules.parse(row) if row else None

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Levels, ascending."""
        return self.members[0].quantiles

    @property
    def scalings(self) -> tuple[TargetScaling, ...]:
        """Each member's transform and error scale."""
        return tuple(TargetScaling(one.network.transform, one.fit.error_scale) for one in self.member_fits)

    @property
    def member_fits(self) -> tuple[MemberFit, ...]:
        """Each member with its fit settings."""
        scales = self.error_scales or (self.fit.error_scale,) * len(self.members)
        own = self.own_fits or (None,) * len(self.members)
        fits = [fit or replace(self.fit, error_scale=scale) for fit, scale in zip(own, scales, strict=True)]
        return tuple(MemberFit(member, fit) for member, fit in zip(self.members, fits, strict=True))

    @property
    def method(self) -> str:
        """What is served, in words."""
        return served_method(self.members, self.smoothing)

    def with_row(self, setting: str, value: str | int | float | bool, reason: str) -> Plan:
        """The plan with another value and reason in the row of `setting`, where there is one."""
        changed = PlanRow(setting, value, reason)
        return replace(self, rows=tuple(changed if row.setting == setting else row for row in self.rows))

    def with_method(self) -> Plan:
        """The plan with a row that says what is served."""
        share = "see floor" if self.smoothing else "no share of a simple method"
        days = any(member.special_days for member in self.members)
        return replace(self, rows=(*self.rows, PlanRow("method", self.method, share)), takes_days_out=days)

    def with_cell(self, cell: str, reason: str) -> Plan:
        """The plan with one cell for every member."""
        gate = CELLS[cell].has_reset_gate
        members = tuple(replace(m, cell=cell, reset_after=m.reset_after or not gate) for m in self.members)
        return replace(self, members=members).with_row("cell", cell, reason)

    def with_scalings(self, scalings: Sequence[TargetScaling], reason: str) -> Plan:
        """The plan with each member on a transform and an error scale of its own."""
        members = tuple(replace(m, transform=one.transform) for m, one in zip(self.members, scalings, strict=True))
        row = PlanRow("mixture", ", ".join(map(str, scalings)), reason)
        error_scales = tuple(one.error_scale for one in scalings)
        return replace(self, members=members, error_scales=error_scales, rows=(*self.rows, row))


@dataclass(frozen=True)
class OpenQuestions:
    """What the rows of a panel do not decide: answers to choose from. A question with one answer is decided."""

    scalings: tuple[TargetScaling, ...]  # the likeliest first
    contexts: tuple[int, ...]  # context lengths, the rule's own first
    schedules: tuple[TrainingSchedule, ...]  # the shortest first
    smoothings: tuple[Smoothing, ...] = ()  # simple methods, each with its weight, apart from none; empty = decided
    blended: bool = False  # some method has a weight, as given: none is no answer
    given: Mapping[str, int | float] = field(default_factory=dict)  # settings of the schedule that are given
    pretrained: bool = False  # whether members may start from a pretrained network
    tunings: tuple[Tuning, ...] = ()  # and how they may be fitted further from there, the shortest first
    trees: tuple[int, int] = (0, 0)  # rows of a difference and of a context of a member of trees; 0 = there is none
    own_members: int = 0  # members that start from nothing beside a pretrained network, at most
    patient: bool = False  # longer schedules are tried even where the last one did not clearly lower the error

    @classmethod
    def decided(cls, member: NetworkSettings, fit: FitSettings) -> OpenQuestions:
        """No open question: all members have the settings of `member`, fitted as `fit`."""
        return cls(
            scalings=(TargetScaling(member.transform, fit.error_scale),),
            contexts=(member.context_length,),
            schedules=(TrainingSchedule(fit.epochs, fit.learning_rate),),
        )

    @property
    def is_open(self) -> bool:
        """Whether there is something to decide."""
        answers = (self.scalings, self.contexts, self.schedules)
        return any(len(one) > 1 for one in answers) or bool(self.smoothings)

    def agrees(self, schedule: TrainingSchedule) -> bool:
        """Whether a schedule has the settings that are given."""
        return all(getattr(schedule, name) == value for name, value in self.given.items())

    def as_given(self, schedule: TrainingSchedule) -> TrainingSchedule:
        """The schedule with the settings that are given."""
        return TrainingSchedule(**{**vars(schedule), **self.given})

    def settings_decided_by(self, candidate: Candidate) -> list[str]:
        """Settings whose reason becomes that of the candidate."""
        names = ["transform", "error_scale"] if len(self.scalings) > 1 else []
        if len(self.schedules) > 1:
            names += [name for name in ("epochs", "learning_rate") if name not in self.given]
        if candidate.context_length != self.contexts[0]:  # else the rule's own reason is kept
            names.append("context_length")
        return names


@dataclass(frozen=True)
class Draft:
    """A plan, and what may still change in it."""

    plan: Plan
    questions: OpenQuestions

    def decided(self, candidate: Candidate, reason: str) -> Plan:
        """The plan with the candidate's answers."""
        plan = self.plan
        for setting in self.questions.settings_decided_by(candidate):
            plan = plan.with_row(setting, candidate.settings[setting], reason)
        scaling, length = candidate.scaling, candidate.context_length
        return replace(
            plan,
            members=tuple(replace(m, transform=scaling.transform, context_length=length) for m in plan.members),
            fit=replace(plan.fit, error_scale=scaling.error_scale, **vars(candidate.schedule)),
            error_scales=(),
        )
