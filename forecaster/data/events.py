"""Events of one's own: promotions, launches, strikes. Inputs of the days on which they are and of those around them.

An event is a name with dates, each of all series or of one. Its window says how many days before and after a date have inputs
of their own. Where a step is longer than a day, the window counts steps, and the dates within a step are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.time_zones import DAY
from forecaster.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecaster.data.freq import Freq
    from forecaster.typing import FloatArray, IntArray, TextArray

EVENTS = "event:"  # prefix of a calendar row for one event, e.g. "event:1:0:sale" with a day before and none after
MAX_WINDOW = 31  # days before, or after
MAX_INPUTS = 200  # of all events together


@dataclass(frozen=True)
class Event:
    """A name with its window, and its dates."""

    name: str
    before: int  # days, or steps where these are longer
    after: int
    dates: tuple[int, ...]  # days since 1970, ascending
    series: tuple[str, ...]  # the series of each date; "" = all

    @property
    def row(self) -> str:
        """The name of the calendar's row for it."""
        return f"{EVENTS}{self.before}:{self.after}:{self.name}"

    @property
    def width(self) -> int:
        """Inputs of each step: one for each day of the window."""
        return self.before + 1 + self.after


def is_event(row: str) -> bool:
    """Whether a name of a calendar row is that of an event."""
    if not row.startswith(EVENTS):
        return False
    before, after, name = _parts(row)
    return before.isdigit() and after.isdigit() and bool(name)


def event_width(row: str) -> int:
    """Inputs of each step that a calendar row of an event has."""
    before, after, _ = _parts(row)
    return int(before) + 1 + int(after)


def _parts(row: str) -> tuple[str, str, str]:
    before, _, rest = row.removeprefix(EVENTS).partition(":")
    after, _, name = rest.partition(":")
    return before, after, name


def event_rows(events: Sequence[Event], freq: Freq) -> tuple[str, ...]:
    """The names of the calendar rows for events. UsageError where timestamps are no dates, or there are too many inputs."""
    if events and freq.whole_numbers:
        raise UsageError("--events needs dates, and timestamps are whole numbers.", "Leave it out.")
    if (inputs := sum(event.width for event in events)) > MAX_INPUTS:
        raise UsageError(
            f"--events: {len(events)} events with their days before and after make {inputs} inputs, more than {MAX_INPUTS}.",
            "Give shorter windows, or one name to events of one kind.",
        )
    return tuple(event.row for event in events)


def event_groups(events: Sequence[Event], series: TextArray) -> IntArray:
    """[N] a number for each series: those with one number have the same events."""
    own = {name for event in events for name in event.series if name}
    return np.array([n + 1 if str(name) in own else 0 for n, name in enumerate(series)], dtype=np.int64)


def event_inputs(row: str, events: Sequence[Event], wall: IntArray, series: str, freq: Freq) -> FloatArray:
    """[..., width] of wall-clock timestamps [...] of one series: how many dates of the event are on each day of its window.

    The days come in order, from the last of those after the event to the first of those before it.
    """
    before, after, _ = _parts(row)
    away = np.arange(-int(after), int(before) + 1)
    event = next((one for one in events if one.row == row), None)
    if event is None:
        return np.zeros((*wall.shape, len(away)))
    dates = np.array(
        [day for day, of in zip(event.dates, event.series, strict=True) if of in ("", series)], dtype=np.int64
    )
    if not _is_longer_than_a_day(freq):
        days = np.asarray(wall // DAY)[..., None] + away
        return (np.searchsorted(dates, days, side="right") - np.searchsorted(dates, days)).astype(np.float64)
    edges = np.stack([_begin(wall, freq, steps) for steps in range(-int(after), int(before) + 2)], axis=-1)
    return np.diff(np.searchsorted(dates, edges), axis=-1).astype(np.float64)


def _is_longer_than_a_day(freq: Freq) -> bool:
    return freq.unit == "month" or (freq.unit == "clock" and freq.count > DAY) or (freq.unit == "B" and freq.count > 1)


def _begin(wall: IntArray, freq: Freq, later: int) -> IntArray:
    """The first day, since 1970, of the step `later` steps after that of each timestamp; of months, that of the month."""
    if freq.unit != "month":
        return np.asarray(freq.advance(wall // DAY * DAY, np.full_like(wall, later)) // DAY)
    month = wall.astype("M8[us]").astype("M8[M]").astype(np.int64) + later * freq.count
    if freq.at_end:
        month = month - freq.count + 1
    return np.asarray(month.astype("M8[M]").astype("M8[D]").astype(np.int64))


def refuse_other_events(events: Sequence[Event], rows: Sequence[str], name: str) -> None:
    """DataError where events are not those of the calendar `rows` that a model reads."""
    known = {_parts(row)[2]: row for row in rows if row.startswith(EVENTS)}
    for event in events:
        if event.name not in known:
            raise DataError(
                f"--events: model '{name}' knows no event '{event.name}', but {', '.join(known) or 'none'}.",
                "Leave it out, or train again.",
            )


def joined_events(old: Sequence[Event], new: Sequence[Event], last: int) -> tuple[Event, ...]:
    """The `new` events with the dates of the `old` ones up to the day `last`, from which a model has learnt."""
    found = []
    for event in old:
        dates = {(d, of) for d, of in zip(event.dates, event.series, strict=True) if d <= last}
        for other in new:
            if other.name == event.name:
                dates |= {*zip(other.dates, other.series, strict=True)}
        ordered = sorted(dates)
        found.append(replace(event, dates=tuple(d for d, _ in ordered), series=tuple(of for _, of in ordered)))
    return tuple(found)


def with_windows_of(events: Sequence[Event], rows: Sequence[str]) -> tuple[Event, ...]:
    """The events, with the windows that the calendar `rows` of a model have."""
    windows = {name: (int(before), int(after)) for before, after, name in map(_parts, filter(is_event, rows))}
    return tuple(
        Event(event.name, *windows[event.name], event.dates, event.series) for event in events if event.name in windows
    )
