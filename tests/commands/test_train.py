"""The verb train: what it stores, what it goes on from, and what it leaves alone when it fails."""

from __future__ import annotations

import csv
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.commands.train import train
from forecaster.config import EvaluateSettings, PredictSettings, TrainSettings
from forecaster.data.reading.text_columns import MAX_MAGNITUDE
from forecaster.errors import ArtifactError, DataError, UsageError
from forecaster.evaluation.cross_conformal import cross_calibrated
from forecaster.serving.integrity import hash_files
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from forecaster.serving.store import Store
from forecaster.training.checkpoints import read_state
from tests.support.factories import AIR, NAN, Recorder, frame_of, train_settings, waves

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


OPEN = {"transform": None, "cell": "auto", "floor": None, "members": 2, "epochs": 1}  # what model selection decides


def fingerprint(folder):
    """Every file below a folder and its content."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def numbers(models, reference="air", data=None, **changes):
    forecast = predict(data, PredictSettings(models=str(models), model=reference, **changes), Recorder())
    return np.concatenate([forecast.prediction[:, :, None], forecast.quantile_forecasts], axis=2)


def states(folder):
    return {path.name: read_state(path) for path in (Path(folder) / "state").glob("*.npz")}


def test_a_training_is_stored_whole(trained):
    models, report, _ = trained
    folder = Path(report.path)
    assert folder == models / "air" / "1"
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json", "saved_model", "model.onnx", "judged.onnx", "history.csv", "state",
        "calibration.npz",
    }  # fmt: skip
    assert (models / "air" / "current").read_text().strip() == "1"
    assert sorted(path.name for path in (models / "air").iterdir()) == ["1", "current"]


def test_nothing_that_is_stored_can_run(trained):
    _, report, _ = trained
    suffixes = {path.suffix for path in Path(report.path).rglob("*") if path.is_file()}
    assert suffixes <= {".json", ".onnx", ".csv", ".npz", ".pb", ".index", ".data-00000-of-00001"}


def test_the_manifest_tells_what_was_done(trained):
    _, report, _ = trained
    manifest = read_manifest(Path(report.path))
    assert manifest.data.path == str(AIR)
    assert (manifest.data.freq, manifest.data.season_length, manifest.data.rows) == ("MS", 12, 144)
    assert (manifest.horizon, manifest.context_length, manifest.test_windows) == (6, 12, 2)
    assert manifest.parameters == report.parameters > 0
    assert set(manifest.versions) >= {"forecaster", "tensorflow", "keras", "numpy"}
    assert {"model", "seasonal-naive", "naive", "drift"} <= set(manifest.metrics)
    assert str(Path.home()) not in (Path(report.path) / "saved_model" / "saved_model.pb").read_bytes().decode("latin1")


def test_history_has_every_epoch_of_both_stages(trained):
    with (Path(trained[1].path) / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    test = [row for row in rows if row["stage"].startswith("judge")]
    final = [row for row in rows if row["stage"].startswith("final")]
    assert [row["epoch"] for row in test] == ["1", "2"]
    assert len(final) == trained[1].epochs
    assert all(np.isfinite(float(row["loss"])) for row in rows)
    assert all(row["validation_loss"] for row in test)
    assert not any(row["validation_loss"] for row in final)


def test_the_report_says_what_was_chosen_and_how_good_it_is(trained):
    _, report, watch = trained
    assert report.report is not None
    assert report.report.windows == 2
    assert len(report.report.by_step) == 6
    raw = report.to_json()
    for key in ("model", "version", "cell", "parameters", "horizon", "context_length", "freq", "season_length",
                "metrics", "baselines", "windows", "seconds"):  # fmt: skip
        assert key in raw
    assert {p.stage for p in watch.reports} == {"test", "final"}  # nothing was left to select
    assert any("fitting on the CPU" in note for note in watch.notes)


class Diary(Recorder):
    """Notes and stages in the order in which they came."""

    def __init__(self):
        super().__init__()
        self.order = []

    def note(self, text):
        super().note(text)
        self.order.append(text)

    def progress(self, progress):
        super().progress(progress)
        self.order.append(progress.stage)


def test_the_plan_is_reported_with_its_reasons_and_made_before_the_judged_fit(tmp_path, monkeypatch):
    tests = []
    monkeypatch.setattr(
        "forecaster.training.publish.cross_calibrated", lambda *a: tests.append(cross_calibrated(*a)) or tests[-1]
    )
    hashed = []
    for module in ("integrity", "manifest"):
        monkeypatch.setattr(
            f"forecaster.serving.{module}.hash_files", lambda folder: hashed.append(folder) or hash_files(folder)
        )
    watch = Diary()
    report = train(AIR, train_settings(tmp_path, transform=None, final_fit=False, epochs=1), watch)
    assert not [said for said in watch.order if said.startswith("setting ")]  # the table is for --verbose
    (transform,) = [row for row in report.plan if row.setting == "transform"]
    assert "validation error" in transform.reason
    assert report.plan[-1].setting == "method" and report.plan[-1].value == report.method
    assert watch.order.index("model selection") < watch.order.index("test")
    assert len(tests) == 1  # for the manifest and the report both
    assert len(hashed) == 1  # nothing that was just written is checked


@pytest.mark.long
def test_cell_auto_takes_the_cell_that_errs_least_on_the_validation_windows_and_says_so(tmp_path):
    watch = Recorder()
    report = train(AIR, train_settings(tmp_path, cell="auto", members=2, final_fit=False, epochs=1), watch)
    (row,) = [row for row in report.plan if row.setting == "cell"]
    (note,) = [note for note in watch.notes if note.startswith("model selection: cell ")]
    assert note == f"model selection: cell {row.value}: {row.reason}"
    found = [float(part.split()[-1]) for part in row.reason.split(",")]
    assert len(found) == 3 and found[0] == min(found)
    manifest = read_manifest(Path(report.path))
    assert {member.cell for member in manifest.members} == {row.value}
    # Two members, so the report and the manifest say what each adds.
    first, second = manifest.contributions
    assert report.contributions == manifest.contributions
    assert (first.without, second.without) == pytest.approx((second.error, first.error))
    assert [one["member"] for one in report.to_json()["members"]] == [first.member, second.member]


def test_the_same_data_settings_and_seed_give_the_same_bytes_of_forecast(trained, tmp_path):
    again = train(AIR, train_settings(tmp_path, name="air"), Recorder())
    assert numbers(tmp_path).tobytes() == numbers(trained[0]).tobytes()
    first, second = states(trained[1].path), states(again.path)
    for name, state in first.items():
        assert [w.tobytes() for w in state.best_weights] == [w.tobytes() for w in second[name].best_weights]


def differing_files(data, folder, options):
    """The files that differ between two trainings of `data` in two processes, whose sets have other orders."""
    found = []
    for number in ("1", "2"):  # the hash seed orders Python's sets
        store = folder / number
        command = [sys.executable, "-m", "forecaster", "train", str(data), *options.split(), "--models", str(store)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": number}, capture_output=True, check=True)
        found.append(store / Path(data).stem / "1")
    first, second = (hash_files(one) for one in found)
    assert first.keys() == second.keys()
    methods = {read_manifest(one).method for one in found}
    assert len(methods) == 1
    return methods.pop(), {name for name in first if first[name] != second[name]}


def test_equal_trainings_in_two_processes_give_the_same_bytes_of_graphs_weights_and_calibration(tmp_path):
    options = (
        "--horizon 6 --units 4 --layers 1 --context-length 12 --segment 6 --epochs 1 --steps-per-epoch 2 --members 2 "
        "--learning-rate 0.01 --transform log --floor 0.3 --threads 2 --quiet"
    )
    # history.csv has seconds, as the manifest has a time.
    assert differing_files(AIR, tmp_path, options)[1] == {"history.csv"}


@pytest.mark.long
def test_so_do_equal_trainings_whose_model_has_trees(tmp_path):
    """A logistic map of the differences from the week before, which trees forecast best."""
    rows, week = 430, np.array([0, 2, 1, 3, 5, 9, 8.0])
    days = np.datetime64("2023-01-01") + np.arange(rows)
    lines = ["series,timestamp,target"]
    for series, state in enumerate(np.linspace(0.2, 0.8, 12)):
        y = list(100.0 + week)
        while len(y) < rows:
            state = 3.9 * state * (1.0 - state)
            y.append(y[-7] + 4.0 * state - 2.4)
        lines += [f"s{series},{day},{value:.4f}" for day, value in zip(days, y, strict=True)]
    data = tmp_path / "panel.csv"
    data.write_text("\n".join(lines) + "\n")
    options = "--horizon 2 --epochs 1 --steps-per-epoch 2 --threads 2 --quiet"
    method, differing = differing_files(data, tmp_path, options)
    assert "trees" in method and differing <= {"history.csv"}


@pytest.mark.long
def test_a_default_model_of_airpassengers_takes_less_than_six_megabytes(tmp_path):
    report = train(AIR, TrainSettings(models=str(tmp_path), horizon=12), Recorder())
    assert sum(path.stat().st_size for path in Path(report.path).rglob("*") if path.is_file()) < 6_000_000


def test_a_version_stores_the_serving_weights_once_beside_the_two_graphs(trained):
    folder = Path(trained[1].path)
    size = {path.name: path.stat().st_size for path in (folder / "state").iterdir()}
    assert size["final-0.npz"] < 1000 < size["judge-0.npz"]
    served = read_state(folder / "state" / "final-0.npz").best_weights
    assert served
    assert all(np.isfinite(w).all() for w in served)
    judged = read_state(folder / "state" / "judge-0.npz").best_weights
    assert [w.shape for w in served] == [w.shape for w in judged]
    assert any(not np.array_equal(a, b) for a, b in zip(served, judged, strict=True))


def test_another_seed_gives_another_forecast_and_without_a_final_fit_the_judged_weights_serve(trained, tmp_path):
    report = train(AIR, train_settings(tmp_path, name="air", seed=1, final_fit=False), Recorder())
    assert not np.allclose(numbers(tmp_path), numbers(trained[0]))
    folder = Path(report.path)
    assert read_manifest(folder).serves_tested_weights
    assert not (folder / "judged.onnx").exists()
    assert set(states(folder)) == {"judge-0.npz"}


@pytest.fixture(scope="module")
def selected(tmp_path_factory, cpu):
    """A store with a model of AirPassengers, `air`, whose cell, scaling and blend were selected, and its report."""
    models = tmp_path_factory.mktemp("selected")
    return models, train(AIR, train_settings(models, name="air", **OPEN, final_fit=False), Recorder())


@pytest.mark.long
def test_rows_behind_the_cutoff_move_neither_weights_nor_choices_of_the_judged_stage(tmp_path, selected):
    lines = AIR.read_text().splitlines()
    rows = 6 * 2
    lines[-rows:] = [f"{line.split(',')[0]},{900_000 + i}" for i, line in enumerate(lines[-rows:])]
    changed = tmp_path / "changed.csv"
    changed.write_text("\n".join(lines) + "\n")
    first = selected[1]
    report = train(changed, train_settings(tmp_path, name="air", **OPEN, final_fit=False), Recorder())
    for member in ("judge-0.npz", "judge-1.npz"):
        tested, again = states(first.path)[member], states(report.path)[member]
        assert [w.tobytes() for w in tested.best_weights] == [w.tobytes() for w in again.best_weights]
        assert (tested.best_epoch, tested.best_loss) == (again.best_epoch, again.best_loss)
    a, b = read_manifest(Path(first.path)), read_manifest(Path(report.path))
    assert (a.members, a.plan, a.fit, a.smoothing, a.error_scales) == (
        b.members,
        b.plan,
        b.fit,
        b.smoothing,
        b.error_scales,
    )
    reasons = {row.setting: row.reason for row in a.plan}
    assert all("validation" in reasons[asked] for asked in ("transform", "cell", "floor"))
    assert a.metrics["model"] != b.metrics["model"]  # the scores are of the changed rows


@pytest.mark.long
def test_the_same_data_and_seed_give_the_same_plan_and_the_same_bytes_of_forecast(tmp_path, selected):
    models, first = selected
    again = train(AIR, train_settings(tmp_path, name="air", **OPEN, final_fit=False), Recorder())
    assert first.plan == again.plan
    assert first.contributions == again.contributions
    assert numbers(models).tobytes() == numbers(tmp_path).tobytes()


def test_resume_goes_on_from_the_stored_state(store):
    before = states(store / "air" / "1")
    report = train(AIR, train_settings(store, name="air", resume=True), Recorder())
    after = states(report.path)
    assert report.version == 2
    for name, state in after.items():
        assert any(not np.array_equal(a, b) for a, b in zip(state.weights, before[name].weights, strict=True)), name
    # What serves has learnt something since.
    served, old = after["final-0.npz"].best_weights, before["final-0.npz"].best_weights
    assert any(not np.array_equal(a, b) for a, b in zip(served, old, strict=True))


def test_resume_goes_on_with_a_training_that_was_killed(trained, tmp_path, monkeypatch):
    """Killed after the first epoch of the test fit, it ends up as if it had never been."""

    class Killed(BaseException):
        pass

    class Killer(Recorder):
        def progress(self, progress):
            super().progress(progress)
            if len(self.reports) == 2:
                raise Killed

    monkeypatch.setattr("forecaster.training.checkpoints.EVERY_SECONDS", 0.0)
    with pytest.raises(Killed):
        train(AIR, train_settings(tmp_path, name="air"), Killer())
    assert (tmp_path / "air" / ".unfinished" / "judge-0.npz").exists()
    watch = Recorder()
    train(AIR, train_settings(tmp_path, name="air", resume=True), watch)
    assert any("the unfinished training" in note for note in watch.notes)
    assert numbers(tmp_path).tobytes() == numbers(trained[0]).tobytes()
    assert not (tmp_path / "air" / ".unfinished").exists()


def test_from_starts_with_another_models_weights(store):
    report = train(
        AIR, train_settings(store, name="young", start_from="air", learning_rate=1e-12, final_fit=False), Recorder()
    )
    old, young = states(store / "air" / "1")["judge-0.npz"], states(report.path)["judge-0.npz"]
    for a, b in zip(old.best_weights, young.best_weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_state_of_another_shape_is_refused_and_the_store_left_as_it_was(store):
    before = fingerprint(store)
    with pytest.raises(UsageError, match=r"another shape|--resume continues"):
        train(AIR, train_settings(store, name="air", units=5, resume=True), Recorder())
    assert fingerprint(store) == before


def test_resume_with_another_schedule_is_answered_without_a_traceback(store):
    try:
        train(AIR, train_settings(store, name="air", schedule="constant", resume=True, final_fit=False), Recorder())
    except UsageError as error:
        assert error.hint


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"resume": True}, "--resume: no model 'air' is stored, and no fit of it is unfinished"),
        ({"start_from": "nobody"}, "no model"),
    ],
)
def test_going_on_from_nothing_is_refused(tmp_path, given, said):
    with pytest.raises(ArtifactError, match=said):
        train(AIR, train_settings(tmp_path, name="air", **given), Recorder())
    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_the_largest_numbers_that_are_read_can_be_learnt_from_and_answered(tmp_path):
    (wave,) = waves(1, 60)
    rows = frame_of(a=wave / wave.max() * MAX_MAGNITUDE)
    train(rows, train_settings(tmp_path, name="vast", members=2), Recorder())
    found = numbers(tmp_path, "vast", rows)
    assert (
        np.isfinite(found).all() and (found[:, :, 0] > MAX_MAGNITUDE / 100).all()
    )  # a low quantile may be the limit, 0


def test_a_time_budget_ends_the_training_with_the_judged_weights(tmp_path):
    watch = Recorder()
    report = train(AIR, train_settings(tmp_path, name="air", epochs=1000, time_budget=0.01), watch)
    assert report.stopped == "time budget"
    assert any("budget" in warning for warning in watch.warnings)
    assert np.isfinite(numbers(tmp_path)).all()


def test_an_interruption_keeps_the_best_weights_and_says_so(tmp_path):
    watch = Recorder(interrupt_at=2)
    report = train(AIR, train_settings(tmp_path, name="air", epochs=50), watch)
    assert report.stopped == "interrupted"
    assert any("interrupted" in warning for warning in watch.warnings)
    assert len(watch.reports) == 2
    assert np.isfinite(numbers(tmp_path)).all()


def test_a_failure_while_storing_leaves_the_store_as_it_was(store, monkeypatch):
    before = fingerprint(store)

    def fail(*_, **__):
        raise RuntimeError("the graphs do not agree")

    monkeypatch.setattr("forecaster.serving.verify_export.verify_graphs", fail)
    with pytest.raises(RuntimeError, match="do not agree"):
        train(AIR, train_settings(store, name="air", final_fit=False, epochs=1), Recorder())
    after = fingerprint(store)
    assert {k: v for k, v in after.items() if ".unfinished" not in k} == before
    assert np.isfinite(numbers(store)).all()


def test_constant_single_and_missing_series_are_trained_among_others(tmp_path):
    values = waves(2, 60)
    values[0][10:13] = NAN
    single = np.full(60, NAN)
    single[-1] = 3.0
    frame = frame_of(a=values[0], b=values[1], constant=np.full(60, 4.25), single=single, short=[1.0, 2.0], one=[5.0])
    report = train(frame, train_settings(tmp_path, name="odd", final_fit=False), Recorder())
    found = numbers(tmp_path, "odd", frame)
    assert found.shape == (6, 6, 3)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[2], 4.25, rtol=1e-12)
    for one, value in ((3, 3.0), (5, 5.0)):  # series of one row: their intervals are widened about it
        np.testing.assert_allclose(found[one][:, 0], value, rtol=1e-12)
        assert (found[one][:, 1] < value).all() and (found[one][:, 2] > value).all()
    assert all(np.isfinite(w).all() for state in states(report.path).values() for w in state.best_weights)


def test_a_panel_too_short_to_judge_is_trained_and_says_so(tmp_path):
    watch = Recorder()
    report = train(
        frame_of(a=[1.0, 2.0, 3.0, 4.0, 5.0]),
        train_settings(tmp_path, name="short", horizon=4, transform="none", allow_untested_horizon=True),
        watch,
    )
    assert report.report is None
    assert any("not tested" in warning for warning in watch.warnings)
    assert report.to_json()["windows"] == 0


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (lambda: frame_of(a=[1.0], b=[2.0]), "row"),
        (lambda: frame_of(a=[NAN] * 30), "holds no number"),
    ],
)
def test_a_panel_that_teaches_nothing_is_refused_before_anything_is_stored(tmp_path, frame, message):
    with pytest.raises(DataError, match=message) as error:
        train(frame(), train_settings(tmp_path, name="none", freq="D", transform="none"), Recorder())
    assert error.value.hint
    assert "\n" not in error.value.message
    assert not list(tmp_path.iterdir())


def test_an_impossible_name_is_refused_before_any_work(tmp_path):
    with pytest.raises(UsageError):
        train(tmp_path / "not there.csv", train_settings(tmp_path, name="../up"), Recorder())


def test_a_second_training_is_the_next_version_and_serves_and_older_ones_may_go(store):
    watch = Recorder()
    report = train(AIR, train_settings(store, name="air", final_fit=False, epochs=1, seed=3, keep=1), watch)
    assert report.version == 2
    assert Store(store).current("air") == 2
    assert Store(store).versions("air") == (2,) and "versions removed: 1." in watch.notes
    assert replace(report, report=None).model == "air"


def test_a_pretrained_member_is_served_fitted_again_and_resumed(tmp_path, monkeypatch):
    """By default; both runtimes answer with the same numbers, and the plan is the same at the second time."""
    # After two steps the other members are so bad that they would be left out.
    monkeypatch.setattr("forecaster.training.ensemble_selection.MAX_ERROR", float("inf"))
    short = {"epochs": 1, "steps_per_epoch": 2, "learning_rate": 1e-3, "transform": "none", "threads": 1}
    settings = TrainSettings(models=str(tmp_path), name="air", horizon=12, members=3, floor=0.0, **short)
    watch = Recorder()
    first = train(AIR, replace(settings, transform="auto", calibrate=False), watch)
    assert "pretrained gru" in first.method and " % gru" in first.method
    assert first.report.metrics.mase < first.report.baselines["seasonal-naive"].mase
    assert any("as it is" in note for note in watch.notes)
    made = [
        predict(AIR, PredictSettings(models=str(tmp_path), model="air", runtime=one), Recorder())
        for one in ("onnx", "tensorflow")
    ]
    np.testing.assert_allclose(made[0].prediction, made[1].prediction, rtol=1e-5)
    assert (np.diff(made[0].quantile_forecasts, axis=2) >= 0.0).all()
    again = evaluate(AIR, EvaluateSettings(models=str(tmp_path), model="air", refit=True, windows=1), Recorder())
    assert again.metrics.mase < again.baselines["seasonal-naive"].mase
    resumed = train(AIR, replace(settings, resume=True, floor=None), Recorder())
    assert "fine-tuned gru" in resumed.method
