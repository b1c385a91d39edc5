"""What each member adds to an ensemble, on the windows that it was judged on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.inputs import Beside
from forecaster.data.windows import Windows
from forecaster.models.floor import smooth
from forecaster.report import Contribution

if TYPE_CHECKING:
    from forecaster.backtest import Backtest
    from forecaster.data.panel import Panel
    from forecaster.models.network import Network
    from forecaster.plan import Plan
    from forecaster.typing import FloatArray

BATCH = 2048  # windows forecast at once


def contributions(panel: Panel, plan: Plan, judged: Backtest, networks: Sequence[Network]) -> tuple[Contribution, ...]:
    """Each member's own MASE and that of the others without it, the floor blended in both; nothing for one member.

    Each member forecasts the windows once; whoever is left out, the rest is combined in NumPy.
    """
    if len(networks) < 2 or not len(judged.target):
        return ()
    windows = Windows(panel.target, panel.offsets[:-1], panel.offsets[1:], judged.series, judged.cutoff)
    parts = [_forecasts(panel, plan, part, networks) for part in windows.batches(BATCH)]
    each, floor = (np.concatenate([part[i] for part in parts], axis=-2) for i in range(2))  # [M, W, H], [W, H]
    weight = plan.floor.weight if plan.floor else 0.0

    def error(members: FloatArray) -> float | None:
        blended = (1.0 - weight) * np.median(members, axis=0) + weight * floor
        found = replace(judged, forecasts={"": blended}).scores("")
        return found.mase if math.isfinite(found.mase) else None

    return tuple(
        Contribution(_label(network), error(each[i : i + 1]), error(np.delete(each, i, axis=0)))
        for i, network in enumerate(networks)
    )


def _forecasts(
    panel: Panel, plan: Plan, windows: Windows, networks: Sequence[Network]
) -> tuple[FloatArray, FloatArray]:
    """Point forecasts of each network [M, W, H] and of the floor [W, H], 0 where there is none."""
    from forecaster.models.export import joint_forecast

    length = max(plan.context_length, plan.floor.length if plan.floor else 0)
    context = windows.gather(length, 0)
    inputs = [context, *Beside(panel, windows, replace(plan.needs, context_length=length)).first()]
    each = np.stack([np.asarray(joint_forecast([network], inputs))[:, :, 0] for network in networks])
    return each, np.asarray(smooth(context, plan.floor)) if plan.floor else np.zeros_like(each[0])


def _label(network: Network) -> str:
    s = network.settings
    cell = f"bidirectional {s.cell}" if s.bidirectional else s.cell
    return f"{cell}, transform {s.transform}, center {s.center}, dropout {s.dropout:g}"
