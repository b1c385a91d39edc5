"""Champion and challenger: whether a new version may replace the one that serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.freq import Freq
from forecaster.errors import ArtifactError
from forecaster.evaluation.backtest import Backtest, backtest, baseline_forecasts
from forecaster.evaluation.holdout import make_holdout
from forecaster.models.baselines import NAIVE_BASELINES
from forecaster.serving.forecast import MODEL
from forecaster.serving.manifest import Manifest, read_manifest
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.runtime import Runtime
from forecaster.serving.stored_graphs import load_runtime, load_test_weights

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.evaluation.metrics import Scores
    from forecaster.serving.store import Store
    from forecaster.typing import BoolArray, FloatArray, IntArray, Json


@dataclass(frozen=True)
class Promotion:
    """Whether a new version may replace the one that serves."""

    promoted: bool
    reason: str  # for people
    windows: int = 0  # that all of them forecast
    metric: str = ""
    scores: Mapping[str, float | None] = field(default_factory=dict)  # the new version's ("model") and its opponents'

    @property
    def refusal(self) -> str:
        """Why it may not serve; "" where it may."""
        return "" if self.promoted else self.reason

    def to_json(self) -> dict[str, Json]:
        """The fields by name."""
        return {
            "promoted": self.promoted,
            "reason": self.reason,
            "windows": self.windows,
            "metric": self.metric,
            "scores": dict(self.scores),
        }


@dataclass(frozen=True)
class Champion:
    """The version that serves, and its weights that can be compared on a window."""

    label: str  # name@version
    manifest: Manifest
    serving: Runtime
    test: Runtime | None  # weights that were tested at its training; None: it had no test windows

    def unseen(self, panel: Panel, windows: Windows) -> tuple[BoolArray, Runtime]:
        """Which windows [W] the champion's weights have not seen, and these weights.

        The serving weights have seen all rows of their training; the tested ones the rows before their test windows. Those
        that have seen fewer of these windows are taken, the serving ones where both have seen as many.
        """
        first = panel.timestamps[windows.cutoff]
        facts = self.manifest.data
        served = np.asarray(first > facts.last)
        if self.test is None:
            return served, self.serving
        back = np.array([-self.manifest.test_windows * self.manifest.horizon])
        until = Freq.parse(facts.freq).advance(np.array([facts.last]), back, facts.zone)[0]
        tested = np.asarray(first > until)
        return (tested, self.test) if tested.sum() > served.sum() else (served, self.serving)

    def forecast(self, panel: Panel, windows: Windows, horizon: int, runtime: Runtime) -> FloatArray:
        """[W, horizon] point forecasts."""
        return self.manifest.held(raw_forecasts(runtime, self.manifest, panel, windows, horizon).values)[:, :, 0]


def promotion(store: Store, name: str, tested: Backtest | None, margin: float, *, learned: bool) -> Promotion:
    """Whether a new version serves: its error must be lower by the margin than the champion's and the baselines'.

    A baseline, or a champion that is a simple method, whose forecasts are the version's own is no opponent: a panel on which
    such a method is best is served by it, night after night.

    `tested` is the version's backtest, None where there were no test windows. Only windows that the champion has not seen either
    are compared. `learned`: the baselines that have to be fitted are among the opponents.
    """
    if tested is None:
        return Promotion(False, "too few rows for test windows, so it cannot be compared")
    champion, why = _champion(store, name)
    if champion is None:
        found = _verdict(tested.scores(), "", len(tested.target), margin, _same(tested, tested.baselines))
        return replace(found, reason=f"{found.reason}; {why}") if found.promoted else found
    panel, windows = tested.holdout.panel, tested.holdout.windows
    if champion.manifest.data.freq != panel.freq.name:
        return Promotion(False, f"{champion.label} forecasts {champion.manifest.data.freq} data, not {panel.freq.name}")
    lacks = {one.name for one in champion.manifest.covariates} - {one.name for one in panel.covariates}
    if lacks:
        return Promotion(False, f"{champion.label} reads {', '.join(sorted(lacks))}, which this training does not")
    unseen, runtime = champion.unseen(panel, windows)
    context = windows.gather(min(tested.holdout.context_length, champion.manifest.reach), 0)
    chosen = np.flatnonzero(unseen & ~np.isnan(context).all(axis=1))
    if not len(chosen):
        return Promotion(
            False, f"{champion.label} has seen every window, so the new version cannot be compared with it"
        )
    common = tested if len(chosen) == len(windows) else _part(tested, chosen, learned=learned)
    opponent = champion.forecast(panel, common.holdout.windows, common.holdout.horizon, runtime)
    scores = {**common.scores(), champion.label: common.holdout.scores(opponent)}
    alike = {champion.label: opponent} if champion.manifest.serves_simple_method else {}
    same = _same(common, {**common.baselines, **alike})
    return _verdict(scores, champion.label, len(chosen), margin, same)


def better_than_naive(tested: Backtest | None) -> Promotion:
    """Whether a version's error is lower than that of the last value and of the last season; it may be one of these."""
    if tested is None:
        return Promotion(False, "too few rows for test windows, so it cannot be compared")
    naive = {who: one for who, one in tested.baselines.items() if who in NAIVE_BASELINES}
    scores = {who: one for who, one in tested.scores().items() if who == MODEL or who in naive}
    return _verdict(scores, "", len(tested.target), 0.0, _same(tested, naive))


