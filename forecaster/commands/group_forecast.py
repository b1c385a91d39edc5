"""The forecast of one group of series: a function of a model and the group's rows, in whichever process."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.freq import format_timestamps
from forecaster.data.reading.series_groups import GroupRows
from forecaster.errors import DataError
from forecaster.serving.forecast_file import encoded
from forecaster.serving.freshness import fresh, latest_observed
from forecaster.serving.open_model import read_for
from forecaster.serving.predict import NothingObservedError, forecast_panel
from forecaster.serving.recent_errors import NamedPool, recent_windows

if TYPE_CHECKING:
    from forecaster.config import PredictSettings
    from forecaster.data.panel import Panel
    from forecaster.serving.answer import ServedModel
    from forecaster.serving.forecast import Forecast
    from forecaster.serving.manifest import Manifest
    from forecaster.serving.quantile_source import QuantileSource

MAX_WARNINGS = 5  # that are shown one by one
MAX_NAMED = 1000  # series without a forecast that are kept by name


@dataclass(frozen=True)
class GroupOptions:
    """What is the same for all groups."""

    settings: PredictSettings
    format: str
    name: str  # of the data, for messages
    keys: tuple[str, ...]  # the columns that name a series
    columns: tuple[str, ...]  # timestamp, target and covariates; empty = the rows have all columns


@dataclass(frozen=True)
class GroupForecast:
    """What comes of a group."""

    facts: dict[str, Any]  # what is said of it at the end
    part: bytes  # the file; empty = there is none
    warnings: tuple[str, ...]


@dataclass
class _Warnings:
    """A `Watch` that keeps the first warnings: notes would be the same for each group."""

    kept: list[str] = field(default_factory=list)

    def note(self, text: str) -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        """Keep the first ones, and one more, so that it is known that there are more."""
        if len(self.kept) <= MAX_WARNINGS:
            self.kept.append(text)

    def progress(self, progress: object) -> None:
        """Show nothing."""


def panel_of_group(manifest: Manifest, options: GroupOptions, rows: GroupRows) -> Panel | None:
    """The panel of a group; None for one without rows. DataError as in `read_for`."""
    frame = rows.frame()
    if not len(frame):
        return None
    try:
        panel = read_for(manifest, frame, options.settings)
    except DataError as error:  # the number of a row in a group says nothing
        message = re.sub(r"data frame(?: row \d+)?", options.name.replace("\\", ""), error.message)
        raise DataError(message, error.hint) from None
    return replace(panel, source=options.name)


def recent_errors_of_group(
    model: ServedModel, shared: tuple[GroupOptions, int], buffer: Any
) -> tuple[NamedPool | None, tuple[str, ...]]:
    """The errors in windows later than the training, `shared[1]` at most (None = there is none), and warnings."""
    (options, limit), manifest, rows = shared, model.opened.manifest, GroupRows.of(buffer)
    if _has_no_new_rows(rows, options, manifest):
        return None, ()
    panel, warnings = panel_of_group(manifest, options, rows), _Warnings()
    if panel is None:
        return None, ()
    if options.settings.drop_incomplete:
        panel = fresh(panel, None, True, warnings)
    later = int(panel.timestamps.max()) > manifest.seen_until
    found = recent_windows(panel, manifest, model.runtime, limit) if later else None
    return None if found is None else NamedPool.of(found), tuple(warnings.kept)


def _has_no_new_rows(rows: GroupRows, options: GroupOptions, manifest: Manifest) -> bool:
    """Whether all rows of a group are of the time of the training, as far as that is known without reading them."""
    given, trained = options.settings, manifest.data.rows_as
    moved = trained.snap or trained.resample or given.snap or given.resample
    if not options.columns or moved or options.settings.zone:
        return False
    latest = rows.latest(options.columns[0], has_zone=manifest.data.zone is not None)
    return latest is not None and latest <= manifest.seen_until


def forecast_group(model: ServedModel, shared: tuple[GroupOptions, QuantileSource], buffer: Any) -> GroupForecast:
    """The forecast of a group from the bytes of its rows. DataError as in `predict`."""
    (options, source), rows, warnings = shared, GroupRows.of(buffer), _Warnings()
    if options.columns and (unobserved := rows.unobserved(options.keys, options.columns[1])):
        return GroupForecast(_without(unobserved), b"", ())
    panel = panel_of_group(model.opened.manifest, options, rows)
    if panel is None:
        return GroupForecast(_nothing(), b"", ())
    latest = latest_observed(panel)
    panel = fresh(panel, None, options.settings.drop_incomplete, warnings)
    try:
        made = forecast_panel(panel, model, options.settings, warnings, source).forecast
    except NothingObservedError as nothing:
        return GroupForecast(_without(nothing.series), b"", tuple(warnings.kept))
    part = encoded(made, options.format, safe_csv=options.settings.safe_csv)
    return GroupForecast(_facts(made, latest), part, tuple(warnings.kept))


def _nothing() -> dict[str, Any]:
    return {
        "series": 0,
        "rows": 0,
        "fallbacks": 0,
        "failed": [],
        "failed_count": 0,
        "latest": None,
        "cutoff": None,
        "text": None,
    }


def _without(series: tuple[str, ...]) -> dict[str, Any]:
    """What is said of a group of which no series has a forecast."""
    return {**_nothing(), "failed": list(series[:MAX_NAMED]), "failed_count": len(series)}


def _facts(made: Forecast, latest: int | None) -> dict[str, Any]:
    """What is said of a group at the end."""
    about = made.about
    if about is None:
        return _nothing()
    cutoff = int(about.cutoff.max())
    return {
        "series": len(made.series),
        "rows": made.prediction.size,
        "fallbacks": made.fallbacks,
        "failed": list(about.failed[:MAX_NAMED]),
        "failed_count": len(about.failed),
        "latest": latest,
        "cutoff": cutoff,
        "text": format_timestamps(np.array([cutoff]), made.freq, made.zone).tolist()[0],
    }
