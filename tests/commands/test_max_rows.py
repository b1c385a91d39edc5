"""`train --max-rows`: a model of a sample of the series, which forecasts and tests as one of all."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.commands.train import train
from forecaster.config import EvaluateSettings, PredictSettings
from forecaster.serving.inventory import described
from forecaster.serving.manifest import read_manifest
from forecaster.serving.predict import predict
from tests.support.factories import Recorder, frame_of, train_settings, waves

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


def test_a_model_of_some_series_forecasts_all_and_is_tested_on_its_own(tmp_path):
    data = tmp_path / "sales.parquet"
    frame_of(**{f"shop {n}": values for n, values in enumerate(waves(9))}).to_parquet(data, index=False)
    watch = Recorder()
    report = train(str(data), train_settings(tmp_path, max_rows=130), watch)
    said = "3 of 9 series, 120 of 360 rows"
    assert f"{said}, as --max-rows asks: a sample spread evenly." in watch.notes
    assert [row.reason for row in report.plan if row.setting == "max_rows"] == [said]
    manifest = read_manifest(tmp_path / "sales" / "1")
    assert manifest.data.sample.words == said and manifest.data.series_count == 3
    assert dict(described(manifest))["sample"] == f"trained on {said}, as --max-rows asks"

    forecast = predict(None, PredictSettings(models=str(tmp_path), model="sales"), Recorder())
    assert len(forecast.series) == 9 and np.isfinite(forecast.prediction).all()
    assert set(forecast.source) == {"model"}

    settings = EvaluateSettings(models=str(tmp_path), model="sales")
    assert evaluate(str(data), settings, Recorder()).windows == 6
    # Rows after the training are new to all series, those of the sample and the others.
    later = tmp_path / "later.parquet"
    frame_of(**{f"shop {n}": values for n, values in enumerate(waves(9, length=46))}).to_parquet(later, index=False)
    assert evaluate(str(later), settings, Recorder()).windows == 9
