"""The verb `batch`: the jobs of a file, one after another, none of them able to stop the rest."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from forecaster.commands.batch.jobs import BatchJob, JobsFile, load_jobs
from forecaster.commands.batch.lines import BatchSummary, DryRun, Emit, JobFault, JobLine, JobResult, PlannedJob
from forecaster.commands.batch.status import NoStatusFile, Status, StatusFile
from forecaster.commands.batch.worker import TimeLimit, Worker, data_path, job_key, terminable
from forecaster.commands.predict import refuse_failed
from forecaster.errors import ArtifactError, DataError, ForecasterError, LockError, QualityError, StaleError, UsageError
from forecaster.serving.store import Store

if TYPE_CHECKING:
    from forecaster.config import BatchSettings
    from forecaster.progress import Watch

POLL_SECONDS = 5.0  # between two looks at inputs that are not there yet
LOCK_SECONDS = 0.5  # between two tries at a lock
MIN_SETTLED_SECONDS = 2.0  # an input that was written to more lately may be half there
RETRIED = (DataError.code, StaleError.code, LockError.code)  # faults that time may mend, where the job says to wait
TIMEOUT = "timeout"
TIMEOUT_CODE = LockError.code  # as if somebody else had the lock: try later


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
        """The time in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True)
class FileState:
    """What changes when a file is written."""

    changed_ns: int  # since 1970
    size: int  # bytes


@dataclass
class Pending:
    """A job that is still to be done."""

    job: BatchJob
    deadline: float  # until when what is not there is waited for, by the monotonic clock
    tried: FileState | None = None  # the input when it was tried in vain; None: it was not tried, or was not there
    waits_for_lock: bool = False


def batch(
    path: str | Path,
    settings: BatchSettings,
    watch: Watch,
    emit: Emit,
    clock: Clock = SystemClock(),  # noqa: B008
) -> BatchSummary | DryRun:
    """Run the jobs of a file; `emit` gets each job's line as it ends.

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
        planned = tuple(_planned(job, status, settings.force) for job in dated)
        for line in planned:
            emit(line)
        return DryRun(planned)
    with terminable():
        return BatchRun(dated, status, settings, watch, clock).run(emit)


class BatchRun:
    """One run of the jobs of a file."""

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

    def run(self, emit: Emit) -> BatchSummary:
        """All jobs, those first whose input is there."""
        lines: list[JobLine] = []
        while self.pending:
            before = len(lines)
            for one in list(self.pending):
                if self._is_due(one) and (line := self._attempt(one)) is not None:
                    self.pending.remove(one)
                    lines.append(line)
                    emit(line)
            if self.pending and len(lines) == before:
                left = min(one.deadline for one in self.pending) - self.clock.monotonic()
                poll = LOCK_SECONDS if any(one.waits_for_lock for one in self.pending) else POLL_SECONDS
                self.clock.sleep(max(0.0, min(poll, left)))
        return BatchSummary(tuple(lines), self._seconds_since(self.began), self.status_error)

    def _is_due(self, one: Pending) -> bool:
        """Whether the input is there, whole and not the one that was tried in vain; or the time for it is over."""
        if self.clock.monotonic() >= one.deadline or one.waits_for_lock:
            return True
        path = data_path(one.job)
        if path is None:
            return True
        state = _state(path)
        if state is None or state == one.tried:
            return False
        return not 0 <= self.clock.now().timestamp() - state.changed_ns / 1e9 < MIN_SETTLED_SECONDS

    def _attempt(self, one: Pending) -> JobLine | None:
        """The job's line; None where it is to be tried again later."""
        job, began = one.job, self.clock.monotonic()
        state = _state(path) if (path := data_path(job)) else None
        key = "" if self.force else job_key(job)
        status, result, fault = "skipped", None, None
        if not key or key != self.status.key(job.name):
            result, fault = self._do(job)
            status = "failed" if fault else "done"
        if fault and _may_pass(fault) and began < one.deadline and self.clock.monotonic() < one.deadline:
            one.tried, one.waits_for_lock = state, fault.code == LockError.code
            self.watch.note(f"{job.name}: {fault.message} Waiting.")
            return None
        line = JobLine(
            job=job.name,
            command=job.command,
            status=status,
            seconds=self._seconds_since(began),
            result=result,
            fault=fault,
        )
        self._note(job, line)
        return line

    def _note(self, job: BatchJob, line: JobLine) -> None:
        """Keep in the status file what became of a job."""
        # A training whose version may not serve would only come to the same again.
        refused = job.command == "train" and line.code == QualityError.code
        whole = (line.status == "done" and not line.fallbacks) or refused
        try:
            self.status.note(line, job_key(job) if whole else "", self.clock.now())
        except ForecasterError as fault:  # a full disk must not cost the other jobs
            self.status_error = fault.message

    def _do(self, job: BatchJob) -> tuple[JobResult | None, JobFault | None]:
        """Run the job: what it made, if it ran to its end, and why it failed, if it did."""
        result = None
        try:
            result = self.worker.run(job)
            refuse_failed(result.failed, result.series)
        except ForecasterError as fault:
            return result, JobFault(code=fault.code, kind=fault.kind, message=fault.message, hint=fault.hint)
        except TimeLimit:
            message = f"took longer than {job.timeout:g} s."
            return None, JobFault(code=TIMEOUT_CODE, kind=TIMEOUT, message=message, hint="Raise timeout.")
        except MemoryError:
            hint = "Split the job, or take fewer threads."
            return None, JobFault(code=1, kind="memory", message="not enough memory.", hint=hint)
        except Exception as bug:  # one job's bug must not cost the others; its traceback is in the line
            message, trace = f"{type(bug).__name__}: {bug}", traceback.format_exc()
            return None, JobFault(code=1, kind="bug", message=message, hint="Report this.", traceback=trace)
        return result, None

    def _seconds_since(self, then: float) -> float:
        return round(self.clock.monotonic() - then, 3)


def _may_pass(fault: JobFault) -> bool:
    """Whether time may mend it. A job that took too long is not tried again."""
    return fault.code in RETRIED and fault.kind != TIMEOUT


def _planned(job: BatchJob, status: Status, force: bool) -> PlannedJob:
    """What would be done."""
    path, key = data_path(job), job_key(job)
    return PlannedJob(
        job=job.name,
        command=job.command,
        data=str(path) if path else None,
        data_is_there=bool(path and path.is_file()),
        model=None if job.command == "train" else _model(job),
        output=job.output,
        done_already=bool(key) and key == status.key(job.name) and not force,
    )


def _model(job: BatchJob) -> str | None:
    """name@version of the model that a job reads; None where there is none."""
    try:
        folder = Store(Path(job.settings.models)).resolve(getattr(job.settings, "model", None))
    except ArtifactError:
        return None
    return f"{folder.parent.name}@{folder.name}"


def _state(path: Path) -> FileState | None:
    """None where there is no file, or an empty one."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileState(found.st_mtime_ns, found.st_size) if found.st_size else None


def _date(jobs: JobsFile, clock: Clock) -> str:
    """{date}: today's, in the file's zone or else the machine's."""
    try:
        zone = ZoneInfo(jobs.zone) if jobs.zone else None
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"{jobs.path}: zone '{jobs.zone}' is not known.", "Expected e.g. Europe/Berlin.") from None
    return clock.now().astimezone(zone).date().isoformat()
