"""Forecasts of networks and simple methods in memory, made as their stored graph will make them: see `serving.raw_forecasts`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.extra_inputs import Needs
from forecaster.models.shares import combine
from forecaster.serving.raw_forecasts import raw_forecasts

if TYPE_CHECKING:
    from forecaster.data.covariate_encodings import Encoding
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.network import Network
    from forecaster.typing import FloatArray


def forecasts(panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network]) -> FloatArray:
    """Combined point forecasts [W, H] of `networks`."""
    return joined(panel, windows, needs, networks)[:, :, 0]


def joined(
    panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network], smoothing: Smoothing | None = None
) -> FloatArray:
    """Forecasts [W, H, 1 + Q] of `networks` and of smoothing, combined as in the stored graph."""
    if not any(network.settings.special_days for network in networks):
        needs = replace(needs, special_days="")
    graph = _Networks(networks, smoothing, needs)
    return raw_forecasts(graph, graph, panel, windows, needs.horizon).values


def member_forecasts(panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network]) -> FloatArray:
    """Point forecasts [M, W, H] of each network alone."""
    return np.stack([forecasts(panel, windows, needs, [network]) for network in networks])


def combined(members: FloatArray, networks: Sequence[Network]) -> FloatArray:
    """Members' point forecasts [M, W, H] -> combined point forecasts [W, H]."""
    settings = [network.settings for network in networks]
    return np.asarray(combine(list(members), settings, lambda some: getattr(np, settings[0].combine)(some, axis=0)))


def smoothed(panel: Panel, windows: Windows, smoothing: Smoothing, covariates: tuple[Encoding, ...] = ()) -> FloatArray:
    """Forecasts [W, H] of a simple method alone; `covariates`: those of the networks that it is blended with."""
    graph = _SimpleMethod(smoothing, Needs(smoothing.length, smoothing.horizon, (), covariates))
    return raw_forecasts(graph, graph, panel, windows, smoothing.horizon).values[:, :, 0]


@dataclass(frozen=True)
class _Networks:
    """Networks and smoothing as the stored graph has them: a `Runtime` and its `GraphFacts`."""

    networks: Sequence[Network]
    smoothing: Smoothing | None
    needs: Needs

    @property
    def context_length(self) -> int:
        """L."""
        return self.needs.context_length

    @property
    def reach(self) -> int:
        """L, without the rows of seasonal profiles."""
        return max(network.settings.context_length for network in self.networks)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Q levels, ascending."""
        return self.networks[0].settings.quantiles

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`."""
        from forecaster.models.export import joint_forecast

        inputs = {"context": context, **(extra or {})}
        return np.asarray(joint_forecast(self.networks, inputs, smoothing=self.smoothing))


@dataclass(frozen=True)
class _SimpleMethod:
    """A simple method alone: a `Runtime` and its `GraphFacts`."""

    smoothing: Smoothing
    needs: Needs
    quantiles: tuple[float, ...] = ()

    @property
    def context_length(self) -> int:
        """L."""
        return self.needs.context_length

    @property
    def reach(self) -> int:
        """L."""
        return self.needs.context_length

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:  # noqa: ARG002
        """As `Runtime.run`."""
        from forecaster.models.simple_methods import simple_forecast

        return np.asarray(simple_forecast(context, self.smoothing))[:, :, None]
