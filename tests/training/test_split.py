"""Splits are in order of time, and no fit sees validation or test windows."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.data.windows import Windows
from forecaster.errors import DataError
from forecaster.evaluation.holdout import holdout_windows
from forecaster.training.split import Needs, split
from tests.support.factories import NAN, panel_of, waves

HORIZON, CONTEXT = 3, 8
NEEDS = Needs(CONTEXT, HORIZON, calendar=())


def seen_while_fitting(task):
    """Every value that a training window of this task can read."""
    series, cutoff = task.sampler.epoch(len(task.sampler), np.random.default_rng(0))
    return Windows(task.training.target, task.training.start, task.training.end, series, cutoff).gather(
        CONTEXT, HORIZON
    )


def numbered_panel(lengths):
    total = np.cumsum([0, *lengths])
    return panel_of(*(np.arange(a, b, dtype=float) for a, b in pairwise(total)))


def observed(values):
    return set(values[~np.isnan(values)].astype(int).tolist())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=4), st.integers(1, 3))
def test_rows_of_test_and_validation_windows_are_never_fitted_on(lengths, windows):
    panel = numbered_panel(lengths)  # every value is the number of its row
    try:
        parts = split(panel, NEEDS, windows)
    except DataError:
        return
    if parts.test is None:
        return
    tested = observed(parts.test_windows.gather(0, HORIZON))
    fitted = observed(seen_while_fitting(parts.test))
    assert tested and fitted
    assert not fitted & tested
    if parts.selection:
        values = parts.selection.validation.gather(CONTEXT, HORIZON)
        validated = observed(values[:, CONTEXT:])
        tried = observed(seen_while_fitting(parts.selection))
        assert not tried & validated
        assert not tried & tested
        assert not observed(values) & tested


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(12, 60), min_size=1, max_size=4), st.integers(1, 3))
def test_fit_rows_come_before_validation_windows_and_these_before_test_windows(lengths, windows):
    panel = numbered_panel(lengths)
    parts = split(panel, NEEDS, windows)
    for n in range(len(lengths)):
        tested = parts.test_windows.cutoff[parts.test_windows.series == n]
        if not parts.selection or len(tested) < windows:
            continue  # too short for all of them
        valid = parts.selection.validation
        validated = valid.cutoff[valid.series == n]
        assert parts.selection.training.end[n] <= min([*validated, *tested])
        assert parts.test.training.end[n] <= tested.min()
        assert all(cutoff + HORIZON <= tested.min() for cutoff in validated)


def test_the_final_fit_sees_every_row():
    panel = numbered_panel([40, 30])
    final = split(panel, NEEDS, 1).final
    values = seen_while_fitting(final)
    assert observed(values) == set(range(70))
    assert final.validation is None


def test_the_test_windows_are_those_of_holdout_windows():
    panel = panel_of(*waves(3, 40))
    parts, again = split(panel, NEEDS, 2), holdout_windows(panel, HORIZON, 2)
    np.testing.assert_array_equal(parts.test_windows.cutoff, again.cutoff)
    np.testing.assert_array_equal(parts.test_windows.series, again.series)


def test_scales_are_those_of_the_rows_that_are_fitted_on():
    panel = panel_of(*waves(2, 40))
    parts = split(panel, NEEDS, 1)
    changed = panel.target.copy()
    for n in range(2):
        changed[parts.test.training.end[n] : panel.offsets[n + 1]] *= 1000
    again = split(replace(panel, target=changed), NEEDS, 1)
    np.testing.assert_array_equal(parts.test.scale, again.test.scale)
    assert (again.final.scale > parts.final.scale).all()


def test_a_series_without_a_seasonal_scale_takes_the_median_of_the_others():
    a, b, _ = waves(3, 40)
    parts = split(panel_of(a, b, [5.0] * 40), NEEDS, 1)
    scale = parts.test.scale
    assert scale[2] == np.median(scale[:2])
    assert split(panel_of([5.0] * 40), NEEDS, 1).test.scale.tolist() == [1]


def test_series_too_short_for_a_test_window_are_fitted_and_not_tested():
    panel = panel_of(*waves(2, 40), [1.0, 2.0, 3.0])
    parts = split(panel, NEEDS, 1)
    assert set(parts.test_windows.series.tolist()) == {0, 1}
    assert 2 in parts.final.sampler.series


def test_a_panel_too_short_for_a_test_window_is_fitted_and_not_tested():
    parts = split(panel_of([1.0, 2.0, 3.0, 4.0]), NEEDS, 1)
    assert parts.test is None
    assert len(parts.test_windows) == 0
    assert len(parts.final.sampler)


def test_rows_that_nobody_observed_cannot_validate():
    values = np.concatenate([waves(1, 40)[0], [NAN] * 20, waves(1, 3)[0]])
    parts = split(panel_of(values), NEEDS, 1)
    assert parts.selection is None or not np.isnan(parts.selection.validation.gather(0, HORIZON)).all()


def test_a_panel_of_single_rows_is_refused():
    with pytest.raises(DataError, match="the longest series has 1 row") as error:
        split(panel_of([1.0], [2.0]), NEEDS, 1)
    assert "\n" not in error.value.message


def test_of_very_many_series_some_validate_and_all_are_fitted_on_alike(monkeypatch):
    panel = panel_of(*waves(20, 60))
    needs = Needs(8, 3, ())
    whole = split(panel, needs, 1).selection
    monkeypatch.setattr("forecaster.training.split.MAX_VALIDATION_WINDOWS", 10)
    some = split(panel, needs, 1).selection
    assert whole and some and whole.validation and some.validation
    each = len(whole.validation) // 20
    assert len(some.validation) == 10 // each * each > each > 1
    assert len(np.unique(some.validation.series)) == 10 // each
    assert some.validation.series[0] == 0 and some.validation.series[-1] == 19
    np.testing.assert_array_equal(some.training.end, whole.training.end)
    np.testing.assert_array_equal(some.sampler.last, whole.sampler.last)
