"""Data in several files: the panel of a folder, a glob or a partitioned data set is that of the same rows in one file."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.cli.main import run
from forecaster.commands.batch.run import batch
from forecaster.config import BatchSettings
from forecaster.data.reading.file_set import is_file_set
from forecaster.data.reading.find_faults import find_faults
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError
from tests.support.factories import Recorder
from tests.support.stored_models import stored, write_csv


@pytest.fixture
def rows(tmp_path, monkeypatch):
    """Hourly rows of three series, in no order; they are in the file `all.csv`, too."""
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "all.csv", 100, ("a", "b", "c"))
    return pd.read_csv("all.csv", parse_dates=["timestamp"]).sample(frac=1, random_state=0)


def same(source, plain="all.csv"):
    """Whether a source has the panel of one file, whatever the order of the series."""
    one, other = read_panel(source), read_panel(plain)
    order = [one.series.tolist().index(name) for name in other.series]
    target = np.concatenate([one.target[one.offsets[n] : one.offsets[n + 1]] for n in order])
    stamps = np.concatenate([one.timestamps[one.offsets[n] : one.offsets[n + 1]] for n in order])
    return one.freq == other.freq and (target == other.target).all() and (stamps == other.timestamps).all()


def in_csv_files(frame, folder="parts", count=4):
    Path(folder).mkdir()
    for n in range(count):
        frame[n::count].to_csv(f"{folder}/{n}.csv", index=False, date_format="%Y-%m-%d %H:%M:%S")


def in_parquet(frame, keys, folder="parts"):
    frame.to_parquet(folder, partition_cols=keys, index=False)


def test_csv_files_of_a_folder_or_a_glob_are_one_table(rows):
    in_csv_files(rows)
    assert same("parts") and same("parts/") and same("parts/*.csv") and same("**/[0-9].csv") and same(Path("parts"))
    Path("parts/_SUCCESS").touch()
    Path("parts/.3.csv.crc").write_text("x", encoding="utf-8")
    Path("parts/README.md").write_text("x", encoding="utf-8")
    Path("parts/3.csv").write_bytes(Path("parts/3.csv").read_bytes().rstrip())  # the last line needs no end
    assert same("parts")


def test_parquet_files_may_be_partitioned_by_series_and_by_date(rows):
    in_parquet(rows, ["series"], "by_series")
    assert same("by_series") and same("by_series/series=*") and same("by_series/series=[a-c]/") and same("by_series/**")
    rows["date"] = rows["timestamp"].dt.date.astype(str)
    in_parquet(rows, ["date"], "by_date")
    assert same("by_date")
    rows = rows.assign(year=rows["timestamp"].dt.year, month=rows["timestamp"].dt.month).drop(columns="date")
    in_parquet(rows, ["year", "month", "series"], "by_all")
    assert same("by_all") and same("by_all/year=2024/month=1")


def test_a_date_in_the_path_is_the_timestamp_where_the_files_have_none(rows):
    daily = rows[rows["timestamp"].dt.hour == 0].assign(day=lambda one: one["timestamp"].dt.date.astype(str))
    daily[["series", "day", "target"]].to_csv("daily.csv", index=False)
    in_parquet(daily[["series", "day", "target"]], ["day"])
    assert same("parts", "daily.csv")


def test_pieces_may_be_elsewhere(rows):
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    in_csv_files(rows)
    in_parquet(rows, ["series"], "cubes")
    memory.put("parts", "/far/parts", recursive=True)
    memory.put("cubes", "/far/cubes", recursive=True)
    assert same("memory://far/parts/") and same("memory://far/parts/*.csv") and same("memory://far/cubes/")
    assert same("memory://far/cubes/series=*/") and same("memory://far/cubes/**")


def test_a_fault_is_named_by_its_file_and_line(rows):
    in_csv_files(rows)
    text = Path("parts/2.csv").read_text(encoding="utf-8").splitlines()
    text[16] = "a,2024-01-01 00:00:00,many"
    Path("parts/2.csv").write_text("\n".join(text), encoding="utf-8")
    with pytest.raises(DataError, match=re.escape("parts/2.csv:17: ")):
        read_panel("parts")
    text[16] += ",1"
    Path("parts/2.csv").write_text("\n".join(text), encoding="utf-8")
    with pytest.raises(DataError, match=re.escape("parts/2.csv:17: ")):
        read_panel("parts")
    assert find_faults("parts", ReadOptions.of()).kinds[0].shown[0].line is not None


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda: Path("parts/3.csv").write_text("series,timestamp,other\na,2024-01-01,1\n"), "its header differs"),
        (lambda: pd.DataFrame({"x": [1]}).to_parquet("parts/x.parquet"), "both CSV and Parquet"),
        (lambda: [one.unlink() for one in Path("parts").glob("*")], "there is no CSV or Parquet file"),
    ],
)
def test_pieces_that_do_not_fit_are_refused(rows, spoil, message):
    in_csv_files(rows)
    spoil()
    with pytest.raises(DataError, match=message):
        read_panel("parts")


def test_parquet_files_with_other_columns_or_damage_are_refused(rows):
    in_parquet(rows, ["series"])
    found = next(Path("parts").rglob("*.parquet"))
    whole = found.read_bytes()
    pd.read_parquet(found).drop(columns="target").to_parquet(found.with_name("z.parquet"))
    with pytest.raises(DataError, match=r"z\.parquet: has no column 'target'"):
        read_panel("parts")
    found.with_name("z.parquet").write_bytes(whole[:-20])
    with pytest.raises(DataError, match="cannot be read"):
        read_panel("parts")


def test_what_is_one_file_is_no_glob(rows):
    Path("all.csv").rename("all[1].csv")
    assert not is_file_set("all[1].csv") and len(read_panel("all[1].csv").series) == 3
    with pytest.raises(DataError, match="no CSV or Parquet"):
        read_panel("none*.csv")


def test_an_output_among_the_pieces_is_refused(rows, capfd):
    in_csv_files(rows)
    stored(Path("models"))
    for data, output in (("parts", "parts/out.csv"), ("parts/*.csv", "parts/out.csv")):
        assert run(["predict", data, "--model", "m", "--output", output]) == 2
        assert "would be read as the data the next time" in capfd.readouterr().err
    assert run(["predict", "parts/*.csv", "--model", "m", "--output", "parts.csv", "--quiet"]) == 0


def test_a_job_is_skipped_where_no_piece_has_changed(rows):
    in_csv_files(rows)
    stored(Path("models"))
    text = 'status = "status.json"\n[jobs.a]\ndata = "parts"\nmodel = "m"\noutput = "out.csv"\n'
    Path("jobs.toml").write_text(text, encoding="utf-8")

    def status():
        lines = []
        batch("jobs.toml", BatchSettings(), Recorder(), lines.append)
        return lines[0].status

    assert [status(), status()] == ["done", "skipped"]
    rows[:1].to_csv("parts/4.csv", index=False, date_format="%Y-%m-%d %H:%M:%S")
    assert status() == "failed"  # a row that is there twice
    Path("parts/4.csv").unlink()
    assert [status(), status()] == ["done", "skipped"]
