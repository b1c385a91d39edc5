"""The settings of every command, each option once.

From a field come its flag, its `FORECASTER_*` variable, its TOML key, its Python keyword, its checks and its completion
(`options.py`). None means "not given": the plan (train) or the model's manifest (evaluate, predict) decides.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from forecaster.errors import UsageError, nearest
from forecaster.options import Option, Value, choice, count, flag, option, options, read, spelling, switch
from forecaster.options import parse_duration as parse_duration

FILE = "forecaster.toml"  # read from the working directory where --config is not given
PREFIX = "FORECASTER_"

S = TypeVar("S")


@dataclass(frozen=True)
class CommonSettings:
    """What every command takes."""

    config: str | None = option(None, f"Read settings from this TOML file (default: {FILE}, if there).")
    json: bool = switch(False, "Print one JSON object; errors too.")
    quiet: bool = switch(False, "Print the result and errors only.")
    verbose: bool = switch(False, "Print more, and TensorFlow's own log.")


@dataclass(frozen=True)
class StoreSettings:
    """Where models are kept."""

    models: str = option("models", "Directory of stored models.", "Store")


@dataclass(frozen=True)
class InputSettings:
    """How the data is read."""

    series: str | None = option(None, "Column that names the series (default: inferred).", "Input")
    timestamp: str | None = option(None, "Column of timestamps (default: inferred).", "Input")
    target: str | None = option(None, "Column to forecast (default: inferred).", "Input")
    zone: str | None = option(None, "Zone of the timestamps, e.g. Europe/Berlin.", "Input")
    timestamp_format: str | None = option(None, "Format of the timestamps, e.g. %d.%m.%Y.", "Input")


@dataclass(frozen=True)
class JudgeSettings:
    """How a model is held against the baselines, and with how much of the machine."""

    windows: int | None = count("Held-back windows per series for the scores.", "Judging")
    baselines: str = choice("naive", "naive all", "Baselines to judge against; all adds a learned one.", "Judging")


@dataclass(frozen=True)
class ServeSettings:
    """Which stored model runs, and on what."""

    model: str | None = option(None, "NAME or NAME@VERSION (default: the model trained last).", "Store", kind="model")
    runtime: str = choice("onnx", "onnx tensorflow", "What runs the network.", "Running")


@dataclass(frozen=True)
class MachineSettings:
    """How much of the machine is used."""

    threads: int | None = count("Processor threads (default: all).", "Running")


@dataclass(frozen=True)
class TrainSettings(MachineSettings, JudgeSettings, StoreSettings, InputSettings):
    """Settings of `train`."""

    freq: str | None = option(None, "Step of the timestamps (default: inferred).", "Input")
    season_length: int | None = count("Steps in a season; 1 = none (default: from freq).", "Input")
    name: str | None = option(None, "Name to store the model under (default: the data file's stem).", "Store")
    horizon: int | None = count("Steps ahead to forecast.", "Forecast")
    quantiles: tuple[float, ...] = option((0.1, 0.5, 0.9), "Levels, or none.", "Forecast", kind="quantiles")

    cell: str | None = choice(None, "forecaster.models.cells:CELLS", "Recurrent cell.", "Network")
    units: int | None = count("Width of each recurrent layer.", "Network")
    layers: int | None = count("Recurrent layers.", "Network")
    bidirectional: bool | None = switch(None, "Read the context in both directions.", "Network")
    dropout: float | None = option(None, "Share of units dropped.", "Network", kind="float", bounds="[0, 1)")
    residual: bool | None = switch(None, "Add each layer's input to its output.", "Network")
    reset_after: bool | None = switch(None, "GRU: reset gate behind the product, as cuDNN has it.", "Network")
    context_length: int | None = count("Observations that the network sees.", "Network")
    segment: int | None = count("Observations per recurrent step; 1 = the textbook's network.", "Network")
    head: str | None = choice(None, "forecaster.models.heads:HEADS", "From states to forecast.", "Network")
    transform: str | None = choice(
        None, "auto forecaster.models.transforms:TRANSFORMS", "Transform of the values.", "Network"
    )
    linear: bool | None = switch(None, "Add a linear path from context to horizon.", "Network")
    calendar: bool | None = switch(None, "Tell the network each step's hour, weekday, time of year.", "Network")
    center: str | None = choice(None, "forecaster.models.transforms:CENTERS", "What is subtracted first.", "Network")
    input_initializer: str | None = choice(
        None, "forecaster.models.cells:INITIALIZERS", "First input weights.", "Network"
    )
    recurrent_initializer: str | None = choice(
        None, "forecaster.models.cells:INITIALIZERS", "First recurrent weights.", "Network"
    )
    floor: float | None = option(
        None, "Share of a statistical forecast in the blend; 0 = none.", "Network", kind="float", bounds="[0, 1]"
    )
    members: int | None = count("Networks whose median is the forecast.", "Network")

    loss: str | None = choice(None, "forecaster.models.losses:LOSSES", "What is minimised.", "Fitting")
    error_scale: str | None = choice(
        None, "forecaster.models.losses:ERROR_SCALES", "What errors are divided by.", "Fitting"
    )
    epochs: int | None = count("Epochs, at most.", "Fitting")
    batch_size: int | None = count("Windows per step.", "Fitting")
    steps_per_epoch: int | None = count("Steps per epoch.", "Fitting")
    learning_rate: float | None = option(None, "Adam's first rate.", "Fitting", kind="float", bounds="(0, inf)")
    schedule: str | None = choice(None, "forecaster.models.fit:SCHEDULES", "Course of the rate.", "Fitting")
    clip_norm: float | None = option(
        None, "Largest norm of the gradient; 0 = any.", "Fitting", kind="float", bounds="[0, inf)"
    )
    patience: int | None = option(
        None, "Epochs without gain before stopping; 0 = never stop.", "Fitting", kind="int", bounds="[0, inf)"
    )
    seed: int = option(0, "Decides whatever is random.", "Fitting", kind="int", bounds="[0, 4294967296)")
    time_budget: float | None = option(
        None, "Stop fitting after this long, e.g. 5m.", "Fitting", kind="duration", bounds="(0, inf)"
    )
    resume: bool = switch(False, "Go on from this model's current version.", "Fitting")
    start_from: str | None = option(None, "Start with this model's weights.", "Fitting", kind="model", flag="from")
    final_fit: bool = switch(True, "After judging, fit again on all rows.", "Fitting")
    promote_if_better: float | None = option(
        None,
        "Serve the new version only if it is better by this share.",
        "Judging",
        kind="margin",
        bounds="[0, 1)",
    )
    wait: float | None = option(
        None, "Wait this long for a lock, e.g. 5m.", "Running", kind="duration", bounds="[0, inf)"
    )
    device: str = choice("auto", "auto cpu gpu", "Where to fit.", "Running")


@dataclass(frozen=True)
class EvaluateSettings(MachineSettings, JudgeSettings, ServeSettings, StoreSettings, InputSettings):
    """Settings of `evaluate`."""

    refit: bool = switch(False, "Fit fresh weights for every window.", "Judging")


@dataclass(frozen=True)
class PredictSettings(MachineSettings, ServeSettings, StoreSettings, InputSettings):
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
    ledger: str | None = option(None, "Note what was forecast in this SQLite file.", "Forecast")
    wait: float | None = option(
        None, "Wait this long for a lock, e.g. 5m.", "Running", kind="duration", bounds="[0, inf)"
    )


@dataclass(frozen=True)
class CheckSettings(StoreSettings, InputSettings):
    """Settings of `check`."""

    freq: str | None = option(None, "Step of the timestamps (default: inferred).", "Input")
    model: str | None = option(None, "Hold the data against this model, NAME or NAME@VERSION.", "Store", kind="model")


@dataclass(frozen=True)
class PruneSettings(StoreSettings):
    """Settings of `models prune`."""

    keep: int = option(
        3, "Newest versions to keep, beside the one that serves.", "Store", kind="int", bounds="[1, inf)"
    )


@dataclass(frozen=True)
class BatchSettings(MachineSettings):
    """Settings of `batch`."""

    only: str | None = option(None, "Run only this job, or these: NAME,NAME.", "Jobs")
    dry_run: bool = switch(False, "Say what would be done, and do nothing.", "Jobs")
    force: bool = switch(False, "Do again what is done already.", "Jobs")
    status: str | None = option(None, "Keep track in this file, for health probes (default: the jobs file's).", "Jobs")
    wait: float | None = option(
        None, "Wait this long for a lock, e.g. 5m.", "Running", kind="duration", bounds="[0, inf)"
    )


@dataclass(frozen=True)
class MonitorSettings(InputSettings):
    """Settings of `monitor`."""

    model: str | None = option(None, "NAME or NAME@VERSION (default: what forecast last).", "Judging")


@dataclass(frozen=True)
class ScheduleSettings:
    """Settings of `schedule`."""

    cron: bool = switch(False, "Print lines for a crontab (the default).", "Form")
    systemd: bool = switch(False, "Print service and timer units.", "Form")
    only: str | None = option(None, "Schedule only this job, or these: NAME,NAME.", "Form")
    log: str | None = option(None, "File for the jobs' lines (default: beside the jobs file).", "Form")


# One row per command that has settings: their names are the tables that a TOML file may hold.
SETTINGS: Mapping[str, type] = {
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "predict": PredictSettings,
    "check": CheckSettings,
}
EVERY_SETTINGS: tuple[type, ...] = (
    CommonSettings,
    *SETTINGS.values(),
    PruneSettings,
    BatchSettings,
    MonitorSettings,
    ScheduleSettings,
)


@dataclass(frozen=True)
class ConfigFile:
    """A TOML file, its names checked; values are checked by the command that uses them."""

    where: str  # for messages
    shared: Mapping[str, object]  # field → value, for every command that has the field
    tables: Mapping[str, Mapping[str, object]]  # command → field → value

    def values(self, settings: type, command: str) -> dict[str, Value]:
        """The checked values for one settings class: the command's own table wins over the shared keys."""
        own = {**self.shared, **self.tables.get(command, {})}
        return _read_all(
            settings,
            {key: own[key] for key in own if key in options(settings)},
            _label(settings, self.where),
            text=False,
        )


