"""Inputs computed from timestamps: hour, weekday, time of year, holidays; and lags of the same time weeks or years ago."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.events import event_groups, event_inputs, event_width, is_event
from forecaster.data.series_blocks import series_blocks
from forecaster.data.slots import WEEK
from forecaster.data.special_days import is_special_days, special_day_inputs
from forecaster.data.time_zones import DAY, wall_clock, weekday_of
from forecaster.errors import UsageError, install_hint, nearest

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.typing import FloatArray, IntArray, ShortIntArray

HOLIDAYS = "holidays:"  # prefix of a row for one country's holidays, e.g. "holidays:DE"
YEAR = 365.2425  # days


@dataclass(frozen=True)
class Calendar:
    """A row of CALENDAR: `width` numbers for each wall-clock timestamp, useful for steps up to `longest_step`."""

    features: Callable[[IntArray], FloatArray]
    width: int
    longest_step: int  # microseconds
    span: float  # days of history that a network needs to learn it


def _waves(turns: FloatArray, harmonics: int) -> FloatArray:
    """[...] turns of a circle -> [..., 2 · harmonics] cosines and sines (Fourier terms)."""
    angles = 2.0 * np.pi * turns[..., None] * np.arange(1, harmonics + 1)
    return np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)


def _hour(wall: IntArray) -> FloatArray:
    return _waves(np.asarray(wall % DAY / DAY), 2)


def _weekday(wall: IntArray) -> FloatArray:
    return np.eye(7)[weekday_of(wall // DAY)]


def _year(wall: IntArray) -> FloatArray:
    return _waves(np.asarray(wall / DAY / YEAR % 1.0), 3)


CALENDAR: dict[str, Calendar] = {
    "hour": Calendar(_hour, 4, DAY // 4, span=7),
    "weekday": Calendar(_weekday, 7, DAY, span=28),
    "year": Calendar(_year, 6, 7 * DAY, span=2 * YEAR),
}


@dataclass(frozen=True)
class Lags:
    """A row of LAGS: `count` lags of whole seasons that are longer than a context."""

    distances: Callable[[IntArray, int, int], IntArray]  # wall [...], step, horizon -> rows back [..., count]
    count: int
    steps: Callable[[int], bool]  # whether it suits a step, in microseconds
    span: float  # days of history that it needs


def _weeks(wall: IntArray, step: int, horizon: int) -> IntArray:
    """The same hour one and two weeks back; for a horizon of several weeks, as many weeks more as put it before the cutoff."""
    week = 7 * DAY // step
    first = week * -(-horizon // week)
    return np.broadcast_to(np.array([first, first + week]), (*wall.shape, 2))


def _years(wall: IntArray, _step: int, _horizon: int) -> IntArray:
    """The same date one, two and three years back; the last of February for a 29th."""
    day = wall.astype("M8[us]").astype("M8[D]")
    month = day.astype("M8[M]")
    of_month = (day - month).astype(np.int64)
    back = []
    for years in (1, 2, 3):
        then = month - 12 * years
        length = ((then + 1).astype("M8[D]") - then.astype("M8[D]")).astype(np.int64)
        date = then.astype("M8[D]") + np.minimum(of_month, length - 1)
        back.append((day - date).astype(np.int64))
    return np.stack(back, axis=-1)


LAGS: dict[str, Lags] = {
    "weeks": Lags(_weeks, 2, lambda step: step < DAY and (7 * DAY) % step == 0, span=21),
    "years": Lags(_years, 3, lambda step: step == DAY, span=2 * YEAR),
}


def usable(panel: Panel) -> tuple[str, ...]:
    """Names of the rows of CALENDAR and LAGS that suit the panel's step and whose season fits into its span."""
    freq = panel.freq
    if freq.whole_numbers or freq.unit == "month":
        return ()
    step = DAY if freq.unit == "B" else freq.count
    days = float(panel.timestamps.max() - panel.timestamps.min()) / DAY
    plain = tuple(name for name, row in CALENDAR.items() if step <= row.longest_step and days >= row.span)
    if freq.unit == "B" or (freq.slots and freq.count == DAY):
        return plain  # its rows are not days
    return plain + tuple(name for name, row in LAGS.items() if row.steps(step) and days >= row.span)


def holiday_calendar(country: str, panel: Panel) -> str:
    """The name of the row for a country's holidays, e.g. `holidays:DE`.

    UsageError where the panel's step is longer than a day, or the country's holidays are not known.
    """
    freq = panel.freq
    if freq.whole_numbers or freq.unit == "month" or (freq.unit == "clock" and freq.count > DAY):
        raise UsageError(f"--holidays means nothing for steps of {freq.name}.", "Leave it out.")
    holiday_dates(country, (2000,))
    return HOLIDAYS + country


