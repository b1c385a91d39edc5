"""Forecasts as files and frames: what is written reads back to the same bits, whole or not at all."""

from __future__ import annotations

import csv
import dataclasses
import errno
import io
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecaster.data.freq import Freq
from forecaster.data.reading.joined_columns import joined_name
from forecaster.errors import ArtifactError, UsageError
from forecaster.serving.forecast import Forecast
from forecaster.serving.forecast_file import CHUNK_ROWS, FORMATS, write_forecast

HOUR = 3_600_000_000


def make(series=("a", "b"), horizon=3, quantiles=(0.1, 0.9), freq="h", zone=None, start=1_711_843_200_000_000, seed=0):
    """Random forecasts that start at 2024-03-31 00:00 UTC, hours before clocks change in Europe."""
    rng, count = np.random.default_rng(seed), len(series)
    steps = np.arange(horizon) * (1 if freq == "1" else HOUR)
    return Forecast(
        series=np.array(series, dtype=object),
        timestamps=np.tile((7 if freq == "1" else start) + steps, (count, 1)),
        prediction=rng.normal(size=(count, horizon)) * 10.0 ** rng.integers(-20, 20, (count, horizon)),
        quantiles=quantiles,
        quantile_forecasts=rng.normal(size=(count, horizon, len(quantiles))),
        source=np.array(["model"] * (count - 1) + ["seasonal-naive"], dtype=object)[:count],
        freq=Freq.parse(freq),
        zone=zone,
    )


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_holds_the_contract_columns_and_rows_in_order(tmp_path):
    forecast = dataclasses.replace(make(horizon=2), prediction=np.array([[1.0, 0.1], [-2.5, 1e300]]))
    forecast = dataclasses.replace(forecast, quantile_forecasts=np.arange(8.0).reshape(2, 2, 2))
    write_forecast(forecast, tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text() == (
        "series,timestamp,prediction,0.1,0.9,source\n"
        "a,2024-03-31 00:00:00,1.0,0.0,1.0,model\n"
        "a,2024-03-31 01:00:00,0.1,2.0,3.0,model\n"
        "b,2024-03-31 00:00:00,-2.5,4.0,5.0,seasonal-naive\n"
        "b,2024-03-31 01:00:00,1e+300,6.0,7.0,seasonal-naive\n"
    )


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=3, max_size=3))
def test_numbers_read_back_to_the_same_bits(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("bits")
    forecast = dataclasses.replace(make(series=("a",), quantiles=()), prediction=np.array([values]))
    write_forecast(forecast, folder / "out.csv")
    write_forecast(forecast, folder / "out.json")
    from_csv = [float(row["prediction"]) for row in rows_of(folder / "out.csv")]
    from_json = [row["prediction"] for row in json.loads((folder / "out.json").read_text())["forecast"]]
    assert [x.hex() for x in from_csv] == [x.hex() for x in from_json] == [x.hex() for x in values]


# Before Python 3.11 the csv module, which reads here, refuses NUL.
CHARACTERS = st.characters(codec="utf-8", exclude_characters="" if sys.version_info >= (3, 11) else "\0")


@settings(deadline=None)
@given(st.lists(st.text(CHARACTERS, max_size=8), min_size=1, max_size=4))
def test_any_series_name_reads_back_from_csv_and_json(tmp_path_factory, names):
    folder = tmp_path_factory.mktemp("names")
    forecast = make(series=names, horizon=2)
    write_forecast(forecast, folder / "out.csv")
    write_forecast(forecast, folder / "out.json")
    expected = [name for name in names for _ in range(2)]
    assert [row["series"] for row in rows_of(folder / "out.csv")] == expected
    assert [row["series"] for row in json.loads((folder / "out.json").read_text())["forecast"]] == expected


def test_json_is_one_object_with_an_object_per_row(tmp_path):
    write_forecast(make(horizon=1), tmp_path / "out.json")
    rows = json.loads((tmp_path / "out.json").read_text())["forecast"]
    assert [list(row) for row in rows] == [["series", "timestamp", "prediction", "0.1", "0.9", "source"]] * 2
    assert rows[1]["source"] == "seasonal-naive"


def test_whole_number_steps_are_numbers_everywhere(tmp_path):
    forecast = make(freq="1")
    write_forecast(forecast, tmp_path / "out.json")
    write_forecast(forecast, tmp_path / "out.csv")
    rows = json.loads((tmp_path / "out.json").read_text())["forecast"]
    assert [row["timestamp"] for row in rows] == [7, 8, 9, 7, 8, 9]
    assert [row["timestamp"] for row in rows_of(tmp_path / "out.csv")] == ["7", "8", "9", "7", "8", "9"]
    assert forecast.to_frame()["timestamp"].tolist() == [7, 8, 9, 7, 8, 9]


@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "+05:30"])
def test_csv_parquet_and_frame_say_the_same_instants(tmp_path, zone):
    pytest.importorskip("pyarrow")
    forecast = make(zone=zone)
    write_forecast(forecast, tmp_path / "out.csv")
    write_forecast(forecast, tmp_path / "out.parquet")
    frame, stored = forecast.to_frame(), pd.read_parquet(tmp_path / "out.parquet")
    # Compared as text: a fixed offset is read as pytz' own where that is installed.
    assert list(map(str, stored["timestamp"])) == list(map(str, frame["timestamp"]))
    pd.testing.assert_frame_equal(stored, frame, check_dtype=False)
    texts = [row["timestamp"] for row in rows_of(tmp_path / "out.csv")]
    read = pd.to_datetime(pd.Series(texts), utc=zone is not None)
    expected = frame["timestamp"] if zone is None else frame["timestamp"].dt.tz_convert("UTC")
    assert read.tolist() == expected.tolist()


