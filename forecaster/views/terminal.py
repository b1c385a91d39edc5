"""Plots in a terminal's own characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from forecaster.views.tracks import Interval

if TYPE_CHECKING:
    from forecaster.views.tracks import Track

WIDEST, NARROWEST, HEIGHT = 100, 30, 14  # characters
MARGIN = 14  # characters beside the plot: its frame and the numbers of its axis


def draw(tracks: Sequence[Track], columns: int, *, color: bool, unicode: bool) -> str:
    """The tracks one below the other, `columns` characters wide. `unicode`: the terminal has more than ASCII."""
    width = min(max(columns, NARROWEST), WIDEST) - MARGIN
    return "\n".join(_draw(track, width, color=color, unicode=unicode) for track in tracks)


def _draw(track: Track, width: int, *, color: bool, unicode: bool) -> str:
    from uniplot import plot_to_string

    start = track.starts[0]
    ahead, known = track.times[start:], track.times[:start]
    lines = [(known, track.observed[:start], "observed"), (ahead, track.prediction[0], "forecast")]
    for interval in Interval.between(track.quantiles)[:1]:
        levels = (interval.low, interval.high)
        lines += [(ahead, track.bands[0, :, level], f"{track.quantiles[level]:g}") for level in levels]
    lines = [line for line in lines if np.isfinite(line[1]).any()]  # the plotter knows no empty ones
    text: str = plot_to_string(
        xs=[times for times, _, _ in lines],
        ys=[values for _, values, _ in lines],
        legend_labels=[label for _, _, label in lines],
        title=_harmless(track.name),
        lines=True,
        width=width,
        height=HEIGHT,
        color=color,
        character_set="braille" if unicode else "ascii",
    )
    return text


def _harmless(name: str) -> str:
    """A series' name without what a terminal would obey."""
    return "".join(character if character.isprintable() else "?" for character in name)
