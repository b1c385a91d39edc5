"""The command `train`: read, plan, fit, test on the latest windows, fit again on all rows, store."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from forecaster.commands.open_engine import open_engine
from forecaster.commands.train_report import TrainReport
from forecaster.data.panel import fingerprint
from forecaster.data.reading.read_events import with_events
from forecaster.data.reading.reader import read_as
from forecaster.data.reading.sampled_reading import read_sample
from forecaster.data.series_sample import SampleOptions
from forecaster.data.summary import degenerate_series_notes, refuse_unkeepable
from forecaster.data.target_limits import refuse_all_but_counts
from forecaster.engines.worker_group import Alone
from forecaster.errors import DataError, UsageError
from forecaster.evaluation.report import make_report, subject
from forecaster.evaluation.zero_shot_backtest import pretrained_scores
from forecaster.models.device import require_tensorflow
from forecaster.serving.freshness import warn_of_unfinished
from forecaster.serving.pretrained import PRETRAINED
from forecaster.serving.store import Store, name_from_path
from forecaster.serving.version_folders import writing
from forecaster.storage.addresses import is_url, name_in, without_secrets
from forecaster.training.auto_plan import draft_plan
from forecaster.training.check_own_network import check_own_network
from forecaster.training.checkpoints import Checkpoints, NoCheckpoints
from forecaster.training.fit_members import EnsembleFitter
from forecaster.training.publish import Published, Training, publish
from forecaster.training.split import split
from forecaster.training.starting_point import continue_stored, find_checkpoints
from forecaster.typing import Watch

if TYPE_CHECKING:
    from forecaster.config import PlanSettings, TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.engines.worker_group import WorkerGroup
    from forecaster.typing import Data, FloatArray


FRAME = "data frame"  # in place of a path
# Options that may differ between workers, or that only the one that stores the model reads.
OWN_OPTIONS = ("models", "name", "keep", "wait", "threads", "device", "promote_if_better", "require_better_than")


def train(data: Data, settings: TrainSettings, watch: Watch, now: datetime | None = None) -> TrainReport:
    """Train on `data` and store a new version, which then serves.

    Raises the error classes of `errors`; the store is then unchanged. Ctrl-C keeps the best weights so far. With
    `promote_if_better` the new version may be stored without serving; the report's `verdict` is then the reason. A last period
    that is not over at `now` is warned of; None = this machine's clock.
    """
    require_tensorflow()
    data = settings.source(data)
    name = model_name(data, settings)
    store = Store(Path(settings.models))
    with store.training(name, settings.wait or 0.0), writing(store.root):  # refuses an impossible name before any work
        return cast("TrainReport", train_in_group(data, settings, watch, store, name, Alone(), now))


def model_name(data: Data, settings: TrainSettings) -> str:
    """The name to store the model under. UsageError for that of the pretrained networks."""
    name = settings.name or name_from_path(name_in(str(data)) if isinstance(data, (str, Path)) else "frame")
    if name == PRETRAINED:
        raise UsageError(f"'{name}' is the name of the networks that come with the program.", "Give another --name.")
    return name


def train_in_group(
    data: Data,
    settings: TrainSettings,
    watch: Watch,
    store: Store,
    name: str,
    group: Alone | WorkerGroup,
    now: datetime | None = None,
) -> TrainReport | None:
    """Read, plan, fit and store. Of a group of workers only the first one uses the store and has a report."""
    began = time.monotonic()
    panel = read(data, settings, watch, now)
    if group.count > 1:
        own = {name: value for name, value in vars(settings).items() if name not in OWN_OPTIONS}
        group.refuse_differences(_digest(panel), own)
    settings = with_limits_of(panel.target, settings, watch)
    draft = draft_plan(panel, settings)
    if settings.network:
        check_own_network(draft.plan.members[0])
    checkpoints = find_checkpoints(store, name, settings, watch) if group.is_first else NoCheckpoints()
    if settings.resume and isinstance(checkpoints, Checkpoints):
        draft = continue_stored(draft, checkpoints, panel, settings)
    parts = split(panel, draft.plan.needs, draft.plan.windows)
    with open_engine(settings) as engine:
        made = EnsembleFitter(settings, checkpoints, watch, began, engine, group).fit_stages(draft, panel, parts)
    group.end()
    if isinstance(checkpoints, NoCheckpoints):
        return None
    training = Training(
        name=name,
        path=_path(data),
        panel=panel,
        plan=made.plan,
        settings=settings,
        test_windows=parts.test_windows,
        test=made.test,
        final=made.final,
        members=made.members,
    )
    published = publish(training, store)
    checkpoints.clear()
    if settings.keep and store.serves(name) and (removed := store.prune(name, settings.keep)):
        watch.note(f"versions removed: {', '.join(map(str, removed))}.")
    zero_shot = pretrained_scores(published.backtest, watch) if published.backtest else None
    return replace(_report(training, published, time.monotonic() - began), pretrained=zero_shot)


def _digest(panel: Panel) -> str:
    """A hash of the rows, with their covariates."""
    parts = [hashlib.sha256(np.ascontiguousarray(one.values).data).hexdigest() for one in panel.covariates]
    return " ".join([fingerprint(panel), *parts])


def _path(data: Data) -> str:
    """The source of the data: an absolute path, a URL without secrets, "-", or FRAME."""
    if not isinstance(data, (str, Path)):
        return FRAME
    if is_url(data):
        return without_secrets(str(data))
    return "-" if str(data) == "-" else str(Path(data).absolute())


def read(data: Data, settings: PlanSettings, watch: Watch, now: datetime | None = None) -> Panel:
    """The panel; what was inferred is noted. DataError for rows that cannot be used."""
    options = settings.read_options()
    if settings.max_rows is None:
        panel = read_as(data, options)
    else:
        panel = read_sample(data, options, SampleOptions(settings.max_rows, settings.seed))
    if panel.sample:
        watch.note(f"{panel.sample.words}, as --max-rows asks: a sample spread evenly.")
    if settings.events:
        panel = with_events(panel, settings.events)
    panel = replace(panel, notes=(*panel.notes, *degenerate_series_notes(panel)))
    for warning in panel.warnings:
        watch.warn(warning.rstrip("."))
    warn_of_unfinished(panel, watch, now)
    for note in panel.notes:
        watch.note(note)
    if settings.counts:
        refuse_all_but_counts(panel, settings.likelihood)
    settings.limits.refuse_broken(panel)
    refuse_unkeepable(panel)
    if np.isnan(panel.target).all():
        raise DataError(f"{panel.source}: no target is observed.", "Check --target.")
    return panel


def with_limits_of(target: FloatArray, settings: TrainSettings, watch: Watch) -> TrainSettings:
    """The settings, with 0 as the smallest value where no value [R] of the whole panel is negative."""
    if settings.min is not None or settings.counts or not (settings.max is None or settings.max > 0.0):
        return settings
    if np.isnan(target).all() or (target < 0.0).any():
        return settings
    watch.note("no value is negative: forecasts keep to 0 and above (--min none turns this off).")
    return replace(settings, min=0.0)


def _report(training: Training, published: Published, seconds: float) -> TrainReport:
    about = subject(published.manifest, published.version, seconds)
    return TrainReport(
        **vars(about),
        path=str(published.folder),
        epochs=sum(len(one.history) for one in training.served.fits),
        stopped=training.served.stopped,
        plan=training.plan.rows,
        notes=training.panel.notes,
        report=make_report(about, published.backtest) if published.backtest else None,
        promotion=published.promotion,
        contributions=published.manifest.contributions,
    )
