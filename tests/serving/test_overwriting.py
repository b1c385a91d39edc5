"""No command writes over what it reads: by name, through links, in a jobs file; and it says so before it reads anything."""

from __future__ import annotations

import os

import pytest

from forecaster.cli.main import run
from tests.support.stored_models import stored, write_csv


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data.csv", 100)
    stored(tmp_path / "models", data=tmp_path / "data.csv")
    (tmp_path / "linked.csv").symlink_to("data.csv")
    os.link("data.csv", "hard.csv")
    (tmp_path / "elsewhere").symlink_to(".")
    (tmp_path / "future.csv").write_text("series,timestamp\n")
    return tmp_path


def content(folder):
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    "words",
    [
        "predict data.csv --output data.csv",
        "predict --output data.csv",  # the file that the model was trained on
        "predict data.csv --output linked.csv",
        "predict linked.csv --output data.csv",
        "predict data.csv --output hard.csv",
        "predict data.csv --output ./elsewhere/models/../data.csv",
        "predict data.csv --output out.csv --ledger data.csv",
        "predict data.csv --output out.html --plot out.html",
        "predict data.csv --output out.csv --ledger out.csv",
        "predict data.csv --output new.csv --ledger elsewhere/new.csv",
        "predict data.csv --future future.csv --output future.csv",
        "predict data.csv --output models/m/1/model.onnx",
        "predict data.csv --output elsewhere/models/m/current",
        "predict data.csv --output models/m/new.csv",
        "predict data.csv --ledger models/m/ledger.db",
        "predict data.csv --output models/m/{series}.csv",
        "evaluate data.csv --report data.csv.html",
        "evaluate data.csv --output data.csv",
        "evaluate --output data.csv",  # the file that the model was trained on
        "evaluate data.csv --output hard.csv",
        "evaluate linked.csv --output data.csv",
        "evaluate data.csv --output out.csv --anomalies out.csv",
        "evaluate data.csv --output models/m/new.csv",
        "tune data.csv --output data.csv",
        "tune data.csv --output out.toml --study linked.csv",
    ],
)
def test_an_output_that_is_an_input_or_another_output_is_refused(shop, capfd, words):
    (shop / "data.csv.html").symlink_to("data.csv")
    before = content(shop)
    words = words.split()
    model = ["--model", "m"] if words[0] != "tune" else []
    assert run([*words, *model, "--quiet"]) == 2
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and any(
        part in said for part in ("would overwrite", "both name", "in the model store", "--plot and --output")
    )
    assert content(shop) == before


def test_the_file_of_a_series_is_not_the_data_either(shop, capfd):
    write_csv(shop / "a.csv", 100)
    before = content(shop)
    assert run(["predict", "a.csv", "--model", "m", "--output", "{series}.csv", "--quiet"]) == 2
    assert "would overwrite" in capfd.readouterr().err and content(shop) == before


@pytest.mark.parametrize(
    "words", ["--output models/fine.csv", "--output data-new.csv --ledger models.db", "--output -"]
)
def test_other_places_are_written_to(shop, capfd, words):
    assert run(["predict", "data.csv", "--model", "m", "--quiet", *words.split()]) == 0


JOB = '[jobs.one]\nmodel = "m"\ndata = "data.csv"\n'


@pytest.mark.parametrize(
    "text",
    [
        JOB + 'output = "data.csv"',
        JOB + 'output = "linked.csv"',
        JOB + 'output = "jobs.toml"',
        JOB + 'output = "elsewhere/jobs.toml"',
        JOB + 'output = "out.csv"\nledger = "data.csv"',
        JOB + 'output = "models/m/1/manifest.json"',
        '[jobs.one]\nmodel = "m"\noutput = "data.csv"',
        'status = "data.csv"\n' + JOB + 'output = "out.csv"',
        'status = "out.csv"\n' + JOB + 'output = "out.csv"',
        'status = "jobs.toml"\n' + JOB + 'output = "out.csv"',
        'status = "elsewhere/models/m/current"\n' + JOB + 'output = "out.csv"',
        JOB + 'output = "out.csv"\n' + JOB.replace("one", "two") + 'output = "elsewhere/out.csv"',
        JOB + 'output = "out-{date}.csv"\n' + JOB.replace("one", "two") + 'output = "elsewhere/out-{date}.csv"',
        '[jobs.one]\ncommand = "evaluate"\nmodel = "m"\ndata = "data.csv"\noutput = "data.csv"',
        '[jobs.one]\ncommand = "train"\ndata = "data.csv"\noutput = "data.csv"',
    ],
)
def test_a_jobs_file_is_refused_before_anything_runs(shop, capfd, text):
    (shop / "jobs.toml").write_text(text)
    before = content(shop)
    assert run(["batch", "jobs.toml", "--quiet"]) == 2
    said = capfd.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "jobs" in said.err
    assert content(shop) == before


def test_a_status_file_that_is_given_as_an_option_is_compared_too(shop, capfd):
    (shop / "jobs.toml").write_text(JOB + 'output = "out.csv"')
    before = content(shop)
    assert run(["batch", "jobs.toml", "--quiet", "--status", "hard.csv"]) == 2
    assert content(shop) == before


def test_an_output_of_one_job_may_be_the_data_of_another(shop, capfd):
    second = '[jobs.two]\nmodel = "m"\ndata = "out.csv"\ntarget = "prediction"\noutput = "again.csv"\n'
    (shop / "jobs.toml").write_text(JOB + 'output = "out.csv"\nhorizon = 48\n' + second)
    assert run(["batch", "jobs.toml", "--quiet"]) == 0, capfd.readouterr()
