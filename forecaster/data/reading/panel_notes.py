"""What was inferred about a panel, in notes for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import format_timestamps

if TYPE_CHECKING:
    from collections.abc import Iterable

    from forecaster.data.freq import Freq
    from forecaster.data.panel import Panel


def panel_notes(panel: Panel, freq: Freq | None, season_length: int | None, first_gap: str) -> Iterable[str]:
    """Frequency, season, series and span, gaps, missing values, for people.

    `freq` and `season_length` as the caller gave them, None where they were inferred; `first_gap` says where that is.
    """
    settings = (("frequency", freq), ("season length", season_length))
    inferred = " and ".join(what for what, given in settings if given is None)
    how = f" ({inferred} inferred)" if inferred else ""
    yield f"frequency {panel.freq.name}, season length {panel.season_length}{how}."
    yield panel.season.words() if panel.season else ""
    ends = np.array([panel.timestamps.min(), panel.timestamps.max()])
    first, last = format_timestamps(ends, panel.freq, panel.zone)
    short, long = int(panel.lengths.min()), int(panel.lengths.max())
    each = f"{short:,}" if short == long else f"{short:,} to {long:,}"
    count = len(panel.series)
    rows = f"{each} row{'s' * (long > 1)}"
    yield f"{f'{count:,} series of {rows}' if count > 1 else rows}, {first} to {last}."
    if panel.gaps:
        yield f"{panel.gaps:,} rows filled in as missing where the calendar has gaps, {first_gap}."
    missing = int(np.count_nonzero(np.isnan(panel.target))) - panel.gaps
    if missing:
        yield f"{missing:,} of {len(panel.target) - panel.gaps:,} targets are missing and stay so."
