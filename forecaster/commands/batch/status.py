"""status.json: the outcome of each job, for health probes and to skip jobs that are done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Protocol

from forecaster.storage.files import is_file, output_lock, write_whole

if TYPE_CHECKING:
    from forecaster.commands.batch.result_lines import JobLine

WAIT_SECONDS = 30.0  # for other runs that are writing the file


@dataclass(frozen=True)
class JobStatus:
    """One job, over all runs."""

    last_success: str | None = None  # ISO 8601, UTC: when it was last done
    last_run: str | None = None
    last_status: str = ""  # done | kept | failed | skipped
    last_code: int = 0
    last_error: str | None = None
    cutoff: str | int | None = None  # latest timestamp that the last success was made from
    fallbacks: int = 0  # series that the fallback forecast in the last success
    done: int = 0
    failed: int = 0
    skipped: int = 0
    kept: int = 0  # trainings whose version was not better
    key: str = ""  # `job_key` of what was read in the last success; empty = the job must run
    files: tuple[str, ...] = ()  # that it wrote in the output's folder, where each series has a file of its own


class Status(Protocol):
    """The outcomes of earlier runs, for this run and the next."""

    @property
    def fault(self) -> str:
        """Why the earlier outcomes cannot be read; empty where they can."""

    def earlier(self, job: str) -> JobStatus:
        """What is known of the job."""

    def records(self, now: datetime) -> Mapping[str, Mapping[str, object]]:
        """Each job's record by its name, as in the status file, with its age at `now`."""

    def note(self, line: JobLine, key: str, now: datetime) -> None:
        """Record the outcome of a job. `key`: its `job_key`; empty where the job must run again."""


class NoStatusFile:
    """No earlier outcomes and no record: every job runs."""

    fault = ""

    def earlier(self, job: str) -> JobStatus:  # noqa: ARG002
        """Nothing."""
        return JobStatus()

    def records(self, now: datetime) -> Mapping[str, Mapping[str, object]]:  # noqa: ARG002
        """Nothing."""
        return {}

    def note(self, line: JobLine, key: str, now: datetime) -> None:
        """Records nothing."""


class StatusFile:
    """status.json: read at the start and before each job, written after each job."""

    def __init__(self, path: Path, warn: Callable[[str], None] | None = None) -> None:
        self.path, self.warn, self.jobs, self.fault = path, warn, dict[str, JobStatus](), ""
        self._read()

    def _read(self) -> None:
        """Read it again: other runs of the same jobs file write it too."""
        if is_file(self.path):
            try:
                raw = json.loads(self.path.read_text(encoding="utf-8"))["jobs"]
                self.jobs = {str(name): _record(job) for name, job in raw.items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                self.fault = f"{self.path}: cannot be read ({error}); every job runs again"

    def earlier(self, job: str) -> JobStatus:
        """What is known of the job, by this run and others."""
        self._read()
        return self.jobs.get(job, JobStatus())

    def records(self, now: datetime) -> Mapping[str, Mapping[str, object]]:
        """Each job's record by its name, as in the file, with its age at `now`."""
        self._read()
        return {name: {**asdict(job), "age_seconds": _age(job, now)} for name, job in self.jobs.items()}

    def note(self, line: JobLine, key: str, now: datetime) -> None:
        """Record the outcome and write the file. UsageError where it cannot be written; LockError where others write it."""
        with output_lock(self.path, WAIT_SECONDS, self.warn):
            self._read()
            self._note(line, key, now)

    def _note(self, line: JobLine, key: str, now: datetime) -> None:
        before = self.jobs.get(line.job, JobStatus())
        when = now.isoformat(timespec="seconds")
        count = {line.status: getattr(before, line.status) + 1}
        after = replace(before, last_run=when, last_status=line.status, **count)
        if line.status != "skipped":
            after = replace(after, last_code=line.code, last_error=line.error, key=key)
        if line.status in ("done", "kept"):
            files = line.result.files if line.result else ()
            after = replace(after, last_success=when, cutoff=line.cutoff, fallbacks=line.fallbacks, files=files)
        self.jobs[line.job] = after
        write_whole(self.path, json.dumps(self.to_json(now), indent=1) + "\n")

    def to_json(self, now: datetime) -> dict[str, object]:
        """The file's content, with each job's age at `now`."""
        jobs = {name: {**asdict(job), "age_seconds": _age(job, now)} for name, job in self.jobs.items()}
        statuses = [job.last_status for job in self.jobs.values()]
        counts = {name: statuses.count(name) for name in ("done", "kept", "failed", "skipped")}
        return {"updated": now.isoformat(timespec="seconds"), "counts": {"jobs": len(jobs), **counts}, "jobs": jobs}


def _age(job: JobStatus, now: datetime) -> float | None:
    """Seconds since the last success; 0 where the clock was set back."""
    if job.last_success is None:
        return None
    return max(0.0, round((now - datetime.fromisoformat(job.last_success)).total_seconds(), 1))


def _record(raw: object) -> JobStatus:
    """A job's record. Keys that are missing, or that a later release added, are no fault; TypeError or ValueError are."""
    if not isinstance(raw, dict):
        raise TypeError("a job is no object")
    for key, wanted in _TYPES.items():
        if key in raw and (not isinstance(raw[key], wanted) or isinstance(raw[key], bool)):
            raise TypeError(f"{key} is {type(raw[key]).__name__}")
    for key in ("last_success", "last_run"):
        if raw.get(key) is not None and datetime.fromisoformat(raw[key]).tzinfo is None:
            raise ValueError(f"{key} has no zone")
    files = tuple(raw.get("files", ()))
    if not all(isinstance(name, str) and name == Path(name).name for name in files):
        raise TypeError("files are no names")
    return JobStatus(**{**{key: raw[key] for key in _TYPES if key in raw}, "files": files})


_TEXT, _TEXT_OR_NONE = (str,), (str, NoneType)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "last_success": _TEXT_OR_NONE,
    "last_run": _TEXT_OR_NONE,
    "last_status": _TEXT,
    "last_code": (int,),
    "last_error": _TEXT_OR_NONE,
    "cutoff": (str, int, NoneType),
    "fallbacks": (int,),
    "done": (int,),
    "failed": (int,),
    "skipped": (int,),
    "kept": (int,),
    "key": _TEXT,
    "files": (list,),
}
