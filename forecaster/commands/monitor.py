"""The command `monitor`: a ledger's forecasts compared with the actuals, and whether to retrain."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.commands.anomaly_file import check_anomaly_file, write_anomalies
from forecaster.commands.live_scores import ForecastActuals, LiveScores, find_actuals, square_scales
from forecaster.commands.live_tests import MIN_CUTOFFS, LiveErrors, LiveTests, joined, live_tests
from forecaster.data.freq import Freq, format_timestamps
from forecaster.data.panel import Columns
from forecaster.data.reading.column_roles import NoColumnError
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.row_options import KEEP, RowOptions
from forecaster.data.time_zones import DAY, days_on_clock
from forecaster.errors import ArtifactError, DataError, QualityError
from forecaster.evaluation.anomalies import Anomaly, outside
from forecaster.plotting.requirements import check_plot_file
from forecaster.serving.forecast import MODEL
from forecaster.serving.freshness import warn_of_unfinished
from forecaster.serving.ledger import Entries, Version, entries, find_version, versions
from forecaster.serving.manifest import json_key
from forecaster.serving.open_model import as_trained, open_model, trained_options
from forecaster.serving.overwriting import refuse_overwriting
from forecaster.serving.recalibrate import recalibrate
from forecaster.serving.store import Store
from forecaster.storage.addresses import shown
from forecaster.storage.files import replace_output
from forecaster.typing import Watch

if TYPE_CHECKING:
    from forecaster.config import MonitorSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import IntArray, TextArray


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
    recent: LiveScores  # since the change that an alarm is about, or over the latest cutoffs
    cutoffs: int  # whose actuals are all there, of this version and those before it
    alarms: int  # since the first of these; without a change at most one in a year, on average
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


def _chosen(ledger: str, settings: MonitorSettings) -> Version:
    """The version that `--model` names; else of its model, or the one that forecast last, what serves and has forecasts,
    or what forecast last.
    """
    newest = find_version(ledger, settings.model)
    if "@" in (settings.model or ""):
        return newest
    try:
        serves = Store(Path(settings.models)).current(newest.model)
        return find_version(ledger, f"{newest.model}@{serves}")
    except (ArtifactError, DataError):
        return newest


def _options_then(models: str, version: Version) -> ReadOptions:
    """How the data was read for the forecasts: as the model says, or as the ledger does where the model is gone."""
    try:
        manifest = open_model(models, f"{version.model}@{version.version}").manifest
    except ArtifactError:
        manifest = None
    if manifest and manifest.data.freq == version.freq:
        trained = trained_options(manifest)
        named = Columns(trained.columns.series, trained.columns.timestamp, trained.columns.target)
        return replace(trained, columns=named)  # actuals need no covariates
    options = ReadOptions.of(freq=version.freq, season_length=version.season_length, zone=version.zone)
    return replace(options, rows=RowOptions(all_slots=True, leading_zeros=KEEP))


def _read_actuals(data: str, given: ReadOptions, then: ReadOptions, model: str) -> Panel:
    """The data in the model's columns; where it lacks one, actuals have columns of their own, which are inferred."""
    try:
        return read_as(data, as_trained(given, then, model))
    except NoColumnError:
        if data == "-":  # which can be read once
            raise
        return read_as(data, as_trained(given, replace(then, columns=Columns()), model))


