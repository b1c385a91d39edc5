"""Figures drawn with matplotlib, as SVG with the colours of the page around it, or as PNG.

The same data gives the same bytes: nothing here depends on the clock, the caller's matplotlibrc or a random number.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from forecaster.plotting.series_view import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from forecaster.plotting.series_view import SeriesView
    from forecaster.typing import FloatArray

Draw: TypeAlias = "Callable[[Axes], None]"

# Role -> its colour on white and on black. Colour-blind people can distinguish them.
COLOURS: Mapping[str, tuple[str, str]] = {
    "ink": ("#1d1b26", "#e9e7f2"),
    "muted": ("#65627a", "#a5a1ba"),
    "grid": ("#e3e1ea", "#37343f"),
    "model": ("#2b50d8", "#8fa8ff"),
    "second": ("#b4470f", "#ff9d5c"),
    "third": ("#0b7a63", "#4fd0ad"),
    "fourth": ("#8f2fb0", "#d994f2"),
    "fifth": ("#7d6200", "#dfc04b"),
}
OTHERS = ("second", "third", "fourth", "fifth")  # for the lines alongside the model's
DASHES = ("--", "-.", ":", (0, (1, 3)))

WIDTH, HEIGHT = 4.5, 2.8  # inches: as wide as a phone, where letters then keep their size
PNG_WIDTH, PNG_HEIGHT, PNG_DPI = 9.0, 3.1, 120

# Ending of a picture -> metadata that would differ from run to run, left out.
PICTURES: Mapping[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
}

STYLE = {
    "font.size": 10.0,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "text.parse_math": False,  # names may hold $
    "svg.fonttype": "none",  # text stays text, for screen readers, search and the page's own font
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": COLOURS["muted"][0],
    "axes.labelcolor": COLOURS["muted"][0],
    "axes.formatter.limits": (-5, 7),
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["grid"][0],
    "grid.linewidth": 0.8,
    "xtick.color": COLOURS["muted"][0],
    "ytick.color": COLOURS["muted"][0],
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "text.color": COLOURS["ink"][0],
    "lines.linewidth": 1.6,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "legend.borderaxespad": 0.0,
    "legend.columnspacing": 1.2,
    "legend.handlelength": 1.6,
    "savefig.facecolor": "none",
}


@dataclass(frozen=True)
class Curve:
    """The losses of a fit, by epoch."""

    epochs: list[int]
    loss: list[float]
    validation: list[float]  # NaN = no validation windows


@contextmanager
def _styled(**more: object) -> Iterator[None]:
    """matplotlib's own defaults and STYLE, whatever the caller has set, without warnings of missing glyphs."""
    import matplotlib as mpl

    # matplotlib types its keys as literals.
    plain: dict[Any, Any] = {key: value for key, value in mpl.rcParamsDefault.items() if not key.startswith("backend")}
    with mpl.rc_context({**plain, **STYLE, **more}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def to_svg(draw: Draw, key: str) -> str:
    """An `<svg>` for a page, with colours as `var(--role)`. `key` makes its ids differ from other figures'."""
    from matplotlib.figure import Figure

    with _styled(**{"svg.hashsalt": key}):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        draw(axes)
        _legend(axes, 3)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(file.getvalue())


def to_picture(draws: Sequence[tuple[str, Draw]], ending: str) -> bytes:
    """A picture of figures, one below the other, each with its title: a row of PICTURES."""
    with _styled(**{"svg.hashsalt": "forecaster"}):
        figure = to_figure(draws)
        file = io.BytesIO()
        figure.savefig(file, format=ending[1:], dpi=PNG_DPI, facecolor="white", metadata=PICTURES[ending])
    return file.getvalue()


def to_figure(draws: Sequence[tuple[str, Draw]]) -> Figure:
    """A figure of matplotlib, which belongs to no window: plots one below the other, each with its title."""
    from matplotlib.figure import Figure

    with _styled():
        figure = Figure(figsize=(PNG_WIDTH, PNG_HEIGHT * len(draws)), layout="constrained", facecolor="white")
        for axes, (title, draw) in zip(np.ravel(figure.subplots(len(draws))), draws, strict=True):
            draw(axes)
            _legend(axes, 6)
            axes.set_title(" ".join(title.split()), loc="left", fontsize=11, fontweight="bold", pad=22)
    return figure


def _for_page(svg: str) -> str:
    """The `<svg>` element alone, without metadata and styles, with the font and the colours of the page."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # unused, and the same in every figure
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r" ?font-family: [^;\"]*(&quot;[^;\"]*)*;?", "", svg)
    svg = re.sub(r"font: ([0-9.]+px) [^;\"]*", r"font-size: \1", svg)
    for role, (light, _) in COLOURS.items():
        svg = svg.replace(light, f"var(--{role})")
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1).strip()


def draw_series_view(shown: SeriesView) -> Draw:
    """Draw history, forecasts with their intervals, and actuals."""

    def draw(axes: Axes) -> None:
        ink, model = COLOURS["ink"][0], COLOURS["model"][0]
        horizon = shown.prediction.shape[1]
        intervals = Interval.between(shown.quantiles)
        for w, start in enumerate(shown.starts):
            times = shown.times[start : start + horizon]
            first = w == 0
            for depth, interval in enumerate(intervals):
                low, high = shown.quantile_forecasts[w, :, interval.low], shown.quantile_forecasts[w, :, interval.high]
                label = interval.label if first else None
                axes.fill_between(times, low, high, color=model, alpha=0.16 + 0.1 * depth, linewidth=0, label=label)
            axes.axvline(times[0], color=COLOURS["muted"][0], linewidth=0.8, dashes=(2, 2))
            marker = "o" if horizon == 1 else None
            axes.plot(times, shown.prediction[w], color=model, marker=marker, label="forecast" if first else None)
        axes.plot(
            shown.times, shown.observed, color=ink, linewidth=1.3, label="observed", marker=_alone(shown.observed)
        )
        _dates(axes, shown)

    return draw


def _alone(values: FloatArray) -> str | None:
    """A dot as marker where a value is alone between missing ones, which a line would not show; else None."""
    there = ~np.isnan(np.concatenate([[np.nan], values, [np.nan]]))
    return "." if (there[1:-1] & ~there[:-2] & ~there[2:]).any() else None


def _dates(axes: Axes, shown: SeriesView) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
    from matplotlib.ticker import MaxNLocator

    axes.margins(x=0.01)
    if shown.times.dtype.kind != "M":
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        return
    locator = AutoDateLocator(minticks=3, maxticks=5)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def steps(columns: Mapping[str, Sequence[float]], measure: str, unit: str) -> Draw:
    """Draw an error per step ahead; the first column is the model's."""

    def draw(axes: Axes) -> None:
        for place, (who, values) in enumerate(columns.items()):
            ahead = np.arange(1, len(values) + 1)
            marker = "o" if len(values) < 25 else None
            style = {"color": COLOURS["model"][0], "linewidth": 2.0} if not place else _other(place - 1)
            axes.plot(ahead, values, label=who, marker=marker, markersize=3.5, **style)
        _from_zero(axes, [value for values in columns.values() for value in values])
        axes.set_xlabel(f"steps ahead ({unit})")
        axes.set_ylabel(measure)
        _whole(axes)

    return draw


def weeks(columns: Mapping[str, Sequence[float]], measure: str) -> Draw:
    """Draw an error per week; the first column is the model's."""

    def draw(axes: Axes) -> None:
        for place, (who, values) in enumerate(columns.items()):
            style = {"color": COLOURS["model"][0], "linewidth": 2.0} if not place else _other(place - 1)
            axes.plot(np.arange(1, len(values) + 1), values, label=who, marker="o", markersize=3.5, **style)
        _from_zero(axes, [value for values in columns.values() for value in values])
        axes.set_xlabel("weeks since the first forecast")
        axes.set_ylabel(measure)
        _whole(axes)

    return draw


def spread(values: FloatArray, measure: str, even: float) -> Draw:
    """Draw a histogram of the series' errors [n]; `even` is the error of seasonal naive in sample."""

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        top = max(float(np.quantile(values, 0.98)), even) * 1.05
        axes.hist(np.minimum(values, top), bins=np.linspace(0, top, 31).tolist(), color=COLOURS["model"][0], alpha=0.75)
        axes.axvline(even, color=COLOURS["second"][0], linewidth=1.2, dashes=(4, 2), label=f"{measure} {even:g}")
        axes.axvline(float(np.median(values)), color=COLOURS["ink"][0], linewidth=1.2, label="median")
        axes.set_xlabel(f"{measure} (last bar: this and above)" if values.max() > top else measure)
        axes.set_ylabel("series")
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))

    return draw


