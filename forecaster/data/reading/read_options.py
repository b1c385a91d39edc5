"""How a table is read: what the caller gave, over what is known of earlier data of the same kind."""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from forecaster.data.freq import Freq
from forecaster.data.panel import Columns
from forecaster.data.reading.timestamp_formats import check_format
from forecaster.data.row_options import AS_SHOWN, AS_USUAL, RowOptions, TextOptions
from forecaster.data.time_zones import check_zone
from forecaster.errors import UsageError


@dataclass(frozen=True)
class ReadOptions:
    """How a table is read: the caller's checked options; None = to be inferred."""

    columns: Columns
    freq: Freq | None
    season_length: int | None
    zone: str | None
    timestamp_format: str | None
    likely_format: str | None = None  # of earlier data of the same kind; used where all timestamps fit it
    rows: RowOptions = AS_USUAL
    text: TextOptions = AS_SHOWN

    @classmethod
    def of(
        cls,
        columns: Columns = Columns(),  # noqa: B008 - frozen
        freq: str | Freq | None = None,
        season_length: int | None = None,
        zone: str | None = None,
        timestamp_format: str | None = None,
    ) -> ReadOptions:
        """The options, checked. UsageError where a frequency, a season length or a zone is not valid."""
        step = Freq.parse(freq) if isinstance(freq, str) else freq
        if season_length is not None and season_length < 1:
            raise UsageError(f"season length {season_length} is less than 1.", "1 means none.")
        form = None if timestamp_format is None else check_format(timestamp_format)
        return cls(columns, step, season_length, None if zone is None else check_zone(zone), form)

    def or_else(self, known: ReadOptions) -> ReadOptions:
        """These options; where one is not given, that of `known`."""
        merged: ReadOptions = _merged(self, known)
        return merged


def _merged(options: Any, known: Any) -> Any:
    """The dataclass `options`; where a field is not given, at any depth, that of `known`."""
    values = {}
    for item in fields(options):
        given, other = getattr(options, item.name), getattr(known, item.name)
        if is_dataclass(other) and type(given) is type(other) and item.name != "freq":
            given = _merged(given, other)
        elif item.name == "ignore":  # what must not teach is added to what is known not to
            given = tuple(dict.fromkeys((*other, *given)))
        values[item.name] = other if given in (None, ()) else given
    return type(known)(**values)
