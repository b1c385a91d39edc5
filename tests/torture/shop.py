"""A small shop to torture: models, data, a jobs file; and processes that may be killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import time
import traceback
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
STRAYS = (".forecast-*", "*.part", ".new-*", ".unfinished", ".*.lock", "*-journal", "*.new")


class BrokenError(AssertionError):
    """A promise that was not kept."""


def check(holds: object, promise: str) -> None:
    """`assert` that stays under python -O."""
    if not holds:
        raise BrokenError(promise)


def open_shop(folder: Path) -> Path:
    """A model, data for it, and jobs."""
    stored(folder / "models")
    write_csv(folder / "data.csv", 60)
    (folder / "jobs.toml").write_text(JOBS)
    return folder


def child(work, *given) -> int:
    """Fork, do `work`, and end with what it returns; the parent gets the process id. No thread may run before."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        silence = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1):
            os.dup2(silence, descriptor)
        code = work(*given) or 0
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int) -> int:
    """The exit code; minus the signal for a process that was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill_after(pid: int, seconds: float) -> int:
    """kill -9 after a while; the exit code, -9 where it still ran."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(min(0.05, left))
    os.kill(pid, signal.SIGKILL)
    return ended(pid)


def batch(folder: Path, *options: str) -> int:
    """Run the shop's jobs in this process."""
    from forecaster.cli.main import run

    return run(["batch", str(folder / "jobs.toml"), "--quiet", *options])


def whole_outputs(folder: Path) -> dict[str, bytes]:
    """What the jobs wrote."""
    return {name: (folder / "out" / name).read_bytes() for name in OUTPUTS if (folder / "out" / name).exists()}


def strays(folder: Path) -> list[str]:
    """Files that no run should leave."""
    return sorted({str(path.relative_to(folder)) for pattern in STRAYS for path in folder.rglob(pattern)})


def forecasts_in_ledger(folder: Path) -> int:
    """Rows of a ledger in good order; 0 where there is none."""
    if not (folder / "ledger.db").exists():
        return 0
    with sqlite3.connect(folder / "ledger.db") as ledger:
        check(ledger.execute("PRAGMA integrity_check").fetchone() == ("ok",), "the ledger is whole")
        tables = {name for (name,) in ledger.execute("SELECT name FROM sqlite_master")}
        return ledger.execute("SELECT count(*) FROM forecasts").fetchone()[0] if "forecasts" in tables else 0


class Killer:
    """Kills its own process at the n-th moment at which something becomes visible on the disk, or just after it."""

    CALLS = ("fsync", "replace", "rename", "unlink", "rmdir", "mkdir")

    def __init__(self, moment: int) -> None:
        self.left = moment

    def __enter__(self) -> Killer:
        for name in self.CALLS:
            setattr(os, name, self._deadly(getattr(os, name)))
        return self

    def __exit__(self, *exc: object) -> None:
        """Only children use it: nothing to undo."""

    def _deadly(self, call):
        def called(*given, **kept):
            self._tick()
            done = call(*given, **kept)
            self._tick()
            return done

        return called

    def _tick(self) -> None:
        self.left -= 1
        if self.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
