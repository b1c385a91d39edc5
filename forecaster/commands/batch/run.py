"""The command `batch`: the jobs of a file, one after another. A job that fails does not stop the others."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from forecaster.commands.batch import on_failure
from forecaster.commands.batch.dependencies import is_ready, obstacle
from forecaster.commands.batch.done_already import (
    FileState,
    Inputs,
    data_path,
    data_place,
    file_state,
    inputs_of,
    outputs_are_there,
    version_folder,
)
from forecaster.commands.batch.jobs import BatchJob, JobsFile, load_jobs
from forecaster.commands.batch.operator_report import job_records, model_records, write_metrics, write_report
from forecaster.commands.batch.output_conflicts import refuse_shared_files
from forecaster.commands.batch.result_lines import BatchSummary, DryRun, Emit, JobFault, JobLine, JobResult, PlannedJob
from forecaster.commands.batch.run_job import TIMEOUT, Worker, attempt, terminable
from forecaster.commands.batch.spread_jobs import Outcome, SpreadJobs
from forecaster.commands.batch.status import NoStatusFile, Status, StatusFile
from forecaster.commands.batch.worker_process import WorkerProcess, can_fork
from forecaster.commands.open_engine import open_engine
from forecaster.data.reading.file_set import is_file_set
from forecaster.engines.local import LocalEngine
from forecaster.errors import DataError, ForecasterError, LockError, QualityError, StaleError, UsageError
from forecaster.plotting.requirements import check_plot_file
from forecaster.storage.addresses import is_url, shown
from forecaster.storage.files import HAS_LOCKS, UNLOCKED, is_file

if TYPE_CHECKING:
    from forecaster.config import BatchSettings
    from forecaster.engines.work import Engine
    from forecaster.typing import Watch

POLL_SECONDS = 5.0  # between two checks for inputs that are missing
LOCK_SECONDS = 0.5  # between two attempts at a lock
MIN_SETTLED_SECONDS = 2.0  # an input that was changed more recently may be incomplete
RETRIED = (DataError.code, StaleError.code, LockError.code)  # faults that may pass, where the job has a `wait`
FINAL = (UsageError.code, QualityError.code)  # faults that no retry mends


class Clock(Protocol):
    """Time; tests replace it."""

    def now(self) -> datetime:
        """The wall clock, UTC."""

    def monotonic(self) -> float:
        """Seconds of a clock that is never set back."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The wall clock, UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds of a clock that is never set back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass
class Pending:
    """A job that is still to be done."""

    job: BatchJob
    deadline: float  # of waiting for the input and locks, by the monotonic clock
    tried: FileState | None = None  # the input at the last failed attempt; None: no attempt, or no input
    waits_for_lock: bool = False
    retries: int = 0  # that are left
    not_before: float = 0.0  # the next attempt, by the monotonic clock
    begun: Begun | None = None  # the attempt that runs elsewhere


@dataclass(frozen=True)
class Begun:
    """An attempt at a job."""

    at: float  # by the monotonic clock
    state: FileState | None  # the input before
    inputs: Inputs  # before the job reads them
    outcome: Future[Outcome] | None = None  # of a job that runs elsewhere


def batch(
    path: str | Path,
    settings: BatchSettings,
    watch: Watch,
    emit: Emit,
    clock: Clock = SystemClock(),  # noqa: B008
) -> BatchSummary | DryRun:
    """Run the jobs of a file; `emit` gets each job's line as it ends.

    UsageError for a file with faults, before anything runs. Runs of one file may overlap: this run waits for a
    job that another run is doing for as long as the job's `wait`, and then the job fails with LockError's code.
    """
    jobs = load_jobs(path)
    date = _date(jobs, clock)
    jobs = replace(jobs, jobs=tuple(job.dated(date) for job in jobs.jobs))
    chosen = jobs.only(tuple(filter(None, (settings.only or "").split(","))))
    status_file = Path(settings.status).absolute() if settings.status else jobs.status
    if settings.force and status_file is None:
        raise UsageError("--force has no effect without a status file.", "Leave it out, or give --status FILE.")
    refuse_shared_files(jobs.path, status_file, {"--report": settings.report, "--metrics": settings.metrics}, chosen)
    status = StatusFile(status_file, watch.warn) if status_file else NoStatusFile()
    if settings.dry_run:
        planned = tuple(_planned(job, status, settings.force) for job in chosen)
        for line in planned:
            emit(line)
        return DryRun(planned)
    if settings.report:
        check_plot_file(settings.report, "--report", (".html",))
    if not HAS_LOCKS:  # jobs in another process would not say so
        UNLOCKED.append(f"'{jobs.path}'")
    with terminable(), open_engine(settings) as engine:
        run = BatchRun(list(chosen), status, settings, watch, clock, engine)
        try:
            summary = run.run(emit)
        finally:
            run.end()
    return _shown(summary, jobs, settings, status, run)


