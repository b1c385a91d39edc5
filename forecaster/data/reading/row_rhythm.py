"""How rows follow each other before they are joined: readings at a step of their own, or events at any time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.closed_slots import open_slots
from forecaster.data.reading.differences import inner_neighbours
from forecaster.data.reading.frequency import infer_freq, steps_on_grid

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.data.reading.frequency import SortedRows

_MIN_REGULAR_SHARE = 0.5  # of gaps that are one step, or near the usual one, for rows to have a step
_MAX_OFF_SHARE = 0.2  # of rows that are off its grid
_MIN_ALIKE_SHARE = 0.8  # of timestamps with as many rows as usual: these vary where rows are events
_MAX_FEW = 3.0  # rows of a timestamp on average, for it to be chance that others have none
_USUAL_SHARE = 0.95  # of gaps that are not longer than usual


@dataclass(frozen=True)
class Rhythm:
    """How rows follow each other."""

    step: Freq | None = None  # their own, with its slots; None = none
    gap: int = 1  # steps from row to row, as long as usual: more than 1 where many rows are missing
    events: bool = (
        False  # rows at any time or any number of them, as of transactions: no row means that nothing happened
    )

    @classmethod
    def of(cls, rows: SortedRows) -> Rhythm:
        """That of the rows of all series. Several rows of one timestamp are a step, too, where all have many, or as many
        as each other.
        """
        new = np.ones(len(rows.timestamps), dtype=bool)
        new[1:] = np.diff(rows.timestamps) != 0
        new[rows.offsets[:-1]] = True
        each = np.diff(np.flatnonzero(np.append(new, True)))
        rows = rows.only(new)
        inner = inner_neighbours(rows.offsets)
        if not inner.any():
            return cls()
        if each.mean() <= _MAX_FEW and np.mean(each == np.median(each)) < _MIN_ALIKE_SHARE:
            return cls(events=True)
        step = infer_freq(rows)
        step = open_slots(rows, step, np.ones(len(rows.timestamps), dtype=bool))
        steps, off = steps_on_grid(rows.timestamps, rows.offsets, rows.zone, step)
        between = np.diff(steps)[inner]
        if off.mean() <= _MAX_OFF_SHARE and np.mean(between == 1) >= _MIN_REGULAR_SHARE:
            return cls(step, int(np.quantile(between, _USUAL_SHARE, method="higher")))
        gaps = np.diff(rows.timestamps)[inner]
        usual = np.median(gaps)
        return cls(events=bool(np.mean(np.abs(gaps - usual) <= usual / 4) < _MIN_REGULAR_SHARE))
