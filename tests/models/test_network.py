"""The whole network: sizes by formula, settings that count, and honest answers to awkward windows."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.data.covariate_encodings import Encoding
from forecaster.models.cells import CELLS
from forecaster.models.heads import HEADS
from forecaster.models.network import Network
from forecaster.models.scaling import TRANSFORMS
from forecaster.models.seasonal_profile import Profile
from forecaster.models.settings import NetworkSettings
from tests.support.factories import NAN, network_settings

STACKS = [(1, False), (2, False), (2, True)]  # layers, residual


def dense(inputs, units):
    return inputs * units + units


def parameters_by_formula(s):
    """Every layer of a network, counted by hand."""
    cell, width = CELLS[s.cell], s.units * (2 if s.bidirectional else 1)
    total = dense(2 * s.segment, s.units) if s.segment > 1 else 0
    inputs = s.units if s.segment > 1 else 2
    for _ in range(s.layers):
        total += (width // s.units) * cell.parameters(inputs, s.units, s.reset_after)
        inputs = width
    if s.head == "direct":
        return total + dense(width, s.units) + dense(s.units, s.horizon * s.outputs)
    if s.head == "seq2seq":
        positions = -(-s.horizon // s.segment)
        bridges = cell.states * dense(width, s.units) if s.bidirectional else 0
        decoder = dense(positions, s.units) + cell.parameters(s.units, s.units, s.reset_after) + bridges
        return total + decoder + dense(s.units, s.segment * s.outputs)
    if s.head == "encoder-decoder":
        read = s.segment + s.units
        decoder = (
            dense(width, s.units)
            + cell.states * dense(s.units, s.units)
            + cell.parameters(read, s.units, s.reset_after)
        )
        return total + decoder + dense(s.units + read, s.segment * s.outputs)
    return total + dense(width, s.segment * s.outputs)


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize(("layers", "residual"), STACKS)
def test_every_network_has_its_shape_and_its_parameters(cell, bidirectional, head, layers, residual):
    shape = network_settings(
        cell=cell, bidirectional=bidirectional, head=head, layers=layers, residual=residual, quantiles=(0.1, 0.9)
    )
    net = Network(shape, seed=1)
    assert net.model.output_shape == (None, 3, 3)  # [B, H, K]
    assert net.parameters == parameters_by_formula(shape)


@pytest.mark.slow
@pytest.mark.parametrize(("segment", "horizon"), [(1, 1), (1, 5), (4, 3), (4, 4), (4, 9), (8, 2)])
@pytest.mark.parametrize("head", HEADS)
def test_any_horizon_goes_with_any_segment(segment, horizon, head):
    net = Network(network_settings(segment=segment, horizon=horizon, head=head), seed=1)
    answer = np.asarray(net.model([np.arange(16.0).reshape(2, 8)]))
    assert answer.shape == (2, horizon, 1)
    assert answer.dtype == np.float64
    assert np.isfinite(answer).all()


OTHER = {
    "cell": "lstm",
    "units": 5,
    "layers": 2,
    "bidirectional": True,
    "dropout": 0.5,
    "residual": True,
    "reset_after": False,
    "context_length": 6,
    "horizon": 4,
    "segment": 1,
    "head": "recursive",
    "transform": "log",
    "center": "last",
    "input_initializer": "he",
    "recurrent_initializer": "glorot",
    "quantiles": (0.5,),
    "season_length": 3,
    "linear": True,
    "known": 2,
    "lags": 1,
    "covariates": (Encoding("price", "past"),),
    "origin": -5.0,
    "distribution": "student-t",
    "attention": True,
    "recurrent_dropout": 0.5,
    "forget_bias": 3.0,
    "network": "tests.support.networks:sequential",
    "level": True,
    "recent": 4,
    "profile": Profile(4, seasons=3),
    "fills_gaps": True,
    "special_days": True,
}


# What joins it with others is held in test_export.py; the weights that it starts from, in test_member_networks.py.
JOINING = ("combine", "point_level", "pretrained", "tuned", "share")


@pytest.mark.slow
@pytest.mark.parametrize("name", [field.name for field in fields(NetworkSettings) if field.name not in JOINING])
def test_each_network_setting_changes_the_network(name):
    """Its shapes, its first weights, or what it answers while training."""
    center = "season" if name == "season_length" else "mean"
    known = 2 if name == "lags" else 0
    base = network_settings(cell="gru", layers=2 if name == "residual" else 1, center=center, known=known)
    base = replace(base, transform="log" if name == "origin" else base.transform)
    base = replace(base, head="encoder-decoder" if name == "attention" else base.head)
    base = replace(base, cell="lstm" if name == "forget_bias" else base.cell)
    kept, changed = Network(base, seed=1), Network(replace(base, **{name: OTHER[name]}), seed=1)
    shapes = [[w.shape for w in net.weights] for net in (kept, changed)]
    if shapes[0] != shapes[1]:
        return
    if any(not np.array_equal(a, b) for a, b in zip(kept.weights, changed.weights, strict=True)):
        return
    if kept.settings.rows != changed.settings.rows or name == "special_days":
        assert kept.model.input_shape != changed.model.input_shape
        return
    context = np.random.default_rng(0).uniform(1, 9, (4, 8))
    context[0, 6] = np.nan
    a, b = (np.asarray(net.model([context], training=True)) for net in (kept, changed))
    assert a.shape != b.shape or not np.allclose(a, b)


def test_the_seed_decides_every_first_weight():
    a, again, b = (Network(network_settings(cell="lstm", head="seq2seq"), seed) for seed in (1, 1, 2))
    for first, same, other in zip(a.weights, again.weights, b.weights, strict=True):
        np.testing.assert_array_equal(first, same)
        assert not first.any() or first.ndim == 1 or not np.array_equal(first, other)


def test_a_portable_clone_answers_alike():
    net = Network(network_settings(cell="lstm", bidirectional=True, head="seq2seq", quantiles=(0.5,)), seed=1)
    context = np.random.default_rng(0).normal(size=(4, 8))
    np.testing.assert_array_equal(net.portable().model([context]), net.model([context]))


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_quantiles_ascend_whatever_the_weights(head, transform):
    net = Network(network_settings(head=head, transform=transform, quantiles=(0.1, 0.25, 0.5, 0.9)), seed=1)
    rng = np.random.default_rng(0)
    net.weights = [rng.normal(scale=2, size=w.shape) for w in net.weights]
    quantile_forecasts = np.asarray(net.model([rng.uniform(0, 9, (20, 8))]))[:, :, 1:]
    assert (np.diff(quantile_forecasts, axis=2) >= 0).all()
    assert (np.diff(quantile_forecasts, axis=2) > 0).any()


@pytest.fixture(scope="module")
def plain():
    return {
        center: Network(network_settings(cell="gru", center=center, quantiles=(0.5,)), seed=1).model
        for center in ("mean", "last")
    }


CONTEXTS = st.lists(st.floats(-1000, 1000).map(lambda x: round(x, 2)), min_size=8, max_size=8)


def spread(values):
    return max(values) - min(values)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(
    CONTEXTS.filter(lambda v: spread(v) > 1),
    st.floats(1e-3, 1e3),
    st.floats(-1e4, 1e4),
    st.sampled_from(["mean", "last"]),
)
def test_forecasts_scale_and_shift_with_the_data(plain, values, factor, offset, center):
    context = np.array([values, [factor * v for v in values], [v + offset for v in values]])
    base, scaled, shifted = np.asarray(plain[center]([context]))
    room = 1e-3 * spread(values)
    np.testing.assert_allclose(scaled / factor, base, atol=room)
    np.testing.assert_allclose(shifted - offset, base, atol=room)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(CONTEXTS, st.lists(st.booleans(), min_size=8, max_size=8))
def test_any_window_with_any_values_missing_is_answered(plain, values, missing):
    context = np.where(missing, NAN, values)[None]
    answer = np.asarray(plain["mean"]([context]))
    assert np.isfinite(answer).all()


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("center", ["mean", "last"])
def test_awkward_windows_are_answered(head, transform, center):
    net = Network(network_settings(head=head, transform=transform, center=center, quantiles=(0.5,)), seed=1)
    constant, single, empty = np.full(8, 7.1), np.full(8, NAN), np.full(8, NAN)
    single[3] = 7.1
    answers = np.asarray(net.model([np.stack([constant, single, empty])]))
    np.testing.assert_allclose(answers[:2], 7.1, rtol=1e-12)
    assert np.isfinite(answers[2]).all()


def test_levels_of_1e9_that_move_by_1_survive():
    net = Network(network_settings(cell="gru"), seed=1)
    small = np.random.default_rng(0).integers(0, 5, (6, 8)).astype(float)
    near, far = (np.asarray(net.model([context])) for context in (small, small + 1e9))
    np.testing.assert_allclose(far - 1e9, near, atol=1e-4)
    assert near.std() > 0.01


def test_log_forecasts_are_never_below_zero():
    net = Network(network_settings(transform="log", quantiles=(0.1, 0.9)), seed=1)
    rng = np.random.default_rng(0)
    net.weights = [rng.normal(scale=5, size=w.shape) for w in net.weights]
    answer = np.asarray(net.model([rng.uniform(0, 3, (50, 8))]))
    assert (answer >= 0).all()
    assert (answer == 0).any()
    assert np.isfinite(answer).all()


@pytest.mark.parametrize("rows", [2, 3, 5])
def test_rows_of_a_batch_do_not_see_each_other(rows):
    """Not even where there are as many as steps or outputs: Keras' `add` then takes [B, 1, 1] for a bias."""
    net = Network(network_settings(cell="lstm", head="seq2seq", horizon=3, quantiles=(0.5,)), seed=1)
    context = np.random.default_rng(0).normal(size=(rows, 8)) + 100.0 * np.arange(rows)[:, None]
    together = np.asarray(net.model([context]))
    alone = np.concatenate([np.asarray(net.model([row[None]])) for row in context])
    np.testing.assert_allclose(together, alone, rtol=1e-5)


@pytest.mark.slow
def test_a_network_that_reads_the_level_sees_a_shift_and_one_that_does_not_only_moves():
    context = np.random.default_rng(0).normal(0.0, 1.0, (5, 8))

    def moved(level):
        net = Network(network_settings(level=level, units=8), seed=1)
        net.weights = [np.random.default_rng(i).normal(size=w.shape) * 0.3 for i, w in enumerate(net.weights)]
        return np.asarray(net.model(context + 100.0)) - 100.0 - np.asarray(net.model(context))

    np.testing.assert_allclose(moved(False), 0.0, atol=1e-4)
    assert np.abs(moved(True)).max() > 1e-2


@pytest.mark.slow
def test_the_recent_rows_are_read_beside_the_state():
    plain, recent = (Network(network_settings(recent=count), seed=1) for count in (0, 4))
    assert recent.parameters - plain.parameters == 2 * 4 * plain.settings.units
