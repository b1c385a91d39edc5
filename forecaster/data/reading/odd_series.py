"""Warnings of what exports do to a table: a total as a series of its own, codes, lost marks, zeros in place of rows to come."""

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
_MIN_SUMMED, _MIN_SUMS = 3, 10  # series, and timestamps at which one is the sum of the others
_SUMMED_SHARE = 0.95  # of timestamps
_ROUNDING = 1e-3  # share of a sum that is lost where the parts are rounded
_CODES = (-99.0, -999.0, -9999.0, -99999.0, 999.0, 9999.0, 99999.0, 999999.0)  # for missing values
_MIN_CODES = 2
_MIN_FAR = 1000.0  # times as far from the median as values usually are from it, or from 0
_MIN_ENDED = 2  # months of zeros at the end, where no other value is near 0
_CHANCE = 1e-7  # of so many zeros in a row, where few are enough to be warned of
_SAMPLE = 33  # rows of each series that show what is usual
_MIN_SEEN = 10
_MIN_TIMES = 10  # as many rows as a total has, in the usual series


def case_warning(panel: Panel) -> str:
    """That names of series differ only in upper and lower case; empty where none do."""
    if panel.columns.series is None:
        return ""
    folded = [str(name).casefold() for name in panel.series]
    first = dict(zip(reversed(folded), range(len(folded) - 1, -1, -1), strict=True))
    if len(first) == len(folded):
        return ""
    later = [n for n, text in enumerate(folded) if first[text] != n]
    one, other = panel.series[first[folded[later[0]]]], panel.series[later[0]]
    more = f", as do {len(later) - 1:,} more" if len(later) > 1 else ""
    return f"series {quoted(one)} and {quoted(other)} differ only in case{more}: if they are one, write it one way"


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


def sum_warning(panel: Panel) -> str:
    """That one series is the sum of all others at nearly all timestamps; empty where none is."""
    if len(panel.series) < _MIN_SUMMED or panel.targets:
        return ""
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.add.reduceat(np.nan_to_num(panel.target), panel.offsets[:-1])
        n = int(np.abs(whole).argmax())
        if not abs(2 * whole[n] - whole.sum()) <= (1 - _SUMMED_SHARE) * abs(whole[n]):  # quick: most panels end here
            return ""
        stamps, at = np.unique(panel.timestamps, return_inverse=True)
        own = slice(int(panel.offsets[n]), int(panel.offsets[n + 1]))
        total, there = np.full(len(stamps), np.nan), ~np.isnan(panel.target)
        total[at[own]] = panel.target[own]
        there[own] = False  # the others
        count = np.bincount(at[there], minlength=len(stamps))
        others = np.bincount(at[there], panel.target[there], len(stamps))
        size = np.bincount(at[there], np.abs(panel.target[there]), len(stamps))
    asked = (count > 1) & (size > 0) & ~np.isnan(total)
    equal = asked & (np.abs(total - others) <= _ROUNDING * size)
    if equal.sum() < max(_MIN_SUMS, _SUMMED_SHARE * asked.sum()):
        return ""
    return (
        f"series {quoted(panel.series[n])} is the sum of the other {len(panel.series) - 1:,} at {int(equal.sum()):,} of "
        f"{int(asked.sum()):,} timestamps: if it is no series of its own, leave it out, or scores count everything twice"
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


def _is_far_from_zero(rows: FloatArray) -> bool:
    """Whether each observed value is at least half the usual one, as of one that is never 0."""
    size = np.abs(rows[~np.isnan(rows)])
    return bool(2 * size.min(initial=np.inf) >= np.median(size)) if len(size) else False


def ended_with_zeros(panel: Panel, season_length: int) -> str:
    """That every series ends with zeros, as rows that are to come or were lost may be written; empty where zeros are usual."""
    least, counts = max(season_length, MIN_ROWS), []
    months = panel.freq.unit == "month"  # a shop is closed for days, seldom for months
    for n in range(len(panel.series)):
        rows = panel.target[panel.offsets[n] : panel.offsets[n + 1]]
        other = np.flatnonzero(rows != 0.0)  # NaN, too
        if not len(other):
            continue
        count = len(rows) - 1 - int(other[-1])
        before = rows[: len(rows) - count]
        if not count or len(before) < least:
            return ""
        share = max((before == 0.0).mean(), 1.0 / len(before))
        few = (
            count < least
            and share**count > _CHANCE
            and not (months and count >= _MIN_ENDED and _is_far_from_zero(before))
        )
        if share > MAX_LATER_SHARE / 4 or few:
            return ""
        counts.append(count)
    if not counts or len(set(counts)) > 1:
        return ""
    return (
        f"the latest {counts[0]:,} rows of every series are 0, which hardly any row before them is: if these are still to come "
        "or were lost, leave them empty"
    )
