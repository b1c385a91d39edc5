"""Champion and challenger: whether a new version may serve in place of the one that does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.backtest import Backtest, backtest, baseline_forecasts
from forecaster.data.freq import Freq
from forecaster.errors import ArtifactError
from forecaster.forecast import MODEL
from forecaster.holdout import make_holdout
from forecaster.models.artifact import Manifest, load_judged, load_runtime, read_manifest, write_manifest
from forecaster.models.runtime import Runtime
from forecaster.models.store import Store
from forecaster.raw_forecasts import raw_forecasts
from forecaster.report import Verdict

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.publish import Training
    from forecaster.typing import BoolArray, FloatArray


@dataclass(frozen=True)
class Champion:
    """The version that serves, and the weights of it that may be judged on a window."""

    label: str  # name@version
    manifest: Manifest
    serving: Runtime
    judged: Runtime | None

    def unseen(self, panel: Panel, windows: Windows) -> tuple[BoolArray, Runtime]:
        """[W] windows that the champion's weights have not seen, and the weights: those that serve, or those that were
        judged at its own training, whichever have seen fewer of these windows.

        The serving weights have seen rows up to the newest of their training, the judged ones up to the windows that
        were held back from them.
        """
        first = panel.timestamps[windows.cutoff]
        facts = self.manifest.data
        served = np.asarray(first > facts.last)
        if self.judged is None:
            return served, self.serving
        back = np.array([-self.manifest.held_back * self.manifest.horizon])
        until = Freq.parse(facts.freq).advance(np.array([facts.last]), back, facts.zone)[0]
        judged = np.asarray(first > until)
        return (judged, self.judged) if judged.sum() > served.sum() else (served, self.serving)

    def answer(self, panel: Panel, windows: Windows, horizon: int, runtime: Runtime) -> FloatArray:
        """[W, horizon] point forecasts."""
        return raw_forecasts(runtime, self.manifest, panel, windows, horizon).values[:, :, 0]


class Contest:
    """Decides, once the challenger's artifact is written, whether it serves; `verdict` then says why."""

    def __init__(self, store: Store, training: Training, margin: float) -> None:
        self.store, self.training, self.margin = store, training, margin
        self.verdict = Verdict(False, "not judged")

    def serves(self, folder: Path) -> bool:
        """Whether the artifact in `folder` serves; if not, its manifest says why."""
        self.verdict = self._judge(folder)
        if not self.verdict.promoted:
            write_manifest(folder, replace(read_manifest(folder), refused=self.verdict.reason))
        return self.verdict.promoted

    def _judge(self, folder: Path) -> Verdict:
        training, panel = self.training, self.training.panel
        if training.judge is None:
            return Verdict(False, "too few rows to hold any back, so nothing shows that it is better")
        champion, note = self._champion()
        manifest, windows = read_manifest(folder), training.judged_windows
        if champion is None:
            return self._decide(self._backtest(folder, manifest, windows), {}, note)
        if champion.manifest.data.freq != panel.freq.name:
            return Verdict(
                False, f"{champion.label} forecasts {champion.manifest.data.freq} data, not {panel.freq.name}"
            )
        lacks = {one.name for one in champion.manifest.covariates} - {one.name for one in panel.covariates}
        if lacks:
            return Verdict(False, f"{champion.label} reads {', '.join(sorted(lacks))}, which this training does not")
        unseen, runtime = champion.unseen(panel, windows)
        context = windows.gather(min(manifest.context_length, champion.manifest.context_length), 0)
        windows = windows.take(np.flatnonzero(unseen & ~np.isnan(context).all(axis=1)))
        if not len(windows):
            return Verdict(False, f"{champion.label} has seen every window, so nothing shows that this is better")
        judged = self._backtest(folder, manifest, windows)
        answer = champion.answer(panel, judged.holdout.windows, manifest.horizon, runtime)
        return self._decide(judged, {champion.label: answer}, "")

    def _champion(self) -> tuple[Champion | None, str]:
        """The version that serves, or None and why there is none to beat."""
        name = self.training.name
        try:
            version = self.store.current(name)
        except ArtifactError:
            return None, "nothing served before"
        try:
            folder = self.store.resolve(f"{name}@{version}")
            manifest = read_manifest(folder)
            judged = load_judged(folder, manifest) if manifest.held_back else None
            return Champion(f"{name}@{version}", manifest, load_runtime(folder, manifest, "onnx"), judged), ""
        except ArtifactError as error:
            return None, f"{name}@{version} cannot answer: {error.message}"

    def _backtest(self, folder: Path, manifest: Manifest, windows: Windows) -> Backtest:
        panel, horizon = self.training.panel, manifest.horizon
        holdout = make_holdout(panel, windows, horizon=horizon, context_length=manifest.context_length)
        raw = raw_forecasts(load_judged(folder, manifest), manifest, panel, holdout.windows, horizon)
        baselines = baseline_forecasts(holdout, learned=self.training.settings.baselines == "all")
        return backtest(holdout, raw.values, manifest.quantiles, baselines)

    def _decide(self, judged: Backtest, champions: Mapping[str, FloatArray], note: str) -> Verdict:
        """Better than everybody else by the margin, in MASE, or in MAE where that is undefined."""
        everybody = {**judged.scores(), **{who: judged.holdout.scores(found) for who, found in champions.items()}}
        metric = "MASE" if np.isfinite(everybody[MODEL].mase) else "MAE"
        found = {who: float(getattr(scores, metric.lower())) for who, scores in everybody.items()}
        scores = {who: value if np.isfinite(value) else None for who, value in found.items()}
        own, others = found[MODEL], {who: value for who, value in found.items() if who != MODEL}
        count, champion = len(judged.holdout.target), next(iter(champions), None)
        on = f"on {count} window{'s' if count > 1 else ''} that neither had seen" if champion else f"on {count} windows"
        # A score that is no number is of an opponent that could not answer.
        ahead = [who for who, value in others.items() if np.isfinite(value) and not own < (1 - self.margin) * value]
        if not ahead and np.isfinite(own):
            worst = min(others, key=lambda who: others[who] if np.isfinite(others[who]) else np.inf)
            reason = f"{metric} {own:.4g} beats {worst}'s {others[worst]:.4g} and all others' {on}"
            return Verdict(True, f"{reason}; {note}" if note else reason, count, metric, scores)
        first = champion if champion in ahead else min(ahead, key=lambda who: others[who], default="")
        by = f" by {self.margin:.3g} of it" if self.margin else ""
        against = f"does not beat {first}'s {others[first]:.4g}{by}" if first else "is not a number"
        return Verdict(False, f"{metric} {own:.4g} {against} {on}", count, metric, scores)
