"""The command `train` as one of the workers that `TF_CONFIG` names."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forecaster.commands.train import model_name, train, train_in_group
from forecaster.engines.tf_config import cluster_of
from forecaster.engines.worker_group import join
from forecaster.errors import UsageError
from forecaster.models.device import configure, require_tensorflow
from forecaster.serving.store import Store
from forecaster.serving.version_folders import writing

if TYPE_CHECKING:
    from forecaster.commands.train_report import TrainReport
    from forecaster.config import TrainSettings
    from forecaster.engines.tf_config import Cluster
    from forecaster.typing import Data, Json, Watch


@dataclass(frozen=True)
class Part:
    """What a worker has done that stores no model."""

    worker: str
    workers: int
    stored_by: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.worker} took part; {self.stored_by} stores the model."

    def to_json(self) -> dict[str, Json]:
        """Its fields."""
        return dict(vars(self))


def train_as_told(data: Data, settings: TrainSettings, watch: Watch, environ: Mapping[str, str]) -> TrainReport | Part:
    """Train alone, or as the worker that `TF_CONFIG` says this process is. UsageError where that is malformed."""
    cluster = cluster_of(environ)
    return train_together(data, settings, watch, cluster) if cluster else train(data, settings, watch)


def train_together(data: Data, settings: TrainSettings, watch: Watch, cluster: Cluster) -> TrainReport | Part:
    """As `train`, every fit by all workers of the cluster. The first one stores the model.

    Each worker reads the data. DataError where they read other rows, UsageError where versions or options differ, WorkerError
    where a worker is lost: at every worker, with the store unchanged.
    """
    require_tensorflow()
    for option in ("--engine ray" * (settings.engine != "local"), "--resume" * settings.resume):
        if option:
            raise UsageError(
                f"{option} has no effect on the workers of TF_CONFIG.", "Leave it out, or unset TF_CONFIG."
            )
    data = settings.source(data)
    name, store = model_name(data, settings), Store(Path(settings.models))
    with ExitStack() as locks:
        if cluster.is_first:
            locks.enter_context(store.training(name, settings.wait or 0.0))
            locks.enter_context(writing(store.root))
        configure(settings.device, settings.threads)  # TensorFlow takes both only before the workers are connected
        watch.note(f"{cluster.own_name} of {len(cluster.names)}: waiting for the others")
        report = train_in_group(data, settings, watch, store, name, join(cluster))
    return report or Part(cluster.own_name, len(cluster.names), cluster.names[0])
