"""The page of `evaluate --report`: the scores of a backtest, the model's plan and training, the data."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.summary import summarise
from forecaster.errors import counted
from forecaster.evaluation.metrics import METRICS, SCORE_NAMES
from forecaster.evaluation.quantile_metrics import coverage, mean_width
from forecaster.plotting import figures
from forecaster.plotting.html import (
    Page,
    PageColumn,
    PageFigure,
    PageTable,
    Section,
    Tile,
    page_table,
    step_noun,
)
from forecaster.plotting.series_view import Interval, SeriesView, backtest_views
from forecaster.serving.manifest import HISTORY

if TYPE_CHECKING:
    from forecaster.evaluation.backtest import Backtest
    from forecaster.evaluation.metrics import Scores
    from forecaster.evaluation.report import Evaluated

MAX_LISTED = 50  # series in the table


def evaluation_page(found: Evaluated, chosen: Sequence[str]) -> Page:
    """The page, without empty sections. It draws the series `chosen`, or the largest, the worst, the median and the best."""
    report = found.report
    views = backtest_views(found.backtest, found.panel, report.by_series, chosen)
    sections = (
        _scores(found),
        _windows(views),
        _by_step(found),
        _by_series(found),
        _calibration(found),
        _training(found),
        _plan(found),
        _data(found),
    )
    lead = f"Tested on {report.judged_on}. Horizon: {report.horizon:,} {step_noun(report.freq, report.horizon)}."
    return Page(f"How good is {found.report.label}?", lead, tuple(s for s in sections if s), _tiles(found))


def _tiles(found: Evaluated) -> tuple[Tile, ...]:
    report = found.report
    naive = report.baselines.get("seasonal-naive")
    tiles = [Tile("MASE", _short(report.metrics.mase), _against(report.metrics, naive))]
    tiles.append(Tile("sMAPE", _short(report.metrics.smape), METRICS["smape"].unit))
    intervals = Interval.between(found.backtest.quantiles)
    if intervals:
        share = coverage(found.backtest.target, *intervals[0].of(found.backtest.quantile_forecasts))
        tiles.append(Tile(f"in the {intervals[0].label}", f"{100 * share:.3g} %", "of the actuals"))
    tiles.append(Tile("windows", f"{report.windows:,}", f"of {len(report.by_series):,} series"))
    return tuple(tiles)


def _against(scores: Scores, naive: Scores | None) -> str:
    if naive is None or not naive.mase > 0 or math.isnan(scores.mase):
        return METRICS["mase"].unit
    change = 100 * (scores.mase / naive.mase - 1)
    return f"{abs(change):.1f} % {'below' if change < 0 else 'above'} seasonal naive's {naive.mase:.3g}"


def _short(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3g}"


def _scores(found: Evaluated) -> Section:
    rows = [[name, *scores.values()] for name, scores in found.report.compared.items()]
    shown = page_table(
        "Scores of all windows together; the best of each column is bold.", ["forecast by", *SCORE_NAMES], rows
    )
    text = "Lower is better. " + "; ".join(f"{metric.label}: {metric.unit}" for metric in METRICS.values()) + "."
    return Section("Scores alongside the baselines", text, tables=(_with_best(shown, rows),))


def _with_best(shown: PageTable, rows: Sequence[Sequence[object]]) -> PageTable:
    columns: list[PageColumn] = []
    for i, column in enumerate(shown.columns):
        values = [abs(value) if isinstance(value := row[i], float) else math.nan for row in rows] if i else []
        least = min((value for value in values if not math.isnan(value)), default=math.inf)  # a bias is best near 0
        columns.append(replace(column, best=frozenset(n for n, value in enumerate(values) if value == least)))
    return replace(shown, columns=tuple(columns))


def _windows(views: Sequence[SeriesView]) -> Section | None:
    if not views:
        return None
    text = "Each dashed line is a cutoff: the forecast to its right was made from the rows to its left."
    drawn = tuple(PageFigure(f"{one.name} ({one.note})", _seen(one), figures.draw_series_view(one)) for one in views)
    return Section("Forecasts and actuals", text, drawn)


def _seen(shown: SeriesView) -> str:
    windows = len(shown.starts)
    first, last = shown.stamps[shown.starts[0]], shown.stamps[-1]
    return f"The latest {counted(windows, 'window')}, {first} to {last}, in the data's units."


def _by_step(found: Evaluated) -> Section | None:
    columns = {name: [one.mase for one in steps] for name, steps in found.report.compared_by_step.items()}
    if not any(math.isfinite(value) for values in columns.values() for value in values):
        return None
    own = columns[found.report.label]
    rows = [[step, *errors] for step, errors in enumerate(zip(*columns.values(), strict=True), 1)]
    caption = f"MASE of {found.report.label} goes from {own[0]:.3g} at step 1 to {own[-1]:.3g} at step {len(own)}."
    drawn = PageFigure("Error by step ahead", caption, figures.steps(columns, "MASE", step_noun(found.report.freq, 2)))
    shown = page_table("MASE per step ahead in numbers", ["step ahead", *columns], rows, folded=True)
    return Section("Error by step ahead", "The error of each step ahead.", (drawn,), (shown,))


def _by_series(found: Evaluated) -> Section | None:
    scores = found.report.by_series
    if len(scores) < 2:
        return None
    known = np.array([one.mase for one in scores.values() if math.isfinite(one.mase)])
    worst_first = sorted(scores.items(), key=lambda item: -_or_zero(item[1].mase))
    rows = [[name, *one.values()] for name, one in worst_first]
    caption = (
        f"The worst {MAX_LISTED} of {len(rows):,} series" if len(rows) > MAX_LISTED else f"All {len(rows):,} series"
    )
    shown = page_table(f"{caption}, worst MASE first.", ["series", *SCORE_NAMES], rows[:MAX_LISTED])
    if not len(known):
        return Section("Error by series", "No series has a MASE.", (), (shown,))
    worse = int((known > 1).sum())
    summary = f"Median {np.median(known):.3g}; {worse:,} of {len(known):,} series are above 1."
    drawn = PageFigure("MASE of the series", summary, figures.spread(known, "MASE", 1.0))
    return Section(
        "Error by series", "The mean over all series can hide single ones with large errors.", (drawn,), (shown,)
    )


def _or_zero(value: float) -> float:
    return 0.0 if math.isnan(value) else value


def _calibration(found: Evaluated) -> Section | None:
    backtest, levels = found.backtest, found.backtest.quantiles
    scores, raw = backtest.quantile_scores(), backtest.raw_scores()
    observed = int((~np.isnan(backtest.target)).sum())
    if scores is None or not observed:
        return None
    shares = scores.below
    farthest = max(levels, key=lambda level: abs(shares[level] - level))
    caption = (
        f"Farthest from the diagonal: quantile {farthest:g}, with {100 * shares[farthest]:.1f} % "
        f"of {observed:,} actuals at or below it."
    )
    curves = {found.report.label: shares, **({"before calibration": raw.below} if raw else {})}
    drawn = PageFigure("Calibration", caption, figures.calibration(curves))
    tables = [_levels(curves)]
    if intervals := Interval.between(levels):
        tables.insert(0, _intervals(backtest, intervals))
    text = "Quantiles are calibrated where the share of actuals at or below each equals its level."
    return Section("Calibration of the intervals", text, (drawn,), tuple(tables))


def _intervals(backtest: Backtest, intervals: Sequence[Interval]) -> PageTable:
    levels, ways = (
        backtest.quantiles,
        [backtest.quantile_forecasts] if backtest.raw is None else [backtest.quantile_forecasts, backtest.raw],
    )
    rows: list[list[object]] = []
    for one in intervals:
        rows.append([one.label, 100 * (levels[one.high] - levels[one.low])])
        for quantile_forecasts in ways:
            rows[-1] += [
                100 * coverage(backtest.target, *one.of(quantile_forecasts)),
                mean_width(backtest.target, *one.of(quantile_forecasts)),
            ]
    header = ["interval", "nominal coverage, %", "empirical coverage, %", "mean width, data's units"]
    if len(ways) > 1:
        header += ["before calibration: empirical coverage, %", "mean width"]
    return page_table("Share of the actuals within each interval, and its mean width.", header, rows)


def _levels(curves: Mapping[str, Mapping[float, float]]) -> PageTable:
    (served, *before) = curves.values()
    rows = [
        [f"{level:g}", *(100 * share for share in (level, served[level], *(one[level] for one in before)))]
        for level in served
    ]
    header = ["quantile", "nominal, %", "at or below, %", *("before calibration, %" for _ in before)]
    return page_table("Each quantile in numbers", header, rows, folded=True)


# Stage in history.csv -> title and caption of its figure.
STAGE_TITLES = {"judge": "Loss of the tested fit", "final": "Loss of the serving fit"}
STAGE_CAPTIONS = {
    "judge": "It has not seen the test windows.",
    "final": "From the tested weights on, with all rows.",
}


def _training(found: Evaluated) -> Section | None:
    stages = read_history(found.folder) if found.folder else {}
    if not stages or not found.manifest:
        return None
    drawn = tuple(
        PageFigure(STAGE_TITLES.get(stage, f"Loss: {stage}"), STAGE_CAPTIONS.get(stage, ""), figures.losses(lines))
        for stage, lines in stages.items()
    )
    networks = len(found.manifest.members)
    text = f"{counted(networks, 'network')}; the training ended by {found.manifest.stopped}. Dashed: on validation windows."
    return Section("Training", text, drawn)


def read_history(folder: Path) -> dict[str, dict[str, figures.Curve]]:
    """Stage -> network -> its losses; empty where the model has no history, or a damaged one."""
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


def _plan(found: Evaluated) -> Section | None:
    manifest, report = found.manifest, found.report
    if not manifest:
        return None
    facts = {
        "cell": report.cell,
        "networks": f"{len(manifest.members):,}",
        "parameters": f"{report.parameters:,}",
        "trained": manifest.created,
        **manifest.versions,
    }
    text = "The settings of the training, and the reason for each."
    about = page_table("The model", ["about", "value"], [*map(list, facts.items())], folded=True)
    rows = [[row.setting, str(row.value), row.reason] for row in manifest.plan]
    plan = (page_table("Settings", ["setting", "value", "because"], rows),) if rows else ()
    return Section("The plan", text, tables=(*plan, about))


def _data(found: Evaluated) -> Section:
    shown = page_table("At a glance", ["about", "found"], [*map(list, summarise(found.panel).facts().items())])
    return Section("The data", f"The data of the test: {Path(found.panel.source).name}.", tables=(shown,))
