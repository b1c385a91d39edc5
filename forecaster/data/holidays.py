"""A country's public holidays, by the library `holidays`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import UsageError, nearest

if TYPE_CHECKING:
    from forecaster.typing import IntArray


def holiday_dates(country: str, years: Sequence[int]) -> IntArray:
    """[days] holidays of `DE`, or of a part of it, `DE-BY`, in days since 1970. UsageError where these are not known, or
    the library is not installed.
    """
    try:
        import holidays
    except ImportError:
        hint = "Install it with: pip install 'forecaster[holidays]'."
        raise UsageError("holidays need a library that is not installed.", hint) from None
    code, _, part = country.partition("-")
    parts = holidays.list_supported_countries()
    if code not in parts:
        raise UsageError(f"--holidays: '{code}' is no country whose holidays are known.", nearest(code, tuple(parts)))
    if part and part not in parts[code]:
        what = f"--holidays: '{part}' is no part of {code} with holidays of its own."
        raise UsageError(what, nearest(part, tuple(parts[code])))
    dates = holidays.country_holidays(code, subdiv=part or None, years=list(years))
    return np.array(sorted(dates), dtype="M8[D]").astype(np.int64)
