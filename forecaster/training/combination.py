"""Forecast combination: members on different scalings, and a simple method, chosen on windows that no fit has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.extra_inputs import Needs
from forecaster.data.target_limits import NO_LIMITS, Limits
from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING
from forecaster.models.losses import pinball_level
from forecaster.models.served_method import member_kind
from forecaster.models.shares import combine
from forecaster.models.simple_methods import DRIFT, NAIVE, SEASONAL_NAIVE, STATISTICAL
from forecaster.models.trees import TREES
from forecaster.serving.manifest import Contribution
from forecaster.serving.raw_forecasts import raw_forecasts

if TYPE_CHECKING:
    from forecaster.data.covariate_encodings import Encoding
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.evaluation.holdout import Holdout
    from forecaster.models.exponential_smoothing import Smoothing
    from forecaster.models.network import Network
    from forecaster.training.fit_types import Stage
    from forecaster.training.plan import OpenQuestions, Plan, TargetScaling
    from forecaster.typing import FloatArray, Watch

Kind: TypeAlias = tuple[str, int]  # a simple method, and the rows that it reads

# Of the last value's error over the history: above it drift is no rival. One of 50 random walks of 150 rows is below.
MAX_DRIFT = 0.85
MIN_WITNESSES = 3  # stretches of a horizon, for a comparison to say something
SIGNIFICANCE = 0.05  # of the test that one forecast is better than another
# Share by which exponential smoothing must have a lower error over the history than Theta: contexts there are shorter than
# that of the forecast, on which Theta has the lower error (benchmarks/ABLATIONS.md).
SMOOTHING_GAIN = 0.05
# Share by which what is estimated must have a lower error over the history than the last value or season, which estimates
# nothing: on made random walks Theta and the pretrained network do by chance (benchmarks/ABLATIONS.md).
ESTIMATION_GAIN = 0.03
MIN_GAIN = (
    0.01  # share by which several scalings, or smoothing, must lower the error: less is noise of the validation windows
)


def forecasts(panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network]) -> FloatArray:
    """Combined point forecasts [W, H] of `networks`."""
    return joined(panel, windows, needs, networks)[:, :, 0]


def joined(
    panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network], smoothing: Smoothing | None = None
) -> FloatArray:
    """Forecasts [W, H, 1 + Q] of `networks` and of smoothing, combined as in the stored graph."""
    graph = _Networks(networks, smoothing, needs)
    return raw_forecasts(graph, graph, panel, windows, needs.horizon).values


def member_forecasts(panel: Panel, windows: Windows, needs: Needs, networks: Sequence[Network]) -> FloatArray:
    """Point forecasts [M, W, H] of each network alone."""
    return np.stack([forecasts(panel, windows, needs, [network]) for network in networks])


def combined(members: FloatArray, networks: Sequence[Network]) -> FloatArray:
    """Members' point forecasts [M, W, H] -> combined point forecasts [W, H]."""
    settings = [network.settings for network in networks]
    return np.asarray(combine(list(members), settings, lambda some: getattr(np, settings[0].combine)(some, axis=0)))


def smoothed(panel: Panel, windows: Windows, smoothing: Smoothing, covariates: tuple[Encoding, ...] = ()) -> FloatArray:
    """Forecasts [W, H] of a simple method alone; `covariates`: those of the networks that it is blended with."""
    graph = _SimpleMethod(smoothing, Needs(smoothing.length, smoothing.horizon, (), covariates))
    return raw_forecasts(graph, graph, panel, windows, smoothing.horizon).values[:, :, 0]


