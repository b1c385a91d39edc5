"""The page of `evaluate --report`: what a backtest showed, beside what the model is and was trained on."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.bands import coverage, mean_width
from forecaster.data.summary import summarise
from forecaster.models.artifact import HISTORY
from forecaster.outputs import write_whole
from forecaster.report import score_table, series_table, step_table
from forecaster.views import figures
from forecaster.views.pages import Column, Figure, Page, Section, Table, Tile, counted, render, table
from forecaster.views.tracks import Interval, Track, tracks_judged

if TYPE_CHECKING:
    from forecaster.backtest import Backtest
    from forecaster.data.panel import Panel
    from forecaster.metrics import Scores
    from forecaster.models.artifact import Manifest
    from forecaster.report import Report

WORST = 50  # series that the table lists


@dataclass(frozen=True)
class Judgement:
    """What there is to show."""

    report: Report
    judged: Backtest
    panel: Panel  # the data that was judged on
    manifest: Manifest
    folder: Path  # of the stored model

    @property
    def who(self) -> str:
        """The model's name and version."""
        return f"{self.report.model}@{self.report.version}"


def write_page(path: str, found: Judgement, chosen: Sequence[str]) -> None:
    """One HTML file that changes whole or not at all. UsageError where it cannot be written."""
    write_whole(Path(path), render(judged_page(found, chosen)).encode("utf-8", "replace").decode())


def judged_page(found: Judgement, chosen: Sequence[str]) -> Page:
    """Every section that the backtest has something for; the series `chosen`, or the worst, the median and the best."""
    report = found.report
    tracks = tracks_judged(found.judged, found.panel, report.by_series, chosen)
    sections = (
        _scores(found),
        _windows(tracks),
        _by_step(found),
        _by_series(found),
        _calibration(found),
        _training(found),
        _plan(found),
        _data(found),
    )
    lead = f"Judged on {report.judged_on}. Horizon: {counted(report.horizon, 'step')} of {report.freq}."
    return Page(f"How good is {found.who}?", lead, tuple(s for s in sections if s), _tiles(found))


def _tiles(found: Judgement) -> tuple[Tile, ...]:
    report = found.report
    naive = report.baselines.get("seasonal-naive")
    tiles = [Tile("MASE", _short(report.metrics.mase), _against(report.metrics, naive))]
    tiles.append(Tile("sMAPE", _short(report.metrics.smape), "percent, 0 to 200"))
    intervals = Interval.between(found.judged.quantiles)
    if intervals:
        held = coverage(found.judged.target, *intervals[0].of(found.judged.bands))
        tiles.append(Tile(f"in the {intervals[0].label}", f"{100 * held:.3g} %", "of the outcomes"))
    tiles.append(Tile("windows", f"{report.windows:,}", f"of {len(report.by_series):,} series"))
    return tuple(tiles)


def _against(scores: Scores, naive: Scores | None) -> str:
    if naive is None or not naive.mase > 0 or math.isnan(scores.mase):
        return "1 = seasonal naive in sample"
    change = 100 * (scores.mase / naive.mase - 1)
    return f"{abs(change):.1f} % {'below' if change < 0 else 'above'} seasonal naive's {naive.mase:.3g}"


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def _scores(found: Judgement) -> Section:
    header, rows = score_table(found.report)
    shown = table(
        "Scores of all windows together; the best of each column is bold.", ["forecast by", *header[1:]], rows
    )
    text = (
        "MAE and RMSE are in the data's units, sMAPE in percent, MASE over the in-sample error of the seasonal naive "
        "forecast: below 1 is better than that."
    )
    return Section("Beside the baselines", text, tables=(_with_best(shown, rows),))


def _with_best(shown: Table, rows: Sequence[Sequence[object]]) -> Table:
    columns: list[Column] = []
    for i, column in enumerate(shown.columns):
        values = [row[i] if isinstance(row[i], float) else math.nan for row in rows] if i else []
        known = [v for v in values if isinstance(v, float) and not math.isnan(v)]
        columns.append(replace(column, best=frozenset(n for n, v in enumerate(values) if known and v == min(known))))
    return replace(shown, columns=tuple(columns))


def _windows(tracks: Sequence[Track]) -> Section | None:
    if not tracks:
        return None
    text = "Each dashed line is a cutoff: what stands right of it was forecast from what stands left of it."
    drawn = tuple(Figure(f"{one.name} ({one.note})", _seen(one), figures.track(one)) for one in tracks)
    return Section("Forecast against truth", text, drawn)


def _seen(shown: Track) -> str:
    windows = len(shown.starts)
    first, last = shown.stamps[shown.starts[0]], shown.stamps[-1]
    return f"The newest {counted(windows, 'window')}, {first} to {last}, in the data's units."


def _by_step(found: Judgement) -> Section | None:
    header, rows = step_table(found.report)
    columns = {name: [float(str(row[i])) for row in rows] for i, name in enumerate(header) if i}
    if not any(math.isfinite(value) for values in columns.values() for value in values):
        return None
    first, last = columns[header[1]][0], columns[header[1]][-1]
    caption = f"MASE of {found.who} goes from {first:.3g} at step 1 to {last:.3g} at step {len(rows)}."
    drawn = Figure("Error by step ahead", caption, figures.steps(columns, "MASE", found.report.freq))
    shown = table("MASE per step ahead in numbers", ["step ahead", *header[1:]], rows, folded=True)
    return Section("Error by step ahead", "How errors grow with the distance.", (drawn,), (shown,))


