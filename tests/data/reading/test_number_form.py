"""Decimal commas, thousands and encodings: read as they are written, or refused, never as another number."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.data.panel import Columns
from forecaster.data.reading.number_form import NumberForm
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.data.row_options import TextOptions
from forecaster.errors import DataError, UsageError

VALUES = [0.5, -12.25, 1234.5, 1234567.75, 3.0, 98.125, 100.0, 0.0625]


def written(value, decimal, thousands, places=None):
    text = f"{abs(value):,.{places}f}" if places is not None else f"{abs(value):,}"
    text = text.removesuffix(".0") if places is None else text
    return "-" * (value < 0) + text.replace(",", "\0").replace(".", decimal).replace("\0", thousands)


def file_of(tmp_path, cells, delimiter=";", quote="", encoding="utf-8", name="x.csv"):
    rows = [
        f"{quote}{day:%Y-%m-%d}{quote}{delimiter}{quote}{cell}{quote}"
        for day, cell in zip(pd.date_range("2024-01-01", periods=len(cells)), cells, strict=True)
    ]
    path = tmp_path / name
    path.write_bytes("\n".join([f"Tag{delimiter}Größe", *rows, ""]).encode(encoding))
    return path


def read(path, **text):
    return read_as(path, replace(ReadOptions.of(), text=TextOptions(**text)))


FORMS = {
    "decimal comma": (",", ""),
    "German": (",", "."),
    "French": (",", "\u202f"),
    "with spaces": (",", " "),
    "Swiss": (".", "'"),
    "English": (".", ","),
}


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("form", FORMS)
def test_numbers_are_read_as_they_are_written(form, quote, tmp_path):
    decimal, thousands = FORMS[form]
    path = file_of(tmp_path, [written(value, decimal, thousands) for value in VALUES], quote=quote)
    assert read(path, decimal=decimal, thousands=thousands).target.tolist() == VALUES
    if form != "Swiss":
        panel = read_panel(path)
        assert panel.target.tolist() == VALUES and any("decimal mark" in note for note in panel.notes)
        assert panel.text.decimal == decimal


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_plain_and_quoted_files_agree_to_the_bit(delimiter, tmp_path):
    values = np.random.default_rng(0).normal(size=500).cumsum()
    cells = [repr(float(value)).replace(".", ",") for value in values]
    plain = read_panel(file_of(tmp_path, cells, delimiter))
    quoted = read_panel(file_of(tmp_path, cells, delimiter, '"', name="y.csv"))
    assert plain.target.tolist() == quoted.target.tolist() == values.tolist()


@given(
    st.lists(st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: round(x, 3)), min_size=3, max_size=20),
    st.sampled_from([*FORMS]),
)
@settings(max_examples=40)
def test_any_number_is_read_back(tmp_path_factory, values, form):
    decimal, thousands = FORMS[form]
    path = file_of(tmp_path_factory.mktemp("form"), [written(value, decimal, thousands, 3) for value in values])
    assert read(path, decimal=decimal, thousands=thousands).target.tolist() == values


@pytest.mark.parametrize(
    ("cells", "marks"),
    [
        (["1,5", "2.5", "3,5"], {}),
        (["1,5", "2.5", "3,5"], {"decimal": ","}),
        (["1.234,5", "1.5", "2,5"], {"decimal": ",", "thousands": "."}),
        (["1.234,5", "12.34", "2,5"], {}),
        (["1,5", "1.234", "3,5"], {"decimal": ","}),
        (["1.234,5", "1,234.5", "1"], {}),
    ],
)
def test_a_number_of_another_form_is_a_fault_in_its_line(cells, marks, tmp_path):
    with pytest.raises(DataError, match=r"x\.csv:\d.*is not a number|no number"):
        read(file_of(tmp_path, cells * 3), **marks)


def test_a_comma_that_may_mean_two_things_is_asked_about(tmp_path):
    path = file_of(tmp_path, ["1,234", "2,345", "3,456"])
    with pytest.raises(DataError, match="--decimal , or --thousands ,"):
        read_panel(path)
    assert read(path, decimal=",").target.tolist() == [1.234, 2.345, 3.456]
    assert read(path, thousands=",").target.tolist() == [1234, 2345, 3456]


def test_a_name_with_a_comma_among_ids_of_digits_is_no_doubtful_number(tmp_path):
    path, names = tmp_path / "x.csv", ["007", "012", "12", "7", "a,b"]
    days = [f"2024-01-{day:02d}" for day in range(1, 11)]
    path.write_text("sku;date;sales\n" + "".join(f"{sku};{day};0.5\n" for sku in names for day in days))
    assert read_panel(path, Columns(series="sku")).series.tolist() == names


def test_a_point_before_three_digits_stays_a_decimal_point_where_nothing_says_otherwise(tmp_path):
    assert read_panel(file_of(tmp_path, ["1.234", "2.345", "3.456"])).target.tolist() == [1.234, 2.345, 3.456]
    assert read(file_of(tmp_path, ["1.234", "2.345", "3"]), thousands=".").target.tolist() == [1234, 2345, 3]


@pytest.mark.parametrize(
    "encoding", ["utf-16", "utf-16-le", "utf-16-be", "windows-1252", "latin-1", "cp850", "utf-8-sig"]
)
def test_encodings_are_read(encoding, tmp_path):
    path = file_of(tmp_path, ["1,5", "2,5", "3,5"], encoding=encoding)
    panel = read(path, encoding=None if encoding in ("utf-16", "utf-8-sig") else encoding)
    assert panel.columns.target == "Größe" and panel.target.tolist() == [1.5, 2.5, 3.5]


@pytest.mark.parametrize("encoding", ["windows-1252", "latin-1"])
def test_bytes_of_another_encoding_are_refused_with_the_option(encoding, tmp_path):
    with pytest.raises(DataError, match="--encoding windows-1252"):
        read_panel(file_of(tmp_path, ["1,5", "2,5"], encoding=encoding))


def test_texts_of_a_frame_are_read_alike():
    table = pd.DataFrame({"timestamp": pd.date_range("2024-01-01", periods=3), "value": ["1.234,5", "2,5", "3"]})
    assert read(table, decimal=",", thousands=".").target.tolist() == [1234.5, 2.5, 3.0]


@pytest.mark.parametrize(("decimal", "thousands"), [(";", ""), (".", "."), (".", "x"), (",", ",")])
def test_marks_that_are_none_are_refused(decimal, thousands):
    with pytest.raises(UsageError):
        NumberForm(decimal, thousands)


@pytest.mark.parametrize("mark", [" ", "\u00a0", "\u202f"])
def test_a_plain_space_as_an_option_stands_for_spaces_that_do_not_break(tmp_path, mark):
    """Messages say `--thousands ' '`, as nobody can type the others."""
    path = file_of(tmp_path, [f"{n}{mark}234.5" for n in range(1, 9)], ",")
    assert read(path, thousands=" ").target.tolist() == [1000.0 * n + 234.5 for n in range(1, 9)]


@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize(
    ("day", "numbers"),
    [
        ("{:02d}.01.2024", ["10.234", "12.345", "13.456"]),
        ("{:02d}.01.2024 00:00", ["10.234", "12.345", "987"]),
        ("2024-01-{:02d}", ["10.234 €", "12.345 €", "13.456 €"]),
        ("2024-01-{:02d}", ["EUR 1.234", "EUR -2.345", "EUR 967"]),
    ],
)
def test_three_digits_after_a_point_are_asked_about_where_dates_or_money_speak_for_thousands(
    separator, day, numbers, tmp_path
):
    path = tmp_path / "x.csv"
    path.write_text(
        f"day{separator}y\n" + "".join(f"{day.format(i)}{separator}{numbers[i % 3]}\n" for i in range(10, 22))
    )
    with pytest.raises(DataError, match=r"\(column y\) may have decimals or thousands: all numbers fit both") as found:
        read_panel(path)
    assert found.value.hint == "Say which: --decimal . or --thousands ."
    plain = float(re.sub("[^0-9.-]", "", numbers[1]))
    assert read(path, decimal=".").target[0] == plain
    assert read(path, thousands=".").target[0] == 1000 * plain


@pytest.mark.parametrize(
    "numbers", [["0.234", "12.345", "13.456"], ["10.2", "12.345", "13.456"], ["1234.567", "1.234", "2.345"]]
)
def test_points_that_separate_no_thousands_are_decimal_points_beside_any_dates(numbers, tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("day,y\n" + "".join(f"{i:02d}.01.2024,{numbers[i % 3]}\n" for i in range(10, 22)))
    assert read_panel(path).target[1] == float(numbers[2])


@pytest.mark.parametrize(("mark", "decimal"), [(".", ","), (",", "."), (" ", ".")])
@pytest.mark.parametrize("number", ["0{}345", "-0{}345", "012{}345", "000{}001"])
def test_no_group_of_thousands_begins_with_0(tmp_path, mark, decimal, number):
    """0.345 was read as 345."""
    number = number.format(mark)
    path = file_of(tmp_path, [f"1{mark}345", number, f"2{mark}500"])
    with pytest.raises(DataError, match=f"x.csv:3: target '{number}' .column Größe. is not a number"):
        read(path, decimal=decimal, thousands=mark)
    path = file_of(tmp_path, ["0,345", "1,345", "2,500"])
    assert read_panel(path).target.tolist() == [0.345, 1.345, 2.5]


LATE = ["950"] * 300 + ["1.012", "1.050", "998"]  # points that the first rows do not show
DOUBT = r"number '1.0(12|50)' .column Größe. may have decimals or thousands"


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("dates", ["%Y-%m-%d", "%d.%m.%Y"])
@pytest.mark.parametrize("cells", [LATE, LATE[::-1], ["1.012"] * 300 + ["998"], [*LATE, ""], ["1.000", *LATE[:300]]])
def test_points_are_asked_about_wherever_they_are(tmp_path, cells, dates, quote):
    path = tmp_path / "x.csv"
    days = pd.date_range("2022-01-01", periods=len(cells)).strftime(dates)
    rows = [f"{quote}{day}{quote};{quote}{cell}{quote}" for day, cell in zip(days, cells, strict=True)]
    path.write_text("\n".join(["Tag;Größe", *rows, ""]), encoding="utf-8")
    with pytest.raises(DataError, match=r"number '1.0.*' .column Größe. may have decimals or thousands"):
        read_panel(path)
    point = next(i for i, cell in enumerate(cells) if "." in cell)
    assert read(path, decimal=".").target[point] == float(cells[point])
    assert read(path, thousands=".").target[point] == 1000 * float(cells[point])


@pytest.mark.parametrize("more", ["12.5", "0.125", "1012", "12.0625", "0.000"])
@pytest.mark.parametrize("dates", ["%Y-%m-%d", "%d.%m.%Y"])
def test_a_number_that_has_no_thousands_shows_that_points_are_decimal(tmp_path, more, dates):
    cells = [*LATE, more]
    days = pd.date_range("2022-01-01", periods=len(cells)).strftime(dates)
    path = tmp_path / "x.csv"
    path.write_text("Tag;y\n" + "".join(f"{day};{cell}\n" for day, cell in zip(days, cells, strict=True)))
    assert read_panel(path).target.tolist() == [float(cell) for cell in cells]


def test_points_are_asked_about_in_the_files_of_a_folder_and_beside_names_with_commas(tmp_path):
    file_of(tmp_path, LATE[:20], name="a.csv")
    rows = [
        f"{day:%Y-%m-%d};{cell}" for day, cell in zip(pd.date_range("2024-01-21", periods=3), LATE[-3:], strict=True)
    ]
    (tmp_path / "b.csv").write_text("\n".join(["Tag;Größe", *rows, ""]), encoding="utf-8")
    with pytest.raises(DataError, match=DOUBT):
        read_panel(tmp_path)
    path = tmp_path / "c.csv"
    path.write_text("\n".join(["Ort;Tag;Größe", *(f"Berlin, Mitte;{row}" for row in rows), ""]), encoding="utf-8")
    with pytest.raises(DataError, match=DOUBT):
        read_panel(path)


def test_points_in_a_column_that_is_not_read_are_not_asked_about(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("day;y;lat\n" + "".join(f"{i}.01.2024;{i};48.137\n" for i in range(10, 22)))
    assert read_panel(path, Columns(target="y")).target.tolist() == list(range(10, 22))
    with pytest.raises(DataError, match=r"column lat. may have decimals or thousands"):
        read_panel(path, Columns(target="lat"))


@pytest.mark.parametrize("kind", ["xlsx", "parquet", "frame", "categories"])
def test_points_in_texts_are_asked_about_in_other_tables_too(tmp_path, kind):
    cells = ["998", "1.012", "967", "1.100"]
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=4), "Größe": cells})
    source = frame.astype({"Größe": "category"}) if kind == "categories" else frame
    if kind in ("xlsx", "parquet"):
        source = tmp_path / f"x.{kind}"
        frame.to_excel(source, index=False) if kind == "xlsx" else frame.to_parquet(source)
    with pytest.raises(DataError, match=DOUBT):
        read_panel(source)
    assert read(source, decimal=".").target.tolist() == [998, 1.012, 967, 1.1]
    assert read(source, thousands=".").target.tolist() == [998, 1012, 967, 1100]


def test_decimals_as_objects_are_numbers_whatever_separates_thousands_in_texts():
    numbers = [Decimal("998"), Decimal("1.012"), None, Decimal("967.500")]
    frame = pd.DataFrame({"day": pd.date_range("2024-01-01", periods=4), "y": numbers})
    for text in ({}, {"thousands": "."}, {"decimal": ","}):
        np.testing.assert_array_equal(read(frame, **text).target, [998, 1.012, np.nan, 967.5])
