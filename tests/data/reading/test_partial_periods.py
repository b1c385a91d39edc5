"""A sum of the first or the last period is left out where rows of it are missing, and only then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns, Panel
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.row_options import RowOptions


def summed(index: pd.DatetimeIndex, resample: str) -> Panel:
    return of(pd.DataFrame({"date": index, "v": np.ones(len(index))}), resample)


def of(table: pd.DataFrame, resample: str, columns: Columns | None = None) -> Panel:
    rows = RowOptions(resample=resample, aggregate="sum")
    return read_as(table, replace(ReadOptions.of(columns or Columns()), rows=rows))


def ends(panel: Panel) -> list[str]:
    return [panel.timestamp_text(int(panel.timestamps[k])) for k in (0, -1)]


@pytest.mark.parametrize("name", ["M", "BME", "MS", "BMS", "M-15"])
@pytest.mark.parametrize("last", ["2024-06-30", "2024-03-31"])  # a weekend
def test_months_are_complete_whatever_day_they_are_called_by(name: str, last: str) -> None:
    panel = summed(pd.date_range("2024-01-20", last), name)
    assert panel.target.tolist() == [29.0, 31.0, 30.0, 31.0, 30.0][: len(panel.target)]
    assert ends(panel)[1][:7] == last[:7]


def test_quarters_and_years_of_months_lack_the_month_before() -> None:
    months = pd.date_range("2020-05-01", "2024-11-01", freq="MS")
    for name, first, last in (
        ("QS", "2020-07-01", "2024-07-01"),
        ("QE", "2020-09-30", "2024-09-30"),
        ("YS", "2021-01-01", "2023-01-01"),
    ):
        panel = summed(months, name)
        assert ends(panel) == [first, last] and len(set(panel.target)) == 1


def opening_hours(each: int, seed: int = 0) -> pd.DatetimeIndex:
    """Sales from 9 to 18, on Saturdays to 13, from a Friday to a Tuesday."""
    rng = np.random.default_rng(seed)
    days = [day for day in pd.date_range("2024-03-01", "2024-05-14") if day.day_of_week != 6]
    closing = [13 if day.day_of_week == 5 else 18 for day in days]
    return pd.DatetimeIndex(
        np.concatenate(
            [
                day + pd.to_timedelta(np.sort(rng.uniform(9, end, each)), "h")
                for day, end in zip(days, closing, strict=True)
            ]
        )
    )


@pytest.mark.parametrize("each", [20, 60])
@pytest.mark.parametrize("seed", range(3))
def test_a_day_of_sales_that_goes_on_is_left_out(each: int, seed: int) -> None:
    sales = opening_hours(each, seed)
    for last, complete in (
        ("2024-05-14 12:40", "2024-05-13"),
        ("2024-05-14 23:00", "2024-05-14"),
        ("2024-05-11 23:00", "2024-05-11"),  # a Saturday
        ("2024-05-06 10:30", "2024-05-04"),
    ):
        panel = summed(sales[sales <= last], "D")
        assert ends(panel)[1] == complete and set(panel.target) == {float(each)}
    late = summed(sales[sales >= "2024-03-05 13:00"], "D")
    assert ends(late)[0] == "2024-03-06" and set(late.target) == {float(each)}


def test_a_day_of_hours_that_goes_on_is_left_out() -> None:
    hours = pd.date_range("2024-03-01", "2024-05-14 23:00", freq="h")
    hours = hours[(hours.hour >= 9) & (hours.hour <= 18)]
    assert ends(summed(hours, "D"))[1] == "2024-05-14"
    assert ends(summed(hours[:-1], "D"))[1] == "2024-05-13"


def test_several_rows_of_each_hour_are_read_as_one() -> None:
    hours = pd.date_range("2024-03-01 05:00", "2024-03-20 16:00", freq="h").repeat(3)
    panel = summed(hours, "D")
    assert ends(panel) == ["2024-03-02", "2024-03-19"] and set(panel.target) == {72.0}


def test_each_column_has_its_own_first_and_last_period() -> None:
    days = pd.date_range("2024-01-01", "2024-05-31")
    table = pd.DataFrame(
        {"date": days, "a": 1.0, "b": np.where((days >= "2024-02-10") & (days < "2024-05-20"), 1.0, np.nan)}
    )
    panel = of(table, "MS")
    np.testing.assert_array_equal(panel.target, [31, 29, 31, 30, 31, np.nan, np.nan, 31, 30, np.nan])


def test_a_month_whose_rows_to_come_have_no_target_is_no_value() -> None:
    days = pd.date_range("2024-01-01", "2024-05-31")
    table = pd.DataFrame({"date": days, "v": np.where(days <= "2024-04-10", 1.0, np.nan), "price": 2.0})
    panel = of(table, "MS", Columns(target="v", known=("price",)))
    assert panel.target.tolist() == [31.0, 29.0, 31.0] and panel.covariates[0].ahead.tolist() == [[2.0, 2.0]]


def test_a_series_of_a_part_of_a_period_keeps_its_sum() -> None:
    a, b = pd.date_range("2024-01-01", "2024-04-30"), pd.date_range("2024-02-05", "2024-02-14")
    table = pd.DataFrame({"shop": ["a"] * len(a) + ["b"] * len(b), "date": a.append(b), "v": 1.0})
    panel = of(table, "MS", Columns(series="shop"))
    assert panel.target.tolist() == [31.0, 29.0, 31.0, 30.0, 10.0]


@pytest.mark.parametrize("late", [0, 20])
def test_readings_that_are_not_on_time_are_missed(late: int) -> None:
    quarters = pd.date_range("2024-01-01", "2024-01-20 23:45", freq="15min")
    index = quarters + pd.to_timedelta(np.random.default_rng(0).integers(0, late + 1, len(quarters)), "s")
    for cut, complete in ((0, "2024-01-20 23:00:00"), (1, "2024-01-20 22:00:00"), (4, "2024-01-20 22:00:00")):
        panel = summed(index[: len(index) - cut], "h")
        assert ends(panel)[1] == complete and set(panel.target) == {4.0}


@pytest.mark.parametrize("seed", range(5))
def test_a_week_of_many_sales_is_not_left_out_for_a_minute(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sales = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.uniform(0, 70, 14000)), "D")
    assert ends(summed(sales, "W"))[1] == "2024-03-04"
