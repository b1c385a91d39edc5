"""Results as tables for people: a header and rows, which the console aligns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from forecaster.evaluation.metrics import METRICS, SCORE_NAMES

if TYPE_CHECKING:
    from forecaster.commands.check import CheckReport
    from forecaster.commands.compare import Comparison
    from forecaster.commands.explain import Explanation
    from forecaster.commands.live_scores import LiveScores
    from forecaster.commands.train_report import TrainReport
    from forecaster.commands.tune import Tuned
    from forecaster.evaluation.gradient_norms import NetworkMemory
    from forecaster.evaluation.report import Report

TextTable: TypeAlias = "tuple[list[str], list[list[object]]]"  # header, rows


def score_table(report: Report) -> TextTable:
    """Header and rows: the model, then the baselines, one row each."""
    return ["", *SCORE_NAMES], [[name, *scores.values()] for name, scores in report.compared.items()]


def interval_table(report: Report) -> TextTable:
    """Header and rows: the quantiles after and before calibration; no rows where there are no quantiles."""
    kinds = {"calibrated" if report.raw_intervals else "quantiles": report.intervals, "raw": report.raw_intervals}
    rows: list[list[object]] = [
        [name, one.nominal_coverage, one.empirical_coverage, one.width, one.msis, one.pinball, one.wql, one.crps]
        for name, one in kinds.items()
        if one
    ]
    return ["", "nominal", "coverage", "width", "MSIS", "pinball", "WQL", "CRPS"], rows


def step_table(report: Report) -> TextTable:
    """Header and rows: MASE of the model and the baselines, per step ahead."""
    columns = report.compared_by_step
    rows: list[list[object]] = [
        [step + 1, *(column[step].mase for column in columns.values())] for step in range(len(report.by_step))
    ]
    return ["MASE at step", *columns], rows


def series_table(report: Report) -> TextTable:
    """Header and rows: the model's scores, one row per series."""
    return ["series", *SCORE_NAMES], [[name, *scores.values()] for name, scores in report.by_series.items()]


def contribution_table(report: TrainReport) -> TextTable:
    """Header and rows: the error of each member alone, and of the others without it."""
    rows: list[list[object]] = [[one.member, one.error, one.without] for one in report.contributions]
    return ["member", "MASE alone", "all others"], rows


def effect_table(found: Explanation) -> TextTable:
    """Header and rows: how much each input changes the forecasts."""
    rows: list[list[object]] = [[one.role, one.name, one.moved, one.error] for one in found.effects]
    return ["role", "input", "changes the forecast by", "raises MASE by"], rows


def fault_table(report: CheckReport) -> TextTable:
    """Header and rows: the faults that are shown, and the number of the others."""
    rows: list[list[object]] = []
    for kind in report.checked.kinds:
        rows += [[fault.line, fault.column, fault.series, fault.found, fault.hint] for fault in kind.shown]
        more = kind.count - len(kind.shown)
        if more:
            rows.append([None, None, None, f"and {more:,} more like these", ""])
    return ["line", "column", "series", "found", "remedy"], rows


def summary_table(report: CheckReport) -> TextTable:
    """Header and rows: a summary of the rows that have no fault."""
    about = report.summary
    if about is None:
        return ["about", "found"], [["rows", report.checked.rows]]
    rows: list[list[object]] = [[name, found] for name, found in about.facts().items()]
    rows += [
        ["duplicates", f"{report.duplicates:,}"],
        ["unfinished last period", f"{report.unfinished:,} series" if report.unfinished else "none"],
    ]
    return ["about", "found"], rows


def match_table(report: CheckReport) -> TextTable:
    """Header and rows: the data compared with what the model was trained on."""
    rows: list[list[object]] = [
        [one.about, one.trained, one.found, "yes" if one.matches else "no"] for one in report.matches
    ]
    return [f"against {report.model}", "trained", "found", "fits"], rows


def comparison_table(found: Comparison) -> TextTable:
    """Header and rows: the cells, best first, then the baselines."""
    header = ["", *SCORE_NAMES, "parameters", "s/epoch", "peak MB"]
    rows: list[list[object]] = []
    for entry in found.entries:
        memory = entry.peak_memory // 2**20
        scores = [entry.score(name) for name in METRICS]
        rows.append([entry.name, *scores, entry.parameters, entry.seconds_per_epoch, memory])
    for name, own in found.baselines.items():
        rows.append([name, *own.values(), None, None, None])
    return header, rows


def memory_table(networks: Sequence[NetworkMemory]) -> TextTable:
    """Header and rows: by rows back, each network's share of the squared gradient, and its state gradient at the oldest."""
    columns = [{back: (share, state) for back, share, state in one.stretches()} for one in networks]
    backs = list(dict.fromkeys(back for column in columns for back in column))
    header = ["rows back", *(text for one in networks for text in (f"{one.name}: share", "state gradient"))]
    rows: list[list[object]] = [
        [back, *(value for column in columns for value in column.get(back, (None, None)))] for back in backs
    ]
    rows.append(["rows with 90%", *(value for one in networks for value in (one.memory.reach(), None))])
    return header, rows


def tuned_table(found: Tuned) -> TextTable:
    """Header and rows: each searched setting in the automatic plan and in the best plan."""
    return ["setting", "automatic", "best"], [[name, found.automatic[name], found.best[name]] for name in found.best]


def live_table(title: str, groups: tuple[LiveScores, ...]) -> TextTable:
    """Header and rows: the scores of each group of forecasts."""
    rows: list[list[object]] = [
        [
            one.group, one.count, one.mae, one.naive_mae, one.relative, one.coverage, one.wape, one.bias, one.rmsse, one.pinball
        ]
        for one in groups
    ]  # fmt: skip
    header = [title, "forecasts", "MAE", "naive MAE", "relative", "coverage", "WAPE %", "bias %", "RMSSE", "pinball"]
    return header, rows
