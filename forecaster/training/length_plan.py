"""Chooses the lengths of a plan: the horizon, the test windows, the segment and the context, from the lengths of the series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import DataError, UsageError

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.training.plan import Chooser

MAX_DEFAULT_HORIZON, HORIZON_WITHOUT_SEASON = 96, 6  # steps
MAX_SEGMENT = 31  # a longer season is cut to its largest divisor up to this
MIN_CONTEXT = 24  # steps
MAX_CONTEXT_SEASONS = 14
MIN_SERIES_FOR_ONE_WINDOW = 30  # fewer need several test windows for a reliable score
MAX_WINDOWS_PER_SERIES = 10  # and more where there are many rows, see MAX_EXTRA_TEST_SHARE
MIN_TOTAL_WINDOWS = 60  # to calibrate intervals: ten windows in one season say little about another
MAX_TEST_SHARE = 0.2  # of a series' rows
MAX_EXTRA_TEST_SHARE = 0.1  # of a series' rows, beyond MAX_WINDOWS_PER_SERIES


@dataclass(frozen=True)
class Lengths:
    """Lengths in steps that the rules depend on."""

    rows: int  # of the typical series
    season: int
    horizon: int


def count_windows(series: int, lengths: Lengths) -> tuple[int, str]:
    """Number of test windows of each series with the typical lengths, and the reason."""
    rows, horizon = lengths.rows, lengths.horizon
    if rows < 2 * horizon + 2:
        return 0, "the series are too short for test windows"
    if series >= MIN_SERIES_FOR_ONE_WINDOW:
        return 1, f"{series} series give {series} windows"
    some = min(MAX_WINDOWS_PER_SERIES, int(MAX_TEST_SHARE * rows) // horizon)
    many = min(-(-MIN_TOTAL_WINDOWS // series), int(MAX_EXTRA_TEST_SHARE * rows) // horizon)
    extra = f"{MAX_EXTRA_TEST_SHARE:.0%} for more than {MAX_WINDOWS_PER_SERIES}"
    return max(1, some, many), f"at most {MAX_TEST_SHARE:.0%} of a series' rows, {extra}"


def longest_tested(rows: int) -> int:
    """The longest horizon that series of so many rows can be tested on: fits need the other two thirds."""
    return max(rows // 3, 1)


def choose_horizon(choose: Chooser, settings: TrainSettings, panel: Panel, rows: int) -> int:
    """Steps to forecast. DataError for more than can be tested, unless these are allowed."""
    season, longest = panel.season_length, longest_tested(rows)
    automatic, why = default_horizon(season), "one season" if season > 1 else "there is no season"
    if automatic > longest:
        automatic, why = longest, "a third of the rows: the longest that can be tested"
    horizon = choose("horizon", settings.horizon, automatic, why)
    if horizon > longest and not settings.allow_untested_horizon:
        raise DataError(
            f"{panel.source}: --horizon {horizon} is more than a third of the median series' {rows} rows: it cannot be tested.",
            f"Give --horizon {longest} or less, or --allow-untested-horizon for a statistical forecast.",
        )
    return horizon


def default_horizon(season: int) -> int:
    """Steps to forecast where none are given."""
    return min(season, MAX_DEFAULT_HORIZON) if season > 1 else HORIZON_WITHOUT_SEASON


def default_windows(panel: Panel, horizon: int) -> int:
    """Number of test windows of each series; 0 where the series are too short."""
    lengths = Lengths(rows=int(np.median(panel.lengths)), season=panel.season_length, horizon=horizon)
    return count_windows(len(panel.series), lengths)[0]


def choose_segment(choose: Chooser, settings: TrainSettings, season: int) -> int:
    """Observations in one recurrent step, a divisor of the context that is given."""
    longest = max(d for d in range(1, MAX_SEGMENT + 1) if season % d == 0)
    if settings.context_length:
        longest = max(d for d in range(1, longest + 1) if settings.context_length % d == 0)
    return choose("segment", settings.segment, longest, "a season, or its largest divisor that fits")


def choose_context_length(choose: Chooser, settings: TrainSettings, lengths: Lengths, segment: int) -> int:
    """A multiple of the segment."""
    shortest = min_context(lengths.season, lengths.horizon)
    longest = max(MAX_CONTEXT_SEASONS * lengths.season, shortest)
    third = lengths.rows // 3
    automatic = whole_segments(min(max(third, shortest), longest), segment)
    why = f"a third of the rows, from 2 to {MAX_CONTEXT_SEASONS} seasons, at least 1.25 horizons"
    context_length = choose("context_length", settings.context_length, automatic, why)
    if context_length % segment:
        raise UsageError(
            f"--context-length {context_length} is not a multiple of --segment {segment}.",
            f"Give --context-length {whole_segments(context_length, segment)}, or another --segment.",
        )
    return context_length


def min_context(season: int, horizon: int) -> int:
    """The shortest context that is chosen."""
    return max(2 * season, -(-5 * horizon // 4), MIN_CONTEXT)


def whole_segments(length: int, segment: int) -> int:
    """The length, rounded up."""
    return -(-length // segment) * segment
