"""Runs one job of a batch: forecasts in this process, where graphs stay loaded; trainings in a child process."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from forecaster.commands.batch.maintenance_jobs import run_maintenance
from forecaster.commands.batch.result_lines import JobFault, JobResult
from forecaster.commands.predict import deliver, refuse_failed
from forecaster.commands.series_files import SERIES, series_files
from forecaster.config import EvaluateSettings, PredictSettings, TrainSettings
from forecaster.config.option import flag, options
from forecaster.config.resolve import PREFIX
from forecaster.engines.tf_config import VARIABLE as TF_CONFIG
from forecaster.errors import ForecasterError, LockError, NoMemoryError, QualityError, masked
from forecaster.serving.integrity import MANIFEST
from forecaster.serving.manifest import Manifest
from forecaster.serving.stored_graphs import load_runtime
from forecaster.storage.addresses import HANDED_OVER, is_url, password_of
from forecaster.storage.files import output_lock, write_whole

if TYPE_CHECKING:
    from forecaster.commands.batch.jobs import BatchJob
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import Watch

# The parts of a report that a job's line has.
FACTS = ("model", "version", "metrics", "windows", "verdict", "reason", "cutoffs", "faults", "removed")
MAX_GRAPHS = 8  # loaded at once, so that memory does not grow with the number of models


TIMEOUT = "timeout"


class TimeLimit(BaseException):
    """A job took too long. Not an `Exception`, so that no handler on the way catches it."""


class ChildError(ForecasterError):
    """The error of a child process."""

    def __init__(self, code: int, kind: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.code, self.kind = code, kind


class Worker:
    """Runs jobs one after another. Graphs stay loaded from job to job."""

    def __init__(self, threads: int | None, watch: Watch, now: Callable[[], datetime]) -> None:
        self.threads, self.watch, self.now = threads, watch, now
        self._graphs: OrderedDict[tuple[str, str, int, str, str], Runtime] = OrderedDict()

    @staticmethod
    def forecasts(job: BatchJob) -> bool:
        """Whether the job runs graphs in this process; other jobs get a child process each."""
        return isinstance(job.settings, PredictSettings) or (
            isinstance(job.settings, EvaluateSettings) and not job.settings.refit
        )

    def run(self, job: BatchJob) -> JobResult:
        """Run the job. TimeLimit when it exceeds its `timeout`; ForecasterError where it fails."""
        with time_limit(job.timeout):
            for place in job.writes.values():
                if not is_url(place):
                    Path(place).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(job.settings, PredictSettings):
                return self._predict(job, job.settings)
            if isinstance(job.settings, EvaluateSettings) and not job.settings.refit:
                return self._evaluate(job, job.settings)
            if isinstance(job.settings, (EvaluateSettings, TrainSettings)):
                return self._in_child(job, job.settings)
            report, refuse = run_maintenance(job, self.watch)
            result = self._report(job, report)
            refuse()
            return result

    def _predict(self, job: BatchJob, settings: PredictSettings) -> JobResult:
        output = str(job.output)
        own = replace(settings, output=output, threads=settings.threads or self.threads)
        made = deliver(job.data, own, self.watch, settings.format, self.load, self.now()).forecast
        facts = made.metadata()
        cutoff = facts.get("cutoff")
        named = not is_url(output) and SERIES in Path(output).name
        own_files = series_files(output, [str(name) for name in made.series]) if named else []
        return JobResult(
            output=output,
            facts=facts,
            cutoff=cutoff if isinstance(cutoff, (str, int)) else None,
            series=len(made.series),
            failed=made.about.failed if made.about else (),
            fallbacks=made.fallbacks,
            files=tuple(Path(file).name for file in own_files),
        )

    def _evaluate(self, job: BatchJob, settings: EvaluateSettings) -> JobResult:
        from forecaster.commands.evaluate import evaluate

        report = evaluate(job.data, replace(settings, threads=settings.threads or self.threads), self.watch).to_json()
        return self._report(job, report)

    def _in_child(self, job: BatchJob, settings: EvaluateSettings | TrainSettings) -> JobResult:
        """A training: its memory and threads end with the process, and so does it at a time limit."""
        secret = password_of(job.data or "")
        command = _command(job, replace(settings, threads=settings.threads or self.threads))
        if secret:  # everybody on the machine may read the command line
            command = [word.replace(f":{secret}@", f":${{{HANDED_OVER}}}@") for word in command]
        done = _run(command, secret) if secret else _run(command)
        report: dict[str, object] = json.loads(done.stdout) if done.stdout.strip() else {}
        result = self._report(job, report) if report or not done.returncode else None
        promotion = report.get("promotion")
        if result and done.returncode == QualityError.code and isinstance(promotion, dict):
            return replace(result, kept=str(promotion.get("reason", "")) or "it is not better")
        if result is None or done.returncode:
            raise _fault(done.returncode, done.stderr)
        return result

    def _report(self, job: BatchJob, report: Mapping[str, object]) -> JobResult:
        """Write the report to the job's output, if it has one."""
        if job.output:
            with output_lock(job.output, job.wait, self.watch.warn):
                write_whole(job.output, json.dumps(report, indent=1) + "\n")
        facts = {key: report[key] for key in FACTS if key in report}
        return JobResult(output=job.output, facts=facts)

    def load(self, folder: Path, manifest: Manifest, runtime: str, threads: int, device: str) -> Runtime:
        """The graph of a version, loaded and checked once for as long as its manifest stays the same."""
        key = (str(folder), runtime, threads, device, hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest())
        if key not in self._graphs:
            self._graphs[key] = load_runtime(folder, manifest, runtime, threads, device)
        self._graphs.move_to_end(key)
        while len(self._graphs) > MAX_GRAPHS:
            self._graphs.popitem(last=False)
        return self._graphs[key]


