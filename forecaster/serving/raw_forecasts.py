"""What a stored graph forecasts for windows of a panel, before calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.model_inputs import ExtraInputs
from forecaster.serving.runtime import forecast

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.serving.manifest import Manifest
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray, IntArray


@dataclass(frozen=True)
class RawForecasts:
    """W windows of a panel with what a graph forecasts for them, caller's units."""

    panel: Panel
    windows: Windows  # W
    context: FloatArray  # [W, L] values before each cutoff that the graph has read; NaN = missing
    values: FloatArray  # [W, H, 1 + Q] the point forecast, then the graph's own quantiles

    @property
    def names(self) -> list[str]:
        """[W] the series of each window."""
        return [str(self.panel.series[n]) for n in self.windows.series]

    def take(self, chosen: IntArray) -> RawForecasts:
        """Those of the windows at these positions."""
        return RawForecasts(
            panel=self.panel,
            windows=self.windows.take(chosen),
            context=self.context[chosen],
            values=self.values[chosen],
        )


def raw_forecasts(runtime: Runtime, manifest: Manifest, panel: Panel, windows: Windows, horizon: int) -> RawForecasts:
    """`horizon` steps ahead of each cutoff, which may be more than the graph's own; NaN from a context without a value."""
    context, needs = windows.gather(manifest.context_length, 0), manifest.needs
    inputs = ExtraInputs(panel, windows, needs, -(-horizon // needs.horizon))
    values = forecast(runtime, context, horizon, inputs)
    return RawForecasts(
        panel=panel,
        windows=windows,
        context=context,
        values=values.reshape(len(windows), horizon, 1 + len(manifest.quantiles)),
    )


def with_context(windows: Windows, context_length: int) -> Windows:
    """The windows with an observed value before their cutoff: the others cannot be forecast."""
    return windows.take(np.flatnonzero(~np.isnan(windows.gather(context_length, 0)).all(axis=1)))


def with_actuals(windows: Windows, horizon: int) -> Windows:
    """The windows with an observed value from their cutoff on: the others have no errors."""
    return windows.take(np.flatnonzero(~np.isnan(windows.gather(0, horizon)).all(axis=1)))
