"""Results for a notebook: a forecast that is a data frame and can be drawn, a report with tables and a plot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from forecaster.errors import UsageError
from forecaster.evaluation.report import Report as Report

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from forecaster.serving.forecast import ForecastRun


def forecast_frame(made: ForecastRun) -> pd.DataFrame:
    """The forecast as a `ForecastFrame`: a data frame of its columns, with a method `plot`."""
    frame = _frame_class()(made.forecast.to_frame())
    object.__setattr__(frame, "_made", made)
    return frame  # type: ignore[no-any-return]


@cache
def _frame_class() -> Any:
    import pandas as pd

    class ForecastFrame(pd.DataFrame):
        """Forecasts, a row for each series and step: series, timestamp, prediction, a column for each quantile, source, method.

        What is selected or computed from it is a plain data frame.
        """

        _made: ForecastRun

        @property
        def _constructor(self) -> type[pd.DataFrame]:
            return pd.DataFrame

        def plot(self, series: Sequence[str] = ()) -> Figure:  # type: ignore[override]
            """History, forecast and intervals of some series (default: the first four), as a matplotlib figure."""
            return drawn(self._made, series)

        def __reduce__(self) -> Any:
            return pd.DataFrame(self).__reduce__()

    ForecastFrame.__module__, ForecastFrame.__qualname__ = __name__, "ForecastFrame"
    return ForecastFrame


def drawn(made: ForecastRun, series: Sequence[str] = ()) -> Figure:
    """The figure of a forecast. UsageError for series that were not forecast, and without matplotlib."""
    from forecaster.plotting.forecast_plot import forecast_figure
    from forecaster.plotting.requirements import check_plot_file

    check_plot_file("plot.png", "plot()", (".png",))
    return forecast_figure(made, [series] if isinstance(series, str) else series)


class EvaluationReport(Report):
    """A report with tables and a plot: `to_frame()` the scores, `windows_frame()` each forecast, `plot()` a figure."""

    def to_frame(self) -> pd.DataFrame:
        """Scores, a row for the model and each baseline; MAE and RMSE in the data's units, sMAPE, WAPE and bias in percent."""
        import pandas as pd

        rows = {name: scores.to_json() for name, scores in self.compared.items()}
        frame: pd.DataFrame = pd.DataFrame.from_dict(rows, orient="index").rename_axis("forecaster")
        return frame

    def windows_frame(self) -> pd.DataFrame:
        """Forecasts and actuals of every test window: series, cutoff, step, timestamp, actual, model, quantiles, baselines."""
        import csv

        import pandas as pd

        from forecaster.evaluation.window_file import window_rows

        if self.backtest is None:
            raise UsageError("this report has no windows.", "Make it with evaluate().")
        header, *rows = csv.reader(window_rows(self.backtest).splitlines())
        frame: pd.DataFrame = pd.DataFrame(rows, columns=header)
        numbers = header[header.index("actual") :]
        frame[numbers] = frame[numbers].replace("", "nan").astype(float)
        frame["step"] = frame["step"].astype(int)
        panel = self.backtest.holdout.panel
        for column in ("cutoff", "timestamp"):
            frame[column] = frame[column].astype(int) if panel.freq.whole_numbers else pd.to_datetime(frame[column])
        return frame

    def plot(self, series: Sequence[str] = ()) -> Figure:
        """The latest test windows of some series, as a matplotlib figure; default: the largest, worst, median and best."""
        from forecaster.plotting.forecast_plot import views_figure
        from forecaster.plotting.requirements import check_plot_file
        from forecaster.plotting.series_view import backtest_views

        if self.backtest is None:
            raise UsageError("this report has no windows.", "Make it with evaluate().")
        check_plot_file("plot.png", "plot()", (".png",))
        chosen = [series] if isinstance(series, str) else series
        return views_figure(backtest_views(self.backtest, self.backtest.holdout.panel, self.by_series, chosen))

    def __repr__(self) -> str:
        scores = f"MASE {self.metrics.mase:.3g}"
        others = ", ".join(f"{name} {found.mase:.3g}" for name, found in self.baselines.items())
        return f"<Report {self.label}: {scores} over {self.windows} windows; {others}>"

    def _repr_html_(self) -> str:
        table = self.to_frame().to_html(float_format=lambda value: f"{value:.4g}", border=0)
        return f"<p>{_escaped(repr(self)[1:-1])}</p>{table}"


def evaluation_report(report: Report) -> EvaluationReport:
    """`report` with tables and a plot."""
    return EvaluationReport(**vars(report))


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)
