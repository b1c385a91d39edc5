"""Forecasts after each series' last row, for `predict`, `batch` and Python; by default without TensorFlow.

Flow: find the model, read the data, forecast, replace or refuse implausible forecasts.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.config import TrainSettings
from forecaster.data.freq import timestamp_text
from forecaster.data.future_covariates import differing, with_future
from forecaster.data.reading.reader import read_as, read_future
from forecaster.data.time_zones import DAY, wall_clock
from forecaster.errors import ArtifactError, DataError, UsageError
from forecaster.serving.answer import (
    Model,
    NoModel,
    Request,
    ServedModel,
    ZeroShotModel,
    answer_of,
    check_answer,
    fallback_name,
    held,
    widened_where_sparse,
)
from forecaster.serving.fallback import SEASONAL_NAIVE
from forecaster.serving.forecast import MODEL, About, Forecast, ForecastRun
from forecaster.serving.freshness import fresh
from forecaster.serving.manifest import Manifest
from forecaster.serving.open_model import Opened, model_of_data, open_model, read_for
from forecaster.serving.outside_limits import beyond_forecasting
from forecaster.serving.pretrained import PRETRAINED, means_pretrained, pretrained_method
from forecaster.serving.raw_forecasts import observed_rows
from forecaster.serving.remote_store import at_hand
from forecaster.serving.runtime import Runtime
from forecaster.serving.sparse_series import described, missing_past, needed_rows, observed_in_reach
from forecaster.serving.stored_graphs import load_runtime
from forecaster.typing import Watch

if TYPE_CHECKING:
    from forecaster.config import PredictSettings
    from forecaster.data.panel import Panel
    from forecaster.serving.quantile_source import QuantileSource
    from forecaster.typing import BoolArray, Data

MAX_ATTEMPTS = 5  # where the serving version is pruned between finding and reading it
MAX_DEFAULT_HORIZON, HORIZON_WITHOUT_SEASON = 96, 6  # steps, where no model says how many

Load: TypeAlias = Callable[[Path, Manifest, str, int, str], Runtime]


def predict(
    data: Data | None,
    settings: PredictSettings,
    watch: Watch,
    load: Load = load_runtime,
    now: datetime | None = None,
) -> Forecast:
    """Forecast `horizon` steps after the last row of each series. Every value is finite and plausible.

    A series without an observed value is left out and named in the result's `about.failed`. `load` opens the graph.
    The age of the data is measured from `now`; None = this machine's clock.
    """
    return run_forecast(data, settings, watch, load, now).forecast


def run_forecast(
    data: Data | None,
    settings: PredictSettings,
    watch: Watch,
    load: Load = load_runtime,
    now: datetime | None = None,
) -> ForecastRun:
    """As `predict`, and return the rows that the forecast was made from, too."""
    data, settings = model_of_data(settings.source(data), at_hand(settings), watch)
    model = find_model(data, settings, watch, load)
    panel = fresh(_read(data, model, settings), settings.max_age, settings.drop_incomplete, watch, now)
    _note_series(panel, model, watch)
    if settings.as_of and isinstance(model, ServedModel) and model.opened.manifest.data.last > panel.timestamps.max():
        watch.warn("the model was trained on later rows than --as-of: it could not have made this forecast then")
    return forecast_panel(panel, model, settings, watch)


def forecast_panel(
    panel: Panel, model: Model, settings: PredictSettings, watch: Watch, quantiles: QuantileSource | None = None
) -> ForecastRun:
    """Forecast the series of a panel that was read for `model`.

    `quantiles` says how these are made; None = from this panel, where they are adapted.
    """
    request = _request(panel, model, settings, watch)
    _warn_of_ended_events(request, watch)
    own = PRETRAINED if isinstance(model, ZeroShotModel) else MODEL
    beyond = np.zeros(len(request.positions), dtype=bool)
    if isinstance(model, ServedModel):
        beyond = beyond_forecasting(
            request.panel, request.positions, model.opened.manifest, watch, fallback=bool(settings.fallback)
        )
    answer = answer_of(request, model, settings, watch, quantiles)
    answer.values[beyond] = np.nan  # so that the fallback answers, which the model's limits do not hold
    checked = check_answer(request, answer, own, settings, watch)
    values, samples = widened_where_sparse(request, checked.values, checked.samples, model)
    values, samples = held(request, values, samples, model, beyond)
    result = Forecast(
        series=request.series,
        timestamps=request.panel.freq.after(request.cutoff, request.horizon, request.panel.zone),
        prediction=values[:, :, 0],
        quantiles=request.quantiles,
        quantile_forecasts=values[:, :, 1:],
        source=checked.source,
        own=own,
        freq=request.panel.freq,
        zone=request.panel.zone,
        samples=samples,
        method=checked.method,
        about=_about(request, model),
        keys=request.panel.keys,
    )
    result.check()
    return ForecastRun(forecast=result, panel=request.panel, positions=request.positions)


class NothingObservedError(DataError):
    """No series of a panel can be forecast."""

    def __init__(self, message: str, hint: str, series: tuple[str, ...]) -> None:
        super().__init__(message, hint)
        self.series = series


def find_model(data: Data | None, settings: PredictSettings, watch: Watch, load: Load) -> Model:
    """The model that was asked for. ArtifactError where it cannot be loaded and --fallback is not given."""
    if means_pretrained(data, settings, settings.models, watch):
        return ZeroShotModel()
    opened = None
    for left in reversed(range(MAX_ATTEMPTS)):
        try:
            opened = open_model(settings.models, settings.model)
            threads, device = settings.threads or 0, settings.device_here
            runtime = load(opened.folder, opened.manifest, settings.runtime, threads, device)
        except ArtifactError as error:
            if left and opened and not opened.folder.is_dir():
                continue  # pruned between finding and reading: another version serves now
            if not settings.fallback or (data is None and not opened):  # without a model its data is unknown
                raise
            watch.warn(f"{fallback_name(settings)} for every series: {error.message}")
            break
        _note(opened, settings, watch)
        return ServedModel(opened, runtime)
    if opened:
        _note(opened, settings, watch)
    return NoModel(opened)


def _note(opened: Opened, settings: PredictSettings, watch: Watch) -> None:
    horizon = opened.manifest.horizon
    if settings.model is None:
        watch.note(f"model {opened.manifest.name}@{opened.version}")
    if (settings.horizon or 0) > horizon:
        watch.note(
            f"horizon {settings.horizon} is longer than the {horizon} steps trained: forecasts are fed back as inputs"
        )


def _read(data: Data | None, model: Model, settings: PredictSettings) -> Panel:
    """The data, read as the model's training data; without a model, as `train` would read it."""
    if model.opened:
        return read_for(model.opened.manifest, data, settings)
    return read_as("-" if data is None else data, settings.read_options())


