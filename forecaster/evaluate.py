"""The verb `evaluate`: a rolling-origin backtest of a stored model, beside the baselines."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.adapt import recent_windows
from forecaster.backtest import Backtest, backtest, baseline_forecasts, make_report, subject
from forecaster.conformal import adapted_quantiles, calibrated_quantiles, cross_calibrated, with_quantiles
from forecaster.data.windows import Windows, rolling, rows_after
from forecaster.errors import DataError, UsageError
from forecaster.holdout import holdout_windows, make_holdout
from forecaster.models.artifact import load_calibration, load_runtime, load_test_weights
from forecaster.outputs import output_lock
from forecaster.predict import Opened, open_model, read_for
from forecaster.publish import data_facts
from forecaster.raw_forecasts import raw_forecasts
from forecaster.report import Report
from forecaster.views.extra import check_place
from forecaster.watch import Watch

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.config import EvaluateSettings, ExplainSettings
    from forecaster.data.panel import Panel
    from forecaster.models.artifact import Manifest
    from forecaster.models.runtime import Runtime

Data: TypeAlias = "str | Path | pd.DataFrame"

MOST_WINDOWS = 100  # a series, where the caller does not say how many


def evaluate(data: Data | None, settings: EvaluateSettings, watch: Watch) -> Report:
    """Scores on windows that the weights have not seen.

    On the data that it was trained on those are the windows that `train` held back, answered by the weights that were
    fitted before them; on newer data, every window after the last row of training. With `refit`, fresh weights are
    fitted before each window, so any window will do.
    """
    began = time.monotonic()
    if settings.report:
        check_place(settings.report, "--report", (".html",))
    if settings.refit and settings.runtime != "onnx":
        raise UsageError("--runtime has no effect with --refit: no stored graph runs.", "Leave it out.")
    if settings.refit and not settings.adapt:
        raise UsageError("--no-adapt has no effect with --refit: the quantiles are the networks' own.", "Leave it out.")
    with output_lock(settings.report or "-", 0.0):
        return _evaluate(data, settings, watch, began)


def _evaluate(data: Data | None, settings: EvaluateSettings, watch: Watch, began: float) -> Report:
    opened = open_model(settings.models, settings.model)
    panel = read_for(opened.manifest, data, settings)
    if settings.plot_series:
        from forecaster.views.tracks import choose

        choose(settings.plot_series, [str(name) for name in panel.series])
    for note in panel.notes:
        watch.note(note)
    if settings.refit:
        from forecaster.refit import refit

        judged = refit(panel, opened, settings, watch)
    else:
        judged = _judge(panel, opened, settings)
    report = make_report(subject(opened.manifest, opened.version, time.monotonic() - began), judged)
    if settings.report:
        from forecaster.views.judged import Judgement, write_page

        found = Judgement(report, judged, panel, opened.manifest, opened.folder)
        write_page(settings.report, found, settings.plot_series)
    return report


def _judge(panel: Panel, opened: Opened, settings: EvaluateSettings) -> Backtest:
    windows, judged_on, runtime = held_against(panel, opened, settings)
    manifest, levels = opened.manifest, opened.manifest.quantiles
    holdout = make_holdout(
        panel, windows, horizon=manifest.horizon, context_length=manifest.context_length, description=judged_on
    )
    baselines = baseline_forecasts(holdout, learned=settings.baselines == "all")
    calibration = load_calibration(opened.folder, manifest)
    if calibration and _trained_on(panel, manifest):
        # The calibration is made of the errors of these windows: each window gets one that is made of others' errors.
        return cross_calibrated(holdout, manifest, runtime, baselines).backtest
    raw = raw_forecasts(runtime, manifest, panel, holdout.windows, manifest.horizon)
    found = backtest(holdout, raw.values, levels, baselines)
    if calibration is None or not levels:
        return found
    description = "on windows before these, at the training"
    recent = recent_windows(panel, manifest, runtime) if settings.adapt else None
    if recent is None:
        return with_quantiles(found, calibrated_quantiles(calibration, raw, levels), manifest.limits, description)
    quantiles = adapted_quantiles(calibration, recent, raw, levels)
    description += ", and on those since that had ended before each"
    return with_quantiles(found, quantiles, manifest.limits, description)


def _trained_on(panel: Panel, manifest: Manifest) -> bool:
    return data_facts(panel, "", None).sha256 == manifest.data.sha256


def held_against(
    panel: Panel, opened: Opened, settings: EvaluateSettings | ExplainSettings
) -> tuple[Windows, str, Runtime]:
    """Windows that the weights have not seen, which ones these are in words, and the graph that answers for them."""
    manifest = opened.manifest
    if _trained_on(panel, manifest):
        windows, judged_on = _held_back(panel, opened, settings.windows)
        if settings.runtime != "onnx":
            raise UsageError(
                "--runtime has no effect on the data of the training: the judged weights are stored as ONNX.",
                "Leave it out, or give newer data.",
            )
        return windows, judged_on, load_test_weights(opened.folder, manifest, settings.threads or 0)
    windows, judged_on = _after_training(panel, opened, settings.windows)
    return windows, judged_on, load_runtime(opened.folder, manifest, settings.runtime, settings.threads or 0)


def _held_back(panel: Panel, opened: Opened, count: int | None) -> tuple[Windows, str]:
    """On the very data of the training: the windows that `train` held back, or the newest `count` of them."""
    held = opened.manifest.held_back
    if not held:
        raise DataError(
            f"{panel.source}: every row was used to train {opened.manifest.name}@{opened.version}: nothing is left to judge on.",
            "Give newer data, or --refit.",
        )
    if count is not None and count > held:
        raise DataError(
            f"{panel.source}: only the newest {held} window(s) of each series were held back from training, not {count}.",
            "Give newer data, or --refit.",
        )
    windows = holdout_windows(panel, opened.manifest.horizon, count or held)
    return windows, f"the newest {count or held} window(s) of each series, by weights fitted before them"


def _after_training(panel: Panel, opened: Opened, count: int | None) -> tuple[Windows, str]:
    """On other data: windows of which every target is newer than all training rows."""
    manifest = opened.manifest
    horizon, ends = manifest.horizon, panel.offsets[1:]
    new = rows_after(panel, manifest.data.last)
    most = count or min(MOST_WINDOWS, max(int(new.max()) // horizon, 1))
    windows = rolling(panel, ends, horizon, most, horizon)
    unseen = windows.cutoff >= (ends - new)[windows.series]
    if not unseen.any():
        raise DataError(
            f"{panel.source}: no window of {horizon} steps lies wholly after the rows that "
            f"{manifest.name}@{opened.version} was trained on.",
            "Give more rows, or --refit.",
        )
    kept = windows.take(np.flatnonzero(unseen))
    return kept, f"{len(kept)} windows after the last row of training, {horizon} steps apart, without refitting"
