"""What commands do with an engine whose workers are elsewhere, without Ray: all that is sent is pickled."""

from __future__ import annotations

import json

import pytest

from forecaster.cli.main import run
from forecaster.commands import evaluate
from tests.support.pickling_engine import PicklingEngine
from tests.support.stored_models import stored, write_csv

NAMES = [f"shop {n}" for n in range(150)]


@pytest.mark.parametrize(("rows", "losses"), [(100, 0), (160, 0), (160, 1)])
def test_an_evaluation_by_workers_has_the_scores_of_one_process(tmp_path, monkeypatch, capfd, rows, losses):
    """Of the data of the training and of later rows; what a worker cannot do is done here."""
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "models", data=write_csv(tmp_path / "data.csv", 100, NAMES))
    words = ["evaluate", str(write_csv(tmp_path / "later.csv", rows, NAMES)), "--model", "m", "--json", "--quiet"]
    assert run(words) == 0
    one, engine = json.loads(capfd.readouterr().out), PicklingEngine(losses)
    monkeypatch.setattr(evaluate, "open_engine", engine.opened)
    assert run([*words, "--engine", "ray"]) == 0
    other = json.loads(capfd.readouterr().out)
    assert len(engine.done) > 1 - losses
    assert {**other, "seconds": 0} == {**one, "seconds": 0}
