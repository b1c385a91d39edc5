"""A job is skipped only where its last success read what is there now, and all that it wrote is there."""

from __future__ import annotations

import json
import os
import shutil
from subprocess import CompletedProcess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecaster.commands.batch.result_lines import JobLine, JobResult
from forecaster.commands.batch.run import batch
from forecaster.commands.batch.run_job import Worker
from forecaster.commands.batch.status import StatusFile
from forecaster.config import BatchSettings
from forecaster.serving.store import Store
from tests.commands.batch.test_run import TWO_JOBS, FakeClock, ran
from tests.support.factories import Recorder
from tests.support.stored_models import stored, write_csv

ONE_JOB = TWO_JOBS.partition("[jobs.two]")[0]
DONE = JobLine("one", "predict", "done", 1.0, JobResult("out.csv", {}, "2024-01-05 03:00:00", 2, files=("a", "b")))
EACH = ONE_JOB.replace("out/one.csv", "out/{series}.csv")


def overtaken(monkeypatch, change, *, before):
    """Jobs during which `change` is called once, before or after the job's own work."""
    real, left = Worker.run, [change]

    def run(self, job):
        if before and left:
            left.pop()()
        result = real(self, job)
        if left:
            left.pop()()
        return result

    monkeypatch.setattr(Worker, "run", run)


CHANGES = {
    "longer data": lambda shop: write_csv(shop / "data.csv", 101),
    "other values of the same size": lambda shop: (shop / "data.csv").write_text(
        (shop / "data.csv").read_text().replace(",5", ",6")
    ),
    "a new version": lambda shop: stored(shop / "models", bias=1.0),
    "a rollback": lambda shop: Store(shop / "models").rollback("m", 1),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("before", [True, False])
def test_what_changes_while_a_job_runs_is_processed_by_the_next(shop, monkeypatch, change, before):
    stored(shop / "models", bias=2.0)
    overtaken(monkeypatch, lambda: CHANGES[change](shop), before=before)
    assert ran(shop, ONE_JOB)[1]["done"] == 1
    first = (shop / "out" / "one.csv").read_bytes()
    assert ran(shop, ONE_JOB)[1]["done"] == 1
    assert before or (shop / "out" / "one.csv").read_bytes() != first
    assert ran(shop, ONE_JOB)[1]["skipped"] == 1


def test_data_that_changes_and_changes_back_was_not_read_for_sure(shop, monkeypatch):
    whole = (shop / "data.csv").read_bytes()
    real = Worker.run

    def run(self, job):
        write_csv(shop / "data.csv", 101)
        result = real(self, job)
        (shop / "data.csv").write_bytes(whole)
        os.utime(shop / "data.csv", (1, 1))
        return result

    os.utime(shop / "data.csv", (1, 1))
    monkeypatch.setattr(Worker, "run", run)
    assert ran(shop, ONE_JOB)[1]["done"] == 1
    monkeypatch.setattr(Worker, "run", real)
    assert ran(shop, ONE_JOB)[1]["done"] == 1
    assert len((shop / "out" / "one.csv").read_text().splitlines()) == 1 + 2 * 6


@pytest.mark.parametrize("gone", [{"a.csv"}, {"b.csv"}, {"a.csv", "b.csv"}])
def test_files_of_series_that_are_gone_are_written_again(shop, gone):
    assert ran(shop, EACH)[1]["done"] == 1
    assert ran(shop, EACH)[1]["skipped"] == 1
    for name in gone:
        (shop / "out" / name).unlink()
    assert ran(shop, EACH)[1]["done"] == 1
    assert {path.name for path in (shop / "out").iterdir()} == {"a.csv", "b.csv"}
    assert ran(shop, EACH)[1]["skipped"] == 1


def test_a_job_that_names_no_model_is_done_again_where_the_one_of_the_data_s_name_is_another(shop):
    for bias in (0.0, 5.0):
        stored(shop / "models", name="data", bias=bias)
    stored(shop / "models", created="2026-01-01T00:00:00+00:00")  # trained last
    job = ONE_JOB.replace('model = "m"', "")
    assert ran(shop, job)[0]["one"]["model"] == "data"
    assert ran(shop, job)[1]["skipped"] == 1
    before = (shop / "out" / "one.csv").read_bytes()
    Store(shop / "models").rollback("data", 1)
    (planned,) = planned_jobs(shop)
    assert planned["model"] == "data@1" and not planned["done_already"]
    assert ran(shop, job)[1]["done"] == 1 and (shop / "out" / "one.csv").read_bytes() != before


def planned_jobs(shop):
    """What a dry run would do."""
    lines = []
    batch(shop / "jobs.toml", BatchSettings(dry_run=True), Recorder(), lines.append, FakeClock())
    return [line.to_json() for line in lines]


TRAIN = """
status = "status.json"
[jobs.again]
command = "train"
data = "data.csv"
name = "m"
from = "base"
"""


def test_a_training_is_done_again_where_its_model_or_the_one_it_starts_from_is_another(shop, monkeypatch):
    stored(shop / "models", name="base")
    done = CompletedProcess([], 0, '{"model": "m", "version": 2}', "")
    monkeypatch.setattr("forecaster.commands.batch.run_job._run", lambda _command: done)
    assert ran(shop, TRAIN)[1]["done"] == 1
    assert ran(shop, TRAIN)[1]["skipped"] == 1
    stored(shop / "models", name="base", bias=1.0)
    assert ran(shop, TRAIN)[1]["done"] == 1
    assert ran(shop, TRAIN)[1]["skipped"] == 1
    shutil.rmtree(shop / "models" / "m")
    assert ran(shop, TRAIN)[1]["done"] == 1


@pytest.mark.parametrize("option", ["report", "anomalies"])
def test_every_file_of_a_job_is_dated_has_its_folder_and_is_written_again_where_it_is_gone(shop, option):
    ending = {"report": "html", "anomalies": "csv"}[option]
    job = f"""
status = "status.json"
[jobs.e]
command = "evaluate"
data = "data.csv"
model = "m"
{option} = "{{date}}/{option}.{ending}"
"""
    write_csv(shop / "data.csv", 130)
    assert ran(shop, job)[1]["done"] == 1
    (written,) = shop.glob(f"20*/{option}.{ending}")
    assert ran(shop, job)[1]["skipped"] == 1
    written.unlink()
    assert ran(shop, job)[1]["done"] == 1 and written.is_file()


def test_a_status_file_of_an_earlier_release_has_no_files_of_series_and_they_are_written(shop):
    ran(shop, EACH)
    ran(shop, EACH)
    status = json.loads((shop / "status.json").read_text())
    del status["jobs"]["one"]["files"]
    (shop / "status.json").write_text(json.dumps(status))
    (shop / "out" / "a.csv").unlink()
    assert ran(shop, EACH)[1]["done"] == 1 and (shop / "out" / "a.csv").is_file()


WRONG = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.just({}))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(data=st.data())
def test_a_status_file_with_wrong_values_is_read_as_far_as_it_goes(tmp_path, data):
    status = a_status(tmp_path)
    job = status["jobs"]["one"]
    job[data.draw(st.sampled_from(sorted(job)))] = data.draw(WRONG)
    (tmp_path / "status.json").write_text(json.dumps(status))
    StatusFile(tmp_path / "status.json").note(DONE, "", FakeClock().now())
    assert json.loads((tmp_path / "status.json").read_text())["jobs"]["one"]["last_status"] == "done"


