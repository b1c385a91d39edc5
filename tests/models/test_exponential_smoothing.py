"""Exponential smoothing: linear smoothers against a slow loop, and in the stored graphs."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from forecaster.models.exponential_smoothing import (
    LEVELS,
    SEASONS,
    TRENDS,
    Smoothing,
    _responses,
    smooth,
    smoothing_length,
)
from forecaster.models.export import joint_forecast, write_onnx, write_saved_model
from forecaster.models.network import Network
from forecaster.serving.verify_export import verify_graphs
from tests.support.factories import network_settings

SEASON = np.array([3.0, -1.0, -2.0, 0.0])


def seasonal(rows: int = 24, slope: float = 0.5) -> np.ndarray:
    t = np.arange(rows)
    return 20.0 + slope * t + SEASON[t % 4]


def by_loops(y: np.ndarray, m: int, horizon: int) -> np.ndarray:
    """[H] the average of all models, each run row by row as its equations say."""
    length, first = len(y), m if m > 1 else 3
    scale = np.sqrt(np.mean((y - y.mean()) ** 2))
    z = (y - y.mean()) / scale
    criteria, forecasts = [], []
    for alpha, (beta, phi), gamma in product(LEVELS, TRENDS, (0.0, *SEASONS) if m > 1 and length >= 2 * m else (0.0,)):
        level, slope = z[:first].mean(), 0.0
        season = [z[j] - level if gamma else 0.0 for j in range(m)]
        errors = []
        for t, value in enumerate(z):
            error = value - (level + phi * slope + season[t % m])
            level, slope = level + phi * slope + alpha * error, phi * slope + alpha * beta * error
            season[t % m] += gamma * (1 - alpha) * error
            errors.append(error)
        n, k = length - first, 2 + 2 * (beta > 0) + m * (gamma > 0)
        mse = np.mean(np.square(errors[first:]))
        criteria.append(n * np.log(mse + 1e-6) + n * 2 * k / max(n - k - 1, 0.5))
        damped = np.cumsum(phi ** np.arange(1, horizon + 1)) if phi else np.zeros(horizon)
        forecasts.append([level + damped[h] * slope + season[(length + h) % m] for h in range(horizon)])
    weights = np.exp(-0.5 * (np.array(criteria) - min(criteria)))
    return np.asarray(weights / weights.sum() @ np.array(forecasts) * scale + y.mean())


@pytest.mark.parametrize(("m", "length", "horizon"), [(1, 10, 3), (4, 24, 8), (4, 8, 3), (12, 120, 18), (7, 21, 1)])
def test_the_convolutions_are_the_loops_that_they_stand_for(m: int, length: int, horizon: int) -> None:
    t = np.arange(length)
    y = 100 + 0.7 * t + 9 * np.sin(2 * np.pi * t / max(m, 2)) + np.random.default_rng(0).normal(size=length)
    found = np.asarray(smooth(y[None], Smoothing(m, length, horizon, log=False, weight=1.0)))[0]
    np.testing.assert_allclose(found, by_loops(y, m, horizon), rtol=1e-5)


def test_what_a_graph_has_to_keep_is_small() -> None:
    kept = [part for part in vars(_responses(12, 120, 12)).values() if isinstance(part, np.ndarray)]
    # The matrices of the whole grid would have 2 million numbers, which every graph would store twice.
    assert sum(part.size for part in kept) < 130_000


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
    verify_graphs(tmp_path, members, {"context": context}, smoothing=smoothing)
    blended, without = (
        np.asarray(joint_forecast(members, {"context": context}, smoothing=f)) for f in (smoothing, None)
    )
    moved = 0.7 * without[:, :, 0] + 0.3 * np.asarray(smooth(context, smoothing))
    np.testing.assert_allclose(blended[:, :, 0], moved)
    np.testing.assert_allclose(np.diff(blended[:, :, 1:], axis=2), np.diff(without[:, :, 1:], axis=2), atol=1e-9)
