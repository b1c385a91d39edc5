"""The Python API: the commands on a path or a table, with the same options, and results for a notebook.

For one's own code, `supervised_windows.py` gives windows of a table as NumPy arrays, and `keras_network.py` the networks.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from forecaster.api.signatures import with_options
from forecaster.api.tables import as_data
from forecaster.config import (
    CheckSettings,
    CompareSettings,
    EvaluateSettings,
    ExplainSettings,
    PredictSettings,
    StoreSettings,
    TrainSettings,
    TuneSettings,
)
from forecaster.config import resolve as config
from forecaster.errors import DataError, ForecasterError, UsageError
from forecaster.serving.store import Store
from forecaster.typing import Silent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from matplotlib.figure import Figure

    from forecaster.api.results import EvaluationReport
    from forecaster.api.tables import Table
    from forecaster.api.watch import PythonWatch
    from forecaster.commands.check import CheckReport
    from forecaster.commands.compare import Comparison
    from forecaster.commands.explain import Explanation
    from forecaster.commands.explain_memory import MemoryReport
    from forecaster.commands.tune import Tuned
    from forecaster.serving.manifest import Manifest

__all__ = [
    "ForecasterError",
    "Model",
    "check",
    "compare",
    "evaluate",
    "explain",
    "load",
    "predict",
    "stored_models",
    "train",
    "tune",
]

S = TypeVar("S")

# What the command line alone writes, and how it does that.
WRITTEN = ("output", "format", "safe_csv", "ledger", "wait", "plot", "plot_series", "engine", "ray_address", "workers")
CHOOSES = ("model", "models", "name")  # a model is there already
DRAWN = ("plot_series", "plot_memory")


@dataclass(frozen=True)
class Model:
    """A stored model. It has no weights in memory: every call reads them from `path`, and pickling keeps the path alone."""

    name: str
    version: int
    path: Path  # the version's folder
    manifest: Manifest = field(repr=False)
    data: Any = field(default=None, repr=False, compare=False)  # the table that it was trained on just now

    @with_options(PredictSettings, *WRITTEN, *CHOOSES)
    def predict(self, data: Table | None = None, **options: Any) -> pd.DataFrame:
        """Forecasts after each series' last row, in the columns `series, timestamp, prediction, <quantiles>, source, method`.

        `data`: None = what the model was trained on. The result is a data frame whose `plot()` draws history, forecast and
        intervals. Raises the error classes of `errors`, e.g. DataError for a series without an observed target.
        """
        _refuse(options, (*WRITTEN, *CHOOSES), "predict()")
        return predict(self._source(data), model=self._reference, models=self._models, **options)

    @with_options(EvaluateSettings, *DRAWN, *CHOOSES)
    def evaluate(self, data: Table | None = None, **options: Any) -> EvaluationReport:
        """The model compared with the baselines on test windows at the end of `data`.

        `data`: None = what the model was trained on. Raises the error classes of `errors`.
        """
        _refuse(options, CHOOSES, "evaluate()")
        return evaluate(self._source(data), model=self._reference, models=self._models, **options)

    @with_options(ExplainSettings, *DRAWN, *CHOOSES)
    def explain(self, data: Table | None = None, **options: Any) -> Explanation | MemoryReport:
        """How much each input, and each stretch of the context, changes the forecasts; `to_json()` has the numbers.

        With `memory=True` how far back the networks' gradients go, with `to_frame()` and `plot()`.

        `data`: None = what the model was trained on. Raises the error classes of `errors`.
        """
        _refuse(options, CHOOSES, "explain()")
        return explain(self._source(data), model=self._reference, models=self._models, **options)

    def plot(self, data: Table | None = None, series: Sequence[str] = ()) -> Figure:
        """History, forecast and intervals of some series (default: the first four), as a matplotlib figure."""
        frame: Any = self.predict(data)
        figure: Figure = frame.plot(series)
        return figure

    @property
    def _reference(self) -> str:
        return f"{self.name}@{self.version}"

    @property
    def _models(self) -> str:
        return str(self.path.parent.parent)

    def _source(self, data: Table | None) -> Any:
        return self.data if data is None else data

    def __reduce__(self) -> Any:
        return load, (self._reference, str(self.path.parent.parent.absolute()))

    def __repr__(self) -> str:
        manifest = self.manifest
        return f"<Model {self._reference}: {manifest.served}, horizon {manifest.horizon}, {manifest.data.freq}; in {self.path}>"

    def _repr_html_(self) -> str:
        from html import escape

        shown = {
            "served": self.manifest.served,
            "horizon": f"{self.manifest.horizon} × {self.manifest.data.freq}",
            "series": f"{self.manifest.data.series_count:,}",
            "stored in": str(self.path),
        }
        rows = "".join(f"<tr><th>{name}</th><td>{escape(text)}</td></tr>" for name, text in shown.items())
        return f"<table><caption>{escape(self._reference)}</caption>{rows}</table>"


@with_options(TrainSettings)
def train(data: Table, *, progress: bool | None = None, **options: Any) -> Model:
    """Fit networks on `data`, test them, store them as a new version of a model, and return that version.

    `data`: a path, a pandas or polars frame, a Series, or numbers. `progress`: a bar; None = in a notebook and at a terminal.
    Raises the error classes of `errors`, e.g. QualityError where `promote_if_better` keeps the version from serving.
    """
    from forecaster.commands.train import train as fit

    settings = config.from_mapping(TrainSettings, options, "train()")
    source = as_data(data)
    with _quiet(fits=True), _watch(progress) as watch:
        done = fit(source, settings, watch)
    done.refuse_unpromoted()
    model = load(f"{done.model}@{done.version}", models=settings.models)
    return (
        model
        if isinstance(source, (str, Path))
        else Model(model.name, model.version, model.path, model.manifest, source)
    )


@with_options(PredictSettings, *WRITTEN)
def predict(data: Table | None = None, **options: Any) -> pd.DataFrame:
    """Forecasts after each series' last row, in the columns `series, timestamp, prediction, <quantiles>, source, method`.

    `data`: None = what the model was trained on. Without a stored model, or with `model="pretrained"`, a pretrained network
    answers. The result is a data frame whose `plot()` draws history, forecast and intervals.

    Raises the error classes of `errors`.
    """
    from forecaster.api.results import forecast_frame
    from forecaster.serving.predict import run_forecast

    _refuse(options, WRITTEN, "predict()")
    if "future" in options:
        options["future"] = as_data(options["future"])
    settings = config.from_mapping(PredictSettings, options, "predict()")
    with _quiet():
        made = run_forecast(as_data(data), settings, _warner())
    if made.forecast.about and made.forecast.about.failed:
        raise DataError(f"series '{made.forecast.about.failed[0]}' has no observed target.", "Leave it out.")
    return forecast_frame(made)


@with_options(EvaluateSettings, *DRAWN)
def evaluate(data: Table | None = None, **options: Any) -> EvaluationReport:
    """A stored model, or `model="pretrained"`, compared with the baselines on test windows at the end of `data`.

    `data`: None = what the model was trained on. Raises the error classes of `errors`.
    """
    from forecaster.api.results import evaluation_report
    from forecaster.commands.evaluate import evaluate as run

    settings = config.from_mapping(EvaluateSettings, options, "evaluate()")
    with _quiet():
        return evaluation_report(run(as_data(data), settings, _warner()))


@with_options(CheckSettings)
def check(data: Table, **options: Any) -> CheckReport:
    """Every fault in the data with its remedy, and a summary of the data; `to_json()` has all of it.

    Raises UsageError for options that contradict each other.
    """
    from forecaster.commands.check import check as run

    return run(as_data(data), config.from_mapping(CheckSettings, options, "check()"), Silent())


@with_options(ExplainSettings, *DRAWN)
def explain(data: Table | None = None, **options: Any) -> Explanation | MemoryReport:
    """How much each input, and each stretch of the context, changes a stored model's forecasts; `to_json()` has the numbers.

    With `memory=True` how far back the networks' gradients go, with `to_frame()` and `plot()`. `data`: None = what the model
    was trained on. Raises the error classes of `errors`.
    """
    from forecaster.commands.explain import explain as run
    from forecaster.commands.explain_memory import explain_memory

    settings = config.from_mapping(ExplainSettings, options, "explain()")
    with _quiet():
        return (explain_memory if settings.memory else run)(as_data(data), settings, _warner())


@with_options(CompareSettings, *DRAWN)
def compare(data: Table, *, progress: bool | None = None, **options: Any) -> Comparison:
    """Train each cell with the same plan, and compare their errors; `sentence` has the recommendation. Nothing is stored.

    Raises the error classes of `errors`.
    """
    from forecaster.commands.compare import compare as run

    settings = config.from_mapping(CompareSettings, options, "compare()")
    with _quiet(fits=True), _watch(progress) as watch:
        return run(as_data(data), settings, watch)


@with_options(TuneSettings)
def tune(data: Table, *, progress: bool | None = None, **options: Any) -> Tuned:
    """Search for a better plan on validation windows; `toml` has what was found, for `train --config`.

    Raises the error classes of `errors`.
    """
    from forecaster.commands.tune import tune as run

    settings = config.from_mapping(TuneSettings, options, "tune()")
    with _quiet(fits=True), _watch(progress) as watch:
        return run(as_data(data), settings, watch)


def load(model: str | None = None, models: str | Path = "models") -> Model:
    """The stored model `"sales"` (the version that serves), `"sales@3"`, or None (the model trained last).

    ArtifactError where it is missing or damaged.
    """
    from forecaster.serving.manifest import read_manifest

    settings = config.from_mapping(StoreSettings, {"models": str(models)}, "load()")
    if model is not None and not isinstance(model, str):
        raise UsageError(f"load(): model: {model!r} is not a name.", "Expected e.g. 'sales' or 'sales@3'.")
    path = Store(Path(settings.models)).resolve(model)
    return Model(path.parent.name, int(path.name), path, read_manifest(path))


def stored_models(models: str | Path = "models") -> pd.DataFrame:
    """The stored versions, a row each: model, version, serves, trained, rows, series, MASE and what is served.

    ArtifactError where a manifest is damaged.
    """
    import pandas as pd

    from forecaster.serving.inventory import VERSION_COLUMNS, stored_versions

    rows = stored_versions(Store(Path(models)))
    frame: pd.DataFrame = pd.DataFrame([tuple(row.values()) for row in rows], columns=list(VERSION_COLUMNS))
    return frame


def _refuse(options: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    for name in names:
        if name in options:
            raise UsageError(f"{where}: {name} has no effect here.", "Leave it out.")


def _warner() -> PythonWatch:
    from forecaster.api.watch import PythonWatch

    return PythonWatch(bar=False)


def _watch(progress: bool | None) -> PythonWatch:
    from forecaster.api.watch import PythonWatch

    return PythonWatch(bar=progress)


@contextmanager
def _quiet(*, fits: bool = False) -> Iterator[None]:
    """Without TensorFlow's log, unless the caller has set its level. `fits`: TensorFlow will be needed."""
    import logging

    from forecaster.api.watch import import_tensorflow_silently

    if "TF_CPP_MIN_LOG_LEVEL" not in os.environ:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
        if fits:
            import_tensorflow_silently()
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
