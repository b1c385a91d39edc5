"""The Theta method: the graph against loops, what it reads and goes on with, and the stored graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.export import write_onnx, write_saved_model
from forecaster.models.network import Network
from forecaster.models.theta import MIN_ROWS, ONE_SEASON, RATES, SLOPES, THETA, theta, theta_lengths
from forecaster.serving.verify_export import verify_graphs
from tests.support.factories import NAN, network_settings


def method(m: int, length: int, horizon: int, *, log: bool = False) -> Smoothing:
    return Smoothing(m, length, horizon, log=log, weight=1.0, method=THETA)


def made(context: np.ndarray, m: int, horizon: int, *, log: bool = False) -> np.ndarray:
    return np.asarray(theta(context, method(m, context.shape[1], horizon, log=log)))


def without_season(y: np.ndarray, horizon: int) -> np.ndarray:
    """[H] the average of all models, each run row by row as its equations say; `y` without missing values."""
    scale = np.sqrt(np.mean((y - y.mean()) ** 2))
    z = (y - y.mean()) / scale
    slopes = [0.0, *(np.polyfit(np.arange(t), z[:t], 1)[0] for t in range(2, len(z) + 1))]
    likelihoods, forecasts = [], []
    for rate in RATES:
        for share in SLOPES:
            level, errors = z[0], []
            for t, value in enumerate(z, start=1):
                if t > MIN_ROWS:
                    errors.append(value - (level + share * slopes[t - 2] * (1 - (1 - rate) ** (t - 1)) / rate))
                level += rate * (value - level)
            likelihoods.append(-0.5 * len(errors) * np.log(np.mean(np.square(errors)) + 1e-6))
            lag = (1 - (1 - rate) ** len(z)) / rate
            forecasts.append([level + share * slopes[-1] * (h + lag) for h in range(horizon)])
    weights = np.exp(np.array(likelihoods) - max(likelihoods))
    return np.asarray(weights / weights.sum() @ np.array(forecasts) * scale + y.mean())


def season_of(y: np.ndarray, m: int) -> np.ndarray:
    """[m] the multiplicative season of a classical decomposition, shrunk; `y` positive, whole seasons."""
    kernel = np.ones(m) / m if m % 2 else np.array([0.5, *np.ones(m - 1), 0.5]) / m
    side = m // 2
    ratio = y[side : len(y) - side] / np.convolve(y, kernel, "valid")
    places = [ratio[(np.arange(side, len(y) - side) % m) == place] for place in range(m)]
    index = np.array([values.mean() for values in places]) - 1
    spare = sum(len(values) - 1 for values in places)
    chance = sum(((values - values.mean()) ** 2).sum() for values in places) / max(spare, 1)
    chance *= np.mean([1 / len(values) for values in places])
    index -= index.mean()
    share = 1 - chance / (np.sum(index**2) / (m - 1)) if spare else ONE_SEASON
    return np.asarray(1 + index * max(share, 0.0))


@pytest.mark.parametrize(("length", "horizon"), [(10, 3), (30, 6), (120, 1)])
def test_the_graph_is_the_loops_that_it_stands_for(length: int, horizon: int) -> None:
    y = 100 + 0.7 * np.arange(length) + np.random.default_rng(0).normal(size=length).cumsum()
    np.testing.assert_allclose(made(y[None], 1, horizon)[0], without_season(y, horizon), rtol=1e-5)


@pytest.mark.parametrize(("m", "length"), [(4, 8), (4, 40), (12, 120), (7, 21)])
def test_a_season_is_taken_out_and_put_back(m: int, length: int) -> None:
    t, rng = np.arange(length), np.random.default_rng(1)
    y = (100 + t) * (1 + 0.2 * np.sin(2 * np.pi * t / m)) * np.exp(rng.normal(0, 0.05, length))
    index = season_of(y, m)
    expected = without_season(y / np.tile(index, length // m), m + 2) * np.tile(index, 2)[: m + 2]
    np.testing.assert_allclose(made(y[None], m, m + 2)[0], expected, rtol=1e-5)


def test_a_season_of_data_that_is_not_positive_is_added() -> None:
    t = np.arange(48)
    y = np.array([3.0, -1.0, -2.0, 0.0])[t % 4]
    np.testing.assert_allclose(made(y[None], 4, 8)[0], y[:8], atol=0.05)


def test_white_noise_has_no_season() -> None:
    """On average over 50 series the forecasts differ by less than a tenth of the noise over a season."""
    noise = 100 + np.random.default_rng(2).normal(size=(50, 96))
    spread = made(noise, 12, 12).std(axis=1)
    assert spread.mean() < 0.2 and np.median(spread) < 0.1


def test_a_line_goes_on_and_a_constant_stays() -> None:
    line = 50.0 + 3.0 * np.arange(40)
    np.testing.assert_allclose(made(line[None], 1, 5)[0], 50 + 3.0 * np.arange(40, 45), rtol=0.01)
    np.testing.assert_array_equal(made(np.full((1, 40), 7.0), 4, 5), np.full((1, 5), 7.0))


def test_rows_that_are_missing_before_the_first_change_nothing() -> None:
    y = 20 + np.random.default_rng(3).normal(size=24).cumsum()
    padded = np.concatenate([np.full(16, NAN), y])
    np.testing.assert_allclose(made(padded[None], 1, 4), made(y[None], 1, 4), rtol=1e-5)


def test_a_gap_is_filled_with_the_next_value_and_its_row_is_not_counted() -> None:
    y = 20.0 + np.arange(24.0)
    y[[5, 6, 23]] = NAN
    found = made(y[None], 1, 3)[0]
    assert np.isfinite(found).all() and 42 < found[0] < 45
    nothing = made(np.full((1, 12), NAN), 4, 3)
    np.testing.assert_array_equal(nothing, np.zeros((1, 3)))


@pytest.mark.slow
@settings(max_examples=15)
@given(st.floats(-12, 12), st.integers(0, 99))
def test_it_scales_with_the_data(power: float, seed: int) -> None:
    y = 100 + np.random.default_rng(seed).normal(size=(1, 24)).cumsum(axis=1)
    np.testing.assert_allclose(made(y * 10.0**power, 4, 5), made(y, 4, 5) * 10.0**power, rtol=1e-4)


def test_data_that_is_never_negative_is_not_forecast_below_zero() -> None:
    falling = np.linspace(40, 1, 40)[None]
    assert made(falling, 1, 12).min() < 0 and made(falling, 1, 12, log=True).min() == 0.0


@pytest.mark.parametrize(
    ("m", "rows", "lengths"),
    [(1, 5, [10]), (1, 35, [35]), (12, 68, [60]), (12, 300, [120, 300]), (7, 900, [119, 399]), (365, 3000, [])],
)
def test_lengths_are_whole_seasons(m: int, rows: int, lengths: list[int]) -> None:
    assert theta_lengths(m, rows) == lengths


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("m", [1, 4, 7])
def test_it_is_in_both_stored_graphs(m: int, tmp_path: Path) -> None:
    settings = network_settings(horizon=6, season_length=m)
    members, length = [Network(settings, seed=1)], 28
    context = 100 * np.exp(np.random.default_rng(0).normal(0, 0.2, (8, length)))
    context[0, :10], context[1, 3:5] = NAN, NAN
    smoothing = Smoothing(m, length, 6, log=False, weight=0.4, method=THETA)
    write_saved_model(members, tmp_path / "saved_model", smoothing)
    write_onnx(members, tmp_path / "model.onnx", smoothing)
    verify_graphs(tmp_path, members, {"context": context}, smoothing=smoothing)
