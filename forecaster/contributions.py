"""What each member adds to an ensemble, on the windows that it was judged on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.blend import forecasts, smoothed
from forecaster.limits import NO_LIMITS, Limits
from forecaster.report import Contribution

if TYPE_CHECKING:
    from forecaster.backtest import Backtest
    from forecaster.data.inputs import Needs
    from forecaster.data.panel import Panel
    from forecaster.models.network import Network
    from forecaster.models.task import Stage
    from forecaster.typing import FloatArray


def contributions(
    panel: Panel, needs: Needs, judged: Backtest, stage: Stage, limits: Limits = NO_LIMITS
) -> tuple[Contribution, ...]:
    """Each member's own MASE and that of the others without it, smoothing blended in both; nothing for one member.

    Each member forecasts the windows once; whoever is left out, the rest is combined in NumPy.
    """
    networks, smoothing = stage.networks, stage.smoothing
    if len(networks) < 2 or not len(judged.target):
        return ()
    windows = judged.windows(panel)
    each = np.stack([forecasts(panel, windows, needs, [network]) for network in networks])  # [M, W, H]
    weight = smoothing.weight if smoothing else 0.0
    smooth = smoothed(windows, smoothing) if smoothing else np.zeros_like(each[0])  # [W, H]

    join = getattr(np, networks[0].settings.combine)

    def error(members: FloatArray) -> float | None:
        blended = limits.hold((1.0 - weight) * join(members, axis=0) + weight * smooth)
        found = replace(judged, forecasts={"": blended}).scores("")
        return found.mase if math.isfinite(found.mase) else None

    return tuple(
        Contribution(_label(network), error(each[i : i + 1]), error(np.delete(each, i, axis=0)))
        for i, network in enumerate(networks)
    )


def _label(network: Network) -> str:
    s = network.settings
    cell = f"bidirectional {s.cell}" if s.bidirectional else s.cell
    return f"{cell}, transform {s.transform}, center {s.center}, dropout {s.dropout:g}"
