"""Work with a stored model: the graph is loaded once in each process."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from forecaster.engines.work import Lost
from forecaster.serving.answer import ServedModel
from forecaster.serving.integrity import MANIFEST
from forecaster.serving.manifest import read_manifest
from forecaster.serving.open_model import Opened
from forecaster.serving.runtime import PART
from forecaster.serving.stored_graphs import load_runtime, load_test_weights

if TYPE_CHECKING:
    from forecaster.engines.work import Engine, Item
    from forecaster.typing import FloatArray

TESTED = "tested"  # in place of a runtime: the graph whose weights have not seen the test windows

# The model, what all items share, what is read of an item -> a result.
ModelWork: TypeAlias = "Callable[[ServedModel, Any, Any], Any]"


@dataclass(frozen=True)
class ShippedModel:
    """A stored version, for workers to load."""

    name: str
    version: int
    runtime: str
    threads: int
    files: Mapping[str, bytes]  # path in the version's folder -> content

    @classmethod
    def of(cls, opened: Opened, runtime: str, threads: int) -> ShippedModel:
        """With all files of the version."""
        paths = [MANIFEST, *opened.manifest.files]
        files = {path: (opened.folder / path).read_bytes() for path in paths}
        return cls(opened.folder.parent.name, opened.version, runtime, threads, files)

    @property
    def key(self) -> str:
        """Of what is loaded."""
        return f"{hashlib.sha256(self.files[MANIFEST]).hexdigest()} {self.runtime} {self.threads}"


@dataclass(frozen=True)
class ModelEngine:
    """An engine, and the model that its workers have."""

    engine: Engine
    model: ServedModel | ShippedModel

    @classmethod
    def of(cls, engine: Engine, model: ServedModel, runtime: str) -> ModelEngine:
        """For a model that is loaded here. `runtime` as in RUNTIMES, or TESTED."""
        if not engine.elsewhere:
            return cls(engine, model)
        return cls(engine, ShippedModel.of(model.opened, runtime, engine.threads))

    def run(
        self, work: ModelWork, shared: object, items: Sequence[Item], read: Callable[[Item], Any]
    ) -> Iterator[tuple[Item, Any]]:
        """As `Engine.run`."""
        return self.engine.run(_with_model, (work, self.model, shared), items, read)


@dataclass(frozen=True)
class SpreadRuntime:
    """A graph that the workers of an engine run, each on a part of the windows."""

    engine: Engine
    here: ServedModel  # which runs parts that no worker could
    common: tuple[ModelWork, ShippedModel, None]

    @classmethod
    def of(cls, engine: Engine, model: ServedModel, runtime: str) -> SpreadRuntime:
        """For a model that is loaded here. `runtime` as in RUNTIMES, or TESTED."""
        return cls(engine, model, (_run_graph, ShippedModel.of(model.opened, runtime, engine.threads), None))

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`, with the values of one process: a graph runs on the same parts there."""
        size = PART * max(-(-len(context) // (PART * self.engine.workers)), 1)
        inputs = {"context": context, **(extra or {})}

        def read(first: int) -> dict[str, FloatArray]:
            return {name: values[first : first + size] for name, values in inputs.items()}

        starts, found = range(0, len(context), size), dict[int, "FloatArray"]()
        for first, done in self.engine.run(_with_model, self.common, starts, read):
            found[first] = _run_graph(self.here, None, read(first)) if isinstance(done, Lost) else done
        return np.concatenate([found[first] for first in starts])


def _run_graph(model: ServedModel, _shared: None, inputs: Mapping[str, FloatArray]) -> FloatArray:
    """The graph's answer for a part of the windows."""
    extra = {name: values for name, values in inputs.items() if name != "context"}
    return model.runtime.run(inputs["context"], extra)


_LOADED: dict[str, ServedModel] = {}  # in a worker: the model of its tasks


def _with_model(common: tuple[ModelWork, ServedModel | ShippedModel, Any], item: Any) -> Any:
    """The work on an item."""
    work, model, shared = common
    return work(model if isinstance(model, ServedModel) else _loaded(model), shared, item)


def _loaded(shipped: ShippedModel) -> ServedModel:
    """The model, which a worker loads once."""
    if shipped.key not in _LOADED:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / shipped.name / str(shipped.version)
            for path, data in shipped.files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(data)
            manifest = read_manifest(folder)
            if shipped.runtime == TESTED:
                runtime = load_test_weights(folder, manifest, shipped.threads)
            else:
                runtime = load_runtime(folder, manifest, shipped.runtime, shipped.threads)
        _LOADED.clear()
        _LOADED[shipped.key] = ServedModel(Opened(folder, shipped.version, manifest), runtime)
    return _LOADED[shipped.key]
