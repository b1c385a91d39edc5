"""`explain --memory`: how far back the memory of a stored model's networks goes, on its latest windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.windows import latest_windows, rolling
from forecaster.errors import DataError
from forecaster.evaluation.gradient_norms import MAX_WINDOWS, NetworkMemory, network_memory
from forecaster.models.device import require_tensorflow, show_gpus
from forecaster.plotting.memory_plot import check_memory_plot, memory_figure, memory_plot
from forecaster.serving.open_model import model_of_data, open_model, read_for
from forecaster.serving.remote_store import at_hand
from forecaster.storage.files import replace_output
from forecaster.training.checkpoints import FINAL_STAGE, STATE, TEST_STAGE, read_state, state_file

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from forecaster.config import ExplainSettings
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.network import Network
    from forecaster.serving.open_model import Opened
    from forecaster.typing import Data, Json, Watch


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

    def __repr__(self) -> str:
        return f"<MemoryReport {self.model}@{self.version}: {' '.join(one.sentence for one in self.networks)}>"

    def to_frame(self) -> pd.DataFrame:
        """A row for each row of each network's context: network, rows_back, gradient and its share of the squared ones."""
        import pandas as pd

        parts = [
            pd.DataFrame({
                "network": one.name,
                "rows_back": np.arange(len(one.memory.rows), 0, -1),
                "gradient": one.memory.rows,
                "share": one.memory.row_share,
            })
            for one in self.networks
        ]  # fmt: skip
        frame: pd.DataFrame = pd.concat(parts, ignore_index=True)
        return frame

    def plot(self) -> Figure:
        """The gradients as a figure of matplotlib. UsageError where it is not installed."""
        return memory_figure(self.networks)

    def to_json(self) -> dict[str, Json]:
        """All norms."""
        networks: list[Json] = [one.to_json() for one in self.networks]
        return {"model": self.model, "version": self.version, "windows": self.windows, "memory": networks}


def explain_memory(data: Data | None, settings: ExplainSettings, watch: Watch) -> MemoryReport:
    """The memory of a stored model's networks, with the weights that serve, on its latest windows; drawn where that is asked for.

    DataError where the model has no network; the other errors are those of `evaluate`, and UsageError where the module of a
    network of one's own is not there.
    """
    check_memory_plot(settings.plot_memory)
    require_tensorflow()
    show_gpus(settings.device)
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
    if settings.plot_memory:
        replace_output(settings.plot_memory, memory_plot(found, settings.plot_memory), watch.warn)
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
