"""Series whose values a model cannot forecast: they are below the least, or above the greatest, that it forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import ArtifactError
from forecaster.serving.sparse_series import observed_in_reach

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.serving.manifest import Manifest
    from forecaster.typing import BoolArray, IntArray, Watch

MOST = 0.5  # share of a series' latest values that are outside the limits, for none of its forecasts to mean anything


def beyond_forecasting(
    panel: Panel, positions: IntArray, manifest: Manifest, watch: Watch, *, fallback: bool
) -> BoolArray:
    """[n] whether most of the latest values of the series at `positions` [n] are outside the model's limits.

    ArtifactError that names the first of these, where there is no `fallback`. Single values outside are warned of.
    """
    low, high, reach = manifest.limits.low, manifest.limits.high, manifest.reach
    below = np.zeros(len(panel.target), dtype=bool) if low is None else panel.target < low
    above = np.zeros(len(panel.target), dtype=bool) if high is None else panel.target > high
    if not (below | above).any():
        return np.zeros(len(positions), dtype=bool)
    seen = np.concatenate([[0], np.cumsum(below | above)])
    first = np.maximum(panel.offsets[:-1], panel.offsets[1:] - reach)
    count = (seen[panel.offsets[1:]] - seen[first])[positions]
    if not count.any():
        return np.zeros(len(positions), dtype=bool)
    beyond = np.asarray(count > MOST * observed_in_reach(panel, reach)[positions])
    i = int(np.argmax(beyond)) if beyond.any() else int(np.argmax(count))
    rows = slice(int(first[positions[i]]), int(panel.offsets[positions[i] + 1]))
    limit = f"below {low:g}, the least" if below[rows].any() else f"above {high:g}, the greatest"
    many = f"{count[i]:,} of its latest values are" if count[i] > 1 else "one of its latest values is"
    what = f"series '{panel.series[positions[i]]}': {many} {limit} that the model forecasts"
    if beyond.any() and not fallback:
        hint = "Train a model for such values, with --min none where they may be negative, or give --fallback."
        raise ArtifactError(f"{what}.", hint)
    more = f" ({np.count_nonzero(count):,} series have such values)" if np.count_nonzero(count) > 1 else ""
    watch.warn(f"{what}{more}")
    return beyond
