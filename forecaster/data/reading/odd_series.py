"""Warnings of what exports add to the rows of a table: a total as a series of its own, zeros in place of rows to come."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.leading_zeros import MAX_LATER_SHARE, MIN_ROWS
from forecaster.errors import quoted

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray

_TOTAL = re.compile(
    r"(?:grand |sub)?[ -]?totals?|(?:gesamt)?summe|gesamt|insgesamt|sums?|total g[ée]n[ée]ral|totale?|suma",
    re.IGNORECASE,
)
_CODES = (-99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0)  # for missing values
_MIN_CODES = 2
_MIN_FAR = 1000.0  # times as far from the median as values usually are from it, or from 0
_SAMPLE = 33  # rows of each series that show what is usual
_MIN_SEEN = 10
_PARTS = {24: ("hours of the day", "D"), 12: ("months of the year", "YS")}  # how many series -> what they may be, step
_TIME = re.compile(r"(\d{1,2}):([0-5]\d)(?::00)?|(\d{0,2})00|0")
_MIN_DAY = 24  # times of a day
_MIN_TIMES = 10  # as many rows as a total has, in the usual series


def total_warning(panel: Panel) -> str:
    """That a series is probably a total below the table; empty where none is."""
    few = np.flatnonzero(panel.lengths * _MIN_TIMES <= np.median(panel.lengths))
    odd = [n for n in few.tolist() if _TOTAL.fullmatch(str(panel.series[n]).strip(" :"))]
    if not odd:
        return ""
    rows = int(panel.lengths[odd[0]])
    usual = int(np.median(panel.lengths))
    return (
        f"series {quoted(panel.series[odd[0]])} has {rows:,} row{'s' * (rows != 1)}, others {usual:,}: "
        "if it is a total below the table, delete it"
    )


def code_warning(panel: Panel) -> str:
    """That values are probably codes for missing ones, such as -999; empty where none are."""
    for code in _CODES:
        hits = panel.target == code
        count = int(hits.sum())
        if count < _MIN_CODES:
            continue
        far = all(
            _is_far(code, panel.target[panel.offsets[n] : panel.offsets[n + 1]])
            for n in np.unique(panel.row_series[hits])
        )
        if far:
            return (
                f"{count:,} targets are {code:g}, far from all others: if that means missing, leave these cells empty"
            )
    return ""


def _is_far(code: float, rows: FloatArray) -> bool:
    """Whether a value is further from the others of a series than these are from each other."""
    others = rows[(rows != code) & ~np.isnan(rows)]
    if not len(others):
        return False
    low, high = float(others.min()), float(others.max())
    return code < low - max(high - low, abs(low)) or code > high + max(high - low, abs(high))


def far_warning(panel: Panel) -> str:
    """That a value is far from all others of its series and from its neighbours; empty where none is.

    One lost decimal mark in thousands of rows makes the errors that scores are divided by, and the errors of the past, those of
    this value.
    """
    with np.errstate(over="ignore"):  # of values near 1e308
        middle, usual = _usual(panel)
        far = np.maximum(panel.highest - middle, middle - panel.lowest) > _MIN_FAR * usual
    for n in np.flatnonzero(far).tolist():
        start = int(panel.offsets[n])
        with np.errstate(over="ignore"):
            away = np.abs(panel.target[start : panel.offsets[n + 1]] - middle[n])
        k = int(np.nanargmax(away))
        beside = np.r_[away[max(k - 1, 0) : k], away[k + 1 : k + 2]]
        if not (beside > away[k] / 10).any():  # values that grow so far have neighbours there
            when = panel.timestamp_text(int(panel.timestamps[start + k]))
            return (
                f"target {panel.target[start + k]:g} of series {quoted(panel.series[n])} at {when} is over {_MIN_FAR:,.0f} times "
                "as far from the others as these usually are: correct it, or leave the cell empty"
            )
    return ""


def _usual(panel: Panel) -> tuple[FloatArray, FloatArray]:
    """[N] the median of each series, and [N] how far its values usually are from it or from 0, by some rows; NaN for few rows."""
    place = np.arange(_SAMPLE) / (_SAMPLE - 1.0) * (panel.lengths[:, None] - 1)
    rows = np.sort(panel.target[panel.offsets[:-1, None] + place.astype(np.int64)], axis=1)  # NaN last
    seen = (~np.isnan(rows)).sum(axis=1)

    def at(share: float) -> FloatArray:
        return np.take_along_axis(rows, (share * np.maximum(seen - 1, 0)).astype(np.int64)[:, None], axis=1)[:, 0]

    middle = at(0.5)
    usual = np.maximum(np.abs(middle), at(0.75) - at(0.25))
    return middle, np.where((usual > 0.0) & (np.minimum(seen, panel.lengths) >= _MIN_SEEN), usual, np.nan)


def part_warning(panel: Panel) -> str:
    """That the names of series are probably times of days, or months of years; empty where they are not."""
    column, names = panel.columns.series, [str(name) for name in panel.series]
    if column is None or panel.layout != "long":
        return ""
    step = panel.freq.name.split("@")[0]
    what = _numbered(names, step) or (_times(names) if step == "D" else "")
    return f"{what}, name them: --timestamp {quoted(f'{panel.columns.timestamp},{column}')}" if what else ""


def _numbered(names: list[str], step: str) -> str:
    """What series that are numbered from 0 or 1 on may be; empty where they are not."""
    what, of_step = _PARTS.get(len(names), ("", ""))
    if step != of_step or not all(name.isdecimal() for name in names):
        return ""
    numbers = sorted(map(int, names))
    if [number - numbers[0] for number in numbers] != list(range(len(names))) or numbers[0] > 1:
        return ""
    return f"the series are numbered {numbers[0]} to {numbers[-1]}: if these are {what}"


def _times(names: list[str]) -> str:
    """What series that are called as times of the day at equal distances, 7:30 or 700, may be; empty where they are not."""
    if not _MIN_DAY <= len(names) <= 1440:
        return ""
    found = [_TIME.fullmatch(name.strip()) for name in names]
    if not all(found):
        return ""
    named = sorted(
        (60 * int(one[1] or one[3] or 0) + int(one[2] or 0), name)
        for one, name in zip(found, names, strict=True)
        if one
    )
    step, rest = divmod(1440, len(named))
    if rest or [minute - named[0][0] for minute, _ in named] != list(range(0, 1440, step)):
        return ""
    return f"the series are called {named[0][1]} to {named[-1][1]}: if these are times of the day"


def ended_with_zeros(panel: Panel, season_length: int) -> str:
    """That every series ends with zeros, as rows to come may be written; empty where not all do, or zeros are usual."""
    least, counts = max(season_length, MIN_ROWS), []
    for n in range(len(panel.series)):
        rows = panel.target[panel.offsets[n] : panel.offsets[n + 1]]
        other = np.flatnonzero(rows != 0.0)  # NaN, too
        if not len(other):
            continue
        count = len(rows) - 1 - int(other[-1])
        before = rows[: len(rows) - count]
        if count < least or len(before) < least or (before == 0.0).mean() > MAX_LATER_SHARE / 4:
            return ""
        counts.append(count)
    if not counts or len(set(counts)) > 1:
        return ""
    return (
        f"the latest {counts[0]:,} rows of every series are 0, which hardly any row before them is: if these are still to come, "
        "leave them empty"
    )
