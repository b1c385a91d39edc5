"""Every fault at once, as the reader describes it; and the fixed set of bad files, `bad/expected.tsv`."""

from __future__ import annotations

import gzip
import io
import os
import resource
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecaster.data.panel import Columns
from forecaster.data.reading import csv_bytes as source
from forecaster.data.reading.find_faults import find_faults
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_panel
from forecaster.data.summary import level_and_scale, summarise
from forecaster.errors import DataError, ForecasterError
from tests.support.csv_files import BAD, FILES, ZONES, examine
from tests.support.factories import NAN, panel_of

TABLE = [line.split("\t") for line in (BAD / "expected.tsv").read_text(encoding="utf-8").split("\n")[1:-1]]
INFERRED = ReadOptions.of(Columns(), None, None, None, None)
DAYS = "".join(f"2024-01-{day:02d},{day}\n" for day in range(1, 29))


def options(zone: str | None = None) -> ReadOptions:
    return ReadOptions.of(Columns(), None, None, zone, None)


def test_every_bad_file_has_a_row_in_the_table() -> None:
    assert {row[0] for row in TABLE} == {path.name for path in BAD.glob("*.csv")}
    assert len(TABLE) >= 60


@pytest.mark.parametrize(("file", "zone", "code", "expected"), TABLE, ids=[f"{row[0]} {row[1]}" for row in TABLE])
def test_a_bad_file_is_read_right_or_refused_in_one_line(
    file: str, zone: str, code: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    try:
        panel = read_panel(file, zone=None if zone == "-" else zone)
    except ForecasterError as error:
        assert (str(error.code), str(error)) == (code, expected)
        return
    noted = [note for note in panel.notes if "read" in note or "separated" in note]
    count, missing = len(panel.series), int(np.isnan(panel.target).sum())
    shape = f"{count} × {len(panel.target) // count} rows, {panel.gaps} gaps, {missing} missing"
    assert code == "0"
    assert "; ".join([f"{panel.layout}, {panel.freq}, {shape}", *noted]) == expected


@pytest.mark.parametrize(("file", "zone"), [row[:2] for row in TABLE], ids=[f"{row[0]} {row[1]}" for row in TABLE])
def test_what_reading_refuses_and_only_that_is_a_fault(file: str, zone: str, tmp_path: Path) -> None:
    examine((BAD / file).read_bytes(), tmp_path / "x.csv", None if zone == "-" else zone)


def test_all_faults_are_found_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    checked = find_faults("many-faults.csv", INFERRED)
    found = {(fault.what, fault.line, fault.column, fault.series) for kind in checked.kinds for fault in kind.shown}
    assert found == {
        ("fields", 6, None, None), ("target", 3, "target", "A"), ("target", 7, "target", "A"), ("target", 13, "target", "B"),
        ("series", 5, "series", None), ("timestamp", 4, "timestamp", "A"), ("timestamp", 17, "timestamp", "Total"),
        ("duplicate", 9, "timestamp", "A"), ("frequency", 12, "timestamp", "B"), ("gap", 14, "timestamp", "B"),
    }  # fmt: skip
    assert checked.faults == 10 and checked.rows == 14
    assert checked.panel is not None and checked.panel.series.tolist() == ["A", "B"]


def test_lines_that_are_no_text_do_not_hide_other_faults(write: Callable[..., str]) -> None:
    head = "series,timestamp,target\n"
    rows = "".join(f"Zürich,2024-01-{day:02d},{day}\n" for day in range(1, 9)) + "Zürich,2024-01-09,x\n"
    checked = find_faults(write((head + rows).encode("latin-1")), INFERRED)
    assert [(kind.what, kind.count) for kind in checked.kinds] == [("encoding", 9), ("target", 1)]
    assert checked.panel is not None and checked.panel.series.tolist() == ["Zürich"]


def test_faults_of_a_kind_are_shown_up_to_a_number_and_counted(write: Callable[..., str]) -> None:
    checked = find_faults(write("timestamp,y\n" + DAYS + DAYS.replace(",", ",x")), INFERRED, max_shown=5)
    assert [(kind.what, kind.count, len(kind.shown)) for kind in checked.kinds] == [
        ("target", 28, 5),
        ("duplicate", 28, 5),
    ]
    assert [fault.line for fault in checked.kinds[0].shown] == [30, 31, 32, 33, 34]


def test_faults_of_a_frame_are_given_with_their_rows() -> None:
    frame = pd.DataFrame({"ds": pd.date_range("2024-01-01", periods=4), "y": ["1", "x", "3", "y"]})
    checked = find_faults(frame, INFERRED)
    assert [(fault.line, fault.series) for fault in checked.kinds[0].shown] == [(1, None), (3, None)]


def test_records_that_hold_line_ends_keep_the_lines_of_others(write: Callable[..., str]) -> None:
    text = 'timestamp,note,y\r\n2024-01-01,"a\nb",1\r\n2024-01-02,"c\rd",2,9\r\n2024-01-03,e,3\r\n2024-01-04,f,x\r\n'
    faults = {kind.what: kind.shown[0].line for kind in find_faults(write(text), INFERRED).kinds}
    assert faults == {"fields": 4, "target": 7}


def test_constant_series_outliers_gaps_and_missing_values_are_counted() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=200)
    panel = panel_of([*noise, 80.0, NAN], [5.0] * 50, [NAN, 3.0])
    summary = summarise(panel)
    assert (summary.series, summary.rows, summary.missing) == (3, 254, 2)
    assert summary.constant == ("s1",)
    assert summary.outliers == 1
    assert [(one.series, one.timestamp, one.value) for one in summary.farthest] == [("s0", "200", 80.0)]


