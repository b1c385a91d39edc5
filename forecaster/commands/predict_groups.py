"""`predict` of Parquet data into a folder: one group of series after another, so memory does not grow with their number.

The folder appears when all of it is there. Until then the work is in `.NAME.forecast` beside it, and a run that was killed is
resumed there: groups that are forecast are not forecast again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.commands.group_forecast import (
    MAX_NAMED,
    MAX_WARNINGS,
    GroupOptions,
    forecast_group,
    panel_of_group,
    recent_errors_of_group,
)
from forecaster.commands.open_engine import open_engine
from forecaster.data.reading.file_set import FileSet, data_set, find_file_set, is_file_set
from forecaster.data.reading.joined_columns import parts_of
from forecaster.data.reading.series_groups import GroupRows, SeriesGroups, divided, group_count
from forecaster.engines.work import Lost
from forecaster.errors import DataError, PartialError, UsageError, listed, quoted
from forecaster.serving.answer import ServedModel, unadapted
from forecaster.serving.freshness import refuse_older
from forecaster.serving.integrity import MANIFEST
from forecaster.serving.model_workers import ModelEngine
from forecaster.serving.open_model import model_of_data
from forecaster.serving.overwriting import refuse_overwriting
from forecaster.serving.predict import find_model
from forecaster.serving.recent_errors import MAX_WINDOWS, extended_by
from forecaster.serving.remote_store import at_hand
from forecaster.serving.stored_graphs import load_runtime
from forecaster.storage.addresses import is_url, shown
from forecaster.storage.files import file_lock, is_file, is_unfinished, saying_why, sync_tree, whole_file, write_whole
from forecaster.version import __version__

if TYPE_CHECKING:
    from forecaster.config import PredictSettings
    from forecaster.serving.quantile_source import QuantileSource
    from forecaster.typing import Watch

# Options that change nothing about what is written: a run may be resumed with others.
ANYHOW = ("wait", "threads", "engine", "ray_address", "workers")
_PART = re.compile(r"part-\d{5,}\.(csv|parquet)")  # the files of a forecast
MAX_LOST = 5  # groups that a message names


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
    lost: tuple[str, ...]  # groups that are not there, and why: their workers failed

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return {**asdict(self), "failed": list(self.failed), "lost": list(self.lost)}

    def refuse_lost(self) -> None:
        """PartialError where groups were lost."""
        if self.lost:
            named = "; ".join(self.lost[:MAX_LOST]) + ("; …" if len(self.lost) > MAX_LOST else "")
            raise PartialError(
                f"{len(self.lost)} of {len(self.lost) + self.files} groups were not forecast: {named}.",
                "The others are written. Run the command again for all of them.",
            )


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
        run = _Run(model, settings, _FewWarnings(watch), work, pieces, format or "parquet")
        run.begin()
        with open_engine(settings) as engine:
            done = run.forecast(ModelEngine.of(engine, model, settings.runtime), now)
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
    if is_url(settings.output):
        raise UsageError(
            f"'{shown(settings.output)}': a folder of forecasts is on this machine.",
            "Name one here, or a file at the URL.",
        )
    if Path(settings.output).name in ("", ".", "..") or Path(settings.output).is_file():
        raise UsageError(f"'{settings.output}': this is no folder to write.", "Name a new one, e.g. forecasts/.")
    _refuse_foreign_folder(Path(settings.output))


def _refuse_foreign_folder(target: Path) -> None:
    """UsageError where the folder has anything but an earlier forecast's parts: all of it would be removed."""
    try:
        with os.scandir(target) as found:
            other = next((one.name for one in found if not (_is_own(one.name) and one.is_file())), None)
    except FileNotFoundError:
        return
    if other is not None:
        raise UsageError(
            f"'{target}/' would be replaced as a whole, and has {quoted(other)} in it, which is no part of a forecast.",
            "Name a new folder, e.g. forecasts/.",
        )


def _is_own(name: str) -> bool:
    """Whether a forecast has files of this name. Runs that were killed and resumed left unfinished ones in earlier versions."""
    return bool(_PART.fullmatch(name)) or is_unfinished(name)


