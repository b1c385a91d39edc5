"""Forecast combination: members on different scalings, and a simple method, chosen on windows that no fit has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.target_limits import NO_LIMITS, Limits
from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING
from forecaster.models.served_method import member_kind
from forecaster.models.simple_methods import DRIFT, NAIVE, SEASONAL_NAIVE, STATISTICAL
from forecaster.models.trees import TREES
from forecaster.serving.manifest import Contribution
from forecaster.training.memory_forecasts import combined, smoothed

if TYPE_CHECKING:
    from forecaster.evaluation.holdout import Holdout
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.network import Network
    from forecaster.training.evaluation_set import EvaluationSet
    from forecaster.training.fit_types import Stage
    from forecaster.training.plan import OpenQuestions, Plan, TargetScaling
    from forecaster.typing import FloatArray, Watch

Kind: TypeAlias = tuple[str, int]  # a simple method, and the rows that it reads

# Of the last value's error over the history: above it drift is no rival. One of 50 random walks of 150 rows is below.
MAX_DRIFT = 0.85
# Share by which exponential smoothing must have a lower error over the history than Theta, besides being clearly better: contexts
# there are shorter than that of the forecast, on which Theta has the lower error (benchmarks/ABLATIONS.md).
SMOOTHING_GAIN = 0.05
# Share of another error over the history below which one is clearly lower, however few the windows are: of single series an error
# that is merely lower is chance more often than not (benchmarks/ABLATIONS.md).
FAR_LOWER = 2.0 / 3.0
LAST_VALUE_SHARE = (
    0.5  # beside the pretrained network, where it has the lower error over the history, though not clearly
)
# Share by which what is estimated must have a lower error over the history than the last value or season, which estimates
# nothing: on made random walks Theta and the pretrained network do by chance (benchmarks/ABLATIONS.md).
ESTIMATION_GAIN = 0.03
MIN_GAIN = (
    0.01  # share by which several scalings, or smoothing, must lower the error: less is noise of the validation windows
)


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


@dataclass(frozen=True)
class Served:
    """A plan, and its forecasts of the validation windows."""

    plan: Plan
    forecast: FloatArray  # [W, H]


@dataclass(frozen=True)
class Unfitted(Served):
    """A plan that is fitted to no row, so that every window of the history shows its error."""

    network: FloatArray  # [W, H] forecasts of its pretrained network alone
    history: FloatArray  # [W, H] its forecasts of the windows of the history

    def yields_to(self, simple: Smoothing, evaluation: EvaluationSet) -> bool:
        """Whether a simple method is clearly better over the history."""
        history = evaluation.of_history
        return is_clearly_better(history.smoothed(simple), self.history, history)

    def beside(self, simple: Smoothing, evaluation: EvaluationSet) -> Served:
        """What serves where it does not yield: half of the last value, if that has the lower error over the history."""
        history = evaluation.of_history
        error = history.error(self.history) / (1.0 - ESTIMATION_GAIN)
        if simple.method != NAIVE or history.error(history.smoothed(simple)) > error:
            return self
        half = replace(simple, weight=LAST_VALUE_SHARE)
        return Served(replace(self.plan, smoothing=half), blended(self.network, evaluation.smoothed(half), half))


def choose_simple_method(
    found: Served,
    questions: OpenQuestions,
    evaluation: EvaluationSet,
    watch: Watch,
    unfitted: Unfitted | None = None,
) -> Served:
    """The plan with the simple method and the weight whose forecasts have the lowest error on the windows of `evaluation`.

    The statistical method and the method whose errors are lowest over the longer history are compared, which no fit is needed
    for. A plan with pretrained members has its share of a simple method already. A simple method serves alone unless a blend
    is clearly better (as in the one-standard-error rule of Breiman et al. 1984), since few windows show little. What is made
    without a fit, `unfitted`, takes that place unless it yields to the simple method. Where a simple method serves alone, the
    pretrained network gives the widths of the quantiles, and nothing is fitted.
    """
    if not questions.smoothings:
        return found
    plan, network = found.plan, found.forecast
    history = _history_errors(questions.smoothings, evaluation)
    rivals = _rivals(questions.smoothings, history, statistical_partner(questions.smoothings, evaluation))
    forecasts = {_kind(one): evaluation.smoothed(one) for one in rivals}
    # No margin between shares: combining forecasts with different errors lowers the error (Bates & Granger 1969).
    joined = not questions.blended and any(member.share for member in plan.members)
    answers: list[Smoothing | None] = [] if questions.blended else [plan.smoothing if joined else None]
    answers += [one for one in rivals if not joined or one.weight == 1.0]
    made = [
        network if joined and not i else blended(network, forecasts[_kind(one)] if one else None, one)
        for i, one in enumerate(answers)
    ]
    errors = [evaluation.error(one) for one in made]
    best = lowest = int(np.argmin(errors))
    alone = {i: _rank(_kind(one), history[_kind(one)]) for i, one in enumerate(answers) if one and one.weight == 1.0}
    if alone and not plan.special_days:  # of which no simple method knows
        simplest = min(alone, key=alone.__getitem__)  # over more windows than these
        unseen = [made[i] for i in alone] + ([unfitted.forecast] if unfitted else [])
        if not all(evaluation.clearly_lower(made[lowest], one) for one in unseen):
            method = answers[simplest]
            if unfitted and method and not questions.blended and not unfitted.yields_to(method, evaluation):
                served = unfitted.beside(method, evaluation)
                watch.note(f"model selection: {served.plan.method}, fitted to nothing: no other is clearly better")
                smoothing, reason = served.plan.smoothing, f"no fit is clearly better than {served.plan.method}"
                plan = served.plan.with_row("floor", smoothing.weight if smoothing else 0.0, reason)
                return replace(served, plan=plan)
            best = simplest
    shown = ", ".join(f"{_blend_name(one)}: {error:.4g}" for one, error in zip(answers, errors, strict=True))
    why = "" if best == lowest else ", as no other is clearly better"
    watch.note(f"model selection: {_blend_name(answers[best])}{why}; validation errors: {shown}")
    chosen = answers[best]
    others = f"validation error {errors[best]:.3g}, {errors[0]:.3g} with {_blend_name(answers[0])}"
    if best != lowest:
        rival = f"{errors[lowest]:.3g} with {_blend_name(answers[lowest])}"
        others = f"validation error {errors[best]:.3g}: {rival} is not clearly lower"
    if unfitted and chosen and chosen.weight == 1.0:
        plan = unfitted.plan
    plan = plan.with_row("floor", chosen.weight if chosen else 0.0, "as given" if questions.blended else others)
    return Served(replace(plan, smoothing=chosen), made[best])


def statistical_partner(smoothings: Sequence[Smoothing], evaluation: EvaluationSet) -> Smoothing | None:
    """The statistical method to blend: Theta, unless exponential smoothing is clearly better over the history.

    None where none can be made.
    """
    history = evaluation.of_history
    found = {_kind(one): one for one in reversed(smoothings) if one.method in STATISTICAL}
    made = {kind: history.smoothed(one) for kind, one in found.items()}
    errors = {kind: history.error(forecast) for kind, forecast in made.items()}
    thetas = [kind for kind in found if kind[0] != EXPONENTIAL_SMOOTHING]
    best, theta = (min(some, key=errors.__getitem__, default=None) for some in (found, thetas))
    if best is None or theta is None or best == theta:
        return found[best] if best else None
    lower = errors[best] < (1.0 - SMOOTHING_GAIN) * errors[theta]
    return found[best if lower and is_clearly_better(made[best], made[theta], history) else theta]


def is_clearly_better(one: FloatArray, other: FloatArray, history: EvaluationSet) -> bool:
    """Whether forecasts [W, H] of the history have clearly lower errors than others, or so much that few windows show it."""
    return history.error(one) < FAR_LOWER * history.error(other) or history.clearly_lower(one, other)


def _kind(smoothing: Smoothing) -> Kind:
    return smoothing.method, smoothing.length


def _history_errors(smoothings: Sequence[Smoothing], evaluation: EvaluationSet) -> dict[Kind, float]:
    """Of each method alone, whatever its weight."""
    return {kind: evaluation.history_error(one) for kind, one in {_kind(one): one for one in smoothings}.items()}


def _rivals(
    smoothings: Sequence[Smoothing], history: Mapping[Kind, float], partner: Smoothing | None
) -> list[Smoothing]:
    """The statistical method to blend, and the method with the lowest error on the windows of the history."""
    naive = min((error for (method, _), error in history.items() if method == NAIVE), default=math.inf)
    errors = {kind: error for kind, error in history.items() if kind[0] != DRIFT or error <= MAX_DRIFT * naive}
    best = min(errors, key=lambda kind: _rank(kind, errors[kind]))
    return [one for one in smoothings if _kind(one) in (partner and _kind(partner), best)]


def _rank(kind: Kind, error: float) -> float:
    """The error over the history by which a method is compared with those that estimate nothing."""
    return error if kind[0] in (NAIVE, SEASONAL_NAIVE) else error / (1.0 - ESTIMATION_GAIN)


def _blend_name(smoothing: Smoothing | None) -> str:
    return f"{smoothing.weight:.0%} {smoothing.method}" if smoothing else "networks alone"


def blended(network: FloatArray, simple: FloatArray | None, smoothing: Smoothing | None) -> FloatArray:
    """[W, H] the networks' forecasts with the share of the simple method's."""
    if simple is None or smoothing is None:
        return network
    return np.asarray(simple if smoothing.weight == 1.0 else network + smoothing.weight * (simple - network))


def contributions(
    holdout: Holdout, stage: Stage, members: FloatArray, limits: Limits = NO_LIMITS
) -> tuple[Contribution, ...]:
    """Each member's own MASE and that of the others without it, both with the simple method; empty for one member.

    Empty as well where the networks have no share.
    `members` [M, W, H]: each network's point forecasts for the windows of the holdout.
    """
    networks, smoothing = stage.networks, stage.smoothing
    if len(networks) < 2 or not len(holdout.target) or (smoothing and smoothing.weight == 1.0):
        return ()
    covariates = networks[0].settings.covariates
    simple = smoothed(holdout.panel, holdout.windows, smoothing, covariates) if smoothing else None

    def error(forecast: FloatArray) -> float | None:
        mase = holdout.scores(limits.hold(blended(forecast, simple, smoothing))).mase
        return mase if math.isfinite(mase) else None

    return tuple(
        Contribution(
            _label(network),
            error(members[i]),
            error(combined(np.delete(members, i, axis=0), [*networks[:i], *networks[i + 1 :]])),
        )
        for i, network in enumerate(networks)
    )


def _label(network: Network) -> str:
    s = network.settings
    if s.pretrained or s.cell == TREES:
        return member_kind(s)
    return f"{s.label}, transform {s.transform}, center {s.center}, dropout {s.dropout:g}"
