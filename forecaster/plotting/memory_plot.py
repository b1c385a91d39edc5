"""Plots of memory: gradients of the forecast by each row, and of the last state by earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.plotting import figures
from forecaster.plotting.html import Page, PageFigure, Section, render
from forecaster.plotting.requirements import check_place
from forecaster.storage.files import saying_why, whole_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from forecaster.evaluation.gradient_norms import NetworkMemory

ENDINGS = (".png", ".html")
SMALLEST = 1e-12  # of the axis
ROWS = "Gradient of the forecast by each row of the context"
STATES = "Gradient of the last state by earlier states"


def check_memory_plot(path: str | None) -> None:
    """UsageError where a plot is asked for that cannot be drawn."""
    if path:
        check_place(path, "--plot-memory", ENDINGS)


def write_memory_plot(path: str, networks: Sequence[NetworkMemory]) -> None:
    """Draw every network's gradients as PNG or HTML by the file's ending. UsageError where the file cannot be written."""
    drawn = [(ROWS, _rows(networks)), (STATES, _states(networks))]
    if Path(path).suffix.lower() == ".png":
        content = figures.to_png(drawn)
    else:
        parts = tuple(
            PageFigure(title, "Root mean square over windows, on a logarithmic axis.", draw) for title, draw in drawn
        )
        text = "Where a gradient has vanished, the network cannot learn from rows that far back."
        content = render(Page("Memory", text, (Section("Gradients through time", "", parts),))).encode(
            "utf-8", "replace"
        )
    with saying_why(path), whole_file(path) as stream:
        stream.write(content)


def _rows(networks: Sequence[NetworkMemory]) -> figures.Draw:
    def draw(axes: Axes) -> None:
        for i, one in enumerate(networks):
            back = np.arange(len(one.memory.rows), 0, -1)
            axes.semilogy(back, np.maximum(one.memory.rows, SMALLEST), label=one.name, **figures.line_style(i))
        axes.set_xlabel("rows back")

    return draw


def _states(networks: Sequence[NetworkMemory]) -> figures.Draw:
    """The top layer of each network."""

    def draw(axes: Axes) -> None:
        for i, one in enumerate(networks):
            if one.memory.states:
                top = one.memory.states[-1]
                back = one.segment * np.arange(len(top) - 1, -1, -1)
                axes.semilogy(back, np.maximum(top, SMALLEST), label=one.name, **figures.line_style(i))
        axes.set_xlabel("rows back")

    return draw
