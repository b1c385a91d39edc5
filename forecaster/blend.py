"""What is joined to one forecast: members on different transforms, and a statistical floor; chosen on held-back windows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.inputs import Beside, Needs
from forecaster.models.floor import Floor, smooth
from forecaster.models.training_record import PlanRow

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.network import Network
    from forecaster.plan import Pair, Plan
    from forecaster.typing import FloatArray
    from forecaster.watch import Watch

BATCH = 2048  # windows forecast at once
MARGIN = 0.01  # that a mixture must win by: less is within the noise of a validation window


def forecasts(panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network]) -> FloatArray:
    """Point forecasts [W, H] of `networks`, joined."""
    return joined(panel, windows, needs, networks)[:, :, 0]


def joined(
    panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network], floor: Floor | None = None
) -> FloatArray:
    """Forecasts [W, H, 1 + Q] of `networks` and a floor, joined as in the stored graph."""
    from forecaster.models.export import joint_forecast

    parts = []
    for part in windows.batches(BATCH):
        inputs = [part.gather(needs.context_length, 0), *Beside(panel, part, needs).first()]
        parts.append(np.asarray(joint_forecast(networks, inputs, floor=floor)))
    return np.concatenate(parts)


def member_forecasts(panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network]) -> FloatArray:
    """Point forecasts [M, W, H] of each network alone."""
    return np.stack([forecasts(panel, windows, needs, [network]) for network in networks])


def combined(members: FloatArray, networks: Sequence[Network]) -> FloatArray:
    """Members' point forecasts [M, W, H] -> those of all together [W, H]."""
    return np.asarray(getattr(np, networks[0].settings.combine)(members, axis=0))


def smoothed(windows: Windows, floor: Floor) -> FloatArray:
    """The floor's forecasts [W, H]."""
    return np.concatenate([np.asarray(smooth(part.gather(floor.length, 0), floor)) for part in windows.batches(BATCH)])


@dataclass(frozen=True)
class Bench:
    """Windows that forecasts are measured on, and by what."""

    panel: Panel
    windows: Windows
    scale: FloatArray  # [N] yardstick of each series
    relative: bool  # every value is positive, so that relative errors mean something
    needs: Needs

    def forecast(self, networks: Sequence[Network]) -> FloatArray:
        """Point forecasts [W, H] of `networks`, joined."""
        return forecasts(self.panel, self.windows, self.needs, networks)

    def smoothed(self, floor: Floor) -> FloatArray:
        """The floor's forecasts [W, H]."""
        return smoothed(self.windows, floor)

    def error(self, forecast: FloatArray) -> float:
        """Error of forecasts [W, H], as that of one fit is measured (`models.fit`)."""
        truth = self.windows.gather(0, self.needs.horizon)
        miss, size = np.abs(truth - forecast), np.abs(truth) + np.abs(forecast)
        scaled = _mean(miss / self.scale[self.windows.series][:, None])
        if not self.relative:
            return scaled
        return math.sqrt(scaled * _mean(2.0 * miss / np.where(size > 0.0, size, 1.0)))


def _mean(each: FloatArray) -> float:
    """[W, H], NaN = not observed -> mean over windows of their means; windows with nothing observed are left out."""
    seen = ~np.isnan(each).all(axis=1)
    return float(np.nanmean(each[seen], axis=1).mean())


def mix(plan: Plan, bench: Bench, fitted: Mapping[Pair, Network], leader: Pair, watch: Watch) -> Plan:
    """Give each member the transform and error scale with which, joined, they err least (Caruana et al. 2004).

    The first keeps the leader's. The others are picked one by one, each pair as often as it helps.
    """
    if len(fitted) < 2 or len(plan.members) < 2:
        return plan
    found = {pair: bench.forecast([network]) for pair, network in fitted.items()}
    chosen, join = [leader], getattr(np, plan.members[0].combine)
    while len(chosen) < len(plan.members):
        errors = {pair: bench.error(join([found[one] for one in [*chosen, pair]], axis=0)) for pair in found}
        chosen.append(min(errors, key=errors.__getitem__))
    alone, together = bench.error(found[leader]), bench.error(join([found[pair] for pair in chosen], axis=0))
    said = ", ".join(" by ".join(pair) for pair in chosen)
    watch.note(f"trial: members on transforms {said}: validation error {together:.4g}, alone {alone:.4g}")
    if together > alone * (1.0 - MARGIN):
        return plan
    return plan.mixed(chosen, f"validation error {together:.3g} together, {alone:.3g} alone")


def with_floor(plan: Plan, bench: Bench, networks: Sequence[Network], where: str, watch: Watch) -> Plan:
    """The plan with as much of the statistical floor as these windows, and those it was asked on before, ask for.

    One cutoff may be a lucky one for smoothing, so each set of windows counts alike however many it has.
    """
    return _with_floor(plan, bench, bench.forecast(networks), where, watch) if plan.floors else plan


def _with_floor(plan: Plan, bench: Bench, network: FloatArray, where: str, watch: Watch) -> Plan:
    """`network` [W, H]: what the networks forecast for the bench's windows."""
    floor_alone = bench.smoothed(plan.floors[0])
    weights = (0.0, *(one.weight for one in plan.floors))
    errors = {weight: bench.error((1.0 - weight) * network + weight * floor_alone) for weight in weights}
    asked = (*plan.asked, {weight: error / (errors[0.0] or 1.0) for weight, error in errors.items()})
    means = {weight: float(np.mean([one[weight] for one in asked])) for weight in weights}
    # No margin here: forecasts that err differently err less together (Bates & Granger 1969).
    best = min(means, key=means.__getitem__)
    said = ", ".join(f"{weight:g}: {error:.4g}" for weight, error in means.items())
    watch.note(f"share of smoothing in the blend, and error on {where}, without it 1: {said}; {best:g} taken")
    row = PlanRow("floor", best, f"error {means[best]:.3g} of that without it on {where}")
    rows = tuple(row if old.setting == "floor" else old for old in plan.rows)
    floor = next((one for one in plan.floors if one.weight == best), None)
    return replace(plan, floor=floor, asked=asked, rows=rows)


def final_floor(plan: Plan, bench: Bench, network: FloatArray, watch: Watch) -> Plan:
    """The plan with the floor for the final weights, asked on the test windows, too; the tested ones keep theirs.

    So the scores stay those of choices that were made without seeing these windows. `network` [W, H]: what the tested
    networks forecast for them.
    """
    found = _with_floor(plan, bench, network, "validation and held-back windows", watch) if plan.floors else plan
    final, judged = found.floor, plan.floor
    either = final or judged
    if either:  # both graphs read the same context
        final, judged = (one or replace(either, weight=0.0) for one in (final, judged))
    return replace(found, floor=final, judged_floor=judged)
