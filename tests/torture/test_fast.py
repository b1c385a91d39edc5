"""A short run of the torture tests. Each part has a process of its own, since it must fork before any thread starts."""

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
        ("flip", ["--max-bytes", "60"]),
        ("faults", ["--step", "80", "--verbs", "predict"]),
        ("tamper", ["--count", "8"]),
        pytest.param("faults", ["--step", "20", "--verbs", "train", "--kinds", "bytes"], marks=pytest.mark.long),
        pytest.param("fuzz_atheris", ["40"], marks=pytest.mark.long),
        ("week", ["--hours", "50"]),
    ],
)
def test_a_short_run_of_the_part_passes(part: str, arguments: list[str]) -> None:
    command = [sys.executable, "-m", f"tests.torture.{part}", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert all(json.loads(line)["seconds"] >= 0 for line in done.stdout.splitlines())


def test_a_stopped_run_of_faults_goes_on_with_what_has_run(tmp_path: Path) -> None:
    from tests.torture.faults import Journal

    Journal(tmp_path / "cases.jsonl").add("train: write 1 of 2: EIO", ["exit 2"])
    assert Journal(tmp_path / "cases.jsonl").outcomes == {"train: write 1 of 2: EIO": ["exit 2"]}
    assert Journal(None).outcomes == {}


@pytest.mark.parametrize("environment", ["full_disk", "read_only", "terminated", "crowd 8"])
def test_forecaster_works_or_fails_cleanly_in_the_environment(environment: str) -> None:
    program = (
        "import sys, tempfile\nfrom pathlib import Path\nfrom tests.torture import environments\n"
        "with tempfile.TemporaryDirectory() as folder:\n"
        "    getattr(environments, sys.argv[1])(Path(folder), *map(int, sys.argv[2:]))\n"
    )
    command = [sys.executable, "-c", program, *environment.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
