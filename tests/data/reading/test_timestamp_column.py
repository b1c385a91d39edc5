from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.data.reading import timestamp_column as module
from forecaster.data.reading.parsed_timestamps import Origin, ParsedTimestamps
from forecaster.data.reading.text_columns import TextColumn
from forecaster.data.reading.timestamp_column import parse_stamps
from forecaster.errors import DataError


def origin(texts: Sequence[str], column: str = "date", **given: Any) -> Origin:
    column_of_texts = TextColumn(np.arange(len(texts)), pd.Index(texts, dtype=object))
    return Origin(column, column_of_texts, lambda row: f"x.csv:{row + 2}", **given)


def parse(*texts: str, column: str = "date", **given: Any) -> ParsedTimestamps:
    return parse_stamps(origin(texts, column, **given))


def micros(*texts: str) -> list[int]:
    return np.array(texts, dtype="M8[us]").astype(np.int64).tolist()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1949-01", "1949-01-01"), ("2024", "2024-01-01"), ("20240131", "2024-01-31"), ("2024/01/31", "2024-01-31"),
        ("2024-Q3", "2024-07-01"), ("2024Q4", "2024-10-01"), ("2024-01-31 13:05", "2024-01-31T13:05"),
        ("2024-01-31T13:05:06", "2024-01-31T13:05:06"), ("2024-01-31 13:05:06.25", "2024-01-31T13:05:06.250"),
        ("2024-01-31T13:05:06,123456789", "2024-01-31T13:05:06.123456"), ("20240131T1305", "2024-01-31T13:05"),
        ("1582-10-15", "1582-10-15"), ("9999-12-31", "9999-12-31"),
    ],
)  # fmt: skip
def test_iso_8601_is_read_in_its_usual_forms(text: str, expected: str) -> None:
    read = parse(text)
    assert (read.values.tolist(), read.zone, read.whole_numbers) == (micros(expected), None, False)


@pytest.mark.parametrize(
    ("text", "zone", "instant"),
    [
        ("2024-01-31T13:00:00Z", "UTC", "2024-01-31T13:00"), ("2024-01-31 13:00+01:00", "+01:00", "2024-01-31T12:00"),
        ("2024-01-31T13:00:00-0330", "-03:30", "2024-01-31T16:30"), ("2024-01-31 13:00:00 +01", "+01:00", "2024-01-31T12:00"),
        ("2024-01-31 13:00:00+00:00", "UTC", "2024-01-31T13:00"),
    ],
)  # fmt: skip
def test_offsets_make_instants_and_a_zone(text: str, zone: str, instant: str) -> None:
    assert (parse(text).values.tolist(), parse(text).zone) == (micros(instant), zone)


@given(st.lists(st.datetimes(), min_size=1, max_size=5), st.sampled_from(["", "Z", "+01:00", "-0930"]))
def test_the_quick_way_and_the_exact_one_agree(moments: list[Any], offset: str) -> None:
    read = origin([m.isoformat() + offset for m in moments])
    exact = module._exact(read.column.texts, read)
    quick = module._quick(read.column.texts, read, module.iso)
    if quick is not None:  # pandas 2 has no years before 1677
        assert (quick.values.tolist(), quick.zone) == (exact.values.tolist(), exact.zone)


def test_whole_numbers_are_steps_unless_all_look_like_years_or_compact_dates() -> None:
    assert parse("1", "2", "3.0").values.tolist() == [1, 2, 3]
    assert parse("1", "2").whole_numbers
    assert not parse("1999", "2000").whole_numbers
    assert parse("1999", "2000", column="step").whole_numbers
    assert parse("999", "1000").whole_numbers
    assert parse("20240131", "20240132").whole_numbers  # no such day


def test_day_first_and_month_first_are_distinguished_by_all_rows() -> None:
    assert parse("01/02/2024", "31/01/2024").values.tolist() == micros("2024-02-01", "2024-01-31")
    assert parse("01/02/2024", "31/01/2024").note == "timestamps such as '01/02/2024' are read day first."
    assert parse("01/02/2024 1:30 PM", "01/31/2024 12:00 AM").values.tolist() == micros(
        "2024-01-02T13:30", "2024-01-31"
    )
    assert parse("31.01.2024", "01.02.2024").note == "timestamps such as '31.01.2024' are read day first."
    assert parse("01/01/2024").values.tolist() == micros("2024-01-01")  # both ways the same day


def test_a_format_given_overrides() -> None:
    assert parse("01/02/2024", format="%d/%m/%Y").values.tolist() == micros("2024-02-01")
    assert parse("1.2.24 +0100", format="%d.%m.%y %z").values.tolist() == micros("2024-01-31T23:00")


@pytest.mark.parametrize(
    ("texts", "given_", "message"),
    [
        (["2024-12-01", "2024-13-01"], {}, "x.csv:3: timestamp '2024-13-01' is not a date. Expected ISO 8601, e.g. 2024-12-01."),
        (["2024-12-01", "now"], {}, "x.csv:3: timestamp 'now' is not a date. Expected ISO 8601, e.g. 2024-12-01."),
        (["1", "2", "x"], {},
         "x.csv:4: timestamp 'x' is not a whole number as the others are. Write all timestamps as whole numbers below "
         "9,007,199,254,740,992, or all as dates."),
        (["1", "2", ""], {}, "x.csv:4: timestamp is missing (column date). Give it, or delete the row."),
        (["2024-12-01", ""], {}, "x.csv:3: timestamp is missing (column date). Give it, or delete the row."),
        (["2024-12-01", "NaT"], {}, "x.csv:3: timestamp is missing (column date). Give it, or delete the row."),
        (["31/01/2024", "01/31/2024"], {},
         "x.csv:3: timestamp '01/31/2024' is not a date. Expected ISO 8601, e.g. 2024-12-01."),
        (["01/02/2024", "02/03/2024"], {},
         "x.csv:2: timestamp '01/02/2024' is ambiguous: all rows fit both day first and month first. "
         "Say which: --timestamp-format day-first or --timestamp-format month-first."),
        (["2024-01-01"], {"format": "%d/%m/%Y"},
         "x.csv:2: timestamp '2024-01-01' does not fit the format '%d/%m/%Y'. Change the timestamp or the format."),
        (["2024-03-31T01:00+01:00", "2024-03-31T03:00+02:00"], {},
         "x.csv:3: timestamp '2024-03-31T03:00+02:00' has another offset from UTC than '2024-03-31T01:00+01:00' (x.csv:2). "
         "Give the zone whose clock changes, e.g. --zone Europe/Berlin."),
        (["2024-03-31T01:00+01:00", "2024-03-31T03:00"], {},
         "x.csv:3: timestamp '2024-03-31T03:00' has no offset from UTC, but '2024-03-31T01:00+01:00' (x.csv:2) has one. "
         "Write all timestamps the same way."),
    ],
)  # fmt: skip
def test_faults_are_given_with_their_lines(texts: list[str], given_: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        parse(*texts, **given_)
    assert str(caught.value) == message


def test_whole_numbers_with_an_exponent_are_the_numbers_that_they_are() -> None:
    found = parse("1000", "1.001e3", "1002", column="step")
    assert found.values.tolist() == [1000, 1001, 1002] and found.whole_numbers
