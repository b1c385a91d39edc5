"""The jobs that make no forecast and no model: `check`, `monitor` and `prune`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecaster.config import CheckSettings, MonitorSettings, PruneSettings
from forecaster.serving.store import Store
from forecaster.storage.json_values import finite

if TYPE_CHECKING:
    from forecaster.commands.batch.jobs import BatchJob
    from forecaster.typing import Watch

Refuse = Callable[[], None]  # raises where what was found makes the job fail


def run_maintenance(job: BatchJob, watch: Watch) -> tuple[dict[str, Any], Refuse]:
    """What the job found, and what decides whether it has failed. ForecasterError where it cannot run."""
    match job.settings:
        case CheckSettings():
            from forecaster.commands.check import check

            checked = check(str(job.data), job.settings, watch)
            return {**finite(checked.to_json()), "faults": checked.checked.faults}, checked.refuse_faults
        case MonitorSettings():
            from forecaster.commands.monitor import monitor

            found = monitor(str(job.argument), str(job.data), job.settings, watch)
            # Where another job waits for the verdict, that job is the answer to it.
            return finite(found.to_json()), _accept if job.decides else found.refuse_decay
        case PruneSettings():
            removed = Store(Path(job.settings.models)).prune(str(job.argument), job.settings.keep)
            return {"model": job.argument, "removed": list(removed)}, _accept
    raise TypeError(f"{job.command} is no maintenance job")


def _accept() -> None:
    """All is well."""
