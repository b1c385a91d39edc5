"""Chooses the inputs of a plan other than the target: calendar features, holidays and covariates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecaster.data.calendar import holiday_calendar, usable
from forecaster.data.covariate_encodings import fit_encodings
from forecaster.data.covariate_screening import uninformative_covariates
from forecaster.data.events import event_rows
from forecaster.data.panel import ROLES
from forecaster.data.special_days import NO_HOLIDAYS, find_special_days
from forecaster.errors import UsageError
from forecaster.models.heads import OPEN_HEADS

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.covariate_encodings import Encoding
    from forecaster.data.panel import Panel
    from forecaster.training.plan import Chooser
    from forecaster.typing import IntArray


def calendar_of(
    choose: Chooser, settings: TrainSettings, panel: Panel, ends: IntArray, head: str, *, found: bool
) -> tuple[str, ...]:
    """Calendar features of each step ahead, by name; special days `found` in the rows before `ends` [N] where none are given.

    UsageError where none suits the panel but --calendar is given.
    """
    names = usable(panel)
    if settings.calendar and not names:
        raise UsageError(
            "--calendar: no calendar feature suits these timestamps and so short a history.", "Leave out --calendar."
        )
    if settings.calendar is False or head not in OPEN_HEADS:
        names = ()
    special = find_special_days(panel, ends) if found and names and settings.holidays is None else None
    if settings.holidays not in (None, NO_HOLIDAYS):
        names = (*names, holiday_calendar(settings.holidays, panel))
    shown = ", ".join(names) or "none"
    choose("calendar", None if settings.calendar is None else shown, shown, "as the frequency and the history allow")
    if special:
        choose(
            "special_days", None, special.words, "unlike other days, year after year; --holidays none leaves them out"
        )
        names = (*names, special.row)
    if panel.events:
        choose("events", ", ".join(event.name for event in panel.events), "", "")
    return (*names, *event_rows(panel.events, panel.freq))


def covariates_of(
    choose: Chooser, settings: TrainSettings, panel: Panel, ends: IntArray, horizon: int
) -> tuple[Encoding, ...]:
    """Encodings of the columns that the networks read, fitted to the rows before `ends` [N]."""
    left_out = uninformative_covariates(panel, ends, horizon) if settings.screen else ()
    if len(left_out) == len(settings.known):  # reading needs a known column to recognise rows of the future
        left_out = ()
    for role in ROLES:
        if named := [name for name in getattr(settings, role) if name not in left_out]:
            choose(role, ", ".join(named), "", "")
    if left_out:
        choose(
            "left_out",
            None,
            ", ".join(left_out),
            "their changes do not inform those of the target; --no-screen keeps them",
        )
    return tuple(one for one in fit_encodings(panel, ends) if one.name not in left_out)
