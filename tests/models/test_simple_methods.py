"""The simple methods of the graph are the baselines, to the last bit, with gaps and at any level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.models.baselines import drift, naive, seasonal_naive
from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING, Smoothing
from forecaster.models.served_method import served_method
from forecaster.models.simple_methods import DRIFT, NAIVE, SEASONAL_NAIVE, SIMPLE_METHODS, simple_forecast
from tests.support.factories import network_settings

BASELINES = {NAIVE: naive, SEASONAL_NAIVE: seasonal_naive, DRIFT: drift}


def smoothing(method, **changes):
    values = {"season_length": 4, "length": 12, "horizon": 6, "log": False, "weight": 1.0, "method": method}
    return Smoothing(**{**values, **changes})


def contexts(level):
    rng = np.random.default_rng(0)
    values = level + level * 1e-9 * rng.normal(size=(5, 12)) + rng.normal(size=(5, 12))
    values[1, 3:7] = values[2, :9] = values[3, 8:] = np.nan
    values[4, :] = np.nan
    values[4, 5] = level
    return values


@pytest.mark.parametrize("level", [0.0, 7.5, 8e9, 1e12, 1e15])
@pytest.mark.parametrize("method", [NAIVE, SEASONAL_NAIVE, DRIFT])
def test_a_method_in_the_graph_is_the_baseline(method, level):
    context = contexts(level)
    made = np.asarray(simple_forecast(context, smoothing(method)))
    expected = BASELINES[method](context, 6, 4)
    if method == DRIFT:  # a slope is computed
        np.testing.assert_allclose(made, expected, rtol=1e-15, atol=1e-12)
    else:
        np.testing.assert_array_equal(made, expected)


def test_it_reads_the_latest_rows_of_a_longer_context():
    context = contexts(5.0)
    longer = np.concatenate([np.full((5, 9), 99.0), context], axis=1)
    for method in SIMPLE_METHODS:
        made = simple_forecast(longer, smoothing(method))
        np.testing.assert_array_equal(np.asarray(made), np.asarray(simple_forecast(context, smoothing(method))))


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1.0, 1e160])
def test_smoothing_scales_with_its_values_however_small_or_large(scale):
    context = contexts(7.5)
    unit = np.asarray(simple_forecast(context, smoothing(EXPONENTIAL_SMOOTHING)))
    made = np.asarray(simple_forecast(context * scale, smoothing(EXPONENTIAL_SMOOTHING)))
    np.testing.assert_allclose(made, unit * scale, rtol=1e-5)


@pytest.mark.parametrize(
    ("cells", "method", "weight", "words"),
    [
        (["gru", "gru", "lstm", "gru"], NAIVE, 0.0, "gru ×3, lstm"),
        (["gru"] * 4, EXPONENTIAL_SMOOTHING, 0.6, "40 % gru ×4; 60 % exponential smoothing"),
        (["gru"], EXPONENTIAL_SMOOTHING, 0.15, "85 % gru; 15 % exponential smoothing"),
        (["lstm", "gru"], NAIVE, 1.0, "naive"),
    ],
)
def test_what_is_served_in_words(cells, method, weight, words):
    members = [network_settings(cell=cell) for cell in cells]
    assert served_method(members, smoothing(method, weight=weight)) == words
    assert served_method(members, None) == ", ".join(
        {1: cell}.get(cells.count(cell), f"{cell} ×{cells.count(cell)}") for cell in dict.fromkeys(cells)
    )


def test_members_with_a_share_are_named_with_it():
    own = [network_settings(cell="gru"), network_settings(cell="lstm")]
    more = [network_settings(cell="gru", pretrained=12, share=0.3)]
    more.append(replace(more[0], tuned=True, share=0.2))
    assert served_method([*own, *more], None) == "50 % gru, lstm; 30 % pretrained gru; 20 % fine-tuned gru"
    half = smoothing(NAIVE, weight=0.5)
    assert served_method([*own, *more], half) == "25 % gru, lstm; 15 % pretrained gru; 10 % fine-tuned gru; 50 % naive"
    assert served_method(more[:1], None) == "pretrained gru"
    nearly_all = smoothing(NAIVE, weight=0.9999)
    assert served_method(more[:1], nearly_all) == "naive"  # not "0.01 % pretrained gru; 100 % naive"
