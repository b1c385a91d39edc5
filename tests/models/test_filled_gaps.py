"""Gaps filled before a network reads them: the same in arrays and in graphs."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.models.filled_gaps import without_gaps


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(("m", "length"), [(1, 9), (4, 40), (7, 50), (24, 96)])
def test_a_graph_fills_what_arrays_do(m, length):
    from keras import ops

    rng = np.random.default_rng(m)
    context = 5.0 * np.sin(2 * np.pi * np.arange(length) / m) + rng.normal(size=(30, length)).cumsum(axis=1)
    context[rng.random(context.shape) < 0.3] = context[0] = context[1, : length // 2] = np.nan
    expected = without_gaps(context, m)
    assert np.isnan(expected[0]).all() and np.isnan(expected[1, : length // 2]).all()
    assert not np.isnan(expected[2:, length // 2]).any()
    np.testing.assert_allclose(np.asarray(without_gaps(ops.convert_to_tensor(context), m, ops)), expected, atol=1e-9)
