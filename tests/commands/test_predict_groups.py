"""`predict` of Parquet files into a folder: the forecasts of one run over all rows, by groups, whole or absent, resumable."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.cli.main import run
from forecaster.commands import group_forecast
from forecaster.data.reading import series_groups
from forecaster.storage.files import whole_file
from tests.support.stored_models import stored, wave, write_csv

pytest.importorskip("pyarrow")
ROOT = Path(__file__).parents[2]
NAMES = [f"shop {n}" for n in range(30)]


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """Rows of 30 series in files by date, in no order, a model, and groups of few rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(series_groups, "GROUP_ROWS", 600)
    stored(tmp_path / "models", data=tmp_path / "sales")
    write_rows(100)
    return tmp_path


def write_rows(hours, names=NAMES, value=wave, folder="sales"):
    """The rows of `hours` hours in the folder of pieces, and in all.csv."""
    write_csv(Path("all.csv"), hours, names, value=value)
    rows = pd.read_csv("all.csv", parse_dates=["timestamp"]).sample(frac=1, random_state=0)
    rows["date"] = rows["timestamp"].dt.date.astype(str)
    shutil.rmtree(folder, ignore_errors=True)
    rows.to_parquet(folder, partition_cols=["date"], index=False)


def predicted(*words, output="out/"):
    return run(["predict", "sales", "--model", "m", "--output", output, "--quiet", *words])


def rows_of(source):
    """The rows of a forecast, by series and timestamp."""
    frame = pd.read_csv(source) if str(source).endswith(".csv") else pd.read_parquet(source)
    frame["timestamp"] = pd.to_datetime(frame["timestamp"])
    return frame.sort_values(["series", "timestamp"], ignore_index=True)


