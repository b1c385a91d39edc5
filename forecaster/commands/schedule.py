"""The command `schedule`: a jobs file as crontab lines, or as systemd services and timers.

cronsim parses the fields. It also accepts forms that cron lacks (L, #, seconds, 5/2); these are refused here.
"""

from __future__ import annotations

import re
import shlex
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.commands.batch.jobs import BatchJob, JobsFile, load_jobs
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.config import ScheduleSettings

_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_PART = re.compile(r"(?:\*|\w+-\w+)(?:/\d+)?|\d+|[a-z]{3}", re.IGNORECASE)  # of a field, between commas
_WEEKDAYS = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class JobGroup:
    """The jobs of a file that run at the same times, in one process."""

    name: str  # of the unit
    when: tuple[str, ...]  # cron's five fields
    jobs: tuple[BatchJob, ...]
    all: bool  # whether the file has no other jobs


def schedule(path: str | Path, settings: ScheduleSettings) -> str:
    """The text to install. UsageError for a file with faults and for a time that cron does not accept."""
    if settings.cron and settings.systemd:
        raise UsageError("--cron and --systemd exclude each other.", "Keep one.")
    if settings.systemd and settings.log:
        raise UsageError("--log has no effect with --systemd: the journal keeps the log.", "Leave it out.")
    jobs = load_jobs(path)
    groups = _groups(jobs, tuple(filter(None, (settings.only or "").split(","))))
    if settings.systemd:
        return _systemd(jobs, groups)
    return _cron(jobs, groups, Path(settings.log).absolute() if settings.log else jobs.path.with_suffix(".log"))


def _groups(jobs: JobsFile, only: tuple[str, ...]) -> list[JobGroup]:
    """One group per schedule, so that jobs that are due together share one process."""
    chosen = jobs.only(only)
    groups: dict[tuple[str, ...], list[BatchJob]] = {}
    for job in chosen:
        groups.setdefault(_parse(job.schedule, f"{jobs.path}: [jobs.{job.name}]"), []).append(job)
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", jobs.path.stem).strip("-") or "jobs"
    return [
        JobGroup(
            name=f"forecaster-{stem}" + (f"-{number}" if len(groups) > 1 else ""),
            when=when,
            jobs=tuple(group),
            all=len(group) == len(jobs.jobs),
        )
        for number, (when, group) in enumerate(groups.items(), 1)
    ]


def _parse(text: str, where: str) -> tuple[str, ...]:
    """Cron's five fields, checked. Names such as MON become numbers, which every cron accepts."""
    fields = _NICKNAMES.get(text.strip(), text).split()
    if len(fields) != len(_FIELDS):
        raise UsageError(
            f"{where}: schedule '{text}' does not have five fields.", 'Expected e.g. "15 4 * * *" or "@hourly".'
        )
    for position, (name, low, high) in enumerate(_FIELDS):
        for part in fields[position].split(","):
            if not _PART.fullmatch(part) or not _values(part, position):
                raise UsageError(
                    f"{where}: schedule '{text}': {name} '{part}' is not in {low}-{high}.", "See crontab(5)."
                )
    return tuple(_in_numbers(field, position) for position, field in enumerate(fields))


def _in_numbers(field: str, position: int) -> str:
    return re.sub("[A-Za-z]{3}", lambda name: str(_values(name[0], position)[0]), field)


def _values(field: str, position: int) -> list[int]:
    """The numbers of one of cron's fields, ascending; empty where cron does not accept it."""
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise UsageError("schedule needs cronsim.", "Install it with `pip install cronsim`.") from None
    fields = ["*"] * len(_FIELDS)
    fields[position] = field
    try:
        parsed = CronSim(" ".join(fields), datetime(2000, 1, 1))
    except CronSimError:
        return []
    found = (parsed.minutes, parsed.hours, parsed.days, parsed.months, parsed.weekdays)[position]
    return sorted(value for value in found if isinstance(value, int))


def _command(jobs: JobsFile, group: JobGroup) -> list[str]:
    """The command to run. --quiet: standard output has a line for each job; errors go to standard error."""
    only = [] if group.all else ["--only", ",".join(job.name for job in group.jobs)]
    return [str(Path(sys.executable).absolute()), "-m", "forecaster", "batch", str(jobs.path), "--quiet", *only]


