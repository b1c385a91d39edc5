"""Windows: index pairs that never leave their series nor look past their end, gathered alike everywhere."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.data.calendar import CALENDAR, LAGS, known_ahead, known_rows
from forecaster.data.reading.reader import read_panel
from forecaster.data.windows import Windows, latest_windows, rolling, sampler
from forecaster.training.gather import RowGatherer, SeriesBounds
from tests.support.factories import NAN, frame_of, panel_of, waves

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=5)


def numbered(lengths):
    """A panel whose values show their series and place: series n holds 100 n, 100 n + 1, …"""
    return panel_of(*([100.0 * n + t for t in range(length)] for n, length in enumerate(lengths)))


def slow_gather(panel, end, series, cutoff, before, after):
    """One value at a time."""
    found = np.full((len(series), before + after), NAN)
    for w, (n, at) in enumerate(zip(series, cutoff, strict=True)):
        for i, row in enumerate(range(at - before, at + after)):
            if panel.offsets[n] <= row < end[n]:
                found[w, i] = panel.target[row]
    return found


@st.composite
def cases(draw):
    lengths = draw(LENGTHS)
    panel = numbered(lengths)
    target = panel.target.copy()
    target[draw(st.lists(st.integers(0, len(target) - 1), max_size=4))] = NAN
    end = panel.offsets[1:] - np.array([draw(st.integers(0, length)) for length in lengths])
    series = draw(st.lists(st.integers(0, len(lengths) - 1), max_size=6))
    cutoff = [int(panel.offsets[n]) + draw(st.integers(0, lengths[n])) for n in series]
    pairs = np.array(series, np.int64), np.array(cutoff, np.int64)
    return replace(panel, target=target), end, *pairs, draw(st.integers(0, 15)), draw(st.integers(0, 15))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_gathering_in_numpy_in_the_graph_and_by_hand_agree(case):
    import tensorflow as tf

    panel, end, series, cutoff, before, after = case
    windows = Windows(panel.target, panel.offsets[:-1], end, series, cutoff)
    expected = slow_gather(panel, end, series, cutoff, before, after)
    np.testing.assert_array_equal(windows.gather(before, after), expected)
    bounds = SeriesBounds(tf.constant(windows.start), tf.constant(windows.end))
    in_graph = RowGatherer(windows.target).gather(bounds, tf.constant(series), tf.constant(cutoff), before, after)
    np.testing.assert_array_equal(in_graph, expected)


@pytest.mark.parametrize("names", [("weekday",), ("weekday", "year"), (*CALENDAR, *LAGS)])
def test_what_is_known_is_gathered_alike_in_numpy_and_in_the_graph(names):
    import tensorflow as tf

    panel = read_panel(frame_of(a=np.arange(800.0), b=np.arange(900.0)))
    series, cutoff = np.array([0, 0, 1, 1]), np.array([400, 790, 1300, 1690])
    windows = Windows(panel.target, panel.offsets[:-1], panel.offsets[1:], series, cutoff)
    expected = known_ahead(panel, windows, 7, names)[:, 0]
    rows = RowGatherer(windows.target, known_rows(panel, 7, names))
    bounds = SeriesBounds(windows.start, windows.end)
    series, cutoff = tf.constant(series), tf.constant(cutoff)
    found = rows.gather_known(bounds, series, cutoff, 7)["known"]
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
    values, compiled = rows.compiled(bounds, series, cutoff, 30, 7, 7)
    np.testing.assert_array_equal(compiled["known"], found)
    np.testing.assert_array_equal(values, windows.gather(30, 7))


def test_rows_are_read_within_the_bounds_that_are_given():
    import tensorflow as tf

    panel = numbered([6, 9])
    first = (tf.constant([0], tf.int64), tf.constant([3], tf.int64))
    start, end = panel.offsets[:-1], panel.offsets[1:]
    rows = RowGatherer(panel.target)
    assert np.isnan(rows.compiled(SeriesBounds(start, end - 3), *first, 0, 3, 3)[0]).all()
    np.testing.assert_array_equal(rows.compiled(SeriesBounds(start, end), *first, 0, 3, 3)[0][0], panel.target[3:6])


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(1, 8), st.integers(1, 6), st.integers(1, 4))
def test_windows_never_cross_series(lengths, before, horizon, count):
    panel = numbered(lengths)
    drawn = sampler(panel.offsets[:-1], panel.offsets[1:], before, horizon)
    pairs = drawn.epoch(len(drawn), np.random.default_rng(0)) if len(drawn) else (np.empty(0, np.int64),) * 2
    trained = Windows(panel.target, panel.offsets[:-1], panel.offsets[1:], *pairs)
    for windows in (trained, latest_windows(panel), rolling(panel, panel.offsets[1:], horizon, count, horizon)):
        values = windows.gather(before, horizon)
        owner = np.where(np.isnan(values), windows.series[:, None], values // 100)
        np.testing.assert_array_equal(owner, np.broadcast_to(windows.series[:, None], values.shape))


def test_windows_never_see_past_their_end():
    panel = numbered([10, 10])
    end = np.array([6, 17])
    windows = Windows(panel.target, panel.offsets[:-1], end, np.array([0, 1]), np.array([5, 16]))
    assert np.nanmax(windows.gather(8, 8), axis=1).tolist() == [5, 106]
    changed = panel.target.copy()
    changed[6:10] = changed[17:] = -1
    np.testing.assert_array_equal(replace(windows, target=changed).gather(8, 8), windows.gather(8, 8))


def test_a_series_shorter_than_the_context_is_padded_with_missing():
    (context,) = latest_windows(panel_of([1, 2, 3])).gather(5, 0)
    np.testing.assert_array_equal(context, [NAN, NAN, 1, 2, 3])


def test_the_latest_windows_end_with_the_last_row_of_each_series():
    assert latest_windows(numbered([4, 2, 7])).gather(2, 0).tolist() == [[2, 3], [100, 101], [205, 206]]


def test_rolling_windows_step_back_from_the_end_oldest_first():
    panel = numbered([12])
    windows = rolling(panel, panel.offsets[1:], horizon=2, count=3, stride=2)
    assert windows.gather(0, 2).tolist() == [[6, 7], [8, 9], [10, 11]]


def test_rolling_windows_keep_a_horizon_of_context():
    panel = numbered([6, 5, 3])
    windows = rolling(panel, panel.offsets[1:], horizon=2, count=2, stride=2)
    assert list(zip(windows.series.tolist(), (windows.cutoff - panel.offsets[windows.series]).tolist(), strict=True)) == [
        (0, 2), (0, 4), (1, 3)
    ]  # fmt: skip


def test_windows_share_the_panels_values():
    panel = numbered([50, 50])
    windows = latest_windows(panel)
    for other in (windows, windows.take(np.array([1])), *windows.batches(1)):
        assert np.shares_memory(other.target, panel.target)


def test_batches_are_all_windows_in_order():
    windows = latest_windows(numbered([3, 4, 5, 6, 7]))
    sizes = [len(batch) for batch in windows.batches(2)]
    assert sizes == [2, 2, 1]
    assert np.concatenate([batch.series for batch in windows.batches(2)]).tolist() == [0, 1, 2, 3, 4]


def test_memory_follows_rows_and_not_rows_times_context():
    rows, context = 100_000, 1000  # 0.8 MB of rows; all windows at once would take 800 MB
    panel = numbered([rows])
    every = np.arange(rows)
    tracemalloc.start()
    windows = Windows(panel.target, panel.offsets[:-1], panel.offsets[1:], np.zeros(rows, np.int64), every)
    for _, batch in zip(range(3), windows.batches(32), strict=False):
        batch.gather(context, 10)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6


def every_cutoff(drawn):
    return {(int(n), c) for n, first, last in zip(drawn.series, drawn.first, drawn.last, strict=True)
            for c in range(first, last + 1)}  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(LENGTHS, st.integers(1, 8), st.integers(1, 6), st.integers(0, 9))
def test_a_full_pass_covers_each_window_exactly_once(lengths, context, horizon, seed):
    panel = numbered(lengths)
    drawn = sampler(panel.offsets[:-1], panel.offsets[1:], context, horizon)
    if not len(drawn):
        return
    series, cutoff = drawn.epoch(len(drawn), np.random.default_rng(seed))
    pairs = list(zip(series.tolist(), cutoff.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) == len(drawn)
    assert set(pairs) == every_cutoff(drawn)


def test_more_than_a_pass_goes_round_again():
    panel = numbered([10])
    drawn = sampler(panel.offsets[:-1], panel.offsets[1:], 4, 2)
    _, cutoff = drawn.epoch(2 * len(drawn) + 1, np.random.default_rng(0))
    assert sorted(set(Counter(cutoff.tolist()).values())) == [2, 3]


def test_draws_are_even_over_series_of_any_length():
    panel = numbered([400, 20, 20])
    drawn = sampler(panel.offsets[:-1], panel.offsets[1:], 4, 2)
    series, cutoff = drawn.epoch(90, np.random.default_rng(0))
    assert Counter(series.tolist()) == {0: 30, 1: 30, 2: 30}
    assert (cutoff >= panel.offsets[series]).all() and (cutoff < panel.offsets[series + 1]).all()


def test_draws_follow_the_generator_that_is_passed():
    panel = numbered([400, 20])
    drawn = sampler(panel.offsets[:-1], panel.offsets[1:], 4, 2)
    first, again, other = (drawn.epoch(20, np.random.default_rng(seed))[1].tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize(
    ("rows", "horizon", "expected"),
    [
        (20, 3, (3, 19)),  # from a horizon of context on, to the last row
        (20, 12, (8, 19)),  # or from a whole context
        (20, 1, (3, 19)),  # three rows at least
        (3, 3, (2, 2)),  # fewer rows give one window
        (2, 3, (1, 1)),
    ],
)
def test_windows_begin_where_there_is_context_and_end_with_the_last_row(rows, horizon, expected):
    drawn = sampler(np.array([5]), np.array([5 + rows]), context_length=8, horizon=horizon)
    assert (int(drawn.first[0]) - 5, int(drawn.last[0]) - 5) == expected


def test_a_series_of_one_row_gives_no_window_and_hinders_no_other():
    panel = panel_of([1.0], *waves(1, 12))
    drawn = sampler(panel.offsets[:-1], panel.offsets[1:], 4, 2)
    assert drawn.series.tolist() == [1]


def test_first_cutoffs_are_the_oldest_ones_of_each_series_and_else_the_default() -> None:
    panel = numbered([8, 3, 8])
    windows = rolling(panel, panel.offsets[1:], horizon=2, count=2, stride=1)
    assert windows.first_cutoffs(panel.offsets[1:]).tolist() == [5, 11, 16]
