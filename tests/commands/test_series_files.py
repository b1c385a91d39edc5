"""A file for each series: no two series share one, whatever they are called, and each name can be read."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.cli.main import run
from forecaster.commands.series_files import MAX_BYTES, safe_part, series_files
from forecaster.errors import UsageError
from tests.support.stored_models import stored, write_csv

TEXTS = st.text(max_size=80)


@pytest.mark.parametrize(
    "name", ["plain", "A_1.b-c", "Zürich", "東京", "Αθήνα", "сбыт", "दिल्ली", "กรุงเทพ", "a-b-c8687a08", "٣"]
)
def test_letters_of_any_script_stay(name):
    assert safe_part(name) == name


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("a b", "a%20b"),
        ("a%20b", "a%2520b"),
        ("../x", "%2E.%2Fx"),
        ("..", "%2E."),
        ("/etc", "%2Fetc"),
        (".hidden", "%2Ehidden"),
        ("-rf", "%2Drf"),
        ("", "%"),
        ("a\u202eb", "a%E2%80%AEb"),
        ("\n", "%0A"),
    ],
)
def test_what_a_file_cannot_have_is_written_as_in_a_url(name, part):
    assert safe_part(name) == part


@given(TEXTS)
def test_a_name_can_be_read_back_and_stays_in_its_folder(name):
    part = safe_part(name, room=10_000)
    assert unquote(part.replace("%", "", part == "%"), errors="surrogatepass") == name
    assert part and not part.startswith((".", "-")) and not {"/", "\\", "\0", "\n"} & set(part)


@given(TEXTS, TEXTS, st.integers(40, 60))
def test_two_names_never_meet(one, other, room):
    parts = [safe_part(name, room) for name in (one, other)]
    assert (parts[0] == parts[1]) == (one == other)
    assert all(len(os.fsencode(part)) <= room for part in parts)


def test_twenty_thousand_names_in_another_script_have_as_many_files(tmp_path):
    names = [f"склад {chr(0x430 + n % 32)}{n}" for n in range(20_000)]
    assert len(set(series_files(str(tmp_path / "{series}.csv"), names))) == len(names)


def test_a_long_name_fits_with_what_stands_around_it():
    (path,) = series_files("out/daily {series} of the shop.parquet", ["ü" * 400])
    assert len(os.fsencode(Path(path).name)) <= MAX_BYTES


@pytest.mark.parametrize("pair", [("a", "A"), ("straße", "STRASSE"), ("é", "e\u0301")])
def test_names_that_the_file_system_takes_for_one_are_refused(tmp_path, monkeypatch, pair):
    output = str(tmp_path / "{series}.csv")
    assert len(set(series_files(output, pair))) == 2  # this file system keeps them apart
    assert list(tmp_path.iterdir()) == []

    def folded(path):
        return {unicodedata.normalize("NFC", one.name.casefold()) for one in path.parent.iterdir()}

    monkeypatch.setattr(Path, "exists", lambda path: unicodedata.normalize("NFC", path.name.casefold()) in folded(path))
    with pytest.raises(UsageError, match="would have the same file"):
        series_files(output, pair)


def test_series_of_near_names_are_all_written(tmp_path, capfd):
    stored(tmp_path / "models")
    names = ("a b", "a-b-c8687a08", "東京", "京都")
    write_csv(tmp_path / "data.csv", 50, names)
    words = ["predict", str(tmp_path / "data.csv"), "--models", str(tmp_path / "models"), "--model", "m", "--quiet"]
    assert run([*words, "--output", str(tmp_path / "out" / "{series}.csv")]) == 2  # there is no folder
    (tmp_path / "out").mkdir()
    assert run([*words, "--output", str(tmp_path / "out" / "{series}.csv")]) == 0
    found = {path.name: path.read_text().splitlines()[1].partition(",")[0] for path in (tmp_path / "out").iterdir()}
    assert found == {"a%20b.csv": "a b", "a-b-c8687a08.csv": "a-b-c8687a08", "東京.csv": "東京", "京都.csv": "京都"}
