"""Commands that read from a database and write to it: the same numbers as with files, each row once, all rows or none."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.commands.batch.run import batch
from forecaster.commands.monitor import monitor
from forecaster.commands.train import train
from forecaster.config import BatchSettings, MonitorSettings, PredictSettings
from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError, ForecasterError, LockError, UsageError
from forecaster.serving import sql_forecast
from forecaster.serving.ledger import append, entries, versions
from forecaster.serving.predict import run_forecast
from forecaster.serving.sql_ledger import add, entry_rows, latest_cutoff_rows, version_rows
from forecaster.storage.addresses import address
from forecaster.storage.database import described, fingerprint
from tests.support.factories import AIR, Recorder, train_settings
from tests.support.postgres import PASSWORD, QUOTED
from tests.support.stored_models import stored, write_csv

ROOT = Path(__file__).parents[2]
ORDERED = 'SELECT series, "timestamp", cutoff, model, prediction, "0.1" FROM forecasts ORDER BY 1, 2, 3, 4'

KEY = 'series, "timestamp", cutoff, model'
INSERT_AGAIN = f"INSERT INTO forecasts ({KEY}) SELECT {KEY} FROM forecasts"


def csv_rows(path):
    with Path(path).open(encoding="utf-8") as file:
        return [(row["series"], row["timestamp"], float(row["prediction"])) for row in csv.DictReader(file)]


def predicted(database, *words):
    """The exit code of `predict` from the table of sales to that of forecasts."""
    data = [database.url, "--table", "sales"]
    return run(["predict", *data, "--model", "m", "--output", database.table("forecasts"), "--quiet", *words])


def test_a_table_and_a_query_are_read_as_the_same_file_is(database):
    from_file = read_panel("data.csv")
    query = "select * from sales where series like '%a%' or series = 'b' order by target"
    for source in (database.table("sales"), f"{database.url}?query={query.replace('%', '%25')}"):
        found = read_panel(source)
        assert found.series.tolist() == from_file.series.tolist()
        assert (found.timestamps == from_file.timestamps).all() and (found.target == from_file.target).all()
        assert found.freq == from_file.freq


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("adbc", [True, False])
def test_columns_of_every_type_are_read_in_rows_and_in_columns(database, monkeypatch, adbc):
    if adbc:
        pytest.importorskip("adbc_driver_postgresql")
    monkeypatch.setattr("forecaster.storage.database._has_adbc", lambda: adbc)
    monkeypatch.setattr("forecaster.storage.database.FETCH_ROWS", 7)
    columns = "shop integer, at timestamp with time zone, sold numeric(9, 2), open boolean, price real, note text"
    database.do(
        f"CREATE TABLE typed ({columns})",
        "INSERT INTO typed SELECT shop, '2024-03-30 00:00+01'::timestamptz + hour * interval '1 hour', "
        "CASE WHEN hour = 5 THEN NULL ELSE hour + 0.25 END, hour > 3, 1.5, NULL FROM generate_series(1, 2) AS shop, "
        "generate_series(0, 47) AS hour ORDER BY random()",
    )
    found = read_panel(database.table("typed"), Columns("shop", "at", "sold"), zone="Europe/Berlin")
    assert found.series.tolist() == sorted(found.series.tolist(), key=found.series.tolist().index)
    assert set(found.series) == {"1", "2"} and found.freq.name == "h" and found.zone == "Europe/Berlin"
    assert np.isnan(found.target[5]) and found.target[4] == 4.25 and len(found.target) == 96
    assert found.timestamp_text(int(found.timestamps[30])) == "2024-03-31 07:00:00+02:00"


def test_a_forecast_in_a_table_has_the_numbers_of_the_file_and_each_row_once(database):
    assert run(["predict", "data.csv", "--model", "m", "--output", "out.csv", "--quiet"]) == 0
    assert predicted(database) == 0 and predicted(database) == 0
    rows = database.do(ORDERED)
    assert [(row[0], str(row[1]), row[4]) for row in rows] == csv_rows("out.csv")
    assert {str(row[2]) for row in rows} == {"2024-01-05 03:00:00"} and {row[3] for row in rows} == {"m@1"}
    with pytest.raises(Exception, match=r"(?i)unique"):  # the table's own key keeps a row from being there twice
        database.do(INSERT_AGAIN)


def test_rows_of_other_cutoffs_and_models_stay_unless_they_are_replaced(database):
    assert predicted(database) == 0
    database.fill(101)
    assert predicted(database) == 0
    stored(database.folder / "models", bias=1.0)
    assert predicted(database) == 0
    assert database.do("SELECT count(*), count(DISTINCT cutoff), count(DISTINCT model) FROM forecasts") == [(36, 2, 2)]
    replaced = database.table("forecasts") + "&rows=replace"
    assert run(["predict", database.table("sales"), "--model", "m", "--output", replaced, "--quiet"]) == 0
    assert database.do("SELECT count(*), count(DISTINCT cutoff), count(DISTINCT model) FROM forecasts") == [(12, 1, 1)]


def test_a_row_that_is_replaced_keeps_no_quantile_of_the_forecast_before(database):
    assert predicted(database, "--quantiles", "0.1,0.9") == 0
    database.do("ALTER TABLE forecasts ADD COLUMN remark text", "UPDATE forecasts SET remark = 'ours'")
    assert predicted(database, "--quantiles", "0.9") == 0
    rows = 'SELECT count(*), count(prediction), count("0.1"), count("0.9"), count(remark) FROM forecasts'
    assert database.do(rows) == [(12, 12, 0, 12, 12)]
    assert predicted(database, "--quantiles", "0.1,0.9") == 0
    assert database.do(rows) == [(12, 12, 12, 12, 12)]


@pytest.mark.parametrize("rows", ["append", "replace"])
def test_a_fault_halfway_leaves_the_table_as_it_was(database, monkeypatch, rows):
    assert predicted(database) == 0
    before = database.do(ORDERED)
    database.fill(101)
    monkeypatch.setattr(sql_forecast, "WRITE_ROWS", 6)
    real, left = sql_forecast._put, [1]

    def put(*arguments):
        if not left:
            raise KeyboardInterrupt
        left.pop()
        real(*arguments)

    monkeypatch.setattr(sql_forecast, "_put", put)
    output = f"{database.table('forecasts')}&rows={rows}"
    assert run(["predict", database.table("sales"), "--model", "m", "--output", output, "--quiet"]) == 130
    assert database.do(ORDERED) == before


def test_a_table_with_other_columns_is_refused_and_stays(database, capfd):
    database.do("CREATE TABLE forecasts (series text, prediction double precision)")
    assert predicted(database) == 2
    assert "has no column timestamp, cutoff, model, 0.1, 0.9, source, method" in capfd.readouterr().err
    assert database.do("SELECT count(*) FROM forecasts") == [(0,)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "{url}"], "an output names a table"),
        (["--output", "{url}?table=sales"], "is the data, which it would overwrite"),
        (["--output", "{url}?table=a", "--format", "csv"], "no effect on a table"),
        (["--output", "{url}?table=a", "--safe-csv"], "no effect on a table"),
        (["--output", "{url}?table={{series}}"], "a table has all series"),
        (["--output", "x.csv", "--query", "select 1"], "both name what to read"),
        (["--output", "x.csv", "--ledger", "{url}?table=a"], "tables have names of their own"),
    ],
)
def test_options_that_a_table_cannot_have_are_refused(database, capfd, words, message):
    if "--ledger" in words and not database.server:
        pytest.skip("a URL of SQLite names the ledger's file")
    own = [word.format(url=database.url) for word in words]
    assert run(["predict", database.table("sales"), "--model", "m", "--quiet", *own]) == 2
    assert message in capfd.readouterr().err


def test_a_query_on_a_file_has_no_effect_and_is_refused(database, capfd):
    assert run(["predict", "data.csv", "--model", "m", "--table", "sales"]) == 2
    assert "--table has no effect" in capfd.readouterr().err


def test_reading_changes_nothing(database, capfd):
    assert run(["check", database.url, "--query", "DELETE FROM sales"]) == 3
    assert database.do("SELECT count(*) FROM sales") == [(200,)]


def test_check_names_the_rows_of_a_table(database, capfd):
    database.do("INSERT INTO sales SELECT * FROM sales WHERE series = 'a'")
    assert run(["check", database.url, "--table", "sales", "--json"]) == 3
    found = json.loads(capfd.readouterr().out)
    assert found["kinds"] == [{"kind": "duplicate", "count": 100, "shown": 20}]


def test_a_ledger_in_a_database_is_monitored_as_a_file_is(database):
    verdicts = []
    for ledger in (database.url if database.server else f"sqlite:///{database.folder}/l.db", "file.db"):
        for hour in (96, 97, 98, 98):
            database.fill(hour)
            settings = PredictSettings(model="m", ledger="x")
            append(ledger, run_forecast(database.table("sales"), settings, Recorder()))
        database.fill(108)
        verdicts.append(monitor(ledger, database.url, MonitorSettings(table="sales"), Recorder()).to_json())
        assert len(versions(ledger)) == 1 and len(entries(ledger, versions(ledger)[0]).series) == 36
    assert verdicts[0] == verdicts[1]


def test_the_ledgers_tables_keep_a_row_that_is_there(database):
    version = ("m", 1, "h", "", 24, "[0.1]", None)
    row = ("a", "model", 5, 1, 6, 1.5, "[1.0]", None, 2.0)
    assert add(database.url, version, [row]) == 1
    assert add(database.url, version, [(*row[:5], 9.0, *row[6:]), ("b", *row[1:])]) == 1
    assert version_rows(database.url) == [(1, *version)]
    assert add(database.url, ("m", 2, *version[2:]), [(*row[:2], 4, *row[3:])]) == 1
    assert dict(latest_cutoff_rows(database.url)) == {1: 5, 2: 4}
    assert [one[:1] + one[5:6] for one in entry_rows(database.url, 1)] == [("a", 1.5), ("b", 1.5)]


def test_the_fingerprint_is_that_of_the_rows_in_any_order(database):
    query = f"{database.url}?query=select * from sales order by target"
    first = fingerprint(database.table("sales"))
    assert fingerprint(query) == fingerprint(f"{query} desc") == first
    database.do("UPDATE sales SET target = target + 0.001 WHERE series = 'b'")
    found = fingerprint(query)
    assert found != first
    database.do("UPDATE sales SET series = 'c' WHERE series = 'a'")
    assert fingerprint(query) not in (first, found)


JOBS = """
status = "status.json"
[jobs.sales]
data = "{url}"
table = "sales"
model = "m"
output = "{url}?table=forecasts"
"""


def test_a_job_is_skipped_where_the_query_has_nothing_new(database):
    (database.folder / "jobs.toml").write_text(JOBS.format(url=database.url), encoding="utf-8")

    def status():
        lines = []
        batch("jobs.toml", BatchSettings(), Recorder(), lines.append)
        return lines[0].status

    assert [status(), status()] == ["done", "skipped"]
    database.fill(101)
    assert [status(), status()] == ["done", "skipped"]
    database.do("DROP TABLE forecasts")
    assert status() == "done"
    database.do("DELETE FROM forecasts")
    assert [status(), status()] == ["done", "skipped"]
    database.do("UPDATE forecasts SET model = 'other@1'")
    assert status() == "done"


def test_old_rows_are_refused_by_max_age(database, capfd):
    assert predicted(database, "--max-age", "2d") == 6
    assert "is" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_model_that_was_trained_on_a_query_reads_it_again_without_the_password(database, cpu, monkeypatch, capfd):
    database.do("DROP TABLE sales", "CREATE TABLE sales (month date, passengers integer)")
    with AIR.open(encoding="utf-8") as file:
        lines = [*csv.reader(file)][1:]
    database.do("INSERT INTO sales VALUES " + ",".join(f"('{month[:7]}-01', {value})" for month, value in lines))
    settings = train_settings("models", name="air", query="select month, passengers from sales where passengers < 1000")
    train(database.url, settings, Recorder())
    assert PASSWORD not in Path("models/air/1/manifest.json").read_text(encoding="utf-8")
    assert QUOTED not in Path("models/air/1/manifest.json").read_text(encoding="utf-8")
    monkeypatch.delenv("PGPASSWORD", raising=False)
    assert run(["predict", "--model", "air"]) == 3
    assert "no connection" in capfd.readouterr().err
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert run(["predict", "--model", "air", "--json"]) == 0
    assert "1961-01-01" in capfd.readouterr().out
    assert run(["evaluate", "--model", "air", "--json"]) == 0


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_credentials_may_be_in_a_password_file_or_a_variable(database, monkeypatch):
    bare = database.server.url("")
    login = f"127.0.0.1:{database.server.port}:*:*:{PASSWORD}\n"
    Path("pgpass").write_text(login, encoding="utf-8")
    Path("pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(database.folder / "pgpass"))
    assert len(read_panel(f"{bare}?table=sales").series) == 2
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("OWN_PASSWORD", PASSWORD)
    assert len(read_panel(f"{database.server.url('${OWN_PASSWORD}')}?table=sales").series) == 2


def everything(folder, streams):
    """All that was written below a folder, and all that was printed."""
    files = [path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file()]
    return "\n".join([*files, *streams])


@pytest.mark.slow
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_credentials_appear_nowhere(database, capfd):
    url = database.url
    jobs = Path(database.folder.parent / "jobs.toml")  # outside of what is searched: it has the password
    models = f'models = "{database.folder}/models"\n'
    text = JOBS.format(url=url).replace('"status.json"', f'"{database.folder}/status.json"') + models
    bad = f'[jobs.bad]\ndata = "{url}"\ntable = "nothing"\noutput = "{database.folder}/x.csv"\nmodel = "m"\n' + models
    report = (
        f'[jobs.check]\ncommand = "check"\ndata = "{url}"\ntable = "sales"\noutput = "{database.folder}/check.json"\n'
    )
    train_job = f'[jobs.train]\ncommand = "train"\ndata = "{url}"\ntable = "nothing"\nhorizon = 3\n' + models
    jobs.write_text(text + bad + report + train_job, encoding="utf-8")
    sales = ["--table", "sales", "--model", "m"]
    database.do("CREATE TABLE odd (series text)")
    codes = [
        run(["batch", str(jobs), "--report", "page.html", "--metrics", "m.prom"]),
        run(["batch", str(jobs), "--dry-run"]),
        run(["predict", url, *sales, "--ledger", url, "--output", database.table("forecasts"), "--json"]),
        run(["predict", url, *sales, "--ledger", url, "--output", database.table("odd")]),
        run(["monitor", url, url, "--table", "sales"]),
        run(["check", url, "--table", "nothing", "--json"]),
        run(["check", url, *sales, "--verbose"]),
        run(["evaluate", url, *sales, "--report", "evaluation.html"]),
        run(["predict", url.replace(QUOTED, QUOTED + "x"), *sales]),
        run(["predict", url, url]),
        run(["predict", url.replace("@127.0.0.1", "@@127.0.0.1"), *sales]),
        run(["predict", url, "--query", "select nonsense from", "--model", "m"]),
        run(["train", url, "--horizon", "3"]),
    ]
    assert 1 not in codes and codes[2] == 0 and 3 in codes, codes
    found = everything(database.folder, capfd.readouterr())
    rows = database.do("SELECT * FROM forecasts"), database.do("SELECT * FROM forecaster_versions")
    for secret in (PASSWORD, QUOTED, PASSWORD[:8]):
        assert secret not in found and secret not in repr(rows)
    assert "***" in found


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_server_that_goes_away_while_it_is_written_to_loses_nothing(database, monkeypatch, capfd):
    assert predicted(database) == 0
    before = database.do(ORDERED)
    database.fill(101)
    monkeypatch.setattr(sql_forecast, "WRITE_ROWS", 6)
    real, server = sql_forecast._put, database.server

    def put(*arguments):
        real(*arguments)
        server.stop()

    monkeypatch.setattr(sql_forecast, "_put", put)
    capfd.readouterr()
    try:
        assert predicted(database) == 2
        error = capfd.readouterr().err
        assert error.count("\n") == 1 and "no connection" in error
        assert predicted(database) == 3  # there is none to read from, either
    finally:
        server.start()
    assert database.do(ORDERED) == before
    monkeypatch.setattr(sql_forecast, "_put", real)
    assert predicted(database) == 0
    assert database.do("SELECT count(*), count(DISTINCT cutoff) FROM forecasts") == [(24, 2)]


def test_another_writer_is_waited_for_or_named(tmp_path):
    place = address("postgresql://me:pw@host/db?table=a")
    assert isinstance(described(place, OSError("database is locked"), UsageError), LockError)
    assert isinstance(described(place, OSError("no such table"), DataError), DataError)


@pytest.mark.slow
def test_libraries_of_databases_and_stores_are_loaded_only_for_them(tmp_path):
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 100)
    code = (
        "import sys, forecaster\n"
        "from forecaster.cli.main import run\n"
        "code = run(['predict', 'data.csv', '--model', 'm', '--output', 'out.csv', '--ledger', 'l.db', '--quiet'])\n"
        "code += run(['check', 'data.csv', '--quiet'])\n"
        "heavy = {'sqlalchemy', 'psycopg', 'adbc_driver_postgresql', 'fsspec', 's3fs', 'boto3', 'ray'} & set(sys.modules)\n"
        "sys.exit(f'{code} {heavy}' if code or heavy else 0)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_sqlalchemy_the_extra_is_named(database, monkeypatch):
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(ForecasterError, match=r"\[sql\]"):
        read_panel(database.table("sales"))
