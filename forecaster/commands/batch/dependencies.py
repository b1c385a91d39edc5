"""Jobs that run after others: `after`, and `only_if` for a job that runs only where a monitor job says retrain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from forecaster.errors import UsageError, nearest

if TYPE_CHECKING:
    from forecaster.commands.batch.result_lines import JobLine

RETRAIN = "retrain"  # the verdict of a monitor job that lets a job with `only_if` run


class Ordered(Protocol):
    """What the order of jobs depends on."""

    @property
    def name(self) -> str:
        """Its name in the jobs file."""

    @property
    def command(self) -> str:
        """The command that it runs."""

    @property
    def only_if(self) -> str | None:
        """The monitor job that must say retrain."""

    @property
    def prerequisites(self) -> tuple[str, ...]:
        """The jobs that it runs after."""


def refuse_impossible_orders(jobs: Sequence[Ordered], where: str) -> None:
    """UsageError where a job waits for one that is not there, for itself, or for one that is no monitor."""
    named = {job.name: job for job in jobs}
    for job in jobs:
        for name in job.prerequisites:
            if name not in named:
                raise UsageError(f"{where}: [jobs.{job.name}]: there is no job '{name}'.", nearest(name, tuple(named)))
        if job.only_if and named[job.only_if].command != "monitor":
            raise UsageError(
                f"{where}: [jobs.{job.name}]: only_if: '{job.only_if}' is not a monitor job.",
                "Use after for other jobs.",
            )
        if job.name in with_prerequisites(jobs, job.prerequisites):
            raise UsageError(f"{where}: [jobs.{job.name}]: runs after itself.", "Remove one of the `after`.")


def with_prerequisites(jobs: Sequence[Ordered], names: Sequence[str]) -> set[str]:
    """These jobs, and all that they run after."""
    named, found, left = {job.name: job for job in jobs}, set[str](), list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += named[name].prerequisites if name in named else ()
    return found


def is_ready(job: Ordered, ended: Mapping[str, JobLine]) -> bool:
    """Whether all that it runs after has ended."""
    return all(name in ended for name in job.prerequisites)


def obstacle(job: Ordered, ended: Mapping[str, JobLine]) -> str:
    """Why a ready job is not to be run; empty where it is."""
    for name in job.prerequisites:
        line = ended[name]
        if line.status == "failed":
            return f"'{name}' failed"
        if line.status == "skipped" and line.reason:
            return f"'{name}' was not run"
    if job.only_if:
        result = ended[job.only_if].result
        verdict = result.facts.get("verdict") if result else None
        if verdict != RETRAIN:
            return f"'{job.only_if}' says {verdict}"
    return ""
