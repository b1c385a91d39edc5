"""Forecasts compared with the actuals: joined by timestamp, scored alongside naive, and a verdict with its reason."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.commands.live_tests import live_tests
from forecaster.commands.monitor import _errors_of, _weeks, monitor
from forecaster.config import MonitorSettings, PredictSettings
from forecaster.data.freq import Freq
from forecaster.errors import ArtifactError, DataError, QualityError, UsageError
from forecaster.evaluation.metrics import score
from forecaster.evaluation.quantile_metrics import quantile_scores
from forecaster.serving.ledger import Entries, Version, append
from forecaster.serving.manifest import read_manifest, write_manifest
from forecaster.serving.predict import predict, run_forecast
from forecaster.serving.recalibrate import _learnt
from forecaster.serving.store import Store
from tests.support.factories import Recorder, panel_of
from tests.support.stored_models import HOUR, stored, wave, write_csv


def forecast_hourly(tmp_path, hours, *, first=96, value=wave, **options):
    """A ledger of `hours` runs, an hour apart, and the data as it is 10 hours after the last one."""
    for hour in range(first, first + hours):
        data = write_csv(tmp_path / "then.csv", hour, value=value)
        settings = PredictSettings(models=str(tmp_path / "models"), model="m", ledger="x", **options)
        append(tmp_path / "l.db", run_forecast(str(data), settings, Recorder()))
    return write_csv(tmp_path / "now.csv", first + hours + 10, value=value)


def monitored(tmp_path, data, **options):
    return monitor(str(tmp_path / "l.db"), str(data), MonitorSettings(**options), Recorder())


@pytest.fixture(scope="module")
def decayed(tmp_path_factory):
    """A folder with a ledger of forecasts that seasonal naive beats by far, and the data."""
    folder = tmp_path_factory.mktemp("decayed")
    stored(folder / "models", bias=6.0)  # its quantiles are 4 to 8 above naive
    return folder, forecast_hourly(folder, 12)


def test_errors_are_those_of_the_actuals_that_came(tmp_path):
    stored(tmp_path / "models", bias=2.5)  # the graph says naive + 2.5, quantiles from +0.5 to +4.5
    data = forecast_hourly(tmp_path, 3)
    found = monitored(tmp_path, data)
    errors, naive = [], []
    for n in range(2):
        for hour in (96, 97, 98):
            for step in range(6):
                old = wave(n, hour - 24 + step)
                errors.append(abs(old + 2.5 - wave(n, hour + step)))
                naive.append(abs(old - wave(n, hour + step)))
    assert found.overall.count == 36 and found.waiting == 0
    assert found.overall.mae == pytest.approx(sum(errors) / 36)
    assert found.overall.naive_mae == pytest.approx(sum(naive) / 36)
    assert [one.count for one in found.by_step] == [6] * 6
    assert {one.group for one in found.by_series} == {"a", "b"}
    assert sum(one.count for one in found.by_week) == 36
    assert [one.group for one in found.by_week] == ["2024-01-01"]


def test_an_actual_of_an_hour_that_is_not_over_is_warned_of(tmp_path):
    stored(tmp_path / "models")
    data = forecast_hourly(tmp_path, 3)  # its last row is of 12:00
    for now, warnings in (("2024-01-05 12:20", 1), ("2024-01-05 13:00", 0)):
        watch = Recorder()
        settings = MonitorSettings(models=str(tmp_path / "models"))
        monitor(str(tmp_path / "l.db"), str(data), settings, watch, datetime.fromisoformat(now).astimezone())
        assert [text.endswith("--until 2024-01-05T11:59:00") for text in watch.warnings] == [True] * warnings


def test_actuals_that_are_not_there_yet_wait(tmp_path):
    stored(tmp_path / "models")
    forecast_hourly(tmp_path, 3)
    found = monitored(tmp_path, write_csv(tmp_path / "now.csv", 99))
    assert (found.overall.count, found.waiting) == (12, 24)
    assert (found.verdict, found.cutoffs) == ("too few", 3)
    assert found.reason == "3 cutoffs have all actuals, a verdict needs 5"
    write_csv(tmp_path / "hole.csv", 108, value=lambda n, t: None if t == 98 else wave(n, t))
    assert monitored(tmp_path, tmp_path / "hole.csv").overall.count == 30


def test_a_model_whose_quantiles_cover_nothing_is_to_be_retrained(decayed):
    found = monitored(*decayed)
    assert found.verdict == "retrain" and found.alarms and found.cutoffs == 12
    assert found.reason == "since 2024-01-05 00:00:00 its quantiles cover 0% of the actuals, not 80%"
    with pytest.raises(QualityError, match=r"m@1: retrain: since 2024-01-05 00:00:00 its"):
        found.refuse_decay()


def test_a_model_that_is_as_good_as_it_was_is_kept(tmp_path):
    drifting = lambda n, t: wave(n, t) + 0.2 * t  # noqa: E731 - naive lags by 4.8 a day, the model knows
    stored(tmp_path / "models", bias=4.8)
    found = monitored(tmp_path, forecast_hourly(tmp_path, 12, value=drifting))
    assert found.verdict == "keep" and found.recent.relative < 0.5
    assert found.expected == 0.8 and found.nominal_coverage == found.to_json()["promised"] == 0.8
    found.refuse_decay()


def test_forecasts_of_earlier_versions_are_looked_at_too_so_that_retraining_each_day_leaves_enough(tmp_path):
    for version in range(6):
        stored(tmp_path / "models")
        data = forecast_hourly(tmp_path, 1, first=96 + version)
    found = monitored(tmp_path, data)
    assert (found.version, found.overall.count, found.cutoffs) == (6, 12, 6)
    assert found.verdict == "keep"


def test_after_a_rollback_the_version_that_serves_is_monitored(tmp_path):
    drifting = lambda n, t: wave(n, t) + 0.2 * t  # noqa: E731 - naive lags by 4.8 a day, the first version knows
    models = str(tmp_path / "models")
    stored(tmp_path / "models", bias=4.8)
    forecast_hourly(tmp_path, 6, value=drifting)
    stored(tmp_path / "models", bias=24.0)
    data = forecast_hourly(tmp_path, 12, first=102, value=drifting)
    assert monitored(tmp_path, data, models=models).verdict == "retrain"
    Store(tmp_path / "models").rollback("m")
    for model in (None, "m"):
        found = monitored(tmp_path, data, models=models, model=model)
        assert (found.version, found.verdict, found.cutoffs) == (1, "keep", 6)
    data = forecast_hourly(tmp_path, 12, first=114, value=drifting)
    found = monitored(tmp_path, data, models=str(tmp_path / "none"))  # where only the ledger is there
    assert (found.version, found.verdict) == (1, "keep")
    bad = monitored(tmp_path, data, models=models, model="m@2")
    assert bad.verdict == "retrain" and bad.recent.count == 144


def test_before_what_serves_has_forecast_what_forecast_last_is_monitored(tmp_path):
    stored(tmp_path / "models")
    data = forecast_hourly(tmp_path, 3)
    stored(tmp_path / "models")
    assert monitored(tmp_path, data, models=str(tmp_path / "models")).version == 1


def test_fallbacks_are_counted_and_not_blamed_on_the_model(tmp_path):
    stored(tmp_path / "models")
    hole = lambda n, t: None if n == 0 and 72 <= t < 75 else wave(n, t)  # noqa: E731
    found = monitored(tmp_path, forecast_hourly(tmp_path, 1, value=hole, fallback=True))
    assert found.fallbacks == 6 and {one.group for one in found.by_series} == {"b"}


def test_actuals_are_read_in_the_models_columns_where_they_are_there(tmp_path):
    """A file with a column `y` beside the model's target: inference would take it for the actuals."""
    stored(tmp_path / "models")
    data = forecast_hourly(tmp_path, 3)
    expected = monitored(tmp_path, data).overall
    models = str(tmp_path / "models")
    folder = tmp_path / "models" / "m" / "1"
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, data=replace(manifest.data, target="sold")))
    _, *rows = data.read_text().splitlines()
    more = [f"{row},{i % 7}" for i, row in enumerate(rows)]
    data.write_text("\n".join(["series,timestamp,sold,y", *more]))
    assert monitored(tmp_path, data, models=models).overall == expected
    data.write_text("\n".join(["shop,at,number", *rows]))  # columns of its own
    assert monitored(tmp_path, data, models=models).overall == expected
    data.write_text("\n".join(["shop,at,number,y", *more]))
    assert monitored(tmp_path, data, models=models, target="number").overall == expected


