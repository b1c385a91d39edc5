"""JOBS.toml, the jobs of `batch` and `schedule`. Every name and value is checked before anything runs.

    status = "status.json"          # for health probes, and to skip jobs that are done
    schedule = "15 4 * * *"         # for `forecaster schedule`
    zone = "Europe/Berlin"          # of the schedule and of {date}

    [defaults]                      # any key of a job
    wait = "10m"

    [jobs.sales]
    command = "predict"             # or train, evaluate, check, monitor, prune
    data = "in/sales.csv"
    model = "sales"
    output = "out/{date}/sales.csv"

Paths are relative to the file's folder, so that cron may start anywhere.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from forecaster.commands.batch.dependencies import refuse_impossible_orders, with_prerequisites
from forecaster.config import (
    CheckSettings,
    EvaluateSettings,
    MonitorSettings,
    PredictSettings,
    PruneSettings,
    TrainSettings,
)
from forecaster.config.option import option, options, spelling
from forecaster.config.resolve import from_mapping, parse_toml
from forecaster.errors import UsageError, nearest
from forecaster.storage.addresses import address, is_database, is_url, may_be_database, resolved, with_selection

COMMANDS: Mapping[str, type] = {
    "predict": PredictSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
    "check": CheckSettings,
    "monitor": MonitorSettings,
    "prune": PruneSettings,
}
_NEEDED = {
    "predict": ("output",),
    "train": ("data",),
    "check": ("data",),
    "monitor": ("data", "ledger"),
    "prune": ("name",),
}
# Arguments of a command that are no options of it.
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {"monitor": ("ledger",), "prune": ("name",)}

_PATHS = (
    "data",
    "output",
    "models",
    "ledger",
    "future",
    "events",
    "plot",
    "report",
    "anomalies",
)  # keys that name files and folders
_WRITTEN = ("plot", "report", "anomalies", "ledger")  # beside the output
_DATED = (*_WRITTEN, "future", "events")  # in which {date} is filled in, as in data and output
_PLACEHOLDER = re.compile(r"(?<!\$)\{(\w*)\}")  # ${NAME} is a variable of the environment
_KNOWN_PLACEHOLDERS = ("date", "series")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")

CommandSettings: TypeAlias = (
    PredictSettings | TrainSettings | EvaluateSettings | CheckSettings | MonitorSettings | PruneSettings
)


@dataclass(frozen=True)
class JobSettings:
    """The keys of a job in addition to its command's options."""

    command: str = option(
        "predict", "predict, train, evaluate, check, monitor or prune.", kind="choice", choices=tuple(COMMANDS)
    )
    data: str | None = option(None, "Input file.")
    output: str | None = option(None, "Output file.")
    wait: float | None = option(
        None, "How long to wait for the input and for locks.", kind="duration", bounds="[0, inf)"
    )
    timeout: float | None = option(None, "Maximum run time.", kind="duration", bounds="(0, inf)")
    schedule: str | None = option(None, "When to run it, in cron's five fields.")
    after: tuple[str, ...] = option((), "Jobs that must have ended well before.", kind="names")
    only_if: str | None = option(None, "Run it only if this monitor job says retrain.")
    retries: int = option(0, "How often to try a failed job again.", kind="int", bounds="[0, inf)")
    retry_wait: float = option(60.0, "How long to wait before.", kind="duration", bounds="[0, inf)")
    on_failure: str | None = option(None, "Command to call with the job's name, exit code and message.")


@dataclass(frozen=True)
class JobsFileSettings:
    """The keys at the top of the file."""

    status: str | None = option(None, "File for health probes.")
    schedule: str = option("15 4 * * *", "When to run the jobs, in cron's five fields.")
    zone: str | None = option(None, "Time zone of the schedule and of {date}.")


@dataclass(frozen=True)
class BatchJob:
    """One job. Placeholders are not filled in yet."""

    name: str
    command: str
    data: str | None  # absolute path or URL; None = the data that the model was trained on
    output: str | None  # absolute path or URL; None = only the store, the ledger or the job's line is written
    wait: float  # seconds for the input and for locks
    timeout: float | None
    schedule: str
    settings: CommandSettings
    argument: str | None = None  # the ledger of a monitor job (absolute path), the model's name of a prune job
    after: tuple[str, ...] = ()
    only_if: str | None = None  # a monitor job
    retries: int = 0
    retry_wait: float = 60.0  # seconds
    on_failure: str | None = None  # a command line
    folder: Path = Path()  # of the jobs file
    decides: bool = False  # whether a job has it as its only_if

    @property
    def prerequisites(self) -> tuple[str, ...]:
        """The jobs that it runs after."""
        return tuple(dict.fromkeys((*self.after, *([self.only_if] if self.only_if else []))))

    def dated(self, date: str) -> BatchJob:
        """The job with {date} filled in."""
        data, output, argument = (
            text and text.replace("{date}", date) for text in (self.data, self.output, self.argument)
        )
        return replace(self, data=data, output=output, argument=argument, settings=_dated(self.settings, date))

    @property
    def writes(self) -> dict[str, str]:
        """What the job writes beside the store, by the option that names it. Several jobs may add to one ledger."""
        named = {"output": self.output, **{name: getattr(self.settings, name, None) for name in _WRITTEN}}
        return {name: place for name, place in named.items() if place and place != "-"}