def test_outliers_are_distances_from_the_median_in_robust_standard_deviations() -> None:
    values = [0.0, 1, 2, 3, 4, 5, 6]  # median 3, median absolute deviation 2, so 10 robust deviations are 29.652
    assert summarise(panel_of([*values, *values, 3 + 29.6, NAN])).outliers == 0
    assert summarise(panel_of([*values, *values, 3 + 29.8, NAN])).outliers == 1


def test_values_at_the_end_of_the_range_of_floats_are_summarised() -> None:
    panel = panel_of([1e308, 1e308, -1e308, 1.0], [1e308, -1e308], [1.0, 2.0])
    assert summarise(panel).series == 3
    assert level_and_scale(panel_of([1e308, 1e308, -1e308])) is not None
    assert level_and_scale(panel_of([1.7e308, -1.7e308])) is None


def test_clock_changes_are_counted_with_a_zone_and_suspected_without(write: Callable[..., str]) -> None:
    stamps = pd.date_range("2024-03-30", "2024-11-02", freq="h", tz="Europe/Berlin")
    with_zone = pd.DataFrame({"timestamp": stamps.map(str), "y": range(len(stamps))}).to_csv(index=False)
    summary = summarise(read_panel(write(with_zone), zone="Europe/Berlin"))
    assert (summary.zone_jumps, summary.clock_gaps, summary.gaps) == (2, 0, 0)
    bare = stamps.tz_localize(None)
    first = ~bare.duplicated()
    without = pd.DataFrame({"timestamp": bare[first].map(str), "y": np.arange(len(stamps))[first]}).to_csv(index=False)
    summary = summarise(read_panel(write(without)))
    assert (summary.zone_jumps, summary.clock_gaps, summary.gaps) == (0, 1, 1)


def test_level_and_scale_are_medians_over_series() -> None:
    panel = panel_of([1.0, 2, 3], [10.0, 20, 30], [100.0, 200, 300])
    assert level_and_scale(panel) == (20.0, pytest.approx(14.826))
    assert level_and_scale(panel, since=1) == (30.0, 0.0)
    assert level_and_scale(panel, since=2) is None


@pytest.mark.slow
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FILES, st.sampled_from(ZONES))
def test_any_bytes_make_a_panel_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, zone: str | None
) -> None:
    examine(content, tmp_path_factory.getbasetemp() / "any.csv", zone)


def test_a_line_without_end_is_refused_at_once(write: Callable[..., str]) -> None:
    name = write("timestamp,y\n2024-01-01,1\n2024-01-02,2\n")
    with Path(name).open("ab") as file:
        file.truncate(1 << 30)  # sparse: zero bytes take no room on the disk, but a GiB to read
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"^x\.csv:4: a line is longer than 16 MiB\. Expected a row per line"):
        read_panel(name)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def test_a_long_field_is_refused_with_what_it_may_be(write: Callable[..., str]) -> None:
    name = write('timestamp,y\n2024-01-01,1\n2024-01-02,"2\n' + DAYS * 400 + '"x\n')
    with pytest.raises(DataError) as caught:
        read_panel(name)
    assert str(caught.value) == (
        "x.csv:3: a field is longer than 131,072 characters. Look for a quote that is not closed."
    )


