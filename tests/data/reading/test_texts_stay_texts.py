"""Names of series are texts as they are in the file, through every reader and whatever they look like."""

from __future__ import annotations

import csv
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError

LIKE_NUMBERS = (
    ("007", "7", "12"), ("01", "02", "10"), ("1.10", "1.1", "1.100"), ("12E4", "120000", "12e4"), ("1_000", "1000"),
    ("TRUE", "True", "true"), ("+5", "5", "-5"), ("0x1F", "31"), ("inf", "Infinity"), ("1e5", "100000.0"), (".5", "0.5"),
    ("2024-01", "202401"), ("NA", "null", "nan"), ("9007199254740993", "9007199254740992"),
)  # fmt: skip


def written(names: tuple[str, ...], way: str) -> str:
    """A file of ten weeks for each series, written in one `way`."""
    weeks = [f"2024-01-{day:02}" for day in range(1, 11)]
    rows = [(name, week, i) for name in names for i, week in enumerate(weeks)]
    if way == "interleaved":
        rows.sort(key=lambda row: row[1])
    quote = '"' if way == "quoted" else ""
    lines = ["sku,date,qty", *(f"{quote}{name}{quote},{week},{value}" for name, week, value in rows)]
    return ("\r\n" if way == "windows" else "\n").join(lines)


@pytest.mark.parametrize("way", ["in turn", "interleaved", "quoted", "windows"])
@pytest.mark.parametrize("names", LIKE_NUMBERS, ids=" ".join)
def test_ids_that_look_like_other_things_stay_as_they_are(
    write: Callable[..., str], names: tuple[str, ...], way: str
) -> None:
    panel = read_panel(write(written(names, way)), Columns(series="sku"))
    assert panel.series.tolist() == list(names)
    assert np.array_equal(panel.target, np.tile(np.arange(10.0), len(names)))


@pytest.mark.parametrize("names", [("007", "012"), ("1.10", "2.20"), ("TRUE", "FALSE")], ids=" ".join)
def test_ids_that_first_differ_late_in_the_file_stay_as_they_are(
    write: Callable[..., str], names: tuple[str, ...]
) -> None:
    stamps = pd.date_range("2024-01-01", periods=300).strftime("%Y-%m-%d")
    rows = [f"x{name},{stamp},1" for stamp in stamps for name in names]
    tail = [f"{name},{stamp},2" for stamp in stamps for name in names]
    assert read_panel(write("\n".join(["sku,date,qty", *rows, *tail])), Columns(series="sku")).series.tolist() == [
        *(f"x{name}" for name in names),
        *names,
    ]


def test_categories_that_look_like_numbers_stay_as_they_are(write: Callable[..., str]) -> None:
    rows = [f"{name},2024-01-{day:02},{name},{day}" for day in range(1, 11) for name in ("007", "7")]
    columns = Columns("sku", "date", "qty", static=("code",), texts=("code",))
    panel = read_panel(write("\n".join(["sku,date,code,qty", *rows])), columns)
    assert panel.covariates[0].levels == ("007", "7")


@pytest.mark.parametrize("ending", ["csv", "parquet", "quoted", "frame"])
def test_spaces_around_names_are_no_part_of_them(tmp_path, ending):
    """`Nord ` of one year and `Nord` of the next are one series, for every form of input."""
    days = pd.date_range("2024-01-01", periods=40).astype(str)
    names = ["Nord"] * 20 + [" Nord\xa0"] * 20
    frame = pd.DataFrame({"region": [*names, *["Sud "] * 40], "day": [*days, *days], "sold": np.arange(80.0)})
    path = tmp_path / f"x.{'csv' if ending == 'quoted' else ending}"
    if ending == "parquet":
        frame.to_parquet(path)
    elif ending != "frame":
        frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL if ending == "quoted" else csv.QUOTE_MINIMAL)
    panel = read_panel(frame if ending == "frame" else path)
    assert list(panel.series) == ["Nord", "Sud"]
    np.testing.assert_array_equal(panel.target, np.arange(80.0))
    assert not panel.warnings


def test_spaces_around_parts_of_names_are_no_part_of_them(tmp_path):
    days = pd.date_range("2024-01-01", periods=4)
    frame = pd.DataFrame({"shop": ["a", "a ", "a", "a"] * 2, "item": ["x", "x", " x", "x"] * 2, "day": [*days, *days]})
    frame.loc[4:, "item"] = "y, z"
    panel = read_panel(frame.assign(sold=1.0), Columns(series="shop,item"))
    assert list(panel.series) == ["a,x", 'a,"y, z"'] and panel.lengths.tolist() == [4, 4]


def test_a_row_that_is_there_twice_but_for_a_space_is_refused(tmp_path):
    (tmp_path / "x.csv").write_text("shop,day,sold\na,2024-01-01,1\na,2024-01-02,2\na ,2024-01-02,3\na,2024-01-03,4\n")
    with pytest.raises(DataError, match=r"x.csv:4: .*2024-01-02.*already"):
        read_panel(tmp_path / "x.csv", Columns(series="shop"))


def test_names_that_differ_only_in_case_are_warned_of():
    days = pd.date_range("2024-01-01", periods=10)
    frame = pd.concat(pd.DataFrame({"shop": name, "day": days, "sold": 1.0}) for name in ("Nord", "sud", "nord"))
    (warning,) = read_panel(frame, Columns(series="shop", target="sold")).warnings
    assert warning.startswith("series 'Nord' and 'nord' differ only in case")