def _shown(
    summary: BatchSummary, jobs: JobsFile, settings: BatchSettings, status: Status, run: BatchRun
) -> BatchSummary:
    """Write the page and the metrics that are asked for. What cannot be written costs no job; the summary says it."""
    if not settings.report and not settings.metrics:
        return summary
    now = run.clock.now()
    records = job_records(jobs.jobs, summary.lines, status.records(now))
    models = model_records(jobs.jobs, run.watch)
    try:
        if settings.metrics:
            write_metrics(settings.metrics, now, records, models, run.watch)
        if settings.report:
            write_report(settings.report, jobs.path.name, now, records, models, run.watch)
    except ForecasterError as fault:
        return replace(summary, status_error=summary.status_error or fault.message)
    return summary


class BatchRun:
    """One run of the jobs of a file."""

    def __init__(
        self,
        jobs: list[BatchJob],
        status: Status,
        settings: BatchSettings,
        watch: Watch,
        clock: Clock,
        engine: Engine = LocalEngine(),  # noqa: B008
    ) -> None:
        self.status, self.force, self.watch, self.clock = status, settings.force, watch, clock
        self.worker = Worker(settings.threads, watch, clock.now)
        # Only where there is a time limit: the other process needs a moment to start, and memory of its own.
        limited = any(job.timeout and self.worker.forecasts(job) for job in jobs)
        self.spread = SpreadJobs(engine, settings.threads) if engine.elsewhere else None
        self.process = WorkerProcess(self.worker) if limited and not self.spread and can_fork() else None
        self.began = clock.monotonic()
        self.wait = settings.wait or 0.0
        self.pending = [Pending(job, self.began + max(job.wait, self.wait), retries=job.retries) for job in jobs]
        self.ended: dict[str, JobLine] = {}
        self.status_error = ""
        self.unheard: list[str] = []
        if status.fault:
            watch.warn(status.fault)

    def run(self, emit: Emit) -> BatchSummary:
        """Run all jobs, those first whose input exists, each after those that it runs after."""
        lines: list[JobLine] = []
        while self.pending:
            before = len(lines)
            for one in list(self.pending):
                line = self._turn(one)
                if line is not None:
                    self.pending.remove(one)
                    self._end(one.job, line)
                    lines.append(line)
                    emit(line)
            if self.pending and len(lines) == before:
                self._sleep([one for one in self.pending if is_ready(one.job, self.ended)])
        return BatchSummary(tuple(lines), self._seconds_since(self.began), self.status_error, tuple(self.unheard))

    def end(self) -> None:
        """End the process that forecasts, if there is one."""
        if self.process:
            self.process.end()
        if self.spread:
            self.spread.end()

    def _turn(self, one: Pending) -> JobLine | None:
        """The job's line, where it has one now."""
        if one.begun:
            return self._if_ended(one, one.begun)
        if not is_ready(one.job, self.ended):
            return None
        if why := obstacle(one.job, self.ended):
            line = JobLine(one.job.name, one.job.command, status="skipped", seconds=0.0, reason=why)
            self._note(one.job, line, inputs_of(one.job))
            return line
        return self._attempt(one) if self._is_due(one) else None

    def _end(self, job: BatchJob, line: JobLine) -> None:
        """Call the job's command for failures; the jobs that run after it wait from now on."""
        self.ended[job.name] = line
        for other in self.pending:
            if job.name in other.job.prerequisites:
                other.deadline = self.clock.monotonic() + max(other.job.wait, self.wait)
        if line.status == "failed" and job.on_failure and (fault := on_failure.call(job.on_failure, line, job.folder)):
            self.unheard.append(f"{job.name}: on_failure: {fault}")

    def _running(self) -> list[Future[Outcome]]:
        """The jobs that run elsewhere."""
        return [one.begun.outcome for one in self.pending if one.begun and one.begun.outcome]

    def _sleep(self, waiting: list[Pending]) -> None:
        """Until something may have changed."""
        if self.spread and (running := self._running()):
            self.spread.wait(running, LOCK_SECONDS)
            return
        now = self.clock.monotonic()
        left = min(one.not_before if one.not_before > now else one.deadline for one in waiting) - now
        poll = LOCK_SECONDS if any(one.waits_for_lock for one in waiting) else POLL_SECONDS
        self.clock.sleep(max(0.0, min(poll, left)))

    def _is_due(self, one: Pending) -> bool:
        """Whether the input is complete and has changed since the last attempt, or the deadline is over."""
        if self.clock.monotonic() < one.not_before:
            return False
        if self.spread and len(self._running()) >= self.spread.engine.workers:
            return False
        if self.clock.monotonic() >= one.deadline or one.waits_for_lock:
            return True
        path = data_path(one.job)
        if path is None:
            return True
        state = file_state(path)
        if state is None or state == one.tried:
            return False
        return not 0 <= self.clock.now().timestamp() - state.written_ns / 1e9 < MIN_SETTLED_SECONDS

    def _attempt(self, one: Pending) -> JobLine | None:
        """The job's line; None where it will be tried again."""
        job = one.job
        state = file_state(path) if (path := data_path(job)) else None
        begun = Begun(self.clock.monotonic(), state, inputs_of(job))
        if not self.force and _is_done(job, begun.inputs, self.status):
            return self._outcome(one, begun, None, None, "skipped")
        if self.spread:
            one.begun = replace(begun, outcome=self.spread.start(job, self.clock.now()))
            return None
        return self._outcome(one, begun, *self._do(job))

    def _if_ended(self, one: Pending, begun: Begun) -> JobLine | None:
        """The line of a job that ran elsewhere; None where it still runs, or will be tried again."""
        if begun.outcome is None or not begun.outcome.done():
            return None
        one.begun, found = None, begun.outcome.result()
        for text in found.notes:
            self.watch.note(text)
        for text in found.warnings:
            self.watch.warn(text)
        return self._outcome(one, begun, found.result, found.fault)

    def _outcome(
        self, one: Pending, begun: Begun, result: JobResult | None, fault: JobFault | None, status: str = ""
    ) -> JobLine | None:
        """The job's line after an attempt; None where it will be tried again."""
        job, began = one.job, begun.at
        status = status or ("failed" if fault else "kept" if result and result.kept else "done")
        if fault and _may_pass(fault) and began < one.deadline and self.clock.monotonic() < one.deadline:
            one.tried, one.waits_for_lock = begun.state, fault.code == LockError.code
            self.watch.note(f"{job.name}: {fault.message} Waiting.")
            return None
        if fault and one.retries and fault.code not in FINAL:
            one.retries -= 1
            one.not_before = self.clock.monotonic() + job.retry_wait
            self.watch.note(f"{job.name}: {fault.message} Tried again in {job.retry_wait:g} s.")
            return None
        line = JobLine(
            job=job.name,
            command=job.command,
            status=status,
            seconds=self._seconds_since(began),
            result=result,
            fault=fault,
            reason=result.kept if result else "",
        )
        self._note(job, line, begun.inputs)
        return line

    def _note(self, job: BatchJob, line: JobLine, inputs: Inputs) -> None:
        """Record a job's outcome in the status file."""
        # A training whose version may not serve would have the same outcome again: kept is done.
        whole = line.status in ("done", "kept") and not line.fallbacks
        key = inputs.key_of_what_was_read(inputs_of(job)) if whole else ""
        try:
            self.status.note(line, key, self.clock.now())
        except ForecasterError as fault:  # a full disk must not cost the other jobs
            self.status_error = fault.message

    def _do(self, job: BatchJob) -> tuple[JobResult | None, JobFault | None]:
        """Run the job: its result, if it ran to its end, and its fault, if it failed."""
        if self.process and self.worker.forecasts(job):
            return self.process.attempt(job)
        return attempt(self.worker.run, job)

    def _seconds_since(self, then: float) -> float:
        return round(self.clock.monotonic() - then, 3)


