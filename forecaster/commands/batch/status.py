"""status.json: the outcome of each job, for health probes and to skip jobs that are done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from forecaster.files import output_lock, write_whole

if TYPE_CHECKING:
    from forecaster.commands.batch.results import JobLine

WAIT_SECONDS = 30.0  # for other runs that are writing the file


@dataclass(frozen=True)
class JobStatus:
    """One job, over all runs."""

    last_success: str | None = None  # ISO 8601, UTC: when it was last done
    last_run: str | None = None
    last_status: str = ""  # done | failed | skipped
    last_code: int = 0
    last_error: str | None = None
    cutoff: str | int | None = None  # latest timestamp that the last success was made from
    fallbacks: int = 0  # series that the fallback forecast in the last success
    done: int = 0
    failed: int = 0
    skipped: int = 0
    key: str = ""  # `job_key` of what was done last; empty = the job must run


class Status(Protocol):
    """The outcomes of earlier runs, for this run and the next."""

    @property
    def fault(self) -> str:
        """Why the earlier outcomes cannot be read; empty where they can."""

    def key(self, job: str) -> str:
        """The `job_key` of what was done last; empty where the job must run."""

    def note(self, line: JobLine, key: str, now: datetime) -> None:
        """Record the outcome of a job. `key`: its `job_key`; empty where the job must run again."""


class NoStatusFile:
    """No earlier outcomes and no record: every job runs."""

    fault = ""

    def key(self, job: str) -> str:  # noqa: ARG002
        """Always empty."""
        return ""

    def note(self, line: JobLine, key: str, now: datetime) -> None:
        """Records nothing."""


class StatusFile:
    """status.json: read at the start and before each job, written after each job."""

    def __init__(self, path: Path) -> None:
        self.path, self.jobs, self.fault = path, dict[str, JobStatus](), ""
        self._read()

    def _read(self) -> None:
        """Read it again: other runs of the same jobs file write it too."""
        if self.path.is_file():
            try:
                raw = json.loads(self.path.read_text(encoding="utf-8"))["jobs"]
                self.jobs = {str(name): _record(job) for name, job in raw.items()}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                self.fault = f"{self.path}: cannot be read ({error}); every job runs again"

    def key(self, job: str) -> str:
        """The `job_key` of what was done last; empty where the job must run."""
        self._read()
        return self.jobs.get(job, JobStatus()).key

    def note(self, line: JobLine, key: str, now: datetime) -> None:
        """Record the outcome and write the file. UsageError where it cannot be written; LockError where others write it."""
        with output_lock(self.path, WAIT_SECONDS):
            self._read()
            self._note(line, key, now)

    def _note(self, line: JobLine, key: str, now: datetime) -> None:
        before = self.jobs.get(line.job, JobStatus())
        when = now.isoformat(timespec="seconds")
        count = {line.status: getattr(before, line.status) + 1}
        after = replace(before, last_run=when, last_status=line.status, **count)
        if line.status != "skipped":
            after = replace(after, last_code=line.code, last_error=line.error, key=key)
        if line.status == "done":
            after = replace(after, last_success=when, cutoff=line.cutoff, fallbacks=line.fallbacks)
        self.jobs[line.job] = after
        write_whole(self.path, json.dumps(self._to_json(now), indent=1) + "\n")

    def _to_json(self, now: datetime) -> dict[str, object]:
        jobs = {name: {**asdict(job), "age_seconds": _age(job, now)} for name, job in self.jobs.items()}
        statuses = [job.last_status for job in self.jobs.values()]
        counts = {name: statuses.count(name) for name in ("done", "failed", "skipped")}
        return {"updated": now.isoformat(timespec="seconds"), "counts": {"jobs": len(jobs), **counts}, "jobs": jobs}


def _age(job: JobStatus, now: datetime) -> float | None:
    """Seconds since the last success; 0 where the clock was set back."""
    if job.last_success is None:
        return None
    return max(0.0, round((now - datetime.fromisoformat(job.last_success)).total_seconds(), 1))


def _record(raw: dict[str, object]) -> JobStatus:
    known = {field.name for field in fields(JobStatus)}
    return JobStatus(**{key: value for key, value in raw.items() if key in known})  # type: ignore[arg-type]
