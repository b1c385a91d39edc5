"""Forecasts in a process of their own, which a time limit can end whatever its graph does.

A graph runs outside of Python, where no signal reaches it. So where a job of the batch has a `timeout`, this process forks
before any graph is loaded. The other process forecasts; graphs stay loaded in it from job to job. If it does not answer in
time, it is ended, and the next job gets a new one.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from datetime import datetime
from queue import Queue
from typing import TYPE_CHECKING

from forecaster.commands.batch.result_lines import JobFault, JobResult
from forecaster.commands.batch.run_job import Worker, attempt, ended_by, timeout_fault

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from forecaster.commands.batch.jobs import BatchJob
    from forecaster.typing import Progress

GRACE_SECONDS = 2.0  # in which a job may end itself after its time limit, and a process after SIGTERM


def can_fork() -> bool:
    """Whether this process may fork: the system can, and no other thread could hold a lock meanwhile."""
    alone = threading.current_thread() is threading.main_thread() and threading.active_count() == 1
    return hasattr(os, "fork") and alone


class WorkerProcess:
    """Runs the jobs that `worker` would run in this process in one that can be ended."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._pid = 0
        self._connection: Connection | None = None

    def attempt(self, job: BatchJob) -> tuple[JobResult | None, JobFault | None]:
        """As `run_job.attempt`. The fault names a signal where the process was ended from outside."""
        connection = self._connection or self._start()
        try:
            connection.send((job, self.worker.now()))
        except OSError:  # it was ended since the last job
            self.end()
            connection = self._start()
            connection.send((job, self.worker.now()))
        deadline = None if job.timeout is None else time.monotonic() + job.timeout + GRACE_SECONDS
        while connection.poll(None if deadline is None else max(0.0, deadline - time.monotonic())):
            try:
                kind, value = connection.recv()
            except (EOFError, OSError):
                return None, _died(self.end())
            if kind == "done":
                outcome: tuple[JobResult | None, JobFault | None] = value
                return outcome
            getattr(self.worker.watch, kind)(value)
        self.end()
        return None, timeout_fault(job)

    def end(self) -> int:
        """End the process, if it runs, and return its wait status. What it was writing stays as it was."""
        if not self._pid:
            return 0
        pid, self._pid = self._pid, 0
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            until = time.monotonic() + GRACE_SECONDS
            while number == signal.SIGKILL or time.monotonic() < until:
                found, status = os.waitpid(pid, 0 if number == signal.SIGKILL else os.WNOHANG)
                if found:
                    self._close()
                    return status
                time.sleep(0.01)
        raise ValueError("a killed process did not end")

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _start(self) -> Connection:
        from multiprocessing import Pipe

        ours, theirs = Pipe()
        pid = os.fork()
        if not pid:
            try:
                ours.close()  # so that the end of the first process closes the connection
                _serve(theirs, self.worker)
            finally:
                os._exit(1)
        theirs.close()
        self._pid, self._connection = pid, ours
        return ours


class _Relay:
    """A `Watch` that sends everything to the other process."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, text: str) -> None:
        """Send the note."""
        self._connection.send(("note", text))

    def warn(self, text: str) -> None:
        """Send the warning."""
        self._connection.send(("warn", text))

    def progress(self, progress: Progress) -> None:
        """Send the progress."""
        self._connection.send(("progress", progress))


def _serve(connection: Connection, worker: Worker) -> None:
    """Do the jobs that come in, until this process is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    jobs: Queue[tuple[BatchJob, datetime]] = Queue()
    threading.Thread(target=_receive, args=(connection, jobs), daemon=True).start()
    worker.watch = _Relay(connection)
    while True:
        job, now = jobs.get()
        worker.now = lambda now=now: now  # type: ignore[misc]
        connection.send(("done", attempt(worker.run, job)))


def _receive(connection: Connection, jobs: Queue[tuple[BatchJob, datetime]]) -> None:
    """Queue what comes in; kill this process once the other one has ended, whatever the graph does."""
    with suppress(EOFError, OSError):
        while True:
            jobs.put(connection.recv())
    os.kill(os.getpid(), signal.SIGKILL)


def _died(status: int) -> JobFault:
    """The fault of a job whose process was ended from outside."""
    if os.WIFSIGNALED(status):
        message = ended_by(os.WTERMSIG(status))
    else:
        message = f"the process of this job ended with {os.WEXITSTATUS(status)}."
    return JobFault(1, "killed", message, "Split the job, or take fewer threads.")
