"""What graphs read in addition to the context: the same for training and prediction, and nothing from the future."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from forecaster.data.covariate_encodings import encode, fit_encodings
from forecaster.data.extra_inputs import ExtraInputs, Needs
from forecaster.data.panel import Covariate
from forecaster.data.windows import Windows, latest_windows
from forecaster.training.gather import RowGatherer, SeriesBounds
from tests.support.factories import NAN, panel_of, waves

LENGTH, HORIZON = 8, 3


def with_covariates(panel, seed=0, ahead=6):
    """A known number and category, a past number and a static category."""
    rng = np.random.default_rng(seed)
    rows, count = len(panel.target), len(panel.series)
    price = rng.normal(5, 2, rows)
    price[::7] = NAN
    return replace(
        panel,
        covariates=(
            Covariate("price", "known", price, None, rng.normal(5, 2, (count, ahead))),
            Covariate("sky", "known", rng.integers(0, 3, rows) * 1.0, ("a", "b", "c"), np.ones((count, ahead))),
            Covariate("left", "past", rng.normal(size=rows)),
            Covariate("kind", "static", np.arange(count) % 2 * 1.0, ("x", "y")),
        ),
    )


@pytest.fixture
def panel():
    return with_covariates(panel_of(*waves(3, 20)))


@pytest.fixture
def needs(panel):
    return Needs(LENGTH, HORIZON, (), fit_encodings(panel, panel.offsets[1:]))


def some_windows(panel):
    start, end = panel.offsets[:-1], panel.offsets[1:]
    return Windows(panel.target, start, end, np.array([0, 1, 2, 2]), np.array([4, 30, 45, 57]))


def test_training_gathers_what_prediction_gathers(panel, needs):
    windows = some_windows(panel)
    rows = RowGatherer(windows.target, None, encode(panel, needs.covariates))
    bounds = SeriesBounds(windows.start, windows.end)
    found = rows.gather_extra(bounds, tf.constant(windows.series), tf.constant(windows.cutoff), LENGTH, HORIZON)
    expected = ExtraInputs(panel, windows, needs)()
    assert list(expected) == ["known", "past", "static"]
    assert list(found) == list(expected)
    for name, values in found.items():
        np.testing.assert_array_equal(values, expected[name][:, 0])


def test_later_blocks_read_what_is_known_and_nothing_else(panel, needs):
    found = ExtraInputs(panel, latest_windows(panel), needs, blocks=2)()
    ahead = panel.covariates[0].ahead
    np.testing.assert_array_equal(found["known"][:, :, :, 0].reshape(3, -1), ahead)
    np.testing.assert_array_equal(found["past"][:, 1, -HORIZON:, 0], ahead[:, :HORIZON])
    assert np.isnan(found["past"][:, 1, -HORIZON:, 2]).all()
    np.testing.assert_array_equal(found["past"][:, 1, :-HORIZON], found["past"][:, 0, HORIZON:])


def test_past_columns_and_targets_after_the_cutoff_are_never_read(panel, needs):
    """Known columns may be read over the horizon, and no further."""
    windows = some_windows(panel).take(np.array([1]))
    cutoff = int(windows.cutoff[0])
    before = ExtraInputs(panel, windows, needs)()
    price, sky, left, kind = panel.covariates
    changed = [replace(one, values=one.values.copy()) for one in (price, sky, left)]
    changed[0].values[cutoff + HORIZON :] = 99.0
    changed[1].values[cutoff + HORIZON :] = 0.0
    changed[2].values[cutoff:] = 99.0
    target = panel.target.copy()
    target[cutoff:] = -1.0
    after = ExtraInputs(replace(panel, target=target, covariates=(*changed, kind)), windows, needs)()
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])
    changed[0].values[cutoff] = 99.0
    moved = ExtraInputs(replace(panel, covariates=(*changed, kind)), windows, needs)()
    assert not np.array_equal(moved["known"], before["known"])