@dataclass(frozen=True)
class JobsFile:
    """A jobs file."""

    path: Path  # absolute
    status: Path | None
    zone: str | None
    jobs: tuple[BatchJob, ...]

    def only(self, names: tuple[str, ...]) -> tuple[BatchJob, ...]:
        """The jobs of these names and those that they run after, in the file's order; all without names.

        UsageError for an unknown name.
        """
        known = tuple(job.name for job in self.jobs)
        for name in names:
            if name not in known:
                raise UsageError(f"{self.path}: there is no job '{name}'.", nearest(name, known))
        chosen = with_prerequisites(self.jobs, names)
        return tuple(job for job in self.jobs if not names or job.name in chosen)


def load_jobs(path: str | Path) -> JobsFile:
    """A jobs file, checked. UsageError where it cannot be read, has unknown keys or contradicts itself."""
    file, where = Path(path).absolute(), str(path)
    content = parse_toml(file, where)
    tables = {key: content.pop(key) for key in ("defaults", "jobs") if key in content}
    if "jobs" not in tables or not isinstance(tables["jobs"], dict) or not tables["jobs"]:
        raise UsageError(f"{where}: has no job.", 'Add a table [jobs.NAME] with data = "FILE.csv".')
    top = from_mapping(JobsFileSettings, content, where)
    defaults = tables.get("defaults", {})
    if not isinstance(defaults, dict):
        raise UsageError(f"{where}: defaults is not a table.", "Write [defaults].")
    _refuse_unknown_defaults(defaults, where)
    jobs = []
    for name, table in tables["jobs"].items():
        if not isinstance(table, dict):
            raise UsageError(f"{where}: jobs.{name} is not a table.", f"Write [jobs.{name}].")
        jobs.append(_job(str(name), defaults, table, f"{where}: [jobs.{name}]", file.parent, top))
    _refuse_shared_outputs(jobs, where)
    refuse_impossible_orders(jobs, where)
    deciding = {job.only_if for job in jobs}
    jobs = [replace(job, decides=job.name in deciding) for job in _with_schedules(jobs, where)]
    return JobsFile(
        path=file,
        status=file.parent / top.status if top.status else None,
        zone=top.zone,
        jobs=tuple(jobs),
    )


def _job(
    name: str,
    defaults: Mapping[str, object],
    table: Mapping[str, object],
    where: str,
    folder: Path,
    top: JobsFileSettings,
) -> BatchJob:
    if not _NAME.fullmatch(name):
        raise UsageError(f"{where}: '{name}' is not a job's name.", "Use letters, digits, '.', '_' and '-'.")
    command = table.get("command", defaults.get("command", "predict"))
    if command not in COMMANDS:
        raise UsageError(f"{where}: command: '{command}' is not one of {', '.join(COMMANDS)}.")
    settings = COMMANDS[str(command)]
    known = _names(JobSettings, settings) | set(_ARGUMENTS.get(str(command), ()))
    both = {key: value for key, value in defaults.items() if _plain(key) in known} | dict(table)
    given = {_plain(key): value for key, value in both.items()}
    own = from_mapping(JobSettings, {key: given.pop(key) for key in options(JobSettings) if key in given}, where)
    for key in _PATHS:
        if isinstance(given.get(key), str):
            given[key] = resolved(str(given[key]), folder)
    arguments = [given.pop(key) for key in _ARGUMENTS.get(own.command, ()) if key in given]
    if own.command == "monitor" and arguments:
        arguments = [resolved(str(arguments[0]), folder)]
    data = _data(own, given, where, folder)
    _check_places(own, arguments, where)
    _check_placeholders(own, [str(one) for one in (*arguments, *map(given.get, _DATED)) if one], where)
    given.setdefault("models", str(folder / "models"))
    return BatchJob(
        name=name,
        command=own.command,
        data=data,
        output=resolved(own.output, folder) if own.output else None,
        wait=own.wait or 0.0,
        timeout=own.timeout,
        schedule=own.schedule or ("" if own.after or own.only_if else top.schedule),
        settings=_settings(settings, given, where),
        argument=str(arguments[0]) if arguments else None,
        after=own.after,
        only_if=own.only_if,
        retries=own.retries,
        retry_wait=own.retry_wait,
        on_failure=own.on_failure,
        folder=folder,
    )


def _settings(settings: type[CommandSettings], given: Mapping[str, object], where: str) -> CommandSettings:
    """The settings of a job's command. UsageError that begins with `where`, also where values contradict each other."""
    try:
        return from_mapping(settings, given, where)
    except UsageError as fault:
        if fault.message.startswith(where):
            raise
        raise UsageError(f"{where}: {fault.message}", fault.hint) from None