def from_mapping(settings: type[S], mapping: Mapping[str, object], where: str) -> S:
    """Settings from typed values, as TOML and Python give them; None means "not given".

    Unknown names (with the nearest known one), wrong types, values out of range and contradictions are UsageErrors
    that begin with `where`.
    """
    named = {_field(key, options(settings), where, "option"): value for key, value in mapping.items()}
    given = {name: value for name, value in named.items() if value is not None}
    return _settle(settings, _read_all(settings, given, _label(settings, where), text=False))


def resolve(
    settings: type[S], flags: Mapping[str, object], environment: Mapping[str, str], file: ConfigFile, command: str
) -> S:
    """Settings of one command. Precedence: flags (field → text; None = not given), variables, file, defaults."""
    known = options(settings)
    variables = {name: text for name in known if (text := environment.get(_variable(name, known[name])))}
    given = {name: value for name, value in flags.items() if value is not None and name in known}
    return _settle(
        settings,
        {
            **file.values(settings, command),
            **_read_all(settings, variables, lambda name: _variable(name, known[name]), text=True),
            **_read_all(settings, given, lambda name: flag(name, known[name]), text=True),
        },
    )


def refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """UsageError for a `FORECASTER_*` variable that no command knows: it would be ignored, and nobody would see it."""
    known = sorted({_variable(name, item) for one in EVERY_SETTINGS for name, item in options(one).items()})
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            raise UsageError(f"unknown variable {name}.", nearest(name, tuple(known)))


