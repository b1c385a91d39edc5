"""The Python API: the commands `train`, `predict` and `evaluate` on a path or a data frame, with the same options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from forecaster.config import EvaluateSettings, PredictSettings, StoreSettings, TrainSettings
from forecaster.config import resolve as config
from forecaster.errors import DataError, UsageError
from forecaster.progress import Silent
from forecaster.serving.store import Store

if TYPE_CHECKING:
    import pandas as pd

    from forecaster.evaluation.report import Report
    from forecaster.serving.manifest import Manifest
    from forecaster.typing import Data

S = TypeVar("S")


@dataclass(frozen=True)
class Model:
    """A stored model. It has no weights in memory: every call reads them from `path`."""

    name: str
    version: int
    path: Path  # the version's folder
    manifest: Manifest

    def predict(self, data: Data | None = None, **options: object) -> pd.DataFrame:
        """Forecasts after each series' last row, in the columns `series, timestamp, prediction, <quantiles>, source`.

        `data`: None = the file that the model was trained on. Options are those of `forecaster predict`, e.g. `horizon=7`,
        except those that name the model and the output. Raises the error classes of `errors`, e.g. DataError for a series
        without an observed target.
        """
        from forecaster.serving.predict import predict

        _refuse(options, ("output", "format", "ledger", "wait", "plot", "plot_series"), "predict()")
        found = predict(data, self._settings(PredictSettings, options, "predict()"), Silent())
        if found.about and found.about.failed:
            raise DataError(f"series '{found.about.failed[0]}' has no observed target.", "Leave it out.")
        return found.to_frame()

    def evaluate(self, data: Data | None = None, **options: object) -> Report:
        """The model compared with the baselines on test windows at the end of `data`.

        `data`: None = the file that the model was trained on. Options are those of `forecaster evaluate`, e.g.
        `windows=4`, except those that name the model. Raises the error classes of `errors`.
        """
        from forecaster.commands.evaluate import evaluate

        return evaluate(data, self._settings(EvaluateSettings, options, "evaluate()"), Silent())

    def _settings(self, settings: type[S], options: dict[str, object], where: str) -> S:
        _refuse(options, ("model", "models"), where)
        here = {"model": f"{self.name}@{self.version}", "models": str(self.path.parent.parent)}
        return config.from_mapping(settings, {**options, **here}, where)


def train(data: Data, **options: object) -> Model:
    """Fit a network on `data`, test it, store it as a new version of a model, and return that version.

    Options are those of `forecaster train`, e.g. `horizon=28, cell="lstm"`; a data frame needs a `name`. Raises the error
    classes of `errors`, e.g. QualityError where `promote_if_better` keeps the version from serving.
    """
    from forecaster.commands.train import train as fit

    settings = config.from_mapping(TrainSettings, options, "train()")
    done = fit(data, settings, Silent())
    done.refuse_unpromoted()
    return load(f"{done.model}@{done.version}", models=settings.models)


def load(model: str | None = None, models: str | Path = "models") -> Model:
    """The stored model `"sales"` (the version that serves), `"sales@3"`, or None (the model trained last).

    ArtifactError where it is missing or damaged.
    """
    from forecaster.serving.manifest import read_manifest

    settings = config.from_mapping(StoreSettings, {"models": str(models)}, "load()")
    path = Store(Path(settings.models)).resolve(model)
    return Model(path.parent.name, int(path.name), path, read_manifest(path))


def _refuse(options: dict[str, object], names: tuple[str, ...], where: str) -> None:
    for name in names:
        if name in options:
            raise UsageError(f"{where}: {name} has no effect here.", "Leave it out.")
