"""Years of other calendars than the Gregorian: Buddhist ones are 543 ahead, Persian and Islamic ones some 600 behind."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.datetime_text import YEARS
from forecaster.data.reading.integer_dates import DATE_NAMES

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, IntArray

_BUDDHIST = 543  # years ahead of the Gregorian calendar
_YEAR = re.compile(r"(?<!\d)\d{4}(?!\d)")
_HINT = f"convert the dates to the Gregorian calendar (Buddhist years less {_BUDDHIST}, e.g. 2567 is 2024)"


def year_warning(panel: Panel) -> str:
    """That the years of all dates are probably of another calendar; empty where they are not.

    Yearly rows of centuries ago are what they are called, such as rings of trees.
    """
    if panel.freq.whole_numbers:
        if not DATE_NAMES.search(str(panel.columns.timestamp)) or not _are_dates(
            panel.timestamps[~np.isnan(panel.target)]
        ):
            return ""
        begin, end = int(panel.timestamps.min()), int(panel.timestamps.max())
        return f"column '{panel.columns.timestamp}' has numbers from {begin} to {end}: if they are dates, {_HINT}"
    begin = int(np.median(panel.timestamps[panel.offsets[:-1]]))  # one wrong date of one series does not count
    end = int(panel.timestamps.max())
    far = _year(begin) > YEARS[1]
    early = _year(end) < YEARS[0] and not (panel.freq.unit == "month" and panel.freq.count % 12 == 0)
    if not far and not early:
        return ""
    first, last = panel.timestamp_text(begin), panel.timestamp_text(end)
    return (
        f"column '{panel.columns.timestamp}' has dates from {first} to {last}: if they are of another calendar, {_HINT}"
    )


def hint_for(text: str) -> str:
    """What to do with a text that is no date and has a year of another calendar; empty where it has none."""
    years = [int(year) for year in _YEAR.findall(text)]
    return f"Its year is {years[0]}: {_HINT}." if len(years) == 1 and _is_far(np.array(years))[0] else ""


def _is_far(years: IntArray) -> BoolArray:
    """Whether years [R] are further from ours than data goes, but not further than calendars."""
    early = (years < YEARS[0]) & (years > YEARS[0] - _BUDDHIST)
    return early | ((years > YEARS[1]) & (years < YEARS[1] + _BUDDHIST))


def _are_dates(numbers: IntArray) -> bool:
    """Whether numbers [R] are all years, months and perhaps days, 256701 or 25670131, of another calendar than the Gregorian."""
    size = len(str(int(numbers.max(initial=0))))
    if size not in (6, 8):
        return False
    months, days = (numbers // 100, numbers % 100) if size == 8 else (numbers, np.ones_like(numbers))
    year, month = months // 100, months % 100
    return bool((_is_far(year) & (month >= 1) & (month <= 12) & (days >= 1) & (days <= 31)).all())


def _year(timestamp: int) -> int:
    """The year of microseconds since 1970."""
    return int(np.datetime64(timestamp, "us").astype("M8[Y]").astype(np.int64)) + 1970