def _by_series(found: Judgement) -> Section | None:
    scores = found.report.by_series
    if len(scores) < 2:
        return None
    header, rows = series_table(found.report)
    known = np.array([one.mase for one in scores.values() if math.isfinite(one.mase)])
    rows = sorted(rows, key=lambda row: -_or_zero(row[-1]))
    caption = f"The worst {WORST} of {len(rows):,} series" if len(rows) > WORST else f"All {len(rows):,} series"
    shown = table(f"{caption}, worst MASE first.", header, rows[:WORST])
    if not len(known):
        return Section("Error by series", "No series has a MASE.", (), (shown,))
    worse = int((known > 1).sum())
    said = f"Median {np.median(known):.3g}; {worse:,} of {len(known):,} series are above 1."
    drawn = Figure("MASE of the series", said, figures.spread(known, "MASE", 1.0))
    return Section("Error by series", "A mean over all series hides those that went wrong.", (drawn,), (shown,))


def _or_zero(value: object) -> float:
    return value if isinstance(value, float) and not math.isnan(value) else 0.0


def _calibration(found: Judgement) -> Section | None:
    judged, levels = found.judged, found.judged.quantiles
    scores, raw = judged.band_scores(), judged.raw_scores()
    observed = int((~np.isnan(judged.target)).sum())
    if scores is None or not observed:
        return None
    shares = scores.below
    farthest = max(levels, key=lambda level: abs(shares[level] - level))
    caption = (
        f"Farthest from the diagonal: quantile {farthest:g}, at or below which {100 * shares[farthest]:.1f} % "
        f"of {observed:,} outcomes stayed."
    )
    curves = {found.who: shares} if raw is None else {found.who: shares, "before calibration": raw.below}
    drawn = Figure("Calibration", caption, figures.calibration(curves))
    tables = [_levels(curves)]
    if intervals := Interval.between(levels):
        tables.insert(0, _intervals(judged, intervals))
    text = "Quantiles are right where outcomes stay at or below each as often as its level says."
    return Section("Can the intervals be trusted?", text, (drawn,), tuple(tables))


def _intervals(judged: Backtest, intervals: Sequence[Interval]) -> Table:
    levels, ways = judged.quantiles, [judged.bands] if judged.raw is None else [judged.bands, judged.raw]
    rows: list[list[object]] = []
    for one in intervals:
        rows.append([one.label, 100 * (levels[one.high] - levels[one.low])])
        for bands in ways:
            rows[-1] += [
                100 * coverage(judged.target, *one.of(bands)),
                mean_width(judged.target, *one.of(bands)),
            ]
    header = ["interval", "should hold, %", "held, %", "mean width, data's units"]
    if len(ways) > 1:
        header += ["before calibration: held, %", "mean width"]
    return table("Outcomes within each interval, and how wide it is.", header, rows)


def _levels(curves: Mapping[str, Mapping[float, float]]) -> Table:
    (served, *before) = curves.values()
    rows = [
        [f"{level:g}", *(100 * share for share in (level, served[level], *(one[level] for one in before)))]
        for level in served
    ]
    header = ["quantile", "should be, %", "at or below, %", *("before calibration, %" for _ in before)]
    return table("Each quantile in numbers", header, rows, folded=True)


STAGES = {
    "judge": "The fit that was judged: it has not seen the held-back rows.",
    "final": "The fit that serves: on all rows, as long as the judged one ran.",
}


def _training(found: Judgement) -> Section | None:
    stages = read_history(found.folder)
    if not stages:
        return None
    drawn = tuple(
        Figure(f"Loss: {stage}", STAGES.get(stage, ""), figures.losses(lines)) for stage, lines in stages.items()
    )
    networks = len(found.manifest.members)
    text = f"{counted(networks, 'network')}; the training ended by {found.manifest.stopped}. Dashed: on validation windows."
    return Section("Training", text, drawn)


def read_history(folder: Path) -> dict[str, dict[str, figures.Curve]]:
    """Stage -> network -> its losses; empty where the model keeps none."""
    stages: dict[str, dict[str, figures.Curve]] = {}
    try:
        for row in csv.DictReader((folder / HISTORY).read_text(encoding="utf-8").splitlines()):
            stage, _, member = row["stage"].partition(" ")
            curve = stages.setdefault(stage, {}).setdefault(
                f"network {int(member or 0) + 1}", figures.Curve([], [], [])
            )
            curve.epochs.append(int(row["epoch"]))
            curve.loss.append(float(row["loss"]))
            curve.validation.append(float(row["validation_loss"] or "nan"))
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return stages


def _plan(found: Judgement) -> Section:
    manifest, report = found.manifest, found.report
    facts = {
        "cell": report.cell,
        "networks": f"{len(manifest.members):,}",
        "parameters": f"{report.parameters:,}",
        "trained": manifest.created,
        **manifest.versions,
    }
    text = "What was chosen when the model was trained, and why."
    about = table("The model", ["about", "value"], [*map(list, facts.items())], folded=True)
    rows = [[row.setting, str(row.value), row.reason] for row in manifest.plan]
    plan = (table("Settings", ["setting", "value", "because"], rows),) if rows else ()
    return Section("The plan", text, tables=(*plan, about))


def _data(found: Judgement) -> Section:
    shown = table("At a glance", ["about", "found"], [*map(list, summarise(found.panel).facts().items())])
    return Section("The data", f"What was judged on: {Path(found.panel.source).name}.", tables=(shown,))
