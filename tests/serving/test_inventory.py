"""The lists of stored models have all of them, whether they serve or not."""

from __future__ import annotations

import json

import pytest

import forecaster
from forecaster.cli.main import run
from tests.support.stored_models import stored, write_csv


@pytest.fixture
def models(tmp_path, monkeypatch):
    """The model `good`, and `bad`, which was trained later and refused."""
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "models", name="good")
    stored(tmp_path / "models", name="bad", created="2024-02-01T00:00:00+00:00", refused="errs more than naive")
    return tmp_path / "models"


def listed(capfd):
    assert run(["models", "list", "--json"]) == 0
    return {row["model"]: row for row in json.loads(capfd.readouterr().out)["models"]}


def test_a_model_of_which_nothing_serves_is_listed_as_such_beside_the_others(models, capfd):
    found = listed(capfd)
    assert (found["good"]["serves"], found["good"]["MASE"]) == (1, 0.8)
    assert (found["bad"]["serves"], found["bad"]["served"]) == (None, "nothing: no version serves")
    assert found["bad"]["versions"] == [1]
    assert run(["models", "list"]) == 0 and "nothing: no version serves" in capfd.readouterr().out
    table = forecaster.stored_models()
    assert list(zip(table["model"], table["serves"], strict=True)) == [("bad", False), ("good", True)]
    (models / "good" / "current").write_text("x")
    assert listed(capfd)["good"]["served"] == "nothing: no version serves"


def test_the_others_answer_beside_a_model_of_which_nothing_serves(models, capfd):
    write_csv(models.parent / "other.csv", 30)
    assert run(["predict", "other.csv"]) == 0
    assert "model good@1" in capfd.readouterr().err


def test_the_import_of_a_refused_version_says_that_it_does_not_serve(models, capfd):
    assert run(["models", "export", "bad@1", "bad.tar"]) == 0
    assert run(["models", "import", "bad.tar", "--models", "there", "--json"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1]) == {"model": "bad", "version": 1, "serves": False}
