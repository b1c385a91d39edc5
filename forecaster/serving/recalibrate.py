"""Learn a calibration from a ledger's forecasts and their actuals, and store it as a new version with the same weights."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import Windows
from forecaster.errors import ArtifactError, DataError
from forecaster.serving.calibration_file import write_calibration
from forecaster.serving.conformal import Calibration, ErrorPool, calibrate, separate
from forecaster.serving.manifest import read_manifest, write_manifest
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.store import Store
from forecaster.serving.stored_graphs import load_runtime

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.serving.ledger import Entries, Version
    from forecaster.serving.manifest import Manifest
    from forecaster.typing import FloatArray

MIN_WINDOWS = 10  # with actuals


def recalibrate(models: str, version: Version, made: Entries, actual: FloatArray, panel: Panel) -> int:
    """Store a version whose calibration is learnt from forecasts `made` and their actuals [E]; return its number.

    The new version serves; the old one stays for `models rollback`. DataError with too few actuals; ArtifactError where
    the version that made the forecasts does not serve.
    """
    store = Store(Path(models))
    _check_serves(store, version)
    folder = store.resolve(f"{version.model}@{version.version}")
    manifest = read_manifest(folder)
    if manifest.data.freq != panel.freq.name:
        raise ArtifactError(f"{version.model} forecasts {manifest.data.freq} data, not {panel.freq.name}.")
    learnt = _learnt(folder, manifest, made, actual, panel)

    until = int(panel.timestamps.max())
    with store.new_version(version.model) as draft:
        shutil.copytree(folder, draft.folder, dirs_exist_ok=True)
        write_calibration(draft.folder, learnt)
        recalibrated = replace(manifest, recalibrated=version.version, recalibrated_until=until, refused="")
        write_manifest(draft.folder, recalibrated)
        _check_serves(store, version)  # a training may have ended meanwhile
        return draft.publish()


def _check_serves(store: Store, version: Version) -> None:
    """ArtifactError where another version serves: its weights would be replaced by older ones, or by those rolled back."""
    serves = store.current(version.model)
    if serves != version.version:
        name = version.model
        raise ArtifactError(
            f"{name}@{version.version} made the forecasts, but {name}@{serves} serves: only what serves is recalibrated.",
            f"Predict with {name}@{serves} and --ledger first, and name it with --model.",
        )


def _learnt(folder: Path, manifest: Manifest, made: Entries, actual: FloatArray, panel: Panel) -> Calibration:
    windows, prediction, target = _windows(manifest.horizon, made, actual, panel)
    if len(windows) < MIN_WINDOWS:
        raise DataError(
            f"{panel.source}: {len(windows)} forecasts have actuals: recalibration needs {MIN_WINDOWS}.",
            "Wait for more actuals.",
        )
    raw = raw_forecasts(load_runtime(folder, manifest, "onnx"), manifest, panel, windows, manifest.horizon)
    # Errors are those of the delivered forecasts. The graph runs again for its widths only.
    moved = raw.values + (prediction - raw.values[:, :, 0])[:, :, None]
    pool = ErrorPool(
        forecast=moved,
        target=target,
        seasonal_scale=raw.scale(manifest.data.season_length),
        series=windows.series,
        separate=separate(windows.series, windows.cutoff, manifest.horizon),
        age=windows.remaining / manifest.horizon - 1.0,
        shape=raw.shape,
    )
    learnt = calibrate(pool, tuple(map(str, panel.series)))
    if learnt is None:
        raise DataError(f"{panel.source}: the forecast series are constant.", "They need no calibration.")
    return learnt


def _windows(horizon: int, made: Entries, actual: FloatArray, panel: Panel) -> tuple[Windows, FloatArray, FloatArray]:
    """The windows with an actual, their forecasts [W, H] and their actuals [W, H]; NaN = not observed yet."""
    number = {str(name): n for n, name in enumerate(panel.series)}
    keys: dict[tuple[int, int], int] = {}
    window, step, kept = [], [], []
    for i, (name, cutoff) in enumerate(zip(made.series, made.cutoff.tolist(), strict=True)):
        if str(name) in number and made.step[i] <= horizon and not np.isnan(actual[i]):
            window.append(keys.setdefault((number[str(name)], cutoff), len(keys)))
            step.append(int(made.step[i]) - 1)
            kept.append(i)
    prediction, target = np.full((2, len(keys), horizon), np.nan)
    prediction[window, step], target[window, step] = made.prediction[kept], actual[kept]
    series, stamps = (np.array([key[part] for key in keys], np.int64) for part in (0, 1))
    start, end = panel.offsets[:-1], panel.offsets[1:]
    rows = [
        start[n] + int(np.searchsorted(panel.timestamps[start[n] : end[n]], stamp, side="right"))
        for n, stamp in zip(series, stamps, strict=True)
    ]
    return Windows(panel.target, start, end, series, np.array(rows, np.int64)), prediction, target
