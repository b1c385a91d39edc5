"""What a model answers for the series of a request, and what answers in its place.

The forecasts of a stored model, of the pretrained networks, or of none; a fallback for those that are missing or
implausible; wider intervals where too few rows are observed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.covariate_encodings import unlearnt_ahead, unlearnt_static
from forecaster.data.future_covariates import missing_ahead
from forecaster.data.windows import latest_windows
from forecaster.errors import ArtifactError, DataError, UsageError, counted, listed
from forecaster.serving.fallback import (
    MAX_RANGES,
    SEASONAL_NAIVE,
    implausible,
    naive_forecast,
    naive_quantiles,
    plausible_range,
)
from forecaster.serving.forecast import MODEL
from forecaster.serving.open_model import Opened
from forecaster.serving.pretrained import PRETRAINED
from forecaster.serving.quantile_source import QuantileSource, quantile_source
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.recent_errors import recent_windows
from forecaster.serving.runtime import Runtime
from forecaster.serving.sparse_series import typical_spread, widened_quantiles, widened_samples
from forecaster.serving.zero_shot import ZeroShot, open_pretrained
from forecaster.typing import Watch

if TYPE_CHECKING:
    from forecaster.config import PredictSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, FloatArray, IntArray, TextArray


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
    method: TextArray  # [N] what made each forecast, in words


@dataclass(frozen=True)
class Checked:
    """Forecasts that are plausible, a model's own or a fallback's."""

    values: FloatArray  # [N, H, 1 + Q] point forecast, then quantiles
    samples: FloatArray | None  # [N, H, S] paths; None = none were asked for
    source: TextArray  # [N] who was asked: the model, the pretrained networks or a fallback
    method: TextArray  # [N] what made each forecast, in words


def answer_of(
    request: Request, model: Model, settings: PredictSettings, watch: Watch, quantiles: QuantileSource | None = None
) -> Answer:
    """The forecasts of `model`; none where there is no model. `quantiles` as in `forecast_panel`."""
    if isinstance(model, ServedModel):
        return _answer_or_none(request, model, settings, watch, quantiles)
    return _zero_shot(request, settings, watch) if isinstance(model, ZeroShotModel) else _no_answer(request)


def check_answer(request: Request, answer: Answer, own: str, settings: PredictSettings, watch: Watch) -> Checked:
    """Forecasts that are plausible, by a fallback where one may answer. `own`: the source of the others.

    ArtifactError naming a series whose forecast is implausible, where nothing may take its place.
    """
    # The pretrained networks know no series of a few rows, and nobody has tested them on this data.
    if settings.fallback or own == PRETRAINED:
        return _with_fallback(request, answer, own, settings, watch)
    _refuse_implausible(request, answer.values)
    source = np.full(len(request.positions), own, dtype=object)
    return Checked(answer.values, answer.samples, source, answer.method)


def _no_answer(request: Request) -> Answer:
    """No forecast of any series."""
    shape = (len(request.positions), request.horizon, 1 + len(request.quantiles))
    return Answer(np.full(shape, np.nan), None, np.full(shape[0], "", dtype=object))


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
    if raw.lead.any():
        late = np.flatnonzero(raw.lead)
        names = listed([raw.names[i] for i in late])
        rows = counted(int(raw.lead.max()), "row")
        watch.note(
            f"{len(late):,} of {len(windows):,} series ({names}) end with up to {rows} missing, which are forecast first"
        )
    values, samples = source.answer(raw), source.samples(raw, settings.samples)
    unknown, examples = missing_ahead(panel, request.positions, request.horizon)
    if len(unknown):
        what = f"{panel.source}: known values are missing: {examples}."
        if not settings.fallback:
            raise DataError(what, "Give them as rows after the last target, or in --future FILE.")
        watch.warn(what)
        values[np.isin(request.positions, unknown)] = np.nan
    if odd := unlearnt_ahead(panel, manifest.covariates, request.positions, request.horizon):
        watch.warn(f"known values are unlike any of the training, so what follows from them was not learnt: {odd}")
    if odd := unlearnt_static(panel, manifest.covariates, request.positions):
        watch.warn(f"static values are unlike any of the training, so what follows from them was not learnt: {odd}")
    return Answer(values, samples, np.full(len(values), manifest.served, dtype=object))


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
    watch.note(f"quantiles: adapted to {counted(recent.pool.separate, 'window')} since the training")
    return replace(source, calibration=recent.extend(source.calibration))


def _zero_shot(request: Request, settings: PredictSettings, watch: Watch) -> Answer:
    """The forecasts of the pretrained networks; NaN for series that are too short for them."""
    panel = request.panel
    for name, wrong in (("--no-adapt", not settings.adapt), ("--events", settings.events)):
        if wrong:
            raise UsageError(f"{name} has no effect on a pretrained network.", "Leave it out.")
    for note in panel.notes:
        watch.note(note)
    networks = open_pretrained(panel.season_length, settings.runtime, settings.threads or 0, settings.device_here)
    made = ZeroShot(networks, panel, panel.offsets[1:], request.horizon, settings.calibrate)
    if settings.calibrate and not made.has_calibration:
        raise UsageError("--calibrate: the history is too short for a calibration.", "Leave it out.")
    windows = latest_windows(panel).take(request.positions)
    values = made.forecast(windows, request.quantiles)
    samples = made.samples(windows, settings.samples) if settings.samples else None
    return Answer(values, samples, made.methods(windows))


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


def _with_fallback(request: Request, answer: Answer, own: str, settings: PredictSettings, watch: Watch) -> Checked:
    """The forecasts, with another one for those that are implausible or not finite.

    With --fallback, series with too few rows get it, too. `own`: the source of the others.
    """
    source, method = np.full(len(request.positions), own, dtype=object), answer.method.copy()
    sparse, values = request.sparse & bool(settings.fallback), answer.values.copy()
    samples = None if answer.samples is None else answer.samples.copy()
    for name in _fallbacks(settings, own):
        lacking, wild = ~np.isfinite(values).all(axis=(1, 2)), _implausible(request, values)
        bad = np.flatnonzero(wild | lacking | sparse)
        if not len(bad):
            break
        few = sparse | (lacking & (request.sparse | (own == PRETRAINED)))  # which know no series of a few rows
        reasons = {"too few rows": few, "no forecast": lacking & ~few, "an implausible forecast": wild & ~few}
        why = ", ".join(f"{int(one.sum()):,} with {what}" for what, one in reasons.items() if one.any())
        panel, positions = request.panel, request.positions[bad]
        watch.warn(
            f"{FALLBACKS[name]} for {len(bad)} of {len(source)} series ({listed(panel.series[positions])}): {why}"
        )
        if name == PRETRAINED:
            values[bad], method[bad] = _pretrained_values(replace(request, positions=positions), watch)
        else:
            method[bad] = SEASONAL_NAIVE
            point = naive_forecast(panel, positions, request.horizon)
            values[bad, :, 0] = point
            values[bad, :, 1:] = naive_quantiles(panel, positions, point, request.quantiles)
            if samples is not None:
                samples[bad] = naive_quantiles(panel, positions, point, _path_levels(samples.shape[2]))
        source[bad], sparse = name, np.zeros_like(sparse)
    return Checked(values, samples, source, method)


def _path_levels(count: int) -> tuple[float, ...]:
    """The levels of a fallback's paths, each of which is one of its quantiles at every step."""
    return tuple((np.arange(count) + 0.5) / count)


