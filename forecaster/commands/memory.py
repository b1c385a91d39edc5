"""The memory of networks on a user's windows, for `explain --memory` and `compare --memory`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.extra_inputs import ExtraInputs
from forecaster.data.windows import evenly, latest_windows, rolling
from forecaster.errors import DataError
from forecaster.models.device import require_tensorflow
from forecaster.models.memory import Memory, memory_of
from forecaster.serving.open_model import model_of_data, open_model, read_for
from forecaster.serving.remote_store import at_hand
from forecaster.training.checkpoints import FINAL_STAGE, STATE, TEST_STAGE, read_state, state_file

if TYPE_CHECKING:
    from forecaster.config import ExplainSettings
    from forecaster.data.extra_inputs import Needs
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.network import Network
    from forecaster.progress import Watch
    from forecaster.serving.open_model import Opened
    from forecaster.typing import Data, Json

MAX_WINDOWS = 32
MAX_STRETCHES = 8


@dataclass(frozen=True)
class NetworkMemory:
    """One network's memory, and the size of its steps."""

    name: str
    segment: int  # rows in a recurrent step
    memory: Memory

    def stretches(self) -> list[tuple[str, float, float | None]]:
        """Rows back, their share of the squared gradient, and the state gradient at the oldest of them; latest first.

        The last is None for a network without recurrent layers.
        """
        length = len(self.memory.rows)
        size = self.segment * max(1, -(-length // (self.segment * MAX_STRETCHES)))
        found: list[tuple[str, float, float | None]] = []
        for back in range(0, length, size):
            last = min(back + size, length)
            share = float(self.memory.row_share[length - last : length - back].sum())
            state = None
            if self.memory.states:
                top = self.memory.states[-1]
                state = float(top[max(len(top) - 1 - (last - 1) // self.segment, 0)])
            found.append((f"{back + 1} to {last}", share, state))
        return found

    @property
    def sentence(self) -> str:
        """How far back the memory goes, in rows."""
        return f"{self.name}: 90% of the squared gradient is by the latest {self.memory.reach()} of {len(self.memory.rows)} rows."

    def to_json(self) -> dict[str, Json]:
        """Norms from the oldest step to the latest."""
        rows: list[Json] = [float(one) for one in self.memory.rows]
        states: list[Json] = [[float(one) for one in layer] for layer in self.memory.states]
        return {
            "network": self.name,
            "segment": self.segment,
            "forecast_by_row": rows,
            "last_state_by_state": states,
            "rows_with_90_percent": self.memory.reach(),
        }


def network_memory(name: str, network: Network, panel: Panel, windows: Windows, needs: Needs) -> NetworkMemory:
    """The memory of a network on some of the windows."""
    some = windows.take(evenly(len(windows), MAX_WINDOWS))
    inputs = [some.gather(needs.context_length, 0), *ExtraInputs(panel, some, needs).first()]
    network_inputs = [np.asarray(one) for one in network.own(inputs)]
    return NetworkMemory(name, network.settings.segment, memory_of(network, network_inputs))


def named(networks: Sequence[Network]) -> list[str]:
    """A name for each network; those with the same label are numbered."""
    labels = [network.settings.label for network in networks]
    return [f"{label} {i + 1}" if labels.count(label) > 1 else label for i, label in enumerate(labels)]


@dataclass(frozen=True)
class MemoryReport:
    """The memory of the networks of a stored model."""

    model: str
    version: int
    windows: int
    networks: tuple[NetworkMemory, ...]

    def to_json(self) -> dict[str, Json]:
        """All norms."""
        networks: list[Json] = [one.to_json() for one in self.networks]
        return {"model": self.model, "version": self.version, "windows": self.windows, "memory": networks}


def explain_memory(data: Data | None, settings: ExplainSettings, watch: Watch) -> MemoryReport:
    """The memory of a stored model's networks, with the weights that serve, on its latest windows.

    DataError where the model has no network; the other errors are those of `evaluate`, and UsageError where the module of a
    network of one's own is not there.
    """
    require_tensorflow()
    data, settings = model_of_data(settings.source(data), at_hand(settings), watch)
    opened = open_model(settings.models, settings.model)
    panel = read_for(opened.manifest, data, settings)
    windows = _windows(panel, opened.manifest.horizon)
    networks = _networks(opened)
    needs = opened.manifest.needs
    found = []
    for name, network in zip(named(networks), networks, strict=True):
        found.append(network_memory(name, network, panel, windows, needs))
        watch.note(found[-1].sentence)
    return MemoryReport(opened.manifest.name, opened.version, min(len(windows), MAX_WINDOWS), tuple(found))


def _windows(panel: Panel, horizon: int) -> Windows:
    """The latest windows of each series, a horizon apart, as many as are drawn from; at least the very latest."""
    count = -(-MAX_WINDOWS // len(panel.series))
    found = rolling(panel, panel.offsets[1:], horizon, count, horizon)
    return found if len(found) else latest_windows(panel)


def _networks(opened: Opened) -> list[Network]:
    """The stored networks with the weights that serve."""
    from forecaster.models.network import Network
    from forecaster.models.trees import TREES

    manifest = opened.manifest
    if not manifest.members:
        raise DataError(f"model '{manifest.name}' has no network.", "Train one with `forecaster train`.")
    stage = TEST_STAGE if manifest.serves_tested_weights else FINAL_STAGE
    found = []
    for i, settings in enumerate(manifest.members):
        if settings.cell == TREES:  # which gradients do not go through
            continue
        network = Network(settings, 0, portable=True)
        network.weights = read_state(opened.folder / STATE / state_file(stage, i)).best_weights
        found.append(network)
    return found
