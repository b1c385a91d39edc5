"""Ensemble selection: which members, and which simple method, have which shares of the forecast.

The plan's own members, the pretrained network as it is and fitted further, trees, and a statistical method are compared on the
validation windows; what is made without a fit, on the windows of the history.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.special_days import is_special_days
from forecaster.models.exponential_smoothing import Smoothing
from forecaster.models.theta import THETA_SHARE
from forecaster.serving.plan_rows import PlanRow
from forecaster.training.combination import Served, Unfitted
from forecaster.training.fine_tuning import best_tuning
from forecaster.training.fit_types import MemberFit
from forecaster.training.member_networks import (
    is_lengthened,
    new_network,
    pretrained_settings,
    tree_settings,
    with_inputs,
)
from forecaster.training.plan import EPOCH_STEPS, OF_OWN_MEMBERS, OWN, TREE_MEMBER, UNTOUCHED

if TYPE_CHECKING:
    from forecaster.models.network import Network
    from forecaster.models.settings import FitSettings, NetworkSettings
    from forecaster.training.evaluation_set import EvaluationSet
    from forecaster.training.fit_types import FitAll, Task
    from forecaster.training.plan import OpenQuestions, Plan, Tuning
    from forecaster.typing import FloatArray, Watch

ROUNDS = 10  # of the forward selection: shares are tenths
# Weight of its shares; those that the errors give have the rest (benchmarks/ABLATIONS.md, Theta, Trees).
SELECTED = 0.25
POWER = 6.0  # of one over an error: one that is 2 % higher gives 11 % less weight, one that is 20 % higher 67 %
# The settings of the members that start from nothing were chosen on these windows, which flatters them: a combination that
# looks worse by so much may still be better.
MAX_LOSS = 0.02
USUAL_STRETCHES = 12  # benchmarks/ABLATIONS.md, Single series
MAX_ERROR = 1.25  # of the lowest error of a component: with more it has no share
# Shares by which a fine-tuned copy must have a lower error than the network as it is, to take its place: on windows of few
# cutoffs gains of 3 % are luck (benchmarks/ABLATIONS.md, Fine-tuning of few series).
REPLACING_GAIN, REPLACING_GAIN_OF_MANY, MANY_CUTOFFS = 0.05, 0.015, 10
MIN_SHARE = 0.1  # of each member that starts from nothing: a second one with less is not worth its fit

Component: TypeAlias = "Tuning | Smoothing"  # of a combination: networks, or a simple method

BATCH_SIZE = 128


def pretrained_error(plan: Plan, evaluation: EvaluationSet) -> float:
    """The error of the pretrained network as it is; infinite where none can be a member."""
    base = pretrained_settings(plan, evaluation.rows)
    if base is None:
        return math.inf
    return evaluation.error(evaluation.reaching(base.rows).forecast([new_network(base, 0)]))


def select_ensemble(
    plan: Plan,
    own: Sequence[Network],
    questions: OpenQuestions,
    evaluation: EvaluationSet,
    task: Task,
    fit_all: FitAll,
    watch: Watch,
    partner: Smoothing | None = None,
) -> tuple[Served, Unfitted | None]:
    """The plan with pretrained members, unless it clearly has a lower error on the validation windows without them.

    `own`: fitted networks that represent the plan's members; empty = only the pretrained network is a member, and there is one.
    It joins them as it is and after the best of the tunings, and the statistical method `partner` where these windows or the
    history speak for it. Returned with the plan is what is made without a fit: the pretrained network, and `partner` where the
    history speaks for it. None where there is none.
    """
    joining = _what_may_join(plan, questions, evaluation, task, fit_all, partner, alone=not own)
    if not joining.starts:
        return Served(plan, evaluation.forecast(own)), None
    evaluation, starts, unfitted = joining.evaluation, joining.starts, joining.unfitted
    forecasts, simple = joining.forecasts, joining.simple
    alone = evaluation.forecast(own) if own else None
    own_alone: dict[Component, FloatArray] = {} if alone is None else {OWN: alone}
    parts = near_best({**forecasts, **own_alone, **simple}, evaluation.error)
    if alone is not None and not {*parts} & {*starts}:
        return Served(plan, alone), unfitted
    sure = [UNTOUCHED, OWN, *(simple if unfitted and unfitted.plan.smoothing else ())]
    shares = ensemble_shares(parts, evaluation.error, [one for one in sure if one in parts])
    others = len({*shares} & {*starts} - {TREE_MEMBER})  # trees are no network: they take no member's place
    count = len(plan.members)
    if others:
        worth = max(int(shares.get(OWN, 0.0) / MIN_SHARE), 1)
        count = min(count - others, questions.own_members, worth)
    if OWN in shares and count < len(own):
        parts = {one: evaluation.forecast(own[:count]) if one == OWN else parts[one] for one in shares}
        shares = ensemble_shares(parts, evaluation.error, list(shares))
    if not {*shares} & {*starts}:
        if alone is not None:
            return Served(plan, alone), unfitted
        best = min(forecasts, key=lambda one: evaluation.error(forecasts[one]))  # gives the widths of the quantiles
        watch.note(f"model selection: {_named(shares)}: no network's error is near")
        return Served(_with_method_alone(plan, starts, best, next(iter(shares))), _combined(parts, shares)), unfitted
    joined = _combined(parts, shares)
    after = evaluation.error(joined)
    if alone is None:
        watch.note(f"model selection: {_named(shares)}: validation error {after:.4g}")
        return Served(_with_members(plan, starts, shares, f"validation error {after:.3g}"), joined), unfitted
    before = evaluation.error(alone)
    watch.note(f"model selection: {_named(shares)}: validation error {after:.4g}, without them {before:.4g}")
    if after > before * (1.0 + MAX_LOSS) and evaluation.clearly_lower(alone, joined):
        return Served(plan, alone), unfitted
    reason = f"validation error {after:.3g}, {before:.3g} without them"
    made = _with_members(plan, starts, shares, reason, own=count if OWN in shares else 0)
    return Served(made, joined), unfitted


@dataclass(frozen=True)
class _Joining:
    """What may join the members that start from nothing, with its forecasts of the validation windows."""

    evaluation: EvaluationSet  # whose contexts are long enough for all of it
    starts: dict[Tuning, NetworkSettings]  # networks before their fits
    forecasts: dict[Component, FloatArray]  # [W, H] of those after their fits
    simple: dict[Component, FloatArray]  # and of the statistical method
    unfitted: Unfitted | None  # what is made without a fit


def _what_may_join(
    plan: Plan,
    questions: OpenQuestions,
    evaluation: EvaluationSet,
    task: Task,
    fit_all: FitAll,
    partner: Smoothing | None,
    *,
    alone: bool,
) -> _Joining:
    """The pretrained network as it is and after the best of the tunings, trees, and the statistical method, all fitted.

    `alone`: there are no members that start from nothing.
    """
    base = pretrained_settings(plan, evaluation.rows) if questions.pretrained else None
    may_tune = alone or len(plan.members) > 2  # else one member starts from nothing
    tunings = questions.tunings if base and may_tune else ()
    starts: dict[Tuning, NetworkSettings] = {UNTOUCHED: base} if base else {}
    starts |= {one: with_inputs(base, plan) for one in tunings[:1] if base}
    if any(questions.trees) and not alone:
        starts[TREE_MEMBER] = tree_settings(plan, *questions.trees)
    if not starts:
        return _Joining(evaluation, {}, {}, {}, None)
    evaluation = evaluation.reaching(max(one.rows for one in starts.values()))
    fitted = _fitted(plan, starts, task, fit_all)
    simple: dict[Component, FloatArray] = {partner: evaluation.smoothed(partner)} if partner else {}
    forecasts: dict[Component, FloatArray] = {}
    unfitted = None
    if base:
        forecasts[UNTOUCHED] = evaluation.forecast([fitted[UNTOUCHED]])
        # What is fitted to nothing reads the context alone, so it does not take the place of what reads more.
        if not plan.informed:
            unfitted = _unfitted(plan, base, fitted[UNTOUCHED], evaluation, {**forecasts, **simple}, partner)
    if base and tunings:
        error = evaluation.error(forecasts[UNTOUCHED])
        for tuning, forecast in _best_tuning(plan, base, questions, fitted, evaluation, error, task, fit_all).items():
            starts[tuning] = with_inputs(base, plan)
            forecasts[tuning] = forecast
            needed = REPLACING_GAIN_OF_MANY if evaluation.cutoffs >= MANY_CUTOFFS else REPLACING_GAIN
            if evaluation.error(forecast) < error * (1.0 - needed):
                del forecasts[UNTOUCHED]  # the copy knows what it knows
    if TREE_MEMBER in fitted:
        forecasts[TREE_MEMBER] = evaluation.forecast([fitted[TREE_MEMBER]])
    return _Joining(evaluation, starts, forecasts, simple, unfitted)


def _best_tuning(
    plan: Plan,
    base: NetworkSettings,
    questions: OpenQuestions,
    fitted: Mapping[Tuning, Network],
    evaluation: EvaluationSet,
    error: float,
    task: Task,
    fit_all: FitAll,
) -> dict[Tuning, FloatArray]:
    """The best of the tunings, of which the first is `fitted` unless it diverged, and its forecasts [W, H]; or none.

    `error`: that of the network as it is.
    """

    def fit(tuning: Tuning) -> Network | None:
        if tuning == questions.tunings[0]:
            return fitted.get(tuning)
        return _fitted(plan, {tuning: with_inputs(base, plan)}, task, fit_all).get(tuning)

    # The layers that read the other inputs start at zero: half of them would be lost.
    averaged = not plan.informed
    return best_tuning(fitted[UNTOUCHED], fit, questions, evaluation, error, averaged=averaged)


def _with_method_alone(
    plan: Plan, starts: Mapping[Tuning, NetworkSettings], start: Component, method: Component
) -> Plan:
    """The plan with one network, whose point forecast has no share in that of the simple method."""
    reason = "no network's error is near"
    plan = _with_members(plan, starts, {start: 1.0}, reason).with_row("floor", 1.0, reason)
    return replace(plan, smoothing=replace(method, weight=1.0) if isinstance(method, Smoothing) else None)


def near_best(
    parts: Mapping[Component, FloatArray], error: Callable[[FloatArray], float]
) -> dict[Component, FloatArray]:
    """The components whose forecasts [W, H] are not far worse than the best ones."""
    errors = {one: error(forecast) for one, forecast in parts.items()}
    most = MAX_ERROR * min(errors.values())
    return {one: forecast for one, forecast in parts.items() if errors[one] <= most}


def ensemble_without_fit(plan: Plan, evaluation: EvaluationSet, watch: Watch, partner: Smoothing | None = None) -> Plan:
    """The plan of what is made without a fit, where no validation windows could test one; as it is where that is nothing.

    The windows of `evaluation` are those of the history. Steps beyond a pretrained network's own must be learnt.
    """
    base = pretrained_settings(plan, evaluation.rows)
    if base is None or plan.informed or is_lengthened(base):
        return plan
    network, evaluation = new_network(base, 0), evaluation.reaching(base.rows)
    forecasts = _forecasts_without_fit(network, evaluation, partner)
    unfitted = _unfitted(plan, base, network, evaluation, forecasts, partner)
    error = evaluation.of_history.error(unfitted.history)
    watch.note(f"{unfitted.plan.method}: error {error:.4g} over the history; no validation windows")
    return unfitted.plan


def _forecasts_without_fit(
    network: Network, evaluation: EvaluationSet, partner: Smoothing | None
) -> dict[Component, FloatArray]:
    """[W, H] each, of the pretrained network as it is and of the statistical method."""
    simple: dict[Component, FloatArray] = {partner: evaluation.smoothed(partner)} if partner else {}
    return {UNTOUCHED: evaluation.forecast([network]), **simple}


def _unfitted(
    plan: Plan,
    base: NetworkSettings,
    network: Network,
    evaluation: EvaluationSet,
    forecasts: Mapping[Component, FloatArray],
    partner: Smoothing | None,
) -> Unfitted:
    """The pretrained network as it is, and the statistical method with the share that the history gives it.

    `forecasts`: theirs of the windows of `evaluation`.
    """
    history = evaluation.of_history
    before = _forecasts_without_fit(network, history, partner)
    # Both have a share, as in the graph that answers before any training: contexts are shorter in the history, where windows of
    # few cutoffs leave one of them out by luck.
    kept = {UNTOUCHED: before[UNTOUCHED], **near_best(before, history.error)}
    shares = _tempered(ensemble_shares(kept, history.error, list(kept)), history.stretches)
    reason = "nothing is fitted: no fit is clearly better"
    return Unfitted(
        plan=_with_members(plan, {UNTOUCHED: base}, shares, reason),
        forecast=_combined(forecasts, shares),
        network=forecasts[UNTOUCHED],
        history=_combined(before, shares),
    )


def _tempered(shares: Mapping[Component, float], stretches: int) -> dict[Component, float]:
    """Shares between those of the history and the usual ones, which count as much as USUAL_STRETCHES of a horizon."""
    learnt = stretches / (stretches + USUAL_STRETCHES)
    method = THETA_SHARE if len(shares) > 1 else 0.0
    usual = {one: method if isinstance(one, Smoothing) else 1.0 - method for one in shares}
    return {one: learnt * share + (1.0 - learnt) * usual[one] for one, share in shares.items()}


def _combined(parts: Mapping[Component, FloatArray], shares: Mapping[Component, float]) -> FloatArray:
    """[W, H] the sum of the forecasts by their shares."""
    return np.asarray(np.tensordot(list(shares.values()), [parts[one] for one in shares], axes=1))


def _named(shares: Mapping[Component, float]) -> str:
    return "; ".join(f"{share:.0%} {_name(one)}" for one, share in shares.items())


def _name(component: Component) -> str:
    if isinstance(component, Smoothing):
        return component.method
    if component in (OWN, TREE_MEMBER):
        return {OWN: "networks from nothing", TREE_MEMBER: "trees"}[component]
    return f"pretrained network {component}"


def ensemble_shares(
    parts: Mapping[Component, FloatArray], error: Callable[[FloatArray], float], always: Sequence[Component] = ()
) -> dict[Component, float]:
    """The weights of forecasts of the same windows: those of a forward selection, shrunk towards ones that the errors give.

    Forward selection with replacement takes the forecast that lowers the error most, ROUNDS times (Caruana et al. 2004, "Ensemble
    selection from libraries of models"). The errors give a forecast the POWER-th power of one over its error, as Bates & Granger
    1969 do with the square: nearly equal ones to nearly equal forecasts. They are given to the forecasts that were selected and
    to those of `always`: windows of few cutoffs choose by luck.
    """
    counts = dict.fromkeys(parts, 0)
    total = np.zeros_like(next(iter(parts.values())))
    for taken in range(1, ROUNDS + 1):
        errors = {one: error((total + part) / taken) for one, part in parts.items()}
        best = min(errors, key=errors.__getitem__)
        counts[best] += 1
        total = total + parts[best]
    kept = [one for one, count in counts.items() if count or one in always]
    errors = {one: error(parts[one]) for one in kept}
    lowest = min(errors.values())
    prior = {one: (lowest / errors[one]) ** POWER if errors[one] > lowest else 1.0 for one in kept}
    total_prior = sum(prior.values())
    return {one: SELECTED * counts[one] / ROUNDS + (1.0 - SELECTED) * prior[one] / total_prior for one in kept}


def _fitted(plan: Plan, starts: Mapping[Tuning, NetworkSettings], task: Task, fit_all: FitAll) -> dict[Tuning, Network]:
    """The network after each of the fits that did not diverge."""
    members = [_member_fit(plan, settings, one) for one, settings in starts.items()]
    stage = fit_all("model selection", task, members)
    if len(stage.fits) < len(starts) or stage.stopped == "interrupted":
        raise KeyboardInterrupt
    return {
        one: network
        for one, network, done in zip(starts, stage.networks, stage.fits, strict=True)
        if done.stopped != "diverged"
    }


def _member_fit(plan: Plan, settings: NetworkSettings, tuning: Tuning, share: float = 0.0) -> MemberFit:
    return MemberFit(replace(settings, tuned=tuning.epochs > 0, share=share), _fit_settings(plan, tuning))


def _fit_settings(plan: Plan, tuning: Tuning) -> FitSettings:
    return replace(
        plan.fit,
        error_scale="series",
        epochs=1 if tuning == TREE_MEMBER else tuning.epochs,
        batch_size=min(plan.fit.batch_size, BATCH_SIZE),
        learning_rate=tuning.learning_rate,
        steps_per_epoch=EPOCH_STEPS,
        schedule="cosine",
        kept=tuning.kept,
    )


def _special_days_of(plan: Plan) -> tuple[str, ...]:
    """The calendar of a graph in which pretrained networks alone read it, and no more than their special days."""
    return tuple(filter(is_special_days, plan.calendar)) if plan.takes_days_out else ()


def _with_members(
    plan: Plan,
    starts: Mapping[Tuning, NetworkSettings],
    shares: Mapping[Component, float],
    reason: str,
    *,
    own: int = 0,
) -> Plan:
    """The plan with members of these starts and shares, after the first `own` of its members, where OWN has a share.

    The simple method among the components is blended in with its share of the whole forecast.
    """
    simple = next((replace(one, weight=share) for one, share in shares.items() if isinstance(one, Smoothing)), None)
    networks = 1.0 - (simple.weight if simple else 0.0)  # their share
    joined = {one: share / networks for one, share in shares.items() if not isinstance(one, Smoothing) and one != OWN}
    kept, before = plan.members[:own], plan.member_fits[:own]
    # The first member is one that reads all inputs of the graph.
    fits = [
        _member_fit(plan, starts[one], one, joined[one])
        for one in sorted(joined, key=lambda one: -len(starts[one].shapes))
    ]
    rows = plan.rows if own else tuple(row for row in plan.rows if row.setting not in OF_OWN_MEMBERS)
    plan = replace(plan, rows=rows).with_row("members", len(kept) + len(fits), "see pretrained")
    plan = plan.with_row("floor", simple.weight if simple else 0.0, reason)
    return replace(
        plan,
        members=(*kept, *(one.network for one in fits)),
        error_scales=(*(one.fit.error_scale for one in before), *(one.fit.error_scale for one in fits)),
        own_fits=(*(None for _ in kept), *(one.fit for one in fits)),
        calendar=plan.calendar if own or fits[0].network.known else _special_days_of(plan),
        smoothing=simple,
        rows=(*plan.rows, PlanRow("pretrained", ", ".join(map(str, joined)), reason)),
    )
