"""Rows without a regular grid: refused with what helps, moved to a grid, or joined to periods; business months are grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.data.freq import Freq
from forecaster.data.panel import Columns
from forecaster.data.reading.find_faults import find_faults
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.data.row_options import RowOptions
from forecaster.errors import DataError, UsageError
from forecaster.serving.manifest import DataFacts, _facts


def frame(index, values=None):
    return pd.DataFrame({"timestamp": index, "value": np.arange(len(index)) + 1.0 if values is None else values})


def read(table, freq=None, **rows):
    return read_as(table, replace(ReadOptions.of(freq=freq), rows=RowOptions(**rows)))


def jittered(freq, rows, seconds, seed=0):
    late = np.random.default_rng(seed).uniform(-seconds, seconds, rows)
    return pd.date_range("2024-03-01", periods=rows, freq=freq) + pd.to_timedelta(np.round(late), "s")


@pytest.mark.parametrize(
    "name",
    [
        "BME",
        "BMS",
        "WOM-3FRI",
        "WOM-1MON",
        "WOM-2TUE",
        "LWOM-FRI",
        "BQE",
        "BQS",
        "BYE",
        "2BME",
        "MS",
        "ME",
        "M-15",
        "QS",
    ],
)
def test_days_of_a_month_are_frequencies(name):
    rule = {"M-15": pd.DateOffset(months=1)}.get(name, name)
    index = pd.date_range("2016-01-15" if name == "M-15" else "2016-01-01", periods=40, freq=rule)
    panel = read_panel(frame(index))
    assert panel.freq.name == name and panel.gaps == 0
    assert Freq.parse(name) == panel.freq
    whole = pd.date_range(index[0], periods=45, freq=rule)
    ahead = panel.freq.after(panel.last_timestamps, 5)[0].astype("M8[us]")
    np.testing.assert_array_equal(ahead, whole[40:].to_numpy().astype("M8[us]"))


def test_a_few_holidays_at_ends_of_months_are_faults_with_a_way_out():
    index = pd.date_range("2016-01-01", periods=60, freq="BME").to_list()
    index[30] -= pd.Timedelta(days=1)
    with pytest.raises(DataError, match=r"frequency BME.*--freq MS --snap"):
        read_panel(frame(index))
    assert read(frame(index), "MS", snap="auto").gaps == 0


def four_four_five(years):
    weeks = np.cumsum([0, *([4, 4, 5] * 4 * years)])[:-1]
    return pd.Timestamp("2018-01-07") + pd.to_timedelta(7 * weeks, "D")


IRREGULAR = {
    "4-4-5 calendar": (four_four_five(4), "--freq MS --snap"),
    "days around the start of a month": (
        pd.date_range("2015-01-01", periods=48, freq="MS") + pd.to_timedelta(np.arange(48) * 7 % 5, "D"), "--freq MS --snap",
    ),
    "a sensor that is late": (jittered("5min", 300, 40), "--freq 5min --snap"),
    "an hourly sensor": (jittered("h", 200, 300), "--freq h --snap"),
    "visits at any time": (
        pd.Timestamp("2024-01-01") + pd.to_timedelta(np.cumsum(np.random.default_rng(3).exponential(3000, 400)).round(), "s"),
        "--aggregate mean",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", IRREGULAR)
def test_rows_without_a_grid_are_refused_once_with_their_share_and_what_helps(kind):
    index, helps = IRREGULAR[kind]
    with pytest.raises(DataError, match=r"no regular step: .*%") as caught:
        read_panel(frame(index))
    assert helps in caught.value.hint
    assert find_faults(frame(index), ReadOptions.of()).faults == 1


@pytest.mark.parametrize("kind", [kind for kind, (_, helps) in IRREGULAR.items() if "--snap" in helps])
def test_what_the_message_offers_reads_the_rows(kind):
    index, helps = IRREGULAR[kind]
    panel = read(frame(index), helps.split()[1], snap="auto")
    assert panel.gaps == 0 and panel.target.tolist() == frame(index).value.tolist()
    again = read(frame(index[-6:]), helps.split()[1], snap=panel.rows.snap)
    np.testing.assert_array_equal(again.timestamps, panel.timestamps[-6:])


@pytest.mark.parametrize(
    ("aggregate", "expected"), [("sum", [6.0, 9.0, 5.0]), ("mean", [2.0, 4.5, 5.0]), ("last", [3.0, 4.0, 5.0])]
)
def test_rows_of_one_timestamp_are_joined(aggregate, expected):
    stamps = ["2024-01-01"] * 3 + ["2024-01-02"] * 2 + ["2024-01-03", "2024-01-03"]
    table = frame(stamps, [1.0, 2.0, 3.0, 5.0, 4.0, 5.0, np.nan])
    assert read(table, aggregate=aggregate).target.tolist() == expected
    shuffled = table.iloc[[3, 0, 5, 1, 6, 2, 4]]
    assert read(shuffled, aggregate=aggregate).target.tolist() == expected
    with pytest.raises(DataError, match="--aggregate"):
        read_panel(table)


@pytest.mark.parametrize("layout", ["long", "wide"])
def test_every_series_is_joined_by_itself(layout):
    table = pd.DataFrame(
        {"timestamp": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-03"]), "a": [1, 2, 3, 4]}
    )
    table["b"] = 10 * table.a
    if layout == "long":
        table = table.melt("timestamp", var_name="series", value_name="target")
    panel = read(table, aggregate="sum")
    assert panel.target.tolist() == [3, 3, 4, 30, 30, 40] and panel.series.tolist() == ["a", "b"]


@pytest.mark.parametrize(("resample", "size"), [("h", 4), ("D", 96), ("2h", 8)])
def test_rows_are_joined_to_periods(resample, size):
    index = pd.date_range("2024-01-01", periods=96 * 3, freq="15min")
    values = np.random.default_rng(0).normal(size=len(index))
    panel = read(frame(index, values), resample=resample, aggregate="mean")
    assert panel.freq.name == resample
    np.testing.assert_allclose(panel.target, values.reshape(-1, size).mean(axis=1))


def test_a_sum_of_a_part_of_a_period_is_left_out_and_said():
    index = pd.date_range("2024-01-01 00:30", periods=96 * 3, freq="15min")
    panel = read(frame(index, np.ones(len(index))), resample="h", aggregate="sum")
    assert set(panel.target) == {4.0} and any("not complete" in note for note in panel.notes)


@pytest.mark.parametrize(
    ("first", "last", "months"),
    [
        ("2024-06-03", "2024-08-30", ["2024-06-01", "2024-07-01", "2024-08-01"]),  # the 1st of June was a Saturday
        ("2024-06-04", "2024-08-28", ["2024-07-01"]),
    ],
)
def test_months_of_business_days_that_end_at_a_weekend_are_complete(first, last, months):
    index = pd.bdate_range(first, last)
    panel = read(frame(index, np.ones(len(index))), resample="MS", aggregate="sum")
    assert [panel.timestamp_text(int(one)) for one in panel.timestamps] == months


@pytest.mark.parametrize(("last", "weeks"), [("2024-03-25 20:00", 12), ("2024-03-31 20:00", 13)])
def test_the_last_week_of_transactions_is_left_out_where_days_of_it_are_to_come(last, weeks):
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", last, freq="D").normalize()
    index = (days.repeat(5) + pd.to_timedelta(rng.uniform(7, 20, 5 * len(days)).round(2), "h")).sort_values()
    panel = read(frame(index, np.ones(len(index))), resample="W", aggregate="sum")
    assert panel.target.tolist() == [35.0] * weeks
    assert any("5 rows of periods that are not complete" in note for note in panel.notes) == (weeks == 12)


def test_one_period_is_kept_and_not_said_to_be_left_out():
    panel = read(frame(pd.date_range("2024-01-10", periods=9), np.ones(9)), resample="MS", aggregate="sum")
    assert panel.target.tolist() == [9.0] and not any("not complete" in note for note in panel.notes)


@pytest.mark.parametrize("seed", range(3))
def test_rows_at_any_time_are_counted_by_the_hour(seed):
    seconds = np.cumsum(np.random.default_rng(seed).exponential(600, 600)).round()
    index = pd.Timestamp("2024-01-01") + pd.to_timedelta(seconds, "s")
    panel = read(frame(index, np.ones(600)), resample="h", aggregate="sum")
    expected = pd.Series(np.ones(600), index).resample("h").sum()
    np.testing.assert_array_equal(panel.target, expected.to_numpy())


def test_options_that_need_another_are_refused():
    with pytest.raises(UsageError, match="needs --aggregate"):
        RowOptions(resample="h")
    with pytest.raises(UsageError, match="no effect"):
        RowOptions(resample="h", aggregate="sum", snap="auto")
    with pytest.raises(DataError, match="whole numbers"):
        read(frame(range(20)), snap="auto")


def test_covariates_of_joined_rows_are_means_and_last_texts():
    table = pd.DataFrame(
        {
            "timestamp": pd.to_datetime(["2024-01-01", "2024-01-01", "2024-01-02", "2024-01-03"]),
            "value": [1.0, 2.0, 3.0, 4.0],
            "price": [1.0, 3.0, 5.0, 6.0],
            "sky": ["sun", "rain", "sun", "sun"],
        }
    )
    columns = Columns(target="value", known=("price",), past=("sky",))
    panel = read_as(table, replace(ReadOptions.of(columns), rows=RowOptions(aggregate="sum")))
    price, sky = panel.covariates
    assert price.values.tolist() == [2.0, 5.0, 6.0]
    assert [sky.levels[int(code)] for code in sky.values] == ["rain", "sun", "sun"]


def test_a_manifest_keeps_what_happened_to_the_rows():
    given = RowOptions(snap="nearest", aggregate="last")
    names = dict.fromkeys(DataFacts.__dataclass_fields__)
    raw = {**names, "rows_as": {"snap": "nearest", "aggregate": "last", "of a later release": 1}}
    assert _facts(raw).rows_as == given
    assert _facts({**names, "rows_as": None}).rows_as == RowOptions()
