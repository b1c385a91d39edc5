"""A jobs file as crontab lines and as systemd units: valid, quoted, at the same times."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from forecaster.cli.main import run
from forecaster.commands.schedule import calendar_of, schedule
from forecaster.config import ScheduleSettings
from forecaster.errors import UsageError

JOBS = """
status = "status.json"
schedule = "15 4 * * 1-5"
[jobs.sales]
data = "sales.csv"
output = "100%.csv"
[jobs.load]
data = "load.csv"
output = "load-out.csv"
schedule = "@hourly"
"""


@pytest.fixture
def jobs(tmp_path):
    folder = tmp_path / "my 100% jobs"
    folder.mkdir()
    path = folder / "jobs.toml"
    path.write_text(JOBS)
    return path


def test_a_crontab_line_for_each_schedule_quoted_for_cron_and_the_shell(jobs):
    text = schedule(jobs, ScheduleSettings())
    lines = [line for line in text.splitlines() if line[0] in "0123456789"]
    assert [line.split(" cd ")[0] for line in lines] == ["15 4 * * 1-5", "0 * * * *"]
    assert "'" in lines[0] and "100\\% jobs" in lines[0] and "--only sales" in lines[0]
    command = lines[0].split(" ", 5)[5].replace("\\%", "%").replace("cd ", "echo cd ").replace("&&", "; echo")
    done = subprocess.run(["sh", "-c", command.split(" >> ")[0]], capture_output=True, text=True, check=True)
    assert str(jobs) in done.stdout and ".log'" in lines[0]


def test_all_jobs_at_one_time_need_no_names(jobs):
    jobs.write_text(JOBS.replace('schedule = "@hourly"', 'schedule = "15 4 * * 1-5"'))
    assert "--only" not in schedule(jobs, ScheduleSettings(cron=True))
    assert "--only load" in schedule(jobs, ScheduleSettings(only="load"))


def test_the_zone_is_said_to_both(jobs):
    jobs.write_text('zone = "Europe/Berlin"\n' + JOBS)
    assert "CRON_TZ=Europe/Berlin" in schedule(jobs, ScheduleSettings())
    assert "OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 4:15:00 Europe/Berlin" in schedule(
        jobs, ScheduleSettings(systemd=True)
    )


def test_names_of_days_and_months_become_numbers_for_every_cron_and_for_systemd(jobs):
    jobs.write_text(JOBS.replace("@hourly", "0 0 * jan,MAR-DEC/3 MON-fri"))
    assert "\n0 0 * 1,3-12/3 1-5 cd " in schedule(jobs, ScheduleSettings())
    assert "OnCalendar=Mon,Tue,Wed,Thu,Fri *-1,3..12/3-* 0:0:00\n" in schedule(jobs, ScheduleSettings(systemd=True))


@pytest.mark.parametrize(
    ("cron", "events"),
    [
        ("15 4 * * *", ["*-*-* 4:15:00"]),
        ("*/15 * * * *", ["*-*-* *:0/15:00"]),
        ("0 6-18/2 1,15 * *", ["*-*-1,15 6..18/2:0:00"]),
        ("0 0 * * 0", ["Sun *-*-* 0:0:00"]),
        ("0 0 * * 5-7", ["Fri,Sat,Sun *-*-* 0:0:00"]),
        ("0 0 13 * 5", ["*-*-13 0:0:00", "Fri *-*-* 0:0:00"]),
        ("0 3 */2 1-6 *", ["*-1..6-1/2 3:0:00"]),
        ("0 3 */2 * 5", ["Fri *-*-1/2 3:0:00"]),
        ("0 3 1-7 * */2", ["Sun,Tue,Thu,Sat *-*-1..7 3:0:00"]),
    ],
)
def test_cron_and_systemd_mean_the_same_times(cron, events):
    assert calendar_of(tuple(cron.split())) == events
    if shutil.which("systemd-analyze"):
        for event in events:
            done = subprocess.run(["systemd-analyze", "calendar", event], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "text",
    [
        *("15 4 * *", "60 4 * * *", "a b c d e", "5-3 * * * *", "*/0 * * * *", "5/2 * * * *"),
        *("0 0 L * *", "0 0 * * 1#2", "0 0 * * 5L", "0 0 * JANUARY *", "0 MON * * *", "0 0 * * FRI-MON", "@never"),
    ],
)
def test_times_that_cron_does_not_know_are_refused(jobs, text):
    jobs.write_text(JOBS.replace("@hourly", text))
    with pytest.raises(UsageError, match="schedule"):
        schedule(jobs, ScheduleSettings())


def test_options_that_contradict_each_other_are_refused(jobs):
    with pytest.raises(UsageError, match="exclude each other"):
        schedule(jobs, ScheduleSettings(cron=True, systemd=True))
    with pytest.raises(UsageError, match="journal"):
        schedule(jobs, ScheduleSettings(systemd=True, log="a.log"))


def test_the_units_are_what_systemd_takes(jobs, tmp_path, capfd):
    assert run(["schedule", str(jobs), "--systemd", "--quiet"]) == 0
    text = capfd.readouterr().out
    assert "SuccessExitStatus=75" in text and "100%% jobs" in text
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    names = []
    for part in text.split("\n# forecaster-")[1:]:
        name, _, content = part.partition("\n")
        (tmp_path / f"forecaster-{name}").write_text(content)
        names.append(str(tmp_path / f"forecaster-{name}"))
    assert len(names) == 4
    done = subprocess.run(["systemd-analyze", "verify", *names], capture_output=True, text=True, check=False)
    assert "forecaster-" not in done.stderr, done.stderr
