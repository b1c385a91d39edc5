"""Checks of arguments that no settings class declares: those of `windows` and `network`."""

from __future__ import annotations

import math
from collections.abc import Collection
from numbers import Integral, Real

from forecaster.errors import UsageError, nearest


def whole_numbers(call: str, least: int, **given: object) -> list[int]:
    """The values as int, in their order, NumPy's whole numbers too. UsageError for another value or a smaller number."""
    for name, value in given.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
            raise UsageError(f"{call}: {name}: {value!r} is not a whole number from {least} up.")
    return [int(value) for value in given.values()]  # type: ignore[call-overload]


def column_names(call: str, **given: object) -> list[tuple[str, ...]]:
    """The names of each value, in their order, from `"a,b"` or a sequence of texts. UsageError for another value."""
    found: list[tuple[str, ...]] = []
    for name, value in given.items():
        parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
            raise UsageError(f"{call}: {name}: {value!r} is not a list of column names.", "Expected e.g. ('a', 'b').")
        found.append(tuple(parts))
    return found


def check_names(call: str, allowed: Collection[str], **given: object) -> None:
    """UsageError for a value that is not among the allowed names."""
    for name, value in given.items():
        if not isinstance(value, str) or value not in allowed:
            raise UsageError(f"{call}: {name}: {value!r} is not known.", nearest(str(value), tuple(allowed)))


def check_switches(call: str, **given: object) -> None:
    """UsageError for a value that is neither True nor False."""
    for name, value in given.items():
        if not isinstance(value, bool):
            raise UsageError(f"{call}: {name}: {value!r} is neither True nor False.")


def check_shares(call: str, **given: object) -> None:
    """UsageError for a value that is no number from 0 to below 1."""
    for name, value in given.items():
        if not is_number(value) or not 0.0 <= value < 1.0:  # type: ignore[operator]
            raise UsageError(f"{call}: {name}: {value!r} is not a number from 0 to below 1.")


def is_number(value: object) -> bool:
    """Whether a value is a finite real number, and no bool."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
