"""The ledger: what was forecast is noted once, whole, whoever else writes."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.commands.predict import deliver
from forecaster.config import PredictSettings
from forecaster.errors import DataError, LockError, UsageError
from forecaster.serving.ledger import append, entries, find_version, versions
from forecaster.serving.predict import run_forecast
from tests.support.factories import Recorder
from tests.support.stored_models import stored, wave, write_csv

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shop(tmp_path):
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 100)
    return tmp_path


def forecast_of(shop, data="data.csv", **options):
    settings = PredictSettings(**{"models": str(shop / "models"), "model": "m", "ledger": "x", **options})
    return run_forecast(str(shop / data), settings, Recorder())


def test_a_forecast_is_noted_once_for_a_version_and_a_cutoff(shop):
    ledger = shop / "l.db"
    assert append(ledger, forecast_of(shop)) == 12
    assert append(ledger, forecast_of(shop)) == 0
    assert append(ledger, forecast_of(shop, horizon=8)) == 4  # the steps that were not there
    write_csv(shop / "data.csv", 101)
    assert append(ledger, forecast_of(shop)) == 12
    stored(shop / "models", bias=1.0)
    assert append(ledger, forecast_of(shop)) == 12
    assert [(one.model, one.version, one.expected) for one in versions(ledger)] == [("m", 1, 0.8), ("m", 2, 0.8)]


def test_what_comes_back_is_what_was_forecast_with_naive_for_each_step(shop):
    run = forecast_of(shop)
    append(shop / "l.db", run)
    found = run.forecast
    made = entries(shop / "l.db", find_version(shop / "l.db", "m"))
    assert made.prediction.tolist() == found.prediction.reshape(-1).tolist()
    assert made.quantile_forecasts.tolist() == found.quantile_forecasts.reshape(-1, 2).tolist()
    assert made.timestamp.tolist() == found.timestamps.reshape(-1).tolist()
    assert made.step.tolist() == [1, 2, 3, 4, 5, 6] * 2 and set(made.source) == {"model"}
    assert made.naive[0] == wave(0, 76) and np.isfinite(made.scale).all()


def test_a_fallback_and_the_model_of_the_same_cutoff_are_both_noted(shop):
    graph = shop / "models" / "m" / "1" / "model.onnx"
    whole = graph.read_bytes()
    graph.write_bytes(b"!" + whole)
    assert append(shop / "l.db", forecast_of(shop, fallback=True)) == 12
    graph.write_bytes(whole)
    assert append(shop / "l.db", forecast_of(shop, fallback=True)) == 12


def test_a_version_is_chosen_by_name_or_as_the_latest(shop):
    ledger = shop / "l.db"
    append(ledger, forecast_of(shop))
    stored(shop / "models")
    append(ledger, forecast_of(shop))
    assert [find_version(ledger, text).version for text in (None, "m", "m@1", "m@2")] == [2, 2, 1, 2]
    with pytest.raises(DataError, match="Known: m@1, m@2"):
        find_version(ledger, "m@3")


def test_the_version_of_the_newest_forecast_is_chosen_also_after_a_rollback(shop):
    ledger = shop / "l.db"
    stored(shop / "models")
    append(ledger, forecast_of(shop))
    write_csv(shop / "data.csv", 101)
    append(ledger, forecast_of(shop, model="m@1"))
    assert [find_version(ledger, text).version for text in (None, "m", "m@2")] == [1, 1, 2]


def test_files_that_are_no_ledger_are_named_in_one_line(shop):
    with pytest.raises(UsageError, match="no such ledger"):
        versions(shop / "none.db")
    with pytest.raises(UsageError, match="not a ledger"):
        append(shop / "data.csv", forecast_of(shop))
    with pytest.raises(UsageError, match="unable to open"):
        append(shop / "no" / "folder.db", forecast_of(shop))
    sqlite3.connect(shop / "new.db").execute("PRAGMA user_version = 9").connection.commit()
    with pytest.raises(UsageError, match="newer than this program"):
        append(shop / "new.db", forecast_of(shop))


def test_a_ledger_that_others_keep_busy_is_a_lock(shop, monkeypatch):
    monkeypatch.setattr("forecaster.serving.ledger.BUSY_SECONDS", 0.1)
    append(shop / "l.db", forecast_of(shop))
    other = sqlite3.connect(shop / "l.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LockError):
        append(shop / "l.db", forecast_of(shop))
    other.rollback()


@pytest.mark.slow
def test_a_killed_append_leaves_nothing_of_itself(shop):
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "import forecaster.serving.ledger as ledger\nfrom tests.serving import test_ledger\n"
        "shop = Path(sys.argv[1])\nrows = ledger._rows\n"
        "def some(*given):\n"
        "    for i, row in enumerate(rows(*given)):\n"
        "        if i == 7: os.kill(os.getpid(), 9)\n"
        "        yield row\n"
        "ledger._rows = some\nledger.append(shop / 'l.db', test_ledger.forecast_of(shop))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(shop)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert append(shop / "l.db", forecast_of(shop)) == 12
    assert [path.name for path in shop.glob("l.db*")] == ["l.db"]


def test_the_folder_is_synced_after_the_commit_so_that_a_power_cut_brings_no_journal_back(shop, monkeypatch):
    made, real, synced = forecast_of(shop), os.fsync, []

    def noted(handle):
        state = os.fstat(handle)
        if stat.S_ISDIR(state.st_mode):
            synced.append((state.st_ino, (shop / "l.db").is_file(), (shop / "l.db-journal").exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", noted)
    append(shop / "l.db", made)
    assert synced[-1] == (shop.stat().st_ino, True, False)
    synced.clear()
    versions(shop / "l.db")
    assert synced == []


def test_a_copied_model_is_known_by_its_store_s_name(shop):
    for n in range(3):
        shutil.copytree(shop / "models" / "m", shop / "models" / f"copy-{n}")
        append(shop / "l.db", forecast_of(shop, model=f"copy-{n}"))
    assert [one.model for one in versions(shop / "l.db")] == ["copy-0", "copy-1", "copy-2"]
    assert forecast_of(shop, model="copy-1").forecast.metadata()["model"] == "copy-1"


def test_the_rows_are_there_before_the_output(shop, monkeypatch):
    seen = []
    settings = PredictSettings(models=str(shop / "models"), model="m", ledger=str(shop / "l.db"))
    for output in ("out.csv", "{series}.csv", "-"):
        (shop / "l.db").unlink(missing_ok=True)
        monkeypatch.setattr(
            "forecaster.commands.predict.write_forecast", lambda *given, **options: seen.append(rows(shop / "l.db"))
        )
        place = output if output == "-" else str(shop / output)
        deliver(str(shop / "data.csv"), replace(settings, output=place), Recorder(), None)
    assert seen == [12] * 4


def rows(ledger):
    return sqlite3.connect(ledger).execute("SELECT count(*) FROM forecasts").fetchone()[0] if ledger.exists() else 0


def test_a_ledger_that_cannot_be_written_costs_no_forecast(shop, capfd):
    (shop / "l.db").write_bytes(b"no ledger at all, but a text of some length" * 100)
    words = ["predict", str(shop / "data.csv"), "--models", str(shop / "models"), "--model", "m", "--quiet"]
    assert run([*words, "--output", str(shop / "out.csv"), "--ledger", str(shop / "l.db")]) == 2
    assert "not a ledger" in capfd.readouterr().err
    assert len((shop / "out.csv").read_text().splitlines()) == 13


def test_an_output_that_is_refused_leaves_no_rows(shop, capfd):
    words = ["predict", str(shop / "data.csv"), "--models", str(shop / "models"), "--model", "m", "--quiet"]
    for output in ("out.csv.gz", "none/out.csv"):
        assert run([*words, "--output", str(shop / output), "--ledger", str(shop / "l.db")]) == 2
    assert rows(shop / "l.db") == 0


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="changes owners")
def test_a_ledger_is_not_written_through_a_link_of_another_user(shop):
    with tempfile.TemporaryDirectory() as shared:
        Path(shared).chmod(0o1777)
        link = Path(shared) / "l.db"
        link.symlink_to(shop / "victim.db")
        os.chown(link, 54_321, 54_321, follow_symlinks=False)
        with pytest.raises(UsageError, match="a link of another user"):
            append(link, forecast_of(shop))
    assert not (shop / "victim.db").exists()


WRONG_CELLS = [
    *[("versions", column, value) for column in ("model", "version", "freq", "season_length") for value in (b"\x00",)],
    *[("versions", "quantiles", value) for value in ("", "[", "{}", "[null]", '["x"]', "3", b"\x00")],
    *[("versions", "expected", value) for value in ("x", b"\x00", float("inf"))],
    *[("forecasts", column, "x") for column in ("cutoff", "step", "timestamp", "prediction", "naive", "scale")],
    *[("forecasts", column, b"\x00\x01") for column in ("series", "source", "cutoff", "prediction")],
    *[("forecasts", "bands", value) for value in ("", "[", "[1.0]", "{}", "[null, 2]", "[[1], [2]]", b"\x00")],
    ("forecasts", "prediction", float("inf")),
]


@pytest.mark.parametrize(("table", "column", "value"), WRONG_CELLS)
def test_a_ledger_with_a_wrong_cell_is_named_in_one_line(shop, table, column, value):
    append(shop / "l.db", forecast_of(shop))
    where = "rowid = 1" if table == "versions" else "series = 'a' AND step = 1"
    with sqlite3.connect(shop / "l.db") as ledger:
        ledger.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
    with pytest.raises((UsageError, DataError)) as caught:
        entries(shop / "l.db", find_version(shop / "l.db", None))
    assert "not a ledger: a cell is wrong" in str(caught.value)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("versions", "zone", "x"), ("versions", "zone", 1.5), ("versions", "freq", "x"),
        ("versions", "season_length", 0), ("versions", "season_length", 2**62),
        ("forecasts", "prediction", 1e300), ("forecasts", "naive", 1e300), ("forecasts", "scale", -1.0),
        ("forecasts", "scale", 0.0),
    ],
)  # fmt: skip
def test_a_cell_that_no_forecast_leaves_is_named_in_one_line(shop, table, column, value):
    path = shop / "l.db"
    append(path, forecast_of(shop))
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute(f"UPDATE {table} SET {column} = ?", (value,))
    with pytest.raises(UsageError, match="not a ledger: a cell is wrong"):
        entries(path, find_version(path, "m"))


def test_a_ledger_whose_names_are_no_text_is_refused_in_one_line(tmp_path):
    path = tmp_path / "l.db"
    with closing(sqlite3.connect(path)) as ledger, ledger:
        ledger.execute("CREATE TABLE versions (id INTEGER)")
    path.write_bytes(path.read_bytes().replace(b"versions", b"versi\xa6ns"))
    with pytest.raises(UsageError, match=r"l\.db"):
        versions(path)
