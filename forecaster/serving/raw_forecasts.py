"""Run a stored graph on windows of a panel: gather its inputs, keep windows and forecasts together.

Raw: the graph's own quantiles, before calibration. Everything here works on a panel; `runtime` works on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from forecaster.data.extra_inputs import ExtraInputs
from forecaster.errors import ArtifactError
from forecaster.serving.runtime import forecast

if TYPE_CHECKING:
    from forecaster.data.extra_inputs import Needs
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray, IntArray


class GraphFacts(Protocol):
    """What must be known of a graph to run it on windows. A manifest knows it."""

    @property
    def context_length(self) -> int:
        """L."""

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Q levels, ascending."""

    @property
    def needs(self) -> Needs:
        """The inputs of the graph."""


@dataclass(frozen=True)
class RawForecasts:
    """W windows of a panel and a graph's forecasts of them, caller's units."""

    panel: Panel
    windows: Windows  # W
    context: FloatArray  # [W, L] the graph's input: values before each cutoff; NaN = missing
    values: FloatArray  # [W, H, 1 + Q] the point forecast, then the graph's own quantiles

    @property
    def names(self) -> list[str]:
        """[W] names of the windows' series."""
        return [str(self.panel.series[n]) for n in self.windows.series]

    def take(self, chosen: IntArray) -> RawForecasts:
        """The windows at these positions, with their forecasts."""
        return RawForecasts(
            panel=self.panel,
            windows=self.windows.take(chosen),
            context=self.context[chosen],
            values=self.values[chosen],
        )


def raw_forecasts(runtime: Runtime, graph: GraphFacts, panel: Panel, windows: Windows, horizon: int) -> RawForecasts:
    """Forecasts of the W windows, `horizon` steps each, which may be more than the graph's own.

    NaN where a window's context has no observed value.
    """
    context, needs = windows.gather(graph.context_length, 0), graph.needs
    inputs = ExtraInputs(panel, windows, needs, -(-horizon // needs.horizon))
    values, columns = forecast(runtime, context, horizon, inputs), 1 + len(graph.quantiles)
    if len(windows) and values.shape[2] != columns:
        message = f"the stored graph gives {values.shape[2]} values for each step, not {columns}."
        raise ArtifactError(message, "Train again, or roll back.")
    return RawForecasts(
        panel=panel, windows=windows, context=context, values=values.reshape(len(windows), horizon, columns)
    )


def with_context(windows: Windows, context_length: int) -> Windows:
    """The windows with an observed value among the `context_length` rows before the cutoff; others have no forecast."""
    return windows.take(np.flatnonzero(~np.isnan(windows.gather(context_length, 0)).all(axis=1)))


def with_actuals(windows: Windows, horizon: int) -> Windows:
    """The windows with an observed value among the `horizon` rows from the cutoff on; others have no error."""
    return windows.take(np.flatnonzero(~np.isnan(windows.gather(0, horizon)).all(axis=1)))
