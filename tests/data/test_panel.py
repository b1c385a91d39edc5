"""What a panel says of itself."""

from __future__ import annotations

import numpy as np

from tests.tiny import NAN, panel_of


def test_observed_values_are_counted_by_series_and_between_rows() -> None:
    panel = panel_of([1, NAN, 3], [NAN, NAN], [2, 2, NAN, 2])
    assert panel.observed_counts.tolist() == [2, 0, 3]
    last_two = np.maximum(panel.offsets[:-1], panel.offsets[1:] - 2)
    assert panel.observed_between(last_two, panel.offsets[1:]).tolist() == [1, 0, 1]


def test_lowest_and_highest_are_those_of_observed_values() -> None:
    panel = panel_of([1, NAN, 3], [NAN, NAN], [5])
    np.testing.assert_array_equal(panel.lowest, [1, NAN, 5])
    np.testing.assert_array_equal(panel.highest, [3, NAN, 5])


def test_a_series_is_constant_where_several_values_are_equal() -> None:
    panel = panel_of([2, NAN, 2], [2, 3], [4], [NAN, NAN])
    assert panel.constant_series.tolist() == [True, False, False, False]


def test_rows_and_last_timestamps_belong_to_their_series() -> None:
    panel = panel_of([1, 2, 3], [4, 5])
    assert panel.row_series.tolist() == [0, 0, 0, 1, 1]
    assert panel.last_timestamps.tolist() == panel.timestamps[[2, 4]].tolist()
