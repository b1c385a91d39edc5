"""Rolling-origin backtest that fits the model again before each cutoff, on the rows before it (`evaluate --refit`)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.covariate_encodings import fit_encodings
from forecaster.data.windows import Windows
from forecaster.errors import DataError, counted
from forecaster.evaluation.backtest import Backtest, backtest, baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.training.combination import joined
from forecaster.training.fit import FitControl, fit
from forecaster.training.member_networks import new_network
from forecaster.training.split import Needs, source_of, task

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.progress import Watch
    from forecaster.serving.open_model import Opened
    from forecaster.typing import FloatArray, IntArray

DEFAULT_FOLDS = 3


def refit(
    panel: Panel,
    opened: Opened,
    watch: Watch,
    *,
    windows: int | None,
    threads: int | None,
    learned_baselines: bool,
) -> Backtest:
    """Backtest of the settings with fresh weights on the latest windows of each series, one horizon apart.

    DataError where the rows are too few for a window, or for a fit before one.
    """
    from forecaster.models.device import configure

    configure("auto", threads)
    manifest = opened.manifest
    count = windows or max(manifest.test_windows, DEFAULT_FOLDS)
    tested = holdout_windows(panel, manifest.horizon, count)
    if not len(tested):
        raise DataError(
            f"{panel.source}: no series has {2 * manifest.horizon} rows: too few for a test window.",
            "Give more history.",
        )
    holdout = make_holdout(
        panel,
        tested,
        horizon=manifest.horizon,
        context_length=manifest.context_length,
        description=f"{counted(count, 'window')} of each series, {manifest.horizon} steps apart, fresh weights for each",
    )
    tested = holdout.windows
    forecasts = np.full((len(tested), manifest.horizon, 1 + len(manifest.quantiles)), np.nan)
    folds = tested.remaining // manifest.horizon  # 1 = the latest
    for done, fold in enumerate(sorted(set(folds.tolist()), reverse=True)):
        chosen = np.flatnonzero(folds == fold)
        watch.note(f"fold {done + 1} of {len(set(folds.tolist()))}: fitting fresh weights")
        ends = np.maximum(panel.offsets[1:] - fold * manifest.horizon, panel.offsets[:-1])
        forecasts[chosen] = _fold(panel, opened, ends, tested.take(chosen), watch)
    baselines = baseline_forecasts(holdout, learned=learned_baselines)
    return backtest(holdout, forecasts, manifest.quantiles, baselines)


def _fold(panel: Panel, opened: Opened, ends: IntArray, windows: Windows, watch: Watch) -> FloatArray:
    """Forecasts [W, H, 1 + Q] by weights fitted on the rows before `ends` [N]."""
    manifest = opened.manifest
    covariates = fit_encodings(panel, ends)
    needs = Needs(manifest.context_length, manifest.horizon, manifest.calendar, covariates)
    work = task(panel, ends, None, needs, source_of(panel, needs))
    if not len(work.sampler):
        raise DataError(f"{panel.source}: no rows are left to fit on before the first window.", "Give fewer --windows.")
    networks = []
    for i, member in enumerate(manifest.members):
        seed = manifest.fit.seed * 1000 + i
        network = new_network(replace(member, covariates=covariates), seed)
        scale = manifest.error_scales[i] if manifest.error_scales else manifest.fit.error_scale
        usual = replace(manifest.fit, stop_after=manifest.epochs, error_scale=scale)
        own = (manifest.own_fits[i] if manifest.own_fits else None) or usual
        fit(network, work, replace(own, seed=seed, patience=0), FitControl(watch, "refit"))
        networks.append(network)
    return manifest.held(joined(panel, windows, needs, networks, manifest.smoothing))
