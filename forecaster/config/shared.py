"""Options that several commands take. `…Options` are a part of a command's settings, `…Settings` the whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, cast

from forecaster.config.option import choice, count, option, switch
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.data.panel import Columns
    from forecaster.data.reading.read_options import ReadOptions
    from forecaster.data.row_options import TextOptions

D = TypeVar("D")  # a path or URL, a data frame, or None
FILE = "forecaster.toml"  # read from the working directory where --config is not given


@dataclass(frozen=True)
class CommonSettings:
    """The options of every command."""

    config: str | None = option(None, f"Read settings from this TOML file (default: {FILE}, if it exists).")
    json: bool = switch(False, "Print results and errors as JSON objects.")
    quiet: bool = switch(False, "Print only the result and errors.")
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
    """Settings of `doctor` and of `models list`, `show`, `rollback`, `delete` and `export`."""


@dataclass(frozen=True)
class InputOptions:
    """How the data is read."""

    series: str | None = option(None, "Column, or columns A,B, of series names (default: inferred).", "Input")
    timestamp: str | None = option(None, "Column of timestamps, or of its parts, e.g. year,month.", "Input")
    target: str | None = option(None, "Column to forecast (default: inferred).", "Input")
    zone: str | None = option(None, "Time zone of the timestamps, e.g. Europe/Berlin.", "Input")
    timestamp_format: str | None = option(None, "How timestamps are written, e.g. %d.%m.%Y, day-first.", "Input")
    query: str | None = option(None, "Query to read, where DATA is the URL of a database.", "Input")
    table: str | None = option(None, "Table to read, where DATA is the URL of a database.", "Input")
    encoding: str | None = option(None, "Encoding of the file, e.g. windows-1252 (default: UTF-8).", "Input")
    decimal: str | None = option(None, "Decimal mark of numbers, . or , (default: inferred).", "Input")
    thousands: str | None = option(None, "Mark between thousands, e.g. . or , (default: inferred).", "Input")
    since: str | None = option(None, "Leave out rows before this time, e.g. 2018 or 2018-03.", "Input", kind="time")
    until: str | None = option(None, "Leave out rows after this time, e.g. 2023 or 2023-06-30.", "Input", kind="time")
    ignore: tuple[str, ...] = option(
        (), "Read targets in FROM..TO as missing, e.g. 2020-03..2020-05.", "Input", kind="columns"
    )

    def source(self, data: D) -> D:
        """`data`; a database's URL with the query or the table to read. UsageError where these have no effect."""
        from forecaster.storage.addresses import may_be_database, with_selection

        if isinstance(data, str) and may_be_database(data, self.query or self.table):
            return cast("D", with_selection(data, self.query, self.table))
        for name, value in (("--query", self.query), ("--table", self.table)):
            if value is not None:
                raise UsageError(f"{name} has no effect: DATA is not the URL of a database.", "Leave it out.")
        return data

    @property
    def columns(self) -> Columns:
        """The columns that are named; None = to be inferred."""
        from forecaster.data.panel import Columns

        return Columns(self.series, self.timestamp, self.target)

    def read_options(self) -> ReadOptions:
        """How to read the data, as far as it is given. UsageError for an unknown time zone."""
        from forecaster.data.reading.read_options import ReadOptions

        options = ReadOptions.of(self.columns, zone=self.zone, timestamp_format=self.timestamp_format)
        rows = replace(options.rows, since=self.since, until=self.until, ignore=self.ignore)
        return replace(options, text=self.text_options, rows=rows)

    @property
    def text_options(self) -> TextOptions:
        """How the file is written, as far as it is given. UsageError for an unknown encoding or mark."""
        from forecaster.data.reading.csv_bytes import check_encoding
        from forecaster.data.reading.number_form import NumberForm
        from forecaster.data.row_options import TextOptions

        if self.decimal is not None or self.thousands is not None:
            NumberForm(self.decimal or ("," if self.thousands == "." else "."), self.thousands or "")
        encoding = None if self.encoding is None else check_encoding(self.encoding)
        return TextOptions(encoding, self.decimal, self.thousands)


@dataclass(frozen=True)
class FrequencyOptions:
    """The step of the timestamps."""

    freq: str | None = option(None, "Step of the timestamps (default: inferred).", "Input")
    all_slots: bool = switch(False, "Also forecast times of the day or week that never have a value.", "Input")
    snap: bool = switch(False, "Move timestamps to the grid of the frequency.", "Input")
    resample: str | None = option(None, "Join rows to periods of this frequency, e.g. h.", "Input")
    aggregate: str | None = choice(
        None, "forecaster.data.row_options:AGGREGATES", "What rows with one timestamp become.", "Input"
    )
    leading_zeros: str | None = choice(
        None,
        "forecaster.data.row_options:LEADING_ZEROS",
        "Zeros before a series' first value (default: left out where it is clear that nothing was there yet).",
        "Input",
    )

    def with_step(self, options: ReadOptions) -> ReadOptions:
        """`options` with the step and its slots, as far as they are given. UsageError for an unknown frequency."""
        from forecaster.data.freq import Freq
        from forecaster.data.reading.periods import Periods, refuse_anchor

        if self.resample is not None:
            if self.freq is not None:
                raise UsageError("--freq has no effect with --resample, which says the step.", "Leave one out.")
            Periods.parse(self.resample)
        if self.snap and self.freq is not None:
            refuse_anchor(self.freq)
        rows = replace(
            options.rows,
            all_slots=self.all_slots or None,
            snap="auto" if self.snap else None,
            resample=self.resample,
            aggregate=self.aggregate,
            leading_zeros=self.leading_zeros,
        )
        return replace(options, freq=None if self.freq is None else Freq.parse(self.freq), rows=rows)


