"""The command `evaluate`: a rolling-origin backtest of a stored model and the baselines."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from forecaster.commands.anomaly_file import check_anomaly_file, write_anomalies
from forecaster.commands.open_engine import open_engine
from forecaster.config import TrainSettings
from forecaster.data.reading.reader import read_as
from forecaster.errors import UsageError
from forecaster.evaluation.anomalies import anomalies_of
from forecaster.evaluation.backtest import Backtest, backtest, baseline_forecasts
from forecaster.evaluation.cross_conformal import (
    adapted_quantiles,
    calibrated_quantiles,
    cross_calibrated,
    with_quantiles,
)
from forecaster.evaluation.holdout import stored_test
from forecaster.evaluation.report import Evaluated, Report, Subject, make_report, subject
from forecaster.evaluation.window_file import check_window_file, window_rows
from forecaster.evaluation.zero_shot_backtest import zero_shot_backtest
from forecaster.plotting.requirements import check_plot_file
from forecaster.serving.answer import ServedModel
from forecaster.serving.calibration_file import load_calibration
from forecaster.serving.freshness import warn_of_unfinished
from forecaster.serving.model_workers import TESTED, SpreadRuntime
from forecaster.serving.open_model import Opened, model_of_data, open_model, read_for
from forecaster.serving.overwriting import refuse_overwriting, trained_on
from forecaster.serving.pretrained import PRETRAINED, means_pretrained
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.recent_errors import recent_windows
from forecaster.serving.remote_store import at_hand
from forecaster.serving.series_ends import as_in_training
from forecaster.serving.sparse_series import missing_past
from forecaster.serving.zero_shot import ZeroShot, open_pretrained
from forecaster.storage.files import output_lock, replace_output, write_whole
from forecaster.training.length_plan import default_horizon, default_windows
from forecaster.typing import Watch

if TYPE_CHECKING:
    from forecaster.config import EvaluateSettings
    from forecaster.data.panel import Panel
    from forecaster.engines.work import Engine
    from forecaster.typing import Data


def evaluate(data: Data | None, settings: EvaluateSettings, watch: Watch, now: datetime | None = None) -> Report:
    """Scores of a stored model and of the baselines on windows that the weights have not seen.

    On the training data these are its test windows, forecast by the weights that were fitted before them. On newer data
    they are the windows after the last training row. With `refit`, fresh weights are fitted before each window, so any
    window will do. A last period that is not over at `now` is warned of; None = this machine's clock.

    UsageError for an option that has no effect; ArtifactError for a missing or damaged model; DataError for rows that
    cannot be used, or too few; LockError where another run is writing the page.
    """
    began = time.monotonic()
    data, settings = model_of_data(settings.source(data), at_hand(settings), watch)
    _refuse_no_effect(settings)
    _check_outputs(data, settings)
    with output_lock(settings.report or "-", 0.0, watch.warn):
        if means_pretrained(data, settings, settings.models, watch):
            found = _pretrained(data, settings, watch, began, now)
        else:
            found = _trained(data, settings, watch, began, now)
        _write_outputs(found, settings, watch)
    return found.report


def _check_outputs(data: Data | None, settings: EvaluateSettings) -> None:
    """UsageError for outputs that cannot be written, or are also read."""
    if settings.anomalies:
        check_anomaly_file(settings.anomalies)
    if settings.report:
        check_plot_file(settings.report, "--report", (".html",))
    if settings.output:
        check_window_file(settings.output)
    outputs = {"--anomalies": settings.anomalies, "--report": settings.report, "--output": settings.output}
    if any(outputs.values()):
        source = trained_on(settings.models, settings.model) if data is None else data
        refuse_overwriting(outputs, {"the data": source, "--events": settings.events}, settings.models)


def _write_outputs(found: Evaluated, settings: EvaluateSettings, watch: Watch) -> None:
    """The files that are asked for, each whole or not at all."""
    if settings.output:
        replace_output(settings.output, window_rows(found.backtest), watch.warn)
    if settings.anomalies:
        write_anomalies(settings.anomalies, anomalies_of(found.backtest), watch.warn)
    if settings.report:
        from forecaster.plotting.evaluation_page import evaluation_page
        from forecaster.plotting.html import render

        write_whole(settings.report, render(evaluation_page(found, settings.plot_series)))


def _trained(
    data: Data | None, settings: EvaluateSettings, watch: Watch, began: float, now: datetime | None
) -> Evaluated:
    """A stored model on the windows that its weights have not seen."""
    opened = open_model(settings.models, settings.model)
    _refuse_other_horizon(settings, opened)
    panel = as_in_training(opened, read_for(opened.manifest, data, settings))
    _say(panel, settings, watch, now)
    if past := missing_past(panel, opened.manifest):
        watch.warn(f"{past[0]}, but the model also reads {past[1]}: give more rows")
    with open_engine(settings) as engine:
        tested = _backtest(panel, opened, settings, watch, engine)
    report = make_report(subject(opened.manifest, opened.version, time.monotonic() - began), tested)
    return Evaluated(report=report, backtest=tested, panel=panel, manifest=opened.manifest, folder=opened.folder)


def _backtest(panel: Panel, opened: Opened, settings: EvaluateSettings, watch: Watch, engine: Engine) -> Backtest:
    """With the stored weights, or with fresh ones for each window."""
    if settings.refit:
        return _refitted(panel, opened, settings, watch, engine)
    return _stored(panel, opened, settings, engine)


def _say(panel: Panel, settings: EvaluateSettings, watch: Watch, now: datetime | None) -> None:
    """What was read, before any work is done. UsageError for series to draw that are not there."""
    if settings.plot_series:
        _refuse_unknown_series(settings.plot_series, panel)
    for warning in panel.warnings:
        watch.warn(warning.rstrip("."))
    warn_of_unfinished(panel, watch, now)
    for note in panel.notes:
        watch.note(note)


def _pretrained(
    data: Data | None, settings: EvaluateSettings, watch: Watch, began: float, now: datetime | None
) -> Evaluated:
    """The network that forecasts the data without a training, on the latest windows."""
    if data is None:
        raise UsageError("a pretrained network has no training data.", "Name a data file.")
    unused = (("--refit", settings.refit), ("--no-adapt", not settings.adapt), ("--events", settings.events))
    for name, wrong in (*unused, ("--engine ray", settings.engine == "ray")):
        if wrong:
            raise UsageError(f"{name} has no effect on a pretrained network.", "Leave it out.")
    panel = read_as(data, settings.read_options())
    _say(panel, settings, watch, now)
    horizon = settings.horizon or default_horizon(panel.season_length)
    networks = open_pretrained(panel.season_length, settings.runtime, settings.threads or 0, settings.device_here)
    count = settings.windows or max(default_windows(panel, horizon), 1)
    made = ZeroShot(networks, panel, panel.offsets[1:], horizon)
    tested = zero_shot_backtest(made, TrainSettings.quantiles, count, learned=settings.baselines == "all")
    card = networks[0].card
    about = Subject(
        model=PRETRAINED,
        version=0,
        cell=card.network.cell,
        method=made.method,
        parameters=card.parameters,
        horizon=horizon,
        context_length=networks[0].context_length,
        freq=panel.freq.name,
        season_length=panel.season_length,
        seconds=round(time.monotonic() - began, 2),
        forecasts_mean=False,
    )
    return Evaluated(report=make_report(about, tested), backtest=tested, panel=panel, manifest=None, folder=None)


def _refuse_other_horizon(settings: EvaluateSettings, opened: Opened) -> None:
    """UsageError for a horizon that the stored model was not trained for."""
    own = opened.manifest.horizon
    if settings.horizon not in (None, own):
        raise UsageError(
            f"--horizon {settings.horizon}: {opened.manifest.name}@{opened.version} was trained for {own} steps.",
            "Leave it out, or give --model pretrained.",
        )


def _refuse_no_effect(settings: EvaluateSettings) -> None:
    """UsageError for options of stored weights where fresh ones are fitted."""
    if settings.refit and settings.runtime != "onnx":
        raise UsageError("--runtime has no effect with --refit: no stored graph runs.", "Leave it out.")
    if settings.refit and not settings.adapt:
        raise UsageError("--no-adapt has no effect with --refit: the quantiles are the networks' own.", "Leave it out.")


def _refuse_unknown_series(chosen: tuple[str, ...], panel: Panel) -> None:
    """UsageError for series to draw that the data does not have, before any work is done."""
    from forecaster.plotting.series_view import choose_series

    choose_series(chosen, [str(name) for name in panel.series])


def _refitted(panel: Panel, opened: Opened, settings: EvaluateSettings, watch: Watch, engine: Engine) -> Backtest:
    """Backtest of fresh weights, fitted before each of the latest windows."""
    from forecaster.training.refit_backtest import refit

    return refit(
        panel,
        opened,
        watch,
        engine,
        windows=settings.windows,
        threads=settings.threads,
        device=settings.device_here,
        learned_baselines=settings.baselines == "all",
    )


def _stored(panel: Panel, opened: Opened, settings: EvaluateSettings, engine: Engine) -> Backtest:
    """Backtest of the stored weights on windows that they have not seen, with the model's calibration of the quantiles."""
    manifest, levels = opened.manifest, opened.manifest.quantiles
    test = stored_test(panel, opened, settings)
    if engine.elsewhere:
        graph = TESTED if test.on_training_data else settings.runtime
        test = replace(test, runtime=SpreadRuntime.of(engine, ServedModel(opened, test.runtime), graph))
    baselines = baseline_forecasts(test.holdout, learned=settings.baselines == "all")
    calibration = load_calibration(opened.folder, manifest)
    if calibration and test.on_training_data:
        # The calibration was learnt from the errors of these windows: each window needs one learnt from the others.
        return cross_calibrated(test.holdout, manifest, test.runtime, baselines).backtest
    raw = raw_forecasts(test.runtime, manifest, panel, test.holdout.windows, manifest.horizon)
    found = backtest(test.holdout, manifest.held(raw.values), levels, baselines)
    if calibration is None or not levels:
        return found
    description = "on windows before these, at the training"
    recent = recent_windows(panel, manifest, test.runtime) if settings.adapt else None
    if recent is None:
        return with_quantiles(found, calibrated_quantiles(calibration, raw, levels), manifest.limits, description)
    quantiles = adapted_quantiles(calibration, recent, raw, levels)
    description += ", and on those since that had ended before each"
    return with_quantiles(found, quantiles, manifest.limits, description)
