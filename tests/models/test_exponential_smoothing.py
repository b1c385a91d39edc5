"""Exponential smoothing: linear smoothers against a slow loop, and in the stored graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecaster.models.exponential_smoothing import Smoothing, _matrices, smooth, smoothing_length
from forecaster.models.export import joint_forecast, write_onnx, write_saved_model
from forecaster.models.network import Network
from forecaster.serving.verify_export import prove
from tests.support.factories import network_settings

SEASON = np.array([3.0, -1.0, -2.0, 0.0])


def seasonal(rows: int = 24, slope: float = 0.5) -> np.ndarray:
    t = np.arange(rows)
    return 20.0 + slope * t + SEASON[t % 4]


def test_a_smoother_in_matrices_is_the_loop_it_stands_for() -> None:
    errors, ahead, _ = _matrices(1, 10, 3)
    x = np.random.default_rng(0).normal(size=10)
    level = x[:3].mean()  # the first model: α = 0.05, no trend, no season
    misses = []
    for value in x:
        misses.append(value - level)
        level += 0.05 * misses[-1]
    np.testing.assert_allclose((x @ errors)[:7], misses[3:])
    np.testing.assert_allclose((x @ ahead)[:3], [level] * 3)


def test_a_season_and_a_trend_go_on() -> None:
    smoothing = Smoothing(4, 24, 8, log=False, weight=1.0)
    found = np.asarray(smooth(seasonal()[None], smoothing))[0]
    np.testing.assert_allclose(found, seasonal(32)[24:], atol=1.0)


@pytest.mark.parametrize("log", [False, True])
def test_smoothing_scales_with_the_data_and_a_constant_stays_constant(log: bool) -> None:
    smoothing = Smoothing(4, 24, 8, log=False, weight=1.0)
    once, often = (np.asarray(smooth(scale * seasonal()[None], smoothing)) for scale in (1.0, 1000.0))
    np.testing.assert_allclose(often, 1000.0 * once, rtol=1e-4)
    same = np.asarray(smooth(np.full((1, 24), 7.0), replace(smoothing, log=log)))
    np.testing.assert_allclose(same, 7.0)


@pytest.mark.parametrize("log", [False, True])
def test_missing_values_and_padding_give_finite_forecasts(log: bool) -> None:
    context = np.stack([seasonal(), seasonal(), np.full(24, np.nan)])
    context[0, :15] = np.nan
    context[1, [3, 9, 22, 23]] = np.nan
    assert np.isfinite(np.asarray(smooth(context, Smoothing(4, 24, 8, log, 1.0)))).all()


def test_its_length_is_whole_seasons_and_none_where_the_season_is_too_long() -> None:
    assert smoothing_length(12, 72) == 72
    assert smoothing_length(4, 30) == 28
    assert smoothing_length(7, 9) == 14
    assert smoothing_length(96, 5000) == 0


@pytest.mark.slow
@pytest.mark.parametrize("log", [False, True])
def test_saved_model_and_onnx_hold_smoothing_too(tmp_path: Path, log: bool) -> None:
    settings = network_settings(context_length=12, horizon=8, segment=4)
    smoothing = Smoothing(4, 24, 8, log, weight=0.3)
    members = [Network(settings, seed=1, portable=True), Network(settings, seed=2, portable=True)]
    context = np.stack([seasonal(), seasonal(slope=-0.3), np.r_[np.full(14, np.nan), seasonal(10)]])
    write_saved_model(members, tmp_path / "saved_model", smoothing)
    write_onnx(members, tmp_path / "model.onnx", smoothing)
    prove(tmp_path, members, {"context": context}, smoothing=smoothing)
    blended, without = (np.asarray(joint_forecast(members, [context], smoothing=f)) for f in (smoothing, None))
    moved = 0.7 * without[:, :, 0] + 0.3 * np.asarray(smooth(context, smoothing))
    np.testing.assert_allclose(blended[:, :, 0], moved)
    np.testing.assert_allclose(np.diff(blended[:, :, 1:], axis=2), np.diff(without[:, :, 1:], axis=2), atol=1e-9)
