"""What `batch --report` and `batch --metrics` show: each job's record, and each model with its live error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.commands.batch.done_already import version_folder
from forecaster.config import EvaluateSettings, MonitorSettings, PredictSettings, TrainSettings
from forecaster.errors import ForecasterError
from forecaster.serving.store import Store, name_from_path
from forecaster.storage.files import replace_output
from forecaster.storage.json_values import finite

if TYPE_CHECKING:
    from datetime import datetime

    from forecaster.commands.batch.jobs import BatchJob
    from forecaster.commands.batch.result_lines import JobLine
    from forecaster.typing import Watch

STATES = ("done", "kept", "skipped", "failed")


def job_records(
    jobs: Sequence[BatchJob], lines: Sequence[JobLine], known: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Each job's record by its name: that of the status file, or, without one, what this run did."""
    now = {line.job: line for line in lines}
    found: dict[str, dict[str, Any]] = {}
    for job in jobs:
        record = dict(known.get(job.name, {}))
        if not record and (line := now.get(job.name)):
            good = line.status in ("done", "kept")
            record = {
                "last_status": line.status,
                "last_code": line.code,
                "last_error": line.error,
                "cutoff": line.cutoff,
                "fallbacks": line.fallbacks,
                "age_seconds": 0.0 if good else None,
            }
        if record:
            seconds = now[job.name].seconds if job.name in now else None
            found[job.name] = {"command": job.command, "seconds": seconds, **record}
    return found


def model_records(jobs: Sequence[BatchJob], watch: Watch) -> list[dict[str, Any]]:
    """Each stored model that the jobs use: its versions, and the report of `monitor` where a job has a ledger."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for job in jobs:
        try:
            store, name = Store(Path(job.settings.models)), _model(job)
            if name is None:
                continue
            kept = ", ".join(map(str, store.versions(name)))
            record = {"model": name, "serves": store.current(name), "versions": kept}
        except ForecasterError:  # the job's own line says it
            continue
        one = found.setdefault((job.settings.models, name), record)
        ledger = job.argument if job.command == "monitor" else getattr(job.settings, "ledger", None)
        if "live" not in one and ledger and job.data:
            one.update(_live(job, ledger, name, watch))
    return list(found.values())


def _model(job: BatchJob) -> str | None:
    """The name of the model that the job uses."""
    match job.settings:
        case TrainSettings(name=name):
            return name or name_from_path(str(job.data))
        case PredictSettings() | EvaluateSettings():
            return version_folder(job).parent.name
        case MonitorSettings(model=model):
            return model.partition("@")[0] if model else None
    return None


def _live(job: BatchJob, ledger: str, name: str, watch: Watch) -> dict[str, Any]:
    from forecaster.commands.monitor import monitor

    shared = {key: getattr(job.settings, key) for key in ("series", "timestamp", "target", "zone", "timestamp_format")}
    settings = MonitorSettings(models=job.settings.models, model=name, **shared)
    try:
        return {"live": finite(monitor(ledger, str(job.data), settings, watch).to_json())}
    except ForecasterError as fault:
        return {"fault": fault.message}


def write_report(
    path: str, title: str, now: datetime, jobs: Mapping[str, Any], models: Sequence[dict[str, Any]], watch: Watch
) -> None:
    """Write the page. ForecasterError where it cannot be written."""
    from forecaster.plotting.html import render
    from forecaster.plotting.operator_page import jobs_page

    page = jobs_page(title, now.strftime("%Y-%m-%d %H:%M UTC"), jobs, models)
    replace_output(path, render(page), watch.warn)


def write_metrics(
    path: str, now: datetime, jobs: Mapping[str, Any], models: Sequence[dict[str, Any]], watch: Watch
) -> None:
    """Write the text format of Prometheus, for node_exporter's textfile collector, which reads whole files only.

    ForecasterError where it cannot be written.
    """
    replace_output(path, metrics(now, jobs, models), watch.warn)


def metrics(now: datetime, jobs: Mapping[str, Any], models: Sequence[dict[str, Any]]) -> str:
    """The metrics of jobs and models, in Prometheus' text format."""
    from datetime import datetime as clock

    families: dict[str, tuple[str, list[str]]] = {}

    def add(name: str, help: str, value: float | None, **labels: str) -> None:
        if value is not None:
            text = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
            place = f"forecaster_{name}" + (f"{{{text}}}" if text else "")
            families.setdefault(name, (help, []))[1].append(f"{place} {float(value):.17g}")

    add("batch_end_time_seconds", "When the batch ended, since 1970.", now.timestamp())
    for name, job in jobs.items():
        success = job.get("last_success")
        when = clock.fromisoformat(success).timestamp() if success else None
        add("job_last_success_time_seconds", "When the job was last done, since 1970.", when, job=name)
        add("job_duration_seconds", "How long its latest run took.", job.get("seconds"), job=name)
        add("job_exit_code", "Exit code of its latest run.", job.get("last_code"), job=name)
        add("job_fallback_series", "Series that the fallback forecast.", job.get("fallbacks"), job=name)
        for state in STATES:
            add("job_state", "1 for the state of its latest run.", job["last_status"] == state, job=name, state=state)
    for one in models:
        live = one.get("live") or {}
        recent, name = live.get("recent") or {}, one["model"]
        add("model_version", "The version that serves.", one["serves"], model=name)
        add("model_mae", "Mean absolute error of the latest forecasts.", recent.get("mae"), model=name)
        add("model_naive_mae", "That of seasonal naive.", recent.get("naive_mae"), model=name)
        add("model_relative_error", "Scaled error over seasonal naive's.", recent.get("relative"), model=name)
        add("model_coverage", "Share of actuals in the outermost interval.", recent.get("coverage"), model=name)
        add("model_nominal_coverage", "Its nominal share.", live.get("promised"), model=name)
        verdict = live.get("verdict")
        add("model_retrain", "1 while monitor says retrain.", verdict == "retrain" if verdict else None, model=name)
    parts = []
    for name, (help, samples) in families.items():
        parts += [f"# HELP forecaster_{name} {help}", f"# TYPE forecaster_{name} gauge", *samples]
    return "\n".join(parts) + "\n"


def _escaped(label: str) -> str:
    """A label's value, as Prometheus reads it."""
    return re.sub(r'[\\"\n]', lambda c: {"\\": r"\\", '"': r"\"", "\n": r"\n"}[c[0]], label)
