"""The commands that run and monitor many models: `batch`, `monitor`, `schedule`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecaster.cli.typer_adapter import Argument, Command
from forecaster.config import BatchSettings, MonitorSettings, ScheduleSettings
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.cli.console import Console
    from forecaster.commands.batch.result_lines import Line


def _batch(settings: BatchSettings, console: Console, jobs: str) -> None:
    """Run the jobs of a file: predictions, trainings, evaluations. A job that fails does not stop the others."""
    from forecaster.commands.batch.run import batch

    printer = _LinePrinter(console)
    summary = batch(jobs, settings, console, printer.print)
    printer.print(summary)
    summary.refuse_failures()
    printer.end()


class _LinePrinter:
    """Prints one JSON object per line. The jobs go on if the reader stops reading or the log's disk is full."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.fault: OSError | None = None

    def print(self, line: Line) -> None:
        """Print it, unless printing has failed before."""
        if self.fault is None:
            try:
                self.console.result(line.to_json())
            except OSError as fault:
                self.fault = fault

    def end(self) -> None:
        """BrokenPipeError or UsageError where a line could not be printed."""
        if isinstance(self.fault, BrokenPipeError):
            raise self.fault
        if self.fault is not None:
            raise UsageError(f"standard output: cannot be written: {self.fault.strerror}.", "The jobs were run.")


def _monitor(settings: MonitorSettings, console: Console, ledger: str, data: str) -> None:
    """Compare the forecasts of a ledger with the actuals, and say whether to retrain."""
    from forecaster.cli.result_tables import live_table
    from forecaster.commands.monitor import monitor

    found = monitor(ledger, data, settings, console)
    if console.json:
        console.result(found.to_json())
    else:
        parts = {"week": found.by_week, "step ahead": found.by_step}
        if console.verbose:
            parts["series"] = found.by_series
        for title, groups in parts.items():
            console.table(*live_table(title, groups))
            console.line()
        console.line(f"{found.model}@{found.version}: {found.verdict}: {found.reason}.")
    found.refuse_decay()


def _schedule(settings: ScheduleSettings, console: Console, jobs: str) -> None:
    """Print a jobs file as crontab lines, or as systemd services and timers."""
    from forecaster.commands.schedule import schedule

    text = schedule(jobs, settings)
    if console.json:
        console.result({"schedule": text})
    else:
        console.lines(text)


JOBS = Argument("jobs", "TOML file of jobs.", required=True)
LEDGER = Argument("ledger", "SQLite file or database that `predict --ledger` wrote.", required=True)
ACTUALS = Argument("data", "CSV or Parquet file, or URL of a database, with the actuals.", required=True)

COMMANDS = (
    Command(
        "batch",
        BatchSettings,
        _batch,
        (JOBS,),
        hush=True,
        examples=("forecaster batch jobs.toml --quiet", "forecaster batch jobs.toml --only sales --force"),
    ),
    Command("monitor", MonitorSettings, _monitor, (LEDGER, ACTUALS)),
    Command("schedule", ScheduleSettings, _schedule, (JOBS,)),
)
