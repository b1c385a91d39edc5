"""evaluate --refit: fresh weights before each window, from the rows before it."""

from __future__ import annotations

import numpy as np
import pytest

from forecaster.commands.evaluate import evaluate
from forecaster.config import EvaluateSettings
from forecaster.errors import DataError, UsageError
from tests.support.factories import AIR, NAN, Recorder, frame_of, waves
from tests.support.pickling_engine import PicklingEngine

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


def refitted(models, data=None, watch=None, **changes):
    return evaluate(data, EvaluateSettings(models=str(models), model="air", refit=True, **changes), watch or Recorder())


def test_each_fold_is_fitted_afresh_and_compared_with_the_baselines(trained):
    watch = Recorder()
    found = refitted(trained[0], windows=2, watch=watch)
    assert found.windows == 2
    assert len([note for note in watch.notes if "fresh weights" in note]) == 2
    assert np.isfinite(found.metrics.mase)
    assert "fresh weights" in found.judged_on


def test_a_fold_does_not_see_the_rows_after_its_cutoff(trained, tmp_path):
    """The older fold of two equals the only fold of the data that ends there."""
    lines = AIR.read_text().splitlines()
    cut = tmp_path / "cut.csv"
    cut.write_text("\n".join(lines[:-6]) + "\n")
    older = refitted(trained[0], cut, windows=1)
    wild = tmp_path / "wild.csv"
    wild.write_text("\n".join([*lines[:-6], *(f"{line.split(',')[0]},{10**6}" for line in lines[-6:])]) + "\n")
    both = refitted(trained[0], wild, windows=2)
    # Of two windows, the older one's absolute error is what the other run found.
    last_target = 10.0**6
    mae_of_last = 2 * both.metrics.mae - older.metrics.mae
    assert 0.99 * last_target < mae_of_last < last_target


def test_series_without_an_observed_context_are_left_out_and_move_no_other_forecast(trained, monkeypatch):
    """A series that is left out changes no forecast of another."""
    values = waves(3, 40)
    values[0][:-6] = NAN  # nothing observed before its last window
    seen = {}

    def answer(_shared, fold):
        _ends, series, _cutoff = fold
        return np.broadcast_to(100.0 * (series[:, None, None] + 1), (len(series), 6, 3))

    def keep(*arguments, **named):
        from forecaster.evaluation.backtest import backtest

        seen["tested"] = backtest(*arguments, **named)
        return seen["tested"]

    monkeypatch.setattr("forecaster.training.refit_backtest._fold", answer)
    monkeypatch.setattr("forecaster.training.refit_backtest.backtest", keep)
    frame = frame_of(a=values[0], b=values[1], c=values[2])
    refitted_on_days(trained[0], frame)
    tested = seen["tested"]
    np.testing.assert_array_equal(tested.prediction[:, 0], 100.0 * (tested.holdout.windows.series + 1))
    assert set(tested.holdout.windows.series.tolist()) == {1, 2}


def refitted_on_days(models, frame):
    """The monthly model's settings on another panel."""
    from forecaster.data.panel import Columns
    from forecaster.data.reading.reader import read_panel
    from forecaster.serving.open_model import open_model
    from forecaster.training.refit_backtest import refit

    panel = read_panel(frame, Columns("series", "timestamp", "target"))
    return refit(panel, open_model(str(models), "air"), Recorder(), windows=1, threads=None, learned_baselines=False)


def test_folds_by_workers_have_the_scores_of_one_process(trained, monkeypatch):
    engine = PicklingEngine()
    here = refitted(trained[0], windows=2)
    monkeypatch.setattr("forecaster.commands.evaluate.open_engine", engine.opened)
    assert refitted(trained[0], windows=2, engine="ray").metrics == here.metrics
    assert engine.done == ["_fold", "_fold"]


def test_an_option_that_has_no_effect_is_refused(trained):
    with pytest.raises(UsageError, match="--runtime"):
        refitted(trained[0], runtime="tensorflow")


def test_data_too_short_for_a_fold_is_refused(trained, tmp_path):
    short = tmp_path / "short.csv"
    short.write_text("\n".join(AIR.read_text().splitlines()[:9]) + "\n")
    with pytest.raises(DataError, match="too few for a test window"):
        refitted(trained[0], short)
