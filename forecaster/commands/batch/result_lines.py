"""The output of a batch: a line of JSON for each job, and one for the whole run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from forecaster.errors import LockError, PartialError, listed
from forecaster.storage.addresses import shown


@dataclass(frozen=True)
class JobResult:
    """The result of a job that ran to its end."""

    output: str | None  # the file that was written; None = the job has no output file
    facts: Mapping[str, object]  # of the forecast or the report, for the job's line
    cutoff: str | int | None = None  # latest timestamp that a forecast was made from
    series: int = 0  # that were forecast
    failed: tuple[str, ...] = ()  # series that could not be forecast
    fallbacks: int = 0  # series that the fallback forecast
    kept: str = ""  # why a training's version does not serve
    files: tuple[str, ...] = ()  # names of the files in the output's folder, where each series has its own

    def to_json(self) -> dict[str, object]:
        """A part of the job's line."""
        return {"output": self.output and shown(self.output), **self.facts}


@dataclass(frozen=True)
class JobFault:
    """Why a job failed."""

    code: int  # as an exit code
    kind: str  # an error's, or "timeout", "memory", "bug"
    message: str
    hint: str
    traceback: str = ""  # of a bug

    def to_json(self) -> dict[str, object]:
        """A part of the job's line."""
        error = {"code": self.code, "kind": self.kind, "message": self.message, "hint": self.hint}
        return {"error": error, "traceback": self.traceback} if self.traceback else {"error": error}


@dataclass(frozen=True)
class JobLine:
    """The outcome of a job in this run."""

    job: str
    command: str
    status: str  # done | kept | failed | skipped. kept: a training whose version was not better, so the old one serves
    seconds: float
    result: JobResult | None = None  # None: it was skipped, or did not run to its end
    fault: JobFault | None = None  # None: it was done, kept or skipped
    reason: str = ""  # why it was not to be run, or why the old version is kept

    @property
    def code(self) -> int:
        """As an exit code."""
        return self.fault.code if self.fault else 0

    @property
    def error(self) -> str | None:
        """Why it failed."""
        return self.fault.message if self.fault else None

    @property
    def cutoff(self) -> str | int | None:
        """Latest timestamp that its forecast was made from."""
        return self.result.cutoff if self.result else None

    @property
    def fallbacks(self) -> int:
        """Series that the fallback forecast."""
        return self.result.fallbacks if self.result else 0

    def to_json(self) -> dict[str, object]:
        """The line that is printed."""
        line: dict[str, object] = {"job": self.job, "command": self.command, "status": self.status, "code": self.code}
        if self.reason:
            line["reason"] = self.reason
        for part in (self.result, self.fault):
            line.update(part.to_json() if part else {})
        return {**line, "seconds": self.seconds}


@dataclass(frozen=True)
class PlannedJob:
    """A job that a run would do."""

    job: str
    command: str
    data: str | None  # absolute path; None = unknown
    data_is_there: bool
    model: str | None  # name@version; None = no model is read
    output: str | None
    done_already: bool
    after: tuple[str, ...] = ()  # jobs that it runs after

    def to_json(self) -> dict[str, object]:
        """The line that is printed."""
        return {
            "job": self.job,
            "command": self.command,
            "status": "planned",
            "data": self.data,
            "data_is_there": self.data_is_there,
            "model": self.model,
            "output": self.output,
            "done_already": self.done_already,
            **({"after": list(self.after)} if self.after else {}),
        }


@dataclass(frozen=True)
class BatchSummary:
    """The outcome of a run."""

    lines: tuple[JobLine, ...]  # in the order in which the jobs ended
    seconds: float
    status_error: str = ""  # why the status file could not be written; empty where it could
    unheard: tuple[str, ...] = ()  # commands for failures that failed themselves: the job, and why

    @property
    def failed_jobs(self) -> list[str]:
        """Names of the jobs that failed."""
        return [line.job for line in self.lines if line.status == "failed"]

    @property
    def locked(self) -> int:
        """Number of jobs that another run was doing."""
        return sum(line.fault is not None and line.fault.kind == LockError.kind for line in self.lines)

    def to_json(self) -> dict[str, object]:
        """The line that is printed last."""
        counts = {
            name: sum(line.status == name for line in self.lines) for name in ("done", "kept", "failed", "skipped")
        }
        summary = {
            "jobs": len(self.lines),
            **counts,
            "fallbacks": sum(line.fallbacks for line in self.lines),
            "locked": self.locked,
            "failed_jobs": self.failed_jobs,
            "seconds": self.seconds,
        }
        faults = {"status_error": self.status_error, "on_failure": list(self.unheard)}
        return {"summary": {**summary, **{name: fault for name, fault in faults.items() if fault}}}

    def refuse_failures(self) -> None:
        """PartialError that names the jobs that failed; LockError where other runs are doing all of these.

        PartialError also where the status file could not be written.
        """
        failed, unheard = self.failed_jobs, "".join(f" {fault}." for fault in self.unheard[:5])
        if failed and len(failed) == self.locked:
            raise LockError(
                f"another run is doing {', '.join(failed[:5])}.", f"Try again later, or give --wait 5m.{unheard}"
            )
        if failed:
            raise PartialError(
                f"{len(failed)} job{'s' * (len(failed) > 1)} failed: {listed(failed, 5)}.",
                f"Their lines give the reasons.{unheard}",
            )
        if self.status_error:
            raise PartialError(self.status_error, "The jobs were done; the next run will do them again.")


@dataclass(frozen=True)
class DryRun:
    """The outcome of a dry run."""

    lines: tuple[PlannedJob, ...]

    def to_json(self) -> dict[str, object]:
        """The line that is printed last."""
        return {"summary": {"jobs": len(self.lines), "planned": len(self.lines)}}

    def refuse_failures(self) -> None:
        """Never raises: nothing was run."""


Line: TypeAlias = JobLine | PlannedJob | BatchSummary | DryRun
Emit: TypeAlias = Callable[[JobLine | PlannedJob], None]
