"""Trees as a member: the graph is the recursion that scikit-learn's trees make, and what they may read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecaster.config import TrainSettings
from forecaster.data.extra_inputs import Needs
from forecaster.models.export import joint_forecast, write_onnx, write_saved_model
from forecaster.models.network import Network
from forecaster.models.trees import TREES, TreeMember, difference, lags_of, longest_lag
from forecaster.serving.verify_export import verify_graphs
from forecaster.training import fit_trees as module
from forecaster.training.auto_plan import draft_plan
from forecaster.training.fit import FitControl, fit
from forecaster.training.fit_trees import fit_trees, perfect_trees, training_rows
from forecaster.training.split import source_of, task
from tests.support.factories import NAN, Recorder, fit_settings, network_settings, panel_of, waves

M, HORIZON = 7, 9
SETTINGS = network_settings(
    cell=TREES,
    units=5,
    layers=3,
    context_length=M + longest_lag(M, 100),
    segment=1,
    horizon=HORIZON,
    season_length=M,
    quantiles=(0.1, 0.5, 0.9),
)


def weekly(series: int = 12, rows: int = 200, seed: int = 0) -> list[np.ndarray]:
    rng, t = np.random.default_rng(seed), np.arange(rows)
    week = np.array([0, 2, 1, 3, 5, 9, 8.0])
    return [50 + 5 * i + week[t % M] * (1 + i % 3) + rng.normal(size=rows).cumsum() * 0.3 for i in range(series)]


def task_of(series, ends=None):
    panel = panel_of(*series, season_length=M)
    needs = Needs(SETTINGS.context_length, HORIZON, ())
    return task(panel, panel.offsets[1:] if ends is None else ends, None, needs, source_of(panel, needs))


@pytest.fixture(scope="module")
def fitted():
    member = TreeMember(SETTINGS)
    done = fit_trees(member, task_of(weekly()), 0)
    assert (done.stopped, done.best_epoch, done.state.finished) == ("epochs", 1, True)
    return member


def by_loops(member: TreeMember, y: np.ndarray) -> np.ndarray:
    """[H] the forecast from one context without missing values, tree by tree and step by step."""
    feature, threshold, value, mean, _ = member.weights
    levels, count = SETTINGS.layers, SETTINGS.units
    inner = 2**levels - 1
    raw = y[M:] - y[:-M]
    scale = np.abs(raw).mean()
    z, level, found = list(raw / scale), list(y[-M:]), []
    for step in range(HORIZON):
        read = np.array(z)[-lags_of(M, SETTINGS.context_length - M)]
        total = mean[0]
        for tree in range(count):
            node = 0
            for _ in range(levels):
                above = read[feature[tree * inner + node]] > threshold[tree * inner + node]
                node = 2 * node + 1 + int(above)
            total += value[tree * (inner + 1) + node - inner]
        z.append(total)
        level.append(level[step] + scale * total)
        found.append(level[-1])
    return np.array(found)


def contexts() -> np.ndarray:
    return np.stack(weekly(seed=5))[:, -SETTINGS.context_length :]


def test_the_graph_is_the_recursion_that_it_stands_for(fitted):
    made = np.asarray(fitted.forecast([contexts()]))
    assert made.shape == (12, HORIZON, 4)
    np.testing.assert_allclose(made[:, :, 0], [by_loops(fitted, y) for y in contexts()], rtol=1e-12)
    assert (np.diff(made[:, :, 1:], axis=2) >= 0).all() and (made[:, :, 3] > made[:, :, 1]).all()


def test_the_arrays_predict_as_scikit_learn_does():
    from sklearn.ensemble import HistGradientBoostingRegressor

    rng = np.random.default_rng(0)
    read = rng.normal(size=(500, 4))
    wanted = np.where(read[:, 1] > 0.3, read[:, 0], -read[:, 2]) + 0.1 * rng.normal(size=500)
    model = HistGradientBoostingRegressor(max_iter=7, max_depth=4, early_stopping=False).fit(read, wanted)
    feature, threshold, value, mean = perfect_trees(model, 7, 4)
    found = np.full(500, mean[0])
    for tree in range(7):
        node = np.zeros(500, int)
        for _ in range(4):
            node = 2 * node + 1 + (read[np.arange(500), feature[15 * tree + node]] > threshold[15 * tree + node])
        found += value[16 * tree + node - 15]
    np.testing.assert_allclose(found, model.predict(read), rtol=1e-9)


def test_what_they_read_is_in_units_of_the_context_before_it():
    """The rows of a training are those of a forecast: the lags of the differences, over their mean size."""
    y = weekly(1)[0]
    read, wanted = training_rows(task_of([y]), M, SETTINGS.context_length)
    longest, raw = SETTINGS.context_length - M, y[M:] - y[:-M]
    scale = np.abs(raw[-1 - longest : -1]).mean()
    np.testing.assert_allclose(wanted[-1], raw[-1] / scale)
    np.testing.assert_allclose(read[-1], raw[-1 - lags_of(M, longest)] / scale)


def test_missing_rows_are_no_targets_and_read_as_no_change():
    y = weekly(1)[0]
    y[150] = NAN
    read, wanted = training_rows(task_of([y]), M, SETTINGS.context_length)
    whole, _ = training_rows(task_of(weekly(1)), M, SETTINGS.context_length)
    assert np.isfinite(read).all() and np.isfinite(wanted).all() and len(read) == len(whole) - 2
    assert (read[:, 0] == 0.0).sum() == 2 and (whole[:, 0] == 0.0).sum() == 0  # of the rows after 150 and after 157


def test_rows_after_the_end_change_nothing():
    series = weekly()
    ends = 200 * np.arange(1, 13) - 40
    changed = [np.where(np.arange(200) < 160, y, 1e6) for y in series]
    members = [TreeMember(SETTINGS) for _ in range(2)]
    for member, rows in zip(members, (series, changed), strict=True):
        fit_trees(member, task_of(rows, ends), 0)
    for one, other in zip(members[0].weights, members[1].weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_they_forecast_a_week_that_goes_on(fitted):
    t = np.arange(300)
    y = 20.0 + np.array([0, 2, 1, 3, 5, 9, 8.0])[t % M]
    made = np.asarray(fitted.forecast([y[None, : SETTINGS.context_length]]))[0, :, 0]
    np.testing.assert_allclose(made, y[SETTINGS.context_length :][:HORIZON], atol=1e-9)


def test_forecasts_scale_with_the_data_and_stay_exact_at_large_levels(fitted):
    usual = np.asarray(fitted.forecast([contexts()]))
    np.testing.assert_allclose(np.asarray(fitted.forecast([contexts() * 1e6])), usual * 1e6, rtol=1e-9)
    moved = np.asarray(fitted.forecast([np.round(contexts()) + 1e12]))
    np.testing.assert_allclose(moved - 1e12, np.asarray(fitted.forecast([np.round(contexts())])), atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("shares", [(0.0, 0.0, 0.4), (0.0, 0.3, 0.4), (0.2, 0.4, 0.4)])
def test_in_an_ensemble_they_move_the_quantiles_and_the_networks_say_how_far_apart_they_are(fitted, shares):
    plain = replace(SETTINGS, cell="gru", layers=1, segment=1, share=0.0)
    trees = TreeMember(replace(SETTINGS, share=shares[2]))
    trees.weights = fitted.weights
    networks = [Network(replace(plain, share=share), seed) for seed, share in enumerate(shares[:2])]
    alone = [Network(replace(plain, share=share / 0.6), seed) for seed, share in enumerate(shares[:2])]
    context = {"context": contexts()}
    made, without, own = (np.asarray(joint_forecast(some, context)) for some in ([*networks, trees], alone, [trees]))
    np.testing.assert_allclose(made[:, :, 0], 0.6 * without[:, :, 0] + 0.4 * own[:, :, 0], rtol=1e-6)
    np.testing.assert_allclose(made[:, :, 1:] - made[:, :, :1], without[:, :, 1:] - without[:, :, :1], atol=1e-4)


def test_a_fit_is_that_of_trees_where_the_settings_say_so(monkeypatch):
    asked = []
    monkeypatch.setattr("forecaster.training.fit.fit_trees", lambda *given: asked.append(given) or fit_trees(*given))
    kept = []
    control = FitControl(Recorder(), "test", checkpoint=kept.append)
    fit(TreeMember(SETTINGS), task_of(weekly()), fit_settings(epochs=1, seed=3), control)
    assert asked[0][2] == 3 and kept[0].finished


def test_of_many_series_some_are_read(monkeypatch):
    monkeypatch.setattr(module, "MAX_ROWS", 200)
    monkeypatch.setattr(module, "MIN_SERIES_ROWS", 50)
    read, _ = training_rows(task_of(weekly(12)), M, SETTINGS.context_length)
    assert len(read) == 4 * 50


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_they_are_in_both_stored_graphs(fitted, tmp_path: Path):
    network = Network(network_settings(horizon=HORIZON, season_length=M, quantiles=(0.1, 0.5, 0.9)), seed=1)
    fitted.settings = replace(SETTINGS, share=0.6)
    members = [network, fitted]
    context = contexts()
    context[0, :30], context[1, 50:53] = NAN, NAN
    write_saved_model(members, tmp_path / "saved_model")
    write_onnx(members, tmp_path / "model.onnx")
    verify_graphs(tmp_path, members, {"context": context})
    # The names that tf2onnx gives come from counters, which go on from the first graph.
    write_onnx(members, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == (tmp_path / "model.onnx").read_bytes()


@pytest.mark.parametrize(
    ("series", "rows", "options", "expected"),
    [
        (12, 450, {}, (M, M + 8 * M)),
        (12, 800, {}, (M, M + 365)),
        (9, 450, {}, (0, 0)),
        (12, 390, {}, (0, 0)),
        (12, 450, {"units": 20}, (0, 0)),
        (12, 450, {"members": 1}, (0, 0)),
        (12, 450, {"loss": "mse"}, (0, 0)),
        (12, 450, {"preset": "fast"}, (0, 0)),
    ],
)
def test_long_series_of_a_panel_may_have_trees(series, rows, options, expected):
    panel = panel_of(*waves(series, rows), season_length=M)
    settings = TrainSettings(**{"horizon": 7, **options})
    assert draft_plan(panel, settings).questions.trees == expected


def test_lags_reach_back_to_the_longer_season_where_there_are_two():
    assert longest_lag(24, 400) == 169 and longest_lag(24, 300) == 192 and longest_lag(5, 1000) == 40
    assert {1, 24, 48, 167, 168, 169} <= set(lags_of(24, 169)) == set(lags_of(168, 169))
    assert (difference(24, 672), difference(24, 671), difference(7, 5000)) == (168, 24, 7)
    assert lags_of(7, 56)[-1] == 56
