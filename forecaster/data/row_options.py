"""What happens to the rows of a file before they are a regular grid. A model stores it, so that every command does the same."""

from __future__ import annotations

from dataclasses import dataclass

from forecaster.errors import UsageError

AGGREGATES = ("sum", "mean", "last")  # of the values of rows with one timestamp
SNAPS = ("auto", "floor", "nearest")  # how a timestamp is moved to the grid; auto = whichever keeps rows apart

LEADING_ZEROS = ("keep", "leave-out")  # what becomes of the zeros before a series' first value
KEEP, LEAVE_OUT = LEADING_ZEROS


@dataclass(frozen=True)
class RowOptions:
    """How rows are moved, joined and left out. None = as is usual."""

    all_slots: bool | None = None  # keep the slots of a day or week that never have a value
    snap: str | None = None  # one of SNAPS: move timestamps to the grid of the frequency
    resample: str | None = None  # frequency to which rows are joined
    aggregate: str | None = None  # one of AGGREGATES: what becomes of rows with one timestamp
    ignore: tuple[str, ...] = ()  # ranges FROM..TO whose targets are read as missing
    since: str | None = None  # rows before this time are left out
    until: str | None = None  # rows after this time are left out
    leading_zeros: str | None = None  # one of LEADING_ZEROS; None = left out where they are unambiguous

    def __post_init__(self) -> None:
        if self.resample is not None and self.aggregate is None:
            raise UsageError(
                "--resample needs --aggregate: what the rows of one period become.",
                "Give --aggregate sum, mean or last.",
            )
        if self.resample is not None and self.snap is not None:
            raise UsageError("--snap has no effect with --resample, which moves rows itself.", "Leave one out.")


@dataclass(frozen=True)
class TextOptions:
    """How the text of a file is written; None = as the file itself shows."""

    encoding: str | None = None
    decimal: str | None = None  # mark before the decimals
    thousands: str | None = None  # mark between thousands; "" = none


AS_USUAL = RowOptions()
AS_SHOWN = TextOptions()
