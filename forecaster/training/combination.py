"""Forecast combination: members on different scalings, and smoothing, chosen on windows that no fit has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.extra_inputs import ExtraInputs, Needs
from forecaster.data.target_limits import NO_LIMITS, Limits
from forecaster.models.exponential_smoothing import Smoothing, smooth
from forecaster.serving.manifest import Contribution

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.evaluation.holdout import Holdout
    from forecaster.models.network import Network
    from forecaster.progress import Watch
    from forecaster.training.fit_types import Stage
    from forecaster.training.plan import Plan, Selection, TargetScaling
    from forecaster.typing import FloatArray

BATCH = 2048  # windows forecast at once
MIN_GAIN = 0.01  # share by which several scalings must lower the error: less is noise of the validation windows


def forecasts(panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network]) -> FloatArray:
    """Combined point forecasts [W, H] of `networks`."""
    return joined(panel, windows, needs, networks)[:, :, 0]


def joined(
    panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network], smoothing: Smoothing | None = None
) -> FloatArray:
    """Forecasts [W, H, 1 + Q] of `networks` and of smoothing, combined as in the stored graph."""
    from forecaster.models.export import joint_forecast

    parts = []
    for part in windows.batches(BATCH):
        inputs = [part.gather(needs.context_length, 0), *ExtraInputs(panel, part, needs).first()]
        parts.append(np.asarray(joint_forecast(networks, inputs, smoothing=smoothing)))
    return np.concatenate(parts)


def member_forecasts(panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network]) -> FloatArray:
    """Point forecasts [M, W, H] of each network alone."""
    return np.stack([forecasts(panel, windows, needs, [network]) for network in networks])


def combined(members: FloatArray, networks: Sequence[Network]) -> FloatArray:
    """Members' point forecasts [M, W, H] -> combined point forecasts [W, H]."""
    return np.asarray(getattr(np, networks[0].settings.combine)(members, axis=0))


def smoothed(windows: Windows, smoothing: Smoothing) -> FloatArray:
    """Forecasts [W, H] of exponential smoothing alone."""
    parts = [smooth(part.gather(smoothing.length, 0), smoothing) for part in windows.batches(BATCH)]
    return np.concatenate([np.asarray(part) for part in parts])


@dataclass(frozen=True)
class EvaluationSet:
    """Windows that forecasts are compared on, and the error that compares them."""

    panel: Panel
    windows: Windows
    scale: FloatArray  # [N] seasonal scale of each series
    relative: bool  # every value is positive: relative errors are defined
    needs: Needs

    def forecast(self, networks: Sequence[Network]) -> FloatArray:
        """Combined point forecasts [W, H] of `networks`."""
        return forecasts(self.panel, self.windows, self.needs, networks)

    def smoothed(self, smoothing: Smoothing) -> FloatArray:
        """Forecasts [W, H] of exponential smoothing alone."""
        return smoothed(self.windows, smoothing)

    def error(self, forecast: FloatArray) -> float:
        """Error of forecasts [W, H], defined as the validation error of a fit (`training.fit`)."""
        truth = self.windows.gather(0, self.needs.horizon)
        miss, size = np.abs(truth - forecast), np.abs(truth) + np.abs(forecast)
        scaled = _mean(miss / self.scale[self.windows.series][:, None])
        if not self.relative:
            return scaled
        return math.sqrt(scaled * _mean(2.0 * miss / np.where(size > 0.0, size, 1.0)))


def _mean(each: FloatArray) -> float:
    """Mean over windows of their means of [W, H], NaN = not observed; windows without an observed value are left out."""
    seen = ~np.isnan(each).all(axis=1)
    return float(np.nanmean(each[seen], axis=1).mean())


def select_scalings(
    plan: Plan, evaluation: EvaluationSet, fitted: Mapping[TargetScaling, Network], leader: TargetScaling, watch: Watch
) -> Plan:
    """Give each member a scaling so that their combined error is lowest: forward selection with replacement.

    The first member has the leader's scaling. Source: Caruana et al. 2004, "Ensemble selection from libraries of models".
    """
    if len(fitted) < 2 or len(plan.members) < 2:
        return plan
    found = {scaling: evaluation.forecast([network]) for scaling, network in fitted.items()}
    chosen, join = [leader], getattr(np, plan.members[0].combine)
    while len(chosen) < len(plan.members):
        errors = {one: evaluation.error(join([found[other] for other in [*chosen, one]], axis=0)) for one in found}
        chosen.append(min(errors, key=errors.__getitem__))
    alone, together = evaluation.error(found[leader]), evaluation.error(join([found[one] for one in chosen], axis=0))
    names = ", ".join(map(str, chosen))
    watch.note(f"model selection: members on {names}: validation error {together:.4g}, of the first alone {alone:.4g}")
    if together > alone * (1.0 - MIN_GAIN):
        return plan
    return plan.with_scalings(chosen, f"validation error {together:.3g} combined, {alone:.3g} of the first alone")


def choose_smoothing(
    selection: Selection, evaluation: EvaluationSet, network: FloatArray, where: str, watch: Watch
) -> Selection:
    """The selection with the smoothing weight whose mean error is lowest on these windows and on earlier sets of windows.

    `network` [W, H] are the networks' combined forecasts for the windows of `evaluation`. The error at one cutoff may be low
    by chance, so each set of windows has the same weight, however many windows it has.
    """
    if not selection.smoothings:
        return selection
    smoothing = evaluation.smoothed(selection.smoothings[0])
    weights = (0.0, *(one.weight for one in selection.smoothings))
    errors = {weight: evaluation.error((1.0 - weight) * network + weight * smoothing) for weight in weights}
    relative = {weight: error / (errors[0.0] or 1.0) for weight, error in errors.items()}
    measured = (*selection.smoothing_errors, relative)
    means = {weight: float(np.mean([one[weight] for one in measured])) for weight in weights}
    # No margin here: combining forecasts with different errors lowers the error (Bates & Granger 1969).
    best = min(means, key=means.__getitem__)
    each = ", ".join(f"{weight:g}: {error:.4g}" for weight, error in means.items())
    watch.note(
        f"model selection: smoothing weight {best:g}; error on {where} relative to no smoothing, by weight: {each}"
    )
    plan = selection.plan.with_row("floor", best, f"error {means[best]:.3g} times that without smoothing on {where}")
    chosen = next((one for one in selection.smoothings if one.weight == best), None)
    return replace(selection, plan=replace(plan, smoothing=chosen), smoothing_errors=measured)


def final_smoothing(
    selection: Selection, evaluation: EvaluationSet, network: FloatArray, watch: Watch
) -> tuple[Plan, Smoothing | None]:
    """The plan with the smoothing of the final weights, chosen also on the test windows; and the smoothing of the test weights.

    The test weights keep theirs, so the scores are those of choices that have not seen the test windows. `network` [W, H] are
    the combined forecasts of the networks with the test weights for these windows.
    """
    plan = choose_smoothing(selection, evaluation, network, "validation and test windows", watch).plan
    final, test = plan.smoothing, selection.plan.smoothing
    either = final or test
    if either:  # both graphs must read the same context
        final, test = (one or replace(either, weight=0.0) for one in (final, test))
    return replace(plan, smoothing=final), test


def contributions(
    holdout: Holdout, stage: Stage, members: FloatArray, limits: Limits = NO_LIMITS
) -> tuple[Contribution, ...]:
    """Each member's own MASE and that of the others without it, both with smoothing; empty for one member.

    `members` [M, W, H]: each network's point forecasts for the windows of the holdout.
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