def test_the_wall_clock_of_the_zone_is_kept_over_a_clock_change():
    hours = make(zone="Europe/Berlin").to_frame()["timestamp"].dt.hour
    assert hours.tolist() == [1, 3, 4, 1, 3, 4]


def test_a_frame_has_columns_by_level_and_a_source():
    frame = make().to_frame()
    assert list(frame) == ["series", "timestamp", "prediction", "0.1", "0.9", "source"]
    assert frame["source"].tolist() == ["model"] * 3 + ["seasonal-naive"] * 3
    assert frame["prediction"].tolist() == make().prediction.reshape(-1).tolist()


@pytest.mark.slow
def test_more_rows_than_one_chunk_keep_their_order(tmp_path):
    names = [str(n) for n in range(CHUNK_ROWS // 4)]
    forecast = make(series=names, horizon=5)
    for suffix in ("csv", "json"):
        write_forecast(forecast, tmp_path / f"out.{suffix}")
    rows = rows_of(tmp_path / "out.csv")
    assert [row["series"] for row in rows] == [name for name in names for _ in range(5)]
    assert [float(row["0.9"]) for row in rows] == forecast.quantile_forecasts[:, :, 1].reshape(-1).tolist()
    assert [r["0.9"] for r in json.loads((tmp_path / "out.json").read_text())["forecast"]] == [
        float(row["0.9"]) for row in rows
    ]


@pytest.mark.parametrize("shape", [{"series": ()}, {"horizon": 0}])
@pytest.mark.parametrize("format", FORMATS)
def test_nothing_forecast_is_a_header_alone(tmp_path, shape, format):
    write_forecast(make(**shape), tmp_path / "out", format)
    if format == "csv":
        assert (tmp_path / "out").read_text() == "series,timestamp,prediction,0.1,0.9,source\n"
    if format == "json":
        assert json.loads((tmp_path / "out").read_text()) == {"forecast": []}
    assert len(make(**shape).to_frame()) == 0


def test_the_suffix_decides_the_format_and_format_overrules_it(tmp_path):
    for name, format in (("a.JSON", None), ("a.csv", "json")):
        write_forecast(make(), tmp_path / name, format)
        assert json.loads((tmp_path / name).read_text())
    write_forecast(make(), tmp_path / "a.txt")
    assert (tmp_path / "a.txt").read_text().startswith("series,")


def test_an_unknown_format_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"'parquat' is not known. Did you mean 'parquet'"):
        write_forecast(make(), tmp_path / "a", "parquat")


def test_a_compressed_suffix_is_refused_not_ignored(tmp_path):
    with pytest.raises(UsageError, match=r"not written compressed. Leave out '.gz'"):
        write_forecast(make(), tmp_path / "a.csv.gz")


@pytest.mark.parametrize("name", ["a.xlsm", "A.XLS", "a.xls", "a.ods", "a.tsv"])
@pytest.mark.parametrize("format", [None, "csv"])
def test_a_name_of_another_format_is_refused(tmp_path, name, format):
    with pytest.raises(UsageError, match="are not written as"):
        write_forecast(make(), tmp_path / name, format)
    assert not (tmp_path / name).exists()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("array", ["prediction", "quantile_forecasts"])
def test_a_forecast_that_is_not_finite_never_leaves(tmp_path, value, array):
    forecast = make()
    getattr(forecast, array)[1, 2] = value
    for leave in (forecast.check, forecast.to_frame, lambda: write_forecast(forecast, tmp_path / "out.csv")):
        with pytest.raises(ArtifactError, match="series 'b': the forecast for 2024-03-31 02:00:00 is not a finite"):
            leave()
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "out.csv"
    target.write_text("old")

    def full(_forecast, stream):
        stream.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setitem(FORMATS, "csv", full)
    with pytest.raises(UsageError, match=r"out.csv': cannot be written: no space left on device"):
        write_forecast(make(), target)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(_forecast, stream):
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setitem(FORMATS, "csv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_forecast(make(), tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_new_files_follow_the_umask_and_old_ones_keep_their_mode(tmp_path):
    before = os.umask(0o027)
    try:
        write_forecast(make(), tmp_path / "new.csv")
        (tmp_path / "old.csv").touch()
        (tmp_path / "old.csv").chmod(0o604)
        write_forecast(make(), tmp_path / "old.csv")
    finally:
        os.umask(before)
    assert (tmp_path / "new.csv").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "old.csv").stat().st_mode & 0o777 == 0o604


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_forecast(make(), tmp_path / "link.csv")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("series,")


@pytest.mark.parametrize("place", ["missing/out.csv", "", "file/out.csv", "x" * 300, "circle", "a\0b"])
def test_a_place_that_cannot_be_written_is_one_line(tmp_path, place):
    (tmp_path / "file").touch()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UsageError, match="cannot be written: ") as caught:
        write_forecast(make(), tmp_path / place)
    assert "\n" not in str(caught.value)
    assert "--output" in caught.value.hint


