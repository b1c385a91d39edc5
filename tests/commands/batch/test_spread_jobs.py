"""Jobs of a batch in the workers of an engine: several at once, in order, with the lines of one process."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from forecaster.cli.main import run
from forecaster.commands.batch import run as batch_run
from tests.support.pickling_engine import PicklingEngine
from tests.support.stored_models import TWO_JOBS, stored, write_csv

JOBS = f"""{TWO_JOBS}[jobs.after]
command = "evaluate"
data = "later.csv"
after = ["one", "two"]
[jobs.wrong]
data = "nothing.csv"
output = "out/wrong.csv"
"""


class BothAtOnce(PicklingEngine):
    """Holds the first two jobs until both have begun."""

    def __init__(self):
        super().__init__()
        self.both, self.begun = threading.Barrier(2, timeout=60), 0

    def run(self, *arguments, **options):
        self.begun += 1
        if self.begun <= 2:
            self.both.wait()
        yield from super().run(*arguments, **options)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(Path("data.csv"), 100)
    write_csv(Path("later.csv"), 130)
    for file in ("data.csv", "later.csv"):
        os.utime(file, (1_700_000_000, 1_700_000_000))  # written long ago
    stored(tmp_path / "models", data=tmp_path / "data.csv")
    Path("jobs.toml").write_text(JOBS)
    return tmp_path


def lines_of(capfd):
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    return {line["job"]: {**line, "seconds": 0} for line in lines if "job" in line}


def test_jobs_by_workers_have_the_lines_and_files_of_one_process(folder, monkeypatch, capfd):
    assert run(["batch", "jobs.toml", "--json"]) == 7
    expected = lines_of(capfd)
    files = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    for path in (*Path("out").iterdir(), Path("status.json")):
        path.unlink()
    engine = BothAtOnce()
    monkeypatch.setattr(batch_run, "open_engine", engine.opened)
    assert run(["batch", "jobs.toml", "--json", "--engine", "ray"]) == 7
    found = lines_of(capfd)
    assert found == expected
    assert [*found].index("after") > max([*found].index("one"), [*found].index("two"))
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == files
    assert run(["batch", "jobs.toml", "--json", "--engine", "ray"]) == 7  # what is done is not done again
    again = lines_of(capfd)
    assert {name: line["status"] for name, line in again.items()} == {
        "one": "skipped", "two": "skipped", "after": "skipped", "wrong": "failed",
    }  # fmt: skip


def test_a_job_whose_worker_dies_fails_and_costs_no_other(folder, monkeypatch, capfd):
    monkeypatch.setattr(batch_run, "open_engine", PicklingEngine(1, workers=1).opened)
    assert run(["batch", "jobs.toml", "--json", "--only", "one,two", "--engine", "ray"]) == 7
    found = lines_of(capfd)
    assert found["one"]["error"]["message"] == "the job was not done: its worker died."
    assert found["two"]["status"] == "done"
