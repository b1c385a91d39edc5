"""What each member adds to an ensemble, on the windows that it was judged on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from forecaster.blend import forecasts, smoothed
from forecaster.limits import NO_LIMITS, Limits
from forecaster.report import Contribution

if TYPE_CHECKING:
    from forecaster.holdout import Holdout
    from forecaster.models.network import Network
    from forecaster.plan import Plan
    from forecaster.typing import FloatArray


def contributions(
    holdout: Holdout, plan: Plan, networks: Sequence[Network], limits: Limits = NO_LIMITS
) -> tuple[Contribution, ...]:
    """Each member's own MASE and that of the others without it, the floor blended in both; nothing for one member.

    Each member forecasts the windows once; whoever is left out, the rest is combined in NumPy.
    """
    if len(networks) < 2 or not len(holdout.target):
        return ()
    windows = holdout.windows
    each = np.stack([forecasts(holdout.panel, windows, plan.needs, [network]) for network in networks])  # [M, W, H]
    weight = plan.judged_floor.weight if plan.judged_floor else 0.0
    floor = smoothed(windows, plan.judged_floor) if plan.judged_floor else np.zeros_like(each[0])  # [W, H]

    join = getattr(np, networks[0].settings.combine)

    def error(members: FloatArray) -> float | None:
        blended = limits.hold((1.0 - weight) * join(members, axis=0) + weight * floor)
        mase = holdout.scores(blended).mase
        return mase if math.isfinite(mase) else None

    return tuple(
        Contribution(_label(network), error(each[i : i + 1]), error(np.delete(each, i, axis=0)))
        for i, network in enumerate(networks)
    )


def _label(network: Network) -> str:
    s = network.settings
    cell = f"bidirectional {s.cell}" if s.bidirectional else s.cell
    return f"{cell}, transform {s.transform}, center {s.center}, dropout {s.dropout:g}"
