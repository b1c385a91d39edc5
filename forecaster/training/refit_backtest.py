"""Rolling-origin backtest that fits the model again before each cutoff, on the rows before it (`evaluate --refit`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.covariate_encodings import fit_encodings
from forecaster.data.windows import Windows
from forecaster.engines.local import LocalEngine
from forecaster.engines.work import Lost
from forecaster.errors import DataError, UsageError, counted
from forecaster.evaluation.backtest import Backtest, backtest, baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.training.fit import FitControl, fit
from forecaster.training.member_networks import new_network
from forecaster.training.memory_forecasts import joined
from forecaster.training.split import source_of, task
from forecaster.typing import Silent

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.engines.work import Engine
    from forecaster.serving.manifest import Manifest
    from forecaster.serving.open_model import Opened
    from forecaster.typing import FloatArray, IntArray, Watch

DEFAULT_FOLDS = 3


def refit(
    panel: Panel,
    opened: Opened,
    watch: Watch,
    engine: Engine = LocalEngine(),  # noqa: B008
    *,
    windows: int | None,
    threads: int | None,
    device: str = "auto",
    learned_baselines: bool,
) -> Backtest:
    """Backtest of the settings with fresh weights on the latest windows of each series, one horizon apart.

    DataError where the rows are too few for a window, or for a fit before one; UsageError for a network of one's own that
    other processes are to fit.
    """
    from forecaster.models.device import configure

    configure(device, threads)
    manifest = opened.manifest
    if engine.elsewhere and any(member.network for member in manifest.members):
        raise UsageError("--engine ray: workers have no network of one's own.", "Leave out --engine.")
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
        context_length=manifest.reach,
        description=f"{counted(count, 'window')} of each series, {manifest.horizon} steps apart, fresh weights for each",
    )
    tested = holdout.windows
    forecasts = np.full((len(tested), manifest.horizon, 1 + len(manifest.quantiles)), np.nan)
    folds = tested.remaining // manifest.horizon  # 1 = the latest
    oldest_first = sorted(set(folds.tolist()), reverse=True)
    there = _Shared(panel, manifest, Silent(), engine.threads)
    shared = there if engine.elsewhere else _Shared(panel, manifest, watch, None)

    def windows_of(fold: int) -> IntArray:
        return np.flatnonzero(folds == fold)

    def read(fold: int) -> tuple[IntArray, IntArray, IntArray]:
        ends = np.maximum(panel.offsets[1:] - fold * manifest.horizon, panel.offsets[:-1])
        chosen = tested.take(windows_of(fold))
        watch.note(f"fold {oldest_first.index(fold) + 1} of {len(oldest_first)}: fitting fresh weights")
        return ends, chosen.series, chosen.cutoff

    for fold, found in engine.run(_fold, shared, oldest_first, read, ahead=0):
        if isinstance(found, Lost):
            watch.warn(f"a fold is fitted here: {found.why}")
        forecasts[windows_of(fold)] = _fold(shared, read(fold)) if isinstance(found, Lost) else found
    baselines = baseline_forecasts(holdout, learned=learned_baselines)
    return backtest(holdout, forecasts, manifest.quantiles, baselines)


@dataclass(frozen=True)
class _Shared:
    """What all folds share."""

    panel: Panel
    manifest: Manifest
    watch: Watch
    threads: int | None  # of another process; None = this one, which is set up


def _fold(shared: _Shared, fold: tuple[IntArray, IntArray, IntArray]) -> FloatArray:
    """Forecasts [W, H, 1 + Q] of windows (series [W], cutoff [W]) by weights fitted on the rows before `ends` [N]."""
    from forecaster.models.device import configure

    panel, manifest, (ends, series, cutoff) = shared.panel, shared.manifest, fold
    if shared.threads is not None:
        configure("cpu", shared.threads)
    windows = Windows(panel.target, panel.offsets[:-1], panel.offsets[1:], series, cutoff)
    covariates = fit_encodings(panel, ends)
    needs = replace(manifest.needs, covariates=covariates)
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
        fit(network, work, replace(own, seed=seed, patience=0), FitControl(shared.watch, "refit"))
        networks.append(network)
    return manifest.held(joined(panel, windows, needs, networks, manifest.smoothing))
