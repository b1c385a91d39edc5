"""The verb `batch`: the jobs of a file, one after another, none of them able to stop the rest."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from forecaster.deliver import refuse_failed
from forecaster.errors import (
    ArtifactError,
    DataError,
    ForecasterError,
    LockError,
    PartialError,
    QualityError,
    StaleError,
    UsageError,
)
from forecaster.jobs import BatchJob, Jobs, load_jobs
from forecaster.models.store import Store
from forecaster.status import NoStatusFile, Outcome, Status, StatusFile
from forecaster.work import TimeLimit, Worker, data_path, job_key, terminable

if TYPE_CHECKING:
    from forecaster.settings import BatchSettings
    from forecaster.watch import Watch

POLL_SECONDS = 5.0  # between two looks at inputs that are not there yet
LOCK_SECONDS = 0.5  # between two tries at a lock
SETTLED_SECONDS = 2.0  # an input that was written to more lately may be half there
RETRIED = (DataError.code, StaleError.code, LockError.code)  # faults that time may mend, where the job says to wait
TIMEOUT_CODE = LockError.code  # as if somebody else had held things up: try later

Line = dict[str, object]
Tell = Callable[[Line], None]


class Clock(Protocol):
    """Time, which tests may let run faster."""

    def now(self) -> datetime:
        """The wall clock, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's."""

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


@dataclass
class Pending:
    """A job that is still to be done."""

    job: BatchJob
    deadline: float  # until when what is not there is waited for, by the monotonic clock
    tried: tuple[int, int] | None = None  # the input as it was when it was tried in vain: time of change, size
    again: bool = False  # not for the input's sake


def batch(
    path: str | Path,
    settings: BatchSettings,
    watch: Watch,
    tell: Tell,
    clock: Clock = SystemClock(),  # noqa: B008
) -> Line:
    """Run the jobs of a file; `tell` gets an object per job as it ends. Returns the summary, `failed` among it.

    UsageError for a file with faults, before anything runs. Runs of one file may overlap: a job that another run is
    doing is waited for as long as it says, and fails with LockError's code then.
    """
    jobs = load_jobs(path)
    chosen = jobs.only(tuple(filter(None, (settings.only or "").split(","))))
    status_file = Path(settings.status).absolute() if settings.status else jobs.status
    if settings.force and status_file is None:
        raise UsageError("--force has no effect without a status file.", "Leave it out, or give --status FILE.")
    status = StatusFile(status_file) if status_file else NoStatusFile()
    date = _date(jobs, clock)
    dated = [job.dated(date) for job in chosen]
    if settings.dry_run:
        for line in _plans(dated, status, settings.force):
            tell(line)
        return {"summary": {"jobs": len(dated), "planned": len(dated)}}
    with terminable():
        return Batch(dated, status, settings, watch, clock).run(tell)


