"""The engine that a command's options name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from forecaster.engines.local import LocalEngine

if TYPE_CHECKING:
    from forecaster.config.shared import EngineOptions
    from forecaster.engines.work import Engine


@contextmanager
def open_engine(settings: EngineOptions) -> Iterator[Engine]:
    """The engine that the settings name. UsageError where Ray or its cluster is not there."""
    if settings.engine == "local":
        yield LocalEngine(settings.threads or 0)
        return
    from forecaster.engines.ray_cluster import ray_engine

    with ray_engine(settings.ray_address, settings.workers, settings.threads or 1) as engine:
        yield engine
