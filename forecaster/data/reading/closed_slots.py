"""Slots of the day or week that have no value in the whole history: market hours, closed days, daylight.

A slot counts as closed only where chance does not explain its absence: with the share of other days on which it has a value,
so many empty days in a row would be improbable. Randomly missing rows therefore close nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import Freq
from forecaster.data.slots import MIN_STEP, called, slots_text
from forecaster.data.time_zones import DAY, wall_clock

if TYPE_CHECKING:
    from forecaster.data.reading.frequency import SortedRows
    from forecaster.typing import BoolArray, FloatArray, IntArray

MAX_CHANCE = 0.01  # of one slot or more being empty by chance
MIN_DAYS = 5  # days with values, before hours without any say something
MIN_WEEKS = 4  # of a weekday without any value; 2 of a weekend
NIGHT = 4  # hours of a Sunday in which clocks may be set


def open_slots(rows: SortedRows, freq: Freq, observed: BoolArray) -> Freq:
    """`freq` with the slots that exist, where others never have a value; else `freq` itself.

    `observed` [R] says which rows have a value.
    """
    if freq.slots or freq.unit != "clock" or freq.count < MIN_STEP or DAY % freq.count or not observed.any():
        return freq
    # Distinct days and slots of any series; Monday = 0.
    wall = np.unique((wall_clock(rows.timestamps[observed], rows.zone) + 3 * DAY) // freq.count)
    size = DAY // freq.count
    day, slot = wall // size, wall % size
    days = np.unique(day)
    if len(days) < MIN_DAYS:
        return freq
    table = np.zeros((7, size), np.int64)  # days on which a slot has a value
    np.add.at(table, (day % 7, slot), 1)
    had = np.bincount(days % 7, minlength=7)  # days with any value
    there = np.bincount(np.arange(days[0], days[-1] + 1) % 7, minlength=7)  # days in all
    is_open = table > 0
    closed_days = _closed_days(had, there)
    is_open |= ((had == 0) & ~closed_days)[:, None] & is_open.any(axis=0)
    hours: BoolArray = np.asarray(is_open.any(axis=0))
    fill = table.sum() / max(int(had.sum()) * int(hours.sum()), 1)
    if _by_chance(fill, len(days)) * size > MAX_CHANCE:  # hours without a value may be chance
        hours[:] = True
    kept = np.outer(~closed_days, hours) & (is_open | ~_closed_hours(table, had))
    if kept.all() or _in_changes(kept, rows, freq):
        return freq
    if size == 1 and kept[:, 0].tolist() == [True] * 5 + [False] * 2:
        return Freq("B", 1)
    return replace(freq, slots=tuple(np.flatnonzero(kept.reshape(-1)).tolist()))


def note_on(freq: Freq) -> str:
    """What is said about slots that were left out."""
    kept = (
        "business days"
        if freq.unit == "B"
        else f"{called(freq.slots, freq.count)}, {slots_text(freq.slots, freq.count)}"
    )
    return f"only {kept}: other times never have a value and are not forecast (--all-slots forecasts them)."


def _closed_days(had: IntArray, there: IntArray) -> BoolArray:
    """[7] weekdays without any value, where that is no chance."""
    closed = (had == 0) & (there > 0)
    usual = had[~closed].sum() / max(there[~closed].sum(), 1)
    enough = 2 if closed.tolist() == [False] * 5 + [True] * 2 else MIN_WEEKS
    chance = np.array([_by_chance(usual, int(count)) for count in there])
    return np.asarray(closed & (there >= enough) & (7 * chance <= MAX_CHANCE))


def _closed_hours(table: IntArray, had: IntArray) -> BoolArray:
    """[7, slots] slots of one weekday without a value, which other weekdays usually have."""
    others, days = table.sum(axis=0) - table, had.sum() - had  # [7, slots], [7]
    share: FloatArray = others / np.maximum(days, 1)[:, None]
    chance = (1.0 - np.minimum(share, 1.0)) ** had[:, None]
    return np.asarray((table == 0) & (had >= MIN_WEEKS)[:, None] & (table.size * chance <= MAX_CHANCE))


def _by_chance(share: float, days: int) -> float:
    """The probability that a slot which has a value on this share of days has none on so many days."""
    return float((1.0 - min(share, 1.0)) ** days)


def _in_changes(kept: BoolArray, rows: SortedRows, freq: Freq) -> bool:
    """Whether a zone's clock may show one of the slots twice: these are no slots of the clock."""
    hours = NIGHT * DAY // 24 // freq.count
    return rows.zone is not None and freq.count < DAY and bool(kept[6, :hours].any())