def _pieces(data: str | None, model: ServedModel) -> FileSet:
    """The Parquet files. UsageError where the data is anything else."""
    source = model.opened.manifest.data.path if data is None else str(data)
    if is_file_set(source):
        found = find_file_set(source)
    else:
        found = FileSet(
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
    _refuse_foreign_folder(target)  # it may have got other files since
    old = target.with_name(f".{target.name}.forecast-old")
    shutil.rmtree(old, ignore_errors=True)
    if target.is_symlink():
        target.unlink()
    elif target.is_dir():
        target.rename(old)
    parts.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@dataclass
class _FewWarnings:
    """Shows the first warnings: each group would repeat them."""

    watch: Watch
    seen: int = 0

    def show(self, warnings: tuple[str, ...]) -> None:
        """Show these, as far as there were few before."""
        for text in warnings:
            self.seen += 1
            if self.seen <= MAX_WARNINGS:
                self.watch.warn(text)
            elif self.seen == MAX_WARNINGS + 1:
                self.watch.warn("further warnings are not shown")


@dataclass(frozen=True)
class _Run:
    """The forecasts of one model."""

    model: ServedModel
    settings: PredictSettings
    warnings: _FewWarnings
    work: Path
    pieces: FileSet
    format: str

    def begin(self) -> None:
        """Keep what an earlier run of the same model, data and options has left, and nothing else."""
        folder, settings = self.model.opened.folder, asdict(self.settings)
        key = hashlib.sha256((folder / MANIFEST).read_bytes())
        settings = {name: value for name, value in settings.items() if name not in ANYHOW}
        states = [_state(self.pieces, file) for file in self.pieces.files]
        count = group_count(self.pieces)
        key.update(json.dumps([__version__, settings, states, count, self.format], default=str).encode())
        mark = self.work / "key"
        # Without its parts, an earlier run has published them and was killed before it had removed the rest.
        if is_file(mark) and (self.work / "parts").is_dir() and mark.read_text(encoding="utf-8") == key.hexdigest():
            for one in (self.work / "parts").iterdir():
                if is_unfinished(one.name):
                    one.unlink()
            return
        shutil.rmtree(self.work, ignore_errors=True)
        (self.work / "parts").mkdir(parents=True)
        write_whole(mark, key.hexdigest())

    def forecast(self, engine: ModelEngine, now: datetime | None) -> GroupsDone:
        """Write the parts of all groups. StaleError where the data is older than allowed."""
        keys, columns = self._keys(), self._columns()
        kept = [name for name in columns if name not in keys]
        groups = divided(self.pieces, keys, kept, self.work / "groups", group_count(self.pieces))
        options = GroupOptions(self.settings, self.format, self.pieces.name, keys, columns)
        source = self._quantiles(engine, groups, options)
        todo = [group for group in range(groups.count) if not is_file(self._state_of(group))]
        lost = self._forecast_groups(engine, groups, todo, (options, source))
        totals = _Totals()
        for group in sorted(set(range(groups.count)) - set(lost)):
            totals.add(json.loads(self._state_of(group).read_text(encoding="utf-8")))
        if self.settings.max_age is not None:
            rows = (GroupRows.of(groups.buffer(group)) for group in range(groups.count))
            panels = (panel_of_group(self.model.opened.manifest, options, one) for one in rows)
            refuse_older(totals.latest, next(one for one in panels if one is not None), self.settings.max_age, now)
        described = []
        for group, found in sorted(lost.items()):
            names = GroupRows.of(groups.buffer(group)).names(keys)
            totals.add_failed(names)
            described.append(f"{self._part(group).name} ({len(names):,} series: {listed(names)}): {found.why}")
        opened = self.model.opened
        done = GroupsDone(
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
            resumed=groups.count - len(todo),
            lost=tuple(described),
        )
        if not totals.series:
            done.refuse_lost()
            raise DataError(f"{self.pieces.name}: no series has an observed target.", "Give later rows.")
        return done

    def _keys(self) -> tuple[str, ...]:
        """The columns that name a series."""
        series = self.settings.series or self.model.opened.manifest.data.series
        return parts_of(series, data_set(self.pieces).schema.names) if series else ()

    def _columns(self) -> tuple[str, ...]:
        """The columns to keep; empty = all, where the options name none."""
        facts, own = self.model.opened.manifest.data, self.settings
        timestamp, target = own.timestamp or facts.timestamp, own.target or facts.target
        if facts.layout != "long" or not timestamp or not target or "," in f"{timestamp}{target}":
            return ()
        return (timestamp, target, *(one.name for one in self.model.opened.manifest.covariates))

    def _part(self, group: int) -> Path:
        """The file of a group's forecast."""
        return self.work / "parts" / f"part-{group:05}.{self.format}"

    def _state_of(self, group: int) -> Path:
        """The file that is there once a group is forecast, with what is said of it."""
        return self.work / f"done-{group:05}.json"

    def _quantiles(self, engine: ModelEngine, groups: SeriesGroups, options: GroupOptions) -> QuantileSource:
        """How the quantiles are made, from windows of every group: one pass before the forecasts, where it is needed."""
        source = unadapted(self.model, self.settings)
        if not self.settings.adapt or not source.calibration or not (source.levels or self.settings.samples):
            return source
        found, limit = {}, max(MAX_WINDOWS // groups.count, 1)
        for group, result in engine.run(recent_errors_of_group, (options, limit), range(groups.count), groups.buffer):
            if isinstance(result, Lost):
                self.warnings.show((f"quantiles are not adapted to {self._part(group).name}: {result.why}",))
                continue
            found[group], warnings = result
            self.warnings.show(warnings)
        pools = [found[group] for group in sorted(found) if found[group] is not None]
        return replace(source, calibration=extended_by(source.calibration, pools))

    def _forecast_groups(
        self, engine: ModelEngine, groups: SeriesGroups, todo: list[int], shared: tuple[GroupOptions, QuantileSource]
    ) -> dict[int, Lost]:
        """Write the parts of these groups, each before its state, and return those that were lost."""
        lost, done = {}, groups.count - len(todo)
        for group, result in engine.run(forecast_group, shared, todo, groups.buffer):
            if isinstance(result, Lost):
                lost[group] = result
                continue
            if result.part:
                with saying_why(self._part(group)), whole_file(self._part(group)) as stream:
                    stream.write(result.part)
            write_whole(self._state_of(group), json.dumps(result.facts))
            self.warnings.show(result.warnings)
            done += 1
            self.warnings.watch.note(f"{done} of {groups.count} groups are forecast")
        return lost


@dataclass
class _Totals:
    """The sum over the groups."""

    series: int = 0
    rows: int = 0
    fallbacks: int = 0
    files: int = 0
    failed: tuple[str, ...] = ()
    failed_count: int = 0
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

    def add_failed(self, names: tuple[str, ...]) -> None:
        """Add series without a forecast."""
        self.failed = (*self.failed, *names)[:MAX_NAMED]
        self.failed_count += len(names)


def _state(pieces: FileSet, file: str) -> object:
    """What changes when a file does."""
    if pieces.place is not None:
        return file, str(pieces.place.ukey(file))
    found = Path(file).stat()
    return str(Path(file).absolute()), found.st_size, found.st_mtime_ns
