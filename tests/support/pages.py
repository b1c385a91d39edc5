"""A forecast and a backtest to plot, made without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from forecaster.data.freq import Freq
from forecaster.data.panel import Panel
from forecaster.evaluation.backtest import backtest, baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.evaluation.report import Evaluated, make_report, subject
from forecaster.serving.forecast import About, Forecast, ForecastRun
from forecaster.typing import FloatArray
from tests.serving.test_manifest import MANIFEST
from tests.support.factories import panel_of, waves

HORIZON = 3
EVIL = "<script>alert(1)</script> & $x_1$ \"'"  # the name of a series that HTML or Matplotlib could misread


def point_and_quantiles(context: FloatArray) -> FloatArray:
    """[W, 3, 3] for contexts [W, L]: at each of three steps the latest value, 2 less, and 2 more."""
    points = np.repeat(context[:, -1:], HORIZON, axis=1)
    forecasts: FloatArray = points[:, :, None] + np.array([0.0, -2.0, 2.0])
    return forecasts


def daily_panel(names: Sequence[str], values: Sequence[FloatArray]) -> Panel:
    """A panel of daily series with these names and values."""
    panel = panel_of(*values)
    days = panel.timestamps * 86_400_000_000
    return replace(panel, series=np.array(names, dtype=object), timestamps=days, freq=Freq.parse("D"))


def evaluation_content(
    folder: Path,
    names: Sequence[str] = ("a", "b", "c", EVIL),
    values: Sequence[FloatArray] | None = None,
    windows: int = 2,
) -> Evaluated:
    """What `evaluate` gives to its page: `windows` test windows of each series. `folder` may contain a history."""
    panel = daily_panel(names, waves(len(names), 40) if values is None else values)
    holdout = make_holdout(
        panel,
        holdout_windows(panel, HORIZON, windows),
        horizon=HORIZON,
        context_length=MANIFEST.context_length,
        description="the latest 2 windows of each series",
    )
    forecasts = point_and_quantiles(holdout.windows.gather(holdout.context_length, 0))
    tested = backtest(holdout, forecasts, MANIFEST.quantiles, baseline_forecasts(holdout, learned=False))
    report = make_report(subject(MANIFEST, 3, 1.0), tested)
    return Evaluated(report=report, backtest=tested, panel=panel, manifest=MANIFEST, folder=folder)


def ahead(names: Sequence[str] = ("a", EVIL), source: str = "model") -> ForecastRun:
    """A forecast of the steps after the data, with the panel that it was made from."""
    panel = daily_panel(names, waves(len(names), 40))
    cutoff = panel.timestamps[panel.offsets[1:] - 1]
    values = point_and_quantiles(panel.target.reshape(len(names), -1))
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
