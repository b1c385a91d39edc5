"""Whole series, sampled evenly: of a panel that is larger than memory as many as fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.panel import SeriesSample
from forecaster.errors import UsageError

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import IntArray


@dataclass(frozen=True)
class SampleOptions:
    """How many rows a sample may have at most, and the seed that it is drawn by."""

    max_rows: int
    seed: int


def evenly_sampled(lengths: IntArray, options: SampleOptions) -> IntArray:
    """Positions, ascending, of as many series as have at most `max_rows` rows together; all where they fit. `lengths` [N].

    Systematic sampling: the series are put in order by their rows and, where these are equal, by their place in the data; each
    k-th is taken, from a start between 0 and k that the seed draws. So the sample has short and long series, early and late
    ones, in the shares of the whole. UsageError where not one series fits.
    """
    count = len(lengths)
    if int(lengths.sum()) <= options.max_rows:
        return np.arange(count)
    order = np.argsort(lengths, kind="stable")
    start = np.random.default_rng(options.seed).random()
    wanted = min(count * options.max_rows // max(int(lengths.sum()), 1) + 1, count - 1)
    for k in range(wanted, 0, -1):
        chosen = order[((np.arange(k) + start) * (count / k)).astype(np.int64)]
        if int(lengths[chosen].sum()) <= options.max_rows:
            return np.sort(chosen)
    raise UsageError(
        f"--max-rows {options.max_rows:,} is less than one series has ({int(np.median(lengths)):,} rows).",
        "Whole series are sampled: give more, or leave out early rows with --since.",
    )


def sampled(panel: Panel, options: SampleOptions) -> Panel:
    """The panel with no more rows than asked for; `Panel.sample` says what was taken. UsageError where no series fits.

    A panel that is a sample already stays one of all that there was.
    """
    chosen = evenly_sampled(panel.lengths, options)
    if len(chosen) == len(panel.series):
        return panel
    taken, before = only(panel, chosen), panel.sample
    return replace(
        taken,
        sample=SeriesSample(
            max_rows=options.max_rows,
            series=len(chosen),
            rows=len(taken.target),
            of_series=before.of_series if before else len(panel.series),
            of_rows=before.of_rows if before else len(panel.target),
        ),
    )


def only(panel: Panel, chosen: IntArray) -> Panel:
    """The panel of some series, at ascending positions. Notes and warnings stay those of all."""
    lengths = panel.lengths[chosen]
    kept = np.zeros(len(panel.series), dtype=bool)
    kept[chosen] = True
    rows = np.repeat(kept, panel.lengths)
    names = {str(name) for name in panel.series[chosen]}
    gaps = tuple(one for one in panel.gap_runs if panel.layout == "wide" or one.series in names)
    covariates = tuple(
        replace(
            one,
            values=one.values[chosen] if one.role == "static" else one.values[rows],
            ahead=None if one.ahead is None else one.ahead[chosen],
        )
        for one in panel.covariates
    )
    return replace(
        panel,
        series=panel.series[chosen],
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        timestamps=panel.timestamps[rows],
        target=panel.target[rows],
        gaps=sum(one.rows for one in gaps) * (len(chosen) if panel.layout == "wide" else 1),
        gap_runs=gaps,
        covariates=covariates,
    )
