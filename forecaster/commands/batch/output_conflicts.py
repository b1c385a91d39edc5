"""The files of a batch: no job writes over what it reads, over another job's output, or over the batch's own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.commands.batch.done_already import data_place
from forecaster.commands.batch.jobs import is_table_of_many
from forecaster.errors import UsageError
from forecaster.serving.overwriting import refuse_overwriting
from forecaster.storage.addresses import is_url, shown, without_secrets

if TYPE_CHECKING:
    from forecaster.commands.batch.jobs import BatchJob


def refuse_shared_files(
    jobs_file: Path, status: Path | None, pages: Mapping[str, str | None], jobs: Sequence[BatchJob]
) -> None:
    """UsageError, before anything is read, that names the job whose files are also used otherwise.

    `pages`: what the batch itself writes at its end, by the option that says so.
    """
    outputs: dict[tuple[int, int] | str, str] = {}
    own = {"the jobs file": jobs_file, "the status file": status}
    refuse_overwriting(pages, own)
    for job in jobs:
        read = {
            "the job's data": data_place(job),
            "the job's future values": getattr(job.settings, "future", None),
            "the job's events": getattr(job.settings, "events", None),
        }
        try:
            refuse_overwriting(job.writes, {**read, **own}, job.settings.models)
            refuse_overwriting({"the status file": status}, {**read, "the jobs file": jobs_file}, job.settings.models)
            files = {f"the job's {name}": place for name, place in job.writes.items()}
            refuse_overwriting(pages, {**read, **files}, job.settings.models)
        except UsageError as fault:
            raise UsageError(f"{jobs_file}: [jobs.{job.name}]: {fault.message}", fault.hint) from None
        for path in {place for name, place in job.writes.items() if name != "ledger"}:
            if is_table_of_many(path):
                continue
            other = outputs.setdefault(_identity(path), job.name)
            if other != job.name:
                raise UsageError(
                    f"{jobs_file}: jobs '{other}' and '{job.name}' write the same file '{shown(path)}'.", "Rename one."
                )


def _identity(place: str) -> tuple[int, int] | str:
    """What two paths of one file have in common, whether it is there or not."""
    if is_url(place):
        return without_secrets(place)
    path = Path(place)
    try:
        found = path.stat()
        return found.st_dev, found.st_ino
    except (OSError, ValueError):
        pass
    try:
        return str(path.resolve())
    except (OSError, RuntimeError, ValueError):
        return str(path)
