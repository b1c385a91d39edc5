"""The command `monitor`: a ledger's forecasts compared with the actuals, and whether to retrain."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import Freq, format_timestamps
from forecaster.data.reading.reader import ReadOptions, read_as
from forecaster.data.time_zones import DAY, wall_clock
from forecaster.errors import DataError, QualityError
from forecaster.progress import Watch
from forecaster.serving.forecast import MODEL
from forecaster.serving.ledger import Entries, Version, entries, find_version
from forecaster.serving.manifest import json_key
from forecaster.serving.recalibrate import recalibrate

if TYPE_CHECKING:
    from forecaster.config import MonitorSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, FloatArray, IntArray, TextArray

RECENT_HORIZONS = 2  # the verdict is on the latest actuals: the steps of this many horizons
MIN_FORECASTS = 30  # with their actuals, for a verdict
MAX_DECAY = 1.25  # relative error, as a factor of that on the test windows
MAX_COVERAGE_GAP = 0.15  # between the nominal coverage of the outermost quantiles and the empirical one


@dataclass(frozen=True)
class LiveScores:
    """The scores of one group of forecasts that have their actuals."""

    group: str  # a step ahead, a week, a series
    count: int
    mae: float  # caller's units
    naive_mae: float  # of seasonal naive, from the same rows
    relative: float  # relative error: the scaled error over that of seasonal naive; below 1 is better than naive
    coverage: float  # empirical coverage: share of actuals between the outermost quantiles; NaN without quantiles

    def to_json(self) -> dict[str, str | int | float]:
        """The fields by name."""
        return dict(vars(self))


@dataclass(frozen=True)
class MonitorReport:
    """How a version's forecasts compare with the actuals."""

    model: str
    version: int
    verdict: str  # keep | retrain | too few
    reason: str
    nominal_coverage: float | None = field(metadata={"key": "promised"})  # of the interval between the outermost levels
    expected: float | None  # relative error on the test windows
    waiting: int  # forecasts without actuals yet
    fallbacks: int  # forecasts, with or without actuals, that the fallback made
    overall: LiveScores
    recent: LiveScores
    by_step: tuple[LiveScores, ...]
    by_week: tuple[LiveScores, ...]
    by_series: tuple[LiveScores, ...]
    recalibrated: int | None = None  # the version that serves now, calibrated on these forecasts

    def to_json(self) -> dict[str, object]:
        """Everything, by name."""
        values = {json_key(one): getattr(self, one.name) for one in fields(self)}
        plain = {key: value for key, value in values.items() if not isinstance(value, (LiveScores, tuple))}
        groups = {key: [one.to_json() for one in getattr(self, key)] for key in ("by_step", "by_week", "by_series")}
        return {**plain, "overall": self.overall.to_json(), "recent": self.recent.to_json(), **groups}

    def refuse_decay(self) -> None:
        """QualityError where the verdict is to retrain."""
        if self.verdict == "retrain":
            raise QualityError(f"{self.model}@{self.version}: retrain: {self.reason}.", "Run `forecaster train`.")


@dataclass(frozen=True)
class ForecastActuals:
    """E forecasts, each of one step, with their actuals."""

    entries: Entries
    actual: FloatArray  # [E] caller's units; NaN = not observed yet

    def take(self, chosen: IntArray | BoolArray) -> ForecastActuals:
        """The forecasts at these positions."""
        parts = {name: values[chosen] for name, values in vars(self.entries).items()}
        return ForecastActuals(Entries(**parts), self.actual[chosen])

    def scores(self, group: str) -> LiveScores:
        """Scores of these forecasts; NaN where there are none."""
        own = self.entries
        error, naive = np.abs(own.prediction - self.actual), np.abs(own.naive - self.actual)
        scaled = ~np.isnan(own.scale)
        model, baseline = (_mean(part[scaled] / own.scale[scaled]) for part in (error, naive))
        covered = float("nan")
        if own.quantile_forecasts.shape[1] > 1:
            inside = (own.quantile_forecasts[:, 0] <= self.actual) & (self.actual <= own.quantile_forecasts[:, -1])
            covered = _mean(inside.astype(np.float64))
        relative = model / baseline if baseline > 0 else float("nan")
        return LiveScores(
            group=group,
            count=len(self.actual),
            mae=_mean(error),
            naive_mae=_mean(naive),
            relative=relative,
            coverage=covered,
        )


