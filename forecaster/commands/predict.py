"""The command `predict`: locks the output, lets `serving.predict` forecast, writes the file, and extends the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.commands.series_files import SERIES, series_files
from forecaster.errors import ForecasterError, PartialError, UsageError, listed
from forecaster.serving.forecast_file import check_format, write_forecast
from forecaster.serving.open_model import model_of_data
from forecaster.serving.overwriting import refuse_overwriting, trained_on
from forecaster.serving.predict import run_forecast
from forecaster.serving.remote_store import at_hand
from forecaster.serving.stored_graphs import load_runtime
from forecaster.storage.addresses import is_url, shown
from forecaster.storage.files import output_lock, write_whole

if TYPE_CHECKING:
    from datetime import datetime

    from forecaster.config import PredictSettings
    from forecaster.serving.forecast import Forecast, ForecastRun
    from forecaster.serving.predict import Load
    from forecaster.typing import Data, Watch


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
        from forecaster.plotting.requirements import check_plot_file

        check_plot_file(settings.plot, "--plot", (".png", ".svg", ".pdf", ".html", "-"))
    data, settings = model_of_data(settings.source(data), at_hand(settings), watch)
    check_format(settings.output, format, safe_csv=settings.safe_csv)
    inputs = {"the data": _source(data, settings), "--future": settings.future, "--events": settings.events}
    refuse_overwriting(_outputs(settings), inputs, settings.models)
    wait = settings.wait or 0.0
    with output_lock(settings.output, wait, watch.warn), output_lock(settings.plot or "-", wait, watch.warn):
        made = run_forecast(data, settings, watch, load, now)
        if settings.plot_series:
            from forecaster.plotting.series_view import choose_series

            choose_series(settings.plot_series, [str(name) for name in made.forecast.series])
        files = []
        if not is_url(settings.output) and SERIES in Path(settings.output).name:
            files = series_files(settings.output, [str(name) for name in made.forecast.series])
            for file in files:  # only now are their names known
                refuse_overwriting({**_outputs(settings), "--output": file}, inputs)
        unrecorded = _record(made, settings, watch)  # before the output: a kill leaves no output without its rows
        if files:
            _write_each(made.forecast, files, settings, watch, format)
        else:
            write_forecast(made.forecast, settings.output, format, safe_csv=settings.safe_csv)
        if settings.plot and settings.plot != "-":
            from forecaster.plotting.forecast_plot import forecast_plot

            write_whole(settings.plot, forecast_plot(made, settings.plot_series, settings.plot))
    if unrecorded:
        raise unrecorded
    return made


def _outputs(settings: PredictSettings) -> dict[str, str | None]:
    """What is written, by the option that names it."""
    return {"--output": settings.output, "--plot": settings.plot, "--ledger": settings.ledger}


def _source(data: Data | None, settings: PredictSettings) -> Data | None:
    """What is read: the data, or the file that the model was trained on. It matters only where a file is written."""
    if data is None and set(_outputs(settings).values()) - {"-", None}:
        return trained_on(settings.models, settings.model)
    return data


def _record(made: ForecastRun, settings: PredictSettings, watch: Watch) -> ForecasterError | None:
    """Add the forecasts to the ledger, if there is one. The fault if they cannot be: it must not cost the output."""
    if not settings.ledger:
        return None
    from forecaster.serving.ledger import append

    try:
        new = append(settings.ledger, made)
    except ForecasterError as fault:
        return fault
    watch.note(f"{new:,} of {made.forecast.prediction.size:,} forecasts are new to {shown(settings.ledger)}")
    return None


def _write_each(
    forecast: Forecast, files: Sequence[str], settings: PredictSettings, watch: Watch, format: str | None
) -> None:
    for n, output in enumerate(files):
        with output_lock(output, 0.0, watch.warn):  # removes files that a killed run left beside it
            write_forecast(forecast.only(n), output, format, safe_csv=settings.safe_csv)


def refuse_failed(failed: Sequence[str], written: int) -> None:
    """PartialError that names the series that could not be forecast; `written` others were."""
    if failed:
        raise PartialError(
            f"{len(failed)} of {len(failed) + written} series were not forecast, because they have no observed target: "
            f"{listed(failed, 5)}.",
            "Leave them out, or give newer rows.",
        )
