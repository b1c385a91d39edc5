"""The file of `evaluate --output`: the forecasts of every test window with their actuals, one row for each step."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import format_timestamps
from forecaster.files import write_whole
from forecaster.serving.forecast import MODEL

if TYPE_CHECKING:
    from forecaster.evaluation.backtest import Backtest


def write_windows(path: str, found: Backtest) -> None:
    """Write `series,cutoff,step,timestamp,actual,model`, a column for each quantile and each baseline to the file `path`.

    `cutoff` is the last timestamp before the window. A missing actual is empty. The file changes whole or not at all.
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
    write_whole(Path(path), lines.getvalue())
