"""Properties that a panel derives from its rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecaster.data.panel import fingerprint
from tests.support.factories import NAN, panel_of, waves

PANEL = panel_of(*waves(2, 10))


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


@pytest.mark.parametrize("part", ["target", "timestamps", "series", "offsets"])
def test_every_part_of_the_data_counts_in_the_fingerprint(part: str) -> None:
    changed = getattr(PANEL, part).copy()
    changed[1] = "other" if part == "series" else changed[1] + 1
    assert fingerprint(replace(PANEL, **{part: changed})) != fingerprint(PANEL)


def test_fingerprints_distinguish_a_missing_value_from_one_that_is_there() -> None:
    target = PANEL.target.copy()
    target[3] = NAN
    assert fingerprint(replace(PANEL, target=target)) != fingerprint(PANEL)


def test_fingerprints_stay_those_that_manifests_hold() -> None:
    panel = panel_of([1, NAN, 3], [0.5, -2])
    assert fingerprint(panel) == "dc27251208224738cafd9a8e4168794c07e2fa2aaed812691a37c520f28e8782"