class Batch:
    """One run."""

    def __init__(
        self, jobs: list[BatchJob], status: Status, settings: BatchSettings, watch: Watch, clock: Clock
    ) -> None:
        self.status, self.force, self.watch, self.clock = status, settings.force, watch, clock
        self.worker = Worker(settings.threads, watch, clock.now)
        self.began = clock.monotonic()
        self.pending = [Pending(job, self.began + max(job.wait, settings.wait or 0.0)) for job in jobs]
        self.status_error = ""
        if status.fault:
            watch.warn(status.fault)

    def run(self, tell: Tell) -> Line:
        """All jobs, those first whose input is there."""
        lines: list[Line] = []
        while self.pending:
            before = len(lines)
            for one in list(self.pending):
                if self._is_due(one) and (line := self._attempt(one)) is not None:
                    self.pending.remove(one)
                    lines.append(line)
                    tell(line)
            if self.pending and len(lines) == before:
                left = min(one.deadline for one in self.pending) - self.clock.monotonic()
                poll = LOCK_SECONDS if any(one.again for one in self.pending) else POLL_SECONDS
                self.clock.sleep(max(0.0, min(poll, left)))
        counts = {name: sum(line["status"] == name for line in lines) for name in ("done", "failed", "skipped")}
        fallbacks = sum(int(str(line.get("fallbacks", 0))) for line in lines)
        summary: Line = {"jobs": len(lines), **counts, "fallbacks": fallbacks}
        summary["locked"] = sum(
            isinstance(e := line.get("error"), Mapping) and e["kind"] == LockError.kind for line in lines
        )
        summary["failed_jobs"] = [line["job"] for line in lines if line["status"] == "failed"]
        summary["seconds"] = round(self.clock.monotonic() - self.began, 3)
        if self.status_error:
            summary["status_error"] = self.status_error
        return {"summary": summary}

    def _is_due(self, one: Pending) -> bool:
        """Whether the input is there, whole and not the one that was tried in vain; or the time for it is over."""
        if self.clock.monotonic() >= one.deadline or one.again:
            return True
        path = data_path(one.job)
        if path is None:
            return True
        state = _state(path)
        settled = state is not None and not 0 <= self.clock.now().timestamp() - state[0] / 1e9 < SETTLED_SECONDS
        return settled and state != one.tried

    def _attempt(self, one: Pending) -> Line | None:
        """The job's line; None where it is to be tried again later."""
        job, began = one.job, self.clock.monotonic()
        state = _state(path) if (path := data_path(job)) else None
        key = "" if self.force else job_key(job)
        line: Line = {"job": job.name, "command": job.command, "status": "done", "code": 0}
        if key and key == self.status.key(job.name):
            line["status"] = "skipped"
        else:
            fault = self._do(job, line)
            if fault and fault.code in RETRIED and began < one.deadline and self.clock.monotonic() < one.deadline:
                one.tried, one.again = state, fault.code == LockError.code
                self.watch.note(f"{job.name}: {fault.message} Waiting.")
                return None
        line["seconds"] = round(self.clock.monotonic() - began, 3)
        # A training whose version may not serve would only come to the same again.
        refused = job.command == "train" and line["code"] == QualityError.code
        whole = (line["status"] == "done" and not line.get("fallbacks")) or refused
        error = line.get("error")
        outcome = Outcome(
            job=job.name,
            status=str(line["status"]),
            code=int(str(line["code"])),
            error=str(error["message"]) if isinstance(error, Mapping) else None,
            key=job_key(job) if whole else "",
            cutoff=line.get("cutoff"),  # type: ignore[arg-type]
            fallbacks=int(str(line.get("fallbacks", 0))),
        )
        try:
            self.status.note(outcome, self.clock.now())
        except ForecasterError as fault:  # a full disk must not cost the other jobs
            self.status_error = fault.message
        return line

    def _do(self, job: BatchJob, line: Line) -> ForecasterError | None:
        """Run the job and say in `line` what became of it; the fault, if it was one of ours."""
        try:
            line.update(self.worker.run(job))
            failed = line.get("failed")
            if isinstance(failed, list) and isinstance(line["series"], int):
                refuse_failed(failed, line["series"])
        except ForecasterError as fault:
            line.update(_failed(fault.code, fault.kind, fault.message, fault.hint))
            return fault
        except TimeLimit:
            line.update(_failed(TIMEOUT_CODE, "timeout", f"took longer than {job.timeout:g} s.", "Raise timeout."))
        except MemoryError:
            line.update(_failed(1, "memory", "not enough memory.", "Split the job, or take fewer threads."))
        except Exception as bug:  # one job's bug must not cost the others; its traceback stands in the line
            line.update(_failed(1, "bug", f"{type(bug).__name__}: {bug}", "Report this."))
            line["traceback"] = traceback.format_exc()
        return None


def refuse_failures(summary: Line) -> None:
    """PartialError that names the jobs which failed, or LockError where others are doing them all; PartialError too
    where the status file could not be kept.
    """
    found = summary["summary"]
    if not isinstance(found, Mapping):
        return
    failed = found.get("failed_jobs", ())
    if failed and len(failed) == found.get("locked"):
        raise LockError(f"another run is doing {', '.join(failed[:5])}.", "Try again later, or give --wait 5m.")
    if failed:
        names = ", ".join(failed[:5]) + (", …" if len(failed) > 5 else "")
        raise PartialError(f"{len(failed)} job{'s' * (len(failed) > 1)} failed: {names}.", "Their lines say why.")
    if fault := found.get("status_error"):
        raise PartialError(str(fault), "The jobs were done; the next run will do them again.")


def _failed(code: int, kind: str, message: str, hint: str) -> Line:
    error = {"code": code, "kind": kind, "message": message, "hint": hint}
    return {"status": "failed", "code": code, "error": error}


def _plans(jobs: list[BatchJob], status: Status, force: bool) -> Iterator[Line]:
    """What would be done."""
    for job in jobs:
        path, key = data_path(job), job_key(job)
        model: str | None = None
        if job.command != "train":
            try:
                folder = Store(Path(job.settings.models)).resolve(getattr(job.settings, "model", None))
                model = f"{folder.parent.name}@{folder.name}"
            except ArtifactError:
                model = None
        yield {
            "job": job.name,
            "command": job.command,
            "status": "planned",
            "data": str(path) if path else None,
            "data_is_there": bool(path and path.is_file()),
            "model": model,
            "output": job.output,
            "done_already": bool(key) and key == status.key(job.name) and not force,
        }


def _state(path: Path) -> tuple[int, int] | None:
    """When a file was changed, and its size; None where there is none, or an empty one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size) if found.st_size else None


def _date(jobs: Jobs, clock: Clock) -> str:
    """{date}: today's, in the file's zone or else the machine's."""
    try:
        zone = ZoneInfo(jobs.zone) if jobs.zone else None
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"{jobs.path}: zone '{jobs.zone}' is not known.", "Expected e.g. Europe/Berlin.") from None
    return clock.now().astimezone(zone).date().isoformat()
