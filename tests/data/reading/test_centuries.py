"""Years of two digits are of the century in which the dates span the fewest years, and of the past where both span as many."""

from __future__ import annotations

import pandas as pd
import pytest

from forecaster.data.reading.reader import read_panel

FORMS = ["%b-%y", "%d.%m.%y", "%y-%m-%d", "%d-%b-%y", "%m/%d/%y"]


def read(months, form, timestamp_format=None, shuffled=False):
    frame = pd.DataFrame({"month": months.strftime(form), "y": range(len(months))})
    return read_panel(frame.sample(frac=1, random_state=0) if shuffled else frame, timestamp_format=timestamp_format)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("first", "count"), [("1949-01", 144), ("1947-01", 912), ("1960-01", 720)])
def test_past_data_with_two_digits_is_of_the_last_century(form, first, count):
    panel = read(pd.date_range(first, periods=count, freq="MS"), form)
    assert panel.timestamp_text(int(panel.timestamps[0])) == f"{first}-01"
    assert len(panel.target) == count and panel.freq.name == "MS"
    assert f"are read as {first[:4]}" in " ".join(panel.notes)


def test_a_given_format_numbers_and_rows_without_order_are_read_alike():
    months = pd.date_range("1949-01", periods=144, freq="MS")
    assert read(months, "%b-%y", "%b-%y").timestamps[0] == read(months, "%d.%m.%y", shuffled=True).timestamps[0]
    numbers = pd.DataFrame({"month": [int(f"{month:%y%m}") for month in months], "y": range(144)})
    assert read_panel(numbers).timestamp_text(int(read_panel(numbers).timestamps[0])) == "1949-01-01"


@pytest.mark.parametrize(
    ("first", "count", "form"),
    [("2020-01", 360, "%b-%y"), ("2045-01", 48, "%Y-%m-%d"), ("2045-01", 48, "%b %Y"), ("2018-01", 60, "%d.%m.%y")],
)
def test_projections_and_years_of_four_digits_stay(first, count, form):
    panel = read(pd.date_range(first, periods=count, freq="MS"), form)
    assert panel.timestamp_text(int(panel.timestamps[0])) == f"{first}-01" and len(panel.target) == count


def test_serial_dates_have_no_century():
    days = range(54_000, 54_060)  # of 2047
    panel = read_panel(pd.DataFrame({"date": days, "y": range(60)}), timestamp_format="excel")
    assert panel.timestamp_text(int(panel.timestamps[0])).startswith("2047")
