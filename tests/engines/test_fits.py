"""Fits by Ray: the numbers of one process, also where a worker is killed."""

from __future__ import annotations

import dataclasses

import pytest

from forecaster.commands.compare import compare
from forecaster.commands.train import train
from forecaster.commands.tune import tune
from forecaster.config import CompareSettings, TrainSettings, TuneSettings
from forecaster.errors import UsageError
from tests.support.factories import Recorder, frame_of, train_settings, waves
from tests.support.ray_clusters import killing

pytestmark = pytest.mark.slow
SMALL = {
    "horizon": 4,
    "context_length": 8,
    "segment": 4,
    "units": 4,
    "epochs": 3,
    "steps_per_epoch": 2,
    "batch_size": 8,
    "windows": 2,
    "threads": 1,
    "quantiles": (),
}


@pytest.fixture(scope="module")
def ray():
    return pytest.importorskip("ray", reason="ray is not installed: `pip install '.[ray]'`")


@pytest.fixture(scope="module")
def data():
    first, second = waves(2, 60)
    return frame_of(a=first, b=second)


def elsewhere(cluster, settings):
    return dataclasses.replace(settings, engine="ray", ray_address=cluster, workers=1)


@pytest.mark.long
def test_model_selection_by_workers_finds_the_plan_of_one_process(ray, cluster, data, tmp_path):
    """One worker is killed meanwhile: its fit is done anew."""
    settings = train_settings(tmp_path / "one", transform=None, threads=1)
    one = train(data, settings, Recorder())
    watch = Recorder()
    with killing(1) as killed:
        other = train(data, elsewhere(cluster, dataclasses.replace(settings, models=str(tmp_path / "two"))), watch)
    assert len(killed) == 1 and not any("done here" in text for text in watch.warnings)
    assert [row.reason for row in other.plan] == [row.reason for row in one.plan]
    assert other.report.metrics.mae == pytest.approx(one.report.metrics.mae, rel=1e-6)
    assert sum(report.stage == "model selection" for report in watch.reports) > 1


@pytest.mark.long
def test_cells_compared_by_workers_have_the_scores_of_one_process(ray, cluster, data):
    settings = CompareSettings(**SMALL, cells=("rnn", "gru"), bidirectional=False, learning_rate=5e-3)
    one, other = compare(data, settings, Recorder()), compare(data, elsewhere(cluster, settings), Recorder())
    assert [entry.name for entry in other.entries] == [entry.name for entry in one.entries]
    for mine, theirs in zip(other.entries, one.entries, strict=True):
        assert mine.error == pytest.approx(theirs.error, rel=1e-6)
        assert mine.peak_memory > 100_000_000 and mine.seconds_per_epoch > 0.0


@pytest.mark.long
def test_a_search_with_workers_finds_what_it_finds_without(ray, cluster, data):
    pytest.importorskip("optuna")
    settings = TuneSettings(**{**SMALL, "epochs": None}, cell="rnn", trials=2, output="-")
    one, other = tune(data, settings, Recorder()), tune(data, elsewhere(cluster, settings), Recorder())
    assert other.best == one.best and other.error == pytest.approx(one.error, rel=1e-6)
    assert other.confirmation.found == pytest.approx(one.confirmation.found, rel=1e-6)


@pytest.mark.parametrize("options", [{"network": "mine:build"}, {"device": "gpu"}])
def test_fits_that_workers_cannot_do_are_refused(options):
    with pytest.raises(UsageError, match="--engine ray: workers"):
        TrainSettings(engine="ray", **options)
