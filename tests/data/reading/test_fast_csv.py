"""The quick reader gives what pandas gives, to the bit, or leaves the file to pandas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.data.reading import csv_table
from forecaster.data.reading.fast_csv import read_plain
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError

KINDS = {"series": "series", "timestamp": "stamp", "target": "number"}
HEADER = "series,timestamp,target\n"


def plain(text, missing=("", "NA")):
    return read_plain((HEADER + text).encode(), ",", tuple(KINDS), KINDS, missing)


def by_pandas(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(csv_table.CsvTable, "_read_plain", lambda *_: False)
        return read_panel(path)


@pytest.mark.parametrize(
    "stamps",
    [
        np.arange("2019-12", "2020-12", dtype="M8[M]").astype(str),
        np.arange("2020-02-20", "2020-03-03", dtype="M8[D]").astype(str),
        np.char.replace(
            np.arange("2020-02-28T20", "2020-02-29T08", dtype="M8[h]").astype("M8[m]").astype(str), "T", " "
        ),
        np.arange("1950-12-31T23:59:50", "1951-01-01T00:00:02", dtype="M8[s]").astype(str),
        np.arange("1950-12-31T23:59:59.9", "1951-01-01T00:00:01.1", 100, dtype="M8[ms]").astype(str),
        np.char.add(np.arange("2020-02-20", "2020-03-03", dtype="M8[D]").astype(str), " 00:00:00.000000"),
        np.arange(7, 19).astype(str),
    ],
)
def test_a_plain_file_is_read_as_by_pandas(stamps, tmp_path, monkeypatch):
    values = [
        "1",
        "-2.5",
        "0.1",
        "",
        "1e3",
        "12345678901234567.5",
        "+3.25",
        "NA",
        "-0.0",
        "7.",
        "123456789012.345",
        "5E-3",
    ]
    rows = [
        f"{name},{stamp},{value}" for name in ("a", "ä b", "10") for stamp, value in zip(stamps, values, strict=True)
    ]
    path = tmp_path / "data.csv"
    path.write_text(HEADER + "\n".join(rows), encoding="utf-8")
    used = plain("\n".join(rows))
    quick, slow = read_panel(str(path)), by_pandas(str(path), monkeypatch)
    assert used is not None
    assert list(quick.series) == list(slow.series) == ["a", "ä b", "10"]
    for name in ("offsets", "timestamps", "target"):
        assert np.ascontiguousarray(getattr(quick, name)).tobytes() == getattr(slow, name).tobytes()
    assert quick.notes == slow.notes


def test_quotes_in_the_header_alone_leave_a_file_plain(tmp_path, monkeypatch):
    rows = "\n".join(f"{name},{day},{day % 7}" for name in ("a", "b") for day in range(20))
    path = tmp_path / "data.csv"
    path.write_text('"series","timestamp","sold"\n' + rows)
    monkeypatch.setattr(csv_table.CsvTable, "_frame", lambda *_, **__: pytest.fail("read by pandas"))
    assert read_panel(str(path)).target.tolist() == [float(day % 7) for day in range(20)] * 2
    path.write_text('"series\nname",timestamp,target\n' + rows)  # the rows do not begin where the first line ends
    with pytest.raises(pytest.fail.Exception):
        read_panel(str(path))


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=40))
@settings(max_examples=200, deadline=None)
def test_numbers_are_read_to_the_bit(values):
    rows = "\n".join(f"a,{i},{value!r}" for i, value in enumerate(values))
    read = plain(rows)
    assert read is not None
    assert read.numbers["target"].tobytes() == np.array(values).tobytes()


@pytest.mark.parametrize(
    "text",
    [
        'a,2020-01-01,"1"',  # quotes
        "a,2020-01-01,1\r\na,2020-01-02,2",  # Windows line ends
        "a, 2020-01-01,1",  # spaces
        "a,2020-01-01,1,2",  # ragged
        "a,2020-01-01",
        "a,2020-01-01,1\n\na,2020-01-02,1",  # a blank line
        "a,2020-13-01,1",  # no dates
        "a,2020-02-30,1",
        "a,2020-01-01,1\na,2020-1-02,1",
        "a,2020-01-01T24:00,1",
        "a,2020-01-01T00:00Z,1",
        "a,2020-01-01T00:00:00.1,1",
        "a,2020-01-01T00:00:00.1234567,1",
        "a,01/02/2020,1",
        "a,01012020,1",  # a date that begins with a zero
        "a,2000-01,1\na,2001-02,1",  # years of two calendar years
        "a,1.5,1",
        "a,,1",
        "a,2020-01-01,1 000",  # no numbers
        "a,2020-01-01,1.2.3",
        "a,2020-01-01,.",
        "a,2020-01-01,-",
        "a,2020-01-01,1_0",
        "a,2020-01-01,inf",
        "a,2020-01-01,nan",
        "\n".join(f"{name},{i},1" for i in range(50) for name in "ab"),  # series in turn
    ],
)
def test_a_file_that_is_not_plain_is_left_to_pandas(text):
    assert plain(text) is None


def test_blocks_meet_without_a_seam(monkeypatch):
    rows = [f"s{n},{i},{n * 100 + i}.5" for n in range(20) for i in range(40)]
    whole = plain("\n".join(rows))
    monkeypatch.setattr("forecaster.data.reading.fast_csv.BLOCK", 64)
    cut = plain("\n".join(rows))
    for kind in ("codes", "steps", "numbers"):
        for name, values in getattr(whole, kind).items():
            np.testing.assert_array_equal(getattr(cut, kind)[name], values)
    assert cut.texts == whole.texts


def test_a_timestamp_format_is_checked_in_every_row(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("timestamp,target\n2020-01-01,1\n2020-01-02,2\n2020-01-03,3\n")
    with pytest.raises(DataError, match="2020-01-01"):
        read_panel(str(path), timestamp_format="%d/%m/%Y")
