"""The settings of `train`, in parts. None means "not given": the plan decides."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from forecaster.config.network_options import EnsembleOptions, GateOptions, NetworkOptions
from forecaster.config.optimizer_options import OptimizerOptions
from forecaster.config.option import choice, count, option, steps, switch
from forecaster.config.shared import (
    BaselineOptions,
    DeviceOptions,
    EngineOptions,
    FrequencyOptions,
    HoldoutOptions,
    InputOptions,
    LockOptions,
    StoreOptions,
)
from forecaster.data.target_limits import Limits
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.data.panel import Columns
    from forecaster.data.reading.read_options import ReadOptions


@dataclass(frozen=True)
class SeasonOptions(FrequencyOptions):
    """The step of the timestamps, and the number of steps in a season."""

    season_length: int | None = count("Steps in a season; 1 = none (default: from freq).", "Input")


@dataclass(frozen=True)
class CovariateOptions:
    """Columns that the networks read as extra inputs."""

    known: tuple[str, ...] = option((), "Columns known ahead, e.g. price or weather.", "Input", kind="columns")
    past: tuple[str, ...] = option((), "Columns known up to the last row.", "Input", kind="columns")
    static: tuple[str, ...] = option((), "Columns with one value per series.", "Input", kind="columns")
    screen: bool = switch(True, "Leave out uninformative known columns.", "Input")


@dataclass(frozen=True)
class SampleRowsOptions:
    """How many rows are taken of a panel that is larger than memory."""

    max_rows: int | None = count("Rows to train on at most: whole series, sampled evenly (default: all).", "Input")


@dataclass(frozen=True)
class HorizonOptions:
    """The number of steps to forecast, and the quantiles of each."""

    horizon: int | None = steps("Steps ahead to forecast.", "Forecast")
    allow_untested_horizon: bool = switch(
        False, "Allow a horizon too long for tests: a statistical forecast answers.", "Forecast"
    )
    quantiles: tuple[float, ...] = option(
        (0.1, 0.5, 0.9), "Quantile levels to forecast, or none.", "Forecast", kind="quantiles"
    )


@dataclass(frozen=True)
class FitOptions(OptimizerOptions, DeviceOptions):
    """How a network is fitted."""

    loss: str | None = option(
        None,
        "Loss that fitting minimises.",
        "Fitting",
        kind="loss",
        choices=("forecaster.models.losses:LOSSES", "pinball"),
    )
    error_scale: str | None = choice(
        None, "forecaster.models.losses:ERROR_SCALES", "What errors are divided by.", "Fitting"
    )
    epochs: int | None = count("Maximum number of epochs.", "Fitting")
    batch_size: int | None = count("Windows per batch.", "Fitting")
    steps_per_epoch: int | None = count("Batches per epoch.", "Fitting")
    schedule: str | None = choice(
        None, "forecaster.training.learning_rate:SCHEDULES", "Learning-rate schedule.", "Fitting"
    )
    patience: int | None = option(
        None, "Epochs without improvement before stopping; 0 = never stop.", "Fitting", kind="int", bounds="[0, inf)"
    )
    seed: int = option(0, "Seed of all random numbers.", "Fitting", kind="int", bounds="[0, 4294967296)")
    precision: str = choice(
        "float32",
        "float32 mixed",
        "Numbers that layers compute with in fits: mixed = 16 bits (for GPUs).",
        "Running",
    )


@dataclass(frozen=True)
class TargetOptions:
    """The values that the target can have, and their distribution."""

    min: float | None = option(
        None,
        "Smallest value that the target can have, or none (default: 0 where no value is negative).",
        "Forecast",
        kind="lowest",
        bounds="[-inf, inf)",
    )
    max: float | None = option(
        None, "Largest value that the target can have.", "Forecast", kind="float", bounds="(-inf, inf)"
    )
    integer: bool = switch(False, "The target is a whole number.", "Forecast")
    distribution: str | None = choice(
        None,
        "none forecaster.models.distributions:DISTRIBUTIONS",
        "Distribution to learn for each step.",
        "Network",
    )

    @property
    def lowest(self) -> float | None:
        """The smallest value that the target can have; None = none, or not given."""
        return None if self.min is None or math.isinf(self.min) else self.min

    @property
    def limits(self) -> Limits:
        """The values that the target can have; counts start at 0."""
        return Limits(0.0 if self.counts and self.min is None else self.lowest, self.max, self.integer)

    @property
    def counts(self) -> bool:
        """Whether the distribution is one of counts: whole numbers from 0."""
        if not self.likelihood:
            return False
        from forecaster.models.distributions import DISTRIBUTIONS

        return DISTRIBUTIONS[self.likelihood].counts

    @property
    def likelihood(self) -> str:
        """The distribution to learn; empty = each quantile is learnt by itself."""
        return "" if self.distribution in (None, "none") else str(self.distribution)

    def refuse_empty_limits(self) -> None:
        """UsageError where no value is within the limits."""
        if self.lowest is None or self.max is None or self.min is None:
            return
        if not self.min < self.max:
            raise UsageError(f"--min {self.min:g} is not below --max {self.max:g}.", "Exchange them.")
        if self.integer and math.ceil(self.min) > math.floor(self.max):
            raise UsageError(f"no whole number is between --min {self.min:g} and --max {self.max:g}.")

    def refuse_negative_counts(self) -> None:
        """UsageError for a smallest value below 0 where the target is a count."""
        if self.counts and self.min is not None and self.min < 0:
            raise UsageError(
                f"--min {self.min:g} has no effect with --distribution {self.likelihood}: counts start at 0.",
                "Leave it out.",
            )


@dataclass(frozen=True)
class PlanSettings(
    TargetOptions,
    FitOptions,
    NetworkOptions,
    HorizonOptions,
    CovariateOptions,
    SampleRowsOptions,
    SeasonOptions,
    EngineOptions,
    BaselineOptions,
    HoldoutOptions,
    InputOptions,
):
    """The settings of a plan, apart from its cell. Help shows the base classes from the last to the first."""

    def __post_init__(self) -> None:
        """UsageError for options that contradict each other, or of which one has no effect with another."""
        self.refuse_empty_limits()
        self.refuse_idle_ray()
        self._refuse_fits_here_alone()
        if self.likelihood:
            self._refuse_likelihood_twice()
        self.refuse_negative_counts()
        self.refuse_single_residual()
        self.refuse_inputs_ahead()
        self.refuse_idle_head_options(self.teacher_forcing)
        self.refuse_idle_optimizer_options()
        for name in ("known", "past", "static"):
            if getattr(self, name):
                self.refuse_closed_head(name)

    @property
    def columns(self) -> Columns:
        """The columns that are named, with the covariates; None = to be inferred."""
        return replace(super().columns, known=self.known, past=self.past, static=self.static)

    def read_options(self) -> ReadOptions:
        """How to read the data, as far as it is given. UsageError for an unknown frequency or time zone."""
        return replace(self.with_step(super().read_options()), season_length=self.season_length)

    def _refuse_fits_here_alone(self) -> None:
        """UsageError for Ray's workers where the fits are those of this process."""
        if self.engine == "local":
            return
        if getattr(self, "network", None):
            raise UsageError("--engine ray: workers have no network of one's own.", "Leave out --engine or --network.")
        self.refuse_gpu_of_workers()

    def _refuse_likelihood_twice(self) -> None:
        """UsageError for a loss, an error scale or a transform where the distribution implies it."""
        what = f"--distribution {self.likelihood}"
        for name, given in (("loss", self.loss), ("error-scale", self.error_scale)):
            if given is not None:
                raise UsageError(f"--{name} has no effect with {what}, which has a likelihood.", "Leave one out.")
        if self.counts and self.transform not in (None, "auto", "none"):
            raise UsageError(f"--transform {self.transform}: {what} takes counts as they are.", "Leave one out.")