def test_other_data_is_refused(tmp_path):
    stored(tmp_path / "models")
    forecast_hourly(tmp_path, 1)
    with pytest.raises(DataError, match="none of the series"):
        monitored(tmp_path, write_csv(tmp_path / "other.csv", 120, ("x", "y")))


@pytest.mark.parametrize(("expected", "tests"), [(0.8, {"naive"}), (None, {"naive"}), (1.0, set())])
def test_a_simple_method_that_serves_is_not_compared_with_seasonal_naive(expected, tests):
    count = 40
    version = Version(id=1, model="m", version=1, freq="1", zone=None, season_length=1, quantiles=(), expected=expected)
    made = Entries(
        series=np.full(count, "s0", dtype=object),
        source=np.full(count, "model", dtype=object),
        cutoff=np.arange(count),
        step=np.ones(count, np.int64),
        timestamp=np.arange(1, count + 1),
        prediction=np.full(count, 2.0),
        quantile_forecasts=np.zeros((count, 0)),
        naive=np.full(count, 0.1),
        scale=np.ones(count),
    )
    errors = _errors_of(version, made, panel_of(np.zeros(count + 1)))
    assert {one.test for one in live_tests(errors, 1, Freq.parse("1")).alarms} == tests


def test_weeks_begin_on_monday_by_the_clock_of_the_zone_and_whole_numbers_come_in_sevens():
    version = Version(
        id=1, model="m", version=1, freq="h", zone="Europe/Berlin", season_length=24, quantiles=(), expected=None
    )
    sunday_night = int(np.datetime64("2024-03-10T23:30", "us").astype(np.int64))  # in Berlin it is Monday
    assert _weeks(np.array([sunday_night - HOUR, sunday_night]), version, Freq.parse("h")).tolist() == [
        "2024-03-04",
        "2024-03-11",
    ]
    assert _weeks(np.array([0, 6, 7, 20]), replace(version, zone=None), Freq.parse("1")).tolist() == [0, 0, 7, 14]


