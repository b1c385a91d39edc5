"""Which quantiles a forecast has, and whether they are calibrated, from a trained and stored model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.commands.evaluate import evaluate
from forecaster.config import EvaluateSettings, PredictSettings
from forecaster.errors import ArtifactError, UsageError
from forecaster.serving.calibration_file import load_calibration
from forecaster.serving.manifest import read_manifest, write_manifest
from forecaster.serving.predict import predict
from tests.support.factories import AIR, Recorder
from tests.support.stored_models import stored, write_csv

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


def predicted(models, **changes):
    return predict(None, PredictSettings(**{"models": str(models), "model": "air", **changes}), Recorder())


def test_quantiles_are_calibrated_unless_that_is_refused_and_the_point_stays(trained):
    after, before = predicted(trained[0]), predicted(trained[0], calibrate=False)
    np.testing.assert_array_equal(after.prediction, before.prediction)
    assert after.quantiles == before.quantiles == (0.1, 0.9)
    assert (after.quantile_forecasts != before.quantile_forecasts).all()


def test_calibrated_quantiles_are_the_same_on_both_runtimes(trained):
    onnx, tensorflow = (predicted(trained[0], runtime=name, horizon=9) for name in ("onnx", "tensorflow"))
    np.testing.assert_allclose(onnx.quantile_forecasts, tensorflow.quantile_forecasts, rtol=1e-4)


def test_other_levels_than_trained_may_be_asked_for(trained):
    found = predicted(trained[0], quantiles=(0.025, 0.1, 0.9, 0.975))
    rises, above = np.diff(found.quantile_forecasts, axis=2), found.quantile_forecasts[:, :, 1:] > 0  # 0 is the limit
    assert found.quantile_forecasts.shape == (1, 6, 4) and (rises >= 0).all() and (rises[above] > 0).all()
    np.testing.assert_array_equal(found.quantile_forecasts[:, :, 1:3], predicted(trained[0]).quantile_forecasts)
    assert predicted(trained[0], quantiles=()).columns == ("series", "timestamp", "prediction", "source", "method")


def test_levels_of_which_nothing_is_known_are_refused(trained):
    with pytest.raises(UsageError, match=r"quantile 0.3 is neither calibrated nor trained \(trained: 0.1, 0.9\)"):
        predicted(trained[0], quantiles=(0.3,), calibrate=False)
    with pytest.raises(UsageError, match=r"quantile 0.001 is not within 0.005 and 0.995"):
        predicted(trained[0], quantiles=(0.001,))


def test_a_model_without_calibration_gives_its_own_and_says_so_where_asked(tmp_path):
    stored(tmp_path / "models")
    data = write_csv(tmp_path / "d.csv", 96)
    settings = {"models": str(tmp_path / "models"), "model": "m"}
    found = predict(str(data), PredictSettings(**settings, quantiles=(0.9,)), Recorder())
    np.testing.assert_allclose(found.quantile_forecasts[:, :, 0], found.prediction + 2)
    with pytest.raises(UsageError, match="has no calibration"):
        predict(str(data), PredictSettings(**settings, calibrate=True), Recorder())


def test_samples_are_columns_of_their_own_on_both_runtimes(trained):
    found = predicted(trained[0], samples=5)
    assert found.columns[-7:-1] == ("sample 1", "sample 2", "sample 3", "sample 4", "sample 5", "source")
    assert found.samples.shape == (1, 6, 5) and len(set(found.samples[0, 0])) > 1
    frame = found.to_frame()
    np.testing.assert_array_equal(frame["sample 2"], found.samples[0, :, 1])
    other = predicted(trained[0], samples=5, runtime="tensorflow")
    np.testing.assert_allclose(other.samples, found.samples, rtol=1e-4)
    np.testing.assert_array_equal(predicted(trained[0], samples=5, horizon=2).samples, found.samples[:, :2])
    with pytest.raises(UsageError, match="the model has errors of 6 steps only"):
        predicted(trained[0], samples=5, horizon=7)
    with pytest.raises(UsageError, match="--samples and --fallback exclude each other"):
        predicted(trained[0], samples=5, fallback=True)
    with pytest.raises(UsageError, match="has no errors of whole test windows"):
        predicted(trained[0], samples=5, calibrate=False)


def test_calibrations_of_earlier_artifacts_are_read(store):
    folder = store / "air" / "1"
    now = load_calibration(folder, read_manifest(folder))
    with np.load(folder / "calibration.npz") as stored:
        arrays = dict(stored)
    errors = arrays.pop("errors")
    del arrays["age"]
    np.savez_compressed(folder / "calibration.npz", **arrays, paths=errors[np.isfinite(errors).all(axis=1)])
    write_manifest(folder, read_manifest(folder))
    then = load_calibration(folder, read_manifest(folder))
    np.testing.assert_array_equal(then.offsets, now.offsets)
    np.testing.assert_array_equal(then.errors, now.errors[now.whole])
    assert not then.age.any() and then.weights.sum() == pytest.approx(now.separate)


def test_a_damaged_calibration_is_named(store):
    path = store / "air" / "1" / "calibration.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"calibration\.npz"):
        predicted(store)
    with pytest.raises(ArtifactError, match=r"calibration\.npz"):
        load_calibration(store / "air" / "1", read_manifest(store / "air" / "1"))


def test_the_report_has_scores_of_quantiles_after_and_before(trained):
    report = trained[1].report
    assert report.intervals and report.raw_intervals and "shares" in report.calibrated.replace("share ", "shares ")
    assert report.intervals.nominal_coverage == pytest.approx(0.8)
    assert report.intervals.empirical_coverage >= report.raw_intervals.empirical_coverage
    found = evaluate(None, EvaluateSettings(models=str(trained[0]), model="air"), Recorder())
    assert (found.intervals, found.raw_intervals) == (report.intervals, report.raw_intervals)
    said = report.to_json()
    assert said["intervals"]["coverage"] == report.intervals.empirical_coverage and "0.1" in said["intervals"]["below"]


@pytest.fixture
def newer(tmp_path):
    """AirPassengers and a year of jumps after it."""
    lines = AIR.read_text().splitlines()
    lines += [f"1961-{month:02d},{400 + 300 * (month % 2)}" for month in range(1, 13)]
    (tmp_path / "newer.csv").write_text("\n".join(lines) + "\n")
    return str(tmp_path / "newer.csv")


def test_on_later_data_the_stored_calibration_is_tested_as_it_would_have_served(trained, newer):
    settings = EvaluateSettings(models=str(trained[0]), model="air")
    found, stayed = (evaluate(newer, replace(settings, adapt=adapt), Recorder()) for adapt in (True, False))
    assert found.windows == stayed.windows == 2
    assert stayed.calibrated == "on windows before these, at the training"
    assert found.calibrated == stayed.calibrated + ", and on those since that had ended before each"
    assert found.intervals.width > stayed.intervals.width != stayed.raw_intervals.width
    assert found.raw_intervals == stayed.raw_intervals and found.metrics == stayed.metrics


def test_quantiles_learn_from_rows_that_came_since_the_training(trained, newer):
    watch = Recorder()
    settings = PredictSettings(models=str(trained[0]), model="air", samples=50)
    found, stayed = predict(newer, settings, watch), predict(newer, replace(settings, adapt=False), Recorder())
    assert "quantiles: adapted to 2 windows since the training" in watch.notes
    np.testing.assert_array_equal(found.prediction, stayed.prediction)
    free = stayed.quantile_forecasts > 0  # 0 is the limit
    assert free.any() and (found.quantile_forecasts != stayed.quantile_forecasts)[free].all()
    assert (found.samples != stayed.samples).any()
    tensorflow = predict(newer, replace(settings, runtime="tensorflow"), Recorder())
    np.testing.assert_allclose(tensorflow.quantile_forecasts, found.quantile_forecasts, rtol=1e-4, atol=0.01)
    for unchanged in (None, str(AIR)):
        watch = Recorder()
        predict(unchanged, settings, watch)
        assert not any("since the training" in note for note in watch.notes)


def test_nothing_is_forecast_to_learn_from_where_no_quantiles_are_asked_for(trained, newer):
    watch = Recorder()
    predict(newer, PredictSettings(models=str(trained[0]), model="air", quantiles=()), watch)
    assert not any("since the training" in note for note in watch.notes)


def test_no_adapt_is_refused_where_nothing_would_adapt(trained, newer, capfd):
    base = [newer, "--models", str(trained[0]), "--model", "air", "--no-adapt"]
    for command in (["predict", *base, "--no-calibrate"], ["evaluate", *base, "--refit"]):
        assert run(command) == 2
        assert "--no-adapt has no effect" in capfd.readouterr().err


def test_nothing_is_calibrated_with_no_calibrate(tmp_path, capfd):
    base = ["train", str(AIR), "--name", "air", "--models", str(tmp_path), "--quiet", "--epochs", "1"]
    tiny = [
        "--steps-per-epoch",
        "1",
        "--learning-rate",
        "0.01",
        "--horizon",
        "3",
        "--units",
        "2",
        "--members",
        "1",
        "--transform",
        "none",
    ]
    assert run([*base, *tiny, "--no-calibrate"]) == 0
    out = capfd.readouterr().out
    assert "nominal" in out and "calibrated:" not in out
    assert not (tmp_path / "air" / "1" / "calibration.npz").exists()


@pytest.mark.parametrize("levels", ["0,0.5", "0.5,1", "-0.1", "0.5,0.5", "a", "nan"])
def test_levels_that_are_none_are_usage_errors_in_one_line(levels, capfd):
    for command in (["train", str(AIR)], ["predict"]):
        assert run([*command, "--quantiles", levels]) == 2
        assert capfd.readouterr().err.count("\n") == 1