@dataclass(frozen=True)
class BudgetOptions:
    """How long fitting may take."""

    time_budget: float | None = option(
        None, "Stop fitting after this long, e.g. 5m.", "Fitting", kind="duration", bounds="(0, inf)"
    )


@dataclass(frozen=True)
class StartOptions:
    """The weights that fitting starts with; fresh ones by default."""

    resume: bool = switch(False, "Continue from this model's current version.", "Fitting")
    start_from: str | None = option(None, "Start from this model's weights.", "Fitting", kind="model", flag="from")

    def refuse_two_starts(self) -> None:
        """UsageError for weights from two places."""
        if self.resume and self.start_from:
            raise UsageError("--resume and --from exclude each other.", "Keep the one that names where to start.")


@dataclass(frozen=True)
class TrainSettings(LockOptions, StartOptions, BudgetOptions, EnsembleOptions, GateOptions, PlanSettings, StoreOptions):
    """Settings of `train`."""

    preset: str | None = choice(
        None,
        "forecaster.training.presets:PRESETS",
        "How much is tried: fast fits few networks or none, best many (default: default).",
        "Fitting",
    )
    name: str | None = option(None, "Name to store the model under (default: the data file's stem).", "Store")
    keep: int | None = count("Remove older versions afterwards, but for so many and the one that serves.", "Store")
    final_fit: bool = switch(True, "After testing, fit again on all rows.", "Fitting")
    promote_if_better: float | None = option(
        None,
        "Serve the new version only if its error is lower by this share.",
        "Testing",
        kind="margin",
        bounds="[0, 1)",
    )
    require_better_than: str | None = choice(
        None, "naive", "Serve the new version only if its error is lower than that of the naive forecasts.", "Testing"
    )
    calibrate: bool = switch(True, "Calibrate the quantiles on the test windows.", "Forecast")

    def __post_init__(self) -> None:
        """UsageError for options that contradict each other, or of which one has no effect with another."""
        super().__post_init__()
        self.refuse_no_reset_gate()
        self.refuse_no_forget_gate()
        self.refuse_parts_of_built_in_networks(self.head)
        self.refuse_single_combination()
        self.refuse_two_starts()
        gate = "--promote-if-better" if self.promote_if_better is not None else "--require-better-than"
        asked = self.promote_if_better is not None or self.require_better_than is not None
        if asked and (self.resume or self.start_from):
            raise UsageError(
                f"{gate} needs weights that have not seen the test windows.",
                "Leave --resume and --from out.",
            )


def one_network(settings: PlanSettings, **changes: object) -> TrainSettings:
    """The plan's settings with `changes`, for one network without smoothing, so that plans are comparable."""
    shared = {item.name: getattr(settings, item.name) for item in fields(PlanSettings)}
    return TrainSettings(**{**shared, **changes}, members=1, floor=0.0)
