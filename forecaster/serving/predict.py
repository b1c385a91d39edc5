"""Forecasts after each series' last row, for `predict`, `batch` and Python; by default without TensorFlow.

Flow: find the model, read the data, forecast, replace or refuse implausible forecasts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.config import TrainSettings
from forecaster.data.freshness import fresh
from forecaster.data.future_covariates import missing_ahead, with_future
from forecaster.data.reading.reader import read_as, read_future
from forecaster.data.time_zones import DAY
from forecaster.data.windows import latest_windows
from forecaster.errors import ArtifactError, DataError, UsageError
from forecaster.progress import Watch
from forecaster.serving.fallback import (
    MAX_RANGES,
    SEASONAL_NAIVE,
    implausible,
    naive_forecast,
    naive_quantiles,
    plausible_range,
)
from forecaster.serving.forecast import MODEL, About, Forecast, ForecastRun
from forecaster.serving.manifest import Manifest, load_runtime
from forecaster.serving.open_model import Opened, model_of_data, open_model, read_for
from forecaster.serving.pretrained import PRETRAINED, means_pretrained, pretrained_method
from forecaster.serving.quantile_source import QuantileSource, quantile_source
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.recent_errors import recent_windows
from forecaster.serving.remote_store import at_hand
from forecaster.serving.runtime import Runtime
from forecaster.serving.sparse_series import (
    described,
    needed_rows,
    observed_in_reach,
    typical_spread,
    widened,
    widened_samples,
)
from forecaster.serving.zero_shot import ZeroShot, open_pretrained

if TYPE_CHECKING:
    from forecaster.config import PredictSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, Data, FloatArray, IntArray, TextArray

MAX_ATTEMPTS = 5  # where the serving version is pruned between finding and reading it
MAX_DEFAULT_HORIZON, HORIZON_WITHOUT_SEASON = 96, 6  # steps, where no model says how many

Load: TypeAlias = Callable[[Path, Manifest, str, int], Runtime]


@dataclass(frozen=True)
class ServedModel:
    """A stored model, loaded."""

    opened: Opened
    runtime: Runtime


@dataclass(frozen=True)
class ZeroShotModel:
    """The pretrained networks, which the data's season chooses from."""

    opened: None = None


@dataclass(frozen=True)
class NoModel:
    """No stored model can be loaded, and --fallback is given: seasonal naive answers."""

    opened: Opened | None  # the model that was asked for, where its manifest can be read


Model: TypeAlias = "ServedModel | ZeroShotModel | NoModel"


@dataclass(frozen=True)
class Request:
    """What to forecast: N series, H steps, Q quantiles."""

    panel: Panel
    positions: IntArray  # [N] of the series that can be forecast, among the panel's
    failed: tuple[str, ...]  # names of the other series
    horizon: int
    quantiles: tuple[float, ...]
    sparse: BoolArray  # [N] whether a series has too few observed rows to go by

    @property
    def series(self) -> TextArray:
        """[N] names."""
        return self.panel.series[self.positions]

    @property
    def cutoff(self) -> IntArray:
        """[N] the last timestamp of each series."""
        return self.panel.timestamps[self.panel.offsets[1:] - 1][self.positions]


