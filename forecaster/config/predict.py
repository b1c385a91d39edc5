"""The settings of the commands that use a stored model. None means "not given": its manifest decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecaster.config.option import choice, count, option, switch
from forecaster.config.shared import (
    AdaptOptions,
    BaselineOptions,
    FrequencyOptions,
    HoldoutOptions,
    InputOptions,
    LockOptions,
    MachineOptions,
    PlotOptions,
    ServeOptions,
    StoreOptions,
)
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.data.reading.reader import ReadOptions


@dataclass(frozen=True)
class EvaluateSettings(
    PlotOptions, MachineOptions, BaselineOptions, HoldoutOptions, AdaptOptions, ServeOptions, StoreOptions, InputOptions
):
    """Settings of `evaluate`."""

    refit: bool = switch(False, "Fit fresh weights for every window.", "Judging")
    report: str | None = option(None, "Page to write: FILE.html.", "Drawing")

    def __post_init__(self) -> None:
        if self.plot_series and not self.report:
            raise UsageError(
                "--plot-series has no effect without --report.", "Leave it out, or give --report FILE.html."
            )


@dataclass(frozen=True)
class ExplainSettings(HoldoutOptions, MachineOptions, ServeOptions, StoreOptions, InputOptions):
    """Settings of `explain`."""


@dataclass(frozen=True)
class PredictSettings(LockOptions, PlotOptions, MachineOptions, AdaptOptions, ServeOptions, StoreOptions, InputOptions):
    """Settings of `predict`."""

    horizon: int | None = count("Steps ahead (default: as trained).", "Forecast")
    output: str = option("-", "File to write; - is standard output.", "Forecast")
    format: str | None = choice(None, "csv json parquet", "Default: by the file's ending, else csv.", "Forecast")
    safe_csv: bool = switch(False, "Keep spreadsheets from running series names as formulas.", "Forecast")
    max_age: float | None = option(
        None, "Refuse data whose newest target is older, e.g. 2d.", "Input", kind="duration", bounds="(0, inf)"
    )
    drop_incomplete: bool = switch(False, "Leave out a last period that is not over yet.", "Input")
    fallback: bool = switch(False, "Seasonal naive, marked so, where the model cannot answer.", "Forecast")
    future: str | None = option(None, "File of what is known ahead.", "Input")
    ledger: str | None = option(None, "Note what was forecast in this SQLite file.", "Forecast")
    plot: str | None = option(None, "Draw to FILE.png or FILE.html; - is the terminal.", "Drawing")
    quantiles: tuple[float, ...] | None = option(None, "Levels, or none.", "Forecast", kind="quantiles")
    samples: int | None = count("Columns with a path each that the future may take.", "Forecast")
    calibrate: bool | None = switch(None, "Calibrate the quantiles, by the held-back windows.", "Forecast")

    def __post_init__(self) -> None:
        if self.samples and self.fallback:
            raise UsageError(
                "--samples and --fallback exclude each other: seasonal naive has no paths.", "Leave one out."
            )
        if self.calibrate is False and not self.adapt:
            raise UsageError("--no-adapt has no effect beside --no-calibrate.", "Leave it out.")
        if self.plot_series and not self.plot:
            raise UsageError("--plot-series has no effect without --plot.", "Leave it out, or give --plot FILE.png.")
        if self.plot and self.plot != "-" and self.plot == self.output:
            raise UsageError(f"--plot and --output both name '{self.plot}'.", "Rename one.")


@dataclass(frozen=True)
class CheckSettings(FrequencyOptions, StoreOptions, InputOptions):
    """Settings of `check`."""

    model: str | None = option(None, "Hold the data against this model, NAME or NAME@VERSION.", "Store", kind="model")

    def read_options(self) -> ReadOptions:
        """What is said of how the data is read. UsageError for a frequency or a zone that is none."""
        from forecaster.data.reading.reader import ReadOptions

        return ReadOptions.of(self.columns, freq=self.freq, zone=self.zone, timestamp_format=self.timestamp_format)


@dataclass(frozen=True)
class PruneSettings(StoreOptions):
    """Settings of `models prune`."""

    keep: int = option(
        3, "Newest versions to keep, beside the one that serves.", "Store", kind="int", bounds="[1, inf)"
    )