def test_a_device_is_written_to_and_not_replaced():
    write_forecast(make(), "/dev/null")
    assert not os.path.isfile("/dev/null")  # noqa: PTH113


def test_a_full_device_is_one_line():
    with pytest.raises(UsageError, match="no space left on device"):
        write_forecast(make(), "/dev/full")


def test_a_dash_writes_bytes_to_standard_output_after_what_was_printed(capfdbinary):
    print("first")
    write_forecast(make(series=("é",), horizon=1, quantiles=()), "-")
    assert capfdbinary.readouterr().out.startswith("first\nseries,timestamp,prediction,source\né,2024".encode())


def test_a_terminal_gets_four_digits_and_nothing_that_it_would_obey(monkeypatch):
    name = "\x1b[31mred\n\u202eé"
    written = []
    for terminal in (False, True):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        stream.isatty = lambda terminal=terminal: terminal
        monkeypatch.setattr(sys, "stdout", stream)
        write_forecast(make(series=(name,), horizon=1, quantiles=()), "-")
        written.append(stream.buffer.getvalue().decode())
    assert name in written[0] and name not in written[1]
    assert written[1].splitlines()[1].startswith(r"\x1b[31mred\n\u202eé,2024")


@pytest.mark.parametrize("stream", [None, io.StringIO()])
def test_standard_output_that_takes_no_bytes_is_a_usage_error(monkeypatch, stream):
    monkeypatch.setattr(sys, "stdout", stream)
    with pytest.raises(UsageError, match="--output FILE"):
        write_forecast(make(), "-")


def test_a_reader_who_has_had_enough_is_left_to_the_caller(monkeypatch):
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError), open(write, "w", buffering=1) as stream:  # noqa: PTH123
        monkeypatch.setattr(sys, "stdout", stream)
        write_forecast(make(), "-")


@pytest.mark.slow
def test_writing_csv_and_json_imports_neither_pandas_nor_pyarrow(tmp_path):
    code = (
        "import sys, numpy as np; from forecaster.serving.forecast import Forecast; from forecaster.data.freq import Freq;"
        "from forecaster.serving.forecast_file import write_forecast;"
        "one = np.ones((1, 1)); name = np.array(['a'], dtype=object);"
        "f = Forecast(name, one.astype(np.int64), one, (), np.ones((1, 1, 0)), name, Freq.parse('D'), 'Europe/Berlin');"
        "write_forecast(f, sys.argv[1] + '/a.csv'); write_forecast(f, sys.argv[1] + '/a.json');"
        "assert not {'pandas', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError, match="pip install"):
        write_forecast(make(), tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_keys_come_back_as_the_columns_that_they_were(tmp_path):
    names = [joined_name(("007", 'b, "c"')), joined_name(("=7", "d"))]
    forecast = dataclasses.replace(make(series=names), keys=("store", "item"))
    assert forecast.columns[:4] == ("store", "item", "timestamp", "prediction")
    for name in ("f.csv", "f.parquet", "f.json"):
        write_forecast(forecast, tmp_path / name)
    read = pd.read_csv(tmp_path / "f.csv", dtype={"store": "str", "item": "str"})
    stored = pd.DataFrame(json.loads((tmp_path / "f.json").read_text())["forecast"])
    for frame in (read, stored, pd.read_parquet(tmp_path / "f.parquet"), forecast.to_frame()):
        assert frame["store"].tolist()[::3] == ["007", "=7"]
        assert frame["item"].tolist()[::3] == ['b, "c"', "d"]
    write_forecast(forecast, tmp_path / "safe.csv", safe_csv=True)
    assert [row["store"] for row in rows_of(tmp_path / "safe.csv")][::3] == ["007", "'=7"]
