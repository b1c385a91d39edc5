"""Many jobs in one process: none stops the rest, nothing is done twice, late inputs are waited for, outputs are locked."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from forecaster.cli.main import run
from forecaster.commands.batch.done_already import job_key
from forecaster.commands.batch.jobs import load_jobs
from forecaster.commands.batch.run import batch
from forecaster.commands.batch.run_job import TimeLimit, Worker, time_limit
from forecaster.config import BatchSettings
from forecaster.errors import UsageError
from forecaster.storage.files import output_lock
from tests.support.factories import Recorder
from tests.support.stored_models import TWO_JOBS, stored, write_csv

ROOT = Path(__file__).parents[3]


class FakeClock:
    """Time that passes only while somebody sleeps; `at` has things happen."""

    def __init__(self, start=dt.datetime(2026, 5, 1, tzinfo=dt.timezone.utc)):
        self.time, self.passed, self.events = start, 0.0, []

    def now(self):
        return self.time

    def monotonic(self):
        return self.passed

    def sleep(self, seconds):
        self.passed += max(seconds, 0.01)
        self.time += dt.timedelta(seconds=max(seconds, 0.01))
        for when, event in list(self.events):
            if self.passed >= when:
                self.events.remove((when, event))
                event()

    def at(self, seconds, event):
        self.events.append((seconds, event))


def ran(shop, text, clock=None, **options):
    """The jobs' lines by name, and the summary."""
    (shop / "jobs.toml").write_text(text)
    lines = []
    summary = batch(shop / "jobs.toml", BatchSettings(**options), Recorder(), lines.append, clock or FakeClock())
    return {line.job: line.to_json() for line in lines}, summary.to_json()["summary"]


def test_jobs_are_done_and_told_one_line_each(shop):
    lines, summary = ran(shop, TWO_JOBS)
    assert [line["status"] for line in lines.values()] == ["done", "done"]
    assert (summary["done"], summary["failed"]) == (2, 0)
    assert len((shop / "out" / "two.csv").read_text().splitlines()) == 1 + 2 * 2
    assert lines["one"]["cutoff"] == "2024-01-05 03:00:00" and lines["one"]["model"] == "m"


def test_a_graph_is_loaded_once_for_all_jobs(shop, monkeypatch):
    from forecaster.serving.stored_graphs import load_runtime

    calls = []
    monkeypatch.setattr(
        "forecaster.commands.batch.run_job.load_runtime", lambda *given: calls.append(given) or load_runtime(*given)
    )
    ran(shop, TWO_JOBS)
    assert len(calls) == 1


def test_a_failing_job_never_stops_the_rest(shop):
    (shop / "bad.csv").write_text("series,timestamp,target\na,nonsense,1\n")
    text = TWO_JOBS.replace("[jobs.one]", '[jobs.zero]\ndata = "no.csv"\noutput = "no"\n[jobs.one]')
    text += '[jobs.bad]\ndata = "bad.csv"\noutput = "bad-out.csv"\n'
    text += '[jobs.gone]\ndata = "data.csv"\nmodel = "x"\noutput = "x"\n'
    lines, summary = ran(shop, text)
    assert summary["failed_jobs"] == ["zero", "bad", "gone"] and summary["done"] == 2
    assert [lines[name]["code"] for name in ("zero", "bad", "gone")] == [3, 3, 4]
    assert not (shop / "bad-out.csv").exists()


def test_a_bug_in_one_job_leaves_its_traceback_in_its_line(shop, monkeypatch):
    real = Worker.run

    def broken(self, job):
        if job.name == "one":
            raise ZeroDivisionError("a bug")
        return real(self, job)

    monkeypatch.setattr(Worker, "run", broken)
    lines, summary = ran(shop, TWO_JOBS)
    assert lines["one"]["code"] == 1 and "ZeroDivisionError" in lines["one"]["traceback"]
    assert lines["two"]["status"] == "done" and summary["failed"] == 1