def holiday_dates(country: str, years: Sequence[int]) -> IntArray:
    """[days] public holidays of a country, e.g. `DE`, or of a part of it, `DE-BY`, in days since 1970.

    They come from the library `holidays`. UsageError where it is not installed or does not know the place.
    """
    try:
        import holidays
    except ImportError:
        raise UsageError("holidays need a library that is not installed.", install_hint("holidays")) from None
    code, _, part = country.partition("-")
    parts = holidays.list_supported_countries()
    if code not in parts:
        raise UsageError(f"--holidays: the holidays of '{code}' are not known.", nearest(code, tuple(parts)))
    if part and part not in parts[code]:
        what = f"--holidays: {code} has no part '{part}' with holidays of its own."
        raise UsageError(what, nearest(part, tuple(parts[code])))
    dates = holidays.country_holidays(code, subdiv=part or None, years=list(years))
    return np.array(sorted(dates), dtype="M8[D]").astype(np.int64)


def is_row(name: str) -> bool:
    """Whether `name` is a row of CALENDAR or LAGS, of a country's holidays, of special days, or of an event."""
    return name in CALENDAR or name in LAGS or tells_special_days(name)


def tells_special_days(name: str) -> bool:
    """Whether a row tells what no season does: a country's holidays, special days, or an event."""
    return name.startswith(HOLIDAYS) or is_special_days(name) or is_event(name)


def row_words(name: str) -> str:
    """What people are told of a row."""
    return "special days" if is_special_days(name) else name


def _row(name: str) -> Calendar:
    """The row of CALENDAR of this name, or one made for special days or a country's holidays."""
    if is_special_days(name):
        return Calendar(lambda wall: special_day_inputs(name, wall), 3, DAY, span=0.0)
    if not name.startswith(HOLIDAYS):
        return CALENDAR[name]
    country = name.removeprefix(HOLIDAYS)
    return Calendar(lambda wall: _holiday_flags(wall, country), 3, DAY, span=0.0)


