"""Notes on series from which little can be learnt: empty, of one value, constant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from forecaster.data.panel import Panel

MAX_NAMED = 3  # series that a note names


def oddities(panel: Panel) -> tuple[str, ...]:
    """A note for each kind of such series that the panel has, with what their forecast is."""
    count = panel.observed_counts
    kinds = (
        (count == 0, "no value at all", "has", "have", "cannot be forecast"),
        (count == 1, "one value only", "has", "have", "the forecast is that value"),
        (panel.constant_series, "never change", "", "", "the forecast is that value"),
    )
    return tuple(_said(panel, np.flatnonzero(odd), *words) for odd, *words in kinds if odd.any())


def _said(panel: Panel, odd: np.ndarray, what: str, one: str, many: str, so: str) -> str:
    names = ", ".join(map(str, panel.series[odd[:MAX_NAMED]])) + (", …" if len(odd) > MAX_NAMED else "")
    verb = f"{one if len(odd) == 1 else many} {what}" if one else f"{what}s" if len(odd) == 1 else what
    return f"{len(odd)} series {verb} ({names}): {so}"
