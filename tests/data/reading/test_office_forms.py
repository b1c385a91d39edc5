"""Forms that offices export: signs of money and percent, bars between columns, months in other languages, fiscal quarters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.data.reading.date_words import in_english
from forecaster.data.reading.number_signs import other_signs, without_sign
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.errors import DataError
from tests.support.factories import NAN

VALUES = [1000.5, -1250.25, 2047.0, 812.0, NAN, 1_234_567.5]
FORMS = {
    "dollars in quotes": (",", lambda v: f'"${v:,.2f}"'.replace("$-", "-$")),
    "dollars": (",", lambda v: f"${v:.2f}"),
    "a code after": ("|", lambda v: f"{v:,.2f} USD"),
    "euro before": (";", lambda v: f"€ {v:,.2f}".translate(str.maketrans(",.", ".,"))),
    "euro after, minus of print": (";", lambda v: f"{v:.2f} €".replace(".", ",").replace("-", "\u2212")),
    "percent": (",", lambda v: f"{v:.2f}%"),
    "percent after a space": (";", lambda v: f"{v:.2f} %".replace(".", ",")),
    "percent beside a bar": ("|", lambda v: f"{v:.2f}%"),
}


def write(path: Path, delimiter: str, cells: list[str]) -> Path:
    rows = [f"2024-0{i + 1}-01{delimiter}{cell}" for i, cell in enumerate(cells)]
    path.write_text(f"month{delimiter}value\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("form", FORMS)
def test_numbers_with_a_sign_are_the_numbers_alone_and_a_note_says_so(tmp_path, form):
    delimiter, written = FORMS[form]
    path = write(tmp_path / "x.csv", delimiter, ["" if np.isnan(v) else written(v) for v in VALUES])
    panel = read_panel(path)
    np.testing.assert_array_equal(panel.target, VALUES)
    assert any("read" in note and ("without it" in note or "in percent" in note) for note in panel.notes)
    again = read_as(
        path, ReadOptions(panel.columns, panel.freq, 12, None, None, text=panel.text)
    )  # as a model reads it
    np.testing.assert_array_equal(again.target, VALUES)


def test_texts_of_a_frame_may_have_signs_too():
    stamps = pd.date_range("2024-01-01", periods=4, freq="MS")
    panel = read_panel(pd.DataFrame({"ds": stamps, "y": ["$1.5", "-$2", None, "$3"]}))
    np.testing.assert_array_equal(panel.target, [1.5, -2.0, NAN, 3.0])
    assert any("without it" in note for note in panel.notes)


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        (["$1", "$2", "€3", "$4"], "x.csv:4: target '€3'"),
        (["1%", "2%", "0.03", "4%", "5%", "6%"], "x.csv:4: target '0.03'"),
        (["1", "2", "3%", "4"], "x.csv:4: target '3%'"),
        (["$1", "$2", "$ (3)", "$4", "$5", "$6"], "x.csv:4: target '$ (3)'"),
        (["$1", "$2", "$1.234.5", "$4", "$5", "$6"], "x.csv:4: target '$1.234.5'"),
        (['"$1,000"', '"$1,100"', '"$1,200"'], "x.csv:2: target '$1,000'.*--thousands ,"),
    ],
)
def test_signs_that_are_not_the_same_are_named_with_their_line(tmp_path, cells, fault):
    with pytest.raises(DataError, match=fault.replace("$", r"\$").replace("(", r"\(").replace(")", r"\)")):
        read_panel(write(tmp_path / "x.csv", ",", cells))


def test_rows_of_one_currency_may_lack_its_sign(tmp_path):
    found = read_panel(write(tmp_path / "x.csv", ",", ["$1", "$2", "$3", "$4", "5", "$6"]))
    assert found.target.tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("text", ["$", "$1$", "1 kWh", "abc", "", "--1", "-$-1", "1 $ 2 $"])
def test_what_is_no_signed_number_stays(text):
    assert without_sign(text) == (text, "")


def test_the_most_usual_sign_is_the_columns():
    assert other_signs(["$1", "2", "€3", "$4"]) == {2}
    assert other_signs(["1%", "2", "3%"]) == {1}


MONTHS = {
    "German": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "German, short": "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "Austrian": "Jänner Feber März April Mai Juni Juli August September Oktober November Dezember",
    "French": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "French, short": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "Spanish": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "Spanish, short": "ene feb mar abr may jun jul ago sep oct nov dic",
    "Italian": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "Portuguese": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "Dutch": "januari februari maart april mei juni juli augustus september oktober november december",
    "Swedish": "januari februari mars april maj juni juli augusti september oktober november december",
    "Danish": "januar februar marts april maj juni juli august september oktober november december",
}


@pytest.mark.parametrize("language", MONTHS)
@pytest.mark.parametrize("form", ["{m} 20{y}", "20{y} {m}", "1. {m} 20{y}", "{m}-{y}"])
def test_months_have_names_in_other_languages(tmp_path, language, form):
    stamps = [form.format(m=m, y=y) for y in (20, 21) for m in MONTHS[language].split()]
    path = tmp_path / "x.csv"
    path.write_text("month,value\n" + "".join(f"{stamp},{i}\n" for i, stamp in enumerate(stamps)), encoding="utf-8")
    panel = read_panel(path)
    assert panel.freq.name == "MS" and panel.gaps == 0
    expected = np.arange(np.datetime64("2020-01"), np.datetime64("2022-01")).astype("M8[us]").astype(np.int64)
    np.testing.assert_array_equal(panel.timestamps, expected)


PARTS = {
    "Jahr,Monat": lambda t: (t.year, t.month),
    "Année,Mois": lambda t: (t.year, MONTHS["French"].split()[t.month - 1]),
    "mes,año": lambda t: (MONTHS["Spanish"].split()[t.month - 1], t.year),
    "Anno,Mese": lambda t: (t.year, f"{t.month:02d}"),
}


@pytest.mark.parametrize("names", PARTS)
def test_columns_with_parts_of_dates_have_names_in_other_languages(names):
    stamps = pd.date_range("2020-01-01", periods=36, freq="MS")
    parts = pd.DataFrame([PARTS[names](t) for t in stamps], columns=names.split(","))
    panel = read_panel(parts.assign(v=np.arange(36.0) * 1.5))
    assert panel.freq.name == "MS" and panel.gaps == 0 and len(panel.series) == 1
    np.testing.assert_array_equal(panel.target, np.arange(36.0) * 1.5)


@pytest.mark.parametrize("names", ["Datum;Stunde", "Date;Heure", "Fecha;Hora", "Datum;Uhrzeit"])
def test_hours_beside_dates_have_names_in_other_languages(tmp_path, names):
    rows = [f"{10 + i // 24}.01.2024;{i % 24:02d}:00;{500 + i * 37 % 400}" for i in range(240)]
    path = tmp_path / "x.csv"
    path.write_text(names + ";v\n" + "\n".join(rows) + "\n", encoding="utf-8")
    panel = read_panel(path)
    assert panel.freq.name == "h" and len(panel.series) == 1 and len(panel.target) == 240


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("1 de enero de 2020", "1 jan 2020"),
        ("1er janvier 2020", "1 jan 2020"),
        ("2020-01-31T10:00:00", "2020-01-31T10:00:00"),
        ("Marshall 2020", "Marshall 2020"),
    ],
)
def test_only_names_of_months_are_turned_into_english(text, english):
    assert in_english(text) == english


@pytest.mark.parametrize("form", ["FY{y} Q{q}", "FY20{y}Q{q}", "FY{y}-Q{q}", "Q{q} FY{y}"])
def test_a_quarter_of_a_fiscal_year_is_refused_with_the_format_that_reads_it(tmp_path, form):
    path = tmp_path / "x.csv"
    cells = [form.format(y=y, q=q) for y in range(10, 14) for q in range(1, 5)]
    path.write_text("period,value\n" + "".join(f"{cell},{i}\n" for i, cell in enumerate(cells)), encoding="utf-8")
    with pytest.raises(
        DataError, match=r"x.csv:2: timestamp '.*' \(column period\) is a quarter of a fiscal year"
    ) as error:
        read_panel(path)
    pattern = str(error.value).split("--timestamp-format '")[1].split("'")[0]
    panel = read_panel(path, timestamp_format=pattern)
    assert panel.freq.name == "QS" and str(panel.timestamps[:1].astype("M8[us]")[0])[:10] == "2010-01-01"
