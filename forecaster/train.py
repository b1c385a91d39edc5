"""The verb `train`: read, plan, fit, judge on held-back windows, fit again on all rows, store."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.backtest import make_report, subject
from forecaster.checkpoints import STATE, UNFINISHED, Checkpoints
from forecaster.data.panel import Columns
from forecaster.data.read import read_panel
from forecaster.errors import DataError
from forecaster.fitting import Fitting
from forecaster.models.artifact import read_manifest
from forecaster.models.store import Store, name_from_path
from forecaster.plan import make_plan
from forecaster.publish import Training
from forecaster.report import TrainReport
from forecaster.split import split
from forecaster.watch import Watch

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel

Data: TypeAlias = "str | Path | pd.DataFrame"

FRAME = "data frame"  # in the place of a path


def train(data: Data, settings: TrainSettings, watch: Watch) -> TrainReport:
    """Train on `data` and store a new version, which serves from then on.

    Raises the error classes of `errors`; the store is then as it was. Ctrl-C keeps the best weights so far.
    """
    began = time.monotonic()
    path = str(Path(data).absolute()) if isinstance(data, (str, Path)) and str(data) != "-" else "-"
    path = path if isinstance(data, (str, Path)) else FRAME
    name = settings.name or name_from_path("frame" if path == FRAME else str(data))
    store = Store(Path(settings.models))
    store.versions(name)  # refuses an impossible name before any work
    panel = read(data, settings, watch)
    plan = make_plan(panel, settings)
    checkpoints = _checkpoints(store, name, settings, watch)
    fitting = Fitting(plan, settings, checkpoints, watch, began)
    parts = split(panel, fitting.context_length, plan.horizon, plan.windows)
    judge, final = fitting.both(parts)
    training = Training(name, path, panel, plan, settings, parts.judged, judge, final)
    version = store.publish(name, training.write)
    checkpoints.clear()
    return _report(training, store.resolve(f"{name}@{version}"), version, time.monotonic() - began)


def read(data: Data, settings: TrainSettings, watch: Watch) -> Panel:
    """The panel, what was inferred said. DataError for rows that cannot be used."""
    panel = read_panel(
        data,
        Columns(settings.series, settings.timestamp, settings.target),
        freq=settings.freq,
        season_length=settings.season_length,
        zone=settings.zone,
        timestamp_format=settings.timestamp_format,
    )
    for note in panel.notes:
        watch.note(note)
    if np.isnan(panel.target).all():
        raise DataError(f"{panel.source}: not one target is observed.", "Check --target.")
    return panel


def _checkpoints(store: Store, name: str, settings: TrainSettings, watch: Watch) -> Checkpoints:
    """ArtifactError where --resume or --from finds nothing."""
    unfinished = store.root / name / UNFINISHED
    if settings.start_from:
        return Checkpoints(unfinished, store.resolve(settings.start_from) / STATE, weights_only=True)
    if not settings.resume:
        fresh = Checkpoints(unfinished, None, weights_only=False)
        fresh.clear()
        return fresh
    if unfinished.is_dir():
        watch.note("going on with a training that did not finish")
        return Checkpoints(unfinished, unfinished, weights_only=False)
    return Checkpoints(unfinished, store.resolve(name) / STATE, weights_only=False)


def _report(training: Training, folder: Path, version: int, seconds: float) -> TrainReport:
    about = subject(read_manifest(folder), version, seconds)
    report = None
    if training.judge:
        count = training.plan.windows
        judged_on = f"the newest {count} window{'s' if count > 1 else ''} of each series, held back from this fit"
        report = make_report(about, training.backtest(folder), judged_on)
    return TrainReport(
        **vars(about),
        path=str(folder),
        epochs=sum(len(one.history) for one in training.served.fits),
        stopped=training.served.stopped,
        plan=training.plan.rows,
        notes=training.panel.notes,
        report=report,
    )
