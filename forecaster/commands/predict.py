"""The command `predict`: locks the output, lets `serving.predict` forecast, writes the file, and extends the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.commands.series_files import SERIES, series_files
from forecaster.errors import PartialError, UsageError
from forecaster.files import output_lock
from forecaster.serving.manifest import load_runtime
from forecaster.serving.predict import run_forecast

if TYPE_CHECKING:
    from datetime import datetime

    from forecaster.config import PredictSettings
    from forecaster.progress import Watch
    from forecaster.serving.forecast import Forecast, ForecastRun
    from forecaster.serving.predict import Load
    from forecaster.typing import Data


def deliver(
    data: Data | None,
    settings: PredictSettings,
    watch: Watch,
    format: str | None,
    load: Load = load_runtime,
    now: datetime | None = None,
) -> ForecastRun:
    """Forecast, write to `settings.output` under a lock, and record the forecasts in the ledger.

    Where the output's name contains {series}, every series gets its own file. The data's age is measured from `now`;
    None = this machine's clock. The caller refuses the series in `about.failed` (`refuse_failed`) after it has reported
    what was written. LockError where another run is writing the same output.
    """
    if settings.wait and settings.output == "-":
        raise UsageError("--wait has no effect on standard output.", "Leave it out, or give --output.")
    if settings.plot:
        from forecaster.plotting.requirements import check_place

        check_place(settings.plot, "--plot", (".png", ".html", "-"))
    with output_lock(settings.output, settings.wait or 0.0), output_lock(settings.plot or "-", settings.wait or 0.0):
        made = run_forecast(data, settings, watch, load, now)
        forecast = made.forecast
        if settings.plot_series:
            from forecaster.plotting.series_view import choose_series

            choose_series(settings.plot_series, [str(name) for name in forecast.series])
        if SERIES in Path(settings.output).name:
            _write_each(forecast, settings, format)
        else:
            forecast.write(settings.output, format, safe_csv=settings.safe_csv)
        if settings.plot and settings.plot != "-":
            from forecaster.plotting.forecast_plot import write_plot

            write_plot(settings.plot, made, settings.plot_series)
        if settings.ledger:
            from forecaster.serving.ledger import append

            new = append(settings.ledger, made)
            watch.note(f"{new:,} of {forecast.prediction.size:,} forecasts are new to {settings.ledger}")
    return made


def _write_each(forecast: Forecast, settings: PredictSettings, format: str | None) -> None:
    outputs = series_files(settings.output, [str(name) for name in forecast.series])
    for n, output in enumerate(outputs):
        with output_lock(output, 0.0):  # removes files that a killed run left beside it
            forecast.only(n).write(output, format, safe_csv=settings.safe_csv)


def refuse_failed(failed: Sequence[str], written: int) -> None:
    """PartialError that names the series that could not be forecast; `written` others were."""
    if failed:
        names = ", ".join(failed[:5]) + (", …" if len(failed) > 5 else "")
        raise PartialError(
            f"{len(failed)} of {len(failed) + written} series were not forecast, because they have no observed target: {names}.",
            "Leave them out, or give newer rows.",
        )