def _data(own: JobSettings, given: dict[str, object], where: str, folder: Path) -> str | None:
    """A job's data: an absolute path, or a URL with what is to be read in it. UsageError where a URL does not say that."""
    query, table = (None if (value := given.pop(key, None)) is None else str(value) for key in ("query", "table"))
    if own.data and may_be_database(own.data, query or table):
        try:
            return resolved(with_selection(own.data, query, table), folder)
        except UsageError as fault:
            raise UsageError(f"{where}: {fault.message}", fault.hint) from None
    if query or table:
        raise UsageError(
            f"{where}: query and table have no effect: data is not the URL of a database.", "Leave them out."
        )
    return resolved(own.data, folder) if own.data else None


def _with_schedules(jobs: list[BatchJob], where: str) -> list[BatchJob]:
    """The jobs; those that run after others have the schedule of these. UsageError where they cannot."""
    when = {job.name: job.schedule for job in jobs}
    for _ in jobs:  # as long as the longest chain, at most
        for job in jobs:
            found = {when[name] for name in job.prerequisites} - {""}
            if len(found) > 1 or (found and when[job.name] not in (*found, "")):
                raise UsageError(
                    f"{where}: [jobs.{job.name}]: runs after jobs with other schedules.", "Give them the same schedule."
                )
            when[job.name] = when[job.name] or next(iter(found), "")
    return [replace(job, schedule=when[job.name]) for job in jobs]


def _check_places(own: JobSettings, arguments: list[object], where: str) -> None:
    """UsageError for inputs and outputs that a job cannot have, and for those that it needs and lacks."""
    there = {"data": own.data, "output": own.output, "ledger": arguments, "name": arguments}
    for key in _NEEDED.get(own.command, ()):
        if not there[key]:
            what = "an output" if key == "output" else f"a {key}" if key != "data" else "data"
            value = "NAME" if key == "name" else "FILE.db" if key == "ledger" else "FILE.csv"
            raise UsageError(f"{where}: a {own.command} job needs {what}.", f'Add {key} = "{value}".')
    if own.on_failure is not None:
        try:
            words = shlex.split(own.on_failure)
        except ValueError as error:
            raise UsageError(f"{where}: on_failure: {error}.", "Close the quote.") from None
        if not words:
            raise UsageError(f"{where}: on_failure names no command.", "Name a program, or leave it out.")
    if own.command == "prune" and (own.data or own.output):
        raise UsageError(f"{where}: a prune job has no data and no output.", "Leave them out.")
    if own.data == "-" or own.output == "-":
        raise UsageError(f"{where}: a job has no standard input or output of its own.", "Name files.")
    if own.output and is_database(own.output) and own.command != "predict":
        raise UsageError(f"{where}: only forecasts are written to a database.", "Name a file as the output.")
    if own.output and own.output.endswith("/"):
        raise UsageError(f"{where}: a job writes no folder.", "Name a file, or run `forecaster predict` for it.")
    if "{series}" in str(Path(own.output or "").parent):
        raise UsageError(f"{where}: {{series}} may be in the output's file name only.", "Move it there.")


def _check_placeholders(own: JobSettings, others: Sequence[str], where: str) -> None:
    """UsageError for a placeholder that means nothing: in the data, the output, or the `others`, paths that options name."""
    for text in (own.data or "", own.output or "", *others):
        for found in _PLACEHOLDER.findall(text):
            if found not in _KNOWN_PLACEHOLDERS or (
                found == "series" and (text != own.output or own.command != "predict")
            ):
                raise UsageError(
                    f"{where}: '{{{found}}}' means nothing here.", "Known: {date}; {series} in predict's output."
                )


def _refuse_unknown_defaults(defaults: Mapping[str, object], where: str) -> None:
    """UsageError for a default that no command knows."""
    known = _names(JobSettings, *COMMANDS.values())
    for key in defaults:
        if _plain(key) not in known:
            raise UsageError(f"{where}: [defaults]: unknown key '{key}'.", nearest(key, tuple(sorted(known))))


def _refuse_shared_outputs(jobs: list[BatchJob], where: str) -> None:
    """UsageError where two jobs write the same file: the second would overwrite the first."""
    seen: dict[str, str] = {}
    for job in jobs:
        if job.output:
            place = job.output if is_url(job.output) else os.path.normpath(job.output)
            # Jobs with different models add rows of their own to one table.
            other = job.name if is_table_of_many(job.output) else seen.setdefault(place, job.name)
            if other != job.name:
                raise UsageError(f"{where}: jobs '{other}' and '{job.name}' write the same output.", "Rename one.")


def is_table_of_many(output: str) -> bool:
    """Whether several jobs may write it: a table to which each adds its rows."""
    return is_database(output) and address(output).rows == "append"


def _dated(settings: CommandSettings, date: str) -> CommandSettings:
    """The settings with {date} filled in in the files that they name."""
    named = {name: getattr(settings, name, None) for name in _DATED}
    return replace(settings, **{name: text.replace("{date}", date) for name, text in named.items() if text})


def _names(*kinds: type) -> set[str]:
    """The names of the options of these settings."""
    return {called for kind in kinds for name, item in options(kind).items() for called in (name, spelling(name, item))}


def _plain(key: str) -> str:
    return key.replace("-", "_")