FALLBACKS = {PRETRAINED: "a pretrained network", SEASONAL_NAIVE: "seasonal naive"}


def fallback_name(settings: PredictSettings) -> str:
    """What forecasts first in the place of a stored model, in words."""
    return FALLBACKS[_fallbacks(settings, MODEL)[0]]


def _fallbacks(settings: PredictSettings, own: str) -> tuple[str, ...]:
    """What forecasts in the place of `own`, in this order."""
    return (PRETRAINED, SEASONAL_NAIVE) if settings.fallback == PRETRAINED and own != PRETRAINED else (SEASONAL_NAIVE,)


def _pretrained_values(request: Request, watch: Watch) -> tuple[FloatArray, TextArray]:
    """[N, H, 1 + Q] forecasts of the pretrained networks and [N] what made them.

    NaN where they have none, so that the next fallback answers.
    """
    panel = request.panel
    try:
        made = ZeroShot(open_pretrained(panel.season_length), panel, panel.offsets[1:], request.horizon)
        windows = latest_windows(panel).take(request.positions)
        return made.forecast(windows, request.quantiles), made.methods(windows)
    except (ArtifactError, UsageError) as error:
        watch.warn(error.message)
        nothing = _no_answer(request)
        return nothing.values, nothing.method


def widened_where_sparse(
    request: Request, values: FloatArray, samples: FloatArray | None, model: Model
) -> tuple[FloatArray, FloatArray | None]:
    """Forecasts [N, H, 1 + Q] and paths [N, H, S] whose intervals are wide where too few rows are observed."""
    sparse = request.sparse
    if not sparse.any():
        return values, samples
    facts = model.opened.manifest.data if model.opened else None
    spread = typical_spread(request.panel, request.positions[sparse], facts)
    values = values.copy()
    values[sparse] = widened_quantiles(values[sparse], request.quantiles, spread)
    if samples is not None:
        samples = samples.copy()
        samples[sparse] = widened_samples(samples[sparse], spread)
    return values, samples


def held(
    request: Request, values: FloatArray, samples: FloatArray | None, model: Model, beyond: BoolArray
) -> tuple[FloatArray, FloatArray | None]:
    """Forecasts [N, H, 1 + Q] and paths [N, H, S], of fallbacks, too, within the limits of the target.

    These are a stored model's but for series `beyond` [N] them. Without one, series that never were negative stay so.
    """
    if model.opened:
        manifest, within = model.opened.manifest, ~beyond
        values = np.where(within[:, None, None], manifest.held(values), values)
        return values, samples if samples is None else np.where(
            within[:, None, None], manifest.limits.hold(samples), samples
        )
    floor = np.where(request.panel.lowest[request.positions] >= 0.0, 0.0, -np.inf)[:, None, None]
    return np.maximum(values, floor), samples if samples is None else np.maximum(samples, floor)


def _implausible(request: Request, values: FloatArray) -> BoolArray:
    """[N] whether a series' forecast [N, H, 1 + Q] has an implausible value."""
    low, high = plausible_range(request.panel)
    return implausible(values, low[request.positions], high[request.positions])
