"""`predict --engine ray`: the numbers of one process, whatever dies meanwhile. A cluster of two nodes runs here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from forecaster.cli.main import run
from forecaster.commands import predict_groups
from forecaster.commands.group_forecast import forecast_group
from forecaster.data.reading import series_groups
from forecaster.engines import ray_cluster
from tests.support.ray_clusters import killing
from tests.support.stored_models import stored, write_csv

pytest.importorskip("pyarrow")
pytest.importorskip("psutil")
pytest.importorskip("ray", reason="ray is not installed: `pip install '.[ray]'`")
pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
NAMES = [f"shop {n}" for n in range(40)]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """40 series in files by date, a model that is older than their last rows, and the forecast of one process."""
    folder, before = tmp_path_factory.mktemp("ray"), Path.cwd()
    os.chdir(folder)
    try:
        write_csv(Path("all.csv"), 100, NAMES)
        rows = pd.read_csv("all.csv", parse_dates=["timestamp"]).sample(frac=1, random_state=0)
        rows["date"] = rows["timestamp"].dt.date.astype(str)
        rows.to_parquet("sales", partition_cols=["date"], index=False)
        stored(folder / "models", data=folder / "sales")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(series_groups, "GROUP_ROWS", 600)
            assert run(["predict", "sales", "--model", "m", "--output", "one/", "--quiet"]) == 0
        assert len([*Path("one").iterdir()]) == 7
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def shop(data, monkeypatch):
    monkeypatch.chdir(data)
    monkeypatch.setattr(series_groups, "GROUP_ROWS", 600)
    yield data
    shutil.rmtree("out", ignore_errors=True)


def predicted(address, *words):
    where = [] if address is None else ["--ray-address", address]
    return run(["predict", "sales", "--model", "m", "--output", "out/", "--engine", "ray", *where, *words, "--json"])


def rows_of(folder):
    return pd.read_parquet(folder).sort_values(["series", "timestamp"], ignore_index=True)


def test_a_cluster_of_our_own_gives_the_numbers_of_one_process_and_is_ended(shop):
    """In a process of its own, which has not imported Ray: its cluster is open to those alone who have its token."""
    code = (
        "import os, psutil, sys\nfrom forecaster.cli.main import run\n"
        "from forecaster.data.reading import series_groups\nseries_groups.GROUP_ROWS = 600\n"
        "words = ['--output', 'out/', '--engine', 'ray', '--workers', '2', '--json']\n"
        "code = run(['predict', 'sales', '--model', 'm', *words])\n"
        "print(os.environ['RAY_AUTH_MODE'], [one.name() for one in psutil.Process().children(recursive=True)])\n"
        "sys.exit(code)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report, after = done.stdout.splitlines()
    assert json.loads(report)["series"] == len(NAMES) and json.loads(report)["lost"] == []
    assert after == "token []"
    pd.testing.assert_frame_equal(rows_of("out"), rows_of("one"), rtol=1e-6)


def test_a_worker_that_is_killed_while_it_forecasts_loses_nothing(shop, cluster, capfd):
    """Each group waits a little, so that there is something to kill."""

    def slow(*arguments):
        time.sleep(0.2)
        return forecast_group(*arguments)

    with pytest.MonkeyPatch.context() as patch, killing(1) as killed:
        patch.setattr(predict_groups, "forecast_group", slow)
        assert predicted(cluster) == 0
    assert len(killed) == 1
    assert json.loads(capfd.readouterr().out)["lost"] == []
    pd.testing.assert_frame_equal(rows_of("out"), rows_of("one"), rtol=1e-6)


def test_a_group_that_always_fails_is_named_at_the_end_and_the_rest_is_written(shop, cluster, monkeypatch, capfd):
    parts = {path.name: set(pd.read_parquet(path)["series"]) for path in Path("one").iterdir()}
    dies, raises = ("shop 3", "shop 17")
    lost = [name for name, series in sorted(parts.items()) if series & {dies, raises}]

    def failing(model, shared, buffer):
        names = series_groups.GroupRows.of(buffer).names(("series",))
        if dies in names:
            os._exit(1)
        if raises in names:
            raise ValueError("no such thing")
        return forecast_group(model, shared, buffer)

    monkeypatch.setattr(predict_groups, "forecast_group", failing)
    monkeypatch.setattr(ray_cluster, "RETRIES", 1)
    assert predicted(cluster) == 7
    found = capfd.readouterr()
    report, error = json.loads(found.out), json.loads(found.err.splitlines()[-1])
    assert [one.partition(" ")[0] for one in report["lost"]] == lost and len(lost) == 2
    assert any("its worker died 2 times" in one for one in report["lost"])
    assert any("ValueError: no such thing" in one for one in report["lost"])
    assert all(name in str(error) for name in lost)
    missing = set().union(*(parts[name] for name in lost))
    assert set(report["failed"]) == missing and report["failed_count"] == len(missing)
    expected = rows_of("one")
    expected = expected[~expected["series"].isin(missing)].reset_index(drop=True)
    pd.testing.assert_frame_equal(rows_of("out"), expected, rtol=1e-6)


def test_a_fault_of_the_data_is_that_of_one_process(shop, cluster, capfd):
    again = Path("sales/date=2024-01-01/again.parquet")
    again.write_bytes(next(again.parent.glob("*")).read_bytes())
    try:
        assert predicted(cluster) == 3
    finally:
        again.unlink()
    assert "is already in sales" in capfd.readouterr().err and not Path("out").exists()


def test_an_evaluation_by_workers_has_the_scores_of_one_process(shop, cluster, tmp_path, capfd):
    words = ["evaluate", str(write_csv(tmp_path / "later.csv", 160, NAMES)), "--model", "m", "--json", "--quiet"]
    assert run(words) == 0
    one = json.loads(capfd.readouterr().out)
    assert run([*words, "--engine", "ray", "--ray-address", cluster]) == 0
    other = json.loads(capfd.readouterr().out)
    assert {**other, "seconds": 0} == {**one, "seconds": 0}


def test_jobs_of_a_batch_are_done_by_workers_and_one_that_is_killed_loses_none(shop, cluster, tmp_path, capfd):
    jobs = [f'[jobs.j{n}]\ndata = "{shop / "sales"}"\noutput = "out/{n}.csv"\n' for n in range(4)]
    file = tmp_path / "jobs.toml"
    file.write_text(f'status = "s.json"\n[defaults]\nmodel = "m"\nmodels = "{shop / "models"}"\n' + "".join(jobs))
    with killing(1) as killed:
        code = run(["batch", str(file), "--json", "--engine", "ray", "--ray-address", cluster])
    found = capfd.readouterr()
    assert code == 0, found.out
    assert len(killed) == 1 and json.loads(found.out.splitlines()[-1])["summary"]["done"] == 4
    assert len({path.read_bytes() for path in (tmp_path / "out").iterdir()}) == 1
