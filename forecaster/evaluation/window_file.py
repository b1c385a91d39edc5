"""The file of `evaluate --output`: the forecasts of every test window with their actuals, one row for each step."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import format_timestamps
from forecaster.errors import DataError, UsageError
from forecaster.evaluation.anomalies import Anomaly, outside
from forecaster.serving.forecast import MODEL
from forecaster.serving.forecast_file import FORMATS, OTHER_FORMATS
from forecaster.storage.files import write_whole

if TYPE_CHECKING:
    from forecaster.evaluation.backtest import Backtest


def check_window_file(output: str) -> None:
    """UsageError for a name that ends as files of another form do: CSV is written."""
    ending = Path(output).suffix.lower().removeprefix(".")
    if ending in {*OTHER_FORMATS, *FORMATS} - {"csv"}:
        raise UsageError(f"--output '{output}': the windows are written as CSV.", "Give a name that ends in .csv.")


def anomalies(found: Backtest) -> list[Anomaly]:
    """The actuals outside the outermost quantiles, the least likely first; each window's forecast of a row counts.

    DataError where there are no quantiles.
    """
    if len(found.quantiles) < 2:
        raise DataError("the model forecasts no quantiles: nothing is outside of them.", "Train with two or more.")
    holdout = found.holdout
    panel, horizon = holdout.panel, holdout.horizon
    low, high = found.quantile_forecasts[:, :, 0], found.quantile_forecasts[:, :, -1]
    places, probability = outside(*(values.reshape(-1) for values in (found.target, found.prediction, low, high)))
    window, step = np.divmod(places, horizon)
    stamps = panel.timestamps[holdout.windows.cutoff[window] + step]
    texts = format_timestamps(stamps, panel.freq, panel.zone).tolist()
    return [
        Anomaly(
            series=str(panel.series[holdout.windows.series[w]]),
            timestamp=text,
            step=int(h) + 1,
            actual=float(found.target[w, h]),
            prediction=float(found.prediction[w, h]),
            low=float(low[w, h]),
            high=float(high[w, h]),
            nominal=round(found.quantiles[-1] - found.quantiles[0], 12),
            probability=float(share),
        )
        for w, h, text, share in zip(window, step, texts, probability, strict=True)
    ]


def write_windows(path: str, found: Backtest) -> None:
    """Write `window_rows` to the file `path`, which changes whole or not at all."""
    write_whole(path, window_rows(found))


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
