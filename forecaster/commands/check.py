"""The command `check`: every fault in the data, a summary of the data, and whether it still fits a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.find_faults import Checked, find_faults
from forecaster.data.summary import Summary, level_and_scale, summarise
from forecaster.errors import DataError, counted
from forecaster.serving.freshness import latest_observed, unfinished
from forecaster.serving.open_model import as_trained, open_model, trained_options
from forecaster.serving.raw_forecasts import observed_rows
from forecaster.serving.remote_store import at_hand
from forecaster.serving.sparse_series import described, missing_past, needed_rows

if TYPE_CHECKING:
    from forecaster.config import CheckSettings
    from forecaster.data.panel import Panel
    from forecaster.serving.manifest import DataFacts, Manifest
    from forecaster.typing import Data, Json, Watch

MAX_DRIFT = 3.0  # of the level, in the training data's scales; of the scale, as a factor


@dataclass(frozen=True)
class ModelMatch:
    """Whether the data is like a model's training data in one respect."""

    about: str
    trained: str
    found: str
    matches: bool

    def to_json(self) -> dict[str, Json]:
        """The fields by name."""
        return {"about": self.about, "trained": self.trained, "found": self.found, "fits": self.matches}


@dataclass(frozen=True)
class CheckReport:
    """What `check` found."""

    checked: Checked
    summary: Summary | None  # of the rows without faults; None where these make no panel
    unfinished: int  # series whose last period has not ended
    model: str | None  # "name@version"
    matches: tuple[ModelMatch, ...]  # with that model; empty without one

    def refuse_faults(self) -> None:
        """DataError where the data has faults."""
        count = self.checked.faults
        if count:
            faults = f"{count:,} fault{'s' * (count > 1)}"
            raise DataError(f"{self.checked.source}: {faults}.", "Correct them as each fault says.")

    def to_json(self) -> dict[str, Json]:
        """Everything, by name."""
        kinds: list[Json] = [{"kind": k.what, "count": k.count, "shown": len(k.shown)} for k in self.checked.kinds]
        faults: list[Json] = [{"kind": f.what, **_without_kind(asdict(f))} for k in self.checked.kinds for f in k.shown]
        summary: dict[str, Json] | None = asdict(self.summary) if self.summary else None
        if summary:
            summary["duplicates"], summary["unfinished"] = self.duplicates, self.unfinished
        return {
            "source": self.checked.source,
            "ok": not self.checked.faults,
            "rows": self.checked.rows,
            "fault_count": self.checked.faults,
            "kinds": kinds,
            "faults": faults,
            "summary": summary,
            "warnings": list(self.checked.panel.warnings) if self.checked.panel else [],
            "model": self.model,
            "fits": [match.to_json() for match in self.matches],
        }

    def __repr__(self) -> str:
        checked, panel = self.checked, self.checked.panel
        series = f"{len(panel.series):,} series, " if panel else ""
        return f"<CheckReport {checked.source}: {counted(checked.rows, 'row')}, {series}{counted(checked.faults, 'fault')}>"

    @property
    def duplicates(self) -> int:
        """Rows whose series and timestamp another row has."""
        return sum(kind.count for kind in self.checked.kinds if kind.what == "duplicate")


def check(data: Data, settings: CheckSettings, watch: Watch, now: datetime | None = None) -> CheckReport:
    """Faults and summary of `data`, and how it compares with a model's training data. Faults are not raised.

    `now`: None = this machine's clock. Data that is unlike the training data is warned of. ArtifactError where the model
    is missing or damaged.
    """
    settings = at_hand(settings) if settings.model else settings
    opened = open_model(settings.models, settings.model) if settings.model else None
    data, options = settings.source(data), settings.read_options()
    if opened:
        options = as_trained(options, trained_options(opened.manifest), opened.manifest.name)
    checked = find_faults(data, options)
    panel = checked.panel
    matches = _matches(checked, opened.manifest) if opened else ()
    for match in matches:
        if not match.matches:
            watch.warn(f"{match.about}: {match.found}, but the model was trained on {match.trained}")
    for warning in panel.warnings if panel else ():
        watch.warn(warning.rstrip("."))
    if not checked.faults:
        for note in panel.notes if panel else ():
            watch.note(note)
    return CheckReport(
        checked=checked,
        summary=summarise(panel) if panel else None,
        unfinished=int(np.count_nonzero(unfinished(panel, now))) if panel else 0,
        model=f"{opened.manifest.name}@{opened.version}" if opened else None,
        matches=matches,
    )


