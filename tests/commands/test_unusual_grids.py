"""Train, predict, batch and monitor with slots, on a grid that rows are moved to, and on periods that rows are joined to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecaster.commands.batch.run import batch
from forecaster.commands.evaluate import evaluate
from forecaster.commands.monitor import monitor
from forecaster.commands.train import train
from forecaster.config import BatchSettings, EvaluateSettings, MonitorSettings
from forecaster.serving.manifest import read_manifest
from tests.support.factories import Recorder, train_settings

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]
HORIZON = 6


@dataclass(frozen=True)
class Kind:
    """Timestamps of rows, how they are read, and those that are forecast after row `trained`."""

    stamps: pd.DatetimeIndex
    trained: int
    options: dict[str, Any]
    freq: str
    ahead: pd.DatetimeIndex


def business_hours() -> Kind:
    hours = pd.date_range("2023-01-02", "2023-03-31 23:00", freq="h")
    open_now = hours[(hours.day_of_week < 5) & (hours.hour >= 9) & (hours.hour < 15)]
    return Kind(open_now, 300, {}, "h@Mon-Fri 09:00-14:00", open_now[300 : 300 + HORIZON])


def months_of_445() -> Kind:
    weeks = np.cumsum(np.tile([4, 4, 5], 16))
    stamps = pd.DatetimeIndex(pd.Timestamp("2014-01-05") + pd.to_timedelta(7 * np.r_[0, weeks], unit="D"))
    ahead = pd.date_range("2017-07-01", periods=HORIZON, freq="MS")
    return Kind(stamps, int((stamps < "2017-07-01").sum()), {"freq": "MS", "snap": True}, "MS", ahead)


def jittered_minutes() -> Kind:
    minutes = np.cumsum(np.random.default_rng(0).integers(8, 13, 2000))
    stamps = pd.Timestamp("2024-01-01") + pd.to_timedelta(minutes, unit="min")
    trained = int((stamps < "2024-01-10").sum())
    ahead = pd.date_range("2024-01-10", periods=HORIZON, freq="h")
    return Kind(pd.DatetimeIndex(stamps), trained, {"resample": "h", "aggregate": "mean"}, "h", ahead)


def written(path: Path, kind: Kind, rows: int) -> str:
    values = np.random.default_rng(1).uniform(5, 9, len(kind.stamps))
    pd.DataFrame({"time": kind.stamps, "value": values})[:rows].to_csv(path, index=False)
    return str(path)


@pytest.mark.parametrize("kind", [business_hours(), months_of_445(), jittered_minutes()], ids=lambda kind: kind.freq)
def test_every_command_keeps_to_the_grid_of_the_training(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = train_settings(tmp_path / "models", name="m", horizon=HORIZON, **kind.options)
    train(written(tmp_path / "x.csv", kind, kind.trained), settings, Recorder())
    manifest = read_manifest(tmp_path / "models" / "m" / "1")
    assert manifest.data.freq == kind.freq and bool(manifest.data.rows_as.snap) == ("snap" in kind.options)
    (tmp_path / "jobs.toml").write_text(
        '[jobs.one]\ndata = "x.csv"\nmodels = "models"\nmodel = "m"\noutput = "out.csv"\nledger = "l.db"\n'
        '[jobs.checked]\ncommand = "check"\ndata = "x.csv"\nmodels = "models"\nmodel = "m"\n'
    )
    lines: list[Any] = []
    batch(tmp_path / "jobs.toml", BatchSettings(), Recorder(), lines.append)
    assert {line.job: line.to_json().get("code", 0) for line in lines} == {"one": 0, "checked": 0}, lines
    ahead = pd.to_datetime(pd.read_csv(tmp_path / "out.csv")["timestamp"])
    assert ahead.tolist() == kind.ahead.tolist()

    later = written(tmp_path / "x.csv", kind, len(kind.stamps))
    found = monitor("l.db", later, MonitorSettings(models="models"), Recorder())
    assert (found.overall.count, found.waiting) == (HORIZON, 0)
    report = evaluate(later, EvaluateSettings(models="models"), Recorder())
    assert report.freq == kind.freq and "after the last row of training" in report.judged_on
