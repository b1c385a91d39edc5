"""Jobs in the workers of an engine, several at once. Which job is due, and its record, stay with the process of the batch."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from forecaster.commands.batch.result_lines import JobFault, JobResult
from forecaster.commands.batch.run_job import Worker, attempt
from forecaster.engines.work import Engine, Lost
from forecaster.typing import Progress, Silent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forecaster.commands.batch.jobs import BatchJob


@dataclass
class Outcome:
    """What a job that ran elsewhere has given, and said."""

    result: JobResult | None = None
    fault: JobFault | None = None
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Keep the note."""
        self.notes.append(text)

    def warn(self, text: str) -> None:
        """Keep the warning."""
        self.warnings.append(text)

    def progress(self, progress: Progress) -> None:
        """Nothing: it would be old once it is shown."""


class SpreadJobs:
    """Starts jobs in the workers of an engine."""

    def __init__(self, engine: Engine, threads: int | None) -> None:
        self.engine, self.threads = engine, threads
        self._pool = ThreadPoolExecutor(engine.workers)

    def start(self, job: BatchJob, now: datetime) -> Future[Outcome]:
        """Run a job in a worker."""
        return self._pool.submit(self._run, job, now)

    def _run(self, job: BatchJob, now: datetime) -> Outcome:
        order = (job, now)
        ((_, found),) = self.engine.run(run_elsewhere, self.threads, [job], lambda _: order, ahead=0)
        if not isinstance(found, Lost):
            outcome: Outcome = found
            return outcome
        return Outcome(fault=JobFault(1, "killed", f"the job was not done: {found.why}.", "Run the batch again."))

    @staticmethod
    def wait(running: Iterable[Future[Outcome]], seconds: float) -> None:
        """Until one of these has ended, or for so many seconds."""
        wait(running, timeout=seconds, return_when=FIRST_COMPLETED)

    def end(self) -> None:
        """Start none of those that wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def run_elsewhere(threads: int | None, order: tuple[BatchJob, datetime]) -> Outcome:
    """Run a job in a worker, whose graphs stay loaded for the next one."""
    job, now = order
    outcome, worker = Outcome(), _worker(threads)
    worker.watch, worker.now = outcome, lambda: now
    outcome.result, outcome.fault = attempt(worker.run, job)
    return outcome


@lru_cache(maxsize=1)
def _worker(threads: int | None) -> Worker:
    """That of this process."""
    return Worker(threads, Silent(), datetime.now)
