"""Commands in places and through files that administrators come upon: deleted folders, devices, an empty environment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from forecaster.cli.main import run
from tests.support.stored_models import stored, write_csv

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "words", ["predict data.csv --model m", "train data.csv", "check data.csv", "models list", "batch jobs.toml"]
)
def test_a_deleted_working_directory_is_named_in_one_line(tmp_path, monkeypatch, capfd, words):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run(words.split()) in (0, 2, 3)
    said = capfd.readouterr().err
    assert "Traceback" not in said
    if words.startswith(("predict", "train")):
        assert said == "error: the working directory was deleted. Change into a folder that exists.\n"


@pytest.mark.slow
def test_a_forecast_may_go_through_the_devices_of_standard_output_and_error(tmp_path):
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 60)
    command = [sys.executable, "-m", "forecaster", "predict", "data.csv", "--model", "m", "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    plain, device, error = (
        subprocess.run([*command, *words], cwd=tmp_path, env=environment, capture_output=True, check=True)
        for words in ((), ("--output", "/dev/stdout"), ("--output", "/dev/stderr"))
    )
    assert plain.stdout == device.stdout == error.stderr != b"" and device.stderr == error.stdout == b""


@pytest.mark.slow
def test_a_forecast_is_not_lost_where_standard_output_is_closed(tmp_path):
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 60)
    command = f"{sys.executable} -m forecaster predict data.csv --model m --quiet --output /dev/stdout >&-"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(["bash", "-c", command], cwd=tmp_path, env=environment, check=False).returncode == 2


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "link"])
def test_a_device_of_standard_output_adds_to_the_file_behind_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("/dev/stdout")
    log = tmp_path / "log"
    log.write_text("before\n")
    program = f"from forecaster.storage.files import write_whole; write_whole({name!r}, 'after\\n')"
    with log.open("a") as stream:
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=stream, check=True
        )
    assert log.read_text() == "before\nafter\n"


@pytest.mark.slow
@pytest.mark.parametrize("words", [["predict", "data.csv", "--output", "out.csv"], ["batch", "jobs.toml"]])
def test_an_empty_environment_as_of_cron_is_enough(tmp_path, words):
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 60)
    (tmp_path / "jobs.toml").write_text(
        'status = "s.json"\n[jobs.a]\ndata = "data.csv"\nmodel = "m"\noutput = "out.csv"\n'
    )
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from forecaster.cli.main import main; main()",
    ]
    done = subprocess.run(
        [*command, *words, "--quiet"], cwd=tmp_path, env={}, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "out.csv").stat().st_size > 100
