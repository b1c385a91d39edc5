"""Files and stores of models under URLs: in memory, on the local disk, and on a server that speaks S3."""

from __future__ import annotations

import functools
import http.server
import io
import json
import shutil
import threading
from pathlib import Path

import pandas as pd
import pytest

from forecaster.cli.main import run
from forecaster.commands.batch.run import batch
from forecaster.config import BatchSettings
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError, UsageError
from forecaster.serving.remote_store import fetched
from forecaster.storage.files import whole_file, write_whole
from tests.support.factories import Recorder
from tests.support.stored_models import stored, write_csv

fsspec = pytest.importorskip("fsspec")
KEY = "AKIAhunter2"


@pytest.fixture(scope="module")
def s3():
    """The address of a server that speaks S3."""
    server = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    found = server.ThreadedMotoServer(port=0, verbose=False)
    found.start()
    host, port = found.get_host_and_port()
    yield f"http://{host}:{port}"
    found.stop()


@pytest.fixture(params=["memory", "file", pytest.param("s3", marks=pytest.mark.slow)])
def place(request, tmp_path, monkeypatch):
    """The URL of an empty folder; the working directory has data, and the caches are its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_csv(tmp_path / "data.csv", 100)
    stored(tmp_path / "models")
    if request.param == "file":
        (tmp_path / "far").mkdir()
        return f"file://{tmp_path}/far"
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        return "memory://far"
    address = request.getfixturevalue("s3")
    for name, value in {"ENDPOINT_URL": address, "ACCESS_KEY_ID": KEY, "SECRET_ACCESS_KEY": "hunter2"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    fs = fsspec.filesystem("s3", skip_instance_cache=True)
    if fs.exists("far"):
        fs.rm("far", recursive=True)
    fs.mkdir("far")
    return "s3://far"


def put(url, content):
    with fsspec.open(url, "wb") as file:
        file.write(content)


def got(url):
    with fsspec.open(url, "rb") as file:
        return file.read()


def names(place):
    fs, path = fsspec.core.url_to_fs(place)
    fs.invalidate_cache()
    return sorted(name.rpartition("/")[2] for name in fs.find(path))


def upload(folder, place):
    for path in Path(folder).rglob("*"):
        if path.is_file():
            target = f"{place}/{path.relative_to(folder.parent)}"
            if target.startswith("file://"):
                Path(target[7:]).parent.mkdir(parents=True, exist_ok=True)
            put(target, path.read_bytes())


def test_files_of_each_kind_are_read_as_those_of_this_machine_are(place, tmp_path):
    plain = read_panel("data.csv")
    frame, buffer = pd.read_csv("data.csv", parse_dates=["timestamp"]), io.BytesIO()
    frame.to_parquet(buffer)
    put(f"{place}/a.csv", (tmp_path / "data.csv").read_bytes())
    put(f"{place}/b.parquet", buffer.getvalue())
    for name in ("a.csv", "b.parquet"):
        found = read_panel(f"{place}/{name}")
        assert (found.target == plain.target).all() and (found.timestamps == plain.timestamps).all()
        assert found.source == f"{place}/{name}"


def test_a_file_that_is_not_there_is_one_line(place, capfd):
    assert run(["predict", f"{place}/no.csv", "--model", "m"]) == 3
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and f"{place}/no.csv: no such file" in error


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_a_forecast_is_written_as_to_a_file(place, ending):
    words = ["predict", "data.csv", "--model", "m", "--quiet"]
    assert run([*words, "--output", f"out.{ending}"]) == run([*words, "--output", f"{place}/out.{ending}"]) == 0
    assert got(f"{place}/out.{ending}") == Path(f"out.{ending}").read_bytes()
    assert names(place) == [f"out.{ending}"]


def test_an_output_that_breaks_off_leaves_what_was_there(place):
    write_whole(f"{place}/out.csv", "before")
    with pytest.raises(KeyboardInterrupt), whole_file(f"{place}/out.csv") as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert got(f"{place}/out.csv") == b"before" and names(place) == ["out.csv"]


def test_an_upload_that_fails_leaves_what_was_there_and_is_one_line(place, monkeypatch):
    write_whole(f"{place}/out.csv", "before")

    def cut(*_, **__):
        raise ConnectionError("cut")

    kind = type(fsspec.core.url_to_fs(place)[0])
    for name in ("put_file", "pipe_file", "_put_file", "_pipe_file"):
        monkeypatch.setattr(kind, name, cut, raising=False)
    kind.clear_instance_cache()
    with pytest.raises(UsageError, match=r"out\.csv.*cannot be written: cut"):
        write_whole(f"{place}/out.csv", "after")
    kind.clear_instance_cache()
    assert got(f"{place}/out.csv") == b"before" and names(place) == ["out.csv"]


def test_a_model_of_a_store_elsewhere_forecasts_as_here(place, tmp_path, capfd):
    assert run(["predict", "data.csv", "--model", "m", "--output", "here.csv", "--quiet"]) == 0
    upload(tmp_path / "models", place)
    for reference in (["--model", "m"], ["--model", "m@1"], []):
        words = ["predict", "data.csv", *reference, "--models", f"{place}/models", "--output", "there.csv", "--quiet"]
        assert run(words) == 0
        assert Path("there.csv").read_bytes() == Path("here.csv").read_bytes()
    assert run(["predict", "data.csv", "--models", f"{place}/models", "--model", "other"]) == 4
    assert run(["predict", "data.csv", "--models", f"{place}/models", "--model", "m@9"]) == 4
    capfd.readouterr()
    assert run(["models", "list", "--models", f"{place}/models"]) == 2
    assert "only read" in capfd.readouterr().err


def test_a_version_that_was_replaced_is_fetched_again(place, tmp_path):
    upload(tmp_path / "models", place)
    first = fetched(f"{place}/models", "m")
    shutil.rmtree(tmp_path / "models")
    stored(tmp_path / "models", bias=3.0)
    upload(tmp_path / "models", place)
    folder, reference = fetched(f"{place}/models", "m")
    assert (folder, reference) == first
    assert (folder / "m" / "1" / "manifest.json").read_bytes() == (tmp_path / "models/m/1/manifest.json").read_bytes()


def test_a_job_is_skipped_where_the_file_elsewhere_is_the_same(place, tmp_path):
    put(f"{place}/data.csv", (tmp_path / "data.csv").read_bytes())
    upload(tmp_path / "models", place)
    job = f'[jobs.a]\ndata = "{place}/data.csv"\nmodels = "{place}/models"\nmodel = "m"\noutput = "{place}/out.csv"\n'
    Path("jobs.toml").write_text(f'status = "status.json"\n{job}', encoding="utf-8")

    def status():
        lines = []
        batch("jobs.toml", BatchSettings(), Recorder(), lines.append)
        return lines[0].status

    assert [status(), status()] == ["done", "skipped"]
    write_csv(tmp_path / "data.csv", 101)
    put(f"{place}/data.csv", (tmp_path / "data.csv").read_bytes())
    assert [status(), status()] == ["done", "skipped"]
    fs, path = fsspec.core.url_to_fs(f"{place}/out.csv")
    fs.rm(path)
    assert status() == "done"


def test_the_output_is_not_the_data(place, tmp_path, capfd):
    put(f"{place}/data.csv", (tmp_path / "data.csv").read_bytes())
    assert run(["predict", f"{place}/data.csv", "--model", "m", "--output", f"{place}/data.csv"]) == 2
    assert "which it would overwrite" in capfd.readouterr().err
    assert run(["predict", "data.csv", "--model", "m", "--output", f"{place}/{{series}}.csv"]) == 2


def test_a_web_server_is_read_and_its_secrets_are_not_shown(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_csv(tmp_path / "data.csv", 100)
    stored(tmp_path / "models")
    monkeypatch.setattr(http.server.SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        assert run(["check", f"{url}/data.csv?sig=hunter2", "--json"]) == 0
        assert json.loads(capfd.readouterr().out)["source"] == f"{url}/data.csv?sig=***"
        assert run(["check", f"{url}/none.csv?sig=hunter2"]) == 3
        assert run(["predict", f"{url}/data.csv", "--model", "m", "--output", f"{url}/x.csv?sig=hunter2"]) == 2
        with pytest.raises(DataError):
            read_panel("http://me:hunter2@127.0.0.1:1/data.csv")
    finally:
        server.shutdown()
        server.server_close()
    found = capfd.readouterr()
    assert "hunter2" not in found.out + found.err and "nothing can be written there" in found.err


def test_a_protocol_without_its_library_is_named(tmp_path, capfd):
    assert run(["check", "nosuch://bucket/a.csv"]) == 2
    assert "nosuch" in capfd.readouterr().err
