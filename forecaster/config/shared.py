"""Options that several commands take. A class `…Options` is a part of a command's settings; `…Settings` are all of one's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecaster.config.option import choice, count, option, switch
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.data.panel import Columns
    from forecaster.data.reading.reader import ReadOptions

FILE = "forecaster.toml"  # read from the working directory where --config is not given


@dataclass(frozen=True)
class CommonSettings:
    """What every command takes."""

    config: str | None = option(None, f"Read settings from this TOML file (default: {FILE}, if there).")
    json: bool = switch(False, "Print one JSON object; errors too.")
    quiet: bool = switch(False, "Print the result and errors only.")
    verbose: bool = switch(False, "Print more, and TensorFlow's own log.")

    def __post_init__(self) -> None:
        if self.quiet and self.verbose:
            raise UsageError("--quiet and --verbose exclude each other.", "Keep one.")


@dataclass(frozen=True)
class StoreOptions:
    """Where models are kept."""

    models: str = option("models", "Directory of stored models.", "Store")


@dataclass(frozen=True)
class StoreSettings(StoreOptions):
    """Settings of `doctor` and of `models list`, `show` and `rollback`."""


@dataclass(frozen=True)
class InputOptions:
    """How the data is read."""

    series: str | None = option(None, "Column that names the series (default: inferred).", "Input")
    timestamp: str | None = option(None, "Column of timestamps (default: inferred).", "Input")
    target: str | None = option(None, "Column to forecast (default: inferred).", "Input")
    zone: str | None = option(None, "Zone of the timestamps, e.g. Europe/Berlin.", "Input")
    timestamp_format: str | None = option(None, "Format of the timestamps, e.g. %d.%m.%Y.", "Input")

    @property
    def columns(self) -> Columns:
        """The columns that are named; None = to be inferred."""
        from forecaster.data.panel import Columns

        return Columns(self.series, self.timestamp, self.target)

    def read_options(self) -> ReadOptions:
        """What is said of how the data is read; the rest is open. UsageError for a zone that is none."""
        from forecaster.data.reading.reader import ReadOptions

        return ReadOptions.of(self.columns, zone=self.zone, timestamp_format=self.timestamp_format)


@dataclass(frozen=True)
class FrequencyOptions:
    """The step of the timestamps."""

    freq: str | None = option(None, "Step of the timestamps (default: inferred).", "Input")


@dataclass(frozen=True)
class HoldoutOptions:
    """The test windows of a backtest."""

    windows: int | None = count("Held-back windows per series for the scores.", "Judging")


@dataclass(frozen=True)
class BaselineOptions:
    """What a model is compared with."""

    baselines: str = choice("naive", "naive all", "Baselines to judge against; all adds slower ones.", "Judging")


@dataclass(frozen=True)
class ServeOptions:
    """Which stored model runs, and on what."""

    model: str | None = option(None, "NAME or NAME@VERSION (default: the model trained last).", "Store", kind="model")
    runtime: str = choice("onnx", "onnx tensorflow", "What runs the network.", "Running")


@dataclass(frozen=True)
class AdaptOptions:
    """Whether a stored calibration keeps up with newer rows."""

    adapt: bool = switch(True, "Learn the quantiles from rows newer than the training, too.", "Forecast")


@dataclass(frozen=True)
class PlotOptions:
    """What is drawn."""

    plot_series: tuple[str, ...] = option((), "Series to draw (default: a few).", "Drawing", kind="columns")


@dataclass(frozen=True)
class MachineOptions:
    """How much of the machine is used."""

    threads: int | None = count("Processor threads (default: all).", "Running")


@dataclass(frozen=True)
class LockOptions:
    """What happens where another run holds a lock."""

    wait: float | None = option(
        None, "Wait this long for a lock, e.g. 5m.", "Running", kind="duration", bounds="[0, inf)"
    )
