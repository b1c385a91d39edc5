"""Workers of TF_CONFIG on this machine: the same command in several processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """A process that has ended."""

    code: int
    out: str
    err: str


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens at now."""
    listening = [socket.socket() for _ in range(count)]
    for one in listening:
        one.bind(("localhost", 0))
    ports = [one.getsockname()[1] for one in listening]
    for one in listening:
        one.close()
    return ports


def start_workers(commands: Sequence[Sequence[str]], folder: Path) -> list[subprocess.Popen[str]]:
    """A process of Python for each command, which are the workers of one cluster."""
    hosts = [f"localhost:{port}" for port in free_ports(len(commands))]
    processes = []
    for index, words in enumerate(commands):
        config = {"cluster": {"worker": hosts}, "task": {"type": "worker", "index": index}}
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "TF_CONFIG": json.dumps(config)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen([sys.executable, *words], env=environ, cwd=folder, text=True, **pipes))
    return processes


def end_of(processes: Sequence[subprocess.Popen[str]], seconds: float) -> list[Ended]:
    """All of them, once they have ended. TimeoutExpired where one hangs; none is left running."""
    try:
        found = [(process, process.communicate(timeout=seconds)) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [Ended(process.returncode, out, err) for process, (out, err) in found]
