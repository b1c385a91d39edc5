"""The first line of a table: the names of its columns."""

from __future__ import annotations

from collections.abc import Sequence

from forecaster.data.reading.datetimes import looks_like_stamp
from forecaster.data.reading.text_columns import NUMBER
from forecaster.errors import DataError


def check_header(place: str, header: Sequence[str]) -> tuple[str, ...]:
    """Column names as the file gives them. DataError where there is no header, or two columns have one name."""
    names = tuple(name.strip() or f"column {i}" for i, name in enumerate(header, start=1))
    dates = [name for name in names if looks_like_stamp(name)]
    if dates or all(NUMBER.fullmatch(name) for name in names):
        what = f"'{dates[0]}' is a date" if dates else f"'{names[0]}' is a number"
        raise DataError(
            f"{place}: there is no header: {what}, not a column's name.",
            "Give the columns names in the first line, and dates a column of their own.",
        )
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise DataError(f"{place}: two columns are called '{twice}'.", "Rename one of them.")
    if len(names) < 2:
        raise DataError(
            f"{place}: there is only one column, '{names[0]}'.",
            "Expected a timestamp column and a target column, separated by commas.",
        )
    return names