def _holiday_flags(wall: IntArray, country: str) -> FloatArray:
    """[..., 3] 1 where the day, the next day, the day before is a holiday, else 0."""
    days = np.asarray(wall // DAY)
    ends = (
        np.array([days.min(initial=0) - 1, days.max(initial=0) + 1]).astype("M8[D]").astype("M8[Y]").astype(int) + 1970
    )
    dates = holiday_dates(country, range(int(ends[0]), int(ends[1]) + 1))
    return np.stack([np.isin(days + away, dates) for away in (0, 1, -1)], axis=-1).astype(np.float64)


def width(names: tuple[str, ...]) -> int:
    """F: numbers per step of the rows of CALENDAR among `names`."""
    return sum(event_width(name) if is_event(name) else _row(name).width for name in names if name not in LAGS)


def lag_count(names: tuple[str, ...]) -> int:
    """J: lags per step of the rows of LAGS among `names`."""
    return sum(LAGS[name].count for name in names if name in LAGS)


def features(wall: IntArray, names: tuple[str, ...]) -> FloatArray:
    """[..., F] calendar inputs of wall-clock timestamps [...] in microseconds, without events."""
    parts = [_row(name).features(wall) for name in names if name not in LAGS]
    return np.concatenate(parts, axis=-1) if parts else np.empty((*wall.shape, 0))


def _with_events(panel: Panel, wall: IntArray, names: tuple[str, ...], series: IntArray) -> FloatArray:
    """[K, ..., F] calendar inputs of wall-clock timestamps [K, ...] of these `series` [K] of a panel, events included."""
    parts = []
    for name in names:
        if name in LAGS:
            continue
        if not is_event(name):
            parts.append(_row(name).features(wall))
            continue
        groups = event_groups(panel.events, panel.series)[series]
        found = np.zeros((*wall.shape, event_width(name)))
        for group in np.unique(groups):
            of = np.flatnonzero(groups == group)
            one = str(panel.series[group - 1]) if group else ""
            found[of] = event_inputs(name, panel.events, wall[of], one, panel.freq)
        parts.append(found)
    return np.concatenate(parts, axis=-1) if parts else np.empty((*wall.shape, 0))


def distances(wall: IntArray, names: tuple[str, ...], step: int, horizon: int) -> IntArray:
    """[..., J] rows back to the lags of wall-clock timestamps [...]; `step` is in microseconds, `horizon` in steps."""
    parts = [LAGS[name].distances(wall, step, horizon) for name in names if name in LAGS]
    return np.concatenate(parts, axis=-1) if parts else np.empty((*wall.shape, 0), np.int64)


def rows_to_lags(panel: Panel, names: tuple[str, ...], horizon: int) -> int:
    """Rows before the step after a panel's last one from which each row of LAGS among `names` has a value; 0 without these."""
    last = panel.timestamps.max(keepdims=True)
    wall = wall_clock(panel.freq.after(last, 1, panel.zone), panel.zone)
    each = [distances(wall, (name,), _step(panel.freq), horizon).min() for name in names if name in LAGS]
    return int(max(each, default=0))


def _step(freq: Freq) -> int:
    """Microseconds of a week for each of its rows."""
    return WEEK // len(freq.slots) if freq.slots else freq.count


@dataclass(frozen=True)
class KnownRows:
    """Calendar and lags of every row of a panel, computed once for each distinct timestamp, or one of a series with events."""

    table: FloatArray  # [distinct timestamps, F] float64
    back: IntArray  # [distinct timestamps, J] rows back to its lags
    row: ShortIntArray  # [R] index of a row's timestamp in both
    season_length: int  # to a lag's neighbours


def known_rows(panel: Panel, horizon: int, names: tuple[str, ...]) -> KnownRows | None:
    """Calendar and lags of each row of `panel`, for windows of `horizon` steps; None without `names`."""
    if not names:
        return None
    stamps, row = _distinct(panel)
    of = np.zeros(len(stamps), dtype=np.int64)
    groups = event_groups(panel.events, panel.series)
    if groups.any():  # some series have events of their own
        numbers, row = np.unique(
            row.astype(np.int64) * (len(groups) + 1) + groups[panel.row_series], return_inverse=True
        )
        stamps, of = stamps[numbers // (len(groups) + 1)], numbers % (len(groups) + 1)
        of, row = np.where(of > 0, of - 1, int(np.argmin(groups))), row.reshape(-1).astype(np.int32)
    wall = wall_clock(stamps, panel.zone)
    back = distances(wall, names, _step(panel.freq), horizon)
    return KnownRows(_with_events(panel, wall, names, of), back, row, panel.season_length)


def _distinct(panel: Panel) -> tuple[IntArray, ShortIntArray]:
    """The distinct timestamps of a panel, ascending, and [R] which of them each row has."""
    stamps, more = np.empty(0, np.int64), [np.empty(0, np.int64)]
    for _, rows in series_blocks(panel.offsets):
        some = panel.timestamps[rows]
        if len(stamps) and np.array_equal(stamps[_places(stamps, some)], some):
            continue
        more.append(np.unique(some))
        if sum(map(len, more)) > len(stamps):
            stamps, more = np.unique(np.concatenate([stamps, *more])), []
    stamps = np.unique(np.concatenate([stamps, *more]))
    places = np.empty(len(panel.timestamps), np.int32)
    for _, rows in series_blocks(panel.offsets):
        places[rows] = _places(stamps, panel.timestamps[rows])
    return stamps, places


def _places(stamps: IntArray, some: IntArray) -> IntArray:
    """Where each of `some` timestamps is among distinct, ascending ones, or would be."""
    # The timestamps of a series usually follow each other among those of all.
    begins = np.flatnonzero(np.diff(some, prepend=some[:1] + 1) <= 0)
    guess = np.arange(len(some)) - np.repeat(
        begins - np.searchsorted(stamps, some[begins]), np.diff(begins, append=len(some))
    )
    guess = np.minimum(guess, len(stamps) - 1)
    if np.array_equal(stamps[guess], some):
        return guess
    return np.minimum(np.searchsorted(stamps, some), len(stamps) - 1)


def known_ahead(
    panel: Panel, windows: Windows, horizon: int, names: tuple[str, ...], blocks: int = 1
) -> FloatArray | None:
    """[W, blocks, H, F + 3J] float64 for `blocks` horizons of steps after each cutoff; None without `names`.

    The calendar's F numbers come first. Then follow, for each of J lags, the target at the lag, a season before it and a
    season after it, in the caller's units; NaN where it is missing or not before the cutoff.
    """
    if not names:
        return None
    steps = blocks * horizon
    last = panel.timestamps[windows.cutoff - 1]
    wall = wall_clock(panel.freq.after(last, steps, panel.zone), panel.zone)  # [W, steps]
    back = distances(wall, names, _step(panel.freq), horizon)
    row = windows.cutoff[:, None] + np.arange(steps)
    around = panel.season_length * np.array([0, -1, 1])
    rows = (row[:, :, None] - back)[..., None] + around  # [W, steps, J, 3]
    edge = (slice(None), None, None, None)
    there = (rows >= windows.start[windows.series][edge]) & (rows < windows.cutoff[edge])
    lags = np.where(there, windows.target[np.where(there, rows, 0)], np.nan)
    inputs = _with_events(panel, wall, names, windows.series)
    whole = np.concatenate([inputs, lags.reshape(*wall.shape, -1)], axis=-1)
    return whole.reshape(len(last), blocks, horizon, -1)
