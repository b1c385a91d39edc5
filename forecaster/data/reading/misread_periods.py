"""Dates that are probably numbered periods: half-years, quarters or weeks read as months, periods of a fiscal year as days."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.time_zones import days_on_clock

if TYPE_CHECKING:
    from forecaster.data.panel import Panel

_WEEK = re.compile(
    r"(iso|cal(endar)?)?(week|wk|woche|kw|kalenderwoche|semaine|semana|settimana|uge|vecka|week(no|nr|number))s?"
)
_QUARTER = re.compile(r"(cal(endar)?)?(quarter|qtr|quartal|trimestre|kwartaal|kvartal|yyyyqq?)s?")
_MIN_PERIODS, _MAX_PERIODS = 12, 16  # of a fiscal year
_PARTS = {2: "half-years", 3: "thirds of the year", 4: "quarters", 6: "two months each"}  # by how many a year has
_MAX_OBSERVED = 0.7  # share of rows: of few years, half of the months are there and less of the days
_MIN_YEARS = 2  # that have the same few months or days


def period_warning(panel: Panel) -> str:
    """That the dates of `panel` are probably numbers of quarters, weeks or fiscal periods; empty where they are not."""
    name, freq = str(panel.columns.timestamp), panel.freq
    if freq.whole_numbers or freq.name not in ("MS", "D"):
        return ""
    called = re.sub(r"[^a-z]", "", name.lower())
    if freq.name == "MS" and _WEEK.fullmatch(called):
        return f"column '{name}' is read as months: if these are numbers of weeks, give the form, e.g. --timestamp-format %G-%V"
    observed = ~np.isnan(panel.target)
    if observed.mean() > _MAX_OBSERVED and not _QUARTER.fullmatch(called):
        return ""  # without a closer look at each of many rows
    days = days_on_clock(panel.timestamps[observed], panel.zone)
    dates = np.unique(days).astype("M8[D]")
    years = dates.astype("M8[Y]")
    many = len(np.unique(years)) >= _MIN_YEARS
    if freq.name == "MS":
        months = np.unique(dates.astype("M8[M]").astype(np.int64) % 12).tolist()
        count = len(months)
        if months != list(range(count)) or count not in _PARTS or not (many or _QUARTER.fullmatch(called)):
            return ""
        form = "give the form, e.g. --timestamp-format %Y-%q"
        other = f"write the first day of each, as {years[0]}-01-01 and {years[0]}-{1 + 12 // count:02d}-01"
        return (
            f"the dates of every year are months 1 to {count} (column '{name}'): if these are {_PARTS[count]}, "
            f"{form if count == 4 else other}"
        )
    last = int((dates - years.astype("M8[D]")).astype(np.int64).max(initial=0)) + 1
    if many and _MIN_PERIODS <= last <= _MAX_PERIODS:
        return (
            f"the dates of every year are its days 1 to {last} (column '{name}'): if these are periods such as months, "
            "give the form, e.g. --timestamp-format %Y0%m"
        )
    return ""
