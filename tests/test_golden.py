"""Artifacts of every format that was ever released load, and predict the numbers that they always did."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forecaster.config import PredictSettings
from forecaster.serving.manifest import FORMAT, read_manifest
from forecaster.serving.predict import predict
from forecaster.serving.runtime import forecast
from forecaster.serving.store import Store
from forecaster.serving.stored_graphs import load_runtime, load_test_weights
from forecaster.training.checkpoints import read_state
from tests.support.factories import AIR, Recorder

FOLDERS = sorted((Path(__file__).parent / "golden").glob("format-*"))


@pytest.fixture(params=FOLDERS, ids=lambda folder: folder.name)
def golden(request):
    """A store of one format, and the contexts and forecasts of its model."""
    with np.load(request.param / "answers.npz", allow_pickle=False) as stored:
        return request.param, {name: stored[name] for name in stored.files}


def test_every_format_has_its_golden_model():
    assert [folder.name for folder in FOLDERS] == [f"format-{n}" for n in range(1, FORMAT + 1)]


def test_golden_files_are_small(golden):
    assert sum(path.stat().st_size for path in golden[0].rglob("*") if path.is_file()) < 400_000


def test_the_served_graph_predicts_the_same_numbers(golden):
    folder, answers = golden
    version = Store(folder).resolve("air")
    runtime = load_runtime(version, read_manifest(version), "onnx")
    found = forecast(runtime, answers["contexts"], answers["served"].shape[1])
    np.testing.assert_allclose(found, answers["served"], rtol=1e-6)


def test_the_tested_graph_predicts_the_same_numbers(golden):
    folder, answers = golden
    version = Store(folder).resolve("air")
    found = forecast(
        load_test_weights(version, read_manifest(version)), answers["contexts"], answers["judged"].shape[1]
    )
    np.testing.assert_allclose(found, answers["judged"], rtol=1e-6)


def test_the_verb_predicts_the_same_numbers(golden):
    folder, answers = golden
    settings = PredictSettings(models=str(folder), model="air", horizon=answers["served"].shape[1])
    found = predict(AIR, settings, Recorder())
    expected = answers.get("predicted", answers["served"][0])  # format 1 was stored without a calibration
    np.testing.assert_allclose(found.prediction[0], expected[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found.quantile_forecasts[0], expected[:, 1:], rtol=1e-6)


@pytest.mark.slow
def test_the_saved_model_predicts_the_same_numbers(golden):
    folder, answers = golden
    version = Store(folder).resolve("air")
    runtime = load_runtime(version, read_manifest(version), "tensorflow")
    found = forecast(runtime, answers["contexts"], answers["served"].shape[1])
    np.testing.assert_allclose(found, answers["served"], rtol=1e-5)


def test_its_state_can_still_be_read(golden):
    version = Store(golden[0]).resolve("air")
    states = [read_state(path) for path in sorted((version / "state").iterdir())]
    assert states
    assert all(state.epoch > 0 and all(np.isfinite(w).all() for w in state.best_weights) for state in states)
