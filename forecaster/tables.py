"""What commands found as tables for people: a header and rows each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecaster.report import SCORE_NAMES

if TYPE_CHECKING:
    from forecaster.compare import Comparison
    from forecaster.explain import Explanation
    from forecaster.report import Report
    from forecaster.train_report import TrainReport
    from forecaster.tune import Tuned


def interval_table(report: Report) -> tuple[list[str], list[list[object]]]:
    """Header and rows: the quantiles after and before calibration; no rows where there are no quantiles."""
    kinds = {"calibrated" if report.raw_intervals else "quantiles": report.intervals, "raw": report.raw_intervals}
    rows: list[list[object]] = [
        [name, one.promised, one.coverage, one.width, one.msis, one.pinball, one.wql, one.crps]
        for name, one in kinds.items()
        if one
    ]
    return ["", "promised", "held", "width", "MSIS", "pinball", "WQL", "CRPS"], rows


def contribution_table(report: TrainReport) -> tuple[list[str], list[list[object]]]:
    """Header and rows: what each member adds."""
    rows: list[list[object]] = [[one.member, one.error, one.without] for one in report.contributions]
    return ["member", "MASE alone", "all others"], rows


def comparison_table(found: Comparison) -> tuple[list[str], list[list[object]]]:
    """Header and rows: the cells, best first, then the baselines."""
    header = ["", *SCORE_NAMES, "parameters", "s/epoch", "peak MB"]
    rows: list[list[object]] = []
    for entry in found.entries:
        memory = None if entry.peak_memory is None else entry.peak_memory // 2**20
        scores = [entry.score(name.lower()) for name in SCORE_NAMES]
        rows.append([entry.name, *scores, entry.parameters, entry.seconds_per_epoch, memory])
    for name, score in found.baselines.items():
        rows.append([name, score.mae, score.rmse, score.smape, score.mase, None, None, None])
    return header, rows


def effect_table(found: Explanation) -> tuple[list[str], list[list[object]]]:
    """Header and rows: how much each input moves the forecast, and what it is worth."""
    rows: list[list[object]] = [[one.role, one.name, one.moved, one.error] for one in found.effects]
    return ["role", "input", "moves the forecast by", "MASE grows by"], rows


def tuned_table(found: Tuned) -> tuple[list[str], list[list[object]]]:
    """Header and rows: each searched setting, as the automatic plan has it and as the best one does."""
    return ["setting", "automatic", "best"], [[name, found.automatic[name], found.best[name]] for name in found.best]