def test_what_is_done_for_this_data_and_version_is_not_done_again(shop):
    ran(shop, TWO_JOBS)
    assert ran(shop, TWO_JOBS)[1]["skipped"] == 2
    assert ran(shop, TWO_JOBS, force=True)[1]["done"] == 2
    (shop / "out" / "two.csv").unlink()
    lines, _ = ran(shop, TWO_JOBS)
    assert (lines["one"]["status"], lines["two"]["status"]) == ("skipped", "done")
    write_csv(shop / "data.csv", 101)
    assert ran(shop, TWO_JOBS)[1]["done"] == 2
    stored(shop / "models", bias=1.0)
    assert ran(shop, TWO_JOBS)[1]["done"] == 2
    assert ran(shop, TWO_JOBS.replace("horizon = 2", "horizon = 3"))[1]["done"] == 1


def test_a_fallback_is_not_taken_for_done(shop):
    graph = shop / "models" / "m" / "1" / "model.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1] + b"!")
    text = TWO_JOBS.replace("[defaults]", "[defaults]\nfallback = true")
    assert ran(shop, text)[1]["fallbacks"] == 4
    graph.write_bytes(whole)
    assert ran(shop, text)[1] | {"seconds": 0} == {
        "jobs": 2, "done": 2, "kept": 0, "failed": 0, "skipped": 0, "fallbacks": 0, "failed_jobs": [], "locked": 0, "seconds": 0,
    }  # fmt: skip


def test_the_status_file_tells_last_success_age_and_counts(shop):
    clock = FakeClock()
    ran(shop, TWO_JOBS, clock)
    clock.sleep(3600)
    (shop / "data.csv").unlink()
    ran(shop, TWO_JOBS, clock)
    found = json.loads((shop / "status.json").read_text())
    assert found["counts"] == {"jobs": 2, "done": 0, "kept": 0, "failed": 2, "skipped": 0}
    one = found["jobs"]["one"]
    assert (one["done"], one["failed"], one["last_code"], one["age_seconds"]) == (1, 1, 3, 3600.0)
    assert one["last_success"] == "2026-05-01T00:00:00+00:00" and "no such file" in one["last_error"]


def test_a_damaged_status_file_means_that_nothing_is_known_to_be_done(shop):
    ran(shop, TWO_JOBS)
    (shop / "status.json").write_text('{"jobs": [')
    assert ran(shop, TWO_JOBS)[1]["done"] == 2


def test_a_late_input_is_waited_for_while_the_other_jobs_go_on(shop):
    text = TWO_JOBS.replace("[jobs.two]", '[jobs.two]\nwait = "10m"').replace(
        '"data.csv"\noutput = "out/two', '"late.csv"\noutput = "out/two'
    )
    clock = FakeClock()
    clock.at(300, lambda: shutil.copy(shop / "data.csv", shop / "late.csv"))
    clock.at(300, lambda: os.utime(shop / "late.csv", (clock.now().timestamp(),) * 2))
    lines, summary = ran(shop, text, clock)
    assert list(lines) == ["one", "two"] and summary["done"] == 2
    assert 300 <= summary["seconds"] < 320
    (shop / "late.csv").unlink()
    lines, summary = ran(shop, text, FakeClock())
    assert lines["two"]["code"] == 3 and 600 <= summary["seconds"] < 620


@pytest.mark.parametrize("option", ["future", "events"])
def test_a_job_is_done_again_when_what_is_known_ahead_changes(shop, option):
    (shop / "jobs.toml").write_text(TWO_JOBS.replace("[jobs.one]", f'[jobs.one]\n{option} = "ahead.csv"'))
    (shop / "ahead.csv").write_text("a\n")
    first = load_jobs(shop / "jobs.toml").jobs[0]
    assert getattr(first.settings, option) == str(shop / "ahead.csv")
    job = replace(first, output=None)
    before = job_key(job)
    (shop / "ahead.csv").write_text("b\n")
    assert before and job_key(job) not in ("", before)


def test_a_half_written_input_is_tried_again_when_it_changes(shop):
    whole = (shop / "data.csv").read_bytes()
    (shop / "data.csv").write_bytes(whole[:-30] + b'"')
    os.utime(shop / "data.csv", (1, 1))
    clock = FakeClock()
    clock.at(60, lambda: (shop / "data.csv").write_bytes(whole))
    _, summary = ran(shop, TWO_JOBS.replace("[defaults]", '[defaults]\nwait = "5m"'), clock)
    assert summary["done"] == 2 and 60 <= summary["seconds"] < 300


