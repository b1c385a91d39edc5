"""Write `format-<n>/`: a tiny model of the present format, contexts, and the numbers that it must always predict.

Run once a format, from the repository's root: python -m tests.golden.make. A stored format is never written again, since
artifacts of every released format must load in every later release.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from forecaster.commands.train import train
from forecaster.config import PredictSettings
from forecaster.data.reading.reader import read_panel
from forecaster.data.windows import latest_windows
from forecaster.serving.manifest import FORMAT, read_manifest
from forecaster.serving.predict import predict
from forecaster.serving.runtime import forecast
from forecaster.serving.store import Store
from forecaster.serving.stored_graphs import load_runtime, load_test_weights
from forecaster.typing import Silent
from tests.support.factories import AIR, train_settings

HERE = Path(__file__).parent
LONGER = 15  # steps: more than the model was trained for
NAME = "air"


def contexts(length: int) -> np.ndarray:
    """[5, L] the latest rows of AirPassengers, and awkward windows made of them."""
    (air,) = latest_windows(read_panel(AIR)).gather(length, 0)
    missing, short, single = air.copy(), air.copy(), np.full(length, np.nan)
    missing[2:4] = short[: length // 2] = np.nan
    single[-1] = 112.0
    return np.stack([air, missing, short, single, np.full(length, 7.5)])


def make(folder: Path) -> None:
    """Fill `folder` with a store that holds the model, and `answers.npz` with what it is asked and must answer."""
    with tempfile.TemporaryDirectory() as work:
        data = Path(shutil.copy(AIR, work))  # the manifest holds the path: none of this machine's should be kept
        settings = train_settings(folder, name=NAME, cell="gru", linear=False, members=2, epochs=20)
        report = train(data, settings, Silent())
    version = Path(report.path)
    manifest = read_manifest(version)
    asked = contexts(manifest.context_length)
    made = predict(AIR, PredictSettings(models=str(folder), model=NAME, horizon=LONGER), Silent())
    np.savez_compressed(
        folder / "answers.npz",
        contexts=asked,
        served=forecast(load_runtime(version, manifest, "onnx"), asked, LONGER),
        judged=forecast(load_test_weights(version, manifest), asked, LONGER),
        predicted=np.concatenate([made.prediction[:, :, None], made.quantile_forecasts], axis=2)[0],
    )


def main() -> None:
    folder = HERE / f"format-{FORMAT}"
    if folder.exists():
        sys.exit(
            f"{folder} is there: golden files are never written again. Remove it if its format was never released."
        )
    make(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {Store(folder).names()[0]}, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
