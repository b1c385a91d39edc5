"""Rows before --since and after --until are left out before anything is inferred, and the model remembers what taught it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.commands.train import train
from forecaster.config import EvaluateSettings, PredictSettings
from forecaster.data.panel import Columns
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.row_options import RowOptions
from forecaster.errors import DataError, UsageError
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from tests.support.factories import Recorder, train_settings


def frame(index):
    return pd.DataFrame({"timestamp": index, "value": np.arange(len(index)) + 1.0})


def read(table, columns=Columns(), **rows):  # noqa: B008 - frozen
    return read_as(table, replace(ReadOptions.of(columns), rows=RowOptions(**rows)))


@pytest.mark.parametrize(
    ("index", "rows", "first", "last"),
    [
        (pd.date_range("2019-12-01", periods=60), {"since": "2020"}, 32, 60),
        (pd.date_range("2020-01-01", periods=60), {"until": "2020-01"}, 1, 31),
        (pd.date_range("2020-01-01", periods=60), {"since": "2020-01-05", "until": "2020-02-03"}, 5, 34),
        (pd.date_range("2018-01-01", periods=48, freq="MS"), {"since": "2019", "until": "2020"}, 13, 36),
        (pd.date_range("2020-01-01", periods=48, freq="h"), {"until": "2020-01-02 06:00"}, 1, 31),
        (pd.date_range("2020-01-01", periods=48, freq="h", tz="Europe/Berlin"), {"since": "2020-01-02"}, 25, 48),
        (range(1, 31), {"since": "3", "until": "20"}, 3, 20),
    ],
)
def test_only_rows_from_since_to_until_are_read(index, rows, first, last):
    panel = read(frame(index), **rows)
    assert panel.target.tolist() == list(range(first, last + 1))
    assert any("left out" in note for note in panel.notes)


def test_series_without_rows_in_the_span_are_left_out_and_counted():
    days = pd.date_range("2024-01-01", periods=20)
    table = pd.concat([frame(days[:8]).assign(series="old"), frame(days).assign(series="both")])
    table = table.sample(frac=1, random_state=0)
    panel = read(table, since="2024-01-10")
    assert panel.series.tolist() == ["both"] and panel.target.tolist() == list(range(10, 21))
    assert "all of 1 series" in " ".join(panel.notes)


def test_the_frequency_is_that_of_the_rows_that_are_left():
    index = pd.date_range("2010-01-01", "2019-12-01", freq="MS").append(pd.date_range("2020-01-01", periods=60))
    assert read(frame(index), since="2020").freq.name == "D"
    assert read(frame(index), until="2019").freq.name == "MS"


def test_known_columns_are_read_after_until():
    table = frame(pd.date_range("2024-01-01", periods=20)).assign(price=np.arange(20.0))
    panel = read(table, Columns(target="value", known=("price",)), until="2024-01-15")
    assert panel.target.tolist() == list(range(1, 16))
    assert panel.covariates[0].ahead.tolist() == [[15, 16, 17, 18, 19]]


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ({"since": "2031"}, DataError, "no row is from 2031"),
        ({"until": "1999"}, DataError, "no row is to 1999"),
        ({"since": "spring"}, UsageError, "--since 'spring'"),
        ({"until": "2020-13"}, UsageError, "--until '2020-13'"),
        ({"since": "2021", "until": "2020"}, UsageError, "before --since"),
    ],
)
def test_a_span_without_rows_and_what_is_no_time_are_refused(rows, error, message):
    with pytest.raises(error, match=message):
        read(frame(pd.date_range("2020-01-01", periods=60)), **rows)


@pytest.mark.slow
@pytest.mark.usefixtures("cpu")
def test_a_model_keeps_since_and_ignore_and_is_tested_on_what_is_after_until(tmp_path):
    index = pd.date_range("2023-01-01", periods=120)
    path = tmp_path / "sales.csv"
    pd.DataFrame({"date": index, "sold": np.arange(120) % 7 + 5.0}).to_csv(path, index=False)
    given = {"since": "2023-01-11", "until": "2023-03-31", "ignore": ("2023-02-01..2023-02-03",)}
    train(path, train_settings(tmp_path, name="x", **given), Recorder())
    manifest = read_manifest(tmp_path / "x" / "1")
    assert manifest.data.rows == 80 and manifest.data.rows_as.ignore == given["ignore"]
    plan = {row.setting: (row.value, row.reason) for row in manifest.plan}
    assert plan["since"] == ("2023-01-11", "as given") and plan["until"] == ("2023-03-31", "as given")
    assert plan["ignore"] == ("2023-02-01..2023-02-03", "as given")

    later = predict(None, PredictSettings(models=str(tmp_path)), Recorder())
    first = pd.to_datetime(later.to_frame()["timestamp"]).iloc[0]
    assert first == pd.Timestamp("2023-05-01")  # after the last row
    then = predict(None, PredictSettings(models=str(tmp_path), until="2023-03-31"), Recorder())
    assert pd.to_datetime(then.to_frame()["timestamp"]).iloc[0] == pd.Timestamp("2023-04-01")

    settings = EvaluateSettings(models=str(tmp_path))
    assert "after the last row of training" in evaluate(None, settings, Recorder()).judged_on
    again = replace(settings, until="2023-03-31")
    assert "by weights fitted before them" in evaluate(None, again, Recorder()).judged_on