def test_the_command_prints_tables_or_json_and_exits_5_when_it_says_retrain(decayed, capfd):
    tmp_path, data = decayed
    assert run(["monitor", str(tmp_path / "l.db"), str(data), "--quiet"]) == 5
    out, err = capfd.readouterr()
    assert "m@1: retrain: since 2024-01-05" in out and err.startswith("error: m@1: retrain")
    assert run(["monitor", str(tmp_path / "l.db"), str(data), "--json", "--quiet"]) == 5
    found = json.loads(capfd.readouterr().out)
    assert found["verdict"] == "retrain" and len(found["by_step"]) == 6 and found["overall"]["count"] == 144


def test_quantiles_are_learnt_anew_from_what_came_and_served_without_new_weights(tmp_path):
    models = tmp_path / "models"
    stored(models, bias=2.5)  # its quantiles reach from point - 2 to point + 2, and the point is wrong by 2.5
    data = forecast_hourly(tmp_path, 12)
    before = (models / "m" / "1" / "model.onnx").read_bytes()
    found = monitored(tmp_path, data, models=str(models), recalibrate=True)
    assert found.recalibrated == 2 and found.recent.coverage < 0.8
    manifest = read_manifest(models / "m" / "2")
    assert manifest.recalibrated == 1 and (models / "m" / "2" / "model.onnx").read_bytes() == before
    settings = PredictSettings(models=str(models), model="m")
    new = predict(str(data), settings, Recorder())
    old = predict(str(data), replace(settings, model="m@1"), Recorder())
    assert new.about.version == 2
    assert manifest.seen_until == manifest.recalibrated_until == new.about.cutoff.max() > manifest.data.last
    np.testing.assert_array_equal(new.prediction, old.prediction)
    # Nearly all actuals were below the forecast, and the quantiles follow them now.
    assert (new.quantile_forecasts[:, :, 1] < old.quantile_forecasts[:, :, 1]).all()


@pytest.mark.parametrize("rolled_back", [True, False])
def test_only_the_version_that_serves_is_recalibrated(tmp_path, rolled_back):
    """Others' weights would serve again: those of a version that was rolled back, or older ones after a training."""
    models = tmp_path / "models"
    stored(models)
    if rolled_back:
        stored(models, bias=2.5)
    data = forecast_hourly(tmp_path, 12)
    if rolled_back:
        Store(models).rollback("m")
    else:
        stored(models)
    serves = Store(models).current("m")
    with pytest.raises(ArtifactError, match=f"m@{3 - serves} made the forecasts, but m@{serves} serves"):
        monitored(tmp_path, data, models=str(models), model=f"m@{3 - serves}", recalibrate=True)
    assert Store(models).versions("m") == (1, 2) and Store(models).current("m") == serves


