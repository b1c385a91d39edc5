"""Members that start from a pretrained network: as it is, and fitted further. The validation windows choose their shares.

The network's outputs are cut to the plan's horizon and quantile levels, which changes no forecast: a level between two that it
was trained at is interpolated in the last layer's weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.serving.manifest import PlanRow
from forecaster.serving.pretrained import find_card
from forecaster.training.combination import Served, Unfitted
from forecaster.training.fit_types import MemberFit
from forecaster.training.plan import EPOCH_STEPS, OF_OWN_MEMBERS, OWN, UNTOUCHED

if TYPE_CHECKING:
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.network import Network
    from forecaster.models.settings import FitSettings, NetworkSettings
    from forecaster.progress import Watch
    from forecaster.training.combination import EvaluationSet
    from forecaster.training.fit_types import Stage, Task
    from forecaster.training.plan import OpenQuestions, Plan, Tuning
    from forecaster.typing import FloatArray

# Fits every network on a task, at once where there are processors.
FitAll: TypeAlias = "Callable[[str, Task, Sequence[MemberFit]], Stage]"

ROUNDS = 10  # of the forward selection: shares are tenths
# The settings of the members that start from nothing were chosen on these windows, which flatters them: a combination that
# looks worse by so much may still be better.
MAX_LOSS = 0.02
BATCH_SIZE = 128


def pretrained_member(plan: Plan) -> NetworkSettings | None:
    """The pretrained network for the plan's season as a member; None where none can be one.

    It reads no covariates, forecasts medians and quantiles, and no more steps than it was trained for.
    """
    first = plan.members[0]
    card = find_card(first.season_length)
    if card is None or len(plan.members) < 2 or plan.fit.loss != "mae":
        return None
    own, trained = card.network, card.network.quantiles
    if first.covariates or first.distribution or own.head != "direct" or plan.horizon > own.horizon:
        return None
    if any(not trained[0] <= level <= trained[-1] for level in plan.quantiles):
        return None
    return replace(
        own,
        horizon=plan.horizon,
        quantiles=plan.quantiles,
        combine=first.combine,
        point_level=first.point_level,
        pretrained=card.season_length,
    )


def error_as_it_is(plan: Plan, evaluation: EvaluationSet) -> float:
    """The error of the pretrained network as it is; infinite where none can be a member."""
    base = pretrained_member(plan)
    if base is None:
        return math.inf
    return evaluation.error(evaluation.reaching(base.context_length).forecast([started(base, 0)]))


def join_pretrained(
    plan: Plan,
    own: Sequence[Network],
    questions: OpenQuestions,
    evaluation: EvaluationSet,
    task: Task,
    fit_all: FitAll,
    watch: Watch,
) -> tuple[Served, Unfitted | None]:
    """The plan with pretrained members, unless it clearly has a lower error on the validation windows without them.

    `own`: fitted networks that represent the plan's members; empty = only the pretrained network is a member, and there is one.
    It joins them as it is and after the best of the tunings. Returned with the plan is the pretrained network alone, None where
    there is none.
    """
    base = pretrained_member(plan)
    if base is None:
        return Served(plan, evaluation.forecast(own)), None
    evaluation = evaluation.reaching(base.context_length)
    may_tune = len(plan.members) > 2 or not own  # else one member starts from nothing
    starts = (UNTOUCHED, *questions.tunings) if may_tune else (UNTOUCHED,)
    tuned = _tuned(plan, base, starts, task, fit_all)
    forecasts = {tuning: evaluation.forecast([network]) for tuning, network in tuned.items()}
    unfitted = Unfitted(
        plan=_with_members(plan, base, {UNTOUCHED: 1.0}, "nothing is fitted: no other is clearly better"),
        forecast=forecasts[UNTOUCHED],
        history_error=evaluation.history_error_of(tuned[UNTOUCHED]),
    )
    errors = {tuning: evaluation.error(forecast) for tuning, forecast in forecasts.items() if tuning.epochs}
    if errors:
        best = min(errors, key=errors.__getitem__)
        forecasts = {tuning: forecasts[tuning] for tuning in (UNTOUCHED, best)}
    count = min(len(plan.members) - len(forecasts), questions.own_members) if own else 0
    parts = {**forecasts, OWN: evaluation.forecast(own[:count])} if own else forecasts
    shares = shares_of(parts, evaluation.error, (UNTOUCHED, OWN))
    joined = np.tensordot(list(shares.values()), [parts[one] for one in shares], axes=1)
    after = evaluation.error(joined)
    names = "; ".join(f"{share:.0%} {tuning}" for tuning, share in shares.items())
    if not own:
        watch.note(f"model selection: {names}: validation error {after:.4g}")
        return Served(_with_members(plan, base, shares, f"validation error {after:.3g}"), joined), unfitted
    alone = evaluation.forecast(own)
    before = evaluation.error(alone)
    watch.note(f"model selection: {names}: validation error {after:.4g}, without pretrained members {before:.4g}")
    if after > before * (1.0 + MAX_LOSS) and evaluation.clearly_lower(alone, joined):
        return Served(plan, alone), unfitted
    made = _with_members(plan, base, shares, f"validation error {after:.3g}, {before:.3g} without them", own=count)
    return Served(made, joined), unfitted


def join_if_better(
    plan: Plan, simple: Smoothing, questions: OpenQuestions, evaluation: EvaluationSet, watch: Watch
) -> Plan:
    """The plan with the pretrained network, if its error is below the simple method's.

    It has half of the networks' forecast, or all of it where no network is to start from nothing beside it.
    """
    base = pretrained_member(plan)
    if base is None:
        return plan
    error, other = error_as_it_is(plan, evaluation), evaluation.error(evaluation.smoothed(simple))
    watch.note(f"errors over the history: of the pretrained network {error:.4g}, of {simple.method} {other:.4g}")
    if not error < other:
        return plan
    reason = f"error {error:.3g} over the history, {other:.3g} of {simple.method}; no validation windows"
    if not questions.own_members:
        return _with_members(plan, base, {UNTOUCHED: 1.0}, reason)
    own = min(len(plan.members) - 1, questions.own_members)
    return _with_members(plan, base, {UNTOUCHED: 0.5, OWN: 0.5}, reason, own=own)


def shares_of(
    parts: Mapping[Tuning, FloatArray], error: Callable[[FloatArray], float], always: Sequence[Tuning] = ()
) -> dict[Tuning, float]:
    """The weights of forecasts of the same windows: the mean of those of a forward selection and of equal ones.

    Forward selection with replacement takes the forecast that lowers the error most, ROUNDS times (Caruana et al. 2004, "Ensemble
    selection from libraries of models"). Its weights are shrunk towards equal ones of the forecasts that it took and of those
    of `always`, as windows of few cutoffs choose by luck.
    """
    counts = dict.fromkeys(parts, 0)
    total = np.zeros_like(next(iter(parts.values())))
    for taken in range(1, ROUNDS + 1):
        errors = {one: error((total + part) / taken) for one, part in parts.items()}
        best = min(errors, key=errors.__getitem__)
        counts[best] += 1
        total = total + parts[best]
    kept = [one for one, count in counts.items() if count or one in always]
    return {one: 0.5 * counts[one] / ROUNDS + 0.5 / len(kept) for one in kept}


def _tuned(
    plan: Plan, base: NetworkSettings, tunings: Sequence[Tuning], task: Task, fit_all: FitAll
) -> dict[Tuning, Network]:
    """The pretrained network after each tuning that did not diverge."""
    stage = fit_all("model selection", task, [_member_fit(plan, base, tuning) for tuning in tunings])
    if len(stage.fits) < len(tunings) or stage.stopped == "interrupted":
        raise KeyboardInterrupt
    return {
        tuning: network
        for tuning, network, done in zip(tunings, stage.networks, stage.fits, strict=True)
        if done.stopped != "diverged"
    }


def _member_fit(plan: Plan, base: NetworkSettings, tuning: Tuning, share: float = 0.0) -> MemberFit:
    return MemberFit(replace(base, tuned=tuning.epochs > 0, share=share), _fit_settings(plan, tuning))


def _fit_settings(plan: Plan, tuning: Tuning) -> FitSettings:
    return replace(
        plan.fit,
        error_scale="series",
        epochs=tuning.epochs,
        batch_size=min(plan.fit.batch_size, BATCH_SIZE),
        learning_rate=tuning.learning_rate,
        steps_per_epoch=EPOCH_STEPS,
        schedule="cosine",
    )


def _with_members(
    plan: Plan, base: NetworkSettings, shares: Mapping[Tuning, float], reason: str, *, own: int = 0
) -> Plan:
    """The plan with pretrained members of these shares, after the first `own` of its members, where OWN has a share."""
    starts = {tuning: share for tuning, share in shares.items() if tuning != OWN}
    kept, before = plan.members[:own], plan.member_fits[:own]
    fits = [_member_fit(plan, base, tuning, share) for tuning, share in starts.items()]
    rows = plan.rows if own else tuple(row for row in plan.rows if row.setting not in OF_OWN_MEMBERS)
    plan = replace(plan, rows=rows).with_row("members", len(kept) + len(fits), "see pretrained")
    return replace(
        plan,
        members=(*kept, *(one.network for one in fits)),
        error_scales=(*(one.fit.error_scale for one in before), *(one.fit.error_scale for one in fits)),
        own_fits=(*(None for _ in kept), *(one.fit for one in fits)),
        calendar=plan.calendar if own else (),
        rows=(*plan.rows, PlanRow("pretrained", ", ".join(map(str, starts)), reason)),
    )


def started(settings: NetworkSettings, seed: int) -> Network:
    """A new network: with random weights, or with those of the pretrained network that the settings name."""
    from forecaster.models.network import Network

    network = Network(settings, seed)
    if settings.pretrained:
        whole = _pretrained(settings.pretrained)
        network.weights = cut_weights(whole.weights, whole.settings, settings)
    return network


@lru_cache(maxsize=2)
def _pretrained(season_length: int) -> Network:
    from forecaster.training.pretrained_network import load_network

    card = find_card(season_length)
    if card is None:
        raise ValueError(f"no pretrained network for a season of {season_length}")
    return load_network(card.folder)


def cut_weights(weights: Sequence[FloatArray], whole: NetworkSettings, part: NetworkSettings) -> list[FloatArray]:
    """The weights of a network with the first steps of `whole`'s horizon, and the quantile levels of `part`."""
    outputs = whole.horizon * whole.outputs
    levels = level_weights(whole.quantiles, part.quantiles)
    found = []
    for array in weights:
        if array.shape[-1] == outputs:
            steps = array.reshape(*array.shape[:-1], whole.horizon, whole.outputs)[..., : part.horizon, :] @ levels
            found.append(steps.reshape(*array.shape[:-1], -1).astype(array.dtype))
        elif array.shape[-1] == whole.horizon:
            found.append(array[..., : part.horizon])
        else:
            found.append(array)
    return found


def level_weights(trained: Sequence[float], levels: Sequence[float]) -> FloatArray:
    """[1 + Q, 1 + len(levels)] by which outputs at the `trained` levels become outputs at these; the point stays."""
    found = np.zeros((1 + len(trained), 1 + len(levels)))
    found[0, 0] = 1.0
    for column, level in enumerate(levels, start=1):
        after = int(np.searchsorted(trained, level))
        if trained[after] == level:
            found[1 + after, column] = 1.0
        else:
            share = (level - trained[after - 1]) / (trained[after] - trained[after - 1])
            found[after, column], found[1 + after, column] = 1.0 - share, share
    return found
