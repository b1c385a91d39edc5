"""The file of `evaluate --output`: the forecasts of every test window with their actuals, one row for each step."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import format_timestamps
from forecaster.errors import UsageError
from forecaster.serving.forecast import MODEL
from forecaster.serving.forecast_file import FORMATS, OTHER_FORMATS

if TYPE_CHECKING:
    from forecaster.evaluation.backtest import Backtest


def check_window_file(output: str) -> None:
    """UsageError for a name that ends as files of another form do: CSV is written."""
    ending = Path(output).suffix.lower().removeprefix(".")
    if ending in {*OTHER_FORMATS, *FORMATS} - {"csv"}:
        raise UsageError(f"--output '{output}': the windows are written as CSV.", "Give a name that ends in .csv.")


def window_rows(found: Backtest) -> str:
    """CSV of `series,cutoff,step,timestamp,actual,model`, a column for each quantile and each baseline.

    `cutoff` is the last timestamp before the window. A missing actual is empty.
    """
    holdout = found.holdout
    panel, windows, horizon = holdout.panel, holdout.windows, holdout.horizon
    rows = windows.cutoff[:, None] + np.arange(-1, horizon)
    stamps = panel.timestamps[rows]
    text = format_timestamps(stamps.reshape(-1), panel.freq, panel.zone).reshape(stamps.shape)
    levels = [repr(float(level)) for level in found.quantiles]
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["series", "cutoff", "step", "timestamp", "actual", MODEL, *levels, *found.baselines])
    for w, n in enumerate(windows.series.tolist()):
        for h in range(horizon):
            actual = holdout.target[w, h]
            numbers = [found.prediction[w, h], *found.quantile_forecasts[w, h]]
            numbers += [forecast[w, h] for forecast in found.baselines.values()]
            known = "" if np.isnan(actual) else repr(float(actual))
            head = [panel.series[n], text[w, 0], h + 1, text[w, 1 + h], known]
            writer.writerow([*head, *("" if np.isnan(number) else repr(float(number)) for number in numbers)])
    return lines.getvalue()
