"""Exports that could be read without a fault, but wrong: each is refused or warned of."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.data.reading.odd_series import code_warning, ended_with_zeros, far_warning, sum_warning, total_warning
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.errors import DataError
from tests.support.factories import NAN, panel_of

DAYS = [dt.date(2023, 1, 1) + dt.timedelta(i) for i in range(120)]


def write(path, head, lines):
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def turned(day, i):
    return f"{day:%m/%d/%Y},{i}" if day.day <= 12 else f"{day:%d/%m/%Y},{i}"


def test_dates_that_a_spreadsheet_has_turned_around_are_refused(tmp_path):
    path = write(tmp_path / "x.csv", "date,y", [turned(day, i) for i, day in enumerate(DAYS)])
    with pytest.raises(DataError, match=r"x.csv:3: timestamp '01/02/2023' and 43 more are in order only month first"):
        read_panel(path)
    with pytest.raises(DataError, match="turned day and month"):  # nor as a model's data had it
        read_as(path, replace(ReadOptions.of(), likely_format="day-first"))
    assert read_panel(path, timestamp_format="day-first").gaps > 200  # as it says


@pytest.mark.parametrize("pattern", ["%d/%m/%Y", "%m/%d/%Y"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_dates_of_one_order_are_read_however_they_are_sorted(tmp_path, pattern, shuffled):
    lines = [f"{day.strftime(pattern)},{i}" for i, day in enumerate(DAYS)]
    if shuffled:
        random.Random(0).shuffle(lines)
    panel = read_panel(write(tmp_path / "x.csv", "date,y", lines))
    np.testing.assert_array_equal(panel.target, np.arange(120.0))
    likely = "day-first" if pattern[1] == "d" else "month-first"
    again = read_as(tmp_path / "x.csv", replace(ReadOptions.of(), likely_format=likely))
    np.testing.assert_array_equal(again.timestamps, panel.timestamps)


def test_dates_of_which_some_are_iso_are_refused(tmp_path):
    lines = [f"{day:%Y-%d-%m},{i}" if day.day <= 12 else f"{day:%d/%m/%Y},{i}" for i, day in enumerate(DAYS)]
    with pytest.raises(DataError, match=r"x.csv:14: timestamp '13/01/2023' .* another way than '2023-01-01'"):
        read_panel(write(tmp_path / "x.csv", "date,y", lines))


def test_points_that_may_separate_thousands_are_asked_about(tmp_path):
    path = write(tmp_path / "x.csv", "date;y", [f"{day};{950 + i:,}".replace(",", ".") for i, day in enumerate(DAYS)])
    with pytest.raises(DataError, match=r"number '1.000' \(column y\) may have decimals or thousands"):
        read_panel(path)


CELLS = [["0.125", "3", "1.250"], ["1.25", "3", "1.250"], ["1.125", "2.250", "3.375"], ["1.125", "2000", "1.5"]]


@pytest.mark.parametrize("cells", CELLS)
def test_other_points_are_decimal(tmp_path, cells):
    path = write(tmp_path / "x.csv", "date;y", [f"{day};{cell}" for day, cell in zip(DAYS, cells, strict=False)])
    assert read_panel(path).target.tolist() == [float(cell) for cell in cells]


def test_a_column_of_percent_beside_another_asks_for_the_target(tmp_path):
    path = write(
        tmp_path / "x.csv", "date,sales,margin", [f"{day},{100 + i % 7},{i % 5}%" for i, day in enumerate(DAYS)]
    )
    with pytest.raises(DataError, match=r"sales, margin look unlike each other .'margin' has %."):
        read_panel(path)


SOLD = 50.0 + np.arange(60) % 7


@pytest.mark.parametrize(
    ("rows", "warned"),
    [
        (np.r_[SOLD, 52e6, SOLD], True),
        (np.r_[SOLD, -52e6, NAN, SOLD], True),
        (np.r_[SOLD, 520.0, SOLD], False),
        (np.exp(np.arange(60) / 2.0), False),  # growth
        (np.r_[SOLD, SOLD * 1e6], False),  # another unit from then on
        (np.r_[np.zeros(60), 5.0, np.zeros(60)], False),
        (np.array([1.0, 2.0, 1e9]), False),
        (np.full(60, NAN), False),
        (np.r_[SOLD * 1e-310, 1e300, SOLD * 1e-310], True),
        (np.tile([1e308, -1e308], 30), False),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_value_that_is_far_from_all_others_is_warned_of(rows, warned):
    assert bool(far_warning(panel_of(SOLD, rows))) == warned


def named(panel, *names):
    return replace(panel, series=np.array(names, dtype=object))


@pytest.mark.parametrize("name", ["Total", "Grand Total", "TOTAL:", "Summe", "Gesamt", "Total général"])
def test_a_total_below_a_long_table_is_warned_of(name):
    panel = panel_of(np.arange(40.0), np.arange(40.0), [780.0])
    assert f"series '{name}' has 1 row, others 40" in total_warning(named(panel, "a", "b", name))
    assert not total_warning(named(panel, "a", "b", "c"))
    whole = panel_of(np.arange(40.0), np.arange(40.0))
    assert not total_warning(named(whole, "a", name))  # a series as long as others


NORTH, SOUTH, WEST = np.random.default_rng(0).poisson(20.0, (3, 60)).astype(float)
ALL = NORTH + SOUTH + WEST


def test_a_total_among_series_is_warned_of():
    late = np.r_[np.full(20, NAN), SOUTH[20:]]
    for parts, total in (
        ([NORTH, SOUTH, WEST], ALL),
        ([NORTH, late, WEST], NORTH + np.nan_to_num(late) + WEST),
        ([-NORTH, -SOUTH, -WEST], -ALL),
        ([NORTH / 3, SOUTH / 3, WEST / 3], np.round(ALL / 3, 2)),  # rounded
        ([NORTH, SOUTH, WEST], np.r_[ALL[:59], ALL[59] + 7.0]),  # corrected later
    ):
        panel = named(panel_of(*parts, total), "north", "south", "west", "all")
        assert sum_warning(panel).startswith("series 'all' is the sum of the other 3 at "), total


@pytest.mark.parametrize(
    "series",
    [
        [NORTH, SOUTH, WEST],
        [NORTH, SOUTH, WEST, ALL + NORTH % 5],  # a count of its own
        [NORTH, SOUTH, WEST, 3.0 * WEST],
        [NORTH, NORTH],  # twice the same
        [NORTH, SOUTH, WEST, ALL, ALL / 2.0],
        [np.zeros(60), np.zeros(60), np.zeros(60)],
        [NORTH[:9], SOUTH[:9], (NORTH + SOUTH)[:9]],  # few rows
        [np.full(60, NAN), NORTH, NORTH],
        [np.tile([1e308, -1e308], 30)] * 3,
    ],
)
@pytest.mark.filterwarnings("error")
def test_other_series_are_no_totals(series):
    assert not sum_warning(panel_of(*series))


@pytest.mark.parametrize(
    ("series", "warned"),
    [
        ([np.r_[SOLD, np.zeros(14)]], True),
        ([np.r_[SOLD, np.zeros(14)], np.r_[SOLD, np.zeros(14)], np.zeros(74)], True),
        ([np.r_[SOLD, np.zeros(14)], np.r_[SOLD, SOLD[:14]]], False),  # one that is no longer sold
        ([np.r_[SOLD, np.zeros(14)], np.r_[SOLD[:50], np.zeros(24)]], False),
        ([np.r_[SOLD, np.zeros(5)]], True),  # a feed that is broken
        ([np.r_[SOLD, np.zeros(3)]], False),
        ([np.r_[SOLD, 0.0, 0.0, SOLD, np.zeros(5)]], True),
        ([np.r_[np.tile(np.r_[SOLD[:25], 0.0, 0.0], 4), np.zeros(3)]], False),  # days that are closed now and then
        ([np.r_[np.tile([5.0, 0.0, 3.0], 20), np.zeros(14)]], False),  # zeros are usual
        ([np.r_[SOLD, np.full(14, NAN)]], False),
        ([np.zeros(60)], False),
    ],
)
def test_zeros_for_rows_to_come_are_warned_of(series, warned):
    assert bool(ended_with_zeros(panel_of(*series), 7)) == warned


@pytest.mark.parametrize(
    ("code", "count", "warned"),
    [(-999.0, 3, True), (9999.0, 2, True), (-999.0, 1, False), (-998.0, 3, False), (99.0, 3, False)],
)
def test_codes_for_missing_values_are_warned_of(code, count, warned):
    rows = SOLD.copy()
    rows[5 : 5 + count] = code
    assert bool(code_warning(panel_of(SOLD, rows))) == warned
    assert not code_warning(panel_of(rows + 5000.0 * (np.arange(60) % 2)))  # values vary as much


@pytest.mark.parametrize(("zeros", "warned"), [(1, False), (2, True), (4, True)])
def test_two_months_of_zeros_are_enough_where_nothing_is_near_zero(zeros, warned):
    values = np.r_[SOLD, np.zeros(zeros)]
    frame = pd.DataFrame({"date": pd.date_range("2018-01-01", periods=len(values), freq="MS"), "v": values})
    assert any("of every series are 0" in one for one in read_panel(frame).warnings) == warned