def test_a_locked_output_is_waited_for_and_else_fails_with_75(shop):
    (shop / "out").mkdir()
    with output_lock(shop / "out" / "one.csv", 0.0):
        lines, _ = ran(shop, TWO_JOBS)
    assert lines["one"]["code"] == 75 and lines["two"]["status"] == "done"
    assert not list(shop.glob("**/.forecast-*"))


def test_a_run_whose_jobs_others_are_doing_ends_with_75(shop, capfd):
    (shop / "out").mkdir()
    (shop / "jobs.toml").write_text(TWO_JOBS)
    with output_lock(shop / "out" / "one.csv", 0.0):
        assert run(["batch", str(shop / "jobs.toml"), "--quiet"]) == 75
        assert "another run is doing one." in capfd.readouterr().err
        (shop / "data.csv").unlink()
        assert run(["batch", str(shop / "jobs.toml"), "--quiet", "--wait", "0.1s"]) == 7


def test_a_long_job_keeps_nobody_from_the_others_and_both_runs_are_in_the_status_file(shop, monkeypatch):
    real = Worker.run

    def overlapping(self, job):
        if job.name == "one":
            assert ran(shop, TWO_JOBS, only="two")[1]["done"] == 1
        return real(self, job)

    monkeypatch.setattr(Worker, "run", overlapping)
    assert ran(shop, TWO_JOBS, only="one")[1]["done"] == 1
    assert json.loads((shop / "status.json").read_text())["counts"]["done"] == 2


def test_a_job_that_takes_too_long_is_ended_and_the_rest_go_on(shop, monkeypatch):
    monkeypatch.setattr("forecaster.commands.batch.run_job.deliver", lambda *given, **kept: slow(*given, **kept))
    lines, _ = ran(shop, TWO_JOBS.replace("horizon = 2", 'timeout = "0.2s"'))
    assert lines["two"]["error"]["kind"] == "timeout" and lines["one"]["status"] == "done"


def slow(data, settings, watch, format, load, now):
    from forecaster.commands.predict import deliver

    if settings.output.endswith("two.csv"):
        time.sleep(5)
    return deliver(data, settings, watch, format, load, now)


def test_a_time_limit_is_no_exception_that_somebody_catches():
    with pytest.raises(TimeLimit), time_limit(0.05):
        try:
            time.sleep(2)
        except Exception:
            pytest.fail("caught")


def test_only_and_dry_run(shop):
    lines, _ = ran(shop, TWO_JOBS, only="two")
    assert list(lines) == ["two"] and not (shop / "out" / "one.csv").exists()
    lines, _ = ran(shop, TWO_JOBS, dry_run=True)
    assert lines["one"] | {"data": ""} == {
        "job": "one", "command": "predict", "status": "planned", "data": "", "data_is_there": True, "model": "m@1",
        "output": str(shop / "out" / "one.csv"), "done_already": False,
    }  # fmt: skip
    assert lines["two"]["done_already"] and not (shop / "out" / "one.csv").exists()
    with pytest.raises(UsageError, match=r"no job 'tow'. Did you mean 'two'"):
        ran(shop, TWO_JOBS, only="tow")


def test_placeholders_name_the_day_and_the_series_and_cannot_leave_the_folder(shop):
    write_csv(shop / "odd.csv", 50, ("plain", "../../etc/passwd", "a/b", "a b"))
    text = 'zone = "Asia/Tokyo"\n[jobs.each]\nmodel = "m"\ndata = "odd.csv"\noutput = "out/{date}/{series}.csv"\n'
    clock = FakeClock(dt.datetime(2026, 5, 1, 20, tzinfo=dt.timezone.utc))
    lines, _ = ran(shop, text, clock)
    assert lines["each"]["status"] == "done"
    files = sorted(path.name for path in (shop / "out" / "2026-05-02").iterdir())
    assert len(files) == 4 and "plain.csv" in files and not any(name.startswith(".") for name in files)
    assert sorted(path.name for path in shop.iterdir()) == ["data.csv", "jobs.toml", "models", "odd.csv", "out"]


