"""Whole numbers that a 64-bit number does not hold are warned of with their place and with what is read in their stead."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.data.row_options import TextOptions

DATES = pd.date_range("2024-01-01", periods=30).strftime("%Y-%m-%d")
EXACT = 2**53


def warned(source):
    return [one for one in read_panel(source).warnings if "2^53" in one]


def test_a_number_that_loses_digits_is_named_with_its_line(tmp_path):
    cells = [EXACT + 1000 * i + (i in (4, 9)) for i in range(30)]  # odd ones are not held
    path = tmp_path / "x.csv"
    path.write_text("date,y\n" + "".join(f"{date},{cell}\n" for date, cell in zip(DATES, cells, strict=True)))
    (found,) = warned(path)
    assert found.endswith(
        "x.csv:6: target 9007199254744993 (column y) and 1 more is read as 9007199254744992, as numbers beyond 2^53 lose "
        "digits: if it is an identifier, name another --target"
    )
    assert read_panel(path).target[4] == 9007199254744992.0


def test_numbers_of_a_frame_and_with_marks_are_too(tmp_path):
    frame = pd.DataFrame({"date": DATES, "y": [EXACT + 1 + 2 * i for i in range(30)]})
    assert "row 0: target 9007199254740993 (column y) and 29 more is read as 9007199254740992" in warned(frame)[0]
    path = tmp_path / "x.csv"
    path.write_text(
        "date;y\n" + "".join(f"{date};9.007.199.254.740.99{3 + 2 * (i % 2)}\n" for i, date in enumerate(DATES))
    )
    panel = read_as(path, replace(ReadOptions.of(), text=TextOptions(decimal=",", thousands=".")))
    assert "x.csv:2: target 9007199254740993 (column y)" in panel.warnings[0]


@pytest.mark.parametrize(
    "cells",
    [
        [EXACT - i for i in range(30)],
        [EXACT + 1024 * i for i in range(30)],
        [1.2345e20 + 1e18 * i for i in range(30)],
        [f"{i + 1}.5e22" for i in range(30)],
        [5.0 + i for i in range(30)],
    ],
)
def test_numbers_that_are_held_or_measured_are_not(cells):
    assert not warned(pd.DataFrame({"date": DATES, "y": cells}))