def _may_pass(fault: JobFault) -> bool:
    """Whether a later attempt may succeed. A job that took too long is not tried again."""
    return fault.code in RETRIED and fault.kind != TIMEOUT


def _is_done(job: BatchJob, inputs: Inputs, status: Status) -> bool:
    """Whether the last success read these inputs, and all that it wrote is there."""
    earlier = status.earlier(job.name)
    return bool(inputs.key) and inputs.key == earlier.key and outputs_are_there(job, earlier.files)


def _planned(job: BatchJob, status: Status, force: bool) -> PlannedJob:
    """The job as a run would do it."""
    place = data_place(job)
    return PlannedJob(
        job=job.name,
        command=job.command,
        data=shown(place) if place else None,
        data_is_there=bool(place and (is_url(place) or is_file_set(place) or is_file(place))),
        model=_model(job) if job.command in ("predict", "evaluate") else None,
        output=job.output and shown(job.output),
        after=job.prerequisites,
        done_already=not force and _is_done(job, inputs_of(job), status),
    )


def _model(job: BatchJob) -> str | None:
    """name@version of the model that a job reads; None where there is none."""
    try:
        folder = version_folder(job)
    except ForecasterError:
        return None
    return f"{folder.parent.name}@{folder.name}"


def _date(jobs: JobsFile, clock: Clock) -> str:
    """{date}: today in the file's time zone, or else the machine's."""
    try:
        zone = ZoneInfo(jobs.zone) if jobs.zone else None
    except (ZoneInfoNotFoundError, ValueError):
        raise UsageError(f"{jobs.path}: unknown time zone '{jobs.zone}'.", "Expected e.g. Europe/Berlin.") from None
    return clock.now().astimezone(zone).date().isoformat()