@dataclass(frozen=True)
class Answer:
    """A model's forecasts, before they are checked."""

    values: FloatArray  # [N, H, 1 + Q] point forecast, then quantiles; NaN = none
    samples: FloatArray | None  # [N, H, S] paths; None = none were asked for


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
    if isinstance(model, ServedModel):
        answer = _answer_or_none(request, model, settings, watch, quantiles)
    elif isinstance(model, ZeroShotModel):
        answer = _zero_shot(request, settings, watch)
    else:
        answer = _no_answer(request)
    # The pretrained networks know no series of a few rows, and nobody has tested them on this data.
    if settings.fallback or own == PRETRAINED:
        values, source = _with_fallback(request, answer.values, own, settings, watch)
    else:
        _refuse_implausible(request, answer.values)
        values, source = answer.values, np.full(len(request.positions), own, dtype=object)
    values, samples = _widened(request, values, answer.samples, model)
    if model.opened:
        values = model.opened.manifest.held(values)
    result = Forecast(
        series=request.series,
        timestamps=request.panel.freq.after(request.cutoff, request.horizon, request.panel.zone),
        prediction=values[:, :, 0],
        quantiles=request.quantiles,
        quantile_forecasts=values[:, :, 1:],
        source=source,
        own=own,
        freq=request.panel.freq,
        zone=request.panel.zone,
        samples=samples,
        method=_methods(source, model.opened),
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
            runtime = load(opened.folder, opened.manifest, settings.runtime, settings.threads or 0)
        except ArtifactError as error:
            if left and opened and not opened.folder.is_dir():
                continue  # pruned between finding and reading: another version serves now
            if not settings.fallback or (data is None and not opened):  # without a model its data is unknown
                raise
            watch.warn(f"{STAND_INS[_stand_ins(settings, MODEL)[0]]} for every series: {error.message}")
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
    """Say where the data has fewer series than that of the training."""
    trained = model.opened.manifest.data.series_count if model.opened else 0
    if len(panel.series) < trained:
        watch.note(f"{len(panel.series):,} series; the model was trained on {trained:,}")


def _request(panel: Panel, model: Model, settings: PredictSettings, watch: Watch) -> Request:
    """What to forecast: from the settings, else from the model. DataError where no series can be forecast."""
    for warning in panel.warnings:
        watch.warn(warning.rstrip("."))
    if model.opened:
        manifest = model.opened.manifest
        horizon, quantiles, reach = manifest.horizon, manifest.quantiles, manifest.context_length
    else:
        automatic = min(panel.season_length, MAX_DEFAULT_HORIZON)
        horizon = automatic if automatic > 1 else HORIZON_WITHOUT_SEASON
        quantiles = TrainSettings.quantiles
        reach = int(panel.lengths.max())
    needed = needed_rows(model.opened.manifest) if model.opened else panel.season_length + 1
    horizon = settings.horizon or horizon
    if settings.future is not None:
        panel = _with_future(panel, settings, horizon)
    # The model needs a value within its context; seasonal naive needs one anywhere.
    observed = _observed(panel, int(panel.lengths.max()) if settings.fallback else reach)
    sparse = observed & (observed_in_reach(panel, reach) < needed)
    if sparse.any():
        what = described(panel, np.flatnonzero(sparse), needed, reach)
        how = "" if settings.fallback else "; --fallback gives them another forecast"
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


def _with_future(panel: Panel, settings: PredictSettings, horizon: int) -> Panel:
    """The panel with known values from --future. UsageError where the model reads none."""
    if not panel.columns.known:
        raise UsageError("--future has no effect: the model reads no known columns.", "Leave it out.")
    future = read_future("-" if settings.future is None else settings.future, panel, settings.timestamp_format)
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


def _no_answer(request: Request) -> Answer:
    """No forecast of any series."""
    return Answer(np.full((len(request.positions), request.horizon, 1 + len(request.quantiles)), np.nan), None)


def _answer_or_none(
    request: Request, model: ServedModel, settings: PredictSettings, watch: Watch, source: QuantileSource | None
) -> Answer:
    """As `_answer`; with --fallback no forecast where the model's graph or calibration fails now that it is used."""
    try:
        return _answer(request, model, settings, watch, source)
    except ArtifactError as error:
        if not settings.fallback:
            raise
        watch.warn(f"seasonal naive for every series: {error.message}")
        return _no_answer(request)


def _answer(
    request: Request, model: ServedModel, settings: PredictSettings, watch: Watch, source: QuantileSource | None
) -> Answer:
    """The model's forecasts. A series that lacks a known value ahead is NaN with --fallback, else a DataError."""
    panel, manifest = request.panel, model.opened.manifest
    source = source or _quantile_source(panel, model, settings, watch)
    windows = latest_windows(panel).take(request.positions)
    raw = raw_forecasts(model.runtime, manifest, panel, windows, request.horizon)
    values = source.answer(raw.values, raw.context, raw.names)
    samples = source.samples(raw.values, raw.context, raw.names, settings.samples)
    unknown, examples = missing_ahead(panel, request.positions, request.horizon)
    if len(unknown):
        what = f"{panel.source}: known values are missing: {examples}."
        if not settings.fallback:
            raise DataError(what, "Give them as rows after the last target, or in --future FILE.")
        watch.warn(what)
        values[np.isin(request.positions, unknown)] = np.nan
    return Answer(values, samples)


def unadapted(model: ServedModel, settings: PredictSettings) -> QuantileSource:
    """How the model's quantiles are made without its errors since the training."""
    return quantile_source(model.opened.folder, model.opened.manifest, settings)


def _quantile_source(panel: Panel, model: ServedModel, settings: PredictSettings, watch: Watch) -> QuantileSource:
    """How the model's quantiles are made. With --adapt its errors since the training count, too."""
    opened, source = model.opened, unadapted(model, settings)
    if not settings.adapt or not source.calibration or not (source.levels or settings.samples):
        return source
    recent = recent_windows(panel, opened.manifest, model.runtime)
    if not recent:
        return source
    watch.note(f"quantiles: adapted to {recent.pool.separate} window(s) since the training")
    return replace(source, calibration=recent.extend(source.calibration))


def _zero_shot(request: Request, settings: PredictSettings, watch: Watch) -> Answer:
    """The forecasts of the pretrained networks; NaN for series that are too short for them."""
    panel = request.panel
    for name, wrong in (("--no-adapt", not settings.adapt), ("--events", settings.events)):
        if wrong:
            raise UsageError(f"{name} has no effect on a pretrained network.", "Leave it out.")
    for note in panel.notes:
        watch.note(note)
    networks = open_pretrained(panel.season_length, settings.runtime, settings.threads or 0)
    made = ZeroShot(networks, panel, panel.offsets[1:], request.horizon, settings.calibrate is not False)
    if settings.calibrate and not any(made.calibrations):
        raise UsageError("--calibrate: the history is too short for a calibration.", "Leave it out.")
    windows = latest_windows(panel).take(request.positions)
    values = made.forecast(windows, request.quantiles)
    return Answer(values, made.samples(windows, settings.samples) if settings.samples else None)


def _refuse_implausible(request: Request, values: FloatArray) -> None:
    """ArtifactError naming the first series with an implausible value in its forecast [N, H, 1 + Q]."""
    found = _implausible(request, values)
    if found.any():
        name = request.series[int(np.argmax(found))]
        raise ArtifactError(
            f"series '{name}': the forecast is implausible: more than {MAX_RANGES} times the series' range outside of its "
            "past values.",
            "Give --fallback for seasonal naive in its place, or train again.",
        )


def _with_fallback(
    request: Request, values: FloatArray, own: str, settings: PredictSettings, watch: Watch
) -> tuple[FloatArray, TextArray]:
    """The forecasts [N, H, 1 + Q], with another one for those that are implausible or not finite; [N] their sources.

    With --fallback, series with too few rows get it, too. `own`: the source of the others.
    """
    source = np.full(len(request.positions), own, dtype=object)
    sparse, values = request.sparse & bool(settings.fallback), values.copy()
    for name in _stand_ins(settings, own):
        bad = np.flatnonzero(_implausible(request, values) | ~np.isfinite(values).all(axis=(1, 2)) | sparse)
        if not len(bad):
            break
        panel, positions = request.panel, request.positions[bad]
        names = ", ".join(map(str, panel.series[positions[:3]])) + (", …" if len(bad) > 3 else "")
        watch.warn(f"{STAND_INS[name]} for {len(bad)} of {len(source)} series ({names})")
        if name == PRETRAINED:
            values[bad] = _pretrained_values(replace(request, positions=positions), watch)
        else:
            values[bad, :, 0] = naive_forecast(panel, positions, request.horizon)
            values[bad, :, 1:] = naive_quantiles(panel, positions, values[bad, :, 0], request.quantiles)
        source[bad], sparse = name, np.zeros_like(sparse)
    return values, source


STAND_INS = {PRETRAINED: "a pretrained network", SEASONAL_NAIVE: "seasonal naive"}


def _stand_ins(settings: PredictSettings, own: str) -> tuple[str, ...]:
    """What forecasts in the place of `own`, in this order."""
    return (PRETRAINED, SEASONAL_NAIVE) if settings.fallback == PRETRAINED and own != PRETRAINED else (SEASONAL_NAIVE,)


def _pretrained_values(request: Request, watch: Watch) -> FloatArray:
    """[N, H, 1 + Q] forecasts of the pretrained networks; NaN where they have none, so that the next stand-in answers."""
    panel = request.panel
    try:
        made = ZeroShot(open_pretrained(panel.season_length), panel, panel.offsets[1:], request.horizon)
        return made.forecast(latest_windows(panel).take(request.positions), request.quantiles)
    except (ArtifactError, UsageError) as error:
        watch.warn(error.message)
        return np.full((len(request.positions), request.horizon, 1 + len(request.quantiles)), np.nan)


def _widened(
    request: Request, values: FloatArray, samples: FloatArray | None, model: Model
) -> tuple[FloatArray, FloatArray | None]:
    """Forecasts [N, H, 1 + Q] and paths [N, H, S] whose intervals are wide where too few rows are observed."""
    sparse = request.sparse
    if not sparse.any():
        return values, samples
    facts = model.opened.manifest.data if model.opened else None
    spread = typical_spread(request.panel, request.positions[sparse], facts)
    values = values.copy()
    values[sparse] = widened(values[sparse], request.quantiles, spread)
    if samples is not None:
        samples = samples.copy()
        samples[sparse] = widened_samples(samples[sparse], spread)
        samples = samples if model.opened is None else model.opened.manifest.limits.hold(samples)
    return values, samples


def _methods(source: TextArray, opened: Opened | None) -> TextArray:
    """[N] what made each forecast, in words; of the fallback its name."""
    served = opened.manifest.served if opened else ""
    named = np.where(source == MODEL, served, source)
    return np.where(source == PRETRAINED, pretrained_method(), named).astype(object)


def _implausible(request: Request, values: FloatArray) -> BoolArray:
    """[N] whether a series' forecast [N, H, 1 + Q] has an implausible value."""
    low, high = plausible_range(request.panel)
    return implausible(values, low[request.positions], high[request.positions])


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
        method=opened.manifest.served if opened else pretrained_method() if other else "",
        expected=model / naive if model and naive else None,
    )
