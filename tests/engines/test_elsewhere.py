"""What commands do with an engine whose workers are elsewhere, without Ray: all that is sent is pickled."""

from __future__ import annotations

import json

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.commands import evaluate
from forecaster.training.checkpoints import NoCheckpoints
from forecaster.training.fit_members import EnsembleFitter
from forecaster.training.fit_types import MemberFit
from forecaster.training.selection import SELECTION_STAGE
from forecaster.training.split import Needs, split
from tests.support.factories import Recorder, fit_settings, network_settings, panel_of, train_settings, waves
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


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_fits_by_workers_have_the_weights_of_one_process_also_where_one_is_lost(tmp_path):
    task = split(panel_of(*waves(3, 40)), Needs(8, 3, calendar=()), 1).selection
    members = [MemberFit(network_settings(segment=n), fit_settings()) for n in (2, 4)]
    settings = train_settings(tmp_path, threads=1)

    def fitted(**options):
        fitter = EnsembleFitter(settings, NoCheckpoints(), watch, 0.0, **options)
        return fitter.fit_all(SELECTION_STAGE, task, members)

    watch, engine = Recorder(), PicklingEngine(losses=1)
    here, elsewhere = fitted(), fitted(engine=engine)
    assert engine.done == ["fit_elsewhere"]
    assert watch.warnings == ["a fit of rnn is done here: its worker died"]
    for mine, theirs in zip(elsewhere.networks, here.networks, strict=True):
        for one, other in zip(mine.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(one, other)
    assert [one.error for one in elsewhere.fits] == [one.error for one in here.fits]