def _same(tested: Backtest, forecasts: Mapping[str, FloatArray]) -> frozenset[str]:
    """Those whose forecasts [W, H] are the tested ones."""
    own = tested.prediction
    return frozenset(
        who for who, one in forecasts.items() if np.allclose(one, own, rtol=1e-12, atol=0.0, equal_nan=True)
    )


def _beaten(rivals: Mapping[str, float]) -> str:
    """Whom a promoted version beats, in words."""
    worst = min(rivals, key=lambda who: rivals[who] if np.isfinite(rivals[who]) else np.inf, default="")
    return f"beats {worst}'s {rivals[worst]:.4g} and all others'" if worst else "is that of what serves"


def _champion(store: Store, name: str) -> tuple[Champion | None, str]:
    """The version that serves, or None and the reason."""
    try:
        version = store.current(name)
    except ArtifactError:
        return None, "nothing served before"
    try:
        folder = store.resolve(f"{name}@{version}")
        manifest = read_manifest(folder)
        test = load_test_weights(folder, manifest) if manifest.test_windows else None
        return Champion(f"{name}@{version}", manifest, load_runtime(folder, manifest, "onnx"), test), ""
    except ArtifactError as error:
        return None, f"{name}@{version} cannot answer: {error.message}"


def _part(tested: Backtest, chosen: IntArray, *, learned: bool) -> Backtest:
    """The backtest on the windows at these positions; baselines are fitted to all rows before them."""
    whole = tested.holdout
    part = make_holdout(
        whole.panel, whole.windows.take(chosen), horizon=whole.horizon, context_length=whole.context_length
    )
    return backtest(part, tested.prediction[chosen, :, None], (), baseline_forecasts(part, learned=learned))


def _verdict(
    scores: Mapping[str, Scores], champion: str, count: int, margin: float, same: frozenset[str] = frozenset()
) -> Promotion:
    """Whether its MASE, or MAE where that is undefined, is lower than all others' by the margin.

    `scores` are those of `count` windows; `champion` is "" where no version serves; `same` forecast the same as it.
    """
    metric = "MASE" if np.isfinite(scores[MODEL].mase) else "MAE"
    found = {who: float(getattr(one, metric.lower())) for who, one in scores.items()}
    own, others = found[MODEL], {who: value for who, value in found.items() if who != MODEL}
    on = f"on {count} window{'s' if count > 1 else ''} that neither had seen" if champion else f"on {count} windows"
    # An opponent whose score is NaN could not forecast.
    rivals = {who: value for who, value in others.items() if who not in same}
    ahead = [who for who, value in rivals.items() if np.isfinite(value) and not own < (1 - margin) * value]
    promoted = not ahead and bool(np.isfinite(own))
    if promoted:
        reason = f"{metric} {own:.4g} {_beaten(rivals)} {on}"
        if same:
            reason += f"; {', '.join(sorted(same))} forecast{'s' * (len(same) == 1)} the same"
    else:
        first = champion if champion in ahead else min(ahead, key=lambda who: others[who], default="")
        by = f" by {margin:.3g} of it" if margin else ""
        against = f"does not beat {first}'s {others[first]:.4g}{by}" if first else "is not a number"
        reason = f"{metric} {own:.4g} {against} {on}"
    return Promotion(
        promoted=promoted,
        reason=reason,
        windows=count,
        metric=metric,
        scores={who: value if np.isfinite(value) else None for who, value in found.items()},
    )
