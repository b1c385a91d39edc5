"""Numbers about a panel that show what may be wrong with it, and notes on series from which little can be learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.day_deviations import SPREAD
from forecaster.data.series_blocks import series_blocks
from forecaster.data.special_days import find_special_days
from forecaster.data.time_zones import DAY, wall_clock, weekday_of
from forecaster.errors import DataError, listed

if TYPE_CHECKING:
    from forecaster.data.panel import Gap, Panel, Season
    from forecaster.typing import BoolArray, FloatArray, IntArray

MIN_OUTLIER_DISTANCE = 10.0  # of a value from its series' median, in robust standard deviations
MIN_STEPS = 1000  # differences that a 64-bit number can keep within the range of a series
MIN_LOG_SHARE = 1e-5  # range over level, from which a log keeps a window's range; with less a log is linear anyway
_MAX_LISTED = 5  # names and timestamps
_MAX_NAMED = 3  # series that a note names
_CHANGES = (3, 4, 9, 10, 11)  # months in which clocks are set
_NIGHT = 4  # hours of a Sunday in which they are


@dataclass(frozen=True)
class Outlier:
    """A value far from all others of its series."""

    series: str
    timestamp: str
    value: float


@dataclass(frozen=True)
class Summary:
    """A panel at a glance."""

    series: int
    rows: int  # that the file has, without faulty ones
    first: str
    last: str
    freq: str
    season_length: int
    season: Season | None  # how it was found
    zone: str | None
    gaps: int  # steps that no row has
    missing: int  # rows without a target
    constant: tuple[str, ...]  # series of which all targets are equal
    outliers: int
    farthest: tuple[Outlier, ...]  # of these, the farthest
    zone_jumps: int  # changes of the zone's clock within the span
    gap_runs: tuple[Gap, ...]
    clock_gaps: int  # nights without an hour, as when clocks are set forward, where timestamps have no zone
    special_days: tuple[str, ...]  # rules of those that differ from others year after year

    def facts(self) -> dict[str, str]:
        """For people: name of the figure -> its value."""
        words = self.season.words() if self.season else ""
        nights = f"{self.clock_gaps:,} nights lack an hour as when clocks are set: give --zone"
        return {
            "series": f"{self.series:,}",
            "rows": f"{self.rows:,}",
            "span": f"{self.first} to {self.last}",
            "frequency": f"{self.freq}, season length {self.season_length}",
            **({"season": words.removeprefix("season ").rstrip(".")} if words else {}),
            **({"special days": ", ".join(self.special_days)} if self.special_days else {}),
            "zone": self.zone or "none",
            "gaps": f"{self.gaps:,}{_gaps(self.gap_runs)}",
            "missing targets": f"{self.missing:,}",
            "constant series": _counted(self.constant),
            f"outliers (> {MIN_OUTLIER_DISTANCE:.0f} robust sd)": _outliers(self.outliers, self.farthest),
            "clock changes": f"{self.zone_jumps:,}",
            **({"clock gaps": nights} if self.clock_gaps else {}),
        }


def summarise(panel: Panel) -> Summary:
    """Numbers about all rows of all series."""
    with np.errstate(over="ignore", invalid="ignore"):  # values near 1e308
        distances = _distances(panel)
    far = np.flatnonzero(distances > MIN_OUTLIER_DISTANCE)
    farthest = far[np.argsort(-distances[far], kind="stable")[:_MAX_LISTED]]
    ends = int(panel.timestamps.min()), int(panel.timestamps.max())
    first, last = (panel.timestamp_text(end) for end in ends)
    special = find_special_days(panel, panel.offsets[1:])
    return Summary(
        series=len(panel.series),
        rows=len(panel.target) - panel.gaps,
        first=first,
        last=last,
        freq=panel.freq.name,
        season_length=panel.season_length,
        season=panel.season,
        zone=panel.zone,
        gaps=panel.gaps,
        missing=int(np.count_nonzero(np.isnan(panel.target))) - panel.gaps,
        constant=tuple(map(str, panel.series[panel.constant_series])),
        outliers=len(far),
        farthest=tuple(_outlier(panel, int(row)) for row in farthest),
        zone_jumps=_zone_jumps(panel),
        gap_runs=panel.gap_runs,
        clock_gaps=_clock_gaps(panel),
        special_days=tuple(special.effects) if special else (),
    )


def refuse_unkeepable(panel: Panel) -> None:
    """DataError naming a series whose values differ by so little, for their size, that a 64-bit number keeps no three digits."""
    size = np.maximum(np.abs(panel.lowest), np.abs(panel.highest))
    spread = panel.highest - panel.lowest
    wrong = np.flatnonzero((spread > 0.0) & (spread < MIN_STEPS * np.spacing(size)))
    if len(wrong):
        n = int(wrong[0])
        raise DataError(
            f"{panel.source}: series '{panel.series[n]}' changes by {spread[n]:.3g} at a level of {size[n]:.3g}: "
            "a 64-bit number cannot keep such differences.",
            "Subtract a constant from the values first.",
        )


def logs_keep_range(panel: Panel) -> bool:
    """Whether log(1 + y) keeps five digits and more of each series' range."""
    size = 1.0 + np.maximum(np.abs(panel.lowest), np.abs(panel.highest))
    share = (panel.highest - panel.lowest) / size
    return bool((share[share > 0.0] >= MIN_LOG_SHARE).all())