def monitor(
    ledger: str, data: str, settings: MonitorSettings, watch: Watch, now: datetime | None = None
) -> MonitorReport:
    """Compare a version's forecasts with the data's actuals. An actual of a period that is not over at `now` is warned of; None =
    this machine's clock. DataError where the data has none of the ledger's series.
    """
    if settings.report:
        check_plot_file(settings.report, "--report", (".html",))
    if settings.anomalies:
        check_anomaly_file(settings.anomalies)
    data = settings.source(data)
    refuse_overwriting(
        {"--report": settings.report, "--anomalies": settings.anomalies},
        {"the ledger": ledger, "the data": data},
        settings.models,
    )
    version = _chosen(ledger, settings)
    then = _options_then(settings.models, version)
    panel = _read_actuals(data, settings.read_options(), then, version.model)
    for warning in panel.warnings:
        watch.warn(warning.rstrip("."))
    warn_of_unfinished(panel, watch, now)
    made = entries(ledger, version)
    own = made.source == MODEL
    forecasts = ForecastActuals(
        made, find_actuals(panel, made), version.quantiles, square_scales(panel, made, version.season_length)
    ).take(own)
    observed = ~np.isnan(forecasts.actual)
    if not len(made.series) or not np.isin(made.series, panel.series.astype(object)).any():
        raise DataError(
            f"{panel.source}: has none of the series in {shown(ledger)}.", "Name the data that was forecast."
        )
    known = forecasts.take(observed)
    if settings.model is None:
        watch.note(f"model {version.model}@{version.version}")
    freq = Freq.parse(version.freq)
    tests = live_tests(_live_errors(ledger, version, int(made.cutoff.max()), panel), int(made.step.max()), freq)
    recent = known.take(freq.ordinals(known.entries.timestamp, version.zone) >= tests.first).scores("recent")
    nominal = version.quantiles[-1] - version.quantiles[0] if len(version.quantiles) > 1 else None
    verdict, reason = _verdict(tests, recent, panel)
    if settings.anomalies:
        write_anomalies(settings.anomalies, _anomalies(known, version, panel), watch.warn)
    report = MonitorReport(
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
        cutoffs=tests.cutoffs,
        alarms=tests.count,
        by_step=_grouped(known, known.entries.step),
        by_week=_grouped(known, _weeks(known.entries.timestamp, version, freq)),
        by_series=_grouped(known, known.entries.series),
    )
    if settings.report:
        from forecaster.plotting.html import render
        from forecaster.plotting.operator_page import live_page

        replace_output(settings.report, render(live_page(report.to_json())), watch.warn)
    if not settings.recalibrate:
        return report
    # Last, as each run stores a version: one that failed after it would leave another at each retry.
    serves = recalibrate(settings.models, version, known.entries, known.actual, panel)
    watch.note(
        f"{version.model}@{serves} serves: the weights of {version.version}, quantiles calibrated on the actuals"
    )
    return replace(report, recalibrated=serves)


def _anomalies(known: ForecastActuals, version: Version, panel: Panel) -> list[Anomaly]:
    """The actuals outside the outermost quantiles of the latest forecast of each. DataError for forecasts without quantiles."""
    if len(version.quantiles) < 2:
        raise DataError(f"{version.model}@{version.version} forecast no quantiles.", "Predict with two or more.")
    made = known.entries
    order = np.lexsort((-made.cutoff, made.timestamp, made.series.astype(str)))
    names, stamps = made.series[order].astype(str), made.timestamp[order]
    latest = np.ones(len(order), np.bool_)
    latest[1:] = (names[1:] != names[:-1]) | (stamps[1:] != stamps[:-1])
    one = known.take(order[latest])
    own = one.entries
    low, high = own.quantile_forecasts[:, 0], own.quantile_forecasts[:, -1]
    places, probability = outside(one.actual, own.prediction, low, high)
    texts = format_timestamps(own.timestamp[places], panel.freq, panel.zone).tolist()
    return [
        Anomaly(
            series=str(own.series[at]),
            timestamp=text,
            step=int(own.step[at]),
            actual=float(one.actual[at]),
            prediction=float(own.prediction[at]),
            low=float(low[at]),
            high=float(high[at]),
            nominal=round(version.quantiles[-1] - version.quantiles[0], 12),
            probability=float(share),
        )
        for at, text, share in zip(places, texts, probability, strict=True)
    ]


