"""Too few observed rows to go by: said, with wide intervals, and left to seasonal naive with --fallback."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.commands.check import check
from forecaster.commands.evaluate import evaluate
from forecaster.config import CheckSettings, EvaluateSettings, PredictSettings
from forecaster.data.reading.reader import read_panel
from forecaster.serving.open_model import open_model
from forecaster.serving.predict import predict
from forecaster.serving.sparse_series import missing_past, needed_rows, widened_samples
from tests.support.factories import Recorder
from tests.support.stored_models import stored, wave, write_csv


def answered(folder, **options):
    watch = Recorder()
    settings = PredictSettings(**{"models": str(folder / "models"), "model": "m", "quantiles": (0.1, 0.9), **options})
    return predict(str(folder / "data.csv"), settings, watch), watch


@pytest.fixture
def folder(tmp_path):
    stored(tmp_path / "models")
    return tmp_path


SCARCE = {
    "one row": (1, wave),
    "three rows": (3, wave),
    "most of a season": (20, wave),
    "mostly missing": (100, lambda n, t: wave(n, t) if t % 9 == 3 else None),
}


@pytest.mark.parametrize("kind", SCARCE)
def test_few_rows_are_warned_of_and_have_wide_intervals(folder, kind):
    rows, value = SCARCE[kind]
    write_csv(folder / "data.csv", rows, value=value)
    found, watch = answered(folder, fallback=True)
    assert any("fewer than 21 observed values" in warning for warning in watch.warnings)
    assert set(found.source) == {"seasonal-naive"}
    low, high = found.quantile_forecasts.transpose(2, 0, 1)
    level = np.array([[50.0], [60.0]])
    assert (high - low > 0.5 * level).all()
    assert ((low < found.prediction) & (found.prediction < high)).all()


def test_only_the_short_series_is_warned_of(folder):
    write_csv(folder / "data.csv", 60, value=lambda n, t: wave(n, t) if n == 0 or t > 56 else None)
    found, watch = answered(folder, fallback=True)
    assert list(found.source) == ["model", "seasonal-naive"]
    assert any("1 of 2 series (b) has fewer" in warning for warning in watch.warnings)


def test_an_outage_since_yesterday_leaves_the_rows_before_it_to_go_by_and_is_noted(folder):
    write_csv(folder / "data.csv", 100, value=lambda n, t: wave(n, t) if t < 88 else None)
    found, watch = answered(folder, fallback=True)
    assert set(found.source) == {"model"} and not watch.warnings
    assert any("2 of 2 series (a, b) end with up to 12 rows missing" in note for note in watch.notes)


@pytest.mark.parametrize("rows", [24, 25, 100])
def test_a_whole_season_is_enough(folder, rows):
    write_csv(folder / "data.csv", rows)
    found, watch = answered(folder, fallback=True)
    assert set(found.source) == {"model"} and not watch.warnings


def test_without_any_model_one_row_has_wide_intervals_too(folder):
    write_csv(folder / "data.csv", 2)
    found, watch = answered(folder, fallback=True, model="gone", horizon=3)
    assert (found.quantile_forecasts[:, :, 1] > found.quantile_forecasts[:, :, 0]).all()
    assert any("fewer than" in warning for warning in watch.warnings)


def test_check_compares_the_observed_values_with_what_the_model_needs(folder):
    settings = CheckSettings(models=str(folder / "models"), model="m")
    for rows, fits in ((5, False), (60, True)):
        watch = Recorder()
        found = check(str(write_csv(folder / "data.csv", rows)), settings, watch)
        match = next(match for match in found.matches if match.about == "observed values")
        assert match.matches == fits
        assert fits or any("observed values" in warning for warning in watch.warnings)


def test_series_as_short_as_those_of_the_training_are_enough(folder):
    manifest = open_model(str(folder / "models"), "m").manifest
    assert needed_rows(manifest) == 21
    assert needed_rows(replace(manifest, data=replace(manifest.data, rows=70, series_count=10))) == 7
    few = replace(manifest, data=replace(manifest.data, rows=4, series_count=2))
    assert needed_rows(few) == 2
    assert needed_rows(replace(few, test_windows=0)) == 21  # nothing is known of its errors on series of two rows
    assert needed_rows(replace(few, test_windows=0, files={"calibration.npz": ""})) == 2
    seldom = replace(manifest.data, rows=200, observed=40)  # as seldom as the sensor of the training was read
    assert needed_rows(replace(manifest, data=seldom)) == 5


def test_sample_paths_spread_and_keep_their_order():
    paths = np.full((1, 4, 9), 5.0) + np.arange(9) / 1000
    wide = widened_samples(paths, np.array([2.0]))
    assert (np.diff(wide, axis=2) > 0).all() and 3 < np.ptp(wide[0, 0]) < 9
    assert np.isfinite(wide).all()


def daily(*lengths):
    """Series of so many days that end on one day."""
    end = pd.Timestamp("2023-06-30")
    frames = [
        pd.DataFrame({"s": f"s{n}", "date": pd.date_range(end=end, periods=rows), "y": np.arange(rows) % 7 + 10.0})
        for n, rows in enumerate(lengths)
    ]
    return read_panel(pd.concat(frames))


@pytest.mark.parametrize(
    ("lengths", "rows", "named"),
    [
        ((80, 90, 364), 3000, "3 of 3 series (s0, s1, s2) have fewer than 365 rows"),
        ((80, 90, 365), 3000, "2 of 3 series (s0, s1) have fewer than 365 rows"),
        ((80, 400, 400), 3000, None),  # one new series
        ((80, 90, 364), 300, "2 of 3 series (s0, s1) have fewer than 100 rows"),  # as short as the training's
    ],
)
def test_series_without_the_years_that_a_model_reads_are_named(folder, lengths, rows, named):
    manifest = open_model(str(folder / "models"), "m").manifest
    panel, facts = daily(*lengths), replace(manifest.data, rows=rows, series_count=3)
    assert missing_past(panel, replace(manifest, data=facts)) is None  # reads no years
    found = missing_past(panel, replace(manifest, data=facts, calendar=("weekday", "years")))
    assert found == (named and (named, "the same days of the years before"))


def test_predict_evaluate_and_check_say_so(folder, monkeypatch):
    for module in ("serving.predict", "commands.evaluate", "commands.check"):
        monkeypatch.setattr(
            f"forecaster.{module}.missing_past", lambda *_: ("all series have few rows", "the years before")
        )
    write_csv(folder / "data.csv", 200)
    _, watch = answered(folder)
    expected = "all series have few rows, but the model also reads the years before: give more rows"
    assert expected in watch.warnings
    options = {"models": str(folder / "models"), "model": "m"}
    watch = Recorder()
    evaluate(str(folder / "data.csv"), EvaluateSettings(**options), watch)
    assert expected in watch.warnings
    watch = Recorder()
    report = check(str(folder / "data.csv"), CheckSettings(**options), watch)
    assert not next(match for match in report.matches if match.about == "history").matches
    assert "history: all series have few rows, but the model was trained on the years before, too" in watch.warnings
