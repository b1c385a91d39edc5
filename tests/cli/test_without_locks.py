"""Where the system has no file locks, as on Windows, every command that writes works, and says that nothing is locked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stored_models import stored, write_csv

ROOT = Path(__file__).parents[2]
# As where Python has no module `fcntl`.
PROGRAM = "import sys; sys.modules['fcntl'] = None; from forecaster.cli.main import run; sys.exit(run(sys.argv[1:]))"
WARNING = "there are no file locks here; let only one run at a time write it"


@pytest.fixture
def shop(tmp_path):
    for _ in range(2):
        stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 60)
    (tmp_path / "jobs.toml").write_text(
        '[jobs.one]\ndata = "data.csv"\nmodel = "m"\noutput = "job.csv"\ntimeout = "2m"\n'
    )
    return tmp_path


def without_locks(shop, words):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PROGRAM, *words.split()]
    return subprocess.run(command, cwd=shop, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("predict data.csv --model m --output out.csv", "out.csv"),
        ("models rollback m 1", "models/m/current"),
        ("models prune m --keep 1", "models/m/2"),
        ("models export m m.tar", "m.tar"),
        ("batch jobs.toml", "job.csv"),
    ],
)
def test_a_command_that_writes_works_and_says_so_once(shop, words, written):
    done = without_locks(shop, words)
    assert done.returncode == 0, done.stderr
    assert (shop / written).exists()
    assert done.stderr.count(WARNING) == 1


@pytest.mark.slow
def test_a_command_that_only_reads_says_nothing(shop):
    done = without_locks(shop, "predict data.csv --model m --quiet")
    assert (done.returncode, done.stderr) == (0, "")
