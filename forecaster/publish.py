"""From fitted networks to a stored version: graphs, proof, scores on the held-back windows, manifest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.backtest import Backtest, backtest, baseline_forecasts
from forecaster.checkpoints import FINAL, JUDGE, STATE
from forecaster.conformal import cross_calibrated
from forecaster.contributions import contributions
from forecaster.data.inputs import Beside
from forecaster.data.summary import level_and_scale
from forecaster.data.windows import evenly, newest
from forecaster.holdout import make_holdout
from forecaster.models.artifact import (
    FORMAT,
    JUDGED,
    DataFacts,
    Manifest,
    load_judged,
    read_manifest,
    write_calibration,
    write_history,
    write_manifest,
    write_state,
)
from forecaster.raw_forecasts import raw_forecasts

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.fit import FitSettings, Fitted
    from forecaster.models.network import Network
    from forecaster.plan import Plan
    from forecaster.report import Contribution
    from forecaster.typing import FloatArray

PROOF_WINDOWS = 64  # contexts on which the stored graphs must agree with the trained networks
LIBRARIES = ("forecaster", "tensorflow", "keras", "numpy", "pandas", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Stage:
    """One fit of every member."""

    networks: tuple[Network, ...]
    fits: tuple[Fitted, ...]
    courses: tuple[FitSettings, ...] = ()  # how each was fitted

    @property
    def stopped(self) -> str:
        """Why it ended: the strongest reason of any member."""
        reasons = [one.stopped for one in self.fits]
        return next((r for r in ("interrupted", "diverged", "time budget", "patience") if r in reasons), "epochs")


@dataclass
class Training:
    """What a training made, to be stored under `name`; what is judged is filled in once it is written."""

    name: str
    path: str  # of the data, absolute where it is a file
    panel: Panel
    plan: Plan
    settings: TrainSettings
    judged_windows: Windows
    judge: Stage | None  # None: nothing could be held back
    final: Stage | None  # None: the judged weights serve
    judged: Backtest | None = None  # the stored model, with weights that have not seen them, on the held-back windows
    contributions: tuple[Contribution, ...] = ()  # of each member

    @property
    def served(self) -> Stage:
        """The weights that serve."""
        stage = self.final or self.judge
        if stage is None:
            raise ValueError("a training has a stage")
        return stage

    def write(self, folder: Path) -> None:
        """Fill an empty folder with the artifact, proved portable and judged."""
        from forecaster.models.export import write_onnx, write_saved_model
        from forecaster.models.proof import prove

        members = [network.portable() for network in self.served.networks]
        write_saved_model(members, folder / "saved_model", self.plan.floor)
        write_onnx(members, folder / "model.onnx", self.plan.floor)
        if self.judge and self.final:
            honest = [network.portable() for network in self.judge.networks]
            write_onnx(honest, folder / JUDGED, self.plan.judged_floor)
        stages = {name: stage for name, stage in ((JUDGE, self.judge), (FINAL, self.final)) if stage}
        for name, stage in stages.items():
            for i, one in enumerate(stage.fits):
                write_state(folder / STATE / f"{name}-{i}.npz", one.state)
        histories = {f"{n} {i}": one.history for n, stage in stages.items() for i, one in enumerate(stage.fits)}
        write_history(folder, histories)
        prove(folder, self.served.networks, self._proof_inputs(), floor=self.plan.floor)
        write_manifest(folder, self._manifest())
        if self.judge:
            self.judged = judged = self._judge(folder)
            scores = {who: found.to_json() for who, found in judged.scores().items()}
            fitted, limits = self.judge.networks, self.settings.limits
            self.contributions = contributions(judged.holdout, self.plan, fitted, limits)
            manifest = replace(read_manifest(folder), metrics=scores, contributions=self.contributions)
            write_manifest(folder, manifest)

    def _judge(self, folder: Path) -> Backtest:
        """Judge the stored model, and store what its errors say of its quantiles.

        They are errors of the judged weights: those of the weights that serve are not known, and hardly larger.
        """
        manifest = read_manifest(folder)
        runtime = load_judged(folder, manifest)
        count = self.plan.windows
        holdout = make_holdout(
            self.panel,
            self.judged_windows,
            horizon=manifest.horizon,
            context_length=manifest.context_length,
            description=f"the newest {count} window{'s' if count > 1 else ''} of each series, held back from this fit",
        )
        baselines = baseline_forecasts(holdout, learned=self.settings.baselines == "all")
        if not self.settings.calibrate:
            raw = raw_forecasts(runtime, manifest, self.panel, holdout.windows, manifest.horizon)
            return backtest(holdout, raw.values, manifest.quantiles, baselines)
        found = cross_calibrated(holdout, manifest, runtime, baselines)
        if found.calibration:
            write_calibration(folder, found.calibration)
        return found.backtest

    def _proof_inputs(self) -> dict[str, FloatArray]:
        windows = newest(self.panel)
        some = windows.take(evenly(len(windows), PROOF_WINDOWS))
        beside = Beside(self.panel, some, replace(self.plan.needs, context_length=self._context_length))
        named = {name: values[:, 0] for name, values in beside().items()}
        return {"context": some.gather(self._context_length, 0), **named}

    @property
    def _context_length(self) -> int:
        floor = self.plan.floor.length if self.plan.floor else 0
        return max(self.plan.context_length, floor)

    def _manifest(self) -> Manifest:
        return Manifest(
            format=FORMAT,
            name=self.name,
            created=datetime.now(timezone.utc).isoformat(),
            data=data_facts(self.panel, self.path, self.settings.timestamp_format),
            horizon=self.plan.horizon,
            context_length=self._context_length,
            quantiles=self.settings.quantiles,
            # Fewer than planned where the training was interrupted.
            members=tuple(network.settings for network in self.served.networks),
            fit=self.plan.fit,
            parameters=sum(network.parameters for network in self.served.networks),
            epochs=max(one.best_epoch for one in self.served.fits),
            stopped=self.served.stopped,
            held_back=self.plan.windows if self.judge else 0,
            judged_is_served=self.judge is not None and self.final is None,
            metrics={},
            plan=self.plan.rows,
            versions={name: library_version(name) for name in LIBRARIES},
            files={},
            error_scales=tuple(course.error_scale for course in self.served.courses),
            floor=self.plan.floor,
            calendar=self.plan.calendar,
            limits=self.settings.limits,
        )


def data_facts(panel: Panel, path: str, timestamp_format: str | None) -> DataFacts:
    """What a panel is, with a fingerprint of its names, timestamps and targets."""
    digest = hashlib.sha256("\n".join(map(str, panel.series)).encode())
    for array in (panel.offsets, panel.timestamps, panel.target):
        digest.update(np.ascontiguousarray(array).data)
    level, scale = level_and_scale(panel) or (None, None)
    return DataFacts(
        path=path,
        series=panel.columns.series,
        timestamp=panel.columns.timestamp,
        target=panel.columns.target,
        layout=panel.layout,
        freq=panel.freq.name,
        season_length=panel.season_length,
        zone=panel.zone,
        timestamp_format=timestamp_format,
        rows=len(panel.target),
        series_count=len(panel.series),
        first=int(panel.timestamps.min()),
        last=int(panel.timestamps.max()),
        sha256=digest.hexdigest(),
        level=level,
        scale=scale,
    )
