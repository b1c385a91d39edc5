from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from forecaster.data.panel import Columns
from forecaster.data.reading.column_roles import Roles, infer_roles
from forecaster.data.reading.csv_bytes import fetch
from forecaster.data.reading.csv_table import CsvTable
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError


@pytest.fixture
def roles(write: Callable[..., str]) -> Callable[..., Roles]:
    def infer(text: str, columns: Columns = Columns()) -> Roles:  # noqa: B008
        return infer_roles(CsvTable("x.csv", fetch(write(text))), columns)

    return infer


def table(header: str, *rows: str) -> str:
    return "\n".join((header, *rows)) + "\n"


@pytest.mark.parametrize(
    "header",
    ["series,timestamp,target", "unique_id,ds,y", "item_id,timestamp,target", "item_id,timestamp,target,price"],
)
def test_presets_are_recognised_as_they_are(roles: Callable[..., Roles], header: str) -> None:
    names = tuple(header.split(","))
    more = ",7" * (len(names) - 3)
    found = roles(table(header, f"A,2024-01-01,1{more}", f"A,2024-01-02,2{more}"))
    assert found == Roles(names[0], names[1], (names[2],))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (table("Month,#Passengers", "1949-01,112", "1949-02,118"), Roles(None, "Month", ("#Passengers",))),
        (table("ds,y,x", "2024-01-01,1,2", "2024-01-02,1,2"), Roles(None, "ds", ("y",))),
        (table("date,a,b", "2024-01-01,1,2", "2024-01-02,1,2"), Roles(None, "date", ("a", "b"))),
        (table("a,b,when,note", "1,2,2024-01-01,x", "1,2,2024-01-02,y"), Roles(None, "when", ("a", "b"))),
        (table("step,v", "1,5", "2,6"), Roles(None, "step", ("v",))),
        (table("year,v", "2001,5", "2002,6"), Roles(None, "year", ("v",))),
        (table("date,v", "20240101,5", "20240102,6"), Roles(None, "date", ("v",))),
        (table(",date,v", "0,2024-01-01,5", "1,2024-01-02,6"), Roles(None, "date", ("v",))),
        (table("store,day,sales", "1,2024-01-01,1", "2,2024-01-01,1", "1,2024-01-02,2", "2,2024-01-02,2"),
         Roles("store", "day", ("sales",))),
        (table("day,sales,store", "2024-01-01,1,A", "2024-01-01,2,B", "2024-01-02,3,A", "2024-01-02,4,B"),
         Roles("store", "day", ("sales",))),
        (table("day;sales", "2024-01-01;1", "2024-01-02;2"), Roles(None, "day", ("sales",))),
        (table("ds,unique_id,load", "2024-01-01,A,1", "2024-01-02,A,1"), Roles("unique_id", "ds", ("load",))),
    ],
)  # fmt: skip
def test_roles_are_inferred_from_names_and_values(roles: Callable[..., Roles], text: str, expected: Roles) -> None:
    assert roles(text) == expected


def test_a_target_given_makes_a_wide_file_single(roles: Callable[..., Roles]) -> None:
    text = table(
        "date_time,holiday,weather,users,month", "2024-01-01 00:00,0.0,clear,16.0,1", "2024-01-01 01:00,0.0,mist,3.0,1"
    )
    assert roles(text, Columns(target="users")) == Roles(None, "date_time", ("users",))


def test_a_text_column_is_no_series_where_one_stamp_repeats(roles: Callable[..., Roles]) -> None:
    rows = [f"2024-01-01 {h:02d}:00,{'rain' if h % 2 else 'sun'},{h}" for h in range(20)]
    found = roles(table("time,weather,users", *rows, "2024-01-01 03:00,sun,5"))
    assert found.layout == "single"  # and the stamp is reported as a duplicate


def test_a_duplicate_row_does_not_hide_the_series_column(roles: Callable[..., Roles]) -> None:
    rows = [f"{s},2024-01-{d:02d},{7 * d + ord(s)}" for d in range(1, 29) for s in "ABC"]
    assert roles(table("store,day,sales", *rows, rows[0])).series == "store"


def test_keys_of_merged_cells_are_asked_to_be_filled_down(roles: Callable[..., Roles]) -> None:
    days = [f"2024-01-{day:02d}" for day in range(1, 21)]
    rows = [f"{key if i == 0 else ''},{day},{i}" for key in "AB" for i, day in enumerate(days)]
    with pytest.raises(
        DataError, match=r"column 'store' is empty in 38 of 40 rows, and timestamps repeat. .* fill it in"
    ):
        roles(table("store,date,sold", *rows))
    notes = [f"{'sale' if i == 7 else ''},{day},{i}" for _ in "AB" for i, day in enumerate(days)]
    with pytest.raises(DataError, match="no columns separate the series"):
        roles(table("note,date,sold", *notes))


