"""The quick pass after a fault finds what the slow one finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.data.reading import text_columns as cells
from forecaster.data.reading.csv_bytes import mended, records, refuse_binary
from forecaster.data.reading.csv_lines import lines_of
from forecaster.data.reading.datetime_text import iso
from forecaster.data.reading.text_columns import TextColumn, numbers_in
from forecaster.data.reading.timestamp_column import Origin, _exact, _quick
from forecaster.errors import DataError

PIECES = st.lists(st.sampled_from(["a", "1", ",", ",", "\n", "\n", "\r\n", " ", '"', '"b, c"', "ü"]), max_size=30)


@given(PIECES)
def test_records_are_counted_on_their_lines(pieces: list[str]) -> None:
    data = "".join(["series,timestamp\n", *pieces]).encode()
    quick = lines_of("a.csv", data, ",")
    if quick is not None:
        slow = [(line, len(fields)) for line, fields in records("a.csv", data, ",")]
        assert list(zip(quick.number.tolist(), quick.fields.tolist(), strict=True)) == slow


def test_a_field_over_several_lines_is_left_to_the_slow_pass() -> None:
    assert lines_of("a.csv", b'a,b\n"x\ny",1\n', ",") is None
    assert lines_of("a.csv", b"a,b\rx,1\r", ",") is None
    plain = lines_of("a.csv", b'a,b\n\n"x, y",1\n   \nz,2,3', ",")
    assert plain is not None
    assert (plain.number.tolist(), plain.fields.tolist()) == ([1, 3, 5], [2, 2, 3])


def test_lines_in_another_block_keep_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forecaster.data.reading.csv_bytes.BLOCK", 16)
    data = b"".join(b"%d,%s\n" % (i, b"x,y" if i in (40, 77) else b"x") for i in range(100))
    found = lines_of("a.csv", data, ",")
    assert found is not None
    assert found.number[found.fields == 3].tolist() == [41, 78]
    foreign = data.replace(b"50,x", b"50,\xe9").replace(b"90,x", b"90,\xff")
    with pytest.raises(DataError, match=r"a.csv:51: byte 0xe9"):
        refuse_binary("a.csv", foreign)
    assert mended(foreign).decode() == foreign.decode("latin-1")


TEXTS = ("1", " 2.5 ", "-.5", "1e5", "1E+5", "1.", "inf", "-Infinity", "nan", "", "NA", "0.1", "123456789.123456789")
ODD = ("1_000", "0x10", "1e", ".", "1,5", "--1", "1d", "5%", "１", "True", "e5", "1 2", "1e5.5", "+")


@given(st.lists(st.sampled_from([*TEXTS, *ODD]), min_size=1))
def test_many_numbers_are_read_as_few_are(texts: list[str]) -> None:
    slow, none = numbers_in(texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cells, "_MIN_PANDAS_TEXTS", 0)
        quick, nor = numbers_in(texts)
    np.testing.assert_array_equal(slow, quick)
    assert none == nor and set(none.values()) <= set(ODD)


STAMPS = ("2024-01-01", "2024-01-01 10:30", "2024-02-30", "0001-01-01", "2024Q2", "Total", "", "9999-12-31 23:59:59")


@given(st.lists(st.sampled_from(STAMPS), min_size=1), st.sampled_from(["", "Z", "+01:00"]))
def test_a_few_stamps_that_pandas_cannot_read_are_parsed_one_by_one(texts: list[str], offset: str) -> None:
    index = pd.Index([text + offset if text[-2:].isdigit() else text for text in texts], dtype=object)
    origin = Origin("date", TextColumn(np.arange(len(index)), index), lambda _: "a.csv:2")

    def result_of(read) -> object:
        try:
            stamps = read()
        except DataError as error:
            return str(error)
        return stamps and (stamps.values.tolist(), stamps.zone)

    quick = result_of(lambda: _quick(index, origin, iso))
    assert quick in (None, result_of(lambda: _exact(index, origin)))
