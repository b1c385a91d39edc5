"""The memory of networks on a user's windows, for `explain --memory` and `compare --memory`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.extra_inputs import ExtraInputs
from forecaster.data.windows import evenly
from forecaster.models.memory import Memory, memory_of

if TYPE_CHECKING:
    from forecaster.data.extra_inputs import Needs
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.network import Network
    from forecaster.typing import Json

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