def test_an_evaluation_and_the_ledger_and_the_report(shop):
    text = TWO_JOBS + '[jobs.score]\ncommand = "evaluate"\ndata = "data.csv"\noutput = "score.json"\nwindows = 2\n'
    lines, _ = ran(shop, text.replace("horizon = 2", 'ledger = "l.db"'))
    assert lines["score"]["status"] == "done", lines["score"]
    assert json.loads((shop / "score.json").read_text())["windows"] == 4
    assert sqlite3.connect(shop / "l.db").execute("SELECT count(*) FROM forecasts").fetchone() == (12,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no job"),
        ("[jobs.a]\nhorizn = 1\ndata='a'\noutput='b'", "[jobs.a]: unknown option 'horizn'. Did you mean 'horizon'?"),
        ("[jobs.a]\ncommand = 'predit'", "command: 'predit' is not one of predict, train, evaluate, check,"),
        ("[jobs.a]\ndata = 'a.csv'", "a predict job needs an output."),
        ("[jobs.a]\ncommand = 'train'", "a train job needs data."),
        ("[jobs.a]\ndata='-'\noutput='b'", "no standard input or output"),
        ("[jobs.a]\ndata='a'\noutput='{day}.csv'", "'{day}' means nothing here."),
        ("[jobs.a]\ndata='a'\noutput='b.csv'\nplot='{day}.html'", "'{day}' means nothing here."),
        ("[jobs.a]\ndata='a'\noutput='b.csv'\nplot='{series}.html'", "'{series}' means nothing here."),
        ("[jobs.a]\ndata='{series}'\noutput='b.csv'", "'{series}' means nothing here."),
        ("[jobs.a]\ndata='a'\noutput='{series}/b.csv'", "file name only"),
        ("[jobs.a]\noutput='b'\n[jobs.b]\noutput='x/../b'", "'a' and 'b' write the same output."),
        ("[jobs.a]\noutput='b'\nwait='soon'", "'soon' is not a duration."),
        ("[defaults]\nhorizn = 1\n[jobs.a]\noutput='b'", "[defaults]: unknown key 'horizn'."),
        ("statsu = 's'\n[jobs.a]\noutput='b'", "unknown option 'statsu'."),
        ("zone = 'Mars'\n[jobs.a]\noutput='b'", "unknown time zone 'Mars'."),
        ("[jobs.a", "not TOML"),
    ],
)
def test_a_jobs_file_with_a_fault_is_refused_before_anything_runs(shop, text, message):
    with pytest.raises(UsageError) as caught:
        ran(shop, text)
    assert message in str(caught.value) and str(shop / "jobs.toml") in str(caught.value)


def test_paths_are_relative_to_the_jobs_file_and_defaults_go_where_they_fit(shop):
    (shop / "jobs.toml").write_text(TWO_JOBS + '[jobs.t]\ncommand = "train"\ndata = "data.csv"\nfrom = "m"\n')
    jobs = load_jobs(shop / "jobs.toml")
    assert jobs.status == shop / "status.json"
    one, _, train = jobs.jobs
    assert one.settings.models == train.settings.models == str(shop / "models")
    assert one.settings.model == "m" and train.settings.start_from == "m"


def test_the_command_prints_json_lines_and_exits_7_when_some_failed(shop, capfd):
    (shop / "jobs.toml").write_text(TWO_JOBS)
    assert run(["batch", str(shop / "jobs.toml"), "--quiet"]) == 0
    out, err = capfd.readouterr()
    assert [next(iter(json.loads(line))) for line in out.splitlines()] == ["job", "job", "summary"] and err == ""
    (shop / "data.csv").unlink()
    assert run(["batch", str(shop / "jobs.toml"), "--quiet"]) == 7
    out, err = capfd.readouterr()
    assert len(out.splitlines()) == 3 and err == "error: 2 jobs failed: one, two. Their lines give the reasons.\n"


@pytest.mark.slow
def test_a_closed_reader_does_not_stop_the_jobs(shop):
    (shop / "jobs.toml").write_text(TWO_JOBS)
    program = f"{sys.executable} -m forecaster batch {shop}/jobs.toml --quiet | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 141) and "Traceback" not in done.stderr
    assert (shop / "out" / "two.csv").is_file()