def load_toml(path: str | None) -> ConfigFile:
    """The settings file `path`, or `forecaster.toml` in the working directory if it is there, or nothing.

    Keys at the top are for every command that has them, the tables [train], [evaluate], [predict], [check] for one command.
    A file that cannot be read and a key that no command knows are UsageErrors.
    """
    if path is None and not Path(FILE).is_file():
        return ConfigFile(FILE, {}, {})
    where = path or FILE
    content = parse_toml(Path(where), where)
    common = {name: item for name, item in options(CommonSettings).items() if name != "config"}
    everywhere = {name: item for one in EVERY_SETTINGS for name, item in options(one).items() if name != "config"}
    shared: dict[str, object] = {}
    tables: dict[str, dict[str, object]] = {}
    for key, value in content.items():
        if key in SETTINGS and isinstance(value, dict):
            known = common | options(SETTINGS[key])
            tables[key] = {_field(name, known, f"{where}: [{key}]", "key"): item for name, item in value.items()}
        else:
            shared[_field(key, everywhere, where, "key")] = value
    return ConfigFile(where, shared, tables)


def parse_toml(path: Path, where: str) -> dict[str, object]:
    """What a TOML file holds. UsageError that begins with `where` for one that cannot be read."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        content: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
        return content
    except OSError as error:
        raise UsageError(f"{where}: cannot be read ({error.strerror}).", "Name a TOML file.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{where}: not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{where}: not TOML: {error}.") from None


def _field(key: str, known: Mapping[str, Option], where: str, noun: str) -> str:
    """The field that `key` names: its own name or its flag, with dashes or underscores."""
    plain = key.replace("-", "_")
    for name, item in known.items():
        if plain in (name, spelling(name, item)):
            return name
    raise UsageError(f"{where}: unknown {noun} '{key}'.", nearest(plain, tuple(sorted(known))))


def _label(settings: type, where: str) -> Callable[[str], str]:
    known = options(settings)
    return lambda name: f"{where}: {spelling(name, known[name])}"


def _variable(name: str, known: Option) -> str:
    return PREFIX + spelling(name, known).upper()


def _read_all(
    settings: type, given: Mapping[str, object], label: Callable[[str], str], *, text: bool
) -> dict[str, Value]:
    known = options(settings)
    return {name: read(known[name], value, label(name), text=text) for name, value in given.items()}


def _settle(settings: type[S], values: dict[str, Value]) -> S:
    """The settings, unless options contradict each other: none may be ignored silently."""
    if "reset_after" in values and "cell" in values:
        from forecaster.models.cells import CELLS

        if not CELLS[str(values["cell"])].has_reset_gate:
            raise UsageError(f"reset_after means nothing to cell {values['cell']}.", "Leave it out, or take cell gru.")
    if values.get("quiet") and values.get("verbose"):
        raise UsageError("quiet and verbose exclude each other.", "Keep one.")
    if values.get("resume") and values.get("start_from"):
        raise UsageError("resume and from exclude each other.", "Keep the one that names where to start.")
    if values.get("promote_if_better") is not None and (values.get("resume") or values.get("start_from")):
        raise UsageError(
            "promote_if_better needs weights that have not seen the held-back rows.", "Leave resume and from out."
        )
    return settings(**values)