def _cron(jobs: JobsFile, groups: list[JobGroup], log: Path) -> str:
    lines = [
        "# Put these lines into `crontab -e`.",
        f"# Each run appends a line of JSON per job to {log}; cron mails errors.",
        "# A job that another run is doing is skipped; a run that could do no job for this reason exits with 75.",
    ]
    lines += ["SHELL=/bin/sh", "LC_ALL=C.UTF-8"]
    if jobs.zone:
        lines += [
            f"# The times are those of {jobs.zone} where cron knows CRON_TZ (cronie; not Debian's cron, nor busybox's).",
            f"CRON_TZ={jobs.zone}",
        ]
    for group in groups:
        command = " ".join(map(shlex.quote, _command(jobs, group)))
        line = f"cd {shlex.quote(str(jobs.path.parent))} && {command} >> {shlex.quote(str(log))}"
        lines.append(f"{' '.join(group.when)} {line.replace('%', chr(92) + '%')}")  # cron ends the command at a bare %
    lines += [
        f"# /etc/logrotate.d/{groups[0].name}:",
        f"#   {log} {{ weekly rotate 8 compress missingok notifempty }}",
    ]
    return "\n".join(lines)


def _systemd(jobs: JobsFile, groups: list[JobGroup]) -> str:
    units = ["# Put these files into /etc/systemd/system/ (or ~/.config/systemd/user/), then, for each timer:"]
    units.append(
        f"#   systemctl daemon-reload && systemctl enable --now {' '.join(f'{group.name}.timer' for group in groups)}"
    )
    for group in groups:
        names = ", ".join(job.name for job in group.jobs)
        units.append(_service(jobs, group, names))
        units.append(_timer(jobs, group, names))
    return "\n".join(units)


def _service(jobs: JobsFile, group: JobGroup, names: str) -> str:
    # 75: another run is still doing the jobs, which is no failure. systemd never runs a service twice at once.
    return f"""
# {group.name}.service
[Unit]
Description=Forecasts: {_escaped(names)}

[Service]
Type=oneshot
WorkingDirectory={_escaped(str(jobs.path.parent))}
ExecStart={" ".join(map(_quoted, _command(jobs, group)))}
Environment=LC_ALL=C.UTF-8
SuccessExitStatus=75
StandardOutput=journal
StandardError=journal
SyslogIdentifier={group.name}
Nice=10
NoNewPrivileges=yes
PrivateTmp=yes"""


def _timer(jobs: JobsFile, group: JobGroup, names: str) -> str:
    times = "\n".join(f"OnCalendar={when}{' ' + jobs.zone if jobs.zone else ''}" for when in calendar_of(group.when))
    return f"""
# {group.name}.timer
[Unit]
Description=When to forecast: {_escaped(names)}

[Timer]
{times}
AccuracySec=1s
Persistent=yes

[Install]
WantedBy=timers.target"""


def calendar_of(when: tuple[str, ...]) -> list[str]:
    """Cron's five fields as systemd's calendar events.

    Where neither the day nor the weekday begins with a star, cron runs if either matches: two events. Else both must match.
    """
    minute, hour, day, month, weekday = when
    time = f"{_numbers(hour, 0)}:{_numbers(minute, 0)}:00"
    months, days = _numbers(month, 1), _numbers(day, 1)
    named = "" if weekday == "*" else ",".join(_weekday(part) for part in weekday.split(",")) + " "
    if day.startswith("*") or weekday.startswith("*"):
        return [f"{named}*-{months}-{days} {time}"]
    return [f"*-{months}-{days} {time}", f"{named}*-{months}-* {time}"]


def _numbers(field: str, first: int) -> str:
    """A field of numbers in systemd's form: `*/15` counts from `first`, `1-5` is `1..5`."""
    return ",".join(part.replace("*/", f"{first}/").replace("-", "..") for part in field.split(","))


def _weekday(part: str) -> str:
    """Weekdays by name: Sunday is cron's 0 and 7. Steps are written out, because systemd has none for weekdays."""
    span, _, step = part.partition("/")
    low, _, high = ("0-6" if span == "*" else span).partition("-")
    days = range(int(low), int(high or low) + 1, int(step or 1))
    return ",".join(dict.fromkeys(_WEEKDAYS[day] for day in days))


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word for ExecStart: quoted where needed, specifiers and variables escaped."""
    plain = _escaped(word).replace("$", "$$")
    if re.fullmatch(r"[\w@%+=:,./$-]+", plain):
        return plain
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'