def calibration(reached: Mapping[str, Mapping[float, float]]) -> Draw:
    """Draw the share of actuals at or below each quantile; calibrated quantiles are on the diagonal."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=COLOURS["muted"][0], linewidth=1.0, dashes=(4, 2), label="calibrated")
        for place, (who, shares) in enumerate(reached.items()):
            style = {"color": COLOURS["model"][0]} if not place else _other(place - 1)
            axes.plot([*shares], [*shares.values()], marker="o", markersize=5, label=who, **style)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.set_xlabel("quantile level")
        axes.set_ylabel("share at or below")

    return draw


def losses(curves: Mapping[str, Curve]) -> Draw:
    """Draw the loss per epoch of each network; dashed on validation windows."""

    def draw(axes: Axes) -> None:
        colours = [COLOURS[role][0] for role in ("model", *OTHERS)]
        for place, (who, curve) in enumerate(curves.items()):
            colour, marker = colours[place % len(colours)], "o" if len(curve.epochs) < 2 else None
            axes.plot(curve.epochs, curve.loss, color=colour, marker=marker, label=who)
            axes.plot(curve.epochs, curve.validation, color=colour, marker=marker, linestyle="--", linewidth=1.2)
        axes.set_xlabel("epoch")
        axes.set_ylabel("loss")
        _whole(axes)

    return draw


def line_style(place: int) -> dict[str, Any]:
    """Colour and dashes of the `place`-th of some lines of one rank."""
    return {"color": COLOURS["model"][0]} if not place else _other(place - 1)


def _other(place: int) -> dict[str, Any]:
    """Colour and dashes of the `place`-th line alongside the model's."""
    return {
        "color": COLOURS[OTHERS[place % len(OTHERS)]][0],
        "linestyle": DASHES[place % len(DASHES)],
        "linewidth": 1.4,
    }


def _from_zero(axes: Axes, values: Sequence[float]) -> None:
    """Start the axis of errors at 0."""
    finite = [value for value in values if np.isfinite(value)]
    axes.set_ylim(0, 1.08 * max(finite) if finite and max(finite) > 0 else 1)


def _whole(axes: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))


def _legend(axes: Axes, columns: int) -> None:
    """A legend above the plot, where it covers no data: lines first, then areas."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: hasattr(handles[i], "get_paths"))
    if labels:
        parts = [handles[i] for i in order], [labels[i] for i in order]
        axes.legend(*parts, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=columns)