@pytest.mark.parametrize(
    ("texts", "hint"),
    [
        ([f"2024-03-25 {hour:02d}:00 CET" for hour in range(20)], "Leave the zone's name out"),
        ([str(2550 + year) for year in range(20)], "Its year is 2550: convert the dates to the Gregorian calendar"),
        ([str(1380 + year) for year in range(20)], "Its year is 1380: convert the dates"),
        ([f"id {number} A" for number in range(20)], "Name it: --timestamp COLUMN"),
    ],
)
def test_dates_that_are_not_read_say_why(roles: Callable[..., Roles], texts: list[str], hint: str) -> None:
    with pytest.raises(DataError) as caught:
        roles(table("year,rain", *(f"{text},{5 + i % 3}.5" for i, text in enumerate(texts))))
    assert hint in str(caught.value)


@pytest.mark.parametrize("name", ["order_id", "OrderId", "Invoice No", "customer number"])
def test_numbers_of_orders_are_no_series_beside_amounts(name):
    frame = pd.DataFrame(
        {name: range(1000, 1060), "date": pd.date_range("2024-01-01", periods=60), "amount": range(60)}
    )
    with pytest.raises(DataError, match=f"'{name}' names things") as found:
        read_panel(frame)
    assert "Name one: --target COLUMN" in str(found.value.hint)
    assert read_panel(frame, Columns(target="amount")).series.tolist() == ["amount"]


def test_wide_tables_of_codes_and_gases_stay_series():
    days = pd.date_range("2024-01-01", periods=60)
    for names in (["store_no", "shop_no"], ["NO", "CO"], ["zone 1", "zone 2"]):
        frame = pd.DataFrame({"date": days} | {name: [i % 7 for i in range(60)] for name in names})
        assert read_panel(frame).series.tolist() == names


DAYS = [f"2024-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(300)]


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [
        ("date,sales,notes", "5,", Roles(None, "date", ("sales",))),
        ("date,notes,store,sales", ",A,5", Roles("store", "date", ("sales",))),
        ("t,date,sales", "", Roles(None, "date", ("sales",))),
    ],
)
def test_a_column_without_values_is_no_target(roles, header, cells, expected):
    rows = [f",{day},{i}" if header[0] == "t" else f"{day},{cells}" for i, day in enumerate(DAYS)]
    rows += [row.replace("A", "B") for row in rows if "A" in row]
    assert roles(table(header, *rows)) == expected


@pytest.mark.parametrize(
    "first", [0.9311, 1.0845, 1.1950, 66.6896]
)  # the third looks like months of the years 1950 to 2249
@pytest.mark.parametrize("header", ["EURUSD,when", "b,a"])
def test_rates_of_four_decimals_before_the_dates_are_no_months(roles, header, first):
    rows = [f"{first + i / 10_000:.4f},{day}" for i, day in enumerate(DAYS)]
    rate, when = header.split(",")
    assert roles(table(header, *rows)) == Roles(None, when, (rate,))


def test_a_series_that_begins_after_the_first_rows_is_one(roles):
    rows = [f"{day},{i},{i if i > 250 else ''}," for i, day in enumerate(DAYS)]
    assert roles(table("date,old,new,none", *rows)) == Roles(None, "date", ("old", "new"))


def test_a_column_without_values_that_is_named_or_alone_is_refused(write):
    path = write(table("date,sales,notes", *(f"{day},5," for day in DAYS)))
    with pytest.raises(DataError, match="target column 'notes' holds no number"):
        read_panel(path, Columns(target="notes"))
    with pytest.raises(DataError, match="target column 'notes' holds no number"):
        read_panel(write(table("date,notes", *(f"{day}," for day in DAYS))))


@pytest.mark.parametrize("numbers", ["97,504", "7,5"])
def test_numbers_with_commas_are_asked_about_and_name_no_series(write, numbers):
    rows = [f'{day},{item},"{numbers}"' for item in (7, 12, 100) for day in DAYS[:24]]
    rows = [row.replace("7,5", f"{10 + i},5") for i, row in enumerate(rows)]  # all unlike each other
    path = write(table("day,item,Qty", *rows))
    with pytest.raises(DataError, match=r"\(column Qty\) may have a decimal comma or thousands"):
        read_panel(path)
