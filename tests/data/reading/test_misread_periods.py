"""Numbers of quarters, weeks and fiscal periods that look like months or days are warned of, with the form that reads them."""

from __future__ import annotations

import pandas as pd
import pytest

from forecaster.data.reading.reader import read_panel


def warned(dates, column="period", timestamp_format=None):
    frame = pd.DataFrame({column: dates, "y": [100.0 + i % 7 for i in range(len(dates))]})
    panel = read_panel(frame, timestamp_format=timestamp_format)
    return [one for one in panel.warnings if "give the form" in one]


def numbered(form, count, years=4):
    return [form.format(2018 + year, i) for year in range(years) for i in range(1, count + 1)]


@pytest.mark.parametrize(
    ("dates", "column", "form"),
    [
        (numbered("{}-{}", 4), "period", "%Y-%q"),
        (numbered("{}0{}", 4), "period", "%Y0%q"),
        (["1/2018", "2/2018", "3/2018", "4/2018", "1/2019", "2/2019"], "period", "%q/%Y"),
        (numbered("{}-{}", 4, years=1), "Quarter", "%Y-%q"),
    ],
)
def test_quarters_that_look_like_months_are_warned_of(dates, column, form):
    (found,) = warned(dates, column)
    assert found.startswith(f"the dates of every year are months 1 to 4 (column '{column}'): if these are quarters")
    assert not warned(dates, column, form)


@pytest.mark.parametrize(
    ("count", "years", "what", "second"),
    [(2, 8, "half-years", "07"), (3, 5, "thirds of the year", "05"), (6, 2, "two months each", "03")],
)
def test_other_parts_of_years_that_look_like_months_are_warned_of(count, years, what, second):
    frame = pd.DataFrame({"period": numbered("{}-{}", count, years), "y": range(count * years)})
    (found,) = (one for one in read_panel(frame).warnings if "dates of every year" in one)
    assert f"are months 1 to {count} (column 'period'): if these are {what}, write the first day of each" in found
    assert found.endswith(f"as 2018-01-01 and 2018-{second}-01")


@pytest.mark.parametrize("column", ["Woche", "KW", "iso_week", "Semaine", "week_nr"])
def test_weeks_that_look_like_months_are_warned_of(column):
    (found,) = warned(numbered("{}-{:02d}", 11, years=1), column)
    assert found.endswith("if these are numbers of weeks, give the form, e.g. --timestamp-format %G-%V")
    assert not warned(numbered("{}-{:02d}", 11, years=1), column, "%G-%V")


@pytest.mark.parametrize(
    ("dates", "form"), [(numbered("{}{:03d}", 12), "%Y0%m"), (numbered("{}-{:03d}", 12), "%Y-0%m")]
)
def test_periods_of_a_fiscal_year_that_look_like_days_are_warned_of(dates, form):
    (found,) = warned(dates, "Posting period")
    assert found.startswith(
        "the dates of every year are its days 1 to 12 (column 'Posting period'): if these are periods"
    )
    assert not warned(dates, "Posting period", form)


@pytest.mark.parametrize(
    ("dates", "column"),
    [
        (numbered("{}-{:02d}", 12), "month"),
        (["2018-01", "2018-02", "2018-03", "2018-04"], "month"),
        (["2018-01", "2018-02"], "month"),
        ([f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", periods=14)], "day"),
        ([f"{day:%Y-%m-%d}" for day in pd.date_range("2023-12-20", periods=28)], "day"),
        ([f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", periods=30, freq="W")], "week"),
    ],
)
def test_ordinary_dates_are_not(dates, column):
    assert not warned(dates, column)
