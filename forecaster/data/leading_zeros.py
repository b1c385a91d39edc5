"""Zeros before a series' first value: a product that was not sold yet, whose zeros say nothing of what comes after.

A run of zeros from the first row on is read as not there yet where it is unambiguous: it is a season long or longer, four times
as long as any later run of zeros, and what follows is at least as long, of one sign, and hardly ever 0. Intermittent series, of
which more is 0, keep theirs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.series_blocks import series_blocks
from forecaster.errors import listed

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, FloatArray, IntArray

MIN_ROWS = 8  # of zeros, and of what follows them; a season where that is longer
MAX_LATER_SHARE = (
    0.2  # of zeros among what follows: intermittent series have more (an interval of 1.32 rows and longer)
)
LONGER = 4  # times the longest later run of zeros


def without_leading_zeros(panel: Panel, season_length: int) -> tuple[Panel, str]:
    """The panel whose series begin after their leading zeros, and a note; itself and "" where there are none."""
    first = _first_rows(panel, max(season_length, MIN_ROWS))
    some = np.flatnonzero(first > panel.offsets[:-1])
    if not len(some):
        return panel, ""
    kept = np.arange(len(panel.target)) >= np.repeat(first, panel.lengths)
    left = panel.offsets[1:] - first
    most = int((first - panel.offsets[:-1]).max())
    verb = "begins" if len(some) == 1 else "begin"
    note = (
        f"{len(some):,} of {len(left):,} series ({listed(panel.series[some])}) {verb} with zeros, up to {most:,} rows: "
        "read as not there yet (--leading-zeros keep reads them)."
    )
    covariates = tuple(
        one if one.role == "static" else replace(one, values=one.values[kept]) for one in panel.covariates
    )
    return replace(
        panel,
        offsets=np.concatenate([[0], np.cumsum(left)]).astype(np.int64),
        timestamps=panel.timestamps[kept],
        target=panel.target[kept],
        covariates=covariates,
    ), note


def _first_rows(panel: Panel, least: int) -> IntArray:
    """[N] the first row of each series that is not one of its leading zeros."""
    found: IntArray = panel.offsets[:-1].copy()
    for some, _ in series_blocks(panel.offsets):
        own = panel.offsets[some.start : some.stop + 1]
        if (panel.target[own[:-1]] == 0.0).any():
            found[some] += _leading_rows(panel.target[own[0] : own[-1]], own - own[0], least)
    return found


def _leading_rows(target: FloatArray, offsets: IntArray, least: int) -> IntArray:
    """[N] leading zeros of the series in `target` [R] that are left out; `offsets` [N+1] separate them."""
    start, end = offsets[:-1], offsets[1:]
    leading = np.zeros(len(start), np.int64)
    place = np.where(target == 0.0, len(target), np.arange(len(target)))
    first = np.minimum(np.minimum.reduceat(place, start), end)  # NaN is no zero
    zeros, values = (np.concatenate([[0], np.cumsum(one)]) for one in (target == 0.0, ~np.isnan(target)))
    later, observed = zeros[end] - zeros[first], values[end] - values[first]
    likely = (first - start >= least) & (observed >= least) & (later <= MAX_LATER_SHARE * observed)
    for n in np.flatnonzero(likely):
        rest = target[first[n] : end[n]]
        one_sign = np.nanmin(rest) >= 0.0 or np.nanmax(rest) <= 0.0
        if one_sign and first[n] - start[n] >= LONGER * _longest_run(rest == 0.0):
            leading[n] = first[n] - start[n]
    return leading


def _longest_run(flags: BoolArray) -> int:
    """The longest run of flags that are set."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))
