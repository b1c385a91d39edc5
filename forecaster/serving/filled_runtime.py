"""Gaps in the context of a pretrained network, filled from the rows around them.

A missing row is the line between its neighbours, after the season was taken out, with the season put back. The graphs read
missing rows themselves, but their Theta method takes a season from whole ones, and the networks saw few gaps in their training.
They did see short histories: where half of a context is one gap, the rows after it are read alone if they are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.models.filled_gaps import without_gaps

if TYPE_CHECKING:
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray

MAX_GAP = 0.5  # of a context: what is filled has no noise, so intervals are too narrow after more of it


@dataclass(frozen=True)
class FilledRuntime:
    """A graph, run on contexts whose gaps are filled. Rows before the first and after the last observed one stay missing."""

    graph: Runtime
    season_length: int
    min_rows: int  # observed values that the graph needs

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`."""
        return self.graph.run(filled(after_long_gaps(context, self.min_rows), self.season_length), extra)


def after_long_gaps(context: FloatArray, min_rows: int) -> FloatArray:
    """Contexts [B, L], NaN = missing, without the rows before a gap of MAX_GAP of L, where `min_rows` are observed after it."""
    seen = ~np.isnan(context)
    length, place = context.shape[1], np.arange(context.shape[1])
    latest = np.maximum.accumulate(np.where(seen, place, -1), axis=1)  # observed row up to each
    before = np.concatenate([np.full((len(context), 1), -1), latest[:, :-1]], axis=1)
    ends = seen & (before >= 0) & (place - before > MAX_GAP * length)  # the first row after a long gap
    left = np.cumsum(seen[:, ::-1], axis=1)[:, ::-1]  # observed from each row on
    start = np.where(ends & (left >= min_rows), place, 0).max(axis=1, initial=0)
    if not start.any():
        return context
    return np.where(place < start[:, None], np.nan, context)


def filled(context: FloatArray, season_length: int) -> FloatArray:
    """Contexts [B, L], NaN = missing, without gaps between observed rows; observed rows as they are."""
    missing = np.isnan(context)
    inside = np.logical_or.accumulate(~missing, axis=1) & np.logical_or.accumulate(~missing[:, ::-1], axis=1)[:, ::-1]
    some = np.flatnonzero((inside & missing).any(axis=1))
    if not len(some):
        return context
    found: FloatArray = context.copy()
    found[some] = without_gaps(context[some], season_length)
    return found
