"""Figures of a panel do not depend on how many of its rows are looked at together."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from forecaster.data import series_blocks as module
from forecaster.data.calendar import known_rows, usable
from forecaster.data.panel import fingerprint
from forecaster.data.reading.find_faults import find_faults
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.seasonal_scale import seasonal_scale, seasonal_square_scale
from forecaster.data.series_blocks import rows_before, series_blocks
from forecaster.data.summary import level_and_scale, summarise


@pytest.mark.parametrize(
    ("offsets", "series"),
    [([0, 4, 8, 12], [2, 1]), ([0, 9, 10, 20], [1, 1, 1]), ([0, 3], [1]), ([0, 0, 8, 8], [3]), ([0], [])],
)
def test_blocks_are_whole_series_of_as_many_rows_as_fit(monkeypatch, offsets, series):
    monkeypatch.setattr(module, "ROWS", 8)
    blocks = list(series_blocks(np.array(offsets)))
    assert [some.stop - some.start for some, _ in blocks] == series
    assert [(rows.start, rows.stop) for _, rows in blocks] == [(offsets[s.start], offsets[s.stop]) for s, _ in blocks]


def frame_of(freq, zone=None, lengths=(40, 40, 33, 40, 61), start="2023-01-02"):
    """Series with leading zeros, missing values, one constant, and one that begins later."""
    rng, parts = np.random.default_rng(0), []
    for n, rows in enumerate(lengths):
        stamps = pd.date_range(start, periods=rows + n, freq=freq, tz=zone)[n:]
        values = 5.0 + rng.integers(0, 9, rows)
        if n == 1:
            values[:12] = 0.0
        if n == 2:
            values[5:7] = np.nan
        if n == 3:
            values[:] = 4.0
        parts.append(pd.DataFrame({"series": f"s{n}", "timestamp": stamps, "target": values}))
    whole = pd.concat(parts, ignore_index=True)
    return whole.drop(index=[20, 21, 90])


@pytest.mark.parametrize(
    "frame",
    [
        frame_of("D", lengths=(900, 40, 33, 40, 61)),
        frame_of("B"),
        frame_of("MS"),
        frame_of("h", "Europe/Berlin", start="2023-03-24"),
        frame_of("7min"),
    ],
)
def test_figures_are_those_of_all_rows_at_once(monkeypatch, frame):
    def figures():
        checked = find_faults(frame, ReadOptions.of())
        panel = checked.panel
        assert panel is not None
        known = known_rows(panel, 3, usable(panel))
        scales = [
            f(panel.target, panel.offsets, panel.offsets[1:] - 3, 7) for f in (seasonal_scale, seasonal_square_scale)
        ]
        middle = int(np.median(panel.timestamps))
        figures = [level_and_scale(panel), level_and_scale(panel, middle), panel.observed_counts.tolist()]
        rows = [] if known is None else [part.tolist() for part in (known.table, known.back, known.row)]
        return fingerprint(panel), panel.notes, asdict(summarise(panel)), figures, [s.tolist() for s in scales], rows

    expected = figures()
    monkeypatch.setattr(module, "ROWS", 50)
    assert repr(figures()) == repr(expected)


def test_rows_before_the_end_of_their_series():
    offsets, ends = np.array([0, 3, 5, 9]), np.array([1, 5, 7])
    assert rows_before(ends, offsets, slice(0, 1)).tolist() == [True, False, False]
    assert rows_before(ends, offsets, slice(1, 3)).tolist() == [True, True, True, True, False, False]
