"""The settings of the commands that run and monitor many models."""

from __future__ import annotations

from dataclasses import dataclass

from forecaster.config.option import option, switch
from forecaster.config.shared import EngineOptions, GridOptions, LockOptions, StoreOptions


@dataclass(frozen=True)
class BatchSettings(LockOptions, EngineOptions):
    """Settings of `batch`."""

    only: str | None = option(None, "Run only this job, or these: NAME,NAME.", "Jobs")
    dry_run: bool = switch(False, "Print what would be done, and do nothing.", "Jobs")
    force: bool = switch(False, "Run again the jobs that are done already.", "Jobs")
    status: str | None = option(None, "Status file for health probes (default: the jobs file's).", "Jobs")
    report: str | None = option(None, "HTML page of jobs and models to write: FILE.html.", "Jobs")
    metrics: str | None = option(None, "Metrics to write for node_exporter's textfile collector: FILE.prom.", "Jobs")

    def __post_init__(self) -> None:
        self.refuse_idle_ray()


@dataclass(frozen=True)
class MonitorSettings(StoreOptions, GridOptions):
    """Settings of `monitor`."""

    model: str | None = option(
        None, "NAME, as it serves, or NAME@VERSION (default: the model that forecast last).", "Monitoring"
    )
    anomalies: str | None = option(
        None, "Actuals outside the outermost quantiles: FILE.csv or FILE.json to write.", "Monitoring"
    )
    report: str | None = option(None, "HTML page to write: FILE.html.", "Monitoring")
    recalibrate: bool = switch(False, "Store a version with quantiles calibrated on the actuals.", "Monitoring")


@dataclass(frozen=True)
class ScheduleSettings:
    """Settings of `schedule`."""

    cron: bool = switch(False, "Print lines for a crontab (the default).", "Form")
    systemd: bool = switch(False, "Print service and timer units.", "Form")
    only: str | None = option(None, "Schedule only this job, or these: NAME,NAME.", "Form")
    log: str | None = option(None, "Log file of the jobs (default: beside the jobs file).", "Form")
