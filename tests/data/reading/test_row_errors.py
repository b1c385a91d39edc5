"""Faults of files: each gives one line that says where, what and what next."""

from __future__ import annotations

import gzip
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError, ForecasterError, UsageError

HEAD = "series,timestamp,target\n"
DAYS = "timestamp,sales\n2024-01-01,1\n2024-01-02,2\n2024-01-03,3\n2024-01-04,4\n2024-01-05,5\n"
MARKS = "Say what its marks are with {} or write it as 1234.5."
BLANK = "Leave the cell empty where a value is missing."

FAULTS: list[tuple[str, str | bytes, str]] = [
    ("no such month", DAYS + "\n2024-13-01,3\n",
     "x.csv:8: timestamp '2024-13-01' is not a date. Expected ISO 8601, e.g. 2024-12-01."),
    ("text as target", DAYS + "2024-01-06,n/a?\n", f"x.csv:7: target 'n/a?' (column sales) is not a number. {BLANK}"),
    ("decimal comma", DAYS + '2024-01-06,"1.234,5"\n',
     f"x.csv:7: target '1.234,5' (column sales) is not a number. {MARKS.format('--thousands .')}"),
    ("thousands", DAYS + '2024-01-06,"38,246"\n',
     f"x.csv:7: target '38,246' (column sales) is not a number. {MARKS.format('--decimal , or --thousands ,')}"),
    ("quarters of another form", "quarter,v\n2005:1,5\n2005:2,6\n2005:3,7\n",
     "x.csv: '2005:1' (column quarter) may be a date. Say how it is written: --timestamp-format '%Y:%q'."),
    ("a fault below lines above the header", "Power\n# unit: kW, hourly, raw\n\n" + DAYS + "2024-01-06,?\n",
     f"x.csv:10: target '?' (column sales) is not a number. {BLANK}"),
    ("a title over rows without a header", "Power\n2024-01-01,1\n2024-01-02,2\n",
     "x.csv:1: there is only one column, 'Power', and the table begins in line 2. Take the lines above it out."),
    ("one column of decimal commas", "value\n1,5\n2,5\n",
     "x.csv:1: there is only one column, 'value', and the table begins in line 2. Take the lines above it out."),
    ("semicolons and both marks", "timestamp;sales\n2024-01-01;1,5\n2024-01-02;2.5\n",
     f"x.csv:2: target '1,5' (column sales) is not a number. {MARKS.format('--decimal ,')}"),
    ("infinity", DAYS + "2024-01-06,inf\n", f"x.csv:7: target 'inf' (column sales) is not finite. {BLANK}"),
    ("vast", DAYS + "2024-01-06,-2e36\n", "x.csv:7: target '-2e+36' (column sales) is too large to compute with. "
                                           "Give it in a larger unit."),
    ("overflow", DAYS + "2024-01-06,1e999\n", f"x.csv:7: target 'inf' (column sales) is not finite. {BLANK}"),
    ("no number", "timestamp,sales\n2024-01-01,\n2024-01-02,\n",
     "x.csv: target column 'sales' holds no number. Name another: --target COLUMN."),
    ("no timestamp", DAYS + ",6\n", "x.csv:7: timestamp is missing (column timestamp). Give it, or delete the row."),
    ("no series", HEAD + "A,2024-01-01,1\n,2024-01-02,2\n",
     "x.csv:3: series is missing (column series). Give it, or delete the row."),
    ("duplicate", HEAD + "A,2024-01-01,1\nA,2024-01-02,2\n\nA,2024-01-01,3\n",
     "x.csv:5: timestamp '2024-01-01' (column timestamp) of series 'A' is already in x.csv:2. Keep one of them, join them with "
    "--aggregate sum, mean or last, or name the column that "
     "separates the series: --series COLUMN."),
    ("duplicates at night", "timestamp,sales\n2024-10-27 02:00,1\n2024-10-27 02:00,2\n2024-10-27 03:00,2\n",
     "x.csv:3: timestamp '2024-10-27 02:00:00' (column timestamp) of series 'sales' is already in x.csv:2. Keep one of them, "
     "join them with --aggregate sum, mean or last, or name the column that separates the series: --series COLUMN. "
     "If the clock was set back here, give the zone, e.g. "
     "--zone Europe/Berlin."),
    ("empty", "", "x.csv: the file is empty. Expected a header line and rows."),
    ("blank", "\n \n", "x.csv: the file is empty. Expected a header line and rows."),
    ("header only", "timestamp,sales\n", "x.csv: there are no rows after the header. Expected at least two."),
    ("one column", "sales\n1\n2\n",
     "x.csv:1: there is only one column, 'sales'. Expected a timestamp column and a target column, separated by commas."),
    ("no header", "2024-01-01,5\n2024-01-02,6\n",
     "x.csv:1: there is no header: '2024-01-01' is a date, not a column's name. Give the columns names in the first line, "
     "and dates a column of their own."),
    ("header twice", "\na,a,b\n1,2,3\n", "x.csv:2: two columns are called 'a'. Rename one of them."),
    ("row too long", "timestamp,sales\n2024-01-01,1\n2024-01-02,1,5\n",
     "x.csv:3: the row has 3 fields, but the header has 2. Expected timestamp, sales. A comma within a field needs quotes; "
     "decimals need a point."),
    ("row too short", "timestamp,sales\n2024-01-01,1\n2024-01-02\n",
     "x.csv:3: the row has 1 field, but the header has 2. Expected timestamp, sales."),
    ("all rows too long", "timestamp,sales\n2024-01-01,1,5\n2024-01-02,1,5\n",
     "x.csv:2: the row has 3 fields, but the header has 2. Expected timestamp, sales. A comma within a field needs quotes; "
     "decimals need a point."),
    ("row too long among unused columns", "timestamp,sales,note\n2024-01-01,1,a\n2024-01-02,1,5,b\n",
     "x.csv:3: the row has 4 fields, but the header has 3. Expected timestamp, sales, note. A comma within a field needs quotes; "
     "decimals need a point."),
    ("open quote", 'timestamp,sales\n2024-01-01,1\n"2024-01-02,1\n',
     "x.csv:3: the quotes in this row do not pair up. Close each quoted field."),
    ("zero byte", b"timestamp,sales\n2024-01-01,\x001\n",
     "x.csv:2: the line holds a zero byte: it is not text. Save the table as CSV in UTF-8."),
    ("latin-1", "timestamp,café\n2024-01-01,1\n".encode("latin-1"),
     "x.csv:1: byte 0xe9 is not UTF-8 text. Name its encoding, e.g. --encoding windows-1252, or save it as UTF-8."),
    ("excel", b"PK\x03\x04rest", "x.csv: this is an Excel workbook or a zip archive, not CSV text. Save it as CSV in UTF-8."),
    ("no dates", "a,b\nx,1\ny,2\n",
     "x.csv: no column holds dates (columns: a, b). Name it: --timestamp COLUMN; or give the form of its dates: "
     "--timestamp-format."),
    ("two targets", "store,day,sales,price\nA,2024-01-01,1,2\nB,2024-01-01,1,2\n",
     "x.csv: several columns could be the target: sales, price. Name one: --target COLUMN; or all to forecast, e.g. --target "
     "'sales,price'."),
    ("no target", "day,a,b\n2024-01-01,x,y\n2024-01-02,x,y\n",
     "x.csv: no column of numbers can be the target. Name one: --target COLUMN."),
    ("one row", "timestamp,sales\n2024-01-01,1\n",
     "x.csv: no series has two rows, so no frequency can be inferred. Give one, e.g. --freq D."),
    ("a stamp far away", DAYS + "2042-01-01,6\n",
     "x.csv:7: 6,570 steps of D are missing between timestamps '2024-01-05' and '2042-01-01' of series 'sales'. Mend the "
     "timestamp, or give a longer step with --freq."),
    ("off the grid", DAYS + "2024-01-05 12:00,6\n",
     "x.csv:7: timestamp '2024-01-05 12:00:00' (column timestamp) of series 'sales' does not fit frequency D, inferred from "
     "all rows. Mend the row, or give the frequency with --freq."),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message"), [pytest.param(c, m, id=i) for i, c, m in FAULTS])
def test_a_fault_is_one_line(write: Callable[..., str], content: str | bytes, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_panel(write(content))
    assert str(caught.value) == message
    assert caught.value.code == 3


@pytest.mark.parametrize(
    ("columns", "options", "kind", "message"),
    [
        (Columns(target="sale"), {}, DataError, "x.csv: there is no column 'sale' (--target). Did you mean 'sales'?"),
        (Columns(series="sales", target="sales"), {}, UsageError,
         "--series, --timestamp and --target must name different columns."),
        (Columns(), {"freq": "xyz"}, UsageError,
         "frequency 'xyz' is not known. Known: s, min, 15min, 30min, h, B, D, W, MS, ME, BMS, BME, WOM-3FRI, QS, QE, YS, YE."),
        (Columns(), {"freq": "W"}, DataError,
         "x.csv:3: timestamp '2024-01-02' (column timestamp) of series 'sales' does not fit frequency W, as --freq or the "
         "model says. The rows look like --freq D."),
        (Columns(), {"freq": "2"}, DataError,
         "x.csv:2: timestamps are dates, and frequency 2 does not fit them. Give --freq as e.g. D or h."),
        (Columns(), {"zone": "Europe/Berln"}, UsageError, "zone 'Europe/Berln' is not known. Did you mean 'Europe/Berlin'?"),
        (Columns(), {"season_length": 0}, UsageError, "season length 0 is less than 1. 1 means none."),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_are_one_line(
    write: Callable[..., str], columns: Columns, options: dict[str, Any], kind: type[ForecasterError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        read_panel(write(DAYS), columns, **options)
    assert str(caught.value) == message


def test_a_time_that_the_clock_skipped_is_one_line(write: Callable[..., str]) -> None:
    text = "timestamp,sales\n2024-03-31 01:00,1\n2024-03-31 02:00,2\n"
    with pytest.raises(DataError) as caught:
        read_panel(write(text), zone="Europe/Berlin")
    assert str(caught.value) == (
        "x.csv:3: timestamp '2024-03-31 02:00:00' does not exist in Europe/Berlin: the clock was set forward over it. "
        "Check the zone, or mend the row."
    )


@pytest.mark.parametrize("zone", ["America/Santiago", "America/Asuncion", "America/Havana", "Africa/Cairo"])
def test_a_date_without_a_midnight_is_a_day_like_others(write: Callable[..., str], zone: str) -> None:
    """Clocks that are set forward at midnight skip it: the day begins at 1."""
    days = pd.date_range("2023-01-01", periods=700).strftime("%Y-%m-%d")
    panel = read_panel(write("day,sold\n" + "".join(f"{day},{n}\n" for n, day in enumerate(days))), zone=zone)
    assert panel.freq.name == "D" and not panel.gaps and panel.target.tolist() == list(range(700))
    hours = pd.DatetimeIndex(panel.timestamps.astype("M8[us]")).tz_localize("UTC").tz_convert(zone)
    assert hours.strftime("%Y-%m-%d").tolist() == days.tolist() and set(hours.hour) == {0, 1}


def test_files_that_cannot_be_read_are_one_line(write: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    write(gzip.compress(DAYS.encode() * 50)[:-30], "cut.csv.gz")
    write(DAYS, "plain.csv.gz")
    write(b"PAR1....", "cut.parquet")
    write(DAYS, "text.parquet")
    messages = {
        "none.csv": "none.csv: no such file. Check the path.",
        "none.parquet": "none.parquet: no such file. Check the path.",
        "folder": "folder: there is no CSV or Parquet file. Name a folder or a glob that has some.",
        "cut.csv.gz": "cut.csv.gz: the gzip data is damaged or cut short. Fetch or write it again.",
        "plain.csv.gz": "plain.csv.gz: this is not gzip data. Take the ending .gz away if it is plain text.",
        "text.parquet": "text.parquet: this is not a Parquet file. Check its ending.",
    }
    for name, message in messages.items():
        with pytest.raises(DataError) as caught:
            read_panel(name if name != "folder" else Path(name))
        assert str(caught.value) == message
    pytest.importorskip("pyarrow")
    with pytest.raises(DataError, match=r"^cut\.parquet: the Parquet file is damaged or cut short\. Write it again\.$"):
        read_panel("cut.parquet")


def test_a_file_that_may_not_be_read_is_one_line(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    name = write(DAYS)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match=r"^x\.csv: reading it is not permitted\. Change its permissions\.$"):
        read_panel(name)


def test_parquet_without_pyarrow_is_one_line(write: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError) as caught:
        read_panel(write(b"PAR1", "x.parquet"))
    assert str(caught.value) == (
        "x.parquet: reading Parquet needs pyarrow, which is not installed. Install it with `pip install "
        "'forecaster-rnn[parquet]'`, or save the table as CSV."
    )


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_to_a_file_gives_a_panel_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(
        data.draw(st.sampled_from([text if isinstance(text, bytes) else text.encode() for _, text, _ in FAULTS]))
    )
    scraps = [
        b",",
        b"\n",
        b'"',
        b";",
        b"\t",
        b"-",
        b"2024",
        b"9999-12-31",
        b"0001-01-01",
        b"e9",
        b"x",
        b" ",
        b"\xff",
        b"NA",
        b"Z",
    ]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.sampled_from(scraps) | st.binary(max_size=3))
    path = tmp_path_factory.getbasetemp() / "fuzz.csv"
    path.write_bytes(content)
    try:
        panel = read_panel(path, zone=data.draw(st.sampled_from([None, "Europe/Berlin"])))
    except ForecasterError as error:
        assert "\n" not in str(error)
        assert error.code in (2, 3)
    else:
        assert panel.offsets[-1] == len(panel.target) == len(panel.timestamps)


def test_standard_input_is_named_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(b"timestamp,sales\n2024-01-01,1\n2024-01-02,x\n2024-01-03,3\n")

    monkeypatch.setattr(sys, "stdin", Stdin)
    with pytest.raises(DataError, match=r"^standard input:3: target 'x' \(column sales\) is not a number\."):
        read_panel("-")


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame({"t": [1, 2, 3], "v": ["1", "2", "x"]}),
         f"data frame row 2: target 'x' (column v) is not a number. {BLANK}"),
        (pd.DataFrame({"ds": [pd.Timestamp("2024-01-01"), pd.NaT], "v": [1, 2]}),
         "data frame row 1: timestamp is missing (column ds). Give it, or drop the row."),
        (pd.DataFrame({"ds": [], "v": []}), "data frame: there are no rows. Expected at least two."),
        (pd.DataFrame({"ds": pd.to_datetime(["2024-01-01", "2024-01-02"]), "v": [1.0, np.inf]}),
         f"data frame row 1: target 'inf' (column v) is not finite. {BLANK}"),
    ],
)  # fmt: skip
def test_faults_of_a_data_frame_are_given_with_their_rows(frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError) as caught:
        read_panel(frame)
    assert str(caught.value) == message
