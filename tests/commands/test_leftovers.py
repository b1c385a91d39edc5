"""Every file that a command writes: the next run removes what a killed one left beside it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from forecaster.cli.main import run
from tests.support.stored_models import TWO_JOBS, stored, write_csv

WRITTEN = {
    "predict --output": ("predict data.csv --model m --output", "out.csv"),
    "evaluate --output": ("evaluate data.csv --model m --output", "out.csv"),
    "evaluate --anomalies": ("evaluate data.csv --model m --anomalies", "out.json"),
    "monitor --anomalies": ("monitor ledger.db data.csv --anomalies", "out.csv"),
    "monitor --report": ("monitor ledger.db data.csv --report", "out.html"),
    "batch --report": ("batch jobs.toml --report", "out.html"),
    "batch --metrics": ("batch jobs.toml --metrics", "out.prom"),
    "models export": ("models export m", "out.tar"),
}


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored(tmp_path / "models")
    write_csv(tmp_path / "data.csv", 60)
    write_csv(tmp_path / "earlier.csv", 48)
    (tmp_path / "jobs.toml").write_text(TWO_JOBS)
    (tmp_path / "out").mkdir()
    assert run(["predict", "earlier.csv", "--model", "m", "--ledger", "ledger.db", "--output", "f.csv", "--quiet"]) == 0
    return tmp_path


@pytest.mark.parametrize("written", WRITTEN)
def test_what_a_killed_run_left_beside_an_output_is_removed(shop, written):
    words, name = WRITTEN[written]
    left = shop / f".forecast-{hashlib.sha256(name.encode()).hexdigest()[:12]}-1-0a0b0c0d.part"
    left.write_text("half")
    assert run([*words.split(), name]) == 0
    assert (shop / name).stat().st_size and not left.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs a user that may give files away")
@pytest.mark.parametrize("written", WRITTEN)
def test_a_replaced_output_keeps_its_owner_and_mode_or_a_line_says_so(shop, written, monkeypatch, capfd):
    words, name = WRITTEN[written]
    for may in (True, False):
        Path(name).write_text("old")
        os.chown(name, 4242, 4243)
        Path(name).chmod(0o640)
        if not may:
            monkeypatch.setattr(os, "fchown", lambda *_: (_ for _ in ()).throw(PermissionError()))
        assert run([*words.split(), name]) == 0
        found = Path(name).stat()
        assert ((found.st_uid, found.st_gid) == (4242, 4243)) == may
        assert ("could not be kept when the file was replaced" in capfd.readouterr().err) != may
