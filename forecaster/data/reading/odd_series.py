"""Warnings of what exports add to the rows of a table: a total as a series of its own, zeros in place of rows to come."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.leading_zeros import MAX_LATER_SHARE, MIN_ROWS
from forecaster.errors import quoted

if TYPE_CHECKING:
    from forecaster.data.panel import Panel

_TOTAL = re.compile(
    r"(?:grand |sub)?[ -]?totals?|(?:gesamt)?summe|gesamt|insgesamt|sums?|total g[ée]n[ée]ral|totale?|suma",
    re.IGNORECASE,
)
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
