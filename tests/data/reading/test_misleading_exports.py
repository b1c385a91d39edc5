"""Exports that could be read without a fault, but wrong: each is refused or warned of."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.data.reading.odd_series import code_warning, ended_with_zeros, far_warning, part_warning, total_warning
from forecaster.data.reading.reader import ReadOptions, read_as, read_panel
from forecaster.errors import DataError
from tests.data.reading.test_office_forms import MONTHS
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


@pytest.mark.parametrize("names", [f"{MONTHS[language]} Total" for language in ("German", "French, short")])
def test_years_by_months_are_warned_of_with_a_total_and_in_other_languages_too(tmp_path, names):
    rows = [f"{year}," + ",".join(str(year % 100 + k) for k in range(13)) for year in range(2010, 2020)]
    panel = read_panel(write(tmp_path / "x.csv", "year," + names.replace(" ", ","), rows))
    assert any("the columns are months" in warning for warning in panel.warnings)


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


@pytest.mark.parametrize(
    ("series", "warned"),
    [
        ([np.r_[SOLD, np.zeros(14)]], True),
        ([np.r_[SOLD, np.zeros(14)], np.r_[SOLD, np.zeros(14)], np.zeros(74)], True),
        ([np.r_[SOLD, np.zeros(14)], np.r_[SOLD, SOLD[:14]]], False),  # one that is no longer sold
        ([np.r_[SOLD, np.zeros(14)], np.r_[SOLD[:50], np.zeros(24)]], False),
        ([np.r_[SOLD, np.zeros(5)]], False),
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


def parts(names, column="interval", periods=20):
    stamps = pd.date_range("2024-01-10", periods=periods, freq="D")
    rows = np.random.default_rng(0).normal(100.0, 9.0, len(names) * periods)
    return pd.DataFrame({column: np.repeat(names, periods), "date": np.tile(stamps, len(names)), "y": rows})


def test_series_that_are_numbered_as_hours_are_warned_of():
    hours = [str(hour) for hour in range(1, 25)]
    found = read_panel(parts(hours))
    expected = "numbered 1 to 24: if these are hours of the day, name them: --timestamp 'date,interval'"
    assert any(expected in warning for warning in found.warnings)
    assert not part_warning(read_panel(parts([f"store {hour}" for hour in hours])))
    assert not part_warning(read_panel(parts(hours[:20])))


@pytest.mark.parametrize(
    ("names", "warned"),
    [
        ([f"{hour:02d}:00" for hour in range(24)], "called 00:00 to 23:00"),
        ([f"{hour}:{minute:02d}:00" for hour in range(24) for minute in (0, 30)], "called 0:00:00 to 23:30:00"),
        ([f"{hour * 100}" for hour in range(24)], "called 0 to 2300"),
        ([f"{hour:02d}00" for hour in range(1, 25)], "called 0100 to 2400"),
        ([f"{hour * 100}" for hour in range(10)], ""),  # ten articles
        ([f"{hour:02d}:00" for hour in range(24) if hour != 5], ""),
        ([f"{hour * 100 + 7}" for hour in range(24)], ""),
    ],
)
def test_series_that_are_called_as_times_of_the_day_are_warned_of(names, warned):
    found = part_warning(read_panel(parts(names, "from")))
    assert bool(found) == bool(warned) and warned in found
    assert not warned or "if these are times of the day, name them: --timestamp 'date,from'" in found


def test_hours_as_hundreds_are_hours():
    frame = parts([f"{hour}00" for hour in range(24)], "hhmm").sort_values(["date", "hhmm"])
    panel = read_panel(frame)
    assert panel.freq.name == "h" and len(panel.series) == 1
