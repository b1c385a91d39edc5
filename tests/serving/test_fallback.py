"""Seasonal naive in the model's place: when, how it is marked, and what is an error without it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from forecaster.cli.main import run
from forecaster.config import PredictSettings
from forecaster.data.target_limits import Limits
from forecaster.errors import ArtifactError, DataError
from forecaster.serving.fallback import implausible, naive_forecast, naive_quantiles, plausible_range
from forecaster.serving.manifest import read_manifest, write_manifest
from forecaster.serving.predict import predict
from tests.support.factories import NAN, Recorder, panel_of
from tests.support.stored_models import stored, wave, write_csv


@pytest.fixture
def shop(tmp_path):
    """A store with one model, and its data."""
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 100)
    return tmp_path


def predicted(shop, data="data.csv", **options):
    watch = Recorder()
    settings = PredictSettings(**{"models": str(shop / "models"), "model": "m", **options})
    return predict(str(shop / data), settings, watch), watch


def damage(shop, part="model.onnx"):
    path = shop / "models" / "m" / "1" / part
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def test_a_healthy_model_answers_itself(shop):
    found, watch = predicted(shop, fallback=True)
    assert set(found.source) == {"model"} and found.fallbacks == 0 and not watch.warnings


@pytest.mark.parametrize("part", ["model.onnx", "manifest.json"])
def test_a_damaged_artifact_is_an_error_and_with_fallback_seasonal_naive_with_a_warning(shop, part):
    damage(shop, part)
    with pytest.raises(ArtifactError):
        predicted(shop)
    found, watch = predicted(shop, fallback=True)
    assert set(found.source) == {"seasonal-naive"} and found.fallbacks == 2
    assert watch.warnings and "seasonal naive" in watch.warnings[0]
    np.testing.assert_allclose(found.prediction[0, 0], wave(0, 76))


@pytest.mark.parametrize("text", [None, "x"])
def test_a_model_of_the_data_s_name_of_which_nothing_serves_falls_back_as_one_that_is_named(shop, text):
    current = shop / "models" / "m" / "current"
    current.unlink() if text is None else current.write_text(text)
    write_csv(shop / "m.csv", 100)
    with pytest.raises(ArtifactError, match="model 'm' has no version that serves"):
        predicted(shop, "m.csv", model=None)
    for name in (None, "m"):
        found, watch = predicted(shop, "m.csv", model=name, fallback=True)
        assert set(found.source) == {"seasonal-naive"}
        assert "model 'm' has no version that serves" in watch.warnings[0]
    assert "model m, which has the data's name" in predicted(shop, "m.csv", model=None, fallback=True)[1].notes


def test_a_missing_model_falls_back_with_a_horizon_of_one_season(shop):
    found, _ = predicted(shop, model="gone", fallback=True)
    assert found.prediction.shape == (2, 24) and set(found.source) == {"seasonal-naive"}
    assert predicted(shop, model="gone", fallback=True, horizon=3)[0].prediction.shape == (2, 3)
    with pytest.raises(ArtifactError):
        predicted(shop, model="gone")
    with pytest.raises(ArtifactError):  # nobody knows the data then
        predict(None, PredictSettings(models=str(shop / "models"), model="gone", fallback=True), Recorder())


def test_only_the_series_that_the_model_cannot_answer_for_falls_back(shop):
    write_csv(shop / "hole.csv", 100, value=lambda n, t: None if n == 0 and t == 77 else wave(n, t))
    with pytest.raises(ArtifactError, match="series 'a'"):
        predicted(shop, "hole.csv")
    found, watch = predicted(shop, "hole.csv", fallback=True)
    assert found.source.tolist() == ["seasonal-naive", "model"]
    assert found.prediction[0, 1] == wave(0, 53)  # a season earlier than the hole
    assert np.isfinite(found.quantile_forecasts).all()
    assert watch.warnings == ["seasonal naive for 1 of 2 series (a): 1 with no forecast"]


def test_implausible_values_are_an_error_and_fall_back(shop):
    stored(shop / "models", factor=1e6)
    with pytest.raises(ArtifactError, match="implausible"):
        predicted(shop)
    assert set(predicted(shop, fallback=True)[0].source) == {"seasonal-naive"}


def test_a_series_with_nothing_observed_is_left_out_and_the_exit_is_7(shop, capfd, monkeypatch):
    monkeypatch.chdir(shop)
    write_csv(shop / "dead.csv", 100, ("a", "dead", "b"), value=lambda n, t: None if n == 1 else wave(n, t))
    for flags in ([], ["--fallback"]):
        assert run(["predict", "dead.csv", "--json", "--output", "out.csv", *flags]) == 7
        out, err = capfd.readouterr()
        found = json.loads(out)
        assert (found["series"], found["failed"], found["fallbacks"]) == (2, ["dead"], 0)
        assert json.loads(err.splitlines()[-1])["error"]["kind"] == "partial"
        assert "dead" not in (shop / "out.csv").read_text()
    write_csv(shop / "all.csv", 100, value=lambda *_: None)
    with pytest.raises(DataError):
        predicted(shop, "all.csv", fallback=True)


def test_the_counter_is_in_the_json_forecast_too(shop, capfd, monkeypatch):
    monkeypatch.chdir(shop)
    damage(shop)
    assert run(["predict", "data.csv", "--json", "--fallback", "--quiet"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["fallbacks"] == 2 and found["forecast"][0]["source"] == "seasonal-naive"
    assert found["cutoff"] == "2024-01-05 03:00:00"


def test_the_plausible_range_is_ten_ranges_beyond_a_long_history_and_ten_levels_beyond_a_short_or_flat_one():
    long = [10.0, 12.0] * 10
    panel = panel_of(long, [100.0, 101.0], [5.0] * 30, [0.0] * 30, [NAN, NAN])
    low, high = plausible_range(panel)
    np.testing.assert_allclose(low[:4], [-10, 100 - 1010, -45, -10])
    np.testing.assert_allclose(high[:4], [32, 101 + 1010, 55, 10])
    assert np.isnan(low[4])
    values = np.array([[[33.0]], [[1000.0]], [[NAN]], [[1.0]], [[1e9]]])
    assert implausible(values, low, high).tolist() == [True, False, False, False, False]


def test_seasonal_naive_looks_back_as_far_as_it_takes():
    panel = panel_of([7.0] + [NAN] * 100, [1.0, 2, 3, 4, 5, 6, 7, 8])
    found = naive_forecast(panel, np.array([0, 1]), 6)
    assert found.tolist() == [[7.0] * 6, [5, 6, 7, 8, 5, 6]]


def test_bands_hold_the_seasonal_differences_and_widen_from_season_to_season():
    panel = panel_of(np.tile([1.0, 2, 3, 4], 5) + np.repeat([0.0, 1, 0, 2, 0], 4))
    chosen = np.array([0])
    point = naive_forecast(panel, chosen, 8)
    quantile_forecasts = naive_quantiles(panel, chosen, point, (0.1, 0.5, 0.9))
    assert (np.diff(quantile_forecasts, axis=2) >= 0).all()
    np.testing.assert_allclose(quantile_forecasts[:, :, 1], point)
    width = quantile_forecasts[0, :, 2] - quantile_forecasts[0, :, 0]
    np.testing.assert_allclose(width[4:] / width[:4], np.sqrt(2))
    flat = panel_of([3.0])
    assert naive_quantiles(flat, chosen, np.array([[3.0]]), (0.1, 0.9)).tolist() == [[[3.0, 3.0]]]


def test_one_series_of_a_forecast_is_what_the_whole_says_of_it(shop):
    found, _ = predicted(shop)
    one = found.only(1)
    assert one.series.tolist() == ["b"] and one.prediction.tolist() == found.prediction[1:].tolist()
    assert one.metadata()["series"] == 1 and replace(one, about=None).metadata() == {}


def resealed(shop, change):
    """Change the files of the version with `change(folder)`, and list their new hashes in its manifest."""
    folder = shop / "models" / "m" / "1"
    change(folder)
    write_manifest(folder, read_manifest(folder))


def graph_of(node, output, kind=TensorProto.DOUBLE, constants=()):
    """A change of model.onnx to one node from `context` [B, L] to `forecast` with the shape `output`."""

    def write(folder):
        graph = helper.make_graph(
            [node],
            "wrong",
            [helper.make_tensor_value_info("context", TensorProto.DOUBLE, ["B", "L"])],
            [helper.make_tensor_value_info("forecast", kind, output)],
            [numpy_helper.from_array(np.array(value), name) for name, value in constants],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        save(model, str(folder / "model.onnx"))

    return write


WRONG_GRAPHS = {
    "fails when it runs": graph_of(
        helper.make_node("Reshape", ["context", "shape"], ["forecast"]),
        [7, 7, 7],
        constants=[("shape", [7, 7, 7])],
    ),
    "two axes": graph_of(helper.make_node("Identity", ["context"], ["forecast"]), ["B", "L"]),
    "too few quantiles": graph_of(
        helper.make_node("Unsqueeze", ["context", "axes"], ["forecast"]), ["B", "L", 1], constants=[("axes", [2])]
    ),
    "no steps": graph_of(
        helper.make_node("Expand", ["none", "shape"], ["forecast"]),
        [2, 0, 3],
        constants=[("none", np.zeros((1, 0, 1))), ("shape", [2, 0, 3])],
    ),
    **{
        f"{steps} steps": graph_of(
            helper.make_node("Expand", ["one", "shape"], ["forecast"]),
            ["B", steps, 3],
            constants=[("one", np.full((1, 1, 1), 50.0)), ("shape", [2, steps, 3])],
        )
        for steps in (1, 5, 7)
    },
    "texts": graph_of(
        helper.make_node("Cast", ["context"], ["forecast"], to=TensorProto.STRING), ["B", "L"], TensorProto.STRING
    ),
    "another number of windows": graph_of(
        helper.make_node("Expand", ["one", "shape"], ["forecast"]),
        [5, 6, 3],
        constants=[("one", np.ones((1, 1, 1))), ("shape", [5, 6, 3])],
    ),
}
GRID = np.linspace(0.1, 0.9, 9)
CALIBRATION_ARRAYS = {
    "levels": GRID,
    "offsets": np.repeat(GRID[:, None], 6, axis=1) - 0.5,
    "names": np.array(["a"]),
    "factors": np.array([1.5]),
    "errors": np.zeros((4, 6), np.float32),
    "age": np.zeros(4),
    "counts": np.array([4, 4]),
}
WRONG_ARRAYS = {
    "levels": [GRID[::-1], GRID[:3], np.full(9, np.nan), GRID[:, None], np.array(["x"] * 9), GRID + 1, np.array(0.5)],
    "offsets": [
        np.zeros((9, 0)),
        np.zeros(9),
        np.full((9, 6), np.nan),
        np.zeros((3, 6)),
        np.zeros((9, 5)),
        -np.repeat(GRID[:, None], 6, 1),
    ],
    "names": [np.array([1]), np.array(["a", "b"])],
    "factors": [
        np.array([0.0]),
        np.array([np.nan]),
        np.array([-1.0]),
        np.array(["x"]),
        np.array([[1.0]]),
        np.array([1]),
    ],
    "errors": [np.zeros((4, 5)), np.zeros(4), np.full((4, 6), np.inf), np.array("x")],
    "age": [np.zeros(3), np.full(4, np.nan), np.zeros((4, 1)), np.array(["x"] * 4)],
    "counts": [np.array([4]), np.array([-1, 4]), np.array([0.5, 1.5]), np.array(["x", "y"]), np.array(4)],
}


def with_calibration(**changes):
    return lambda folder: np.savez(folder / "calibration.npz", **{**CALIBRATION_ARRAYS, **changes})


def falls_back(shop):
    with pytest.raises(ArtifactError):
        predicted(shop)
    found, watch = predicted(shop, fallback=True)
    assert set(found.source) == {"seasonal-naive"} and np.isfinite(found.quantile_forecasts).all()
    assert any("seasonal naive for every series" in warning for warning in watch.warnings)


@pytest.mark.parametrize("kind", WRONG_GRAPHS)
def test_a_graph_that_fails_after_it_was_loaded_falls_back(shop, kind):
    resealed(shop, WRONG_GRAPHS[kind])
    falls_back(shop)


def test_a_calibration_of_the_right_kind_is_used(shop):
    resealed(shop, with_calibration())
    assert set(predicted(shop)[0].source) == {"model"}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG_ARRAYS.items() for value in values]
)
def test_a_calibration_with_wrong_arrays_falls_back(shop, name, value):
    resealed(shop, with_calibration(**{name: value}))
    falls_back(shop)


@pytest.mark.parametrize("name", CALIBRATION_ARRAYS)
def test_a_calibration_that_lacks_an_array_falls_back(shop, name):
    if name == "age":
        pytest.skip("earlier releases stored none")
    left = {key: value for key, value in CALIBRATION_ARRAYS.items() if key != name}
    resealed(shop, lambda folder: np.savez(folder / "calibration.npz", **left))
    falls_back(shop)


@pytest.mark.parametrize("shape", [[0.1, 1.5], [0.9, 0.1], [[0.1, 0.9]], ["x", "y"], [True, False], [np.nan, 0.9]])
def test_a_calibration_of_columns_that_no_network_has_falls_back(shop, shape):
    resealed(shop, with_calibration(shape=np.array(shape), point_level=np.array(0.5), cutoffs=np.array(4)))
    falls_back(shop)


def limited(shop, **limits):
    version = shop / "models" / "m" / "1"
    write_manifest(version, replace(read_manifest(version), limits=Limits(**limits)))


@pytest.mark.parametrize(
    ("limits", "sign", "words"),
    [
        ({"low": 0.0}, -1, "series 'a': 24 of its latest values are below 0, the least that the model forecasts"),
        ({"high": 20.0}, 1, "series 'a': 24 of its latest values are above 20, the greatest that the model forecasts"),
    ],
)
def test_series_beyond_a_models_limits_are_an_error_and_fall_back_to_values_of_their_own(shop, limits, sign, words):
    limited(shop, **limits)
    write_csv(shop / "other.csv", 60, value=lambda n, t: sign * wave(n, t))
    with pytest.raises(ArtifactError, match=words):
        predicted(shop, "other.csv")
    found, watch = predicted(shop, "other.csv", fallback=True)
    assert set(found.source) == {"seasonal-naive"} and words in watch.warnings[0]
    assert found.prediction[0, 0] == sign * wave(0, 36)  # not moved to the limit


def test_a_single_value_beyond_a_models_limits_is_warned_of(shop):
    limited(shop, low=0.0)
    write_csv(shop / "return.csv", 60, value=lambda n, t: -5.0 if (n, t) == (1, 50) else wave(n, t))
    found, watch = predicted(shop, "return.csv")
    assert set(found.source) == {"model"} and (found.prediction >= 0).all()
    assert watch.warnings == ["series 'b': one of its latest values is below 0, the least that the model forecasts"]


def test_a_fallback_without_any_model_is_not_negative_where_no_value_was(shop):
    write_csv(shop / "rare.csv", 60, value=lambda n, t: 4.0 * (t % 7 == 0) - n)
    damage(shop, "manifest.json")
    found, _ = predicted(shop, "rare.csv", fallback=True, quantiles=(0.05, 0.95))
    assert set(found.source) == {"seasonal-naive"}
    assert found.quantile_forecasts[0].min() == 0.0 and found.quantile_forecasts[1].min() < -1.0