def monitor(ledger: str, data: str, settings: MonitorSettings, watch: Watch) -> MonitorReport:
    """Compare a version's forecasts with the data's actuals. DataError where the data has none of the ledger's series."""
    version = find_version(ledger, settings.model)
    then = ReadOptions.of(freq=version.freq, season_length=version.season_length, zone=version.zone)
    panel = read_as(data, settings.read_options().or_else(then))
    made = entries(ledger, version)
    own = made.source == MODEL
    forecasts = ForecastActuals(made, _actuals(panel, made)).take(own)
    observed = ~np.isnan(forecasts.actual)
    if not len(made.series) or not np.isin(made.series, panel.series.astype(object)).any():
        raise DataError(f"{panel.source}: has none of the series in {ledger}.", "Name the data that was forecast.")
    known = forecasts.take(observed)
    if settings.model is None:
        watch.note(f"model {version.model}@{version.version}")
    serves = None
    if settings.recalibrate:
        serves = recalibrate(settings.models, version, known.entries, known.actual, panel)
        watch.note(
            f"{version.model}@{serves} serves: the weights of {version.version}, quantiles calibrated on the actuals"
        )
    recent = known.take(_recent(known)).scores("recent")
    nominal = version.quantiles[-1] - version.quantiles[0] if len(version.quantiles) > 1 else None
    verdict, reason = _verdict(recent, version.expected, nominal)
    return MonitorReport(
        model=version.model,
        version=version.version,
        verdict=verdict,
        reason=reason,
        nominal_coverage=nominal,
        expected=version.expected,
        waiting=int((~observed).sum()),
        fallbacks=int((~own).sum()),
        overall=known.scores("all"),
        recent=recent,
        by_step=_grouped(known, known.entries.step),
        by_week=_grouped(known, _weeks(known.entries.timestamp, version, Freq.parse(version.freq))),
        by_series=_grouped(known, known.entries.series),
        recalibrated=serves,
    )


def _verdict(recent: LiveScores, expected: float | None, nominal: float | None) -> tuple[str, str]:
    """The verdict and its reason. `expected` is the relative error on the test windows, `nominal` the nominal coverage.

    The verdict is to retrain where, over the latest two horizons of actuals, the model is no better than seasonal naive,
    though it was on the test windows; or its relative error is a quarter above that on the test windows; or the empirical
    coverage of its outermost quantiles is far below the nominal coverage.
    """
    if recent.count < MIN_FORECASTS or not np.isfinite(recent.relative):
        return "too few", f"fewer than {MIN_FORECASTS} forecasts have actuals"
    reasons = []
    if recent.relative >= 1 and (expected is None or expected < 1):
        reasons.append(f"its error is {recent.relative:.2f} of seasonal naive's")
    elif expected and recent.relative > MAX_DECAY * expected:
        reasons.append(f"its error is {recent.relative:.2f} of seasonal naive's, {expected:.2f} on the test windows")
    if nominal and recent.coverage < nominal - MAX_COVERAGE_GAP:
        reasons.append(f"its quantiles cover {recent.coverage:.0%} of the actuals, not {nominal:.0%}")
    if not reasons:
        return "keep", f"its error is {recent.relative:.2f} of seasonal naive's"
    return "retrain", f"over the latest {recent.count:,} forecasts " + " and ".join(reasons)


def _actuals(panel: Panel, made: Entries) -> FloatArray:
    """[E] the actual at each forecast's timestamp; NaN where none is observed yet."""
    number = {str(name): n for n, name in enumerate(panel.series)}
    actual = np.full(len(made.series), np.nan)
    names, index = np.unique(made.series.astype(str), return_inverse=True)
    for i, name in enumerate(names):
        if (n := number.get(str(name))) is None:
            continue
        rows = slice(panel.offsets[n], panel.offsets[n + 1])
        stamps, values = panel.timestamps[rows], panel.target[rows]
        chosen = np.flatnonzero(index == i)
        at = np.minimum(np.searchsorted(stamps, made.timestamp[chosen]), len(stamps) - 1)
        actual[chosen] = np.where(stamps[at] == made.timestamp[chosen], values[at], np.nan)
    return actual


def _recent(known: ForecastActuals) -> BoolArray:
    """[E] whether a forecast is of the latest two horizons of steps."""
    stamps = np.unique(known.entries.timestamp)
    horizon = int(known.entries.step.max()) if len(stamps) else 1
    oldest = stamps[-min(len(stamps), RECENT_HORIZONS * horizon)] if len(stamps) else 0
    return np.asarray(known.entries.timestamp >= oldest)


def _weeks(timestamps: IntArray, version: Version, freq: Freq) -> TextArray:
    """[E] the Monday of each timestamp's week; whole-number steps in blocks of seven."""
    if freq.whole_numbers:
        return np.asarray(timestamps // (7 * freq.count) * (7 * freq.count))
    days = wall_clock(timestamps, version.zone) // DAY
    monday = (days + 3) // 7 * 7 - 3
    return np.asarray(format_timestamps(monday * DAY, Freq.parse("D"), None))


def _grouped(known: ForecastActuals, groups: IntArray | TextArray) -> tuple[LiveScores, ...]:
    """Scores of each group, in ascending order."""
    order = np.argsort(groups, kind="stable")
    names, first = np.unique(groups[order], return_index=True)
    parts = np.split(order, first[1:]) if len(names) else []
    return tuple(known.take(part).scores(str(name)) for name, part in zip(names, parts, strict=True))


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