def degenerate_series_notes(panel: Panel) -> tuple[str, ...]:
    """A note for people on the series that are empty, have one value, or are constant: which, and what their forecast is."""
    count = panel.observed_counts
    kinds = (
        (count == 0, "no value at all", "has", "have", "cannot be forecast"),
        (count == 1, "one value only", "has", "have", "the forecast is that value"),
        (panel.constant_series, "never change", "", "", "the forecast is that value"),
    )
    return tuple(_series_note(panel, chosen, *words) for chosen, *words in kinds if chosen.any())


def _series_note(panel: Panel, chosen: BoolArray, what: str, one: str, many: str, forecast: str) -> str:
    names = panel.series[chosen]
    verb = f"{one if len(names) == 1 else many} {what}" if one else f"{what}s" if len(names) == 1 else what
    return f"{len(names)} series {verb} ({listed(names, _MAX_NAMED)}): {forecast}"


def level_and_scale(panel: Panel, since: int | None = None) -> tuple[float, float] | None:
    """Median over series of their medians, and of their robust standard deviations: drift is measured against these.

    `since`: only rows after this timestamp count. None where no target is observed, or where they
    are too large for a float.
    """
    middle, deviation = (np.full(len(panel.series), np.nan) for _ in range(2))
    with np.errstate(over="ignore"):
        for some, rows in series_blocks(panel.offsets):
            target = panel.target[rows]
            if since is not None:
                target = np.where(panel.timestamps[rows] > since, target, np.nan)
            lengths = panel.lengths[some]
            middle[some] = _medians(target, lengths)
            deviation[some] = _medians(np.abs(target - np.repeat(middle[some], lengths)), lengths)
        if np.isnan(middle).all():
            return None
        level, scale = float(np.nanmedian(middle)), float(np.nanmedian(deviation)) * SPREAD
    return (level, scale) if np.isfinite([level, scale]).all() else None


def _gaps(runs: tuple[Gap, ...]) -> str:
    """The longest gaps, and how many more there are."""
    if not runs:
        return ""
    longest = sorted(runs, key=lambda gap: -gap.rows)[:_MAX_NAMED]
    named = "; ".join(
        f"{gap.rows:,} from {gap.first}{f' to {gap.last}' if gap.rows > 1 else ''} (series '{gap.series}')"
        for gap in longest
    )
    return f": {named}{f' and {len(runs) - _MAX_NAMED:,} more gaps' if len(runs) > _MAX_NAMED else ''}"


