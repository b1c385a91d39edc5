"""Ranges that must not teach are read as missing, and gaps are listed as they are in the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.data.row_options import RowOptions
from forecaster.data.summary import summarise
from forecaster.errors import UsageError


def frame(index):
    return pd.DataFrame({"timestamp": index, "value": np.arange(len(index)) + 1.0})


def read(table, *ranges):
    return read_as(table, replace(ReadOptions.of(), rows=RowOptions(ignore=ranges)))


@pytest.mark.parametrize(
    ("index", "ranges", "expected"),
    [
        (pd.date_range("2020-01-01", periods=60), ("2020-01-05..2020-01-07",), [4, 5, 6]),
        (pd.date_range("2020-01-01", periods=60), ("2020-02-28..2020-03", "2020-01-01"), [0, 58, 59]),
        (pd.date_range("2020-01-01", periods=24, freq="MS"), ("2020-03..2020-05",), [2, 3, 4]),
        (pd.date_range("2019-01-01", periods=24, freq="MS"), ("2020",), list(range(12, 24))),
        (pd.date_range("2020-01-01", periods=48, freq="h"), ("2020-01-01 06:00..2020-01-01 08:00",), [6, 7, 8]),
        (pd.date_range("2020-01-01", periods=48, freq="h", tz="Europe/Berlin"), ("2020-01-02",), list(range(24, 48))),
        (range(1, 31), ("3..5", "30"), [2, 3, 4, 29]),
    ],
)
def test_targets_in_a_range_are_missing_and_no_others(index, ranges, expected):
    panel = read(frame(index), *ranges)
    assert np.flatnonzero(np.isnan(panel.target)).tolist() == expected
    assert panel.rows.ignore == ranges and any("ignored" in note for note in panel.notes)


@pytest.mark.parametrize("text", ["yesterday", "2020-13..2020-14", "2020-05..2020-03", "..", "2020-1-1"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(UsageError, match="--ignore"):
        read(frame(pd.date_range("2020-01-01", periods=60)), text)


def test_gaps_are_listed_with_series_ends_and_rows():
    index = pd.date_range("2024-01-01", periods=30)
    table = pd.concat(
        [frame(index.delete([3, 10, 11, 12])).assign(series="a"), frame(index.delete(20)).assign(series="b")]
    )
    found = summarise(read_panel(table))
    gaps = [(gap.series, gap.first, gap.last, gap.rows) for gap in found.gap_runs]
    assert gaps == [
        ("a", "2024-01-04", "2024-01-04", 1), ("a", "2024-01-11", "2024-01-13", 3), ("b", "2024-01-21", "2024-01-21", 1),
    ]  # fmt: skip
    assert found.facts()["gaps"].startswith("5: 3 from 2024-01-11 to 2024-01-13 (series 'a')")