@pytest.mark.slow
def test_a_batch_of_predictions_imports_neither_tensorflow_nor_scikit_learn(shop):
    (shop / "jobs.toml").write_text(TWO_JOBS)
    program = (
        "import sys\nfrom forecaster.cli.main import run\ncode = run(['batch', sys.argv[1], '--quiet'])\n"
        "heavy = {'tensorflow', 'keras', 'sklearn'} & set(sys.modules)\nsys.exit(str(heavy) if heavy else code)\n"
    )
    command = [sys.executable, "-c", program, str(shop / "jobs.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_training_runs_in_a_process_of_its_own_that_reads_no_other_settings(shop, monkeypatch):
    seen = []

    def child(command):
        seen.append(command)
        fault = {"error": {"code": 5, "kind": "quality", "message": "no better.", "hint": "Look."}}
        report = {"model": "m", "version": 2, "promotion": {"promoted": False, "reason": "no better"}}
        return subprocess.CompletedProcess(command, 5, json.dumps(report), json.dumps(fault))

    monkeypatch.setattr("forecaster.commands.batch.run_job._run", child)
    text = (
        '[jobs.t]\ncommand = "train"\ndata = "data.csv"\nname = "m"\npromote_if_better = 0.02\nfinal_fit = false\n'
        'quantiles = [0.1, 0.9]\noutput = "report.json"\n'
    )
    lines, summary = ran(shop, text, threads=1)
    # The old version is kept: cron has no reason to write.
    assert (lines["t"]["code"], lines["t"]["status"], lines["t"]["reason"]) == (0, "kept", "no better")
    assert (summary["kept"], summary["failed"], summary["done"]) == (1, 0, 0)
    assert json.loads((shop / "report.json").read_text())["version"] == 2
    assert ran(shop, text, threads=1)[1]["kept"] == 1  # without a status file nothing is remembered
    text = 'status = "status.json"\n' + text
    assert [ran(shop, text, threads=1)[1][what] for what in ("kept", "skipped")] == [1, 1]
    record = json.loads((shop / "status.json").read_text())["jobs"]["t"]
    assert record["kept"] == 1 and record["last_success"] and record["last_error"] is None
    command = seen[0]
    assert command[2:5] == ["forecaster.cli.child_main", "train", str(shop / "data.csv")]
    assert {"--promote-if-better=0.02", "--no-final-fit", "--quantiles=0.1,0.9", "--threads=1"} <= set(command)
    assert command[command.index("--config") + 1] == os.devnull


@pytest.mark.slow
def test_a_job_draws_where_it_is_told_and_again_when_the_picture_is_gone(shop):
    text = (
        'status = "status.json"\n[defaults]\nmodel = "m"\ndata = "data.csv"\n[jobs.one]\noutput = "out/one.csv"\n'
        'plot = "seen/{date}.png"\nplot_series = ["a"]\n'
        '[jobs.judge]\ncommand = "evaluate"\nreport = "seen/judge.html"\nwindows = 1\n'
    )
    lines, summary = ran(shop, text)
    assert summary["failed"] == 0, lines
    picture = shop / "seen" / "2026-05-01.png"
    assert picture.read_bytes().startswith(b"\x89PNG") and (shop / "seen" / "judge.html").is_file()
    assert ran(shop, text)[0]["one"]["status"] == "skipped"
    picture.unlink()
    assert ran(shop, text)[0]["one"]["status"] == "done" and picture.is_file()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for processes as Linux lists them")
def test_a_killed_batch_leaves_no_training_behind(shop):
    os.mkfifo(shop / "pipe.csv")  # which the training waits for
    (shop / "jobs.toml").write_text('[jobs.night]\ncommand = "train"\ndata = "pipe.csv"\nname = "n"\n')
    command = [sys.executable, "-m", "forecaster", "batch", str(shop / "jobs.toml"), "--quiet"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as parent:
        (training,) = wait_for(lambda: children(parent.pid))
        wait_for(lambda: b"forecaster.cli.child_main" in Path(f"/proc/{training}/cmdline").read_bytes())
        parent.kill()
    wait_for(lambda: not is_running(training))


def wait_for(holds, seconds=60):
    until = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
