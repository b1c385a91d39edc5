"""Jobs that run after others, that are tried again, that name a command for their failures, and maintenance jobs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from forecaster.commands.batch.jobs import load_jobs
from forecaster.commands.batch.run import batch
from forecaster.commands.schedule import schedule
from forecaster.config import BatchSettings, PredictSettings, ScheduleSettings
from forecaster.errors import UsageError
from forecaster.serving.ledger import append
from forecaster.serving.predict import run_forecast
from forecaster.serving.store import Store
from tests.commands.batch.test_run import FakeClock, ran
from tests.support.factories import Recorder
from tests.support.stored_models import stored, write_csv

CHAIN = """
[defaults]
data = "data.csv"
[jobs.third]
after = "second"
output = "3.csv"
model = "m"
[jobs.second]
command = "check"
after = ["first"]
[jobs.first]
output = "1.csv"
model = "m"
"""
WATCHED = """
[jobs.retrain]
command = "train"
data = "data.csv"
name = "m"
only_if = "watch"
[jobs.watch]
command = "monitor"
data = "data.csv"
ledger = "l.db"
"""


@pytest.fixture
def child(monkeypatch):
    """The command lines of trainings, which are not run."""
    seen = []

    def run(command):
        seen.append(command)
        return subprocess.CompletedProcess(command, 0, '{"model": "m", "version": 2}', "")

    monkeypatch.setattr("forecaster.commands.batch.run_job._run", run)
    return seen


def forecasts(shop, hours, bias):
    """A ledger of hourly forecasts that are wrong by `bias`."""
    version = stored(shop / "models", bias=bias)
    for hour in range(hours):
        data = write_csv(shop / "then.csv", 72 + hour)
        settings = PredictSettings(models=str(shop / "models"), model=f"m@{version}", ledger="x")
        append(shop / "l.db", run_forecast(str(data), settings, Recorder()))


def test_jobs_run_after_those_they_name_whatever_their_order_in_the_file(shop):
    lines, summary = ran(shop, CHAIN)
    assert list(lines) == ["first", "second", "third"] and summary["done"] == 3
    assert lines["second"]["faults"] == 0


def test_what_comes_after_a_failed_job_is_not_run_and_no_failure_of_its_own(shop):
    lines, summary = ran(shop, CHAIN.replace("after = [", 'timestamp = "no"\nafter = ['))
    assert lines["second"]["status"] == "failed" and lines["third"]["status"] == "skipped"
    assert lines["third"]["reason"] == "'second' failed" and not (shop / "3.csv").exists()
    assert (summary["failed_jobs"], summary["skipped"]) == (["second"], 1)
    lines, _ = ran(shop, CHAIN.replace('output = "1.csv"', 'output = "1.csv"\ntimestamp = "no"'))
    assert [lines[name].get("reason") for name in ("second", "third")] == ["'first' failed", "'second' was not run"]


def test_only_takes_along_what_a_job_runs_after_and_the_schedule_is_theirs(shop):
    lines, _ = ran(shop, CHAIN, only="second")
    assert list(lines) == ["first", "second"]
    text = CHAIN.replace("[jobs.first]", '[jobs.first]\nschedule = "@hourly"')
    (shop / "jobs.toml").write_text(text)
    assert {job.schedule for job in load_jobs(shop / "jobs.toml").jobs} == {"@hourly"}
    line = schedule(shop / "jobs.toml", ScheduleSettings())
    assert line.count("forecaster batch") == 1 and "0 * * * *" in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[jobs.a]\noutput="x"\nafter="b"', "[jobs.a]: there is no job 'b'."),
        ('[jobs.a]\noutput="x"\nafter="a"', "[jobs.a]: runs after itself."),
        ('[jobs.a]\noutput="x"\nafter="b"\n[jobs.b]\noutput="y"\nafter="a"', "runs after itself."),
        ('[jobs.a]\noutput="x"\nonly_if="b"\n[jobs.b]\noutput="y"', "'b' is not a monitor job."),
        ('[jobs.a]\ncommand="monitor"\ndata="d"', "a monitor job needs a ledger."),
        ('[jobs.a]\ncommand="monitor"\nledger="d"', "a monitor job needs data."),
        ('[jobs.a]\ncommand="check"', "a check job needs data."),
        ('[jobs.a]\ncommand="prune"', "a prune job needs a name."),
        ('[jobs.a]\ncommand="prune"\nname="m"\ndata="d"', "no data and no output."),
        ('[jobs.a]\noutput="x"\nretries=-1', "retries: -1 is not at least 0."),
        ('[jobs.a]\noutput="x"\non_failure="a \'b"', "on_failure: No closing quotation."),
        (
            '[jobs.a]\noutput="x"\nschedule="@daily"\n[jobs.b]\noutput="y"\nafter="a"\nschedule="@hourly"',
            "[jobs.b]: runs after jobs with other schedules.",
        ),
    ],
)
def test_orders_that_cannot_be_are_refused_before_anything_runs(shop, text, message):
    with pytest.raises(UsageError) as caught:
        ran(shop, text)
    assert message in str(caught.value)


def test_a_failed_job_is_tried_again_after_its_wait_while_the_others_go_on(shop):
    clock = FakeClock()
    (shop / "late.csv").write_text("series,timestamp,target\na,nonsense,1\n")
    clock.at(150, lambda: write_csv(shop / "late.csv", 100))
    text = (
        '[defaults]\nmodel = "m"\nretries = 3\nretry_wait = "1m"\n[jobs.late]\ndata = "late.csv"\noutput = "1.csv"\n'
        '[jobs.other]\ndata = "data.csv"\noutput = "2.csv"\n'
    )
    lines, summary = ran(shop, text, clock)
    assert list(lines) == ["other", "late"] and summary["done"] == 2
    assert 150 <= clock.passed <= 190
    (shop / "late.csv").write_text("series,timestamp,target\na,nonsense,1\n")
    clock = FakeClock()
    assert ran(shop, text.replace("retries = 3", "retries = 2"), clock)[1]["failed"] == 1
    assert 120 <= clock.passed <= 130


def test_a_job_with_impossible_options_is_not_tried_again(shop):
    text = '[jobs.a]\ndata = "data.csv"\nmodel = "m"\noutput = "no\\u0000name.csv"\nretries = 5\n'
    clock = FakeClock()
    lines, _ = ran(shop, text, clock)
    assert lines["a"]["code"] == 2 and clock.passed == 0


def test_a_failure_calls_its_command_once_with_name_code_and_message(shop):
    script = shop / "mail it.sh"
    script.write_text('#!/bin/sh\nprintf "%s|" "$@" >> called; echo noise; pwd >> called\n')
    script.chmod(0o755)
    text = (
        '[defaults]\non_failure = "\'./mail it.sh\' ops@example.com"\nmodel = "m"\n[jobs.bad]\nretries = 1\n'
        'data = "none.csv"\noutput = "1.csv"\n[jobs.good]\ndata = "data.csv"\noutput = "2.csv"\n'
    )
    assert ran(shop, text)[1]["failed_jobs"] == ["bad"]
    called = (shop / "called").read_text()
    assert called.startswith("ops@example.com|bad|3|") and "none.csv" in called and called.count("|") == 4
    assert called.splitlines()[-1].endswith(f"|{shop}")


@pytest.mark.parametrize("command", ["./none.sh", "false", "no-such-program-anywhere"])
def test_a_command_for_failures_that_fails_is_told_with_the_failures_and_costs_nothing(shop, command):
    text = f'[jobs.a]\ndata = "none.csv"\noutput = "1.csv"\non_failure = "{command}"\n'
    text += '[jobs.b]\ndata = "data.csv"\nmodel = "m"\noutput = "2.csv"\n'
    summary = ran(shop, text)[1]
    assert summary["done"] == 1 and summary["on_failure"][0].startswith("a: on_failure: '")
    (shop / "jobs.toml").write_text(text)  # with --quiet, too
    done = subprocess.run(
        [sys.executable, "-m", "forecaster", "batch", "jobs.toml", "--quiet"], cwd=shop, capture_output=True, text=True
    )
    assert done.returncode == 7 and "a: on_failure: '" in done.stderr


def test_a_contradiction_in_a_job_names_the_job(shop):
    (shop / "jobs.toml").write_text('[jobs.a]\ndata = "data.csv"\nmodel = "m"\noutput = "1.csv"\nas_of = "x"\n')
    with pytest.raises(UsageError, match=r"\[jobs.a\]: --as-of 'x' is no timestamp"):
        batch(shop / "jobs.toml", BatchSettings(), Recorder(), print)


@pytest.mark.parametrize("option", ["metrics", "report"])
@pytest.mark.parametrize(
    ("file", "what"),
    [("jobs", "the jobs file"), ("data", "the job's data"), ("1", "the job's output"), ("status", "the status file")],
)
def test_a_page_of_the_batch_overwrites_nothing_that_it_reads_or_that_a_job_writes(shop, option, file, what):
    path = shop / f"{file}.html"
    if file == "data":
        shutil.copy(shop / "data.csv", path)
    jobs = path if file == "jobs" else shop / "jobs.toml"
    data = "data.html" if file == "data" else "data.csv"
    jobs.write_text(
        f'status = "status.html"\n[jobs.a]\ndata = "{data}"\nmodel = "m"\noutput = "1.html"\nformat = "csv"\n'
    )
    before = {one: one.read_bytes() for one in shop.iterdir() if one.is_file()}
    with pytest.raises(UsageError, match=f"--{option} .* is {what}, which it would overwrite"):
        batch(jobs, BatchSettings(**{option: str(path)}), Recorder(), print)
    assert {one: one.read_bytes() for one in shop.iterdir() if one.is_file()} == before


def test_a_training_runs_only_if_the_monitor_says_retrain(shop, child):
    forecasts(shop, 12, bias=6.0)
    lines, summary = ran(shop, WATCHED)
    assert (lines["watch"]["verdict"], lines["watch"]["status"]) == ("retrain", "done")
    assert lines["retrain"]["status"] == "done" and len(child) == 1 and summary["failed"] == 0


def test_a_training_is_left_out_while_the_model_is_good_or_too_new(shop, child):
    forecasts(shop, 2, bias=0.0)
    lines, summary = ran(shop, WATCHED)
    assert (lines["retrain"]["status"], lines["retrain"]["reason"]) == ("skipped", "'watch' says too few")
    assert not child and summary["failed"] == 0


def test_a_verdict_that_no_job_answers_is_a_failure(shop):
    forecasts(shop, 12, bias=6.0)
    lines, summary = ran(shop, WATCHED[WATCHED.index("[jobs.watch]") :] + 'output = "live.json"\n')
    assert lines["watch"]["code"] == 5 and summary["failed"] == 1
    assert json.loads((shop / "live.json").read_text())["verdict"] == "retrain"


def test_a_check_of_data_with_faults_fails_and_leaves_its_report(shop):
    (shop / "bad.csv").write_text("series,timestamp,target\na,2024-01-01,1\na,nonsense,1\n")
    lines, _ = ran(shop, '[jobs.a]\ncommand = "check"\ndata = "bad.csv"\noutput = "faults.json"\n')
    assert lines["a"]["code"] == 3 and json.loads((shop / "faults.json").read_text())


def test_old_versions_are_removed_by_a_job(shop):
    for _ in range(4):
        stored(shop / "models")
    lines, _ = ran(shop, '[jobs.a]\ncommand = "prune"\nname = "m"\nkeep = 2\n')
    assert lines["a"]["removed"] == [1, 2, 3] and Store(shop / "models").versions("m") == (4, 5)
