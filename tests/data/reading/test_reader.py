from __future__ import annotations

import gzip
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecaster.data.freq import Freq, format_timestamps
from forecaster.data.panel import Columns, Panel
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError
from tests.support.factories import AIR

FREQS = ("s", "15min", "h", "D", "W", "B", "MS", "ME", "M-15", "QE", "YS", "3")
LONG = "series,timestamp,target\nB,2024-01-02,2\nA,2024-01-01,NA\nB,2024-01-01,1\nA,2024-01-04,4.5\nA,2024-01-02,\n"


def same(one: Panel, other: Panel, *, order: bool = True) -> bool:
    """Whether two panels hold the same rows, of the same series in the same order (or, without `order`, in any)."""
    if not order:
        return sorted(_blocks(one)) == sorted(_blocks(other)) and one.freq == other.freq
    return _blocks(one) == _blocks(other) and one.freq == other.freq and one.zone == other.zone


def _blocks(panel: Panel) -> list[tuple[str, list[int], str]]:
    edges = list(zip(panel.offsets[:-1], panel.offsets[1:], strict=True))
    return [
        (str(name), panel.timestamps[a:b].tolist(), repr(panel.target[a:b].tolist()))
        for name, (a, b) in zip(panel.series, edges, strict=True)
    ]


def rows_of(panel: Panel) -> dict[str, Any]:
    """All rows as columns of a file that is read to an equal panel."""
    return {
        "series": panel.series[panel.row_series],
        "timestamp": format_timestamps(panel.timestamps, panel.freq, panel.zone),
        "target": panel.target,
    }


@st.composite
def panels(draw: st.DrawFn) -> tuple[pd.DataFrame, str]:
    """Rows of a few series with a common frequency, and its name."""
    name = draw(st.sampled_from(FREQS))
    freq = Freq.parse(name)
    parts = []
    for series in draw(
        st.lists(st.text("abc, \"'é1", min_size=1).map(lambda t: "s" + t + "."), min_size=1, max_size=4, unique=True)
    ):
        count = draw(st.integers(12, 30))
        start = np.array([draw(st.integers(0, 1_500_000)) * 3_600_000_000 if name != "3" else draw(st.integers(0, 99))])
        values = draw(st.lists(st.floats(-1e12, 1e12) | st.just(float("nan")), min_size=count, max_size=count))
        values[0] = 1.5
        stamps = freq.after(start, count)[0]
        texts = stamps if freq.whole_numbers else stamps.astype("M8[us]").astype(str)
        parts.append(pd.DataFrame({"series": series, "timestamp": texts, "target": values}))
    return pd.concat(parts), name


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(panels(), st.randoms(use_true_random=False))
def test_row_order_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[pd.DataFrame, str], random
) -> None:
    frame, name = made
    path = tmp_path_factory.mktemp("order") / "x.csv"
    frame.to_csv(path, index=False)
    panel = read_panel(path)
    assert panel.freq.name == name
    order = list(range(len(frame)))
    random.shuffle(order)
    frame.iloc[order].to_csv(path, index=False)
    assert same(panel, read_panel(path), order=False)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(panels(), st.sampled_from([None, "UTC", "+01:00", "Europe/Berlin"]))
def test_rows_written_are_read_back_to_the_same_panel(
    tmp_path_factory: pytest.TempPathFactory, made: tuple[pd.DataFrame, str], zone: str | None
) -> None:
    frame, name = made
    path = tmp_path_factory.mktemp("back") / "x.csv"
    frame.to_csv(path, index=False)
    zone = None if name == "3" else zone
    try:
        panel = read_panel(path, zone=zone)
    except DataError as error:  # the clock skips an hour, or shows an hour of a finer series twice
        assert zone == "Europe/Berlin"
        assert "does not exist" in str(error) or "does not fit" in str(error)
        return
    pd.DataFrame(rows_of(panel)).to_csv(path, index=False)
    assert same(panel, read_panel(path, zone=zone))