@dataclass(frozen=True)
class _Networks:
    """Networks and smoothing as the stored graph has them: a `Runtime` and its `GraphFacts`."""

    networks: Sequence[Network]
    smoothing: Smoothing | None
    needs: Needs

    @property
    def context_length(self) -> int:
        """L."""
        return self.needs.context_length

    @property
    def reach(self) -> int:
        """L, without the rows of seasonal profiles."""
        return max(network.settings.context_length for network in self.networks)

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Q levels, ascending."""
        return self.networks[0].settings.quantiles

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:
        """As `Runtime.run`."""
        from forecaster.models.export import joint_forecast

        inputs = [context, *(extra or {}).values()]  # in the order of the graph's inputs
        return np.asarray(joint_forecast(self.networks, inputs, smoothing=self.smoothing))


@dataclass(frozen=True)
class _SimpleMethod:
    """A simple method alone: a `Runtime` and its `GraphFacts`."""

    smoothing: Smoothing
    needs: Needs
    quantiles: tuple[float, ...] = ()

    @property
    def context_length(self) -> int:
        """L."""
        return self.needs.context_length

    @property
    def reach(self) -> int:
        """L."""
        return self.needs.context_length

    def run(self, context: FloatArray, extra: Mapping[str, FloatArray] | None = None) -> FloatArray:  # noqa: ARG002
        """As `Runtime.run`."""
        from forecaster.models.simple_methods import simple_forecast

        return np.asarray(simple_forecast(context, self.smoothing))[:, :, None]


@dataclass(frozen=True)
class EvaluationSet:
    """Windows that forecasts are compared on, and the error that compares them."""

    panel: Panel
    windows: Windows
    scale: FloatArray  # [N] seasonal scale of each series
    relative: bool  # every value is positive: relative errors are defined
    needs: Needs
    loss: str = "mae"  # of the fits: where it asks for the mean, so does the comparison
    history: Windows | None = None  # earlier windows, to compare what is fitted to nothing; None: these windows alone

    def reaching(self, context_length: int) -> EvaluationSet:
        """The same windows with contexts of at least so many rows."""
        longest = max(self.needs.context_length, context_length)
        return replace(self, needs=replace(self.needs, context_length=longest))

    @property
    def rows(self) -> int:
        """Rows before the latest cutoff of the longest series."""
        windows = self.windows
        return int((windows.cutoff - windows.start[windows.series]).max(initial=0))

    def forecast(self, networks: Sequence[Network]) -> FloatArray:
        """Combined point forecasts [W, H] of `networks`."""
        return forecasts(self.panel, self.windows, self.needs, networks)

    def smoothed(self, smoothing: Smoothing) -> FloatArray:
        """Forecasts [W, H] of a simple method alone."""
        return smoothed(self.panel, self.windows, smoothing, self.needs.covariates)

    def error(self, forecast: FloatArray) -> float:
        """Error of forecasts [W, H], defined as the validation error of a fit (`training.fit`); of squares for a mean."""
        truth = self.windows.gather(0, self.needs.horizon)
        miss, size = np.abs(truth - forecast), np.abs(truth) + np.abs(forecast)
        level = pinball_level(self.loss)
        if level is not None:
            miss = miss * np.where(truth > forecast, 2.0 * level, 2.0 * (1.0 - level))
        scaled = miss / self.scale[self.windows.series][:, None]
        if self.loss == "mse":
            return math.sqrt(_mean(scaled * scaled))
        if not self.relative:
            return _mean(scaled)
        return math.sqrt(_mean(scaled) * _mean(2.0 * miss / np.where(size > 0.0, size, 1.0)))

    def clearly_lower(self, one: FloatArray, other: FloatArray) -> bool:
        """Whether one forecast [W, H] has lower errors than another, by a t-test over stretches of a horizon that hold windows.

        Windows that overlap err alike, so their mean is one witness. With fewer than MIN_WITNESSES the answer is no.
        """
        from scipy import special

        truth = self.windows.gather(0, self.needs.horizon)
        scale = self.scale[self.windows.series]
        first, second = (_window_errors(truth, forecast, scale, self.loss) for forecast in (one, other))
        known = np.isfinite(first - second)
        place = np.stack([self.windows.series, self.windows.remaining // self.needs.horizon])[:, known]
        _, stretch = np.unique(place, axis=1, return_inverse=True)
        if not known.any():
            return False
        sums, sizes = (np.bincount(stretch.ravel(), weights) for weights in ((first - second)[known], None))
        difference = sums / sizes
        count = len(difference)
        if count < MIN_WITNESSES:
            return False
        needed = float(special.stdtrit(count - 1, 1.0 - SIGNIFICANCE))
        return bool(difference.mean() < -needed * difference.std(ddof=1) / math.sqrt(count))

    @property
    def of_history(self) -> EvaluationSet:
        """The windows of the longer history; these where there is none."""
        return replace(self, windows=self.history or self.windows, history=None)

    def history_error(self, smoothing: Smoothing) -> float:
        """Error of a simple method alone over the history."""
        history = self.of_history
        return history.error(history.smoothed(smoothing))


def _window_errors(truth: FloatArray, forecast: FloatArray, scale: FloatArray, loss: str) -> FloatArray:
    """[W] the mean of each window's errors in the loss of the fits, over the seasonal scale; NaN where nothing is observed."""
    miss = (truth - forecast) / scale[:, None]
    level = pinball_level(loss)
    each = miss * miss if loss == "mse" else np.abs(miss)
    if level is not None:
        each = np.maximum(level * miss, (level - 1.0) * miss)
    seen = ~np.isnan(each)
    return np.asarray(np.where(seen, each, 0.0).sum(axis=1) / np.where(seen.any(axis=1), seen.sum(axis=1), np.nan))


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


