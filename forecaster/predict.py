"""The verb `predict`: forecasts after each series' last row, without TensorFlow by default."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.adapt import recent_windows
from forecaster.config import TrainSettings
from forecaster.data.covariates import missing_ahead, with_future
from forecaster.data.encodings import columns_of
from forecaster.data.inputs import Beside
from forecaster.data.panel import Columns
from forecaster.data.read import read_future, read_panel
from forecaster.data.windows import newest
from forecaster.errors import ArtifactError, DataError, UsageError
from forecaster.fallback import NAME, RANGES, absurd, naive_bands, naive_forecast, thinkable
from forecaster.forecast import MODEL, About, Forecast
from forecaster.freshness import fresh
from forecaster.metrics import seasonal_scale
from forecaster.models.artifact import Manifest, load_runtime, read_manifest
from forecaster.models.runtime import Runtime, forecast
from forecaster.models.store import Store
from forecaster.quantiles import Bands, stored_bands
from forecaster.watch import Watch

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.config import EvaluateSettings, ExplainSettings, PredictSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray, IntArray, TextArray

Data: TypeAlias = "str | Path | pd.DataFrame"
LOOKS = 5  # at the version that serves, should it be pruned between finding and reading it

Load: TypeAlias = Callable[[Path, Manifest, str, int], Runtime]


@dataclass(frozen=True)
class Opened:
    """A stored model that was found in good order."""

    folder: Path
    version: int
    manifest: Manifest


def open_model(models: str, reference: str | None) -> Opened:
    """ArtifactError where it is missing or damaged."""
    left = LOOKS
    while True:
        folder, left = Store(Path(models)).resolve(reference), left - 1
        try:
            return Opened(folder, int(folder.name), read_manifest(folder))
        except ArtifactError:
            if folder.is_dir() or not left:
                raise


def read_for(
    manifest: Manifest, data: Data | None, settings: EvaluateSettings | ExplainSettings | PredictSettings
) -> Panel:
    """The data, read as the model's was; None = the file that the model was trained on.

    DataError for rows that cannot be used; ArtifactError where the model does not fit the data's frequency.
    """
    facts = manifest.data
    if data is None:
        if not Path(facts.path).is_absolute():
            raise UsageError(f"model '{manifest.name}' was trained on {facts.path}.", "Name a data file.")
        data = facts.path
    same_columns = Columns(facts.series, facts.timestamp, facts.target)
    given = Columns(settings.series, settings.timestamp, settings.target)
    columns = replace(
        columns_of(manifest.covariates),
        series=given.series or same_columns.series,
        timestamp=given.timestamp or same_columns.timestamp,
        target=given.target or same_columns.target,
    )
    panel = read_panel(
        data,
        columns,
        freq=facts.freq,
        season_length=facts.season_length,
        zone=settings.zone or facts.zone,
        timestamp_format=settings.timestamp_format or facts.timestamp_format,
    )
    if panel.freq.whole_numbers != (facts.freq.isdigit()):
        raise ArtifactError(
            f"model '{manifest.name}' was trained on {facts.freq} data, {panel.source} is {panel.freq.name}.",
            "Train a model for it.",
        )
    return panel


def predict(
    data: Data | None,
    settings: PredictSettings,
    watch: Watch,
    load: Load = load_runtime,
    now: datetime | None = None,
) -> Forecast:
    """Forecast `horizon` steps after the last row of each series. Nothing that is not finite or absurd leaves.

    A series without an observed value is left out and stands in the result's `about.failed`. `load` opens the graph.
    `now` is what the data's age is measured from; None = this machine's clock.
    """
    opened, runtime = _open(data, settings, watch, load)
    panel = read_for(opened.manifest, data, settings) if opened else _read_anew(data, settings)
    panel = fresh(panel, settings.max_age, settings.drop_incomplete, watch, now)
    horizon = settings.horizon or (opened.manifest.horizon if opened else min(panel.season_length, 96) or 1)
    if settings.future is not None:
        panel = _with_future(panel, settings, horizon)
    chosen, failed = _observed(panel, opened, settings.fallback)
    quantiles = settings.quantiles
    if quantiles is None:
        quantiles = opened.manifest.quantiles if opened else TrainSettings.quantiles
    values, paths = np.full((len(chosen), horizon, 1 + len(quantiles)), np.nan), None
    if opened and runtime:
        bands = _bands(panel, opened, runtime, settings, watch)
        answers, context = _answers(panel, opened.manifest, runtime, chosen, horizon)
        values = bands.answer(answers, context, panel.series[chosen].tolist())
        paths = bands.samples(answers, context, panel.series[chosen].tolist(), settings.samples)
        values[np.isin(chosen, _unknown(panel, chosen, horizon, watch if settings.fallback else None))] = np.nan
    source = _mend(panel, chosen, values, quantiles, watch if settings.fallback else None)
    if opened:
        values = opened.manifest.limits.hold(values)
    cutoff = panel.timestamps[panel.offsets[1:] - 1][chosen]
    result = Forecast(
        series=panel.series[chosen],
        timestamps=panel.freq.after(cutoff, horizon, panel.zone),
        prediction=values[:, :, 0],
        quantiles=quantiles,
        bands=values[:, :, 1:],
        source=source,
        freq=panel.freq,
        zone=panel.zone,
        samples=paths,
        about=_about(panel, opened, (chosen, failed), horizon if settings.ledger else None),
    )
    if settings.plot and result.about:
        result = replace(result, about=replace(result.about, panel=panel))
    result.check()
    return result


def _open(
    data: Data | None, settings: PredictSettings, watch: Watch, load: Load
) -> tuple[Opened | None, Runtime | None]:
    """The model and its graph; None for what there is none of and --fallback says to go on. ArtifactError otherwise."""
    opened, runtime = None, None
    for left in reversed(range(LOOKS)):
        try:
            opened = open_model(settings.models, settings.model)
            runtime = load(opened.folder, opened.manifest, settings.runtime, settings.threads or 0)
            break
        except ArtifactError as error:
            if left and opened and not opened.folder.is_dir():
                continue  # pruned between two looks: another version serves
            if not settings.fallback or (data is None and not opened):  # without a model nobody knows its data
                raise
            watch.warn(f"seasonal naive for every series: {error.message}")
            break
    if opened:
        _say(opened, settings, watch)
    return opened, runtime


def _say(opened: Opened, settings: PredictSettings, watch: Watch) -> None:
    horizon = opened.manifest.horizon
    if settings.model is None:
        watch.note(f"model {opened.manifest.name}@{opened.version}")
    if (settings.horizon or 0) > horizon:
        watch.note(
            f"horizon {settings.horizon} is longer than the {horizon} steps trained: forecasts are fed back as inputs"
        )


def _read_anew(data: Data | None, settings: PredictSettings) -> Panel:
    """The data, read as a training would read it."""
    columns = Columns(settings.series, settings.timestamp, settings.target)
    return read_panel(
        data if data is not None else "-", columns, zone=settings.zone, timestamp_format=settings.timestamp_format
    )


def _observed(panel: Panel, opened: Opened | None, fallback: bool) -> tuple[IntArray, tuple[str, ...]]:
    """The series that can be forecast and the names of those that cannot. DataError where none can.

    The model needs a value among the rows that it sees; seasonal naive one anywhere.
    """
    there = (~np.isnan(panel.target)).astype(np.int64)
    before = int(panel.lengths.max()) if fallback or not opened else opened.manifest.context_length
    first = np.maximum(panel.offsets[:-1], panel.offsets[1:] - before)
    total = np.concatenate([[0], np.cumsum(there)])
    known = total[panel.offsets[1:]] > total[first]
    if not known.any():
        raise DataError(
            f"{panel.source}: no series has an observed target among its newest rows: nothing to forecast from.",
            "Give newer rows.",
        )
    return np.flatnonzero(known), tuple(map(str, panel.series[~known]))


def _answers(
    panel: Panel, manifest: Manifest, runtime: Runtime, chosen: IntArray, horizon: int
) -> tuple[FloatArray, FloatArray]:
    """[n, H, 1 + Q] the model's forecasts of the series `chosen` [n], not checked, and the contexts [n, L]."""
    windows = newest(panel).take(chosen)
    context = windows.gather(manifest.context_length, 0)
    beside = Beside(panel, windows, manifest.needs, -(-horizon // manifest.horizon))
    return forecast(runtime, context, horizon, beside), context


def _bands(panel: Panel, opened: Opened, runtime: Runtime, settings: PredictSettings, watch: Watch) -> Bands:
    """What the model's quantiles are read off, with what it got wrong since its training."""
    bands = stored_bands(opened.folder, opened.manifest, settings)
    if not settings.adapt or not bands.calibration or not (bands.levels or settings.samples):
        return bands
    recent = recent_windows(panel, opened.manifest, runtime)
    if not recent:
        return bands
    watch.note(f"quantiles: learnt from {recent.pool.separate} window(s) since the training, too")
    return replace(bands, calibration=recent.extend(bands.calibration))


def _with_future(panel: Panel, settings: PredictSettings, horizon: int) -> Panel:
    """UsageError where the model knows no column ahead."""
    if not panel.columns.known:
        raise UsageError("--future has no effect: the model was trained without --known.", "Leave it out.")
    future = read_future(str(settings.future), panel, settings.timestamp_format)
    return with_future(panel, future, horizon)


def _unknown(panel: Panel, chosen: IntArray, horizon: int, watch: Watch | None) -> IntArray:
    """The series that lack a value known ahead. `watch` is None without --fallback: then that is a DataError."""
    series, told = missing_ahead(panel, chosen, horizon)
    if not len(series):
        return series
    what = f"{panel.source}: known values are missing: {told}."
    if watch is None:
        raise DataError(what, "Give them as rows after the last target, or in --future FILE.")
    watch.warn(what)
    return series


def _mend(
    panel: Panel, chosen: IntArray, values: FloatArray, quantiles: tuple[float, ...], watch: Watch | None
) -> TextArray:
    """[n] who answers for each series; seasonal naive is put into `values` where the model's are not to be used.

    `watch` is None without --fallback: then absurd values are an ArtifactError, and `Forecast.check` finds the others.
    """
    low, high = thinkable(panel)
    absurd_ones = absurd(values, low[chosen], high[chosen])
    if watch is None and absurd_ones.any():
        name = panel.series[chosen[int(np.argmax(absurd_ones))]]
        raise ArtifactError(
            f"series '{name}': the forecast is absurd: more than {RANGES} times its range outside of all that it ever held.",
            "Give --fallback for seasonal naive in its place, or train again.",
        )
    source = np.full(len(chosen), MODEL, dtype=object)
    bad = np.flatnonzero(absurd_ones | ~np.isfinite(values).all(axis=(1, 2)))
    if watch is None or not len(bad):
        return source
    values[bad, :, 0] = naive_forecast(panel, chosen[bad], values.shape[1])
    values[bad, :, 1:] = naive_bands(panel, chosen[bad], values[bad, :, 0], quantiles)
    source[bad] = NAME
    names = ", ".join(map(str, panel.series[chosen[bad[:3]]])) + (", …" if len(bad) > 3 else "")
    watch.warn(f"seasonal naive for {len(bad)} of {len(chosen)} series ({names})")
    return source


def _about(panel: Panel, opened: Opened | None, parts: tuple[IntArray, tuple[str, ...]], horizon: int | None) -> About:
    """`horizon`: of the seasonal naive forecast that a ledger needs; None = it is not needed."""
    chosen, failed = parts
    metrics = opened.manifest.metrics if opened else {}
    model, naive = metrics.get(MODEL, {}).get("mase"), metrics.get(NAME, {}).get("mase")
    about = About(
        model=opened.manifest.name if opened else "",
        version=opened.version if opened else 0,
        cutoff=panel.timestamps[panel.offsets[1:] - 1][chosen],
        failed=failed,
        season_length=panel.season_length,
        expected=model / naive if model and naive else None,
    )
    if horizon is None:
        return about
    scale = seasonal_scale(panel.target, panel.offsets, panel.offsets[1:], panel.season_length)
    return replace(about, naive=naive_forecast(panel, chosen, horizon), scale=scale[chosen])
