"""JOBS.toml, the jobs of `batch` and `schedule`. Every name and value is checked before anything runs.

    status = "status.json"          # for health probes, and to skip jobs that are done
    schedule = "15 4 * * *"         # for `forecaster schedule`
    zone = "Europe/Berlin"          # of the schedule and of {date}

    [defaults]                      # any key of a job
    wait = "10m"

    [jobs.sales]
    command = "predict"             # or train, evaluate
    data = "in/sales.csv"
    model = "sales"
    output = "out/{date}/sales.csv"

Paths are relative to the file's folder, so that cron may start anywhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from forecaster.config import EvaluateSettings, PredictSettings, TrainSettings
from forecaster.config.option import option, options, spelling
from forecaster.config.resolve import from_mapping, parse_toml
from forecaster.errors import UsageError, nearest

COMMANDS: Mapping[str, type] = {
    "predict": PredictSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
}
_PATHS = ("data", "output", "models", "ledger", "future", "plot", "report")  # keys that name files and folders
_PLACEHOLDER = re.compile(r"\{(\w*)\}")
_KNOWN_PLACEHOLDERS = ("date", "series")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")

CommandSettings: TypeAlias = PredictSettings | TrainSettings | EvaluateSettings


@dataclass(frozen=True)
class JobSettings:
    """The keys of a job in addition to its command's options."""

    command: str = option("predict", "predict, train or evaluate.", kind="choice", choices=tuple(COMMANDS))
    data: str | None = option(None, "Input file.")
    output: str | None = option(None, "Output file.")
    wait: float | None = option(
        None, "How long to wait for the input and for locks.", kind="duration", bounds="[0, inf)"
    )
    timeout: float | None = option(None, "Maximum run time.", kind="duration", bounds="(0, inf)")
    schedule: str | None = option(None, "When to run it, in cron's five fields.")


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
    data: str | None  # absolute path; None = the file that the model was trained on
    output: str | None  # absolute path; None = only the store, the ledger or the job's line is written
    wait: float  # seconds for the input and for locks
    timeout: float | None
    schedule: str
    settings: CommandSettings

    def dated(self, date: str) -> BatchJob:
        """The job with {date} filled in."""
        data, output = (text and text.replace("{date}", date) for text in (self.data, self.output))
        return replace(self, data=data, output=output, settings=_dated(self.settings, date))


@dataclass(frozen=True)
class JobsFile:
    """A jobs file."""

    path: Path  # absolute
    status: Path | None
    zone: str | None
    jobs: tuple[BatchJob, ...]

    def only(self, names: tuple[str, ...]) -> tuple[BatchJob, ...]:
        """The jobs of these names, in the file's order; all without names. UsageError for an unknown name."""
        known = tuple(job.name for job in self.jobs)
        for name in names:
            if name not in known:
                raise UsageError(f"{self.path}: there is no job '{name}'.", nearest(name, known))
        return tuple(job for job in self.jobs if not names or job.name in names)


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
    known = _names(JobSettings, settings)
    both = {key: value for key, value in defaults.items() if _plain(key) in known} | dict(table)
    given = {_plain(key): value for key, value in both.items()}
    own = from_mapping(JobSettings, {key: given.pop(key) for key in options(JobSettings) if key in given}, where)
    for key in _PATHS:
        if isinstance(given.get(key), str):
            given[key] = str(folder / str(given[key]))
    _check_places(own, where)
    given.setdefault("models", str(folder / "models"))
    return BatchJob(
        name=name,
        command=own.command,
        data=str(folder / own.data) if own.data else None,
        output=str(folder / own.output) if own.output else None,
        wait=own.wait or 0.0,
        timeout=own.timeout,
        schedule=own.schedule or top.schedule,
        settings=from_mapping(settings, given, where),
    )


def _check_places(own: JobSettings, where: str) -> None:
    """UsageError for inputs and outputs that a job cannot have."""
    if own.data == "-" or own.output == "-":
        raise UsageError(f"{where}: a job has no standard input or output of its own.", "Name files.")
    if own.command == "predict" and not own.output:
        raise UsageError(f"{where}: a predict job needs an output.", 'Add output = "FILE.csv".')
    if "{series}" in str(Path(own.output or "").parent):
        raise UsageError(f"{where}: {{series}} may be in the output's file name only.", "Move it there.")
    if own.command == "train" and not own.data:
        raise UsageError(f"{where}: a train job needs data.", 'Add data = "FILE.csv".')
    for text in (own.data or "", own.output or ""):
        for found in _PLACEHOLDER.findall(text):
            if found not in _KNOWN_PLACEHOLDERS or (
                found == "series" and (text == own.data or own.command != "predict")
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
            other = seen.setdefault(os.path.normpath(job.output), job.name)
            if other != job.name:
                raise UsageError(f"{where}: jobs '{other}' and '{job.name}' write the same output.", "Rename one.")


def _dated(settings: CommandSettings, date: str) -> CommandSettings:
    """The settings with {date} filled in in the paths of a plot and a report."""
    named = {name: getattr(settings, name, None) for name in ("plot", "report")}
    return replace(settings, **{name: text.replace("{date}", date) for name, text in named.items() if text})


def _names(*kinds: type) -> set[str]:
    """The names of the options of these settings."""
    return {called for kind in kinds for name, item in options(kind).items() for called in (name, spelling(name, item))}


def _plain(key: str) -> str:
    return key.replace("-", "_")