def names_in(folder):
    return sorted(path.name for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("words", [[], ["--horizon", "9", "--quantiles", "0.1,0.9"], ["--fallback"]])
def test_groups_have_the_forecasts_of_one_run(shop, words):
    assert predicted(*words) == 0
    assert run(["predict", "all.csv", "--model", "m", "--output", "one.parquet", "--quiet", *words]) == 0
    pd.testing.assert_frame_equal(rows_of("out"), rows_of("one.parquet"), check_exact=True, check_dtype=False)
    assert len(names_in("out")) == 5 and not Path(".out.forecast").exists() and not Path(".out.lock").exists()


def test_the_data_of_the_training_is_the_default_and_csv_parts_may_be_asked_for(shop):
    assert run(["predict", "--model", "m", "--output", "out/", "--format", "csv", "--quiet"]) == 0
    found = pd.concat(map(rows_of, sorted(Path("out").glob("*.csv")))).sort_values(["series", "timestamp"])
    assert run(["predict", "all.csv", "--model", "m", "--output", "one.csv", "--quiet"]) == 0
    assert found.to_numpy().tolist() == rows_of("one.csv").to_numpy().tolist()


def test_every_row_of_a_series_is_in_one_group(shop, tmp_path):
    pieces = series_groups.FileSet("sales", tuple(map(str, sorted(Path("sales").rglob("*.parquet")))), True)
    groups = series_groups.divided(pieces, ["series"], ["timestamp", "target"], tmp_path / "groups", 7)
    frames = [series_groups.GroupRows.of(groups.buffer(n)).frame() for n in range(7)]
    names = [set(frame["series"]) for frame in frames]
    assert sum(map(len, frames)) == 3000 and sum(map(len, names)) == len(set().union(*names)) == 30
    assert all(names)


def test_the_hash_of_a_name_is_its_own(shop):
    import pyarrow as pa

    texts = ["", "a", "b", "a1", "1a", "shop 1", "shop 11", None, "ä", "x" * 5000]
    whole = series_groups._hashes([pa.array(texts)])
    alone = [int(series_groups._hashes([pa.array([text], pa.string())])[0]) for text in texts]
    assert whole.tolist() == alone and len(set(alone)) == len(texts) - 1  # a missing name is an empty one
    assert series_groups._hashes([pa.array(texts).slice(3, 4)]).tolist() == alone[3:7]
    assert series_groups._hashes([pa.array([" a", "b\xa0"])]).tolist() == alone[1:3]  # spaces are no part of a name
    assert series_groups._hashes([pa.array(["a"]), pa.array(["b"])]) != series_groups._hashes(
        [pa.array(["b"]), pa.array(["a"])]
    )


def test_series_that_cannot_be_forecast_are_named_and_the_rest_is_written(shop, capfd):
    missing = {"shop 3", "shop 7"}
    write_rows(100, value=lambda n, t: None if NAMES[n] in missing else wave(n, t))
    assert predicted("--json") == 7
    found = capfd.readouterr()
    report = json.loads(found.out)
    assert report["series"] == 28 and report["failed_count"] == 2 and set(report["failed"]) == missing
    assert set(rows_of("out")["series"]) == set(NAMES) - missing


def test_a_group_without_any_target_is_named_too(shop):
    write_rows(100, ["a", "b"], value=lambda n, t: None if n else wave(n, t), folder="two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(series_groups, "GROUP_ROWS", 10)
        assert run(["predict", "two", "--model", "m", "--output", "out/", "--quiet"]) == 7
    assert set(rows_of("out")["series"]) == {"a"}


def test_old_data_publishes_nothing(shop):
    assert predicted() == 0
    before = rows_of("out")
    write_rows(101)
    assert predicted("--max-age", "2d") == 6
    pd.testing.assert_frame_equal(rows_of("out"), before)


def test_a_fault_names_the_data_and_the_series(shop, capfd):
    Path("sales/date=2024-01-01/again.parquet").write_bytes(next(Path("sales/date=2024-01-01").glob("*")).read_bytes())
    assert predicted() == 3
    error = capfd.readouterr().err
    assert error.startswith("error: sales: timestamp '2024-01-01") and "is already in sales" in error
    assert not Path("out").exists()


def test_a_folder_is_replaced_as_a_whole(shop):
    assert predicted() == 0
    Path("out/part-00099.parquet").write_bytes(b"x")  # of an earlier run with more groups
    write_rows(101)
    assert predicted() == 0
    assert "part-00099.parquet" not in names_in("out") and rows_of("out")["timestamp"].min() == pd.Timestamp(
        "2024-01-05 05:00"
    )


def test_a_file_that_a_killed_run_was_writing_is_not_published_and_refuses_no_later_run(shop, monkeypatch):
    real, made = group_forecast.forecast_panel, []

    def few(*arguments):
        made.append(1)
        if len(made) == 3:
            Path(".out.forecast/parts", half).write_bytes(b"half")
            raise KeyboardInterrupt
        return real(*arguments)

    with whole_file("part-00002.parquet"):
        (half,) = (path.name for path in Path().glob(".*.part"))
    monkeypatch.setattr(group_forecast, "forecast_panel", few)
    assert predicted() == 130
    assert predicted() == 0 and len(names_in("out")) == 5 and half not in names_in("out")
    Path("out", half).write_bytes(b"half")  # as earlier versions published it
    assert predicted() == 0 and half not in names_in("out")


@pytest.mark.parametrize("output", ["models/", "mine/", "./mine/"])
def test_a_folder_with_anything_else_in_it_is_refused_and_left_as_it_is(shop, capfd, output):
    Path("mine").mkdir()
    for name in ("part-00000.parquet", "part-00001-9f3c.parquet", "thesis.txt"):
        Path("mine", name).write_text("years of work")
    before = {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}
    assert run(["predict", "sales", "--model", "m", "--output", output, "--quiet"]) == 2
    assert "would be replaced as a whole, and has" in capfd.readouterr().err
    assert {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")} == before


def test_an_interrupted_run_is_resumed_and_other_data_begins_anew(shop, monkeypatch, capfd):
    real, made = group_forecast.forecast_panel, []

    def few(*arguments):
        made.append(1)
        if len(made) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(group_forecast, "forecast_panel", few)
    assert predicted() == 130
    assert not Path("out").exists() and Path(".out.forecast").is_dir()
    made[:] = [1] * 3
    assert predicted("--json") == 0
    assert json.loads(capfd.readouterr().out)["resumed"] == 2 and len(made) == 3 + 3
    made[:] = []
    write_rows(101)
    assert predicted() == 130
    write_rows(102)
    made[:] = [1] * 3
    assert predicted("--json") == 0
    assert json.loads(capfd.readouterr().out)["resumed"] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sales", "--plot", "x.png"], "--plot has no effect"),
        (["sales", "--ledger", "l.db"], "--ledger has no effect"),
        (["sales", "--format", "json"], "no effect with a folder"),
        (["all.csv"], "needs Parquet files"),
        (["sales", "--model", "pretrained"], "needs a stored model"),
        (["sales", "--output", "all.csv/"], "this is no folder"),
        (["sales", "--output", "s3://bucket/out/"], "a folder of forecasts is on this machine"),
        (["sales", "--output", "sales/out/"], "would be read as the data"),
    ],
)
def test_what_a_folder_cannot_have_is_refused(shop, capfd, words, message):
    words = words if "--output" in words else [*words, "--output", "out/"]
    model = [] if "--model" in words else ["--model", "m"]
    assert run(["predict", *words, *model, "--quiet"]) == 2
    assert message in capfd.readouterr().err


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_time_loses_no_row_and_has_none_twice(shop):
    """A few kills here; benchmarks/scale.py has more."""
    code = (
        "from forecaster.data.reading import series_groups; series_groups.GROUP_ROWS = 100\n"
        "import sys; from forecaster.cli.main import run\n"
        "sys.exit(run(['predict', 'sales', '--model', 'm', '--output', 'out/', '--quiet']))\n"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    assert subprocess.run(command, env=environment).returncode == 0
    seconds, expected, rng = time.monotonic() - began, rows_of("out"), random.Random(0)
    for _ in range(2):
        process = subprocess.Popen(command, env=environment)
        time.sleep(seconds * rng.uniform(0.4, 1.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        if Path("out").exists():
            pd.testing.assert_frame_equal(rows_of("out"), expected)
    assert subprocess.run(command, env=environment).returncode == 0
    pd.testing.assert_frame_equal(rows_of("out"), expected)
    assert not rows_of("out").duplicated(["series", "timestamp"]).any() and np.isfinite(expected["prediction"]).all()
