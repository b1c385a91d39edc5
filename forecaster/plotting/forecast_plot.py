"""Plots of a forecast: as a picture, as an HTML page, in a terminal, as a figure of matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.plotting import figures, terminal
from forecaster.plotting.html import Page, PageFigure, PageTable, Section, page_table, render, step_noun
from forecaster.plotting.series_view import SeriesView, forecast_views

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from forecaster.serving.forecast import Forecast, ForecastRun


def forecast_plot(made: ForecastRun, chosen: Sequence[str], path: str) -> bytes:
    """The series `chosen`, or the first few, as PNG, SVG, PDF or HTML: what the ending of `path` names.

    UsageError for a series that was not forecast.
    """
    shown = forecast_views(made, chosen)
    ending = Path(path).suffix.lower()
    if ending in figures.PICTURES:
        return figures.to_picture([(_title(one), figures.draw_series_view(one)) for one in shown], ending)
    return render(forecast_page(made.forecast, shown))


def forecast_figure(made: ForecastRun, chosen: Sequence[str]) -> Figure:
    """The series `chosen`, or the first few, as a matplotlib figure. UsageError for a series that was not forecast."""
    return views_figure(forecast_views(made, chosen))


def views_figure(shown: Sequence[SeriesView]) -> Figure:
    """Series, one below the other, as a matplotlib figure."""
    return figures.to_figure([(_title(one), figures.draw_series_view(one)) for one in shown])


def in_terminal(made: ForecastRun, chosen: Sequence[str], columns: int, color: bool, unicode: bool) -> str:
    """The same plot in characters, `columns` wide. `unicode`: the terminal has more than ASCII."""
    return terminal.draw(forecast_views(made, chosen), columns, color=color, unicode=unicode)


def forecast_page(forecast: Forecast, shown: Sequence[SeriesView]) -> Page:
    """A figure and a table for each series."""
    about = forecast.about
    model = f"{about.model}@{about.version}" if about and about.version else "seasonal naive"
    horizon = forecast.prediction.shape[1]
    some = f"{len(shown)} of {len(forecast.series):,}" if len(shown) < len(forecast.series) else f"{len(shown):,}"
    lead = f"{horizon:,} {step_noun(forecast.freq.name, horizon)} ahead. {some} series shown."
    drawn = tuple(PageFigure(_title(one), _caption(one), figures.draw_series_view(one)) for one in shown)
    section = Section("Forecast", _intervals(shown[0]), drawn, tuple(_numbers(one) for one in shown))
    return Page(f"Forecast by {model}", lead, (section,))


def _title(shown: SeriesView) -> str:
    return f"{shown.name} ({shown.note})" if shown.note else shown.name


def _caption(shown: SeriesView) -> str:
    ahead = shown.stamps[shown.starts[0] :]
    return f"From {ahead[0]} to {ahead[-1]}, after the latest rows, in the data's units."


def _intervals(shown: SeriesView) -> str:
    levels = ", ".join(f"{level:g}" for level in shown.quantiles)
    return (
        f"Shaded: between the quantiles {levels}."
        if levels
        else "The model was trained without quantiles: there are no intervals."
    )


def _numbers(shown: SeriesView) -> PageTable:
    ahead = shown.stamps[shown.starts[0] :]
    rows = [
        [stamp, float(point), *map(float, quantile_forecasts)]
        for stamp, point, quantile_forecasts in zip(
            ahead, shown.prediction[0], shown.quantile_forecasts[0], strict=True
        )
    ]
    header = ["timestamp", "prediction", *(f"{level:g}" for level in shown.quantiles)]
    return page_table(f"{shown.name} in numbers", header, rows, folded=True)
