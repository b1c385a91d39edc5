"""Plots of memory: gradients of the forecast by each row, and of the last state by earlier ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.plotting import figures
from forecaster.plotting.html import Page, PageFigure, Section, render
from forecaster.plotting.requirements import check_plot_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from forecaster.evaluation.gradient_norms import NetworkMemory
    from forecaster.typing import FloatArray, IntArray

ENDINGS = (".png", ".html")
SMALLEST = 1e-12  # of the axis
MARGIN = 1.25  # factor above and below a line at the end of the axis
ROWS = "Gradient of the forecast by each row of the context"
STATES = "Gradient of the last state by earlier states"


def check_memory_plot(path: str | None) -> None:
    """UsageError where a plot is asked for that cannot be drawn."""
    if path:
        check_plot_file(path, "--plot-memory", ENDINGS)


def memory_figure(networks: Sequence[NetworkMemory]) -> Figure:
    """Every network's gradients as a figure of matplotlib. UsageError without matplotlib."""
    check_plot_file("plot.png", "plot()", (".png",))
    return figures.to_figure(_figures(networks))


def memory_plot(networks: Sequence[NetworkMemory], path: str) -> bytes:
    """Every network's gradients as PNG or HTML: what the ending of `path` names."""
    drawn = _figures(networks)
    if Path(path).suffix.lower() == ".png":
        return figures.to_picture(drawn, ".png")
    parts = tuple(
        PageFigure(title, "Root mean square over windows, on a logarithmic axis.", draw) for title, draw in drawn
    )
    text = "Where a gradient has vanished, the network cannot learn from rows that far back."
    return render(Page("Memory", text, (Section("Gradients through time", "", parts),)))


def _figures(networks: Sequence[NetworkMemory]) -> list[tuple[str, figures.Draw]]:
    """Titles and drawings; of states only where a network has some."""
    drawn = [(ROWS, _rows(networks))]
    if any(one.memory.states for one in networks):
        drawn.append((STATES, _states(networks)))
    return drawn


def _rows(networks: Sequence[NetworkMemory]) -> figures.Draw:
    def draw(axes: Axes) -> None:
        for i, one in enumerate(networks):
            _line(axes, np.arange(len(one.memory.rows), 0, -1), one.memory.rows, one.name, i)
        _axes(axes)

    return draw


def _states(networks: Sequence[NetworkMemory]) -> figures.Draw:
    """The top layer of each network."""

    def draw(axes: Axes) -> None:
        for i, one in enumerate(networks):
            if one.memory.states:
                top = one.memory.states[-1]
                _line(axes, one.segment * np.arange(len(top) - 1, -1, -1), top, one.name, i)
        _axes(axes)

    return draw


def _line(axes: Axes, back: IntArray, norms: FloatArray, name: str, place: int) -> None:
    axes.plot(back, np.maximum(norms, SMALLEST), label=name, **figures.line_style(place))


def _axes(axes: Axes) -> None:
    """A logarithmic axis of whole powers of 10, in plain numbers, as matplotlib's own labels would be unset formulas."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    values = np.concatenate([line.get_ydata() for line in axes.lines])
    axes.set_yscale("log")
    lowest, highest = np.floor(np.log10(values.min())), np.ceil(np.log10(values.max()))
    axes.set_ylim(10.0**lowest / MARGIN, 10.0 ** max(highest, lowest + 1) * MARGIN)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("rows back")
