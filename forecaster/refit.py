"""Rolling origin with fresh weights: for each cutoff the model's own settings are fitted again on the rows before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.backtest import Backtest, backtest
from forecaster.data.windows import Windows, rolling
from forecaster.errors import DataError
from forecaster.models.fit import fit
from forecaster.split import task

if TYPE_CHECKING:
    from forecaster.config import EvaluateSettings
    from forecaster.data.panel import Panel
    from forecaster.predict import Opened
    from forecaster.typing import FloatArray, IntArray
    from forecaster.watch import Watch

FOLDS = 3  # where the caller does not say how many


def refit(panel: Panel, opened: Opened, settings: EvaluateSettings, watch: Watch) -> tuple[Backtest, str]:
    """Judge the settings, not the stored weights, on the newest windows of each series, one horizon apart."""
    from forecaster.models.device import configure

    configure("auto", settings.threads)
    manifest = opened.manifest
    count = settings.windows or max(manifest.held_back, FOLDS)
    windows = rolling(panel, panel.offsets[1:], manifest.horizon, count, manifest.horizon)
    if not len(windows):
        raise DataError(
            f"{panel.source}: no series has {2 * manifest.horizon} rows: too few to hold a window back.",
            "Give more history.",
        )
    forecasts = np.full((len(windows), manifest.horizon), np.nan)
    folds = (panel.offsets[1:][windows.series] - windows.cutoff) // manifest.horizon  # 1 = the newest
    for done, fold in enumerate(sorted(set(folds.tolist()), reverse=True)):
        chosen = np.flatnonzero(folds == fold)
        watch.note(f"fold {done + 1} of {len(set(folds.tolist()))}: fitting fresh weights")
        ends = np.maximum(panel.offsets[1:] - fold * manifest.horizon, panel.offsets[:-1])
        forecasts[chosen] = _fold(panel, opened, ends, windows.take(chosen), watch)
    judged = backtest(
        panel,
        windows,
        manifest.horizon,
        manifest.context_length,
        lambda context: forecasts[: len(context)],
        learned=settings.baselines == "all",
    )
    return judged, f"{count} window(s) of each series, {manifest.horizon} steps apart, fresh weights for each"


def _fold(panel: Panel, opened: Opened, ends: IntArray, windows: Windows, watch: Watch) -> FloatArray:
    """Point forecasts [W, H] of weights that were fitted on the rows before `ends`."""
    from forecaster.models.export import joint_forecast
    from forecaster.models.network import Network

    manifest = opened.manifest
    networks = []
    for i, member in enumerate(manifest.members):
        seed = manifest.fit.seed * 1000 + i
        network = Network(member, seed)
        own = replace(manifest.fit, seed=seed, patience=0, stop_after=manifest.epochs)
        fit(network, task(panel, ends, None, manifest.context_length, manifest.horizon), own, watch, "refit")
        networks.append(network)
    context = windows.gather(manifest.context_length, 0)
    answers = [
        np.asarray(joint_forecast(networks, part))[:, :, 0]
        for part in np.array_split(context, -(-len(context) // 2048))
    ]
    return np.concatenate(answers)
