"""What moves a forecast is found, what does not is not."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from forecaster.cli.main import run
from forecaster.commands.explain import _others, explain
from forecaster.commands.train import train
from forecaster.config import ExplainSettings
from forecaster.errors import DataError
from tests.support.factories import Recorder, train_settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def driven(tmp_path_factory, cpu):
    """A model of a series that a price makes and a column of noise does not."""
    folder = tmp_path_factory.mktemp("driven")
    rng = np.random.default_rng(0)
    price = rng.normal(size=200)
    frame = pd.DataFrame({"timestamp": pd.date_range("2024-01-01", periods=200), "target": 50 + 10 * price})
    frame["price"], frame["dice"] = price, rng.normal(size=200)
    frame.to_csv(folder / "driven.csv", index=False)
    settings = train_settings(
        folder / "models", known=("price",), past=("dice",), transform="none", windows=6, epochs=6, steps_per_epoch=40,
        learning_rate=0.02, batch_size=64, final_fit=False, horizon=4,
    )  # fmt: skip
    train(folder / "driven.csv", settings, Recorder())
    return folder


def test_what_makes_the_series_moves_its_forecast_most(driven):
    found = explain(None, ExplainSettings(models=str(driven / "models")), Recorder())
    effects = {(one.role, one.name): one for one in found.effects}
    assert found.effects[0].name == "price" and found.windows == 6
    assert effects[("known", "price")].moved > 3 * effects[("past", "dice")].moved
    assert effects[("known", "price")].error > 0.2
    stretches = [one for one in found.effects if one.role == "context"]
    assert [one.name for one in stretches] == ["12 to 8 back", "7 to 1 back"]
    assert all(one.moved > 0.0 for one in stretches)


def test_the_same_data_gives_the_same_answer_as_a_table_and_as_json(driven, capsys):
    words = ["explain", str(driven / "driven.csv"), "--models", str(driven / "models")]
    assert run([*words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"model", "version", "windows", "mase", "effects"} <= set(found)
    assert run(words) == 0
    out = capsys.readouterr().out
    assert "changes the forecast by" in out and all(one["name"] in out for one in found["effects"])
    again = explain(None, ExplainSettings(models=str(driven / "models")), Recorder())
    assert again.to_json()["effects"] == found["effects"]


def test_one_window_is_too_few(driven):
    with pytest.raises(DataError, match="only one test window: no other to exchange inputs with"):
        explain(None, ExplainSettings(models=str(driven / "models"), windows=1), Recorder())


def test_every_window_takes_from_another():
    for count in (2, 3, 17):
        other = _others(count, np.random.default_rng(1))
        assert sorted(other) == list(range(count)) and (other != np.arange(count)).all()
