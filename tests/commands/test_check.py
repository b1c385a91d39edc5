"""`check`, and what `predict` asks of the data's age."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecaster.cli.main import run
from forecaster.commands import check as module
from forecaster.commands.check import check
from forecaster.config import CheckSettings
from forecaster.data.extra_inputs import Needs
from forecaster.data.panel import Panel
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError, StaleError, UsageError
from forecaster.serving.forecast import Forecast
from forecaster.serving.forecast_file import write_forecast
from forecaster.serving.freshness import fresh, unfinished
from forecaster.serving.open_model import Opened
from forecaster.training.publish import data_facts
from tests.support.factories import Recorder, panel_of

BAD = Path(__file__).parents[1] / "data" / "reading" / "bad"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def daily(days: int = 60, start: str = "2024-01-01", level: float = 100.0) -> pd.DataFrame:
    noise = np.random.default_rng(0).normal(size=days)
    return pd.DataFrame({"timestamp": pd.date_range(start, periods=days), "sales": level + noise})


def test_faults_are_shown_with_their_remedy_and_end_with_exit_3(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    assert run(["check", "many-faults.csv", "--quiet"]) == 3
    out, err = capsys.readouterr()
    assert err == "error: many-faults.csv: 10 faults. Correct them as each fault says.\n"
    lines = out.splitlines()
    assert lines[0].split() == ["line", "column", "series", "found", "remedy"]
    assert any(line.split()[:3] == ["17", "timestamp", "Total"] for line in lines)
    assert any(line.split() == ["duplicates", "1"] for line in lines)


def test_json_is_one_object_with_all_faults_and_the_summary(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BAD)
    assert run(["check", "many-faults.csv", "--json"]) == 3
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert (found["ok"], found["fault_count"], len(found["faults"]), found["rows"]) == (False, 10, 10, 14)
    assert set(found["faults"][0]) == {"kind", "line", "column", "series", "found", "hint"}
    assert found["summary"]["series"] == 2 and found["summary"]["duplicates"] == 1
    assert json.loads(err)["error"]["code"] == 3


def test_a_file_without_faults_ends_with_exit_0(capsys: pytest.CaptureFixture[str]) -> None:
    daily().to_csv("x.csv", index=False)
    assert run(["check", "x.csv", "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == "" and "span                       2024-01-01 to 2024-02-29" in out
    assert run(["check", "none.csv", "--quiet"]) == 3
    assert run(["check", "x.csv", "--model", "none", "--quiet"]) == 4
    assert run(["check", "x.csv", "--freq", "fortnight", "--quiet"]) == 2


def test_special_days_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = pd.date_range("2019-01-01", periods=1461)
    rng = np.random.default_rng(0)
    values = np.where((days.month == 12) & (days.day == 25), 40.0, 100.0) + rng.normal(size=len(days))
    pd.DataFrame({"timestamp": days, "target": values}).to_csv(tmp_path / "days.csv", index=False)
    assert run(["check", str(tmp_path / "days.csv")]) == 0
    assert re.search(r"^special days +12-25$", capsys.readouterr().out, re.MULTILINE)
    assert run(["check", "--json", str(tmp_path / "days.csv")]) == 0
    assert json.loads(capsys.readouterr().out)["summary"]["special_days"] == ["12-25"]


@pytest.mark.slow
def test_a_report_is_shown_in_one_line() -> None:
    assert repr(check(daily(), CheckSettings(), Recorder())) == "<CheckReport data frame: 60 rows, 1 series, 0 faults>"
    faulty = daily().assign(sales=["x"] * 2 + [1.0] * 58)
    assert repr(check(faulty, CheckSettings(), Recorder())).endswith("2 faults>")


def test_check_does_not_import_tensorflow() -> None:
    program = "import sys\nfrom forecaster.cli.main import run\nrun(['check', sys.argv[1], '--quiet'])\n"
    program += "sys.exit('tensorflow' in sys.modules)\n"
    done = subprocess.run([sys.executable, "-c", program, str(BAD / "bom.csv")], capture_output=True, check=False)
    assert done.returncode == 0


def against(
    frame: pd.DataFrame, trained: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> tuple[dict[str, bool], Recorder]:
    """Which respects of a model that was trained on `trained` does `frame` fit, and what was said."""
    from types import SimpleNamespace

    facts = data_facts(read_panel(trained), "data frame", None)
    needs = Needs(14, 7, ())
    manifest = SimpleNamespace(
        name="m",
        data=facts,
        covariates=(),
        context_length=14,
        reach=14,
        needs=needs,
        serves_simple_method=False,
        test_windows=1,
    )
    monkeypatch.setattr(module, "open_model", lambda *_: Opened(Path(), 1, manifest))  # type: ignore[arg-type]
    watch = Recorder()
    report = check(frame, CheckSettings(model="m"), watch)
    assert report.model == "m@1"
    return {match.about: match.matches for match in report.matches}, watch


def test_data_that_a_model_was_trained_on_fits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fits, watch = against(daily(), daily(), monkeypatch)
    assert fits == dict.fromkeys(
        ["columns", "frequency", "series", "newest row", "observed values", "level", "scale"], True
    )
    assert watch.warnings == []


def test_newer_rows_on_another_level_or_scale_are_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    for moved, expected in (
        (daily(30, "2024-03-01", level=120.0), {"level": False, "scale": True}),
        (daily(30, "2024-03-01").assign(sales=lambda f: 100 + 9 * (f.sales - 100)), {"level": True, "scale": False}),
        (daily(30, "2024-03-01"), {"level": True, "scale": True}),
    ):
        fits, watch = against(pd.concat([daily(), moved]), daily(), monkeypatch)
        assert {about: fits[about] for about in expected} == expected
        assert len(watch.warnings) == list(expected.values()).count(False)


def test_data_older_than_the_training_data_or_of_another_frequency_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not against(daily(40), daily(), monkeypatch)[0]["newest row"]
    weekly = daily().iloc[::7]
    fits, _ = against(weekly.assign(timestamp=weekly.timestamp + pd.to_timedelta(range(9), "h")), daily(), monkeypatch)
    assert not fits["frequency"]


def test_a_missing_column_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    fits, watch = against(daily().rename(columns={"sales": "sold"}), daily(), monkeypatch)
    assert fits == {"rows": False} and len(watch.warnings) == 1


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def dated(name: str, start: str, rows: int, zone: str | None = None) -> Panel:
    stamps = pd.date_range(start, periods=rows, freq=name, tz=zone)
    return read_panel(pd.DataFrame({"timestamp": stamps, "y": np.arange(rows, dtype=float)}), zone=zone)


def test_the_age_is_that_of_the_newest_observed_target_in_the_zone_of_the_data() -> None:
    panel = dated("D", "2024-01-01", 10, "Europe/Berlin")  # the last at 23:00 UTC of 9 January
    panel = replace(
        panel, target=np.where(np.arange(10) > 8, np.nan, panel.target)
    )  # … but 9 January is the last observed
    fresh(panel, 2 * 86_400, False, Recorder(), at("2024-01-10T23:00+00:00"))
    with pytest.raises(StaleError) as caught:
        fresh(panel, 2 * 86_400, False, Recorder(), at("2024-01-10T23:01+00:00"))
    assert caught.value.code == 6
    assert str(caught.value) == (
        "data frame: the latest target, of 2024-01-09 00:00:00+01:00, is 2 d 0 h old, more than the 2 d 0 h of --max-age. "
        "Fetch newer data."
    )


@pytest.mark.parametrize(
    ("freq", "start", "now", "rows"),
    [
        ("MS", "2024-01-01", "2024-03-31 23:59", 1), ("MS", "2024-01-01", "2024-04-01 00:00", 0),
        ("ME", "2024-01-31", "2024-03-31 23:59", 1), ("ME", "2024-01-31", "2024-04-01 00:00", 0),
        ("D", "2024-01-01", "2024-01-03 23:59", 1), ("D", "2024-01-01", "2024-01-02 12:00", 2),
        ("B", "2024-01-03", "2024-01-06 00:00", 0), ("B", "2024-01-03", "2024-01-05 23:59", 1),
        ("h", "2024-01-01", "2024-01-01 02:59", 1), ("h", "2024-01-01", "2024-01-01 03:00", 0),
    ],
)  # fmt: skip
def test_a_period_is_over_when_the_next_one_begins_or_its_last_day_ends(
    freq: str, start: str, now: str, rows: int
) -> None:
    assert unfinished(dated(freq, start, 3), at(now).astimezone()).tolist() == [rows]


def test_rows_whose_period_is_not_over_are_left_out_and_the_cutoff_is_said() -> None:
    watch = Recorder()
    panel = fresh(dated("MS", "2024-01-01", 4), None, True, watch, at("2024-04-10").astimezone())
    assert (panel.offsets.tolist(), panel.target.tolist()) == ([0, 3], [0.0, 1.0, 2.0])
    assert watch.notes == [
        "dropped as incomplete: 1 rows from 2024-04-01 on, whose periods are not over yet",
        "cutoff 2024-03-01",
    ]


def test_a_series_without_any_finished_period_is_left_out_with_a_warning() -> None:
    frame = pd.DataFrame({
        "series": ["a", "a", "a", "b"],
        "timestamp": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03", "2024-01-03"]),
        "target": [1.0, 2.0, 3.0, 4.0],
    })  # fmt: skip
    watch = Recorder()
    panel = fresh(read_panel(frame), None, True, watch, at("2024-01-03 12:00").astimezone())
    assert (panel.series.tolist(), panel.offsets.tolist()) == (["a"], [0, 2])
    assert watch.warnings == ["1 series left out: they have no period that is over"]
    with pytest.raises(DataError, match="no period is over yet"):
        fresh(read_panel(frame), None, True, watch, at("2023-01-01").astimezone())


def test_series_that_end_before_the_cutoff_are_counted() -> None:
    watch = Recorder()
    fresh(panel_of([1.0] * 5, [1.0] * 3), None, False, watch)
    assert watch.notes == ["cutoff 4; 1 of 2 series end earlier"]


@pytest.mark.parametrize(("max_age", "drop"), [(60.0, False), (None, True)])
def test_whole_numbers_have_no_age(max_age: float | None, drop: bool) -> None:
    with pytest.raises(UsageError):
        fresh(panel_of([1.0, 2.0]), max_age, drop, Recorder(), datetime.now(timezone.utc) - timedelta(days=1))


def names_written(path: Path, series: list[str], **options: bool) -> list[str]:
    panel = panel_of(*[[1.0]] * len(series))
    forecast = Forecast(
        series=np.array(series, dtype=object),
        timestamps=np.ones((len(series), 1), dtype=np.int64),
        prediction=-np.ones((len(series), 1)),
        quantiles=(),
        quantile_forecasts=np.zeros((len(series), 1, 0)),
        source=np.full(len(series), "model", dtype=object),
        freq=panel.freq,
        zone=None,
    )
    write_forecast(forecast, path, **options)
    frame = pd.read_csv(path, keep_default_na=False)
    assert (frame["prediction"] == -1).all()  # numbers stay numbers
    return frame["series"].tolist()


def test_names_that_spreadsheets_would_run_are_neutralised_on_request(tmp_path: Path) -> None:
    names = ["=1+1", "+A", "-A", "@sum", "\tA", "\rA", "plain", "a=b"]
    assert names_written(tmp_path / "a.csv", names) == names
    assert names_written(tmp_path / "b.csv", names, safe_csv=True) == [
        *(f"'{name}" for name in names[:6]), "plain", "a=b",
    ]  # fmt: skip
    with pytest.raises(UsageError, match="--safe-csv has no effect on json"):
        names_written(tmp_path / "c.json", names, safe_csv=True)
