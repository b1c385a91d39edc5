"""The settings of `train`, by part. None means "not given": the plan decides."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from forecaster.config.option import choice, count, option, switch
from forecaster.config.shared import (
    BaselineOptions,
    FrequencyOptions,
    HoldoutOptions,
    InputOptions,
    LockOptions,
    MachineOptions,
    StoreOptions,
)
from forecaster.data.limits import Limits
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.data.panel import Columns
    from forecaster.data.reading.reader import ReadOptions


@dataclass(frozen=True)
class SeasonOptions(FrequencyOptions):
    """The step of the timestamps, and how many make a season."""

    season_length: int | None = count("Steps in a season; 1 = none (default: from freq).", "Input")


@dataclass(frozen=True)
class CovariateOptions:
    """Columns that the networks read, apart from the target."""

    known: tuple[str, ...] = option((), "Columns that are known ahead: price, weather.", "Input", kind="columns")
    past: tuple[str, ...] = option((), "Columns known up to now.", "Input", kind="columns")
    static: tuple[str, ...] = option((), "Columns with one value per series.", "Input", kind="columns")
    screen: bool = switch(True, "Leave out known columns that tell nothing of the target.", "Input")


@dataclass(frozen=True)
class HorizonOptions:
    """What is forecast: how many steps, and which quantiles of each."""

    horizon: int | None = count("Steps ahead to forecast.", "Forecast")
    quantiles: tuple[float, ...] = option((0.1, 0.5, 0.9), "Levels, or none.", "Forecast", kind="quantiles")


@dataclass(frozen=True)
class NetworkOptions:
    """The shape of the network, whichever cell it has."""

    units: int | None = count("Width of each recurrent layer.", "Network")
    layers: int | None = count("Recurrent layers.", "Network")
    bidirectional: bool | None = switch(None, "Read the context in both directions.", "Network")
    dropout: float | None = option(None, "Share of units dropped.", "Network", kind="float", bounds="[0, 1)")
    residual: bool | None = switch(None, "Add each layer's input to its output.", "Network")
    context_length: int | None = count("Observations that the network sees.", "Network")
    segment: int | None = count("Observations per recurrent step; 1 = the textbook's network.", "Network")
    head: str | None = choice(None, "forecaster.models.heads:HEADS", "From states to forecast.", "Network")
    transform: str | None = choice(
        None, "auto forecaster.models.scaling:TRANSFORMS", "Transform of the values.", "Network"
    )
    linear: bool | None = switch(None, "Add a linear path from context to horizon.", "Network")
    calendar: bool | None = switch(None, "Tell the network each step's hour, weekday, time of year.", "Network")
    holidays: str | None = option(None, "Tell it a country's holidays, e.g. US or DE-BY.", "Network")
    center: str | None = choice(None, "forecaster.models.scaling:CENTERS", "What is subtracted first.", "Network")
    input_initializer: str | None = choice(
        None, "forecaster.models.cells:INITIALIZERS", "First input weights.", "Network"
    )
    recurrent_initializer: str | None = choice(
        None, "forecaster.models.cells:INITIALIZERS", "First recurrent weights.", "Network"
    )

    def refuse_single_residual(self) -> None:
        """UsageError for a residual link where there is one layer."""
        if self.residual and (self.layers or 1) == 1:
            raise UsageError("--residual has no effect on one layer.", "Give --layers 2 or more.")

    def refuse_inputs_ahead(self) -> None:
        """UsageError for inputs of the steps ahead with a head that reads none."""
        for name in ("linear", "calendar", "holidays"):
            if getattr(self, name):
                self.refuse_closed_head(name)

    def refuse_closed_head(self, name: str) -> None:
        """UsageError where the option `name` has no effect on the head, as that feeds its forecasts back."""
        from forecaster.models.heads import OPEN_HEADS

        if self.head is not None and self.head not in OPEN_HEADS:
            raise UsageError(f"--{name} has no effect on --head {self.head}.", f"Take one of {', '.join(OPEN_HEADS)}.")


@dataclass(frozen=True)
class FitOptions:
    """How a network is fitted."""

    loss: str | None = choice(None, "forecaster.models.losses:LOSSES", "What is minimised.", "Fitting")
    error_scale: str | None = choice(
        None, "forecaster.models.losses:ERROR_SCALES", "What errors are divided by.", "Fitting"
    )
    epochs: int | None = count("Epochs, at most.", "Fitting")
    batch_size: int | None = count("Windows per step.", "Fitting")
    steps_per_epoch: int | None = count("Steps per epoch.", "Fitting")
    learning_rate: float | None = option(None, "Adam's first rate.", "Fitting", kind="float", bounds="(0, inf)")
    schedule: str | None = choice(None, "forecaster.training.trainer:SCHEDULES", "Course of the rate.", "Fitting")
    clip_norm: float | None = option(
        None, "Largest norm of the gradient; 0 = any.", "Fitting", kind="float", bounds="[0, inf)"
    )
    patience: int | None = option(
        None, "Epochs without gain before stopping; 0 = never stop.", "Fitting", kind="int", bounds="[0, inf)"
    )
    seed: int = option(0, "Decides whatever is random.", "Fitting", kind="int", bounds="[0, 4294967296)")
    device: str = choice("auto", "auto cpu gpu", "Where to fit.", "Running")


@dataclass(frozen=True)
class TargetOptions:
    """What values the target can have, and how they are distributed."""

    min: float | None = option(
        None, "Smallest value that the target can have.", "Forecast", kind="float", bounds="(-inf, inf)"
    )
    max: float | None = option(
        None, "Largest value that the target can have.", "Forecast", kind="float", bounds="(-inf, inf)"
    )
    integer: bool = switch(False, "The target is a whole number.", "Forecast")
    distribution: str | None = choice(
        None,
        "none forecaster.models.distributions:DISTRIBUTIONS",
        "Learn a whole distribution of each step.",
        "Network",
    )

    @property
    def limits(self) -> Limits:
        """What the target can be: counts are never below 0."""
        return Limits(0.0 if self.counts and self.min is None else self.min, self.max, self.integer)

    @property
    def counts(self) -> bool:
        """The target must be whole numbers from 0 up, as the distribution is one of these."""
        if not self.likelihood:
            return False
        from forecaster.models.distributions import DISTRIBUTIONS

        return DISTRIBUTIONS[self.likelihood].counts

    @property
    def likelihood(self) -> str:
        """The distribution that is learnt; empty = each quantile by itself."""
        return "" if self.distribution in (None, "none") else str(self.distribution)

    def refuse_empty_limits(self) -> None:
        """UsageError where no value is within the limits."""
        if self.min is None or self.max is None:
            return
        if not self.min < self.max:
            raise UsageError(f"--min {self.min:g} is not below --max {self.max:g}.", "Exchange them.")
        if self.integer and math.ceil(self.min) > math.floor(self.max):
            raise UsageError(f"no whole number lies between --min {self.min:g} and --max {self.max:g}.")

    def refuse_negative_counts(self) -> None:
        """UsageError for a smallest value below 0 where the target is a count."""
        if self.counts and self.min is not None and self.min < 0:
            raise UsageError(
                f"--min {self.min:g} has no effect beside --distribution {self.likelihood}: counts begin at 0.",
                "Leave it out.",
            )


@dataclass(frozen=True)
class PlanSettings(
    TargetOptions,
    FitOptions,
    NetworkOptions,
    HorizonOptions,
    CovariateOptions,
    SeasonOptions,
    MachineOptions,
    BaselineOptions,
    HoldoutOptions,
    InputOptions,
):
    """What shapes a plan, whichever cell it is for. Help shows the parts from the last to the first."""

    def __post_init__(self) -> None:
        """UsageError for options that contradict each other, or of which one has no effect with another."""
        self.refuse_empty_limits()
        if self.likelihood:
            self._refuse_likelihood_twice()
        self.refuse_negative_counts()
        self.refuse_single_residual()
        self.refuse_inputs_ahead()
        for name in ("known", "past", "static"):
            if getattr(self, name):
                self.refuse_closed_head(name)

    @property
    def columns(self) -> Columns:
        """The columns that are named, covariates among them; None = to be inferred."""
        return replace(super().columns, known=self.known, past=self.past, static=self.static)

    def read_options(self) -> ReadOptions:
        """What is said of how the data is read. UsageError for a frequency or a zone that is none."""
        from forecaster.data.reading.reader import ReadOptions

        return ReadOptions.of(
            self.columns,
            freq=self.freq,
            season_length=self.season_length,
            zone=self.zone,
            timestamp_format=self.timestamp_format,
        )

    def _refuse_likelihood_twice(self) -> None:
        """UsageError for a loss, an error scale or a transform where the distribution implies it."""
        what = f"--distribution {self.likelihood}"
        for name, given in (("loss", self.loss), ("error-scale", self.error_scale)):
            if given is not None:
                raise UsageError(f"--{name} has no effect beside {what}, which has a likelihood.", "Leave one out.")
        if self.counts and self.transform not in (None, "auto", "none"):
            raise UsageError(f"--transform {self.transform}: {what} takes counts as they are.", "Leave one out.")


@dataclass(frozen=True)
class CellOptions:
    """The recurrent cell."""

    cell: str | None = choice(
        None, "auto forecaster.models.cells:CELLS", "Recurrent cell; auto = whichever does best.", "Network"
    )


@dataclass(frozen=True)
class GateOptions(CellOptions):
    """The recurrent cell, and where its reset gate acts."""

    reset_after: bool | None = switch(None, "GRU: reset gate behind the product, as cuDNN has it.", "Network")

    def refuse_no_reset_gate(self) -> None:
        """UsageError where the cell has no reset gate that could act anywhere."""
        from forecaster.models.cells import CELLS

        if self.reset_after is None or self.cell is None:
            return
        if self.cell == "auto":
            raise UsageError("--reset-after has no effect on every cell that --cell auto tries.", "Give --cell gru.")
        if not CELLS[self.cell].has_reset_gate:
            raise UsageError(f"--reset-after has no effect on {self.cell}: it has no reset gate.", "Leave it out.")


@dataclass(frozen=True)
class EnsembleOptions:
    """What is combined to one forecast."""

    floor: float | None = option(
        None, "Share of a statistical forecast in the blend; 0 = none.", "Network", kind="float", bounds="[0, 1]"
    )
    members: int | None = count("Networks that are joined to one forecast.", "Network")
    combine: str | None = choice(
        None, "forecaster.models.export:COMBINATIONS", "How the members' forecasts are joined.", "Network"
    )

    def refuse_single_combination(self) -> None:
        """UsageError for a way to combine one member."""
        if self.combine and self.members == 1:
            raise UsageError("--combine has no effect on one member.", "Leave it out, or give --members 2 or more.")


@dataclass(frozen=True)
class BudgetOptions:
    """How long fitting may take."""

    time_budget: float | None = option(
        None, "Stop fitting after this long, e.g. 5m.", "Fitting", kind="duration", bounds="(0, inf)"
    )


@dataclass(frozen=True)
class StartOptions:
    """The weights that fitting starts with; fresh ones by default."""

    resume: bool = switch(False, "Go on from this model's current version.", "Fitting")
    start_from: str | None = option(None, "Start with this model's weights.", "Fitting", kind="model", flag="from")

    def refuse_two_starts(self) -> None:
        """UsageError for weights from two places."""
        if self.resume and self.start_from:
            raise UsageError("--resume and --from exclude each other.", "Keep the one that names where to start.")


@dataclass(frozen=True)
class TrainSettings(LockOptions, StartOptions, BudgetOptions, EnsembleOptions, GateOptions, PlanSettings, StoreOptions):
    """Settings of `train`."""

    name: str | None = option(None, "Name to store the model under (default: the data file's stem).", "Store")
    final_fit: bool = switch(True, "After judging, fit again on all rows.", "Fitting")
    promote_if_better: float | None = option(
        None,
        "Serve the new version only if it is better by this share.",
        "Judging",
        kind="margin",
        bounds="[0, 1)",
    )
    calibrate: bool = switch(True, "Calibrate the quantiles, by the held-back windows.", "Forecast")

    def __post_init__(self) -> None:
        """UsageError for options that contradict each other, or of which one has no effect with another."""
        super().__post_init__()
        self.refuse_no_reset_gate()
        self.refuse_single_combination()
        self.refuse_two_starts()
        if self.promote_if_better is not None and (self.resume or self.start_from):
            raise UsageError(
                "--promote-if-better needs weights that have not seen the held-back rows.",
                "Leave --resume and --from out.",
            )


def one_network(settings: PlanSettings, **changes: object) -> TrainSettings:
    """Of what shapes a plan, with `changes`: settings for one network without smoothing, so that plans compare."""
    alike = {item.name: getattr(settings, item.name) for item in fields(PlanSettings)}
    return TrainSettings(**{**alike, **changes}, members=1, floor=0.0)
