"""The settings of the commands that use a stored model. None means "not given": the model's manifest decides."""

from __future__ import annotations

from dataclasses import dataclass

from forecaster.config.option import choice, count, option, steps, switch
from forecaster.config.shared import (
    AdaptOptions,
    BaselineOptions,
    EngineOptions,
    EventOptions,
    GridOptions,
    HoldoutOptions,
    LockOptions,
    MachineOptions,
    MemoryOptions,
    PlotOptions,
    ServeOptions,
    StoreOptions,
)
from forecaster.errors import UsageError


@dataclass(frozen=True)
class EvaluateSettings(
    PlotOptions,
    EngineOptions,
    BaselineOptions,
    HoldoutOptions,
    AdaptOptions,
    ServeOptions,
    StoreOptions,
    EventOptions,
    GridOptions,
):
    """Settings of `evaluate`."""

    horizon: int | None = steps("Steps ahead, for a pretrained network (a stored model keeps its own).", "Testing")
    refit: bool = switch(False, "Fit fresh weights for every test window.", "Testing")
    report: str | None = option(None, "HTML page to write: FILE.html.", "Drawing")
    output: str | None = option(None, "CSV file to write with the forecasts and actuals of every window.", "Testing")
    anomalies: str | None = option(
        None, "Actuals outside the outermost quantiles: FILE.csv or FILE.json to write.", "Testing"
    )

    def __post_init__(self) -> None:
        self.refuse_idle_ray()
        self.refuse_gpu_of_workers()
        if self.plot_series and not self.report:
            raise UsageError(
                "--plot-series has no effect without --report.", "Leave it out, or give --report FILE.html."
            )


@dataclass(frozen=True)
class ExplainSettings(MemoryOptions, HoldoutOptions, MachineOptions, ServeOptions, StoreOptions, GridOptions):
    """Settings of `explain`."""

    def __post_init__(self) -> None:
        self.refuse_idle_memory_plot()
        if self.memory and self.windows:
            raise UsageError("--windows has no effect with --memory, which takes the latest ones.", "Leave one out.")


@dataclass(frozen=True)
class PredictSettings(
    EngineOptions,
    LockOptions,
    PlotOptions,
    AdaptOptions,
    ServeOptions,
    StoreOptions,
    EventOptions,
    GridOptions,
):
    """Settings of `predict`."""

    horizon: int | None = steps("Steps ahead to forecast (default: as trained).", "Forecast")
    output: str = option(
        "-", "File to write, or table of a database (URL?table=NAME); - is standard output.", "Forecast"
    )
    format: str | None = choice(
        None, "csv json parquet xlsx", "Format of the output (default: by the file's ending, else csv).", "Forecast"
    )
    safe_csv: bool = switch(False, "Escape series names that a spreadsheet would run as formulas.", "Forecast")
    as_of: str | None = option(None, "Forecast as if later rows had not come, e.g. 2024-03-31.", "Input", kind="time")
    max_age: float | None = option(
        None, "Refuse data whose latest target is older, e.g. 2d.", "Input", kind="duration", bounds="(0, inf)"
    )
    drop_incomplete: bool = switch(False, "Leave out the last period if it has not ended.", "Input")
    fallback: str | bool = option(
        False,
        "What forecasts, marked as such, where the model cannot (without a name: seasonal-naive).",
        "Forecast",
        kind="fallback",
        choices=("seasonal-naive", "pretrained"),
    )
    future: str | None = option(None, "File with the future values of the known columns.", "Input", kind="data")
    ledger: str | None = option(None, "Record the forecasts in this SQLite file or database.", "Forecast")
    plot: str | None = option(None, "Draw the forecast to FILE.png, .svg, .pdf or .html; - is the terminal.", "Drawing")
    quantiles: tuple[float, ...] | None = option(
        None, "Quantile levels to forecast, or none.", "Forecast", kind="quantiles"
    )
    samples: int | None = count("Sample paths to add, a column each.", "Forecast")
    calibrate: bool | None = switch(None, "Calibrate the quantiles on the test windows.", "Forecast")

    def __post_init__(self) -> None:
        if self.as_of is not None:
            from forecaster.data.ignored_ranges import check_time

            check_time(self.as_of, "--as-of")
            if self.until not in (None, self.as_of):
                raise UsageError("--as-of and --until exclude each other.", "Keep one.")
            object.__setattr__(self, "until", self.as_of)  # read so; --as-of also warns of a model that knows more
        self.refuse_idle_ray()
        self.refuse_gpu_of_workers()
        if self.engine != "local" and not self.output.endswith("/"):
            raise UsageError(f"--engine {self.engine} needs a folder as --output.", "Give one that ends with /.")
        if self.samples and self.fallback:
            raise UsageError(
                "--samples and --fallback exclude each other: where no model answers there are no paths.",
                "Leave one out.",
            )
        if self.calibrate is False and not self.adapt:
            raise UsageError("--no-adapt has no effect with --no-calibrate.", "Leave it out.")
        if self.plot_series and not self.plot:
            raise UsageError("--plot-series has no effect without --plot.", "Leave it out, or give --plot FILE.png.")
        if self.plot and self.plot != "-" and self.plot == self.output:
            raise UsageError(f"--plot and --output both name '{self.plot}'.", "Rename one.")


@dataclass(frozen=True)
class CheckSettings(StoreOptions, GridOptions):
    """Settings of `check`."""

    model: str | None = option(None, "Compare the data with this model's, NAME or NAME@VERSION.", "Store", kind="model")


@dataclass(frozen=True)
class ImportSettings(StoreOptions):
    """Settings of `models import`."""

    serve: bool = switch(True, "Let the version serve.", "Store")


@dataclass(frozen=True)
class PruneSettings(StoreOptions):
    """Settings of `models prune`."""

    keep: int = option(
        3, "Latest versions to keep; the one that serves is always kept.", "Store", kind="int", bounds="[1, inf)"
    )
