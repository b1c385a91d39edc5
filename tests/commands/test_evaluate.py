"""The verb evaluate: on windows that the weights have not seen, and on no others."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.config import EvaluateSettings
from forecaster.data.reading.reader import read_panel
from forecaster.errors import ArtifactError, DataError, UsageError
from forecaster.evaluation.metrics import score
from forecaster.serving.manifest import read_manifest
from forecaster.serving.runtime import forecast
from forecaster.serving.stored_graphs import load_runtime
from tests.support.factories import AIR, Recorder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


def evaluated(models, data=None, **changes):
    return evaluate(data, EvaluateSettings(models=str(models), model="air", **changes), Recorder())


def air_lines():
    return AIR.read_text().splitlines()


def write_air(path, months):
    """AirPassengers, and `months` invented ones after it."""
    lines = air_lines()
    for i in range(months):
        year, month = divmod(12 * 1961 + i, 12)
        lines.append(f"{year}-{month + 1:02d},{500 + 10 * (i % 12)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def test_on_its_own_data_it_gives_the_scores_that_train_stored(trained):
    models, report, _ = trained
    found = evaluated(models)
    stored = read_manifest(models / "air" / "1").metrics
    assert found.metrics.to_json() == stored["model"] == report.report.metrics.to_json()
    assert {who: scores.to_json() for who, scores in found.baselines.items()} == {
        who: scores for who, scores in stored.items() if who != "model"
    }
    assert found.windows == 2


def test_fewer_windows_may_be_asked_for_but_no_more_than_the_training_had(trained):
    assert evaluated(trained[0], windows=1).windows == 1
    with pytest.raises(DataError, match="the model has 2 test window") as error:
        evaluated(trained[0], windows=3)
    assert "--refit" in error.value.hint


def test_later_data_is_tested_on_windows_wholly_after_the_training(trained, tmp_path):
    longer = write_air(tmp_path / "longer.csv", 20)
    found = evaluated(trained[0], longer)
    assert found.windows == 3  # 20 rows hold 3 whole windows of 6 steps
    panel = read_panel(longer)
    rows = len(panel.target)
    cutoffs = [rows - 18, rows - 12, rows - 6]
    assert min(cutoffs) >= 144
    folder = trained[0] / "air" / "1"
    manifest = read_manifest(folder)
    context = np.stack([panel.target[c - 12 : c] for c in cutoffs])
    target = np.stack([panel.target[c : c + 6] for c in cutoffs])
    prediction = forecast(load_runtime(folder, manifest, "onnx"), context, 6)[:, :, 0]
    in_sample = panel.target[: cutoffs[0]]
    scale = np.full(3, np.abs(in_sample[12:] - in_sample[:-12]).mean())
    expected = score(target, prediction, scale)
    known = {name: value for name, value in expected.to_json().items() if name != "rmsse"}  # needs a scale of squares
    assert {name: found.metrics.to_json()[name] for name in known} == pytest.approx(known, rel=1e-9)


def test_rows_after_a_window_do_not_change_its_forecast_and_rows_of_training_are_no_windows(trained, tmp_path):
    short, longer = write_air(tmp_path / "short.csv", 6), write_air(tmp_path / "longer.csv", 12)
    one, two = evaluated(trained[0], short), evaluated(trained[0], longer)
    assert (one.windows, two.windows) == (1, 2)


def test_data_without_newer_rows_is_refused(trained, tmp_path):
    cut = tmp_path / "cut.csv"
    cut.write_text("\n".join(air_lines()[:-3]) + "\n")
    with pytest.raises(DataError, match="no window of 6 steps is wholly after") as error:
        evaluated(trained[0], cut)
    assert "--refit" in error.value.hint


def test_both_runtimes_give_the_same_scores_on_newer_data(trained, tmp_path):
    longer = write_air(tmp_path / "longer.csv", 12)
    onnx, tensorflow = (evaluated(trained[0], longer, runtime=name) for name in ("onnx", "tensorflow"))
    assert onnx.metrics.to_json() == pytest.approx(tensorflow.metrics.to_json(), rel=1e-4)


def test_every_baseline_stands_beside_the_model(trained):
    found = evaluated(trained[0], baselines="all")
    statistical = {"theta", "ets"} if find_spec("statsforecast") else set()
    assert set(found.baselines) == {"seasonal-naive", "naive", "drift", "gradient-boosting"} | statistical
    assert all(np.isfinite(scores.mase) for scores in found.baselines.values())
    assert set(found.baselines_by_step) == set(found.baselines)
    assert len(found.by_step) == 6
    assert list(found.by_series) == ["#Passengers"] or len(found.by_series) == 1


def test_an_option_that_has_no_effect_is_refused(trained):
    """On the training data only the graph of the test weights runs, and that is stored for onnxruntime alone."""
    with pytest.raises(UsageError, match="--runtime"):
        evaluated(trained[0], runtime="tensorflow")


def test_a_damaged_model_is_told_before_it_is_used(store):
    graph = store / "air" / "1" / "judged.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"judged\.onnx"):
        evaluated(store)
