"""`predict` of Parquet data into a folder: one group of series after another, so memory does not grow with their number.

The folder appears when all of it is there. Until then the work is in `.NAME.forecast` beside it, and a run that was killed is
resumed there: groups that are forecast are not forecast again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import forecaster
from forecaster.data.freq import format_timestamps
from forecaster.data.freshness import fresh, latest_observed, refuse_older
from forecaster.data.reading.joined_columns import parts_of
from forecaster.data.reading.pieces import Pieces, data_set, find_pieces, in_pieces
from forecaster.data.reading.series_groups import SeriesGroups, divided, group_count
from forecaster.errors import DataError, UsageError
from forecaster.serving.answer import ServedModel, unadapted
from forecaster.serving.forecast_file import write_forecast
from forecaster.serving.integrity import MANIFEST
from forecaster.serving.manifest import load_runtime
from forecaster.serving.open_model import model_of_data, read_for
from forecaster.serving.overwriting import refuse_overwriting
from forecaster.serving.predict import NothingObservedError, find_model, forecast_panel
from forecaster.serving.recent_errors import MAX_WINDOWS, RecentPools, recent_windows
from forecaster.serving.remote_store import at_hand
from forecaster.storage.addresses import is_url, shown
from forecaster.storage.files import file_lock, is_file, saying_why, sync_tree, write_whole

if TYPE_CHECKING:
    from forecaster.config import PredictSettings
    from forecaster.data.panel import Panel
    from forecaster.progress import Watch
    from forecaster.serving.forecast import Forecast
    from forecaster.serving.quantile_source import QuantileSource

MAX_WARNINGS = 5  # that are shown one by one
MAX_NAMED = 1000  # series without a forecast that are kept by name


@dataclass
class GroupsDone:
    """What was written."""

    output: str
    model: str
    version: int
    cutoff: str | int | None  # the latest
    series: int
    rows: int
    fallbacks: int
    files: int
    failed: tuple[str, ...]  # the first MAX_NAMED series that could not be forecast
    failed_count: int
    resumed: int  # groups that an earlier run had forecast

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return {**asdict(self), "failed": list(self.failed)}


def is_folder(output: str) -> bool:
    """Whether an output names a folder to be filled with files: it ends with /."""
    return output.endswith("/") and not is_url(output)


def predict_groups(
    data: str | None, settings: PredictSettings, watch: Watch, format: str | None, now: datetime | None = None
) -> GroupsDone:
    """Forecast the series of Parquet files into the folder `settings.output`, which appears or is replaced as a whole.

    UsageError for options that have no effect; StaleError, DataError and the others as those of `predict`, and then nothing
    is changed. LockError where another run is writing the same folder.
    """
    data, settings = model_of_data(data, at_hand(settings), watch)
    _refuse_no_effect(settings, format)
    target = Path(settings.output)
    model = find_model(data, settings, watch, load_runtime)
    if not isinstance(model, ServedModel):
        raise UsageError("a folder as --output needs a stored model.", "Train one, or name a file as the output.")
    pieces = _pieces(data, model)
    refuse_overwriting({"--output": str(target)}, {"the data": pieces.name}, settings.models)
    work = target.with_name(f".{target.name}.forecast")
    with saying_why(target), file_lock(target.with_name(f".{target.name}.lock"), settings.wait or 0.0, f"'{target}'"):
        run = _Run(model, settings, _FewWarnings(watch), work, format or "parquet")
        done = run.forecast(pieces, now)
        _publish(work / "parts", target)
        shutil.rmtree(work)
    return replace(done, output=settings.output)


def _refuse_no_effect(settings: PredictSettings, format: str | None) -> None:
    """UsageError for options that a folder cannot have."""
    for name in ("plot", "ledger", "future", "plot_series"):
        if getattr(settings, name):
            raise UsageError(f"--{name.replace('_', '-')} has no effect with a folder as --output.", "Leave it out.")
    if format == "json":
        raise UsageError("--format json has no effect with a folder as --output.", "Give csv or parquet.")
    if settings.safe_csv and format != "csv":
        raise UsageError("--safe-csv has no effect on parquet.", "Leave it out.")
    if Path(settings.output).name in ("", ".", "..") or Path(settings.output).is_file():
        raise UsageError(f"'{settings.output}': this is no folder to write.", "Name a new one, e.g. forecasts/.")


def _pieces(data: str | None, model: ServedModel) -> Pieces:
    """The Parquet files. UsageError where the data is anything else."""
    source = model.opened.manifest.data.path if data is None else str(data)
    if in_pieces(source):
        found = find_pieces(source)
    else:
        found = Pieces(
            shown(source), (source,), Path(source).suffix.lower() in (".parquet", ".pq") and not is_url(source)
        )
        if found.parquet and not is_file(source):
            raise DataError(f"{found.name}: no such file.", "Check the path.")
    if not found.parquet:
        raise UsageError(
            f"{found.name}: a folder as --output needs Parquet files as data.", "Name a file as the output."
        )
    return found


def _publish(parts: Path, target: Path) -> None:
    """Put the finished folder in the place of `target`. A kill may leave nothing there for a moment, but never a part."""
    sync_tree(parts)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.is_dir():
        target.rename(old)
    parts.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@dataclass
class _FewWarnings:
    """A `Watch` that shows a few warnings and no notes: each group would repeat them."""

    watch: Watch
    seen: int = 0

    def note(self, text: str) -> None:
        """Show nothing."""

    def warn(self, text: str) -> None:
        """Show the first warnings."""
        self.seen += 1
        if self.seen <= MAX_WARNINGS:
            self.watch.warn(text)
        elif self.seen == MAX_WARNINGS + 1:
            self.watch.warn("further warnings are not shown")

    def progress(self, progress: object) -> None:
        """Show nothing."""


@dataclass(frozen=True)
class _Run:
    """The forecasts of one model."""

    model: ServedModel
    settings: PredictSettings
    watch: _FewWarnings
    work: Path
    format: str

    def forecast(self, pieces: Pieces, now: datetime | None) -> GroupsDone:
        """Write the parts of all groups. StaleError where the data is older than allowed."""
        count = group_count(pieces)
        self._begin(pieces, count)
        keys, columns = self._keys(pieces), self._columns()
        groups = divided(pieces, keys, [name for name in columns if name not in keys], self.work / "groups", count)
        source = self._quantiles(groups, pieces)
        totals = _Totals()
        for group in range(groups.count):
            state = self.work / f"done-{group:05}.json"
            if not is_file(state):
                self._group(groups, group, pieces, source, state)
            else:
                totals.resumed += 1
            totals.add(json.loads(state.read_text(encoding="utf-8")))
            self.watch.watch.note(f"{group + 1} of {groups.count} groups: {totals.series:,} series")
        if self.settings.max_age is not None:
            panel = next(one for group in range(groups.count) for one in self._panels(groups, group, pieces))
            refuse_older(totals.latest, panel, self.settings.max_age, now)
        if not totals.series:
            raise DataError(f"{pieces.name}: no series has an observed target.", "Give later rows.")
        opened = self.model.opened
        return GroupsDone(
            output=self.settings.output,
            model=opened.folder.parent.name,
            version=opened.version,
            cutoff=totals.text,
            series=totals.series,
            rows=totals.rows,
            fallbacks=totals.fallbacks,
            files=totals.files,
            failed=totals.failed,
            failed_count=totals.failed_count,
            resumed=totals.resumed,
        )

    def _begin(self, pieces: Pieces, count: int) -> None:
        """Keep what an earlier run of the same model, data and options has left, and nothing else."""
        folder, settings = self.model.opened.folder, asdict(self.settings)
        key = hashlib.sha256((folder / MANIFEST).read_bytes())
        settings = {name: value for name, value in settings.items() if name not in ("wait", "threads", "quiet")}
        states = [_state(pieces, file) for file in pieces.files]
        key.update(json.dumps([forecaster.__version__, settings, states, count, self.format], default=str).encode())
        mark = self.work / "key"
        # Without its parts, an earlier run has published them and was killed before it had removed the rest.
        if is_file(mark) and (self.work / "parts").is_dir() and mark.read_text(encoding="utf-8") == key.hexdigest():
            return
        shutil.rmtree(self.work, ignore_errors=True)
        (self.work / "parts").mkdir(parents=True)
        write_whole(mark, key.hexdigest())

    def _keys(self, pieces: Pieces) -> tuple[str, ...]:
        """The columns that name a series."""
        series = self.settings.series or self.model.opened.manifest.data.series
        return parts_of(series, data_set(pieces).schema.names) if series else ()

    def _columns(self) -> list[str]:
        """The columns to keep; empty = all, where the options name none."""
        facts, own = self.model.opened.manifest.data, self.settings
        timestamp, target = own.timestamp or facts.timestamp, own.target or facts.target
        if facts.layout != "long" or not timestamp or not target or "," in f"{timestamp}{target}":
            return []
        return [timestamp, target, *(one.name for one in self.model.opened.manifest.covariates)]

    def _panels(self, groups: SeriesGroups, group: int, pieces: Pieces) -> Iterator[Panel]:
        """The panel of a group; none for a group without rows."""
        frame = groups.read(group)
        if len(frame):
            try:
                panel = read_for(self.model.opened.manifest, frame, self.settings)
            except DataError as error:  # the number of a row in a group says nothing
                message = re.sub(r"data frame(?: row \d+)?", pieces.name.replace("\\", ""), error.message)
                raise DataError(message, error.hint) from None
            yield replace(panel, source=pieces.name)

    def _quantiles(self, groups: SeriesGroups, pieces: Pieces) -> QuantileSource:
        """How the quantiles are made, from windows of every group: one pass before the forecasts, where it is needed."""
        source = unadapted(self.model, self.settings)
        if not self.settings.adapt or not source.calibration or not (source.levels or self.settings.samples):
            return source
        manifest, pools = self.model.opened.manifest, RecentPools()
        limit = max(MAX_WINDOWS // groups.count, 1)
        for group in range(groups.count):
            if self._has_no_new_rows(groups, group):
                continue
            for panel in self._panels(groups, group, pieces):
                panel = fresh(panel, None, self.settings.drop_incomplete, self.watch)
                if int(panel.timestamps.max()) > manifest.seen_until:
                    pools.add(recent_windows(panel, manifest, self.model.runtime, limit))
        return replace(source, calibration=pools.extend(source.calibration))

    def _has_no_new_rows(self, groups: SeriesGroups, group: int) -> bool:
        """Whether all rows of a group are of the time of the training, as far as that is known without reading them."""
        manifest, columns = self.model.opened.manifest, self._columns()
        moved = manifest.data.rows_as.snap or manifest.data.rows_as.resample
        if not columns or moved or self.settings.zone:
            return False
        latest = groups.latest(group, columns[0], has_zone=manifest.data.zone is not None)
        return latest is not None and latest <= manifest.seen_until

    def _group(self, groups: SeriesGroups, group: int, pieces: Pieces, source: QuantileSource, state: Path) -> None:
        """Write the part of one group, and then its state."""
        part, facts = self.work / "parts" / f"part-{group:05}.{self.format}", _nothing()
        columns = self._columns()
        unobserved = groups.unobserved(group, self._keys(pieces), columns[1]) if columns else ()
        if unobserved:
            facts = {**facts, "failed": list(unobserved[:MAX_NAMED]), "failed_count": len(unobserved)}
        for panel in () if unobserved else self._panels(groups, group, pieces):
            latest = latest_observed(panel)
            panel = fresh(panel, None, self.settings.drop_incomplete, self.watch)
            try:
                made = forecast_panel(panel, self.model, self.settings, self.watch, source).forecast
            except NothingObservedError as nothing:
                facts = {**facts, "failed": list(nothing.series[:MAX_NAMED]), "failed_count": len(nothing.series)}
                continue
            with saying_why(part):
                write_forecast(made, part, self.format, safe_csv=self.settings.safe_csv)
            facts = _facts(made, latest)
        write_whole(state, json.dumps(facts))


@dataclass
class _Totals:
    """The sum over the groups."""

    series: int = 0
    rows: int = 0
    fallbacks: int = 0
    files: int = 0
    failed: tuple[str, ...] = ()
    failed_count: int = 0
    resumed: int = 0
    latest: int | None = None  # timestamp of the latest observed target
    cutoff: int | None = None
    text: str | int | None = None  # the cutoff, for people

    def add(self, facts: dict[str, Any]) -> None:
        """Add those of a group."""
        for name in ("series", "rows", "fallbacks", "failed_count"):
            setattr(self, name, getattr(self, name) + facts[name])
        self.files += facts["series"] > 0
        self.failed = (*self.failed, *facts["failed"])[:MAX_NAMED]
        if facts["latest"] is not None:
            self.latest = max(facts["latest"], facts["latest"] if self.latest is None else self.latest)
        if facts["cutoff"] is not None and (self.cutoff is None or facts["cutoff"] > self.cutoff):
            self.cutoff, self.text = facts["cutoff"], facts["text"]


def _state(pieces: Pieces, file: str) -> object:
    """What changes when a file does."""
    if pieces.place is not None:
        return file, str(pieces.place.ukey(file))
    found = Path(file).stat()
    return str(Path(file).absolute()), found.st_size, found.st_mtime_ns


def _nothing() -> dict[str, object]:
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


def _facts(made: Forecast, latest: int | None) -> dict[str, object]:
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
