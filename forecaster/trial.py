"""Short fits that answer what the rows alone do not say: which transform, how many steps, how fast.

Every answer is measured on the validation windows, which lie before those that the scores are taken from. Nothing after them
is seen, so the scores stay honest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.inputs import Beside
from forecaster.models.floor import smooth
from forecaster.plan import Choice, Plan
from forecaster.report import PlanRow

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.fit import FitSettings, Task
    from forecaster.models.network import Network, NetworkSettings
    from forecaster.publish import Stage
    from forecaster.typing import FloatArray
    from forecaster.watch import Watch

# Fits every network on a task, at once where there are processors.
FitAll: TypeAlias = "Callable[[str, Task, Sequence[tuple[NetworkSettings, FitSettings]]], Stage]"

STAGE = "trial"
BATCH = 2048  # windows forecast at once
MARGIN = 0.01  # that a longer course must win by: less is within the noise of a validation window


def settle(plan: Plan, panel: Panel, task: Task, fit_all: FitAll, watch: Watch) -> Plan:
    """The plan with its open questions answered on `task`'s validation windows."""
    if len(plan.transforms) == 1 and len(plan.courses) == 1 and not plan.floors:
        return plan
    epochs, rate = plan.courses[0]
    trials = _Trials(plan, task, fit_all)
    leader = trials.best([Choice(transform, scale, epochs, rate) for transform, scale in plan.transforms])
    trials.best([replace(leader, epochs=epochs, learning_rate=rate) for epochs, rate in plan.courses[1:]])
    errors = trials.errors
    best = min(errors, key=errors.__getitem__)
    if errors[leader] <= errors[best] * (1.0 + MARGIN):
        best = leader  # the cheaper course, unless more of it clearly pays
    for choice, error in errors.items():
        watch.note(f"trial: {choice}: validation error {error:.4g}{' (taken)' if choice == best else ''}")
    others = ", ".join(f"{error:.3g}" for choice, error in errors.items() if choice != best)
    decided = plan.decided(best, f"validation error {errors[best]:.3g}, others {others}" if others else "as given")
    networks = trials.networks(best.transform)
    other = next((one for one in trials.fitted if one.transform != best.transform), None)
    if other and len(plan.members) > 1 and math.isfinite(errors[other]):
        pair = [*trials.networks(other.transform), trials.fitted[leader]]
        both, alone = (_error(decided, panel, task, group) for group in (pair, pair[-1:]))
        watch.note(f"trial: transforms {leader.transform} and {other.transform} together {both:.4g}, alone {alone:.4g}")
        if both < alone:
            why = f"validation error {both:.3g} together, {alone:.3g} alone"
            decided, networks = decided.mixed((other.transform, other.error_scale), why), [*networks, *pair[:-1]]
    return _with_floor(decided, panel, task, networks, watch)


def forecasts(plan: Plan, panel: Panel, windows: Windows, networks: Sequence[Network], length: int) -> FloatArray:
    """Point forecasts [W, H] of the median of `networks`."""
    from forecaster.models.export import joint_forecast

    beside = Beside(panel, windows, replace(plan.needs, context_length=length))
    inputs = [windows.gather(length, 0), *beside.first()]
    return np.asarray(joint_forecast(networks, inputs))[:, :, 0]


def _error(plan: Plan, panel: Panel, task: Task, networks: Sequence[Network]) -> float:
    """Validation error of the median of `networks`, as that of one fit is measured."""
    scaled, shares = [], []
    for part in task.validation.batches(BATCH) if task.validation else ():
        truth, found = part.gather(0, plan.horizon), forecasts(plan, panel, part, networks, plan.context_length)
        miss, size = np.abs(truth - found), np.abs(truth) + np.abs(found)
        scaled.append(np.nanmean(miss / task.scale[part.series][:, None], axis=1))
        shares.append(np.nanmean(2.0 * miss / np.where(size > 0.0, size, 1.0), axis=1))
    mean = float(np.mean(np.concatenate(scaled)))
    return math.sqrt(mean * float(np.mean(np.concatenate(shares)))) if task.relative else mean


class _Trials:
    """Short fits of the first member, each with another choice."""

    def __init__(self, plan: Plan, task: Task, fit_all: FitAll) -> None:
        self.plan, self.task, self.fit_all = plan, task, fit_all
        self.errors: dict[Choice, float] = {}  # on the validation windows, after the last epoch
        self.fitted: dict[Choice, Network] = {}

    def best(self, choices: Sequence[Choice]) -> Choice:
        """Fit these and return the one with the smallest error of all so far."""
        decided = [self.plan.decided(choice, "") for choice in choices]
        if decided:
            stage = self.fit_all(STAGE, self.task, [(one.members[0], one.fit) for one in decided])
            if len(stage.fits) < len(choices) or stage.stopped == "interrupted":
                raise KeyboardInterrupt  # nothing is decided yet
            for choice, network, one in zip(choices, stage.networks, stage.fits, strict=True):
                error = one.state.last_error if one.stopped != "diverged" else math.inf
                self.errors[choice] = error if math.isfinite(error) else math.inf
                self.fitted[choice] = network
        return min(self.errors, key=self.errors.__getitem__)

    def networks(self, transform: str) -> list[Network]:
        """Those that were fitted with this transform."""
        return [network for choice, network in self.fitted.items() if choice.transform == transform]


def _with_floor(plan: Plan, panel: Panel, task: Task, networks: Sequence[Network], watch: Watch) -> Plan:
    """The plan with as much of the statistical forecast as the validation windows ask for."""
    windows = task.validation
    if not plan.floors or windows is None:
        return plan
    length = max(plan.context_length, plan.floors[0].length)
    errors: dict[float, list[FloatArray]] = {0.0: [], **{floor.weight: [] for floor in plan.floors}}
    for part in windows.batches(BATCH):
        network = forecasts(plan, panel, part, networks, length)
        smoothed = np.asarray(smooth(part.gather(length, 0), plan.floors[0]))
        truth, scale = part.gather(0, plan.horizon), task.scale[part.series][:, None]
        for weight, found in errors.items():
            found.append(np.abs(truth - (1.0 - weight) * network - weight * smoothed) / scale)
    means = {weight: float(np.nanmean(np.concatenate(found))) for weight, found in errors.items()}
    # No margin here: forecasts that err differently err less together (Bates & Granger 1969).
    best = min(means, key=means.__getitem__)
    said = ", ".join(f"{weight:g}: {error:.4g}" for weight, error in means.items())
    watch.note(f"trial: share of exponential smoothing in the blend, and validation error: {said}; {best:g} taken")
    row = PlanRow("floor", best, f"validation error {means[best]:.3g}, without it {means[0.0]:.3g}")
    rows = tuple(row if old.setting == "floor" else old for old in plan.rows)
    floor = next((one for one in plan.floors if one.weight == best), None)
    return replace(plan, floor=floor, floors=(), rows=rows)
