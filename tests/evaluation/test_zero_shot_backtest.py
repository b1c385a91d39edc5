"""The backtest of a pretrained network: on rows that nothing was learnt from, beside the baselines."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.commands.evaluate import evaluate
from forecaster.commands.train_report import TrainReport
from forecaster.config import EvaluateSettings
from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError, UsageError
from forecaster.evaluation.metrics import Scores
from forecaster.evaluation.zero_shot_backtest import pretrained_scores, zero_shot_backtest
from forecaster.serving.zero_shot import ZeroShot, open_pretrained
from tests.support.factories import Recorder
from tests.support.pretrained import ship
from tests.support.stored_models import stored, wave, write_csv


@pytest.fixture(autouse=True)
def _shipped(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ship(monkeypatch, tmp_path / "shipped", 1, 24)


def evaluated(data="data.csv", **options):
    return evaluate(str(data), EvaluateSettings(**options), Recorder())


def test_its_scores_are_those_of_its_forecasts_of_the_latest_rows(tmp_path):
    write_csv(tmp_path / "data.csv", 200)
    found = evaluated(horizon=6)
    assert (found.label, found.cell, found.windows) == ("pretrained", "gru", 2 * 6)
    assert set(found.baselines) == {"seasonal-naive", "naive", "drift"}
    # The stand-in repeats the latest season, as seasonal naive does.
    assert found.metrics.to_json() == found.baselines["seasonal-naive"].to_json()
    panel = read_panel(tmp_path / "data.csv")
    errors = [
        abs(panel.target[end - k] - panel.target[end - k - 24]) for end in panel.offsets[1:] for k in range(1, 37)
    ]
    assert found.metrics.mae == pytest.approx(np.mean(errors))


def test_it_needs_no_horizon_and_takes_the_number_of_windows(tmp_path):
    write_csv(tmp_path / "data.csv", 200)
    assert evaluated().horizon == 24
    assert evaluated(horizon=6, windows=3).windows == 2 * 3


def test_quantiles_are_learnt_from_rows_before_the_test_windows_alone(tmp_path):
    def value(n, t):
        return wave(n, t) + (300 if t >= 500 - 6 and t % 2 else 0)

    write_csv(tmp_path / "calm.csv", 500)
    write_csv(tmp_path / "wild.csv", 500, value=value)
    calm, wild = (evaluated(name, horizon=6, windows=1) for name in ("calm.csv", "wild.csv"))
    assert calm.calibrated and calm.intervals.width == wild.intervals.width
    assert wild.intervals.empirical_coverage <= 0.5 < calm.intervals.empirical_coverage


def test_a_stored_model_keeps_its_horizon_and_comes_first(tmp_path):
    write_csv(tmp_path / "data.csv", 200)
    stored(tmp_path / "models", data=tmp_path / "data.csv")
    with pytest.raises(UsageError, match="--horizon 7: m@1 was trained for 6 steps"):
        evaluated(horizon=7)
    assert evaluated(horizon=6).label == "m@1"
    assert evaluated(horizon=7, model="pretrained").label == "pretrained"


@pytest.mark.parametrize("options", [{"refit": True}, {"adapt": False}, {"runtime": "tensorflow"}])
def test_options_without_effect_are_refused(tmp_path, options):
    write_csv(tmp_path / "data.csv", 200)
    with pytest.raises(UsageError, match="has no effect"):
        evaluated(**options)


def test_too_few_rows_are_an_error(tmp_path):
    write_csv(tmp_path / "data.csv", 40)
    with pytest.raises(DataError, match="no series has rows for a test window of 38 steps"):
        evaluated(horizon=38)


def test_the_command_prints_the_table_or_json_and_writes_the_page(tmp_path, capsys):
    write_csv(tmp_path / "data.csv", 500)
    assert run(["evaluate", "data.csv", "--horizon", "6", "--quiet"]) == 0
    shown = capsys.readouterr().out
    assert "pretrained (pretrained gru)" in shown and "seasonal-naive" in shown and "calibrated" in shown
    assert run(["evaluate", "data.csv", "--horizon", "6", "--json", "--model", "pretrained"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["model"] == "pretrained" and found["version"] is None and found["windows"] == 20


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("matplotlib"), reason="draws")
def test_the_page_needs_no_stored_model(tmp_path):
    write_csv(tmp_path / "data.csv", 200)
    assert run(["evaluate", "data.csv", "--horizon", "6", "--report", "page.html", "--quiet"]) == 0
    assert "pretrained" in (tmp_path / "page.html").read_text()


def test_its_scores_on_the_windows_of_a_training_are_those_of_its_own_backtest(tmp_path):
    write_csv(tmp_path / "data.csv", 200)
    panel = read_panel(tmp_path / "data.csv")
    made = ZeroShot(open_pretrained(24), panel, panel.offsets[1:], 6)
    tested = zero_shot_backtest(made, (), 3, learned=False)
    assert pretrained_scores(tested, Recorder()) == tested.holdout.scores(tested.prediction)


def test_a_damaged_network_costs_no_training_and_an_unknown_season_is_no_fault(tmp_path):
    write_csv(tmp_path / "data.csv", 200)
    panel = read_panel(tmp_path / "data.csv")
    tested = zero_shot_backtest(ZeroShot(open_pretrained(24), panel, panel.offsets[1:], 6), (), 1, learned=False)
    other = replace(tested, holdout=replace(tested.holdout, panel=replace(panel, season_length=7)))
    assert pretrained_scores(other, Recorder()) is None
    (tmp_path / "shipped" / "24" / "card.json").write_text("{}")
    watch = Recorder()
    assert pretrained_scores(tested, watch) is None and "damaged" in watch.warnings[0]


@pytest.mark.parametrize(
    ("own", "other", "sentence", "warning"),
    [
        (0.8, 1.0, "20% lower error than the pretrained network (MASE 0.8, 1).", ""),
        (1.04, 1.0, "4% higher error than the pretrained network (MASE 1.04, 1).", ""),
        (
            1.1,
            1.0,
            "10% higher error than the pretrained network (MASE 1.1, 1).",
            "has a 9% lower error on the test windows",
        ),
        (1.0, 1.001, "The error is that of the pretrained network (MASE 1).", ""),
        (1.1, None, "", ""),
    ],
)
def test_the_verdict_of_a_training_says_what_it_adds_and_warns_where_it_takes_away(own, other, sentence, warning):
    scores = [Scores(mae=1.0, rmse=1.0, smape=1.0, mase=mase) for mase in (own, other or 0.0)]
    report = object.__new__(TrainReport)
    known = {"report": SimpleNamespace(metrics=scores[0]), "pretrained": scores[1] if other else None}
    for name, value in {**known, "forecasts_mean": False}.items():
        object.__setattr__(report, name, value)
    assert report.added == sentence
    assert warning in report.warning and bool(report.warning) == bool(warning)
