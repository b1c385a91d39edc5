"""The verb predict: any horizon, any data that fits, without TensorFlow, and never a number that is none."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from forecaster.config import PredictSettings
from forecaster.errors import ArtifactError, DataError
from forecaster.serving.predict import predict
from tests.support.factories import AIR, NAN, Recorder

pytestmark = [pytest.mark.slow]


def predicted(models, data=None, **changes):
    settings = PredictSettings(**{"models": str(models), "model": "air", **changes})
    return predict(data, settings, Recorder())


def test_without_data_it_goes_on_from_the_data_of_the_training(trained):
    found = predicted(trained[0])
    assert found.prediction.shape == (1, 6)
    frame = found.to_frame()
    assert frame["timestamp"].astype(str).tolist()[0].startswith("1961-01-01")
    assert frame.columns.tolist() == ["series", "timestamp", "prediction", "0.1", "0.9", "source", "method"]
    assert set(frame["source"]) == {"model"}


def test_the_model_trained_last_is_taken_and_named(trained):
    watch = Recorder()
    found = predict(None, PredictSettings(models=str(trained[0])), watch)
    assert "model air@1" in watch.notes
    np.testing.assert_array_equal(found.prediction, predicted(trained[0]).prediction)


def test_both_runtimes_give_the_same_forecast(trained):
    onnx, tensorflow = (predicted(trained[0], runtime=name, horizon=20) for name in ("onnx", "tensorflow"))
    np.testing.assert_allclose(onnx.prediction, tensorflow.prediction, rtol=1e-4)
    np.testing.assert_allclose(onnx.quantile_forecasts, tensorflow.quantile_forecasts, rtol=1e-4)


def test_threads_may_be_chosen_again_in_one_process(trained):
    for threads in (1, 2):
        for runtime in ("onnx", "tensorflow"):
            assert np.isfinite(predicted(trained[0], runtime=runtime, threads=threads).prediction).all()


def test_a_shorter_horizon_is_the_start_of_a_longer_one(trained):
    longer = predicted(trained[0], horizon=30)
    for horizon in (1, 6, 7):
        shorter = predicted(trained[0], horizon=horizon)
        np.testing.assert_array_equal(shorter.prediction, longer.prediction[:, :horizon])
        np.testing.assert_array_equal(shorter.timestamps, longer.timestamps[:, :horizon])


def test_a_longer_horizon_is_noted(trained):
    watch = Recorder()
    predict(None, PredictSettings(models=str(trained[0]), model="air", horizon=7), watch)
    assert any("fed back" in note for note in watch.notes)


def test_a_longer_horizon_equals_a_loop_over_growing_data(trained, tmp_path):
    """Append the forecast to the data, predict again, and so on."""
    longer = predicted(trained[0], horizon=18).prediction[0]
    lines, parts = AIR.read_text().splitlines(), []
    for turn in range(3):
        path = tmp_path / f"{turn}.csv"
        path.write_text("\n".join(lines) + "\n")
        found = predicted(trained[0], path)
        parts.append(found.prediction[0])
        stamps = [str(stamp)[:7] for stamp in found.timestamps[0].astype("M8[us]")]
        lines += [f"{stamp},{value!r}" for stamp, value in zip(stamps, parts[-1].tolist(), strict=True)]
    np.testing.assert_allclose(np.concatenate(parts), longer, rtol=1e-9)


def test_rows_older_than_the_context_do_not_matter(trained, tmp_path):
    lines = AIR.read_text().splitlines()
    tail = tmp_path / "tail.csv"
    tail.write_text("\n".join([lines[0], *lines[-12:]]) + "\n")
    np.testing.assert_array_equal(predicted(trained[0], tail).prediction, predicted(trained[0]).prediction)


def test_a_series_shorter_than_the_context_is_forecast(trained, tmp_path):
    lines = AIR.read_text().splitlines()
    short = tmp_path / "short.csv"
    short.write_text("\n".join([lines[0], *lines[-3:]]) + "\n")
    assert np.isfinite(predicted(trained[0], short).prediction).all()


def test_missing_latest_rows_are_forecast_over(trained, tmp_path):
    lines = AIR.read_text().splitlines()
    gap = tmp_path / "gap.csv"
    gap.write_text("\n".join([*lines[:-2], *(line.split(",")[0] + "," for line in lines[-2:])]) + "\n")
    found = predicted(trained[0], gap)
    assert np.isfinite(found.prediction).all()
    assert str(found.timestamps[0].astype("M8[us]")[0]).startswith("1961-01")


def test_nothing_observed_in_reach_is_a_data_error(trained, tmp_path):
    lines = AIR.read_text().splitlines()
    empty = tmp_path / "empty.csv"
    empty.write_text("\n".join([*lines[:-12], *(line.split(",")[0] + "," for line in lines[-12:])]) + "\n")
    with pytest.raises(DataError, match="no series has an observed target in its last"):
        predicted(trained[0], empty)


def test_data_of_another_kind_of_step_is_refused(trained, tmp_path):
    steps = tmp_path / "steps.csv"
    steps.write_text("Month,#Passengers\n" + "".join(f"{i},{i}\n" for i in range(1, 30)))
    with pytest.raises((ArtifactError, DataError)):
        predicted(trained[0], steps)


@pytest.mark.parametrize("part", ["model.onnx", "manifest.json"])
def test_a_damaged_or_missing_part_is_named(store, part):
    path = store / "air" / "1" / part
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArtifactError):
        predicted(store)
    path.unlink()
    with pytest.raises(ArtifactError):
        predicted(store)


def test_a_forecast_that_is_no_number_never_leaves(trained):
    class Broken:
        def run(self, context, _known):
            return np.full((len(context), 6, 3), NAN)

    settings = PredictSettings(models=str(trained[0]), model="air")
    with pytest.raises(ArtifactError, match="not a finite number"):
        predict(None, settings, Recorder(), lambda *_: Broken())


IMPORTS = """
import json, sys
from forecaster.config import PredictSettings
from forecaster.serving.predict import predict
from forecaster.typing import Silent
found = predict(None, PredictSettings(models=sys.argv[1], model="air", horizon=9), Silent())
heavy = ("tensorflow", "keras", "sklearn", "onnx", "tf2onnx", "jax", "torch", "scipy", "rich")
print(json.dumps([found.prediction.tolist(), [name for name in heavy if name in sys.modules]]))
"""


def test_a_new_process_forecasts_the_same_without_tensorflow(trained):
    done = subprocess.run([sys.executable, "-c", IMPORTS, str(trained[0])], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    prediction, heavy = json.loads(done.stdout)
    assert heavy == []
    np.testing.assert_allclose(prediction, predicted(trained[0], horizon=9).prediction, rtol=1e-12)
    assert done.stderr == ""
