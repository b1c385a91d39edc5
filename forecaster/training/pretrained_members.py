"""Members that start from a pretrained network: as it is, and fitted further. The validation windows choose among them.

The network's outputs are cut to the plan's horizon and quantile levels, which changes no forecast: a level between two that it
was trained at is interpolated in the last layer's weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.serving.manifest import PlanRow
from forecaster.serving.pretrained import find_card
from forecaster.training.fit_types import MemberFit
from forecaster.training.plan import EPOCH_STEPS, TargetScaling

if TYPE_CHECKING:
    from forecaster.models.network import Network
    from forecaster.models.settings import FitSettings, NetworkSettings
    from forecaster.progress import Watch
    from forecaster.training.combination import EvaluationSet
    from forecaster.training.fit_types import Stage, Task
    from forecaster.training.plan import Plan
    from forecaster.typing import FloatArray

# Fits every network on a task, at once where there are processors.
FitAll: TypeAlias = "Callable[[str, Task, Sequence[MemberFit]], Stage]"

MIN_GAIN = 0.01  # share by which they must lower the error: less is noise of the validation windows


@dataclass(frozen=True)
class Tuning:
    """How far a pretrained network is fitted further."""

    epochs: int  # of EPOCH_STEPS steps; 0 = it stays as it is
    learning_rate: float

    def __str__(self) -> str:
        if not self.epochs:
            return "pretrained"
        return f"pretrained, then {self.epochs * EPOCH_STEPS} steps at {self.learning_rate:g}"


UNTOUCHED = Tuning(0, 3e-4)
TUNINGS = (UNTOUCHED, Tuning(4, 3e-4), Tuning(12, 1e-3))
MIN_SERIES = 30  # with fewer, a network of this size learns its windows by heart, and few validation windows show it


@dataclass(frozen=True)
class Rival:
    """A kind of member, with its forecasts [W, H] of the validation windows."""

    kind: TargetScaling | Tuning
    network: Network
    forecast: FloatArray


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


def join_pretrained(
    plan: Plan, own: Sequence[Network], evaluation: EvaluationSet, task: Task, fit_all: FitAll, watch: Watch
) -> tuple[Plan, list[Network]]:
    """The plan with pretrained members where they clearly lower the error on the validation windows, else as it is.

    `own`: fitted networks that represent the plan's members. Returned with the plan are those that represent its members.
    Forward selection with replacement, as in `select_scalings`.
    """
    base = pretrained_member(plan)
    if base is None or not own:
        return plan, list(own)
    evaluation = evaluation.reaching(base.context_length)
    tunings = TUNINGS if len(evaluation.panel.series) >= MIN_SERIES else (UNTOUCHED,)
    tuned = _tuned(plan, base, tunings, task, fit_all)
    kinds: list[tuple[TargetScaling | Tuning, Network]] = [*tuned.items()]
    kinds += [*dict(zip(plan.scalings, own, strict=False)).items()]
    rivals = [Rival(kind, network, evaluation.forecast([network])) for kind, network in kinds]
    chosen = _chosen(rivals, len(plan.members), evaluation, plan)
    before = evaluation.error(evaluation.forecast(own))
    after = evaluation.error(_joined(chosen, plan))
    names = "; ".join(str(one.kind) for one in chosen)
    watch.note(f"model selection: members {names}: validation error {after:.4g}, without pretrained ones {before:.4g}")
    if after > before * (1.0 - MIN_GAIN):
        return plan, list(own)
    reason = f"validation error {after:.3g}, {before:.3g} without pretrained members"
    return _with_members(plan, base, [one.kind for one in chosen], reason), [one.network for one in chosen]


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


def _member_fit(plan: Plan, base: NetworkSettings, tuning: Tuning) -> MemberFit:
    return MemberFit(replace(base, tuned=tuning.epochs > 0), _fit_settings(plan, tuning))


def _fit_settings(plan: Plan, tuning: Tuning) -> FitSettings:
    return replace(
        plan.fit,
        error_scale="series",
        epochs=tuning.epochs,
        learning_rate=tuning.learning_rate,
        steps_per_epoch=EPOCH_STEPS,
        schedule="cosine",
    )


def _chosen(rivals: Sequence[Rival], count: int, evaluation: EvaluationSet, plan: Plan) -> list[Rival]:
    """`count` rivals, each the best with those before it; the untouched network, which never varies, half of them at most."""
    chosen: list[Rival] = []
    while len(chosen) < count:
        untouched = sum(one.kind == UNTOUCHED for one in chosen)
        free = [one for one in rivals if one.kind != UNTOUCHED or untouched < max(count // 2, 1)]
        errors = [evaluation.error(_joined([*chosen, one], plan)) for one in free]
        chosen.append(free[int(np.argmin(errors))])
    return sorted(chosen, key=lambda one: isinstance(one.kind, Tuning))  # the first member has the plan's inputs


def _joined(some: Sequence[Rival], plan: Plan) -> FloatArray:
    return np.asarray(getattr(np, plan.members[0].combine)([one.forecast for one in some], axis=0))


def _with_members(plan: Plan, base: NetworkSettings, kinds: Sequence[TargetScaling | Tuning], reason: str) -> Plan:
    """The plan with a member of each kind; those that start from nothing come first."""
    scalings = [kind for kind in kinds if isinstance(kind, TargetScaling)]
    fits = [_member_fit(plan, base, kind) for kind in kinds if isinstance(kind, Tuning)]
    own = tuple(replace(member, transform=one.transform) for member, one in zip(plan.members, scalings, strict=False))
    names = ", ".join(str(kind) for kind in kinds if isinstance(kind, Tuning))
    return replace(
        plan,
        members=(*own, *(one.network for one in fits)),
        error_scales=(*(one.error_scale for one in scalings), *(one.fit.error_scale for one in fits)),
        own_fits=(*(None for _ in own), *(one.fit for one in fits)),
        calendar=plan.calendar if own else (),
        rows=(*plan.rows, PlanRow("pretrained", names, reason)),
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
