"""The options of engines, without one: what has no effect is refused, and Ray is not imported unless it is asked for."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import pandas as pd
import pytest

from forecaster.cli.main import run
from forecaster.engines import ray_cluster
from forecaster.errors import UsageError
from tests.support.stored_models import stored, write_csv


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine", "ray"], "--engine ray needs a folder as --output"),
        (["--ray-address", "auto"], "--ray-address has no effect without --engine ray"),
        (["--workers", "2", "--output", "out/"], "--workers has no effect without --engine ray"),
        (["--engine", "dask"], "'dask'"),
    ],
)
def test_options_without_effect_are_refused(capfd, words, message):
    assert run(["predict", "sales", *words]) == 2
    assert message in capfd.readouterr().err


@pytest.fixture
def parquet(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "models")
    pd.read_csv(write_csv(tmp_path / "all.csv", 30), parse_dates=["timestamp"]).to_parquet("all.parquet")
    return tmp_path


def test_a_missing_ray_is_one_line_that_says_what_to_install(parquet, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run(["predict", "all.parquet", "--model", "m", "--output", "out/", "--engine", "ray", "--quiet"]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "--engine ray needs ray, which is not installed." in error and "[ray]" in error
    assert not (parquet / "out").exists()


def test_a_cluster_that_is_not_there_is_one_line_at_once(parquet, capfd):
    pytest.importorskip("ray", reason="ray is not installed: `pip install '.[ray]'`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = ["--output", "out/", "--engine", "ray", "--ray-address", address, "--quiet"]
    assert run(["predict", "all.parquet", "--model", "m", *words]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and f"the cluster at '{address}' cannot be reached" in error


@pytest.mark.slow
def test_the_command_of_groups_does_not_import_ray():
    code = "import sys, forecaster.commands.predict_groups, forecaster.cli.main; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_cluster_that_does_not_start_is_one_line_and_leaves_nothing(parquet, monkeypatch):
    """Ray raises a plain `Exception` where its own processes are too slow."""
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: str(parquet / "ray"))
    (parquet / "ray").mkdir()
    ended = []

    def too_slow(**_: object) -> None:
        raise Exception("The current node timed out during startup.\nMore.")

    ray = SimpleNamespace(init=too_slow, shutdown=lambda: ended.append(True))
    with pytest.raises(
        UsageError, match=r"cannot be started here: Exception: The current node timed out during startup\. Try"
    ):
        ray_cluster._connect(ray, None, 1, 1, {})
    assert ended == [True] and not (parquet / "ray").exists()
