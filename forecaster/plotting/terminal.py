"""Plots in the characters of a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from forecaster.plotting.series_view import Interval

if TYPE_CHECKING:
    from forecaster.plotting.series_view import SeriesView

MAX_WIDTH, MIN_WIDTH, HEIGHT = 100, 30, 14  # characters
MARGIN = 14  # characters for the frame and the numbers of the axis


def draw(views: Sequence[SeriesView], columns: int, *, color: bool, unicode: bool) -> str:
    """Plots of the series, one below the other, `columns` characters wide. `unicode`: the terminal has more than ASCII."""
    width = min(max(columns, MIN_WIDTH), MAX_WIDTH) - MARGIN
    return "\n".join(_draw(view, width, color=color, unicode=unicode) for view in views)


def _draw(view: SeriesView, width: int, *, color: bool, unicode: bool) -> str:
    from uniplot import plot_to_string

    start = view.starts[0]
    ahead, known = view.times[start:], view.times[:start]
    lines = [(known, view.observed[:start], "observed"), (ahead, view.prediction[0], "forecast")]
    for interval in Interval.between(view.quantiles)[:1]:
        levels = (interval.low, interval.high)
        lines += [(ahead, view.quantile_forecasts[0, :, level], f"{view.quantiles[level]:g}") for level in levels]
    lines = [line for line in lines if np.isfinite(line[1]).any()]  # uniplot fails on empty ones
    text: str = plot_to_string(
        xs=[times for times, _, _ in lines],
        ys=[values for _, values, _ in lines],
        legend_labels=[label for _, _, label in lines],
        title=_harmless(view.name),
        lines=True,
        width=width,
        height=HEIGHT,
        color=color,
        character_set="braille" if unicode else "ascii",
    )
    return text


def _harmless(name: str) -> str:
    """A series' name without control characters."""
    return "".join(character if character.isprintable() else "?" for character in name)
