"""Dates of other calendars are warned of: a year 2567 that is 2024 makes wrong weekdays and holidays."""

from __future__ import annotations

import pandas as pd
import pytest

from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError


def warned(dates, column="date"):
    frame = pd.DataFrame({column: dates, "y": [100.0 + i % 7 for i in range(len(dates))]})
    return [one for one in read_panel(frame).warnings if "another calendar" in one or "they are dates" in one]


def days(year, count=50):
    return [f"{year}-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(count)]


def months(year, count=50):
    return [f"{year + i // 12}-{1 + i % 12:02d}-01" for i in range(count)]


def test_buddhist_dates_are_warned_of_with_what_to_do():
    (found,) = warned(months(2560))
    assert found.startswith("column 'date' has dates from 2560-01-01 to 2564-02-01: ")
    assert "convert the dates to the Gregorian calendar (Buddhist years less 543, e.g. 2567 is 2024)" in found


@pytest.mark.parametrize(
    "dates",
    [
        months(1403),  # Persian
        [date.replace("-", "/") for date in months(2567)],
        [f"{1 + i:02d}/01/2567" for i in range(31)],
        [256001 + 100 * (i // 12) + i % 12 for i in range(48)],
        [f"2567{1 + i // 28:02d}{1 + i % 28:02d}" for i in range(56)],
    ],
)
def test_other_forms_are_too(dates):
    assert len(warned(dates)) == 1


@pytest.mark.parametrize(
    ("dates", "column"),
    [
        (months(2015, 12 * 285), "date"),  # a projection of the climate
        (months(2070), "date"),
        (months(1850), "date"),
        ([f"{year}-01-01" for year in range(1000, 1500)], "date"),  # rings of trees
        (list(range(256001, 256049)), "step"),
        (list(range(256001, 256049)), "date"),  # no months
        (list(range(1, 60)), "t"),
    ],
)
def test_ordinary_dates_are_not(dates, column):
    assert not warned(dates, column)


def test_one_series_with_a_wrong_year_is_no_calendar():
    frame = pd.DataFrame(
        {"s": ["a"] * 50 + ["b"] * 50 + ["c"] * 50, "date": [*months(2019), *months(2019), *months(2567)], "y": 1.0}
    )
    assert not [one for one in read_panel(frame).warnings if "another calendar" in one]


@pytest.mark.parametrize("text", ["2567-02-29", "29/02/2567", "1403-02-31"])
def test_a_day_of_another_calendar_that_ours_lacks_says_so(text):
    year = int(next(part for part in text.replace("/", "-").split("-") if len(part) == 4))
    dates = [text, *(f"{year}-03-{1 + i:02d}" if text[4] == "-" else f"{1 + i:02d}/03/{year}" for i in range(28))]
    with pytest.raises(DataError, match=rf"'{text}' is not a date.") as caught:
        read_panel(pd.DataFrame({"date": dates, "y": range(29)}))
    assert f"Its year is {year}: convert the dates to the Gregorian calendar" in str(caught.value)


def test_a_day_that_no_calendar_has_is_a_plain_fault():
    with pytest.raises(DataError) as caught:
        read_panel(pd.DataFrame({"date": ["2023-02-29", *days(2023, 28)], "y": range(29)}))
    assert "calendar" not in str(caught.value)
