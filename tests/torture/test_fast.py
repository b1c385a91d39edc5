"""As much of the torture as fits into a test run. Each part is a process of its own: it forks, before any thread."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks"),
]


@pytest.mark.parametrize(
    ("part", "arguments"),
    [
        ("kill", ["--trains", "0", "--batches", "3", "--step", "23"]),
        ("flip", ["--most", "60"]),
        ("week", ["--hours", "50"]),
    ],
)
def test_it_survives(part: str, arguments: list[str]) -> None:
    command = [sys.executable, "-m", f"tests.torture.{part}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert all(json.loads(line)["seconds"] >= 0 for line in done.stdout.splitlines())


@pytest.mark.parametrize("place", ["full_disk", "read_only", "terminated", "crowd 8"])
def test_no_place_is_too_odd(place: str) -> None:
    program = (
        "import sys, tempfile\nfrom pathlib import Path\nfrom tests.torture import places\n"
        "with tempfile.TemporaryDirectory() as folder:\n    getattr(places, sys.argv[1])(Path(folder), *map(int, sys.argv[2:]))\n"
    )
    command = [sys.executable, "-c", program, *place.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