def test_a_long_file_becomes_sorted_regular_rows(write: Callable[..., str]) -> None:
    panel = read_panel(write(LONG))
    assert panel.series.tolist() == ["B", "A"]  # as they come in the file
    assert panel.offsets.tolist() == [0, 2, 6]
    assert np.isnan(panel.target).tolist() == [False, False, True, True, True, False]
    assert (panel.timestamps.astype("M8[us]").astype("M8[D]").astype(str).tolist()[2:]) == [
        "2024-01-01", "2024-01-02", "2024-01-03", "2024-01-04",
    ]  # fmt: skip
    assert (panel.layout, panel.freq.name, panel.season_length, panel.zone, panel.gaps) == ("long", "D", 7, None, 1)
    assert panel.columns == Columns("series", "timestamp", "target")
    assert panel.notes == (
        "layout long: series 'series', timestamp 'timestamp', target 'target'.",
        "frequency D, season length 7 (frequency and season length inferred).",
        "season by the calendar, not tested on so few rows.",
        "2 series of 2 to 4 rows, 2024-01-01 to 2024-01-04.",
        "1 rows filled in as missing where the calendar has gaps, the first after '2024-01-02' (series 'A').",
        "2 of 5 targets are missing and stay so.",
    )


def test_a_wide_file_has_a_series_per_numeric_column(write: Callable[..., str]) -> None:
    panel = read_panel(write("date,a,note,b\n2024-01-03,3,x,30\n2024-01-01,1,y,\n"), freq="D")
    assert (panel.series.tolist(), panel.offsets.tolist(), panel.gaps) == (["a", "b"], [0, 3, 6], 2)
    assert repr(panel.target.tolist()) == "[1.0, nan, 3.0, nan, nan, 30.0]"
    assert panel.columns == Columns(None, "date", None)
    assert panel.notes[:2] == (
        "layout wide: timestamp 'date', one series per numeric column: a, b.",
        "columns not used: note.",
    )


@pytest.mark.parametrize("name", ["x.csv.gz", "x.gz", "x.csv"])
def test_gzip_is_recognised_by_its_content(write: Callable[..., str], name: str) -> None:
    assert same(read_panel(write(gzip.compress(LONG.encode()), name)), read_panel(write(LONG, "plain.csv")))


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + LONG, LONG.replace("\n", "\r\n"), LONG.replace("\n", "\n\n"), LONG.replace(",", ";"),
        LONG.replace(",", "\t"), LONG.replace(",", ", "), "\n" + LONG, LONG.rstrip("\n"), LONG.replace("NA", "null"),
        LONG.replace("B,", '"B",'),
    ],
)  # fmt: skip
def test_other_ways_of_writing_the_same_table_make_no_difference(write: Callable[..., str], text: str) -> None:
    assert same(read_panel(write(text)), read_panel(write(LONG, "plain.csv")))


