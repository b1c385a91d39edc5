"""Workbooks are read as CSV is: dates, numbers, and texts that stay texts."""

from __future__ import annotations

import datetime as dt
import sys
import zipfile

import numpy as np
import pytest

from forecaster.data.panel import Columns
from forecaster.data.reading import workbook
from forecaster.data.reading.find_faults import find_faults
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError

openpyxl = pytest.importorskip("openpyxl")

DAYS = [dt.datetime(2024, 1, 1) + dt.timedelta(days=i) for i in range(12)]
FILLED = dt.datetime(2024, 1, 1)


def book(tmp_path, *sheets, name="x.xlsx"):
    """A workbook; a sheet is a list of rows."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for i, rows in enumerate(sheets):
        sheet = made.create_sheet(f"S{i + 1}")
        for row in rows:
            sheet.append(row)
    made.save(tmp_path / name)
    return tmp_path / name


def long(names=("007", "7", "12"), date=lambda day: day):
    rows = [["sku", "day", "sold"]]
    return rows + [[name, date(day), n + i + 0.25] for n, name in enumerate(names) for i, day in enumerate(DAYS)]


@pytest.mark.parametrize(
    "date",
    [
        lambda day: day,
        lambda day: day.date(),
        lambda day: f"{day:%Y-%m-%d}",
        lambda day: f"{day:%d %b %Y}",
        lambda day: int(f"{day:%Y%m%d}"),
        lambda day: day if day.day % 2 else f"{day:%Y-%m-%d}",
    ],
)
def test_dates_in_any_form_and_ids_as_they_are(tmp_path, date):
    panel = read_panel(book(tmp_path, long(date=date)))
    assert panel.series.tolist() == ["007", "7", "12"] and panel.freq.name == "D"
    assert panel.lengths.tolist() == [12] * 3 and panel.target[:3].tolist() == [0.25, 1.25, 2.25]
    assert panel.timestamp_text(int(panel.timestamps[0])) == "2024-01-01"


def test_hours_times_and_numbers_as_names(tmp_path):
    hours = [FILLED + dt.timedelta(hours=i) for i in range(30)]
    found = read_panel(book(tmp_path, [["time", "load"], *([hour, i + 0.5] for i, hour in enumerate(hours))]))
    assert found.freq.name == "h" and found.target[3] == 3.5
    parts = [["Date", "Time", "load"], *([hour.date(), hour.time(), i] for i, hour in enumerate(hours))]
    assert read_panel(book(tmp_path, parts)).freq.name == "h"
    shops = [["shop", "day", "sold"], *([shop, day, shop] for shop in (3, 12) for day in DAYS)]
    assert read_panel(book(tmp_path, shops), Columns(series="shop")).series.tolist() == ["3", "12"]


@pytest.mark.parametrize("form", ["[h]:mm", "hh:mm", "[hh]:mm:ss"])
def test_the_hour_24_of_a_cell_is_the_end_of_the_day(tmp_path, form):
    """A spreadsheet stores it as the number 1, which is read as a duration or as a date of 1900, by the cell's form."""
    hours = [(dt.datetime(2024, 1, day), hour) for day in range(1, 6) for hour in range(1, 25)]
    path = book(
        tmp_path, [["date", "time", "load"], *([day, hour / 24, float(n)] for n, (day, hour) in enumerate(hours))]
    )
    made = openpyxl.load_workbook(path)
    for row in made.active.iter_rows(min_row=2, min_col=2, max_col=2):
        row[0].number_format = form
    made.save(path)
    panel = read_panel(path)
    assert panel.target.tolist() == list(range(120)) and not panel.gaps
    assert str(panel.timestamps[:1].astype("M8[us]")[0]) == "2024-01-01T01:00:00.000000"


