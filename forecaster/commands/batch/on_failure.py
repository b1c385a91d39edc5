"""The command that a job names for its failures: called with the job's name, the exit code and the message."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.config.resolve import PREFIX

if TYPE_CHECKING:
    from forecaster.commands.batch.result_lines import JobLine

LIMIT_SECONDS = 60.0  # a command that hangs must not keep the other jobs


def call(command: str, line: JobLine, folder: Path) -> str:
    """Run it in `folder`, without a shell. Returns why it did not end well; empty where it did.

    Its standard output goes nowhere, since that of the batch is lines of JSON.
    """
    words = [*shlex.split(command), line.job, str(line.code), line.error or ""]
    if "/" in words[0]:
        words[0] = str(folder / words[0])
    plain = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    try:
        done = subprocess.run(
            words,
            cwd=folder,
            env=plain,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"'{words[0]}' took longer than {LIMIT_SECONDS:g} s"
    except (OSError, ValueError) as error:
        return f"'{words[0]}' cannot be run: {getattr(error, 'strerror', None) or error}"
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return f"'{words[0]}' ended with {done.returncode}" + (f": {said[-1]}" if said else "")
    return ""
