"""What names a row, a timestamp and keys of series, is found by what makes rows unique, and said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns, Panel
from forecaster.data.reading.find_faults import find_faults
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.data.row_options import RowOptions
from forecaster.errors import DataError

DAYS = pd.date_range("2020-01-01", periods=120)
HOURS = pd.date_range("2020-01-01", periods=24 * 20, freq="h")
QUARTERS_OF_HOURS = pd.date_range("2020-01-01", periods=300, freq="15min")
MONTHS = pd.date_range("2010-01-01", periods=60, freq="MS")
QUARTERS = pd.date_range("2000-01-01", periods=40, freq="QS")
WEEKS = pd.date_range("2015-01-05", periods=104, freq="W-MON")
LATER = HOURS + pd.Timedelta(hours=1)

Write = Callable[..., str]


def noise(count: int, low: float = 90.0) -> Any:
    return np.random.default_rng(0).uniform(low, low + 20, count).round(2)


def read(write: Write, frame: pd.DataFrame, columns: Columns = Columns()) -> Panel:  # noqa: B008
    """The panel of a frame, which is the same from a file, with rows in any order, and from the frame itself."""
    path = write(frame.to_csv(index=False))
    panel = read_panel(path, columns)
    assert not find_faults(path, ReadOptions.of(columns)).faults
    shuffled = read_panel(write(frame.sample(frac=1, random_state=0).to_csv(index=False)), columns)
    for other in (read_panel(frame, columns), shuffled):
        assert (other.columns, other.freq, other.layout) == (panel.columns, panel.freq, panel.layout)
        assert sorted(other.timestamps) == sorted(panel.timestamps) and set(other.series) == set(panel.series)
    return panel


def assert_single(panel: Panel, dates: pd.DatetimeIndex, timestamp: str) -> None:
    assert (panel.layout, panel.columns.timestamp, panel.gaps) == ("single", timestamp, 0)
    assert panel.timestamps.tolist() == dates.as_unit("us").asi8.tolist()


WEEK_PARTS = {"year": WEEKS.isocalendar().year.to_numpy(), "week": WEEKS.isocalendar().week.to_numpy()}
PARTS = [
    (MONTHS, {"year": MONTHS.year, "month": MONTHS.month}),
    (MONTHS, {"Year": MONTHS.year, "Month": MONTHS.strftime("%B")}),
    (MONTHS, {"yr": MONTHS.year, "mon": MONTHS.strftime("%b")}),
    (QUARTERS, {"year": QUARTERS.year, "quarter": QUARTERS.quarter}),
    (QUARTERS, {"year": QUARTERS.year, "qtr": [f"Q{q}" for q in QUARTERS.quarter]}),
    (WEEKS, WEEK_PARTS),
    (DAYS, {"Year": DAYS.year, "Month": DAYS.month, "Day": DAYS.day}),
    (DAYS, {"year": DAYS.year, "doy": DAYS.day_of_year}),
    (HOURS, {"date": HOURS.strftime("%Y-%m-%d"), "hour": HOURS.hour}),
    (LATER, {"Date": HOURS.strftime("%Y-%m-%d"), "Hour": HOURS.hour + 1}),
    (LATER, {"Date": HOURS.strftime("%d/%m/%Y"), "Hour Ending": [f"{h + 1:02}:00" for h in HOURS.hour]}),
    (LATER, {"DATE": HOURS.strftime("%Y%m%d"), "HOUR": (HOURS.hour + 1) * 100}),
    (HOURS, {"Date": HOURS.strftime("%d/%m/%Y"), "Time": HOURS.strftime("%H:%M:%S")}),
    (HOURS, {"Date": HOURS.strftime("%m/%d/%Y"), "Time": HOURS.strftime("%I:%M %p")}),
    (HOURS, {"year": HOURS.year, "month": HOURS.month, "day": HOURS.day, "hour": HOURS.hour}),
    (QUARTERS_OF_HOURS, {"date": QUARTERS_OF_HOURS.strftime("%Y%m%d"), "hour": QUARTERS_OF_HOURS.hour,
                         "minute": QUARTERS_OF_HOURS.minute}),
]  # fmt: skip


@pytest.mark.parametrize(("dates", "parts"), PARTS, ids=[",".join(parts) for _, parts in PARTS])
def test_a_date_in_parts_is_joined_and_said(write: Write, dates: pd.DatetimeIndex, parts: dict[str, Any]) -> None:
    frame = pd.DataFrame({**parts, "sales": noise(len(dates))})
    panel = read(write, frame)
    assert_single(panel, dates, ",".join(parts))
    names = list(parts)
    assert any(f"joined from the columns {', '.join(names[:-1])} and {names[-1]}." in note for note in panel.notes)
    regions = pd.concat([frame.assign(region=region) for region in "ab"])
    panel = read(write, regions)
    assert (panel.columns, panel.series.tolist()) == (Columns("region", ",".join(parts), "sales"), ["a", "b"])


def test_parts_are_joined_as_they_are_named(write: Write) -> None:
    frame = pd.DataFrame({"J": MONTHS.year, "M": MONTHS.month, "v": noise(60)})
    assert_single(read(write, frame, Columns(timestamp="J,M")), MONTHS, "J,M")
    frame = pd.DataFrame({"x": HOURS.hour, "d": HOURS.strftime("%d.%m.%Y"), "v": noise(len(HOURS))})
    assert_single(read(write, frame, Columns(timestamp="d,x")), HOURS, "d,x")
    assert_single(read(write, frame, Columns(timestamp="x,d")), HOURS, "x,d")
    with pytest.raises(DataError, match=r"columns d, v are not the parts of a date"):
        read_panel(frame, Columns(timestamp="d,v"))
    with pytest.raises(DataError, match=r"there is no column 'e' \(--timestamp\)"):
        read_panel(frame, Columns(timestamp="d,e"))


@pytest.mark.parametrize(
    ("row", "message"),
    [("2010,13,1", "x.csv:4: '13' (column month) is no month."), ("2010,,1", "x.csv:4: month is missing (column month)."),
     ("x,3,1", "x.csv:4: 'x' (column year) is no year.")],
)  # fmt: skip
def test_a_wrong_part_is_given_with_its_line(write: Write, row: str, message: str) -> None:
    rows = [f"{d.year},{d.month},{i}" for i, d in enumerate(MONTHS)]
    rows[2] = row
    path = write("\n".join(["year,month,v", *rows]))
    with pytest.raises(DataError) as refused:
        read_panel(path, Columns(timestamp="year,month"))
    assert str(refused.value).startswith(message)
    checked = find_faults(path, ReadOptions.of(Columns(timestamp="year,month")))
    assert [(kind.count, kind.shown[0].line) for kind in checked.kinds] == [(1, 4)]
    assert checked.panel is not None and checked.panel.gaps == 1


def test_a_day_that_is_not_there_is_given_with_its_line(write: Write) -> None:
    rows = [f"{d.year},{d.month},{d.day},1" for d in DAYS]
    with pytest.raises(DataError, match=r"x.csv:122: there is no such day: year 2021, month 2, day 29"):
        read_panel(write("\n".join(["year,month,day,v", *rows, "2021,2,29,1"])))


def test_parts_of_dates_beside_a_date_are_no_series_and_no_targets(write: Write) -> None:
    frame = pd.DataFrame(
        {
            "date": DAYS,
            "year": DAYS.year,
            "month": DAYS.month,
            "day": DAYS.day,
            "weekday": [day.weekday() for day in DAYS],
        }
    )
    assert_single(read(write, frame.assign(sales=noise(120))), DAYS, "date")
    frame = pd.DataFrame({"datetime": HOURS, "hour": HOURS.hour, "month": HOURS.month, "load": noise(len(HOURS))})
    assert_single(read(write, frame), HOURS, "datetime")


@pytest.mark.parametrize("name", ["No", "id", "index", "Unnamed: 0", "row_number"])
@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_rows_are_no_series_and_no_target(write: Write, name: str, first: int) -> None:
    for values in (noise(120), np.random.default_rng(1).integers(0, 9, 120)):
        frame = pd.DataFrame({name: range(first, first + 120), "date": DAYS, "v": values})
        panel = read_panel(write(frame.to_csv(index=False)))
        assert_single(panel, DAYS, "date")
        assert panel.columns.target == "v"


def test_measurements_are_no_series_where_dates_repeat(write: Write) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"date": np.tile(DAYS, 3), "sales": rng.integers(0, 90, 360), "price": rng.integers(1, 9, 360)}
    )
    with pytest.raises(DataError, match=r"timestamps repeat \(column 'date'\), and no columns separate the series"):
        read_panel(frame)


def panel_of_keys(**keys: list[Any]) -> pd.DataFrame:
    """Sales of every combination of the keys, on every day."""
    index = pd.MultiIndex.from_product([*keys.values(), DAYS], names=[*keys, "date"])
    return pd.DataFrame({"sales": np.random.default_rng(0).integers(0, 40, len(index))}, index=index).reset_index()


@pytest.mark.parametrize(
    "keys",
    [{"store": [1, 2, 3], "item": [1, 2, 3, 4]}, {"store": ["007", "7"], "item": ["a", 'b, "c"']},
     {"store": [1, 2], "family": ["x", "y"], "dept": ["p", "q"]}],
)  # fmt: skip
def test_several_keys_are_found_and_joined(write: Write, keys: dict[str, list[Any]]) -> None:
    frame = panel_of_keys(**keys)
    panel = read(write, frame)
    assert panel.columns == Columns(",".join(keys), "date", "sales")
    assert panel.keys == tuple(keys)
    assert (len(panel.series), panel.gaps) == (np.prod([len(values) for values in keys.values()]), 0)
    given = read(write, frame, Columns(series=",".join(reversed(keys))))
    assert given.keys == tuple(reversed(keys))
    assert given.target.tolist() == panel.target.tolist()


def test_one_key_is_enough_where_it_separates_the_series(write: Write) -> None:
    frame = panel_of_keys(store=["a", "b", "c"])
    frame["region"] = frame.store.map({"a": "north", "b": "north", "c": "south"})
    assert read(write, frame).columns.series == "store"


def test_a_key_that_is_missing_is_given_with_its_line(write: Write) -> None:
    text = (
        panel_of_keys(store=["a", "b"], item=["c", "d"]).to_csv(index=False).replace("a,d,2020-01-02", "a,,2020-01-02")
    )
    with pytest.raises(DataError, match=r"x.csv:123: series is missing"):
        read_panel(write(text), Columns(series="store,item"))


def test_the_column_that_makes_rows_unique_is_the_timestamp(write: Write) -> None:
    frame = pd.DataFrame(
        {"Date": HOURS.strftime("%Y-%m-%d"), "Time": HOURS.strftime("%Y-%m-%d %H:%M"), "v": noise(len(HOURS))}
    )
    assert_single(read(write, frame), HOURS, "Time")
    frame = pd.DataFrame({"date": "2024-01-01", "observed": HOURS, "v": noise(len(HOURS))})
    assert_single(read(write, frame), HOURS, "observed")
    frame = panel_of_keys(shop=["a", "b"])
    frame["issued"] = pd.to_datetime(frame.date) - pd.Timedelta(days=7)
    assert read(write, frame).columns == Columns("shop", "date", "sales")


WIDE = {"date": DAYS}


@pytest.mark.parametrize(
    "columns",
    [{"p (mbar)": 900.0, "T (degC)": 4.0}, {"Open": 90.0, "Volume": 1e7}, {"TEMP": 20.0, "PRES": 1000.0},
     {"sales": 5.0, "price": 3.0}, {"a": 1.0, "b": 9000.0}],
)  # fmt: skip
def test_wide_columns_that_look_unlike_each_other_ask_for_a_target(write: Write, columns: dict[str, float]) -> None:
    frame = pd.DataFrame({**WIDE, **{name: noise(120, low) / 7 for name, low in columns.items()}})
    frame.iloc[:, 1] = frame.iloc[:, 1] / (1000 if "a" in columns else 1)
    with pytest.raises(DataError, match="look unlike each other"):
        read_panel(write(frame.to_csv(index=False)))
    names = list(columns)
    assert read_panel("x.csv", Columns(target=names[0])).layout == "single"
    both = read_panel("x.csv", Columns(target=",".join(names)))
    assert (both.layout, both.series.tolist(), both.columns.target) == ("wide", names, ",".join(names))


@pytest.mark.parametrize(
    "names", ["HUFL HULL OT", "MT_001 MT_002 MT_003", "Malta Germany France", "0 1 OT", "temp_a temp_b temp_c"]
)
def test_wide_columns_that_look_alike_are_series(write: Write, names: str) -> None:
    scales = dict(zip(names.split(), (1.0, 30.0, 5.0), strict=True))
    frame = pd.DataFrame({**WIDE, **{name: noise(120) * scale for name, scale in scales.items()}})
    assert read(write, frame).series.tolist() == names.split()


def test_a_series_alone_is_found_without_reading_its_rows_by_pandas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "one.csv"
    file.write_text("Month,sold\n" + "".join(f"{2000 + i // 12}-{i % 12 + 1:02},{i}\n" for i in range(36)))
    monkeypatch.setitem(sys.modules, "pandas", None)  # its import fails
    panel = read_panel(str(file), Columns())
    assert panel.target.tolist() == list(range(36))
    assert panel.columns == Columns(None, "Month", "sold")


def transactions(name: str, keys: list[Any], low: int = 1) -> pd.DataFrame:
    """Two or three sales a day and key, of whole units."""
    random = np.random.default_rng(0)
    rows = [
        (day, key, random.integers(low, low + 8)) for day in DAYS for key in keys for _ in range(random.integers(2, 4))
    ]
    return pd.DataFrame(rows, columns=["date", name, "units"])


def read_sums(write: Write, frame: pd.DataFrame, columns: Columns = Columns()) -> Panel:  # noqa: B008
    options = replace(ReadOptions.of(columns), rows=RowOptions(aggregate="sum"))
    return read_as(write(frame.to_csv(index=False)), options)


@pytest.mark.parametrize("columns", [Columns(), Columns(target="units")])
@pytest.mark.parametrize("name", ["store", "store_id", "FilialNr", "item"])
def test_whole_numbers_that_name_things_are_series_of_joined_rows(write: Write, name: str, columns: Columns) -> None:
    """As texts are: a sum of the numbers of stores is no sales."""
    frame = transactions(name, [1, 2])
    panel = read_sums(write, frame, columns)
    assert panel.columns.series == name
    assert list(panel.series) == ["1", "2"]
    assert panel.target.sum() == frame["units"].sum()


def test_whole_numbers_of_joined_rows_that_may_name_series_ask(write: Write) -> None:
    frame = transactions("kiosk", [1, 2])
    with pytest.raises(DataError, match="'kiosk' has whole numbers that recur") as raised:
        read_sums(write, frame)
    assert raised.value.hint == ("If it does: --series kiosk; if all are to be forecast: --target 'kiosk,units'.")
    assert list(read_sums(write, frame, Columns(series="kiosk")).series) == ["1", "2"]
    assert list(read_sums(write, frame, Columns(target="kiosk,units")).series) == ["kiosk", "units"]


def test_whole_measurements_of_joined_rows_are_no_series(write: Write) -> None:
    frame = transactions("store", [1]).assign(
        store=lambda one: np.arange(len(one)) * 37 % 211, online=noise(len(DAYS) * 2)[0]
    )
    assert read_sums(write, frame).layout == "wide"
