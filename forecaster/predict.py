"""The verb `predict`: forecasts after each series' last row, without TensorFlow by default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.panel import Columns
from forecaster.data.read import read_panel
from forecaster.data.windows import newest
from forecaster.errors import ArtifactError, DataError, UsageError
from forecaster.forecast import Forecast
from forecaster.models.artifact import Manifest, load_runtime, read_manifest
from forecaster.models.runtime import forecast
from forecaster.models.store import Store
from forecaster.watch import Watch

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.config import EvaluateSettings, PredictSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray

Data: TypeAlias = "str | Path | pd.DataFrame"


@dataclass(frozen=True)
class Opened:
    """A stored model that was found in good order."""

    folder: Path
    version: int
    manifest: Manifest


def open_model(models: str, reference: str | None) -> Opened:
    """ArtifactError where it is missing or damaged."""
    folder = Store(Path(models)).resolve(reference)
    return Opened(folder, int(folder.name), read_manifest(folder))


def read_for(manifest: Manifest, data: Data | None, settings: EvaluateSettings | PredictSettings) -> Panel:
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
    columns = Columns(
        given.series or same_columns.series,
        given.timestamp or same_columns.timestamp,
        given.target or same_columns.target,
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


def predict(data: Data | None, settings: PredictSettings, watch: Watch) -> Forecast:
    """Forecast `horizon` steps after the last row of each series. Nothing that is not finite leaves."""
    opened = open_model(settings.models, settings.model)
    panel = read_for(opened.manifest, data, settings)
    horizon = settings.horizon or opened.manifest.horizon
    if settings.model is None:
        watch.note(f"model {opened.manifest.name}@{opened.version}")
    if horizon > opened.manifest.horizon:
        watch.note(
            f"horizon {horizon} is longer than the {opened.manifest.horizon} steps trained: forecasts are fed back as inputs"
        )
    context = newest(panel).gather(opened.manifest.context_length, 0)
    _refuse_empty(panel, np.asarray(np.isnan(context).all(axis=1)))
    runtime = load_runtime(opened.folder, opened.manifest, settings.runtime, settings.threads or 0)
    values = forecast(runtime, context, horizon)
    result = Forecast(
        series=panel.series,
        timestamps=panel.freq.after(panel.timestamps[panel.offsets[1:] - 1], horizon, panel.zone),
        prediction=values[:, :, 0],
        quantiles=opened.manifest.quantiles,
        bands=values[:, :, 1:],
        source=np.full(len(panel.series), "model", dtype=object),
        freq=panel.freq,
        zone=panel.zone,
    )
    result.check()
    return result


def _refuse_empty(panel: Panel, empty: BoolArray) -> None:
    if empty.any():
        name = panel.series[int(np.argmax(empty))]
        raise DataError(
            f"{panel.source}: series '{name}' has no observed target among its newest rows: nothing to forecast from.",
            "Take it out, or give newer rows.",
        )
