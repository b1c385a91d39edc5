"""Run a stored graph on windows of a panel: gather its inputs, keep windows and forecasts together.

Raw: the graph's own quantiles, before calibration. Everything here works on a panel; `runtime` works on arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from forecaster.data.extra_inputs import ExtraInputs
from forecaster.data.seasonal_scale import context_scale
from forecaster.data.windows import latest_windows
from forecaster.models.isolated_outliers import without_isolated_outliers
from forecaster.serving.quantile_columns import FORMAT_1, QuantileColumns
from forecaster.serving.runtime import batches, forecast_batch

if TYPE_CHECKING:
    from forecaster.data.extra_inputs import Needs
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray, IntArray


MAX_LEAD = 4  # horizons of missing rows that are forecast before the first step
FIRST_WITH_CENTRE = 2  # the format since which quantiles lie about the point forecast


class GraphFacts(Protocol):
    """What must be known of a graph to run it on windows. A manifest knows it."""

    @property
    def context_length(self) -> int:
        """L."""

    @property
    def reach(self) -> int:
        """Rows of the context that show how far the series moves now."""

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
    read: Windows  # W, with cutoffs after the last observed row before those of `windows`: what the graph has read
    reach: int  # rows of the graph's input that show how far the series moves
    values: FloatArray  # [W, H, 1 + Q] the point forecast, then the graph's own quantiles
    lead: IntArray  # [W] steps between the context and the first of the H: rows that are missing before a cutoff
    shape: QuantileColumns = FORMAT_1  # what the columns are

    @property
    def names(self) -> list[str]:
        """[W] names of the windows' series."""
        return [str(self.panel.series[n]) for n in self.windows.series]

    def scale(self, season_length: int) -> FloatArray:
        """[W] mean absolute seasonal difference over the latest rows that the graph has read: see `context_scale`."""
        scale = np.empty(len(self.read))
        for part in batches(len(self.read), self.reach):
            context = without_isolated_outliers(self.read.take(part).gather(self.reach, 0), season_length)
            scale[part] = context_scale(context, season_length)
        return scale

    def take(self, chosen: IntArray) -> RawForecasts:
        """The windows at these positions, with their forecasts."""
        return RawForecasts(
            panel=self.panel,
            windows=self.windows.take(chosen),
            read=self.read.take(chosen),
            reach=self.reach,
            values=self.values[chosen],
            lead=self.lead[chosen],
            shape=self.shape,
        )


