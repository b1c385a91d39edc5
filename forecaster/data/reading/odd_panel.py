"""Everything about the rows of a panel that can be read without a fault, and is probably wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forecaster.data.reading.misread_periods import period_warning
from forecaster.data.reading.odd_series import (
    case_warning,
    code_warning,
    ended_with_zeros,
    far_warning,
    sum_warning,
    total_warning,
)
from forecaster.data.reading.odd_years import year_warning
from forecaster.data.reading.parts_of_steps import part_warning

if TYPE_CHECKING:
    from forecaster.data.panel import Panel


def odd_warnings(panel: Panel, season_length: int) -> tuple[str, ...]:
    """A sentence for each kind of oddity that `panel` has, and an empty text for each other. `season_length`: the calendar's."""
    return (
        year_warning(panel),
        period_warning(panel),
        case_warning(panel),
        total_warning(panel),
        sum_warning(panel),
        code_warning(panel),
        far_warning(panel),
        part_warning(panel),
        ended_with_zeros(panel, season_length),
    )
