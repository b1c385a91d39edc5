"""A folder with a model, data and a jobs file to run in, and processes that may be killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.support.stored_models import stored, write_csv

JOBS = """
status = "status.json"
[defaults]
model = "m"
data = "data.csv"
ledger = "ledger.db"
[jobs.csv]
output = "out/forecast.csv"
[jobs.json]
output = "out/forecast.json"
horizon = 9
[jobs.each]
output = "out/each-{series}.csv"
horizon = 2
"""
OUTPUTS = ("forecast.csv", "forecast.json", "each-a.csv", "each-b.csv")
LEFTOVERS = (".forecast-*", "*.part", ".new-*", ".unfinished", ".*.lock", "*-journal", "*.new")


class BrokenError(AssertionError):
    """What must hold does not."""


def check(holds: object, expectation: str) -> None:
    """`assert` that python -O keeps."""
    if not holds:
        raise BrokenError(expectation)


def make_sandbox(folder: Path) -> Path:
    """Make a model, data for it and jobs in `folder`, and return it."""
    stored(folder / "models")
    write_csv(folder / "data.csv", 60)
    (folder / "jobs.toml").write_text(JOBS)
    return folder


def fork(work: Callable[..., int | None], *arguments: object) -> int:
    """Call `work` in a forked process, which exits with what it returns. Returns the process id. No thread may run yet."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(silence, descriptor)
        code = work(*arguments) or 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def exit_code(pid: int) -> int:
    """Wait for the process and return its exit code; minus the signal where it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_after(pid: int, seconds: float) -> int:
    """Kill the process with SIGKILL after `seconds`; its exit code, -9 where it still ran."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(min(0.05, left))
    os.kill(pid, signal.SIGKILL)
    return exit_code(pid)


def batch(folder: Path, *options: str) -> int:
    """Run the jobs of the sandbox in this process; the exit code."""
    from forecaster.cli.main import run

    return run(["batch", str(folder / "jobs.toml"), "--quiet", *options])


def read_outputs(folder: Path) -> dict[str, bytes]:
    """The content of each output that exists."""
    return {name: (folder / "out" / name).read_bytes() for name in OUTPUTS if (folder / "out" / name).exists()}


def leftovers(folder: Path) -> list[str]:
    """Temporary files, locks and journals, relative to `folder`: a run that ends leaves none."""
    return sorted({str(path.relative_to(folder)) for pattern in LEFTOVERS for path in folder.rglob(pattern)})


def forecasts_in_ledger(folder: Path) -> int:
    """The number of forecasts in the ledger, which must be intact; 0 where there is no ledger."""
    if not (folder / "ledger.db").exists():
        return 0
    with sqlite3.connect(folder / "ledger.db") as ledger:
        check(ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the ledger is intact")
        tables = {name for (name,) in ledger.execute("SELECT name FROM sqlite_master")}
        return ledger.execute("SELECT count(*) FROM forecasts").fetchone()[0] if "forecasts" in tables else 0


class KillAtDiskStep:
    """Kills its own process before or after a call that changes the disk: at the `moment`-th of these moments."""

    CALLS = ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir")

    def __init__(self, moment: int) -> None:
        self.left = moment

    def __enter__(self) -> KillAtDiskStep:
        for name in self.CALLS:
            setattr(os, name, self._deadly(getattr(os, name)))
        return self

    def __exit__(self, *exc: object) -> None:
        """Restore nothing: only forked processes use it, and they end."""

    def _deadly(self, call: Callable[..., object]) -> Callable[..., object]:
        def counted(*arguments: object, **options: object) -> object:
            self._tick()
            result = call(*arguments, **options)
            self._tick()
            return result

        return counted

    def _tick(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
