"""A sum of a period without transactions is 0; one without readings is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns, Panel
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.row_options import RowOptions

START = pd.Timestamp("2023-01-01")


def read(
    table: pd.DataFrame, resample: str | None = "D", aggregate: str = "sum", columns: Columns | None = None, **rows
) -> Panel:
    options = RowOptions(resample=resample, aggregate=aggregate, **rows)
    return read_as(table, replace(ReadOptions.of(columns or Columns()), rows=options))


def orders(each_day: float, days: int = 365, seed: int = 0) -> pd.DatetimeIndex:
    rng = np.random.default_rng(seed)
    return START + pd.to_timedelta(np.sort(rng.uniform(0, days, round(each_day * days))), "D")


def frame(index: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame({"date": index, "v": np.ones(len(index))})


@pytest.mark.parametrize("each_day", [0.05, 0.4, 1.0, 2.0])
@pytest.mark.parametrize("dates_alone", [False, True])
def test_a_day_without_an_order_is_0(each_day: float, dates_alone: bool) -> None:
    index = orders(each_day)
    expected = pd.Series(1.0, index).resample("D").sum()
    panel = read(frame(index.normalize() if dates_alone else index), None if dates_alone else "D")
    np.testing.assert_array_equal(panel.target, expected.to_numpy())
    assert panel.gaps == 0 and panel.gap_runs == () and panel.warnings == ()
    assert f"{int((expected == 0).sum()):,} sums of nothing are 0." in panel.notes
    for aggregate in ("mean", "last"):
        panel = read(frame(index), "D", aggregate)
        assert np.isnan(panel.target).sum() == panel.gaps == (expected == 0).sum()


def test_each_series_has_zeros_between_its_own_first_and_last_row() -> None:
    a, b = orders(0.4), orders(0.4, seed=1)
    b = b[(b >= "2023-03-01") & (b < "2023-06-01")]
    table = pd.concat([frame(a).assign(shop="a"), frame(b).assign(shop="b")])
    panel = read(table, columns=Columns(series="shop"))
    daily = pd.Series(1.0, b).resample("D").sum()
    np.testing.assert_array_equal(panel.target[panel.offsets[1] :], daily.to_numpy())
    wide = table.assign(v=1.0).pivot_table(index="date", columns="shop", values="v").reset_index()
    panel = read(wide)
    second = panel.target[panel.offsets[1] :]
    np.testing.assert_array_equal(second[~np.isnan(second)], daily.to_numpy())
    assert 0 < panel.gaps < np.isnan(panel.target).sum()


def test_readings_that_are_not_there_are_missing() -> None:
    hours = pd.date_range("2023-01-01", "2023-03-31 23:00", freq="h")
    table = frame(hours[(hours < "2023-02-03") | (hours >= "2023-02-06")])
    late = table.assign(date=table.date + pd.to_timedelta(np.arange(len(table)) * 7 % 50 + 10, "s"))
    for one in (table, late):
        panel = read(one)
        assert np.isnan(panel.target).sum() == panel.gaps == 3 and set(panel.target[~np.isnan(panel.target)]) == {24.0}
    regions = np.random.default_rng(0).integers(8, 15, 60)
    months = pd.date_range("2019-01-01", periods=60, freq="MS").delete(30).repeat(np.delete(regions, 30))
    panel = read(frame(months), None)
    assert panel.gaps == 1 and np.isnan(panel.target[30])


def test_closed_days_are_left_out_all_the_same() -> None:
    rng = np.random.default_rng(0)
    days = [day for day in pd.date_range("2023-01-02", "2023-06-30") if day.day_of_week < 6]
    index = pd.DatetimeIndex(
        [day + pd.Timedelta(hours=9 + 9 * u) for day in days for u in rng.random(rng.poisson(3))]
    ).sort_values()
    panel = read(frame(index))
    assert panel.freq.name == "D@Mon-Sat" and 0 < (panel.target == 0).sum() < 20 and not np.isnan(panel.target).any()


def test_a_gap_that_chance_does_not_explain_is_warned_of() -> None:
    index = orders(5.0)
    table = frame(index[(index < "2023-05-03") | (index >= "2023-05-24")])
    panel = read(table)
    (warning,) = panel.warnings
    assert "no row in 21 steps of D, far more than usual" in warning and warning.endswith(
        "--ignore 2023-05-03..2023-05-23"
    )
    ignored = read(table, ignore=("2023-05-03..2023-05-23",))
    assert np.isnan(ignored.target).sum() == 21


@pytest.mark.parametrize("seed", range(8))
def test_nights_weekends_and_chance_are_not_warned_of(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert read(frame(orders(0.2, seed=seed))).warnings == ()
    days = [day for day in pd.date_range("2023-01-02", "2023-06-30") if day.day_of_week < 5]
    index = pd.DatetimeIndex(
        [day + pd.Timedelta(hours=8 + 10 * u) for day in days for u in rng.random(20)]
    ).sort_values()
    for rows in ({}, {"all_slots": True}):
        assert read(frame(index), "h", **rows).warnings == ()


def test_rows_to_come_are_no_zeros() -> None:
    index = orders(0.4)
    ahead = pd.date_range("2024-01-05", periods=8, freq="3D")
    table = pd.concat([frame(index), frame(ahead).assign(v=np.nan)]).assign(price=1.0)
    panel = read(table, columns=Columns(target="v", known=("price",)))
    assert panel.gaps == 0 and panel.target[-1] > 0 and len(panel.target) == (index[-1] - index[0].normalize()).days + 1
