"""Special days in a graph: out of the context, onto the forecast, alike in arrays, in Keras and in both stored graphs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.export import input_shapes, joint_forecast
from forecaster.models.network import Network
from forecaster.models.seasonal_profile import Profile, season_of
from forecaster.models.special_days import LEAST_FACTOR, DaysAround, as_ordinary
from forecaster.serving.runtime import OnnxRuntime, TensorflowRuntime
from tests.models.test_export import contexts, write
from tests.support.factories import network_settings

LEVELS = (0.1, 0.9)


def effects(rows, length, horizon, seed=3):
    """[B, length + horizon, 2]: windows with factors and windows with summands, most of their days ordinary."""
    rng = np.random.default_rng(seed)
    special = rng.uniform(size=(rows, length + horizon)) < 0.2
    share = np.arange(rows)[:, None] % 2 == 0
    factor = np.where(special & share, rng.uniform(0.0, 2.0, special.shape), 1.0)
    return np.stack([factor, np.where(special & ~share, rng.normal(0.0, 20.0, special.shape), 0.0)], axis=-1)


def test_what_is_closed_on_a_day_is_taken_out_as_the_least_share():
    np.testing.assert_array_equal(
        as_ordinary(np.array([3.0, 0.0, 8.0]), np.array([0.0, 0.0, 0.5]), 0.0), [3.0 / LEAST_FACTOR, 0.0, 16.0]
    )


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize("profile", [None, Profile(6, seasons=3, smooth=1)])
@pytest.mark.parametrize("count", [1, 3, 5])  # as many windows as steps, too
def test_a_network_forecasts_ordinary_days_and_puts_the_special_ones_back(profile, count):
    plain = Network(network_settings(cell="gru", quantiles=LEVELS), seed=1)
    network = Network(replace(plain.settings, profile=profile, special_days=True), seed=1)
    length, rows, horizon = plain.settings.context_length, network.settings.rows, plain.settings.horizon
    values, around = contexts(6, rows)[:count], effects(count, rows, horizon)
    days = DaysAround(around, rows)
    ordinary = days.taken_out(values)
    season = season_of(ordinary, profile) if profile else None
    read = season.taken_out(ordinary, length) if season else ordinary
    expected = np.asarray(plain.forecast([read]))
    expected = days.put_back(season.put_back(expected) if season else expected)
    earlier = np.ones((count, 4, 2))  # a joint graph may read further back
    named = {
        "context": np.concatenate([np.full((count, 4), 7.0), values], axis=1),
        "days": np.concatenate([earlier, around], axis=1),
    }
    np.testing.assert_allclose(np.asarray(network.forecast(network.own(named))), expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_both_stored_graphs_forecast_as_the_networks_do(tmp_path):
    members = (
        Network(network_settings(cell="lstm", known=2, quantiles=LEVELS), seed=1),
        Network(
            network_settings(cell="gru", quantiles=LEVELS, special_days=True, profile=Profile(6, seasons=3)), seed=2
        ),
    )
    horizon = members[0].settings.horizon
    smoothing = Smoothing(1, 8, horizon, False, 0.2)
    shapes = input_shapes(members, smoothing)
    assert shapes == {"context": (18,), "known": (horizon, 2), "days": (18 + horizon, 2)}
    values, around = contexts(6, 18), effects(6, 18, horizon)
    known = np.random.default_rng(5).uniform(size=(6, horizon, 2))
    expected = np.asarray(
        joint_forecast(members, {"context": values, "known": known, "days": around}, smoothing=smoothing)
    )
    folder = write(members, tmp_path, smoothing)
    for stored in (OnnxRuntime(folder / "model.onnx"), TensorflowRuntime(folder / "saved_model")):
        np.testing.assert_allclose(stored.run(values, {"known": known, "days": around}), expected, rtol=1e-5)
    ordinary = {"known": known, "days": effects(6, 18, horizon) * 0.0 + [1.0, 0.0]}
    assert np.abs(stored.run(values, ordinary) - expected).max() > 0.1