def _verdict(tests: LiveTests, recent: LiveScores, panel: Panel) -> tuple[str, str]:
    """The verdict and its reason: to retrain where a test has an alarm now."""
    if tests.alarms:
        return "retrain", " and ".join(one.reason(_text_of(one.since, panel)) for one in tests.alarms)
    if tests.cutoffs < MIN_CUTOFFS:
        plural = "s have" if tests.cutoffs != 1 else " has"
        return "too few", f"{tests.cutoffs} cutoff{plural} all actuals, a verdict needs {MIN_CUTOFFS}"
    return "keep", f"its error is {recent.relative:.2f} of seasonal naive's"


def _text_of(step: int, panel: Panel) -> str:
    """The first timestamp at or after a step (`Freq.ordinals`), as text."""
    later = panel.timestamps[panel.freq.ordinals(panel.timestamps, panel.zone) >= step]
    return str(format_timestamps(later.min(keepdims=True), panel.freq, panel.zone)[0])


def _live_errors(ledger: str, version: Version, until: int, panel: Panel) -> LiveErrors:
    """The errors of a version's forecasts, and of those of the model's versions before it, for the same steps of time.

    `until`: its newest cutoff, as those before serve again after it was rolled back.
    """
    same = [
        one
        for one in versions(ledger)
        if (one.model, one.freq, one.zone) == (version.model, version.freq, version.zone)
        and 0 < one.version <= version.version
    ]
    found = joined([_errors_of(one, entries(ledger, one), panel) for one in same])
    return found.take(found.cutoff <= Freq.parse(version.freq).ordinals(np.array([until]), version.zone)[0])


def _errors_of(version: Version, made: Entries, panel: Panel) -> LiveErrors:
    freq = Freq.parse(version.freq)
    actual = find_actuals(panel, made)
    chosen = ~np.isnan(actual) & (made.source == MODEL)
    known = ForecastActuals(made, actual, version.quantiles, np.full(len(actual), np.nan)).take(chosen)
    own, count = known.entries, int(chosen.sum())
    scale = own.scale if not np.isnan(own.scale).all() else np.ones(count)  # one constant series: in its own units
    # A version that was no better than seasonal naive on its test windows is not compared with it.
    naive = own.naive if version.expected is None or version.expected < 1 else np.full(count, np.nan)
    number = np.argsort(panel.series)  # each series with an actual is in the panel
    missed, nominal = np.full(count, np.nan), np.full(count, np.nan)
    if len(version.quantiles) > 1:
        missed = ((known.actual < own.quantile_forecasts[:, 0]) | (known.actual > own.quantile_forecasts[:, -1])) * 1.0
        nominal[:] = 1 - (version.quantiles[-1] - version.quantiles[0])
    return LiveErrors(
        version=np.full(count, version.version),
        series=number[np.searchsorted(panel.series[number], own.series.astype(str))],
        cutoff=freq.ordinals(own.cutoff, version.zone),
        step=own.step,
        timestamp=freq.ordinals(own.timestamp, version.zone),
        deviation=(own.prediction - known.actual) / scale,
        naive=np.abs(naive - known.actual) / scale,
        missed=missed,
        nominal_missed=nominal,
    )


def _weeks(timestamps: IntArray, version: Version, freq: Freq) -> TextArray:
    """[E] the Monday of each timestamp's week; whole-number steps in blocks of seven."""
    if freq.whole_numbers:
        return np.asarray(timestamps // (7 * freq.count) * (7 * freq.count))
    days = days_on_clock(timestamps, version.zone)
    monday = (days + 3) // 7 * 7 - 3
    return np.asarray(format_timestamps(monday * DAY, Freq.parse("D"), None))


def _grouped(known: ForecastActuals, groups: IntArray | TextArray) -> tuple[LiveScores, ...]:
    """Scores of each group, in ascending order."""
    order = np.argsort(groups, kind="stable")
    names, first = np.unique(groups[order], return_index=True)
    parts = np.split(order, first[1:]) if len(names) else []
    return tuple(known.take(part).scores(str(name)) for name, part in zip(names, parts, strict=True))