def _note_series(panel: Panel, model: Model, watch: Watch) -> None:
    """Say where the data has fewer series than that of the training, and where it ends without targets."""
    trained = model.opened.manifest.data.series_count if model.opened else 0
    if len(panel.series) < trained:
        watch.note(f"{len(panel.series):,} series; the model was trained on {trained:,}")
    if not np.isnan(panel.target[panel.offsets[1:] - 1]).all():
        return
    place = np.arange(len(panel.target)) - np.repeat(panel.offsets[:-1], panel.lengths)
    last = np.maximum.reduceat(np.where(np.isnan(panel.target), -1, place), panel.offsets[:-1])  # -1 = nothing observed
    ended = (last < panel.lengths - 1)[last >= 0]
    if len(ended) and ended.all():
        observed = int(panel.timestamps[(panel.offsets[:-1] + last)[last >= 0]].max())
        watch.note(
            "the latest rows of every series have no target: the forecast is of the steps after these rows "
            f"(of the rows themselves with --until {_on_the_wall_clock(panel, observed)})"
        )


def _on_the_wall_clock(panel: Panel, timestamp: int) -> str:
    """A timestamp as --until takes it."""
    wall = wall_clock(np.array([timestamp]), panel.zone)
    return timestamp_text(int(wall[0]), None, whole_numbers=panel.freq.whole_numbers).replace(" ", "T")


