"""A panel's covariates: cutting off rows, adding future values, listing future values that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import quoted

if TYPE_CHECKING:
    from forecaster.data.panel import Covariate, Panel
    from forecaster.typing import FloatArray, IntArray

MIN_SHARED = 5  # rows of two files that show whether a column is the same in both
MAX_SHOWN = 5  # missing values that a message names; it counts the others


def cut(panel: Panel, left: IntArray) -> Panel:
    """The first `left` [N] rows of each series, without the series that have none. Known covariates of later rows are
    kept as values ahead.
    """
    of = panel.row_series
    place = np.arange(len(of)) - panel.offsets[of]
    kept, some = place < left[of], np.flatnonzero(left)

    def shorter(one: Covariate) -> Covariate:
        if one.role == "static":
            return replace(one, values=one.values[some])
        if one.role == "past":
            return replace(one, values=one.values[kept])
        dropped, old = panel.lengths - left, one.ahead if one.ahead is not None else np.empty((len(left), 0))
        ahead = np.full((len(left), int(dropped.max(initial=0)) + old.shape[1]), np.nan)
        ahead[of[~kept], (place - left[of])[~kept]] = one.values[~kept]
        ahead[np.arange(len(left))[:, None], dropped[:, None] + np.arange(old.shape[1])] = old
        return replace(one, values=one.values[kept], ahead=ahead[some])

    return replace(
        panel,
        series=panel.series[some],
        offsets=np.concatenate([[0], np.cumsum(left[some])]).astype(np.int64),
        timestamps=panel.timestamps[kept],
        target=panel.target[kept],
        covariates=tuple(map(shorter, panel.covariates)),
    )


def cut_unobserved(panel: Panel) -> Panel:
    """`panel` up to each series' last observed target if it has known covariates: later rows are values ahead.

    A series without any observed target stays whole.
    """
    if not any(one.role == "known" for one in panel.covariates):
        return panel
    place = np.arange(len(panel.target)) - np.repeat(panel.offsets[:-1], panel.lengths)
    observed = np.where(np.isnan(panel.target), 0, place + 1)
    last: IntArray = np.maximum.reduceat(observed, panel.offsets[:-1])
    return cut(panel, np.where(last > 0, last, panel.lengths))


def with_future(panel: Panel, future: Panel, steps: int) -> Panel:
    """`panel` with the known values in `future` of the `steps` after each series' last row; other rows are ignored."""
    place = {str(name): n for n, name in enumerate(panel.series)}
    mine = np.array([place.get(str(name), -1) for name in future.series])
    if panel.columns.series is None:
        mine = np.zeros(len(mine), np.int64)
    n = np.repeat(mine, future.lengths)
    last = panel.last_timestamps[np.maximum(n, 0)]
    step = panel.freq.ordinals(future.timestamps, panel.zone) - panel.freq.ordinals(last, panel.zone)
    fits = (n >= 0) & (step >= 1) & (step <= steps)
    fits[fits] = panel.freq.advance(last[fits], step[fits], panel.zone) == future.timestamps[fits]
    given = {one.name: one for one in future.covariates}

    def longer(one: Covariate) -> Covariate:
        if one.role != "known":
            return one
        old = one.ahead if one.ahead is not None else np.empty((len(panel.series), 0))
        ahead = np.full((len(panel.series), max(steps, old.shape[1])), np.nan)
        ahead[:, : old.shape[1]] = old
        other = given[one.name]
        levels = one.levels
        values = other.values
        if levels is not None:
            levels = (*levels, *(text for text in other.levels or () if text not in levels))
            values = recoded(values, other.levels or (), levels)
        there = fits & ~np.isnan(values)
        ahead[n[there], step[there] - 1] = values[there]
        return replace(one, ahead=ahead, levels=levels)

    return replace(panel, covariates=tuple(map(longer, panel.covariates)))


def differing(panel: Panel, future: Panel) -> str:
    """The known columns that differ much between `panel` and rows of `future` that `panel` has, too, in words; empty = none.

    A forecast of the weather differs a little from what came. A mean difference of more than a standard deviation, or
    more than half of the texts, is another unit or another coding.
    """
    place = {str(name): n for n, name in enumerate(panel.series)}
    mine = np.array([place.get(str(name), -1) for name in future.series])
    n = np.repeat(mine if panel.columns.series is not None else np.zeros_like(mine), future.lengths)
    step = panel.freq.ordinals(future.timestamps, panel.zone)
    step -= panel.freq.ordinals(panel.last_timestamps[np.maximum(n, 0)], panel.zone)
    row = panel.offsets[np.maximum(n, 0) + 1] - 1 + step
    both = np.flatnonzero((n >= 0) & (step <= 0) & (row >= panel.offsets[np.maximum(n, 0)]))
    both = both[panel.timestamps[row[both]] == future.timestamps[both]]
    given, odd = {one.name: one for one in future.covariates}, []
    for one in (one for one in panel.covariates if one.role == "known"):
        old, new = one.values[row[both]], given[one.name].values[both]
        if one.levels is not None:
            new = recoded(new, given[one.name].levels or (), one.levels)
        there = ~np.isnan(old) & ~np.isnan(new)
        if np.count_nonzero(there) < MIN_SHARED:
            continue
        old, new = old[there], new[there]
        far = np.abs(new - old).mean() > old.std() if one.levels is None else np.mean(old != new) > 0.5
        if far and (old != new).any():
            odd.append(f"{one.name} in {np.count_nonzero(old != new):,} of {len(old):,} rows")
    return ", ".join(odd)


def recoded(values: FloatArray, levels: Sequence[str], vocabulary: Sequence[str]) -> FloatArray:
    """Codes into `levels` as codes into `vocabulary`; other levels get the code after its last. NaN stays."""
    place = {text: float(i) for i, text in enumerate(vocabulary)}
    codes = np.array([*(place.get(text, float(len(vocabulary))) for text in levels), np.nan])
    return codes[np.where(np.isnan(values), len(levels), values).astype(np.int64)]


def missing_ahead(panel: Panel, chosen: IntArray, steps: int) -> tuple[IntArray, str]:
    """The series among `chosen` that lack a known value in the next `steps`, and a list of these values for a message."""
    lacking, named, count = set(), [], 0
    for one in (one for one in panel.covariates if one.role == "known"):
        ahead = np.full((len(chosen), steps), np.nan)
        if one.ahead is not None:
            ahead[:, : one.ahead.shape[1]] = one.ahead[chosen, :steps]
        series, step = np.nonzero(np.isnan(ahead))
        count += len(series)
        lacking |= set(series.tolist())
        for i, k in zip(series[:MAX_SHOWN], step[:MAX_SHOWN], strict=True):
            named.append(cell_ahead(panel, one.name, int(chosen[i]), int(k)))
    more = f" and {count - MAX_SHOWN:,} more" if count > MAX_SHOWN else ""
    return chosen[sorted(lacking)], ", ".join(named[:MAX_SHOWN]) + more


def cell_ahead(panel: Panel, column: str, n: int, k: int) -> str:
    """A column's value k + 1 steps after the last row of the n-th series, as messages name it."""
    stamp = panel.freq.after(panel.last_timestamps[n : n + 1], k + 1, panel.zone)[0, -1]
    of = f" of series {quoted(panel.series[n])}" if panel.columns.series else ""
    return f"{column}{of} at {panel.timestamp_text(int(stamp))}"
