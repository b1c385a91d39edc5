"""Pretraining: windows of made series, the loss, states from which it goes on, and the artifact."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from forecaster.pretraining import pool as pools
from forecaster.pretraining.network_shapes import SHAPES
from forecaster.pretraining.pool import BLOCK, WindowPool
from tests.support.factories import NAN

TINY = replace(SHAPES[4], context_length=16, horizon=4, recent=8, units=4, layers=1, later=1, widths=1.0)


@pytest.mark.parametrize("season_length", SHAPES)
def test_a_shape_has_whole_segments(season_length):
    shape = SHAPES[season_length]
    assert shape.season_length == season_length
    assert shape.context_length % shape.segment == shape.recent % shape.segment == 0
    assert shape.shortest < shape.context_length


def test_windows_have_their_span_and_half_of_them_a_short_context():
    windows = WindowPool(TINY, seed=1).windows(4000)
    assert windows.shape == (4000, TINY.span) == (4000, 16 + 4 + 4)
    first = np.isnan(windows[:, 0]).mean()
    assert 0.35 < first < 0.65
    assert not np.isnan(windows[:, 16 - TINY.shortest : 16]).all(axis=1).mean() > 0.05


@pytest.mark.slow
def test_a_pool_is_the_same_for_a_seed_and_goes_on_with_new_series():
    one, other = WindowPool(TINY, seed=1), WindowPool(TINY, seed=1)
    np.testing.assert_array_equal(one.windows(64), other.windows(64))
    before = one.series.copy()
    for _ in range(8):
        one.windows(BLOCK)
    changed = (one.series != before).any(axis=1) & ~np.isnan(before).any(axis=1)
    assert 0.05 < changed.mean() < 0.5


@pytest.mark.slow
def test_a_pool_that_goes_on_has_the_series_of_its_place():
    one = WindowPool(TINY, seed=1)
    for _ in range(8):
        one.windows(BLOCK)
    later = WindowPool(TINY, seed=1, number=one.number)
    np.testing.assert_array_equal(np.sort(one.series, axis=0), np.sort(later.series, axis=0))


@pytest.mark.slow
def test_half_of_the_windows_that_reach_further_back_are_without_the_longer_season(monkeypatch):
    monkeypatch.setattr(
        pools, "draw_series", lambda _rng, count, rows, _season_length: np.zeros((count, rows), np.float32)
    )
    shape = replace(TINY, season_length=24, context_length=48, reach=840 - 48, segment=24, recent=24, horizon=24)
    pool = WindowPool(shape, seed=1)
    hours = np.arange(pool.rows)
    pool.series[:] = (hours % 168 < 48) * 10.0 + np.random.default_rng(0).normal(0.0, 0.1, pool.series.shape)
    windows = pool.windows(400)
    assert windows.shape == (400, shape.span)
    spread = np.nanstd(windows, axis=1)
    less = (spread < 1.0) & ~np.isnan(windows[:, 0])
    assert 0.2 < less.mean() < 0.6 and np.median(spread[less]) < 0.2


@pytest.mark.slow
def test_the_loss_is_that_of_numpy_for_a_network_that_forecasts_its_centre():
    from forecaster.models.network import Network
    from forecaster.pretraining.network_shapes import LEVELS
    from forecaster.pretraining.training_step import Steps

    network = Network(TINY.network(), seed=0)
    network.weights = [np.zeros_like(weight) for weight in network.weights]
    window = np.random.default_rng(0).normal(50.0, 4.0, (5, TINY.span)).astype(np.float32)
    window[0, :6], window[1, 18] = NAN, NAN
    context, center = window[:, :16].astype(float), np.nanmean(window[:, 12:16], axis=1, keepdims=True)
    unit = np.nanmean(np.abs(context[:, 4:] - context[:, :-4]), axis=1, keepdims=True)
    errors = np.stack([(window[:, at : at + 4] - center) / unit for at in (16, 20)])[..., None]
    levels = np.array(LEVELS)
    pinball = np.maximum(levels * errors, (levels - 1.0) * errors).mean(axis=-1)
    expected = np.nanmean(np.abs(errors[..., 0]) + pinball)
    assert float(Steps(network, TINY.later).loss(window)) == pytest.approx(expected, rel=1e-4)


def test_quantiles_are_moved_away_from_the_point_forecast():
    from forecaster.models.network import Network
    from forecaster.pretraining.artifact import widen

    network = Network(TINY.network(), 0)
    context = np.random.default_rng(0).normal(100.0, 10.0, (4, 16))
    before = np.asarray(network.model(context))
    widen(network, 1.5)
    after = np.asarray(network.model(context))
    np.testing.assert_array_equal(after[:, :, 0], before[:, :, 0])
    distance = before[:, :, 1:] - before[:, :, :1]
    np.testing.assert_allclose(after[:, :, 1:] - after[:, :, :1], 1.5 * distance, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.long
def test_pretraining_goes_on_from_its_state_and_its_artifact_answers_as_the_network(tmp_path, monkeypatch):
    monkeypatch.setattr(pools, "BLOCKS", 2)
    from forecaster.pretraining.artifact import write_artifact
    from forecaster.pretraining.train import BATCH, CALL, average, pretrain, progress
    from forecaster.serving.runtime import OnnxRuntime
    from forecaster.training.member_networks import load_network

    call = BATCH * CALL
    pretrain(TINY, tmp_path / "work", windows=call)
    assert progress(tmp_path / "work").windows == call
    trained = pretrain(TINY, tmp_path / "work", windows=3 * call)
    done = progress(tmp_path / "work")
    assert (done.windows, done.steps) == (3 * call, 3 * CALL) and np.isfinite(done.loss)
    write_artifact(TINY, tmp_path / "work", tmp_path / "out", seed=0)
    context = np.random.default_rng(0).normal(1e6, 10.0, (4, 16))
    context[0, :10] = NAN
    expected = np.asarray(trained.model(context))
    np.testing.assert_allclose(np.asarray(load_network(tmp_path / "out").model(context)), expected, rtol=1e-9)
    answered = OnnxRuntime(tmp_path / "out" / "model.onnx").run(context)
    np.testing.assert_allclose(answered[:, :, 0], expected[:, :, 0], rtol=1e-5)  # quantiles are held around the point
    np.testing.assert_array_equal(np.sort(answered[:, :, 1:], axis=2), answered[:, :, 1:])
    card = json.loads((tmp_path / "out" / "card.json").read_text())
    assert card["windows"] == 3 * call and "no row of a real series" in card["data"]
    assert {"model.onnx", "saved_model/saved_model.pb"} <= set(card["files"])
    pretrain(TINY, tmp_path / "other", windows=call)
    mean = write_artifact(TINY, tmp_path / "work", tmp_path / "mean", 0, [tmp_path / "other"])
    states = zip(average(tmp_path / "work"), average(tmp_path / "other"), mean.weights, strict=True)
    assert all(np.allclose(found, (one + other) / 2.0, atol=1e-6) for one, other, found in states)
    assert json.loads((tmp_path / "mean" / "card.json").read_text())["averaged"] == [3 * call, call]