def _request(panel: Panel, model: Model, settings: PredictSettings, watch: Watch) -> Request:
    """What to forecast: from the settings, else from the model. DataError where no series can be forecast."""
    for warning in panel.warnings:
        watch.warn(warning.rstrip("."))
    if model.opened:
        manifest = model.opened.manifest
        if past := missing_past(panel, manifest):
            watch.warn(f"{past[0]}, but the model also reads {past[1]}: give more rows")
        horizon, quantiles, reach = manifest.horizon, manifest.quantiles, manifest.reach
    else:
        automatic = min(panel.season_length, MAX_DEFAULT_HORIZON)
        horizon = automatic if automatic > 1 else HORIZON_WITHOUT_SEASON
        quantiles = TrainSettings.quantiles
        reach = int(panel.lengths.max())
    needed = needed_rows(model.opened.manifest) if model.opened else panel.season_length + 1
    horizon = settings.horizon or horizon
    if settings.future is not None:
        panel = _with_future(panel, settings, horizon, watch)
    # The model needs a value within its context; seasonal naive needs one anywhere.
    observed = _observed(panel, int(panel.lengths.max()) if settings.fallback else reach)
    rows = observed_rows(model.opened.manifest, panel) if model.opened else observed_in_reach(panel, reach)
    sparse = observed & (rows < needed)
    if sparse.any():
        what = described(panel, np.flatnonzero(sparse), needed, reach)
        helped = settings.fallback or isinstance(
            model, ZeroShotModel
        )  # which has seasonal naive where it knows nothing
        how = "" if helped else "; --fallback gives them another forecast"
        watch.warn(f"{what}: too few to go by, so their intervals are wide{how}")
    return Request(
        panel=panel,
        positions=np.flatnonzero(observed),
        failed=tuple(map(str, panel.series[~observed])),
        horizon=horizon,
        quantiles=quantiles if settings.quantiles is None else settings.quantiles,
        sparse=sparse[observed],
    )


def _warn_of_ended_events(request: Request, watch: Watch) -> None:
    """Say where the model reads events and knows of none after the latest row: the list may be an old one."""
    events = request.panel.events
    last = max((event.dates[-1] for event in events if event.dates), default=None)
    if events and (last is None or last * DAY < request.panel.timestamps.max()):
        until = f"since {np.datetime64(last, 'D')}" if last is not None else "at all"
        watch.warn(f"the model knows no event {until}: give later ones with --events FILE")


def _with_future(panel: Panel, settings: PredictSettings, horizon: int, watch: Watch) -> Panel:
    """The panel with known values from --future. UsageError where the model reads none."""
    if not panel.columns.known:
        raise UsageError("--future has no effect: the model reads no known columns.", "Leave it out.")
    future = read_future("-" if settings.future is None else settings.future, panel, settings.timestamp_format)
    if odd := differing(panel, future):
        watch.warn(f"--future has other values than the data where both have a row ({odd}): compare their units")
    return with_future(panel, future, horizon)


def _observed(panel: Panel, reach: int) -> BoolArray:
    """[series] whether a target is observed in the last `reach` rows. DataError where none is."""
    observed = observed_in_reach(panel, reach) > 0
    if not observed.any():
        raise NothingObservedError(
            f"{panel.source}: no series has an observed target in its last {reach:,} rows.",
            "Give later rows.",
            tuple(map(str, panel.series)),
        )
    return observed


def _about(request: Request, answered: Model) -> About:
    opened = answered.opened
    metrics = opened.manifest.metrics if opened else {}
    model, naive = metrics.get(MODEL, {}).get("mase"), metrics.get(SEASONAL_NAIVE, {}).get("mase")
    other = PRETRAINED if isinstance(answered, ZeroShotModel) else ""
    return About(
        # The store's name: a copied model keeps its manifest.
        model=opened.folder.parent.name if opened else other,
        version=opened.version if opened else 0,
        cutoff=request.cutoff,
        failed=request.failed,
        season_length=request.panel.season_length,
        method=opened.manifest.served if opened else pretrained_method(request.panel.season_length) if other else "",
        expected=model / naive if model and naive else None,
    )
