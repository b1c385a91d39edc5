"""The age of the data: a limit on it, and rows whose period is not over yet.

Timestamps are compared with the clock of their zone; timestamps without a zone with the clock of this machine.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import timestamp_text
from forecaster.data.future_covariates import cut
from forecaster.data.slots import WEEK
from forecaster.data.time_zones import DAY, SECOND, days_on_clock, instants_of, wall_clock, weekday_of
from forecaster.errors import DataError, StaleError, UsageError

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import IntArray, Watch

_FRIDAY = 4


def fresh(
    panel: Panel, max_age: float | None, drop_incomplete: bool, watch: Watch, now: datetime | None = None
) -> Panel:
    """The panel to forecast from; its cutoff is noted to `watch`. `max_age` in seconds; `now` None = this machine's clock.

    StaleError where the latest observed target is older than `max_age`. With `drop_incomplete`, rows whose period is not
    over are left out, else they are warned of. UsageError where timestamps are whole numbers, which have no age.
    """
    if max_age is not None:
        refuse_older(latest_observed(panel), panel, max_age, now)
    if drop_incomplete:
        panel = _complete(panel, watch, now)
    else:
        warn_of_unfinished(panel, watch, now, way_out="--drop-incomplete")
    last = panel.last_timestamps
    ended = int(np.count_nonzero(last < last.max()))
    earlier = f"; {ended:,} of {len(last):,} series end earlier" if ended else ""
    watch.note(f"cutoff {panel.timestamp_text(int(last.max()))}{earlier}")
    return panel


def latest_observed(panel: Panel) -> int | None:
    """The timestamp of the latest observed target; None where no target is observed."""
    observed = ~np.isnan(panel.target)
    first = int(panel.timestamps.min())
    return int(np.max(panel.timestamps, where=observed, initial=first)) if observed.any() else None


def unfinished(panel: Panel, now: datetime | None = None) -> IntArray:
    """[N] rows at the end of each series whose period is not over.

    A period lasts from its timestamp to the next one. For business days, and for timestamps at the end of months,
    quarters or years, it lasts to the end of the timestamp's day. Whole-number steps have no clock: 0.
    """
    if panel.freq.whole_numbers:
        return np.zeros(len(panel.series), dtype=np.int64)
    clock = _clock(panel, now)
    counts = np.zeros(len(panel.series), dtype=np.int64)
    if (_ends(panel, panel.last_timestamps) > clock).any():
        unfinished_rows = (_ends(panel, panel.timestamps) > clock).astype(np.int64)
        counts = np.add.reduceat(unfinished_rows, panel.offsets[:-1])
    return counts


def warn_of_unfinished(panel: Panel, watch: Watch, now: datetime | None = None, way_out: str = "") -> None:
    """Warn of values whose period is not over, as of the month that goes on; `way_out` "" = the --until before it.

    Weeks dated Friday to Sunday are not warned of unless rows were joined to them: most are called by their last day.
    """
    counts = unfinished(panel, now)
    if not counts.any() or _may_be_called_by_its_end(panel):
        return
    place = np.arange(len(panel.target)) - np.repeat(panel.offsets[:-1], panel.lengths)
    rows = (place >= np.repeat(panel.lengths - counts, panel.lengths)) & ~np.isnan(panel.target)
    if not rows.any():
        return
    first = int(panel.timestamps[rows].min())
    some = int(np.count_nonzero(np.logical_or.reduceat(rows, panel.offsets[:-1])))
    whose = f" of {some:,} of {len(panel.series):,} series" if len(panel.series) > 1 else ""
    watch.warn(
        f"unfinished last period{whose}: {panel.timestamp_text(first)} is not over, and its value may be that of a part. Leave "
        f"it out with {way_out or f'--until {_time_before(panel, first)}'}"
    )


def _may_be_called_by_its_end(panel: Panel) -> bool:
    if panel.rows.resample is not None or panel.freq.unit != "clock" or panel.freq.count % WEEK:
        return False
    return int(weekday_of(days_on_clock(panel.last_timestamps[:1], panel.zone))[0]) >= _FRIDAY


def _time_before(panel: Panel, timestamp: int) -> str:
    """The latest time before the period of a timestamp, as --until takes it."""
    own = np.array([timestamp])
    if panel.freq.at_end:  # the last day of the period before
        wall = int(wall_clock(panel.freq.advance(own, np.array([-1]), panel.zone), panel.zone)[0])
    else:
        wall = int(wall_clock(own, panel.zone)[0])
        wall -= 60 * SECOND if wall % DAY else DAY
    return timestamp_text(wall, None, whole_numbers=False).replace(" ", "T")


def refuse_older(latest: int | None, panel: Panel, max_age: float, now: datetime | None = None) -> None:
    """StaleError where the timestamp of the latest target, in the units of `panel`, is older than `max_age` seconds.

    DataError where it is None; UsageError where timestamps are whole numbers.
    """
    if panel.freq.whole_numbers:
        raise UsageError("--max-age means nothing for whole-number timestamps.", "Leave it out.")
    if latest is None:
        raise DataError(f"{panel.source}: no target is observed.", "Give newer rows.")
    age = (_clock(panel, now) - latest) / SECOND
    if age > max_age:
        raise StaleError(
            f"{panel.source}: the latest target, of {panel.timestamp_text(latest)}, is {_duration(age)} old, more than the "
            f"{_duration(max_age)} of --max-age.",
            "Fetch newer data.",
        )


def _complete(panel: Panel, watch: Watch, now: datetime | None) -> Panel:
    """`panel` without the rows whose period is not over, and without the series that are left empty."""
    if panel.freq.whole_numbers:
        raise UsageError("--drop-incomplete means nothing for whole-number timestamps.", "Leave it out.")
    unfinished_rows = unfinished(panel, now)
    if not unfinished_rows.any():
        return panel
    left = panel.lengths - unfinished_rows
    if not left.any():
        raise DataError(f"{panel.source}: no period is over yet.", "Leave --drop-incomplete out, or give older rows.")
    kept = np.arange(len(panel.target)) < np.repeat(panel.offsets[:-1] + left, panel.lengths)
    first = panel.timestamp_text(int(panel.timestamps[~kept].min()))
    watch.note(
        f"dropped as incomplete: {int(unfinished_rows.sum()):,} rows from {first} on, whose periods are not over yet"
    )
    if not left.all():
        watch.warn(f"{int((left == 0).sum()):,} series left out: they have no period that is over")
    return cut(panel, left)


def _ends(panel: Panel, timestamps: IntArray) -> IntArray:
    """When the periods of these timestamps end."""
    freq = panel.freq
    if freq.unit == "B" or freq.at_end:
        return instants_of((days_on_clock(timestamps, panel.zone) + 1) * DAY, panel.zone)
    if freq.slots:
        return instants_of(wall_clock(timestamps, panel.zone) + freq.count, panel.zone)
    return freq.advance(timestamps, np.ones(1, dtype=np.int64), panel.zone)


def _clock(panel: Panel, now: datetime | None) -> int:
    """`now` as the panel's timestamps are written."""
    now = datetime.now(timezone.utc) if now is None else now
    if panel.zone is not None:
        return (now.astimezone(timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)
    return (now.astimezone().replace(tzinfo=None) - datetime(1970, 1, 1)) // timedelta(microseconds=1)


def _duration(seconds: float) -> str:
    """`5 min`, `3 h 20 min`, `12 d 3 h`."""
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // 1440:,} d {minutes % 1440 // 60} h"