@dataclass(frozen=True)
class GridOptions(FrequencyOptions, InputOptions):
    """How the data is read, and put on a grid; with a stored model, as far as that leaves it open."""

    def read_options(self) -> ReadOptions:
        """How to read the data, as far as it is given. UsageError for an unknown frequency or time zone."""
        return self.with_step(super().read_options())


@dataclass(frozen=True)
class EventOptions:
    """Events of one's own."""

    events: str | None = option(None, "File of events: date, name; optionally series, before, after.", "Input")


@dataclass(frozen=True)
class HoldoutOptions:
    """The test windows of a backtest."""

    windows: int | None = count("Test windows per series.", "Testing")


@dataclass(frozen=True)
class BaselineOptions:
    """The baselines that a model is compared with."""

    baselines: str = choice("naive", "naive all", "Baselines to compare with; all adds slower ones.", "Testing")


@dataclass(frozen=True)
class DeviceOptions:
    """The processor that networks run on."""

    device: str = option(
        "auto", "Where networks run: auto, cpu, gpu or gpu:N, counted from 0.", "Running", kind="device",
        choices=("auto", "cpu", "gpu"),
    )  # fmt: skip

    @property
    def device_here(self) -> str:
        """What graphs run on in this process: with workers of Ray on processors, as theirs do."""
        return "cpu" if getattr(self, "engine", "local") != "local" else self.device

    def refuse_gpu_of_workers(self) -> None:
        """UsageError for a GPU where workers of Ray compute, on processors."""
        if self.device.startswith("gpu") and getattr(self, "engine", "local") != "local":
            raise UsageError(
                f"--engine {getattr(self, 'engine', '')}: workers compute on processors.",
                "Leave out --engine or --device.",
            )


@dataclass(frozen=True)
class ServeOptions(DeviceOptions):
    """Which stored model runs, and which library runs it."""

    model: str | None = option(
        None, "NAME, NAME@VERSION or pretrained (default: the model trained last).", "Store", kind="model"
    )
    runtime: str = choice("onnx", "onnx tensorflow", "Library that runs the network.", "Running")


@dataclass(frozen=True)
class AdaptOptions:
    """Whether a stored calibration is updated with rows after the training."""

    adapt: bool = switch(True, "Also calibrate the quantiles on rows after the training.", "Forecast")


@dataclass(frozen=True)
class PlotOptions:
    """Which series are drawn."""

    plot_series: tuple[str, ...] = option((), "Series to draw (default: some).", "Drawing", kind="columns")


@dataclass(frozen=True)
class MemoryOptions:
    """The memory of the networks: gradients through time."""

    memory: bool = switch(False, "Show how far back the networks' gradients go.", "Memory")
    plot_memory: str | None = option(None, "Draw the gradients to FILE.png or FILE.html.", "Memory")

    def refuse_idle_memory_plot(self) -> None:
        """UsageError for a plot of the memory that is not shown."""
        if self.plot_memory and not self.memory:
            raise UsageError("--plot-memory has no effect without --memory.", "Give --memory, too.")


@dataclass(frozen=True)
class MachineOptions:
    """How many processors are used."""

    threads: int | None = count("Processor threads (default: all).", "Running")


@dataclass(frozen=True)
class EngineOptions(MachineOptions):
    """Where the work is done."""

    engine: str = choice("local", "local ray", "What runs it: this process, or workers of Ray.", "Running")
    ray_address: str | None = option(None, "Ray cluster, e.g. auto (default: one is started here).", "Running")
    workers: int | None = count("Workers of Ray (default: as many as there are processors).", "Running")

    def refuse_idle_ray(self) -> None:
        """UsageError for options of Ray without it."""
        for name in ("ray_address", "workers"):
            if getattr(self, name) is not None and self.engine != "ray":
                flag = f"--{name.replace('_', '-')}"
                raise UsageError(f"{flag} has no effect without --engine ray.", "Leave it out, or give --engine ray.")


@dataclass(frozen=True)
class LockOptions:
    """How long to wait for a lock of another run."""

    wait: float | None = option(
        None, "Wait up to this long for a lock, e.g. 5m.", "Running", kind="duration", bounds="[0, inf)"
    )
