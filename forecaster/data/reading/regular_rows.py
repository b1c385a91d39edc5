"""From sorted rows to a regular grid: rows moved and joined as the options say, the frequency, and the slots that exist."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.reading.closed_slots import note_on, open_slots
from forecaster.data.reading.frequency import check_grid, infer_freq, refuse_duplicates
from forecaster.data.reading.joined_rows import Observations, joined, resampled, snapped
from forecaster.data.reading.periods import Periods
from forecaster.data.reading.row_rhythm import Rhythm

if TYPE_CHECKING:
    from forecaster.data.freq import Freq
    from forecaster.data.row_options import RowOptions
    from forecaster.typing import IntArray


@dataclass(frozen=True)
class Regular:
    """Rows on a grid."""

    found: Observations  # R
    freq: Freq
    steps: IntArray  # [R] since the series' first row
    options: RowOptions  # as they were applied
    notes: tuple[str, ...]
    events: bool  # targets are sums of events: 0 where there was none


def regular(found: Observations, freq: Freq | None, options: RowOptions) -> Regular:
    """The rows on their grid: that of `freq`, or of the frequency that is inferred. RowsError on rows that do not fit."""
    given, notes = freq, []
    rhythm = Rhythm.of(found.only(found.observed).rows) if options.aggregate == "sum" else None
    if options.resample is not None and options.aggregate is not None:
        periods = Periods.parse(options.resample)
        found, note = resampled(found, periods, options.aggregate, rhythm)
        given = freq = freq or periods.freq  # a model's frequency also says which slots exist
        notes.append(note)
    elif options.snap is not None:
        freq = freq or infer_freq(found.rows)
        found, how = snapped(found, freq, options.snap)
        options = replace(options, snap=how)
        notes.append(f"timestamps moved to the grid of {freq.name} ({how}).")
    if options.aggregate is not None:
        before = len(found.rows.timestamps)
        found = joined(found, options.aggregate)
        if len(found.rows.timestamps) < before:
            notes.append(f"{before:,} rows joined to {len(found.rows.timestamps):,} ({options.aggregate}).")
    refuse_duplicates(found.rows)
    freq = freq or infer_freq(found.rows)
    found = _in_slots(found, freq)
    steps = check_grid(found.rows, freq, inferred=given is None)
    if not options.all_slots and _has_holes(found, steps):
        kept = open_slots(found.rows, freq, found.observed)
        if kept != freq:
            freq, found = kept, _in_slots(found, kept)
            steps = check_grid(found.rows, freq, inferred=False)
            notes.append(note_on(freq))
    return Regular(found, freq, steps, options, tuple(notes), events=rhythm is not None and rhythm.events)


def _in_slots(found: Observations, freq: Freq) -> Observations:
    """The rows without those that have no value and are in no slot of the frequency: such rows say nothing."""
    there = freq.exists(found.rows.timestamps, found.rows.zone)
    return found if there.all() else found.only(there | found.observed)


def _has_holes(found: Observations, steps: IntArray) -> bool:
    """Whether a step lacks a row or a value."""
    lengths = steps[found.rows.offsets[1:] - 1] + 1
    return bool(lengths.sum() > len(steps)) or bool(np.isnan(found.targets).any())
