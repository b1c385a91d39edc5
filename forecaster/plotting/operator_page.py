"""Pages for the operator: the jobs of a batch with their models, and a model's live forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from forecaster.errors import counted, listed
from forecaster.plotting import figures
from forecaster.plotting.html import Page, PageFigure, Section, Tile, page_table

DAY, HOUR, MINUTE = 86_400, 3_600, 60  # seconds
MAX_SERIES = 1_000  # in a table


def jobs_page(
    title: str, updated: str, jobs: Mapping[str, Mapping[str, Any]], models: Sequence[Mapping[str, Any]]
) -> Page:
    """The page of a batch. `jobs`: as in status.json, by name, and with `command`. `models`: one for each stored model.

    A model has `model`, `serves`, `versions`, and, where its ledger was looked at, the report of `monitor` as `live`, or the
    reason why there is none as `fault`.
    """
    states = [str(job["last_status"]) for job in jobs.values()]
    ages = [job["age_seconds"] for job in jobs.values() if job.get("age_seconds") is not None]
    failed = [name for name, job in jobs.items() if job["last_status"] == "failed"]
    tiles = (
        Tile("jobs", str(len(jobs)), f"{states.count('done')} done, {states.count('skipped')} skipped"),
        Tile("failed", str(len(failed)), listed(failed)),
        Tile("oldest success", _age(max(ages)) or "–" if ages else "–", "since a job's last success"),
        Tile("fallbacks", str(sum(int(job.get("fallbacks") or 0) for job in jobs.values())), "series"),
    )
    header = ["job", "command", "state", "last success", "age", "duration", "cutoff", "fallbacks", "code", "message"]
    rows = [
        [
            name,
            job.get("command"),
            job["last_status"],
            job.get("last_success"),
            _age(job.get("age_seconds")),
            _age(job.get("seconds")),
            None if job.get("cutoff") is None else str(job["cutoff"]),
            job.get("fallbacks"),
            job.get("last_code"),
            job.get("last_error"),
        ]
        for name, job in jobs.items()
    ]
    sections = [Section("Jobs", "The latest run of each job.", tables=(page_table("", header, rows),))]
    if models:
        sections.append(_models(models))
    for one in models:
        if live := one.get("live"):
            sections.append(_weeks(f"{live['model']}@{live['version']}", live))
    return Page(title=title, lead=f"As of {updated}.", sections=tuple(sections), tiles=tiles)


def live_page(found: Mapping[str, Any]) -> Page:
    """The page of `monitor`. `found`: its report as JSON has it."""
    recent = found["recent"]
    tiles = (
        Tile("verdict", str(found["verdict"]), counted(int(found["alarms"]), "alarm")),
        Tile("relative error", _number(recent["relative"]), "of seasonal naive's"),
        Tile("coverage", _share(recent["coverage"]), f"nominal {_share(found['promised'])}"),
        Tile("forecasts", f"{found['overall']['count']:,}", f"{found['waiting']:,} wait for their actuals"),
    )
    header, steps = ["step ahead", *_MEASURES], [[int(one["group"]), *_scores(one)] for one in found["by_step"]]
    series = [[one["group"], *_scores(one)] for one in found["by_series"][:MAX_SERIES]]
    more = len(found["by_series"]) - len(series)
    note = f"The first {len(series):,} series; `monitor --json` has all." if more > 0 else ""
    sections = (
        _weeks("Error by week", found),
        Section("Error by step ahead", "", tables=(page_table("", header, steps),)),
        Section("Error by series", note, tables=(page_table("", ["series", *_MEASURES], series),)),
    )
    lead = f"{str(found['verdict']).capitalize()}: {found['reason']}."
    return Page(title=f"{found['model']}@{found['version']}", lead=lead, sections=sections, tiles=tiles)


_MEASURES = ["forecasts", "MAE", "naive MAE", "relative", "coverage"]


def _scores(one: Mapping[str, Any]) -> list[object]:
    return [one["count"], one["mae"], one["naive_mae"], one["relative"], one["coverage"]]


def _models(models: Sequence[Mapping[str, Any]]) -> Section:
    header = ["model", "serves", "kept", "verdict", "MAE", "naive MAE", "relative", "coverage", "nominal", "reason"]
    rows: list[list[object]] = []
    for one in models:
        live = one.get("live") or {}
        recent = live.get("recent") or {}
        rows.append(
            [
                one["model"],
                one["serves"],
                one["versions"],
                live.get("verdict"),
                *(recent.get(key) for key in ("mae", "naive_mae", "relative", "coverage")),
                live.get("promised"),
                live.get("reason") or one.get("fault"),
            ]
        )
    text = "The version that serves and those that are kept; the error of the latest forecasts that have their actuals."
    return Section("Models", text, tables=(page_table("", header, rows),))


def _weeks(title: str, found: Mapping[str, Any]) -> Section:
    """Error and coverage by week, beside seasonal naive's."""
    weeks = found["by_week"]
    table = page_table("", ["week", *_MEASURES], [[str(one["group"]), *_scores(one)] for one in weeks], folded=True)
    if not weeks:
        return Section(title, "No forecast has its actuals yet.")
    columns = {
        name: [_or_nan(one[key]) for one in weeks] for name, key in (("model", "mae"), ("seasonal naive", "naive_mae"))
    }
    drawn = PageFigure(
        f"MAE by week, {title}" if title != "Error by week" else "MAE by week",
        f"From {weeks[0]['group']} to {weeks[-1]['group']}, in the data's units.",
        figures.weeks(columns, "MAE"),
    )
    return Section(title, "", figures=(drawn,), tables=(table,))


def _or_nan(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")


def _age(seconds: float | None) -> str | None:
    """`2 d 3 h`, `5 min`, `4.2 s`."""
    if seconds is None:
        return None
    if seconds < MINUTE:
        return f"{seconds:.3g} s"
    whole = int(seconds)
    for unit, name, below, smaller in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min"), (MINUTE, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // below
            return f"{whole // unit} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def _number(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "–" if value is None or value != value else f"{value:.0%}"
