"""Open a stored model, and read data as its training data was read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from forecaster.config.shared import EventOptions
from forecaster.data.covariate_encodings import columns_of
from forecaster.data.events import joined_events, refuse_other_events, with_windows_of
from forecaster.data.freq import Freq
from forecaster.data.reading.column_roles import NoColumnError
from forecaster.data.reading.periods import Periods
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.row_options import KEEP
from forecaster.data.time_zones import DAY
from forecaster.errors import ArtifactError, UsageError
from forecaster.serving.manifest import Manifest, read_manifest
from forecaster.serving.store import Store, name_from_path
from forecaster.storage.addresses import is_url

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.config import InputOptions
    from forecaster.config.stored_model import EvaluateSettings, ExplainSettings, PredictSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import Watch

D = TypeVar("D")
V = TypeVar("V", "EvaluateSettings", "ExplainSettings", "PredictSettings")
MAX_ATTEMPTS = 5  # where the serving version is pruned between finding and reading it


@dataclass(frozen=True)
class Opened:
    """A stored model whose manifest has been read."""

    folder: Path
    version: int
    manifest: Manifest


def open_model(models: str, reference: str | None) -> Opened:
    """The model NAME, NAME@VERSION or, for None, the one trained last. ArtifactError where it is missing or damaged."""
    left = MAX_ATTEMPTS
    while True:
        folder, left = Store(Path(models)).resolve(reference), left - 1
        try:
            return Opened(folder, int(folder.name), read_manifest(folder))
        except ArtifactError:
            if folder.is_dir() or not left:
                raise


def model_of_data(data: D, settings: V, watch: Watch) -> tuple[D | None, V]:
    """`data` and `settings`; where no model is named, with the stored model that has the data's name, which is noted.

    A word that names no file but a stored model, as in `predict tourism` or `predict tourism@2`, is that model, on the data of
    its training. Otherwise the model trained last is taken later, or a pretrained network.
    """
    if settings.model is not None or is_url(settings.models) or not isinstance(data, (str, Path)) or str(data) == "-":
        return data, settings
    store, text = Store(Path(settings.models)), str(data)
    if not (is_url(text) or Path(text).exists()) and store.has(text.partition("@")[0]):
        watch.note(f"'{text}' is no file, and the name of a stored model: on the data that it was trained on")
        return None, replace(settings, model=text)
    if is_url(text) or not store.has(name := name_from_path(text)):
        return data, settings
    serves = store.serving(name)  # opening a model of which nothing serves says so, or falls back
    watch.note(f"model {name}{f'@{serves}' if serves else ''}, which has the data's name")
    return data, replace(settings, model=name)


def trained_options(manifest: Manifest) -> ReadOptions:
    """The options that the model's training data was read with."""
    facts = manifest.data
    columns = replace(
        columns_of(manifest.covariates), series=facts.series, timestamp=facts.timestamp, target=facts.target
    )
    options = ReadOptions.of(
        columns,
        freq=facts.freq,
        season_length=facts.season_length,
        zone=facts.zone,
        timestamp_format=facts.timestamp_format,
    )
    # The slots are in the frequency's name; the training's last row is no end of later data.
    # A model that does not say what became of leading zeros has learnt from them.
    rows = replace(facts.rows_as, all_slots=True, until=None, leading_zeros=facts.rows_as.leading_zeros or KEEP)
    return replace(options, likely_format=facts.timestamp_form, rows=rows, text=facts.text_as)


def as_trained(given: ReadOptions, trained: ReadOptions, model: str) -> ReadOptions:
    """How to read data for a model: as `given`, else as the training data was. UsageError for a grid that is not the model's."""
    own, step = given.rows, trained.freq
    if step is None:
        return given.or_else(trained)
    what = f"'{model}' was trained on rows of {step.name}"
    if given.freq not in (None, step):
        raise UsageError(f"--freq {given.freq.name}: {what}.", "Leave it out, or train a model for it.")
    if own.resample is not None and Freq.parse(own.resample) != replace(step, slots=()):
        raise UsageError(f"--resample {own.resample}: {what}.", "Give its step, or train a model for this one.")
    if own.resample is not None and trained.rows.resample is not None:
        periods = Periods.parse(trained.rows.resample)
        if Periods.parse(own.resample) != periods:
            what = f"'{model}' was trained on periods of {periods.name}"
            raise UsageError(f"--resample {own.resample}: {what}.", "Leave it out, or train a model for this one.")
    if own.all_slots:
        raise UsageError(f"--all-slots has no effect: {what}.", "Leave it out, or train a model with it.")
    if own.snap is not None and trained.rows.resample is not None:
        raise UsageError("--snap has no effect: rows are joined to periods, as in the training.", "Leave it out.")
    if own.resample is not None:  # moves rows itself
        trained = replace(trained, rows=replace(trained.rows, snap=None))
    return given.or_else(trained)


def read_for(manifest: Manifest, data: str | Path | pd.DataFrame | None, settings: InputOptions) -> Panel:
    """The data, read as `settings` say, else as the training data was; None = the training file.

    DataError for rows that cannot be used; ArtifactError where the model does not fit the data's frequency.
    """
    facts = manifest.data
    if data is None:
        if not (Path(facts.path).is_absolute() or is_url(facts.path)):
            raise UsageError(
                f"model '{manifest.name}' was trained on {facts.path}.", "Name a data file, or give a frame in Python."
            )
        data = facts.path
    named = settings.read_options()
    try:
        panel = read_as(data, as_trained(named, trained_options(manifest), manifest.name))
    except NoColumnError as error:
        if any((named.columns.series, named.columns.timestamp, named.columns.target)):
            raise  # that column, rather than one of the model's
        other = (
            f"Model '{manifest.name}' reads it: name another with --model, or 'pretrained', which needs no training."
        )
        raise NoColumnError(error.message, f"{error.hint} {other}") from error
    if panel.freq.whole_numbers != (facts.freq.isdigit()):
        raise ArtifactError(
            f"model '{manifest.name}' was trained on {facts.freq} data, {panel.source} is {panel.freq.name}.",
            "Train a model for it.",
        )
    given = settings.events if isinstance(settings, EventOptions) else None
    return with_stored_events(panel, manifest, given)


def with_stored_events(panel: Panel, manifest: Manifest, path: str | None) -> Panel:
    """`panel` with the model's events; later ones than the training's rows are those of the file, if one is given.

    DataError where the file has an event that the model does not know.
    """
    if path is None:
        return replace(panel, events=manifest.events)
    from forecaster.data.reading.read_events import with_events

    panel = with_events(panel, path)
    refuse_other_events(panel.events, manifest.calendar, manifest.name)
    last = 0 if panel.freq.whole_numbers else manifest.data.last // DAY
    known = with_windows_of(panel.events, manifest.calendar)
    return replace(panel, events=joined_events(manifest.events, known, last))