def test_titles_empty_rows_and_other_sheets_do_not_matter_and_are_told(tmp_path):
    rows = [["Sales of 2024"], [], *long()[:14], [None, None, None], *long()[14:], []]
    panel = read_panel(book(tmp_path, [], rows, [["a", "b"], [1, 2]]))
    assert panel.series.tolist() == ["007", "7", "12"] and panel.gaps == 0
    assert "sheet 'S2' of 2 is read. row 3 has the names of the columns." in panel.notes


def test_missing_cells_are_missing_and_wide_sheets_are_wide(tmp_path):
    rows = [["day", "north", "south"], *([day, i, None if i == 4 else 2 * i] for i, day in enumerate(DAYS))]
    panel = read_panel(book(tmp_path, rows))
    assert panel.layout == "wide" and np.flatnonzero(np.isnan(panel.target)).tolist() == [16]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[5].__setitem__(2, "many"), r"x.xlsx row 6: target 'many'"),
        (lambda rows: rows[5].__setitem__(2, "#DIV/0!"), r"x.xlsx row 6: target '#DIV/0!'"),
        (lambda rows: rows[5].__setitem__(1, rows[4][1]), r"x.xlsx row 6: .* is already in x.xlsx row 5"),
        (
            lambda rows: rows[5].append("note"),
            r"x.xlsx row 6: there are more cells than in the header, row 1",
        ),
        (lambda rows: rows[5].__setitem__(2, "=A1+1"), r"x.xlsx row 6: the formula in C6 has no stored value"),
        (lambda rows: rows.clear(), r"x.xlsx: the workbook has no cells"),
        (lambda rows: rows.__delitem__(slice(1, None)), r"x.xlsx: there are no rows"),
    ],
)
def test_faults_are_one_line_with_the_row_of_the_sheet(tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    rows = long()
    change(rows)
    book(tmp_path, rows)
    with pytest.raises(DataError, match=message) as caught:
        read_panel("x.xlsx")
    assert "\n" not in str(caught.value)
    assert find_faults("x.xlsx", ReadOptions.of()).faults >= 1


def test_what_is_no_workbook_is_refused(tmp_path):
    path = tmp_path / "x.xlsx"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"not an \.xlsx workbook"):
        read_panel(path)
    whole = book(tmp_path, long()).read_bytes()
    for cut in range(0, len(whole), 97):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"damaged|not an \.xlsx|empty"):
            read_panel(path)
    with pytest.raises(DataError, match="no such file"):
        read_panel(tmp_path / "y.xlsx")


def sheet_of(path, rows):
    """A workbook whose sheet has these rows of XML."""
    book(path.parent, [["x", "y"]], name="plain.xlsx")
    with zipfile.ZipFile(path.parent / "plain.xlsx") as plain, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name in plain.namelist():
            content = plain.read(name)
            if name == "xl/worksheets/sheet1.xml":
                space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
                content = f'<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'.encode()
            made.writestr(name, content)


HEADER = '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>'


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            HEADER + "<row><c><v>1</v></c></row>" * 200_000,
            "unpacks to more than 200 times its size, as no workbook does.",
        ),
        (HEADER + '<row r="99999999999"><c><v>1</v></c></row>', "the sheet 'S1' has more than 1,048,576 rows."),
        (HEADER + '<row><c r="XFD2"><v>1</v></c></row>' * 9, "the sheet 'S1' has more than 100,000 cells."),
    ],
)
def test_a_small_workbook_with_a_huge_table_is_refused_in_one_line(tmp_path, monkeypatch, rows, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(workbook, "_MAX_SMALL", 1 << 20)
    monkeypatch.setattr(workbook, "MAX_CELLS", 100_000)
    sheet_of(tmp_path / "x.xlsx", rows)
    with pytest.raises(DataError) as caught:
        read_panel("x.xlsx")
    assert str(caught.value).startswith(f"x.xlsx: {message} ")


def test_without_openpyxl_it_says_what_to_install(tmp_path, monkeypatch):
    path = book(tmp_path, long())
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        DataError, match=r"needs openpyxl, which is not installed. Install it with `pip install .*\[xlsx\]"
    ):
        read_panel(path)