def _counted(names: tuple[str, ...]) -> str:
    if not names:
        return "none"
    return f"{len(names):,} ({', '.join(names[:_MAX_LISTED])}{', …' if len(names) > _MAX_LISTED else ''})"


def _outliers(count: int, farthest: tuple[Outlier, ...]) -> str:
    if not count:
        return "none"
    worst = "; ".join(f"{one.value:.6g} at {one.timestamp} (series '{one.series}')" for one in farthest[:3])
    return f"{count:,}: {worst}"


def _distances(panel: Panel) -> FloatArray:
    """[R] distance from the series' median in robust standard deviations: median absolute deviation, or the mean one
    where more than half of the values are equal. NaN where not observed, 0 in a constant series.
    """
    distances = np.empty(len(panel.target))
    for some, rows in series_blocks(panel.offsets):
        distances[rows] = _distances_of(panel.target[rows], panel.lengths[some])
    return distances


def _distances_of(target: FloatArray, lengths: IntArray) -> FloatArray:
    """As `_distances`, of series of these lengths [N]."""
    of, count = np.repeat(np.arange(len(lengths)), lengths), len(lengths)
    deviation = np.abs(target - _medians(target, lengths)[of])
    there = ~np.isnan(deviation)
    spread = _medians(deviation, lengths) * SPREAD
    mean = np.bincount(of[there], deviation[there], count) / np.maximum(np.bincount(of[there], minlength=count), 1)
    spread = np.where(spread > 0, spread, mean)[of]
    distances: FloatArray = np.where(there, 0.0, np.nan)
    np.divide(deviation, spread, out=distances, where=there & (spread > 0))
    return distances


def _medians(values: FloatArray, lengths: IntArray) -> FloatArray:
    """[N] median of the values of each series, of so many rows, missing ones left out; NaN where there is none."""
    there = ~np.isnan(values)
    size = int(lengths[0]) if len(lengths) else 0
    if size and (lengths == size).all() and there.all():  # much quicker than sorting
        middle = [(size - 1) // 2, size // 2]
        low, high = np.partition(values.reshape(-1, size), middle, axis=1)[:, middle].T
        return np.asarray(low / 2 + high / 2)
    of = np.repeat(np.arange(len(lengths)), lengths)[there]
    values = values[there]
    order = np.lexsort((values, of))
    sizes = np.bincount(of, minlength=len(lengths))
    starts = np.cumsum(sizes) - sizes
    medians = np.full(len(lengths), np.nan)
    full = sizes > 0
    low, high = (order[(starts + np.maximum(sizes - k, 0) // 2)[full]] for k in (1, 0))
    medians[full] = values[low] / 2 + values[high] / 2
    return medians


def _outlier(panel: Panel, row: int) -> Outlier:
    name = str(panel.series[np.searchsorted(panel.offsets, row, side="right") - 1])
    stamp = panel.timestamp_text(int(panel.timestamps[row]))
    return Outlier(name, stamp, float(panel.target[row]))


def _zone_jumps(panel: Panel) -> int:
    if panel.zone is None:
        return 0
    stamps = np.unique(panel.timestamps)
    return int(np.count_nonzero(np.diff(wall_clock(stamps, panel.zone) - stamps)))


def _clock_gaps(panel: Panel) -> int:
    """Nights to Sunday, in the months in which clocks are set, where a timestamp is missing in every series."""
    if panel.zone is not None or panel.freq.whole_numbers or panel.freq.by_wall_clock or not panel.gaps:
        return 0
    absent = np.setdiff1d(panel.timestamps[np.isnan(panel.target)], panel.timestamps[~np.isnan(panel.target)])
    days = absent // DAY
    month = days.astype("M8[D]").astype("M8[M]").astype(np.int64) % 12 + 1
    night = (weekday_of(days) == 6) & (absent % DAY < _NIGHT * DAY // 24) & np.isin(month, _CHANGES)
    whole = np.unique(days[absent % DAY >= _NIGHT * DAY // 24])  # days that lack more than the night
    return len(np.setdiff1d(days[night], whole))