def test_flipped_bits_in_a_status_file_never_end_the_batch(tmp_path):
    a_status(tmp_path)
    whole = (tmp_path / "status.json").read_bytes()
    for at in range(len(whole)):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << (at % 8)
        (tmp_path / "status.json").write_bytes(flipped)
        found = StatusFile(tmp_path / "status.json")
        found.earlier("one")
        found.to_json(FakeClock().now())


def a_status(folder):
    """A status file with a success in it, as JSON."""
    StatusFile(folder / "status.json").note(DONE, "a" * 64, FakeClock().now())
    return json.loads((folder / "status.json").read_text())


@pytest.mark.parametrize(
    "stamp", ["2026-05-01T00:00:00", "soon", "", "2026-13-01T00:00:00+00:00", "9999-12-31T23:59:59-23:59"]
)
def test_a_wrong_stamp_in_a_status_file_is_warned_of_and_all_jobs_are_done_again(shop, stamp):
    ran(shop, TWO_JOBS)
    status = json.loads((shop / "status.json").read_text())
    status["jobs"]["one"]["last_success"] = stamp
    (shop / "status.json").write_text(json.dumps(status))
    seen, lines = Recorder(), []
    summary = batch(shop / "jobs.toml", BatchSettings(), seen, lines.append, FakeClock())
    valid = stamp.startswith("9999")
    assert summary.to_json()["summary"]["skipped" if valid else "done"] == 2
    assert any("every job runs again" in text for text in seen.warnings) != valid
