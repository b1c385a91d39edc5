"""What separates columns is seen in the rows, too; rows without any value, and lines above the header, are no rows."""

from __future__ import annotations

import pandas as pd
import pytest

from forecaster.data.reading.csv_shape import delimiter_of, lines_above
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError

DAYS = [f"2024-01-{day:02d}" for day in range(1, 13)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zeit;Leistung, netto\n2024-01-01 00:00;12,5\n2024-01-01 01:00;13,5\n", ";"),
        ("Zeit;Leistung, netto, kW\n2024-01-01 00:00;12,5\n", ";"),
        ("date;A, x;B, y\n2024-01-01;1,5;2\n", ";"),
        ("date\tA, B, C\n2024-01-01\t12\n", "\t"),
        ("date,a;b;c\n2024-01-01,5\n", ","),
        ("date,a|b,c\n2024-01-01,5,6\n", ","),
        ('date,"a;b",c\n2024-01-01,5,6\n', ","),
        ("date;time,a,b\n2024-01-01;00:00,1,2\n", ","),
        ("date,a;b\n2024-01-01,5,6\n", ","),  # no mark fits: the comma among equals
        ("date,a\n2024-01-01,5\n", ","),
    ],
)
def test_the_rows_say_what_separates_columns(text, expected):
    assert delimiter_of(text.encode()) == expected


def test_a_comma_in_the_name_of_a_column_separates_nothing(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("Zeit;Leistung, netto\n" + "".join(f"{day};{i},5\n" for i, day in enumerate(DAYS)))
    panel = read_panel(path)
    assert panel.columns.target == "Leistung, netto" and panel.target.tolist() == [i + 0.5 for i in range(12)]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_rows_without_values_are_none(tmp_path, mark, end):
    rows = [f"{day}{mark}{i}{mark}A" for i, day in enumerate(DAYS)]
    empty = 2 * mark
    lines = [f"date{mark}y{mark}note", *rows[:5], empty, *rows[5:], empty, f"{mark} {mark}", empty]
    path = tmp_path / "x.csv"
    for text in (end.join(lines), end.join([*lines, ""]), end.join([empty, *lines])):
        path.write_bytes(text.encode())
        panel = read_panel(path)
        assert panel.target.tolist() == list(range(12)) and not panel.gaps
    path.write_bytes(end.join([*lines[:8], f"2024-02-30{mark}5{mark}A"]).encode())
    with pytest.raises(DataError, match=r"x.csv:9: timestamp '2024-02-30'"):
        read_panel(path)
    path.write_bytes(end.join([*lines[:8], f"{mark}5{mark}A"]).encode())
    with pytest.raises(DataError, match=r"x.csv:9: timestamp is missing"):
        read_panel(path)


def test_rows_of_a_frame_without_values_are_none():
    frame = pd.DataFrame({"date": [*DAYS[:5], None, *DAYS[5:], None], "y": [*range(5), None, *range(5, 12), None]})
    assert read_panel(frame).target.tolist() == list(range(12))
    frame = frame.astype({"y": object})
    frame.loc[8, "y"] = "many"
    with pytest.raises(DataError, match="data frame row 8: target 'many'"):
        read_panel(frame)


@pytest.mark.parametrize(
    ("above", "count"),
    [
        ("Sales report 2024\n", 1),
        ("Category: All categories\n\n", 2),
        ("# exported 2024\n# unit: kW, hourly, gross\n\n\n", 4),
        ("Sales report 2024,,\n,,\n", 2),
        (",,\n\n", 0),
        ("\n\n", 0),  # blank lines are none in any case
        ('"a title\nof two lines"\n', 0),
        ("#day,sales\n", 0),  # may be the header itself
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", ["day,sales", "Week,term: (Worldwide)", ",sales"])
def test_lines_above_the_header_separate_no_columns(above, count, header, end):
    text = f"{above}{header}\n2024-01-01,5\n2024-01-02,6\n".replace("\n", end)
    assert lines_above(text.encode()) == count


@pytest.mark.parametrize(
    "text", ["value\n1,5\n2,5\n", "Power\n2024-01-01,5\n", "value\n5\n6\n", "day,sales\n2024-01-01,5\n", "a\n"]
)
def test_rows_are_no_header_of_lines_above_them(text):
    assert lines_above(text.encode()) == 0


def test_files_are_joined_without_the_lines_above_their_headers(tmp_path):
    for month in (1, 2):
        rows = "".join(f"2024-0{month}-{day:02d},{day}\n" for day in range(1, 30))
        (tmp_path / f"{month}.csv").write_text(f"Report of month {month}\n\nday,sales\n{rows}")
    panel = read_panel(str(tmp_path / "*.csv"))
    assert panel.target[:29].tolist() == list(range(1, 30)) and "line 3 has the names of the columns." in panel.notes
    with (tmp_path / "2.csv").open("a") as file:
        file.write("2024-03-01,?\n")
    with pytest.raises(DataError, match=r"2.csv:33: target '\?'"):
        read_panel(str(tmp_path / "*.csv"))