def test_a_training_that_ends_during_the_recalibration_serves(tmp_path, monkeypatch):
    models = tmp_path / "models"
    stored(models, bias=2.5)
    data = forecast_hourly(tmp_path, 12)

    def learnt(*given):
        stored(models)
        return _learnt(*given)

    monkeypatch.setattr("forecaster.serving.recalibrate._learnt", learnt)
    with pytest.raises(ArtifactError, match="m@1 made the forecasts, but m@2 serves"):
        monitored(tmp_path, data, models=str(models), recalibrate=True)
    assert Store(models).versions("m") == (1, 2) and Store(models).current("m") == 2


@pytest.mark.parametrize("output", ["report", "anomalies"])
def test_an_output_that_cannot_be_written_leaves_no_recalibrated_version(tmp_path, output):
    """Each retry would store another."""
    models = tmp_path / "models"
    stored(models, bias=2.5)
    data = forecast_hourly(tmp_path, 12)
    place = str(tmp_path / "none" / {"report": "r.html", "anomalies": "a.csv"}[output])
    with pytest.raises(UsageError, match="none"):
        monitored(tmp_path, data, models=str(models), recalibrate=True, **{output: place})
    assert Store(models).versions("m") == (1,)


def test_forecasts_without_two_quantiles_have_no_anomalies_and_no_recalibrated_version(tmp_path):
    models = tmp_path / "models"
    stored(models, bias=2.5)
    data = forecast_hourly(tmp_path, 12, quantiles=(0.9,))
    with pytest.raises(DataError, match="m@1 forecast no quantiles"):
        monitored(tmp_path, data, models=str(models), recalibrate=True, anomalies=str(tmp_path / "a.csv"))
    assert Store(models).versions("m") == (1,)


def test_too_few_forecasts_are_not_recalibrated_on_and_the_store_stays_as_it_was(tmp_path):
    models = tmp_path / "models"
    stored(models)
    data = forecast_hourly(tmp_path, 2)
    with pytest.raises(DataError, match="4 forecasts have actuals: recalibration needs 10"):
        monitored(tmp_path, data, models=str(models), recalibrate=True)
    assert sorted(path.name for path in (models / "m").iterdir()) == ["1", "current"]


def test_the_page_and_the_anomalies_of_a_ledger(decayed):
    folder, data = decayed
    page, found = folder / "live.html", folder / "anomalies.json"
    report = monitored(folder, data, report=str(page), anomalies=str(found))
    text = page.read_text()
    assert "Retrain: since 2024-01-05" in text and text.count("<figure") == 1 and "<script" not in text
    rows = json.loads(found.read_text())["anomalies"]
    # Each actual once, by its latest forecast: 17 hours of two series, all of them outside.
    assert len(rows) == 34 and report.recent.coverage == 0
    assert len({(row["series"], row["timestamp"]) for row in rows}) == 34
    assert all(row["actual"] < row["low"] and row["nominal"] == 0.8 for row in rows)
    for options, message in (({"report": "x.txt"}, "--report"), ({"anomalies": "x.txt"}, "--anomalies")):
        with pytest.raises(UsageError, match=message):
            monitored(folder, data, **options)
    with pytest.raises(UsageError, match="the data"):
        monitored(folder, data, anomalies=str(data))


def test_live_scores_are_those_that_evaluate_would_give(tmp_path):
    stored(tmp_path / "models", bias=2.5)
    data = forecast_hourly(tmp_path, 3)
    found = monitored(tmp_path, data).overall
    target, forecast, square = [], [], []
    for n in range(2):
        for hour in (96, 97, 98):
            target.append([wave(n, hour + step) for step in range(6)])
            forecast.append([wave(n, hour - 24 + step) + 2.5 for step in range(6)])
            seasons = [(wave(n, t) - wave(n, t - 24)) ** 2 for t in range(24, hour)]
            square.append(np.sqrt(np.mean(seasons)))
    scores = score(*map(np.array, (target, forecast)), np.ones(6), np.array(square))
    assert (found.rmsse, found.wape, found.bias) == pytest.approx((scores.rmsse, scores.wape, scores.bias))
    quantiles = np.array(forecast)[:, :, None] + [-2.0, 2.0]
    expected = quantile_scores(np.array(target), quantiles, (0.1, 0.9), np.ones(6))
    assert found.pinball == pytest.approx(expected.pinball)


def test_data_that_begins_after_the_cutoff_has_no_rmsse(tmp_path):
    stored(tmp_path / "models", bias=2.5)
    forecast_hourly(tmp_path, 1)
    late = write_csv(tmp_path / "late.csv", 108, value=lambda n, t: wave(n, t) if t >= 96 else None)
    found = monitored(tmp_path, late).overall
    assert np.isfinite(found.mae) and np.isnan(found.rmsse)
