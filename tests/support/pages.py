"""A backtest and a forecast to look at, made without a training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecaster.data.freq import Freq
from forecaster.evaluation.backtest import backtest, baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.evaluation.report import make_report, subject
from forecaster.plotting.evaluation_page import EvaluationContent
from forecaster.serving.forecast import About, Forecast, ForecastRun
from tests.serving.test_manifest import MANIFEST
from tests.support.factories import panel_of, waves

HORIZON = 3
EVIL = "<script>alert(1)</script> & $x_1$ \"'"


def answer(context):
    """[W, 3, 3] the latest value, and 2 below and above it."""
    return np.repeat(context[:, -1:], HORIZON, axis=1)[:, :, None] + np.array([0.0, -2.0, 2.0])


def dated(names, values):
    """A daily panel of series with these names."""
    panel = panel_of(*values)
    days = panel.timestamps * 86_400_000_000
    return replace(panel, series=np.array(names, dtype=object), timestamps=days, freq=Freq.parse("D"))


def evaluation_content(folder, names=("a", "b", "c", EVIL), values=None, windows=2):
    """What `evaluate` hands to its page; `folder` may hold a history."""
    panel = dated(names, waves(len(names), 40) if values is None else values)
    holdout = make_holdout(
        panel,
        holdout_windows(panel, HORIZON, windows),
        horizon=HORIZON,
        context_length=MANIFEST.context_length,
        description="the latest 2 windows of each series",
    )
    forecasts = answer(holdout.windows.gather(holdout.context_length, 0))
    tested = backtest(holdout, forecasts, MANIFEST.quantiles, baseline_forecasts(holdout, learned=False))
    report = make_report(subject(MANIFEST, 3, 1.0), tested)
    return EvaluationContent(report=report, backtest=tested, panel=panel, manifest=MANIFEST, folder=folder)


def ahead(names=("a", EVIL), source="model"):
    """A forecast, with the panel that it was made from."""
    panel = dated(names, waves(len(names), 40))
    cutoff = panel.timestamps[panel.offsets[1:] - 1]
    values = answer(panel.target.reshape(len(names), -1))
    forecast = Forecast(
        series=panel.series,
        timestamps=panel.freq.after(cutoff, HORIZON),
        prediction=values[:, :, 0],
        quantiles=(0.1, 0.9),
        quantile_forecasts=values[:, :, 1:],
        source=np.full(len(names), source, dtype=object),
        freq=panel.freq,
        zone=None,
        about=About("m", 1, cutoff, (), 4),
    )
    return ForecastRun(forecast=forecast, panel=panel, positions=np.arange(len(names)))
