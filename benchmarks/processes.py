"""Time and memory of whole processes, as the system accounts for them; workers that keep running between measurements."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PYTHON = sys.executable
FORECASTER = (PYTHON, "-m", "forecaster")


def forecaster(*words: object) -> str:
    """Run `forecaster` and return its standard output. SystemExit if the command fails."""
    done = subprocess.run([*FORECASTER, *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"forecaster {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Spread:
    """Measurements of one thing."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure that is quoted."""
        return statistics.median(self.values)

    def text(self, digits: int = 2, unit: str = "") -> str:
        """Median and, in brackets, the smallest and the largest."""
        low, high = min(self.values), max(self.values)
        return f"{self.median:,.{digits}f}{unit} ({low:,.{digits}f}–{high:,.{digits}f})"


@dataclass(frozen=True)
class Runs:
    """Runs of one command."""

    seconds: Spread
    cpu: Spread  # user and system seconds
    megabytes: Spread  # largest resident set


def ratio(one: Spread, other: Spread) -> Spread:
    """Ratios pair by pair, so that a machine that slows down between pairs has no influence."""
    return Spread(tuple(a / b for a, b in zip(one.values, other.values, strict=True)))


def measure(*commands: Sequence[str], runs: int, cwd: Path | None = None) -> list[Runs]:
    """The commands in turn, `runs` times after one run that is not counted. SystemExit if a command fails."""
    found: list[list[tuple[float, float, float]]] = [[] for _ in commands]
    for turn in range(runs + 1):
        for i, command in enumerate(commands):
            taken = once(command, cwd)
            if turn:
                found[i].append(taken)
    return [Runs(*(Spread(tuple(column)) for column in zip(*rows, strict=True))) for rows in found]


def once(command: Sequence[str], cwd: Path | None = None) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak megabytes of one run."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=cwd)
    assert process.stderr is not None
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed ({process.returncode}):\n{errors.decode()[-2000:]}")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


class Worker:
    """A process that answers each line with one JSON value, so that it starts once and measures often."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, question: str = "go") -> float:
        """The answer to one question."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"{self.process.args!r} ended")
        return float(json.loads(answer))

    def close(self) -> None:
        """End it."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def processor_seconds() -> float:
    """User and system seconds of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