def test_standard_input_parquet_and_frames_are_read_alike(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = read_panel(write(LONG))

    class Stdin:
        buffer = io.BytesIO(LONG.encode())

    monkeypatch.setattr(sys, "stdin", Stdin)
    assert same(read_panel("-"), panel)
    frame = pd.read_csv("x.csv", parse_dates=["timestamp"])
    assert same(read_panel(frame), panel)
    assert same(read_panel(frame.astype({"series": "category"})), panel)
    pytest.importorskip("pyarrow")
    frame.to_parquet("x.parquet")
    assert same(read_panel("x.parquet"), panel)
    assert read_panel(frame).source == "data frame"


def test_an_index_of_dates_counts_as_a_column() -> None:
    frame = pd.DataFrame({"v": [1.0, 2.0]}, index=pd.date_range("2024-01-01", periods=2))
    assert read_panel(frame).columns == Columns(None, "timestamp", "v")
    assert read_panel(frame.rename_axis("when")).columns == Columns(None, "when", "v")
    assert read_panel(frame.to_period("D").rename_axis("when")).freq.name == "D"
    assert read_panel(frame.tz_localize("Europe/Berlin")).zone == "Europe/Berlin"


def test_names_that_look_missing_are_names(write: Callable[..., str]) -> None:
    panel = read_panel(write("unique_id,ds,y\nNA,1,1\nNA,2,1\nnull,1,1\n007,1,1\n"))
    assert panel.series.tolist() == ["NA", "null", "007"]


def test_settings_given_are_kept(write: Callable[..., str]) -> None:
    panel = read_panel(write(LONG), freq="D", season_length=30)
    assert (panel.freq, panel.season_length) == (Freq.parse("D"), 30)
    assert "frequency D, season length 30." in panel.notes


def test_one_row_is_enough_where_the_frequency_is_given(write: Callable[..., str]) -> None:
    assert read_panel(write("timestamp,v\n2024-01-01,1\n"), freq="D").offsets.tolist() == [0, 1]


def test_an_hourly_series_keeps_both_hours_when_the_clock_is_set_back(write: Callable[..., str]) -> None:
    hours = ["01:00", "02:00", "02:00", "03:00", "04:00"]
    text = "timestamp,v\n" + "".join(f"2024-10-27 {h},{i}\n" for i, h in enumerate(hours))
    panel = read_panel(write(text), zone="Europe/Berlin")
    assert (panel.gaps, panel.target.tolist()) == (0, [0, 1, 2, 3, 4])
    assert (np.diff(panel.timestamps) == 3_600_000_000).all()
    latest_first = "timestamp,v\n" + "".join(f"2024-10-27 {h},{i}\n" for i, h in reversed(list(enumerate(hours))))
    assert same(read_panel(write(latest_first), zone="Europe/Berlin"), panel)


def test_an_hourly_series_has_no_gap_where_the_clock_is_set_forward(write: Callable[..., str]) -> None:
    text = "timestamp,v\n2024-03-31 00:00,1\n2024-03-31 01:00,2\n2024-03-31 03:00,3\n"
    assert read_panel(write(text), zone="Europe/Berlin").gaps == 0
    assert read_panel(write(text)).gaps == 1


def test_a_daily_series_goes_by_the_wall_clock(write: Callable[..., str]) -> None:
    text = "timestamp,v\n2024-03-30T00:00+01:00,1\n2024-03-31T00:00+01:00,2\n2024-04-01T00:00+02:00,3\n2024-04-03T00:00+02:00,3\n"
    panel = read_panel(write(text), zone="Europe/Berlin")
    assert (panel.freq.name, panel.gaps, panel.zone) == ("D", 1, "Europe/Berlin")
    assert rows_of(panel)["timestamp"].tolist()[1:3] == ["2024-03-31 00:00:00+01:00", "2024-04-01 00:00:00+02:00"]


def test_one_offset_is_the_zone(write: Callable[..., str]) -> None:
    assert read_panel(write("t,v\n2024-01-01T00:00Z,1\n2024-01-01T01:00Z,2\n")).zone == "UTC"
    assert read_panel(write("t,v\n2024-01-01T00:00-03:30,1\n2024-01-01T01:00-03:30,2\n")).zone == "-03:30"


def stamps(start: str, unit: str, count: int) -> np.ndarray:
    """[count] timestamps as files write them, one `unit` of NumPy apart: months and days as dates, hours with a time."""
    step = np.timedelta64(3, "M") if unit == "Q" else np.timedelta64(1, unit)
    moments = np.datetime64(start, "M" if unit == "Q" else unit) + np.arange(count) * step
    if unit == "h":
        return np.char.replace(np.datetime_as_string(moments, unit="s"), "T", " ")
    return np.datetime_as_string(moments, unit="D")


def long_table(name: str, start: str, unit: str, lengths: list[int]) -> pd.DataFrame:
    rng = np.random.default_rng(len(lengths))
    values = [rng.gamma(2.0, 50.0, length).round(2) for length in lengths]
    parts = [
        pd.DataFrame({"series": f"{name}{n}", "timestamp": stamps(start, unit, len(one)), "target": one})
        for n, one in enumerate(values, start=1)
    ]
    return pd.concat(parts)


def wide_table() -> pd.DataFrame:
    """Seven measurements of a transformer by the hour."""
    names = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
    values = np.random.default_rng(0).normal(5, 3, (2000, len(names)))
    return pd.DataFrame({"date": stamps("2016-07-01T00", "h", 2000)}).join(pd.DataFrame(values, columns=names))


def table_with_covariates() -> pd.DataFrame:
    """Users of hired bicycles by the hour, with the weather and the calendar: many columns of numbers, one of texts."""
    rng, count = np.random.default_rng(1), 1500
    hours = np.arange(count)
    return pd.DataFrame(
        {
            "date_time": stamps("2011-01-01T00", "h", count),
            "holiday": np.zeros(count),
            "weather": rng.choice(["clear", "mist", "rain"], count),
            "temp": rng.normal(15, 8, count).round(2),
            "windspeed": rng.gamma(2, 5, count).round(4),
            "users": rng.poisson(100, count) * 1.0,
            "month": hours // 720 % 12 + 1,
            "hour": hours % 24,
            "weekday": (hours // 24 + 5) % 7,
        }
    )


@pytest.mark.parametrize(
    ("table", "columns", "layout", "freq", "season", "series", "rows"),
    [
        (pd.read_csv(AIR), Columns(), "single", "MS", 12, 1, 144),
        (table_with_covariates(), Columns(target="users"), "single", "h", 24, 1, 1500),
        (wide_table(), Columns(), "wide", "h", 24, 7, 14_000),
        (long_table("T", "1930-01", "M", [72] * 200), Columns(), "long", "MS", 12, 200, 14_400),
        (long_table("Q", "1920-01", "Q", [40, 16, 18, 110]), Columns(), "long", "QS", 4, 4, 184),
        (long_table("H", "2015-07-01T00", "h", [960, 748, 700]), Columns(), "long", "h", 24, 3, 2408),
        (long_table("M", "1930-01", "M", [309, 91, 216]), Columns(), "long", "MS", 12, 3, 616),
        (long_table("births", "1969-01-01", "D", [7275]), Columns(), "long", "D", 7, 1, 7275),
    ],
    ids=["months", "covariates", "wide", "long, months", "long, quarters", "long, hours", "long, uneven", "long, days"],
)
def test_tables_of_the_usual_kinds_are_read_as_they_are(
    tmp_path: Path, table: pd.DataFrame, columns: Columns, layout: str, freq: str, season: int, series: int, rows: int
) -> None:
    path = tmp_path / "table.csv.gz"
    table.to_csv(path, index=False)
    panel = read_panel(path, columns)
    assert (panel.layout, panel.freq.name, panel.season_length) == (layout, freq, season)
    assert (len(panel.series), len(panel.target), panel.gaps) == (series, rows, 0)
    assert panel.offsets[-1] == rows


@pytest.mark.slow
def test_time_to_read_grows_with_the_columns_and_not_with_their_square(tmp_path):
    def calls(columns):
        path = tmp_path / f"{columns}.csv"
        header = ",".join(["date", *(f"s{i}" for i in range(columns))])
        rows = [",".join([f"2024-01-{day:02d}", *(f"{day}.{i % 97}" for i in range(columns))]) for day in range(1, 6)]
        path.write_text("\n".join([header, *rows, ""]))
        began = time.process_time()
        panel = read_panel(path)
        assert len(panel.series) == columns and panel.target[5 * 9] == 1.9
        return time.process_time() - began

    calls(200)
    assert calls(24_000) < 16 * calls(
        3000
    )  # measured: 8 times as long, and 30 with one search through all names for each


def test_too_many_columns_are_refused_at_once(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(
        ",".join(["date", *(f"s{i}" for i in range(100_001))]) + "\n" + "2024-01-01" + ",1" * 100_001 + "\n"
    )
    with pytest.raises(DataError, match="100,002 columns"):
        read_panel(path)