def test_messages_repeat_only_the_beginning_of_a_long_cell(write: Callable[..., str]) -> None:
    for cell in ("2024-01-06," + "x" * 100_000, "9" * 100_000 + ",1", "2024-01-06,\x1b[2J"):
        with pytest.raises(DataError) as caught:
            read_panel(write("timestamp,y\n" + DAYS + cell + "\n"))
        assert len(str(caught.value)) < 400 and str(caught.value).isprintable()


def test_what_unpacks_to_many_times_its_size_is_refused_while_it_unpacks(
    write: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_MAX_SMALL", 1 << 20)
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(
        [bomb.compress(b"timestamp,y\n"), *(bomb.compress(b"0" * 99 + b"\n") for _ in range(10**5)), bomb.flush()]
    )
    with pytest.raises(DataError) as caught:
        read_panel(write(packed, "x.csv.gz"))
    assert str(caught.value) == (
        "x.csv.gz: unpacks to more than 200 times its size, as no table does. If it is one, unpack it first."
    )
    monkeypatch.setattr(source, "MAX_RATIO", 10**6)
    monkeypatch.setattr(source, "MAX_BYTES", 2 << 20)
    with pytest.raises(DataError, match=r"^x\.csv\.gz: more than 0 GiB of text\. Split it into several files\.$"):
        read_panel("x.csv.gz")
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": io.BytesIO(gzip.decompress(packed))}))
    with pytest.raises(DataError, match=r"^standard input: more than 0 GiB of text\."):
        read_panel("-")


def test_a_parquet_file_of_more_cells_than_fit_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    pd.DataFrame({"timestamp": np.zeros(10**6, dtype=np.int64), "y": 0.0}).to_parquet(tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 1 << 20
    monkeypatch.setattr("forecaster.data.reading.frames.MAX_BYTES", 1 << 23)
    monkeypatch.setattr("forecaster.data.reading.frames._frame_of", pytest.fail)
    with pytest.raises(DataError, match=r"bomb\.parquet: more than 0 GiB of cells\. Split it into several files\.$"):
        read_panel(tmp_path / "bomb.parquet")


@pytest.mark.slow
def test_a_parquet_file_that_repeats_long_texts_is_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    days = pd.date_range("2000-01-01", periods=40)
    frame = pd.DataFrame({"timestamp": days, "series": "a" * (1 << 20), "y": 0.0})
    frame.to_parquet(tmp_path / "bomb.parquet")
    assert (tmp_path / "bomb.parquet").stat().st_size < 1 << 20
    assert len(read_panel(tmp_path / "bomb.parquet").target) == 40
    monkeypatch.setattr("forecaster.data.reading.frames.MAX_BYTES", 1 << 25)
    monkeypatch.setattr("forecaster.data.reading.frames._frame_of", pytest.fail)
    with pytest.raises(DataError, match=r"bomb\.parquet: more than 0 GiB of cells\. Split it into several files\.$"):
        read_panel(tmp_path / "bomb.parquet")


def test_a_small_file_may_shrink_as_much_as_it_likes(write: Callable[..., str]) -> None:
    days = pd.date_range("2000-01-01", periods=20_000).astype(str)
    text = "timestamp,y\n" + "".join(f"{day},0\n" for day in days)
    assert len(read_panel(write(gzip.compress(text.encode()), "x.csv.gz")).target) == 20_000


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no /dev/zero")
def test_an_endless_device_is_refused() -> None:
    with pytest.raises(DataError, match=r"^/dev/zero:1: a line is longer than 16 MiB\."):
        read_panel("/dev/zero")


def test_a_name_that_no_file_can_have_is_one_line() -> None:
    for name in ("a\0b.csv", "x" * 5000 + ".csv"):
        with pytest.raises(DataError):
            read_panel(name)
        assert find_faults(name, INFERRED).faults == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    import threading

    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("timestamp,y\n" + DAYS,))
    writer.start()
    assert len(read_panel(pipe).target) == 28
    writer.join()