@dataclass(frozen=True)
class Served:
    """A plan, and its forecasts of the validation windows."""

    plan: Plan
    forecast: FloatArray  # [W, H]


@dataclass(frozen=True)
class Unfitted(Served):
    """A plan that is fitted to no row, so that every window of the history shows its error."""

    history_error: float


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
    without a fit, `unfitted`, takes that place where its error over the history is lower than the simple method's. Where a
    simple method serves alone, the pretrained network gives the widths of the quantiles, and nothing is fitted.
    """
    if not questions.smoothings:
        return found
    plan, network = found.plan, found.forecast
    history = _history_errors(questions.smoothings, evaluation)
    rivals = _rivals(questions.smoothings, history)
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
    best = int(np.argmin(errors))
    alone = {i: _rank(_kind(one), history[_kind(one)]) for i, one in enumerate(answers) if one and one.weight == 1.0}
    if alone:
        simplest = min(alone, key=alone.__getitem__)  # over more windows than these
        unseen = [made[i] for i in alone] + ([unfitted.forecast] if unfitted else [])
        if not all(evaluation.clearly_lower(made[best], one) for one in unseen):
            if (
                unfitted
                and not questions.blended
                and unfitted.history_error / (1.0 - ESTIMATION_GAIN) < alone[simplest]
            ):
                watch.note(f"model selection: {unfitted.plan.method}, fitted to nothing: no other is clearly better")
                smoothing = unfitted.plan.smoothing
                reason = f"no fit is clearly better than {unfitted.plan.method}"
                served = unfitted.plan.with_row("floor", smoothing.weight if smoothing else 0.0, reason)
                return Served(served, unfitted.forecast)
            best = simplest
    shown = ", ".join(f"{_blend_name(one)}: {error:.4g}" for one, error in zip(answers, errors, strict=True))
    watch.note(f"model selection: {_blend_name(answers[best])}; validation errors: {shown}")
    chosen = answers[best]
    others = f"validation error {errors[best]:.3g}, {errors[0]:.3g} with {_blend_name(answers[0])}"
    if unfitted and chosen and chosen.weight == 1.0:
        plan = unfitted.plan
    plan = plan.with_row("floor", chosen.weight if chosen else 0.0, "as given" if questions.blended else others)
    return Served(replace(plan, smoothing=chosen), made[best])


def statistical_partner(smoothings: Sequence[Smoothing], evaluation: EvaluationSet) -> Smoothing | None:
    """The statistical method to blend: Theta, unless exponential smoothing is clearly better over the history.

    None where none can be made.
    """
    some = [one for one in smoothings if one.method in STATISTICAL]
    errors = _history_errors(some, evaluation)
    return next((one for one in some if _kind(one) == _partner(errors)), None)


def _partner(errors: Mapping[Kind, float]) -> Kind | None:
    """The statistical method to blend, by the errors over the history."""
    handicap = {EXPONENTIAL_SMOOTHING: 1.0 / (1.0 - SMOOTHING_GAIN)}
    some = [kind for kind in errors if kind[0] in STATISTICAL]
    return min(some, key=lambda kind: errors[kind] * handicap.get(kind[0], 1.0), default=None)


def _kind(smoothing: Smoothing) -> Kind:
    return smoothing.method, smoothing.length


def _history_errors(smoothings: Sequence[Smoothing], evaluation: EvaluationSet) -> dict[Kind, float]:
    """Of each method alone, whatever its weight."""
    return {kind: evaluation.history_error(one) for kind, one in {_kind(one): one for one in smoothings}.items()}


def _rivals(smoothings: Sequence[Smoothing], history: Mapping[Kind, float]) -> list[Smoothing]:
    """The statistical method to blend, and the method with the lowest error on the windows of the history."""
    naive = min((error for (method, _), error in history.items() if method == NAIVE), default=math.inf)
    errors = {kind: error for kind, error in history.items() if kind[0] != DRIFT or error <= MAX_DRIFT * naive}
    best = min(errors, key=lambda kind: _rank(kind, errors[kind]))
    return [one for one in smoothings if _kind(one) in (_partner(errors), best)]


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
