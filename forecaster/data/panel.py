"""A panel of regular time series in flat arrays: what every stage after reading works on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import Freq, timestamp_text
from forecaster.data.row_options import AS_SHOWN, AS_USUAL, RowOptions, TextOptions
from forecaster.data.series_blocks import series_blocks

if TYPE_CHECKING:
    from forecaster.data.events import Event
    from forecaster.typing import BoolArray, FloatArray, IntArray, TextArray

# Known: of the future, too; past: up to the cutoff; static: one value a series.
ROLES = ("known", "past", "static")

MIN_CORRELATION = 0.1  # autocorrelation at a season that values show


@dataclass(frozen=True)
class Columns:
    """The caller's column names; None = not there, or to be inferred. After reading they serve to write rows back."""

    series: str | None = None
    timestamp: str | None = None
    target: str | None = None
    known: tuple[str, ...] = ()  # covariates by role
    past: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    texts: tuple[str, ...] | None = None  # covariates that are categories; None = those that do not hold numbers

    @property
    def covariates(self) -> dict[str, str]:
        """Covariate → role, in the order in which networks read them."""
        return {name: role for role in ROLES for name in getattr(self, role)}


@dataclass(frozen=True)
class Covariate:
    """A column other than the target. Numbers are in the caller's units, texts are codes into `levels`; NaN = missing."""

    name: str
    role: str  # a row of ROLES
    values: FloatArray  # [R]; [N] where static
    levels: tuple[str, ...] | None = None  # a category's texts; None = numbers
    ahead: FloatArray | None = None  # known: [N, A] values of the A steps after each series' last row

    @property
    def kind(self) -> str:
        """What messages call it: number or category."""
        return "number" if self.levels is None else "category"


@dataclass(frozen=True)
class Gap:
    """Steps of a series that the file has no rows for."""

    series: str
    first: str  # timestamps, for people
    last: str
    rows: int


@dataclass(frozen=True)
class SeasonStrength:
    """A season length, and the autocorrelation of the changes one season apart."""

    length: int
    strength: float


@dataclass(frozen=True)
class Season:
    """The season length that was taken, and why."""

    length: int  # steps; 1 = none
    source: str  # "given" | "calendar" | "values"
    strength: float | None = None  # autocorrelation of its changes; None = not tested, or no season
    others: tuple[SeasonStrength, ...] = ()  # that the values have, too; where the values decided, the calendar's first

    def words(self) -> str:
        """How it was found, for people; empty where there is nothing to say."""
        if self.source == "given" or self.length == 1:
            return ""
        taken = "not tested on so few rows" if self.strength is None else f"strength {self.strength:.2f}"
        if self.strength is not None and self.strength < MIN_CORRELATION:
            taken += ", so the values do not show it"
        source = "by the values, " if self.source == "values" else "by the calendar, "
        others = "; ".join(f"{one.length:,}: {one.strength:.2f}" for one in self.others)
        return f"season {source}{taken}{f' (others: {others})' if others else ''}."


@dataclass(frozen=True)
class SeriesSample:
    """The series that were taken, and those that there were."""

    max_rows: int  # as asked for
    series: int
    rows: int
    of_series: int
    of_rows: int

    @property
    def words(self) -> str:
        """What was taken, for people."""
        return f"{self.series:,} of {self.of_series:,} series, {self.rows:,} of {self.of_rows:,} rows"


@dataclass(frozen=True)
class Panel:
    """N series on one frequency, sorted by series and time, gaps filled with missing values.

    Series n has the rows `offsets[n] <= r < offsets[n + 1]`, one for each step from its first to its last.
    """

    series: TextArray  # [N] names, in the order of the data
    offsets: IntArray  # [N+1] first row of each series; offsets[N] = R
    timestamps: IntArray  # [R] microseconds since 1970 (UTC if `zone`, else the wall clock), or whole-number steps
    target: FloatArray  # [R] float64, caller's units; NaN = not observed
    freq: Freq
    season_length: int  # steps in the shortest season; 1 = none
    zone: str | None  # the zone that timestamps are written in; None = they have none
    columns: Columns  # names for writing the panel's rows back
    layout: str  # "long" | "wide" | "single"
    source: str  # file name for messages
    gaps: int  # rows that the calendar lacked and that were filled with missing
    notes: tuple[str, ...]  # what was inferred, for people
    covariates: tuple[Covariate, ...] = ()  # known ones first, then past, then static
    warnings: tuple[str, ...] = ()  # what is probably wrong with the data, for people
    keys: tuple[str, ...] = ()  # the columns that `columns.series` stands for, where these are several
    targets: tuple[
        str, ...
    ] = ()  # the columns forecast, where each series of the file has several; `keys` ends with them
    timestamp_form: str | None = None  # the --timestamp-format that reads them so, where it was chosen among several
    rows: RowOptions = AS_USUAL  # what happened to the rows of the file
    text: TextOptions = AS_SHOWN  # how its text was written
    gap_runs: tuple[Gap, ...] = ()  # the gaps as they were in the file
    season: Season | None = None  # how the season length was found; None = not from a file
    events: tuple[Event, ...] = ()  # of one's own, which calendar rows are made of
    sample: SeriesSample | None = None  # which series were taken, where not all were

    @property
    def lengths(self) -> IntArray:
        """[N] rows of each series."""
        return self.offsets[1:] - self.offsets[:-1]

    @property
    def row_series(self) -> IntArray:
        """[R] index of the series that each row belongs to."""
        return np.repeat(np.arange(len(self.series)), self.lengths)

    @property
    def last_timestamps(self) -> IntArray:
        """[N] timestamp of each series' last row."""
        return self.timestamps[self.offsets[1:] - 1]

    @property
    def observed_counts(self) -> IntArray:
        """[N] observed targets of each series."""
        return self.observed_between(self.offsets[:-1], self.offsets[1:])

    def observed_between(self, first: IntArray, end: IntArray) -> IntArray:
        """[N] observed targets in rows `first[n] <= r < end[n]`."""
        counts = np.zeros(len(self.series), np.int64)
        for some, rows in series_blocks(self.offsets):
            total = np.zeros(rows.stop - rows.start + 1, np.int64)
            np.cumsum(~np.isnan(self.target[rows]), out=total[1:])
            counts[some] = total[end[some] - rows.start] - total[first[some] - rows.start]
        return counts

    @property
    def lowest(self) -> FloatArray:
        """[N] lowest observed target of each series; NaN where nothing is observed."""
        return np.asarray(np.fmin.reduceat(self.target, self.offsets[:-1]))

    @property
    def highest(self) -> FloatArray:
        """[N] highest observed target of each series; NaN where nothing is observed."""
        return np.asarray(np.fmax.reduceat(self.target, self.offsets[:-1]))

    @property
    def constant_series(self) -> BoolArray:
        """[N] whether a series has several observed targets, all of them equal."""
        return np.asarray((self.lowest == self.highest) & (self.observed_counts > 1))

    def timestamp_text(self, timestamp: int) -> str:
        """A timestamp of this panel for a message: `2024-01-31`, `2024-01-31 13:00:00+01:00` or `17`."""
        return timestamp_text(timestamp, self.zone, whole_numbers=self.freq.whole_numbers)


def fingerprint(panel: Panel) -> str:
    """SHA-256, as hexadecimal digits, of names, offsets, timestamps and targets. Manifests store it: its bytes are fixed."""
    digest = hashlib.sha256("\n".join(map(str, panel.series)).encode())
    for array in (panel.offsets, panel.timestamps, panel.target):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
