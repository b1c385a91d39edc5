"""However a panel is written, the same is read: rows in any order, quotes, line ends, separators, decimal marks, encodings,
forms of dates, layouts.

The plain reader, pandas' reader, Parquet and data frames agree. `make pandas2` runs this file with pandas 2.2.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecaster.data.panel import Columns, Panel
from forecaster.data.reading.csv_table import CsvTable
from forecaster.data.reading.find_faults import find_faults
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import panel_of, read_as, read_panel
from forecaster.data.row_options import TextOptions

NAMES = (
    "007",
    "7",
    "1.10",
    "1.1",
    "TRUE",
    "true",
    "12E4",
    "a",
    "b c",
    "é",
    "x-1",
    "NA",
    "2024",
    "+5",
    'say "hi"',
    "a,b",
    "c;d",
)
MIN_ROWS = 14  # so that the form of the dates shows
MANY = int(os.environ.get("EXAMPLES", "1"))  # times as many examples, by hand


def iso_quarter(date: pd.Timestamp) -> str:
    return f"{date.year} Q{date.quarter}"


# Frequency → forms of its dates; None = ISO 8601.
FORMS: dict[str, tuple[Any, ...]] = {
    "h": (
        "%Y-%m-%d %H:%M",
        "%Y-%m-%dT%H:%M:%S",
        "%Y%m%d%H",
        "%Y%m%d%H%M",
        "%Y-%m-%d %I:%M %p",
        "%d %b %Y %H:%M",
        "Date,Hour",
    ),
    "D": ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d %b %Y", "%Y%j", "%Y-%j", "year,month,day"),
    "W": ("%Y-%m-%d", "%G-W%V", "%G%V", "%d-%b-%Y"),
    "MS": ("%Y-%m", "%Y-%m-%d", "%Y%m", "%b %Y", "%m/%Y", "%YM%m", "%Y.%m", "year,month"),
    "QS": ("%Y-%m-%d", iso_quarter, "year,quarter"),
    "YS": ("%Y", "%Y-%m-%d"),
}


@dataclass(frozen=True)
class Written:
    """Rows, and how they are written into a file."""

    frame: pd.DataFrame  # series, dates, values, in the order of the file
    freq: str
    form: Any
    separator: str
    ending: str
    quotes: bool
    blank: str  # of a missing value
    decimal: str
    encoding: str  # those with a mark show themselves, others are given

    def table(self) -> pd.DataFrame:
        """The rows as columns of text and numbers."""
        dates = pd.DatetimeIndex(self.frame["date"])
        columns: dict[str, Any] = {"sku": self.frame["series"].to_numpy()}
        if self.form == "Date,Hour":
            columns |= {"Date": dates.strftime("%Y-%m-%d"), "Hour": dates.hour}
        elif isinstance(self.form, str) and "," in self.form:
            columns |= {part: getattr(dates, part) for part in self.form.split(",")}
        else:
            texts = [self.form(date) if callable(self.form) else date.strftime(self.form) for date in dates]
            columns |= {{"W": "week", "MS": "month"}.get(self.freq, "date"): texts}
        return pd.DataFrame({**columns, "sales": self.frame["value"].to_numpy()})

    def text(self) -> str:
        """The file."""
        text = io.StringIO()
        self.table().to_csv(
            text,
            index=False,
            sep=self.separator,
            lineterminator=self.ending,
            quoting=int(self.quotes),
            na_rep=self.blank,
            decimal=self.decimal,
        )
        return text.getvalue()

    def options(self) -> ReadOptions:
        """What the reader is told."""
        given = None if self.encoding in ("utf-8", "utf-8-sig", "utf-16") else self.encoding
        return replace(ReadOptions.of(Columns(series="sku", target="sales")), text=TextOptions(encoding=given))


@st.composite
def files(draw: st.DrawFn) -> Written:
    freq = draw(st.sampled_from(sorted(FORMS)))
    start = pd.Timestamp("2015-01-01") + pd.Timedelta(days=draw(st.integers(0, 1500)))
    offset = {"W": "W-MON"}.get(freq, freq)
    parts = []
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True)):
        dates = pd.date_range(start, periods=draw(st.integers(MIN_ROWS, 30)), freq=offset)
        values = draw(st.lists(st.floats(-1e9, 1e9) | st.just(np.nan), min_size=len(dates), max_size=len(dates)))
        values[0] = 0.5
        parts.append(pd.DataFrame({"series": name, "date": dates, "value": values}))
    frame = pd.concat(parts)
    order = draw(st.sampled_from(["kept", "by date", "any"]))
    if order == "by date":
        frame = frame.sort_values("date", kind="stable")
    elif order == "any":
        frame = frame.sample(frac=1, random_state=draw(st.integers(0, 99)))
    separator = draw(st.sampled_from([",", ";", "\t"]))
    return Written(
        frame=frame,
        freq=freq,
        form=draw(st.sampled_from(FORMS[freq])),
        separator=separator,
        ending=draw(st.sampled_from(["\n", "\r\n"])),
        quotes=draw(st.booleans()),
        blank=draw(st.sampled_from(["", "NA", "null"])),
        decimal=draw(st.sampled_from([".", ","] if separator != "," else ["."])),
        encoding=draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252", "latin-1"])),
    )


def rows_of(panel: Panel) -> dict[str, list[tuple[int, str]]]:
    """The observed rows of each series."""
    names, seen = panel.series[panel.row_series].tolist(), ~np.isnan(panel.target)
    found: dict[str, list[tuple[int, str]]] = {str(name): [] for name in panel.series}
    for name, stamp, value, there in zip(names, panel.timestamps.tolist(), panel.target.tolist(), seen, strict=True):
        if there:
            found[name].append((stamp, repr(value)))
    return found


def expected(written: Written) -> dict[str, list[tuple[int, str]]]:
    found: dict[str, list[tuple[int, str]]] = {name: [] for name in written.frame["series"]}
    for row in written.frame.sort_values("date").itertuples():
        if not np.isnan(row.value):
            found[row.series].append((row.date.value // 1000, repr(float(row.value))))
    return found


@pytest.mark.slow
@settings(max_examples=80 * MANY, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(files())
def test_a_panel_is_read_as_it_was_whatever_the_file_looks_like(
    tmp_path_factory: pytest.TempPathFactory, written: Written
) -> None:
    path = tmp_path_factory.mktemp("read") / "x.csv"
    path.write_bytes(written.text().encode(written.encoding))
    panel = read_as(path, written.options())
    assert rows_of(panel) == expected(written)
    assert not find_faults(path, written.options()).faults
    assert rows_of(read_panel(written.table(), Columns(series="sku", target="sales"))) == expected(written)


@pytest.mark.slow
@settings(max_examples=40 * MANY, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(files())
def test_the_plain_reader_reads_what_pandas_reads(written: Written) -> None:
    options = ReadOptions.of(Columns(series="sku", target="sales"))
    data = written.text().encode()
    one = panel_of(CsvTable("x.csv", data), options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CsvTable, "_read_plain", lambda *_: False)
        other = panel_of(CsvTable("x.csv", data), options)
    assert rows_of(one) == rows_of(other) == expected(written)
    assert (one.series.tolist(), one.freq, one.notes, one.timestamp_form) == (
        other.series.tolist(), other.freq, other.notes, other.timestamp_form,
    )  # fmt: skip


@settings(max_examples=15 * MANY, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(files())
def test_parquet_is_read_as_csv(tmp_path_factory: pytest.TempPathFactory, written: Written) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path_factory.mktemp("read") / "x.parquet"
    written.table().to_parquet(path)
    assert rows_of(read_panel(path, Columns(series="sku", target="sales"))) == expected(written)