def raw_forecasts(runtime: Runtime, graph: GraphFacts, panel: Panel, windows: Windows, horizon: int) -> RawForecasts:
    """Forecasts of the W windows, `horizon` steps each, which may be more than the graph's own: see `widened_beyond_horizon`.

    Rows that are missing at the end of a window are forecast, too, and left out: graphs that read them as missing have larger
    errors (benchmarks/missing_ends.py). NaN where a window's context has no observed value.
    """
    old = _is_old(graph)
    read, lead = _from_last_observed(panel, windows, graph)
    blocks = -(-(horizon + lead) // graph.needs.horizon)  # [W] runs of the graph
    values = np.empty((len(windows), horizon, 1 + len(graph.quantiles)))
    for count in np.unique(blocks):
        mine = np.flatnonzero(blocks == count)
        longer = _steps_ahead(runtime, graph, panel, read.take(mine), horizon + int(lead[mine].max()))
        longer = longer if old else widened_beyond_horizon(longer, graph.needs.horizon)
        values[mine] = np.take_along_axis(longer, (lead[mine, None] + np.arange(horizon))[:, :, None], axis=1)
    return RawForecasts(
        panel=panel,
        windows=windows,
        read=read,
        reach=graph.reach,
        values=values,
        lead=lead,
        shape=FORMAT_1 if old else QuantileColumns(tuple(graph.quantiles), getattr(graph, "point_level", 0.5)),
    )


def _steps_ahead(runtime: Runtime, graph: GraphFacts, panel: Panel, windows: Windows, steps: int) -> FloatArray:
    """[W, steps, 1 + Q] the graph's forecasts from each cutoff on; isolated outliers are read as missing."""
    needs, length = graph.needs, graph.context_length
    inputs = ExtraInputs(panel, windows, needs, -(-steps // needs.horizon))
    found = np.empty((len(windows), steps, 1 + len(graph.quantiles)))
    for part in batches(len(windows), length):
        read = windows.take(part)
        rows = read.gather(length, 0)
        context = without_isolated_outliers(rows, panel.season_length)
        found[part] = forecast_batch(runtime, context, steps, inputs(part))
        late = np.flatnonzero(np.isnan(context[:, -1]) & ~np.isnan(rows[:, -1]))
        if len(late):  # the latest row is one: it is forecast first
            before = replace(read.take(late), cutoff=read.cutoff[late] - 1)
            found[part][late] = _steps_ahead(runtime, graph, panel, before, steps + 1)[:, 1:]
    return found


def _from_last_observed(panel: Panel, windows: Windows, graph: GraphFacts) -> tuple[Windows, IntArray]:
    """The windows with their cutoffs after the last row that says anything, and [W] by how many rows they moved.

    Past covariates are read up to where they or the target end. A window that would move by more than MAX_LEAD of the graph's
    own horizons stays where it is.
    """
    if _is_old(graph):  # whose quantiles would not widen with the steps
        return windows, np.zeros(len(windows), np.int64)
    past = {one.name for one in graph.needs.covariates if one.role == "past"}
    columns = [windows.target, *(covariate.values for covariate in panel.covariates if covariate.name in past)]
    return windows.from_last_observed(columns, MAX_LEAD * graph.needs.horizon)


def _is_old(graph: GraphFacts) -> bool:
    return getattr(graph, "format", FIRST_WITH_CENTRE) < FIRST_WITH_CENTRE


def observed_rows(graph: GraphFacts, panel: Panel) -> IntArray:
    """[N] observed targets among the rows that the graph reads for a forecast after each series' last row."""
    read, _ = _from_last_observed(panel, latest_windows(panel), graph)
    return panel.observed_between(np.maximum(read.cutoff - graph.reach, panel.offsets[:-1]), read.cutoff)


def widened_beyond_horizon(values: FloatArray, horizon: int) -> FloatArray:
    """Raw forecasts [W, H, 1 + Q] whose quantiles do not come closer to the point beyond the graph's own `horizon`.

    There the graph takes its own forecasts for actuals, so its widths are too small. From the last of its own steps on they
    grow at least with the square root of the step, as those of a random walk do, and never shrink.
    """
    steps = values.shape[1]
    if steps <= horizon:
        return values
    own, point, beyond = values[:, :horizon], values[:, horizon:, :1], values[:, horizon:, 1:]
    growth = np.sqrt(np.arange(horizon + 1, steps + 1) / horizon)
    last = own[:, -1:, 1:] - own[:, -1:, :1]
    least, deviation = last * growth[None, :, None], beyond - point
    below = np.minimum.accumulate(np.minimum(deviation, least), axis=1)
    above = np.maximum.accumulate(np.maximum(deviation, least), axis=1)
    away = np.where(last < 0.0, below, np.where(last > 0.0, above, deviation))
    return np.concatenate([own, np.concatenate([point, point + away], axis=2)], axis=1)


def with_context(windows: Windows, context_length: int) -> Windows:
    """The windows with an observed value among the `context_length` rows before the cutoff; others have no forecast."""
    return windows.take(np.flatnonzero(windows.observed_counts(context_length, 0)))


def with_actuals(windows: Windows, horizon: int) -> Windows:
    """The windows with an observed value among the `horizon` rows from the cutoff on; others have no error."""
    return windows.take(np.flatnonzero(windows.observed_counts(0, horizon)))
