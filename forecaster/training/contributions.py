"""What each member adds to an ensemble, on the test windows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.limits import NO_LIMITS, Limits
from forecaster.serving.manifest import Contribution
from forecaster.training.combination import combined, smoothed

if TYPE_CHECKING:
    from forecaster.evaluation.holdout import Holdout
    from forecaster.models.network import Network
    from forecaster.training.task import Stage
    from forecaster.typing import FloatArray


def contributions(
    holdout: Holdout, stage: Stage, members: FloatArray, limits: Limits = NO_LIMITS
) -> tuple[Contribution, ...]:
    """Each member's own MASE and that of the others without it, smoothing blended in both; nothing for one member.

    `members` [M, W, H]: what each network forecasts for the windows of the holdout.
    """
    networks, smoothing = stage.networks, stage.smoothing
    if len(networks) < 2 or not len(holdout.target):
        return ()
    weight = smoothing.weight if smoothing else 0.0
    blended = weight * smoothed(holdout.windows, smoothing) if smoothing else 0.0

    def error(some: FloatArray) -> float | None:
        mase = holdout.scores(limits.hold((1.0 - weight) * combined(some, networks) + blended)).mase
        return mase if math.isfinite(mase) else None

    return tuple(
        Contribution(_label(network), error(members[i : i + 1]), error(np.delete(members, i, axis=0)))
        for i, network in enumerate(networks)
    )


def _label(network: Network) -> str:
    s = network.settings
    cell = f"bidirectional {s.cell}" if s.bidirectional else s.cell
    return f"{cell}, transform {s.transform}, center {s.center}, dropout {s.dropout:g}"
