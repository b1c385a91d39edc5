"""A fit in another process: what it gets, and what is done there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from forecaster.training.compiled_steps import Trainers
from forecaster.training.fit import FitControl, fit
from forecaster.training.member_networks import new_network
from forecaster.typing import Silent

if TYPE_CHECKING:
    from forecaster.training.fit_types import Fitted, MemberFit, Task


@dataclass(frozen=True)
class FitOrder:
    """A fit that another process does."""

    member: MemberFit  # with the seed of this fit, and its seconds
    stage: str
    parts: int  # of each batch, as here: the order of sums, and so the last digits, depend on it
    threads: int


def fit_elsewhere(task: Task, order: FitOrder) -> Fitted:
    """Fit a member on the task, on processors: the same function as here, so the same weights."""
    from forecaster.models.device import configure

    configure("cpu", order.threads)
    network = new_network(order.member.network, order.member.fit.seed)
    if order.member.weights is not None:
        network.weights = order.member.weights
    control = FitControl(Silent(), order.stage)
    return fit(network, task, order.member.schedule, control, parts=order.parts, trainers=_trainers())


@lru_cache(maxsize=1)
def _trainers() -> Trainers:
    """The compiled steps of earlier fits in this process."""
    return Trainers()