def attempt(run: Callable[[BatchJob], JobResult], job: BatchJob) -> tuple[JobResult | None, JobFault | None]:
    """Run the job: its result, if it ran to its end, and its fault, if it failed. Nothing but an interruption is raised."""
    result = None
    try:
        result = run(job)
        refuse_failed(result.failed, result.series)
    except ForecasterError as fault:
        return result, JobFault(code=fault.code, kind=fault.kind, message=fault.message, hint=fault.hint)
    except TimeLimit:
        return None, timeout_fault(job)
    except MemoryError:
        short = NoMemoryError("not enough memory.", "Split the job, or take fewer threads.")
        return None, JobFault(code=short.code, kind=short.kind, message=short.message, hint=short.hint)
    except Exception as bug:  # one job's bug must not cost the others; its traceback is in the line
        message, trace = masked(f"{type(bug).__name__}: {bug}"), masked(traceback.format_exc())
        return None, JobFault(code=1, kind="bug", message=message, hint="Report this.", traceback=trace)
    return result, None


def timeout_fault(job: BatchJob) -> JobFault:
    """The fault of a job that took too long."""
    message = f"took longer than {job.timeout:g} s."
    return JobFault(code=LockError.code, kind=TIMEOUT, message=message, hint="Raise timeout.")  # as a lock: try later


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TimeLimit inside the block after `seconds`. Only the main thread can be interrupted."""
    if seconds is None or threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def stop(_number: int, _frame: object) -> None:
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the block as an error would: locks are released and child processes end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _command(job: BatchJob, settings: EvaluateSettings | TrainSettings) -> list[str]:
    """The job as a command line that reads no variables and no settings file."""
    words = [sys.executable, "-m", "forecaster.cli.child_main", job.command, *([job.data] if job.data else [])]
    words += ["--json", "--quiet", "--config", os.devnull]
    default = type(settings)()
    for name, item in options(type(settings)).items():
        value = getattr(settings, name)
        if value == getattr(default, name):
            continue
        if isinstance(value, bool):
            words.append(flag(name, item) if value else f"--no-{flag(name, item)[2:]}")
        else:
            text = _joined(value) if isinstance(value, tuple) else str(value)
            words.append(f"{flag(name, item)}={text}")
    return words


def _joined(values: tuple[object, ...]) -> str:
    """A list as the value of a flag: numbers as they are, names in quotes."""
    return ",".join(f'"{v.replace(chr(34), 2 * chr(34))}"' if isinstance(v, str) else repr(v) for v in values) or "none"


def _run(command: list[str], secret: str = "") -> subprocess.CompletedProcess[str]:
    """Run a child process to its end. An interruption kills the child, which leaves the store unchanged.

    A kill of this process ends the child, too, because it closes the pipe that is the child's standard input. A `secret` is
    handed over in the variable HANDED_OVER.
    """
    # Nor is a job one worker of several that train together: the others would have to run the same job at the same time.
    plain = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX) and name != TF_CONFIG}
    if secret:
        plain[HANDED_OVER] = unquote(secret)
    child_end, own_end = os.pipe()
    try:
        return subprocess.run(command, env=plain, stdin=child_end, capture_output=True, text=True, check=False)
    finally:
        os.close(child_end)
        os.close(own_end)


def ended_by(number: int) -> str:
    """That the process of a job was ended by a signal, most often by the system for want of memory."""
    name = signal.Signals(number).name if number in {*signal.Signals} else f"signal {number}"
    memory = " The system ends processes so when memory runs out." if name == "SIGKILL" else ""
    return f"the process of this job was ended by {name}.{memory}"


def _fault(code: int, errors: str) -> ForecasterError:
    """The error that a child process wrote, as an exception."""
    last = (errors.strip().splitlines() or [""])[-1]
    try:
        fault = json.loads(last)["error"]
        return ChildError(code, fault["kind"], fault["message"], fault["hint"])
    except (ValueError, KeyError, TypeError):
        if code < 0:
            return ChildError(1, "killed", ended_by(-code), "Split the job, or take fewer threads.")
        return ChildError(code, "bug", last or f"ended with {code}.", "")