def _matches(checked: Checked, manifest: Manifest) -> tuple[ModelMatch, ...]:
    """Columns, frequency, series, latest row, observed values, level and scale, compared with the training data's."""
    panel, facts = checked.panel, manifest.data
    if panel is None:
        return (ModelMatch("rows", f"{facts.rows:,}", "none that can be used", False),)
    off = sum(kind.count for kind in checked.kinds if kind.what == "frequency")
    names = _columns(facts.series, facts.timestamp, facts.target)
    found = _columns(panel.columns.series, panel.columns.timestamp, panel.columns.target)
    matches = [
        ModelMatch("columns", f"{names} ({facts.layout})", f"{found} ({panel.layout})", panel.layout == facts.layout),
        ModelMatch(
            "frequency", facts.freq, f"{panel.freq.name}, {off:,} rows off it" if off else panel.freq.name, not off
        ),
        ModelMatch(
            "series", f"{facts.series_count:,}", f"{len(panel.series):,}", len(panel.series) >= facts.series_count
        ),
        _latest(panel, facts),
        _observed(panel, manifest),
        *_past(panel, manifest),
    ]
    return (*matches, *_drift(panel, facts))


def _latest(panel: Panel, facts: DataFacts) -> ModelMatch:
    latest = latest_observed(panel)
    trained = panel.timestamp_text(facts.last)
    if latest is None:
        return ModelMatch("newest row", trained, "no target is observed", False)
    ends = panel.freq.ordinals(np.array([facts.last, latest]), panel.zone)
    steps = int(ends[1] - ends[0])
    away = f", {abs(steps):,} steps {'after' if steps > 0 else 'before'}" if steps else ""
    return ModelMatch("newest row", trained, f"{panel.timestamp_text(latest)}{away}", steps >= 0)


def _observed(panel: Panel, manifest: Manifest) -> ModelMatch:
    """Whether every series has as many observed values in the model's context as a forecast can go by."""
    needed, reach = needed_rows(manifest), manifest.reach
    sparse = np.flatnonzero(observed_rows(manifest, panel) < needed)
    found = described(panel, sparse, needed, reach) if len(sparse) else "enough in every series"
    few = manifest.data.rows < needed * manifest.data.series_count
    wanted = f"so few rows that a forecast needs {needed}" if few else f"series of at least {needed}"
    return ModelMatch("observed values", wanted, found, not len(sparse))


def _past(panel: Panel, manifest: Manifest) -> tuple[ModelMatch, ...]:
    """Whether most series have the weeks or years before that the model reads besides its context; nothing where they have."""
    missing = missing_past(panel, manifest)
    return (ModelMatch("history", f"{missing[1]}, too", missing[0], False),) if missing else ()


def _drift(panel: Panel, facts: DataFacts) -> tuple[ModelMatch, ...]:
    """Level and scale of the rows after the training, or else of all rows, compared with the training data's."""
    if facts.level is None or facts.scale is None:
        return ()
    new = level_and_scale(panel, facts.last) or level_and_scale(panel)
    if new is None:
        return ()
    level, scale = new
    near = abs(level - facts.level) <= MAX_DRIFT * (facts.scale or abs(facts.level))
    alike = facts.scale / MAX_DRIFT <= scale <= facts.scale * MAX_DRIFT or not facts.scale or not scale
    return (
        ModelMatch("level", f"{facts.level:.6g}", f"{level:.6g}", near),
        ModelMatch("scale", f"{facts.scale:.6g}", f"{scale:.6g}", alike),
    )


def _columns(*names: str | None) -> str:
    return ", ".join(name for name in names if name is not None)


def _without_kind(fault: dict[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in fault.items() if key != "what"}
