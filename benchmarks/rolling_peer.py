#!/usr/bin/env python3
"""Part of accuracy.py: NeuralForecast at its defaults on every window of a rolling test span.

    python rolling_peer.py CELL DATA HORIZON FIT KNOWN        (in an environment with neuralforecast)

DATA is wide: a timestamp, then one column for each series. Trains once on the first KNOWN rows, forecasts all windows
after them, and prints one JSON object: MSE and MAE of z-scores (mean and deviation of the first FIT rows), as in the
literature.
"""

from __future__ import annotations

import json
import logging
import sys
import time

import numpy as np
import pandas as pd
from neuralforecast import NeuralForecast, models

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)


def main() -> None:
    """Fit and score."""
    cell, data = sys.argv[1], sys.argv[2]
    horizon, fit, known = map(int, sys.argv[3:])
    wide = pd.read_csv(data).iloc[:, 1:]
    rows = [pd.DataFrame({"unique_id": name, "ds": np.arange(len(wide)), "y": wide[name]}) for name in wide]
    quiet = {
        "enable_progress_bar": False,
        "logger": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
    }
    model = getattr(models, cell)(h=horizon, **quiet)
    began = time.perf_counter()
    found = NeuralForecast(models=[model], freq=1).cross_validation(
        pd.concat(rows), n_windows=None, test_size=len(wide) - known, step_size=1
    )
    seconds = time.perf_counter() - began
    column = next(name for name in found if name.startswith(cell))
    spread = found["unique_id"].map(wide.iloc[:fit].std(ddof=0))
    error = ((found["y"] - found[column]) / spread).to_numpy()
    windows = len(found) / horizon / wide.shape[1]
    print(json.dumps({"mse": (error**2).mean(), "mae": np.abs(error).mean(), "seconds": seconds, "windows": windows}))


if __name__ == "__main__":
    main()
