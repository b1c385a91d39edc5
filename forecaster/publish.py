"""From fitted networks to a stored version: graphs, proof, scores on the held-back windows, manifest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.backtest import Backtest, judge
from forecaster.checkpoints import FINAL_STAGE, STATE, TEST_STAGE, write_history, write_state
from forecaster.conformal import corrected, held_back_errors
from forecaster.contributions import contributions
from forecaster.data.inputs import Beside
from forecaster.data.summary import level_and_scale
from forecaster.data.windows import evenly, newest
from forecaster.models.artifact import (
    FORMAT,
    JUDGED,
    DataFacts,
    Manifest,
    load_judged,
    read_manifest,
    write_calibration,
    write_manifest,
)

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.task import Stage
    from forecaster.plan import Plan
    from forecaster.report import Contribution
    from forecaster.typing import FloatArray

PROOF_WINDOWS = 64  # contexts on which the stored graphs must agree with the trained networks
LIBRARIES = ("forecaster", "tensorflow", "keras", "numpy", "pandas", "onnx", "onnxruntime")


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
        write_saved_model(members, folder / "saved_model", self.served.smoothing)
        write_onnx(members, folder / "model.onnx", self.served.smoothing)
        if self.judge and self.final:
            honest = [network.portable() for network in self.judge.networks]
            write_onnx(honest, folder / JUDGED, self.judge.smoothing)
        stages = {name: stage for name, stage in ((TEST_STAGE, self.judge), (FINAL_STAGE, self.final)) if stage}
        for name, stage in stages.items():
            for i, one in enumerate(stage.fits):
                write_state(folder / STATE / f"{name}-{i}.npz", one.state)
        histories = {f"{n} {i}": one.history for n, stage in stages.items() for i, one in enumerate(stage.fits)}
        write_history(folder, histories)
        prove(folder, self.served.networks, self._proof_inputs(), smoothing=self.served.smoothing)
        write_manifest(folder, self._manifest())
        if self.judge:
            self.judged = judged = self._judge(folder)
            scores = {who: judged.scores(who).to_json() for who in judged.forecasts}
            limits = self.settings.limits
            self.contributions = contributions(self.panel, self.plan.needs, judged, self.judge, limits)
            manifest = replace(read_manifest(folder), metrics=scores, contributions=self.contributions)
            write_manifest(folder, manifest)

    def _judge(self, folder: Path) -> Backtest:
        """Judge the stored model, and store what its errors say of its quantiles.

        They are errors of the judged weights: those of the weights that serve are not known, and hardly larger.
        """
        manifest = read_manifest(folder)
        runtime = load_judged(folder, manifest)
        judged = judge(self.panel, self.judged_windows, manifest, runtime, learned=self.settings.baselines == "all")
        held = held_back_errors(self.panel, manifest, runtime) if self.settings.calibrate else None
        learnt = held.learn() if held else None
        if not held or not learnt:
            return judged
        write_calibration(folder, learnt)
        return corrected(judged, self.panel, manifest, held.crossed, held.said())

    def _proof_inputs(self) -> dict[str, FloatArray]:
        windows = newest(self.panel)
        some = windows.take(evenly(len(windows), PROOF_WINDOWS))
        beside = Beside(self.panel, some, replace(self.plan.needs, context_length=self._context_length))
        named = {name: values[:, 0] for name, values in beside().items()}
        return {"context": some.gather(self._context_length, 0), **named}

    @property
    def _context_length(self) -> int:
        smoothing = self.served.smoothing
        return max(self.plan.context_length, smoothing.length if smoothing else 0)

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
            error_scales=tuple(one.error_scale for one in self.served.fit_settings),
            floor=self.served.smoothing,
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
