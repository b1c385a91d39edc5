"""From fitted networks to a stored version: graphs and their verification, scores on the test windows, manifest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import version as library_version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.extra_inputs import ExtraInputs
from forecaster.data.panel import fingerprint
from forecaster.data.summary import level_and_scale
from forecaster.data.windows import evenly, latest_windows
from forecaster.errors import UsageError, counted
from forecaster.evaluation.backtest import Backtest, backtest, baseline_forecasts
from forecaster.evaluation.cross_conformal import CrossCalibration, cross_calibrated
from forecaster.evaluation.holdout import make_holdout
from forecaster.models.served_method import served_method
from forecaster.serving.calibration_file import write_calibration
from forecaster.serving.manifest import FORMAT, TEST_WEIGHTS, DataFacts, Manifest, write_manifest
from forecaster.serving.raw_forecasts import raw_forecasts
from forecaster.serving.series_ends import write_ends
from forecaster.serving.stored_graphs import open_test_weights
from forecaster.training.checkpoints import (
    FINAL_STAGE,
    STATE,
    STORED_STAGES,
    TEST_STAGE,
    state_file,
    write_history,
    write_stored_state,
)
from forecaster.training.combination import contributions
from forecaster.training.length_plan import longest_tested
from forecaster.training.promotion import better_than_naive, promotion
from forecaster.training.simple_intervals import simple_calibration
from forecaster.version import __version__

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.models.settings import FitSettings
    from forecaster.serving.conformal import Calibration
    from forecaster.serving.manifest import Contribution
    from forecaster.serving.store import Store
    from forecaster.training.fit_types import Stage
    from forecaster.training.plan import Plan
    from forecaster.training.promotion import Promotion
    from forecaster.typing import FloatArray

PROOF_WINDOWS = 64  # contexts on which the stored graphs must forecast as the trained networks do
LIBRARIES = ("tensorflow", "keras", "numpy", "pandas", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Training:
    """Fitted networks with their data, plan and settings."""

    name: str  # of the model
    path: str  # of the data, absolute where it is a file
    panel: Panel
    plan: Plan
    settings: TrainSettings
    test_windows: Windows
    test: Stage | None  # weights that have not seen the test windows; None: there are no test windows
    final: Stage | None  # weights fitted on all rows; None: the tested weights serve
    members: FloatArray  # [M, W, H] point forecasts of the test windows by each tested network

    @property
    def served(self) -> Stage:
        """The weights that serve."""
        stage = self.final or self.test
        if stage is None:
            raise ValueError("a training has a test stage or a final one")
        return stage

    @property
    def context_length(self) -> int:
        """L of the stored graphs."""
        smoothing = self.served.smoothing
        return max(self.plan.context_length, smoothing.length if smoothing else 0)

    @property
    def learned_baselines(self) -> bool:
        """Whether the model is compared with the baselines that have to be fitted, too."""
        return self.settings.baselines == "all"


@dataclass(frozen=True)
class TrainingTest:
    """Results on the test windows of a training."""

    backtest: Backtest
    calibration: Calibration | None  # None: not asked for, or too few windows
    contributions: tuple[Contribution, ...]


@dataclass(frozen=True)
class Published:
    """The version that a training has stored."""

    folder: Path
    version: int
    manifest: Manifest
    backtest: Backtest | None  # None: there were no test windows
    promotion: Promotion | None  # None: it serves without a comparison with the version before


def publish(training: Training, store: Store) -> Published:
    """Store the networks as the model's next version, after verifying its graphs and testing it.

    It serves, unless it was compared with the version that serves and was not better. After an error the store is unchanged.
    """
    with store.new_version(training.name) as draft:
        _write_networks(draft.folder, training)
        manifest = _manifest(training)
        found = _test(draft.folder, training, training.test, manifest) if training.test else None
        if found:
            scores = {who: one.to_json() for who, one in found.backtest.scores().items()}
            manifest = replace(manifest, metrics=scores, contributions=found.contributions)
        calibration = found.calibration if found else _untested_calibration(training)
        if calibration:
            write_calibration(draft.folder, calibration)
        write_ends(draft.folder, training.panel)
        tested = found.backtest if found else None
        compared = _promotion(training, store, tested)
        manifest = write_manifest(draft.folder, replace(manifest, refused=compared.refusal if compared else ""))
        version = draft.publish(serves=not manifest.refused)
        return Published(
            folder=draft.folder.parent / str(version),
            version=version,
            manifest=manifest,
            backtest=tested,
            promotion=compared,
        )


def _untested_calibration(training: Training) -> Calibration | None:
    """The calibration where there were no test windows: of a simple method that serves alone, from its own errors."""
    smoothing = training.served.smoothing
    if not training.settings.calibrate or not smoothing or smoothing.weight < 1.0:
        return None
    return simple_calibration(training.panel, smoothing, longest_tested(int(np.median(training.panel.lengths))))


def _promotion(training: Training, store: Store, tested: Backtest | None) -> Promotion | None:
    """Comparison with the version that serves; None where it is not asked for."""
    margin = training.settings.promote_if_better
    found = None
    if margin is not None:
        found = promotion(store, training.name, tested, margin, learned=training.learned_baselines)
    if training.settings.require_better_than and (found is None or found.promoted):
        required = better_than_naive(tested)
        found = required if found is None or not required.promoted else found
    return found


def _write_networks(folder: Path, training: Training) -> None:
    """Write graphs, states and history. ForecasterError where the graphs are not portable or differ from the networks."""
    from forecaster.models.export import write_onnx, write_saved_model
    from forecaster.serving.verify_export import verify_graphs, verify_onnx

    served = training.served
    members = [network.portable() for network in served.networks]
    with _saving(folder):
        write_saved_model(members, folder / "saved_model", served.smoothing)
    written = write_onnx(members, folder / "model.onnx", served.smoothing)
    if training.test and training.final:
        tested = [network.portable() for network in training.test.networks]
        write_onnx(tested, folder / TEST_WEIGHTS, training.test.smoothing, like=written)
    stages = {name: stage for name, stage in ((TEST_STAGE, training.test), (FINAL_STAGE, training.final)) if stage}
    for name, stage in stages.items():
        for i, one in enumerate(stage.fits):
            write_stored_state(folder / STATE / state_file(name, i), one.state, i if stage is served else None)
    write_history(
        folder,
        {f"{STORED_STAGES[n]} {i}": one.history for n, stage in stages.items() for i, one in enumerate(stage.fits)},
    )
    inputs = _proof_inputs(training)
    verify_graphs(folder, served.networks, inputs, smoothing=served.smoothing)
    if training.test and training.final:
        verify_onnx(folder / TEST_WEIGHTS, training.test.networks, inputs, smoothing=training.test.smoothing)


@contextmanager
def _saving(folder: Path) -> Iterator[None]:
    """UsageError where TensorFlow cannot write a graph: its errors are not those of the system."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.OpError as fault:
        why = (fault.message or type(fault).__name__).splitlines()[0]
        raise UsageError(
            f"'{folder}': the graph cannot be written: {why}.",
            "Free the space, or choose a folder that can be written with --models.",
        ) from fault


def _proof_inputs(training: Training) -> dict[str, FloatArray]:
    """The graphs' inputs for the latest windows of some series."""
    windows = latest_windows(training.panel)
    some = windows.take(evenly(len(windows), PROOF_WINDOWS))
    inputs = ExtraInputs(training.panel, some, replace(training.plan.needs, context_length=training.context_length))
    named = {name: values[:, 0] for name, values in inputs().items()}
    return {"context": some.gather(training.context_length, 0), **named}


def _test(folder: Path, training: Training, test: Stage, manifest: Manifest) -> TrainingTest:
    """Results on the test windows of the stored weights that have not seen them.

    The calibration is from the errors of these weights. Those of the weights that serve are not known, but hardly larger.
    """
    settings, count = training.settings, training.plan.windows
    holdout = make_holdout(
        training.panel,
        training.test_windows,
        horizon=manifest.horizon,
        context_length=manifest.reach,
        description=f"the latest {counted(count, 'window')} of each series, by weights fitted before them",
    )
    runtime = open_test_weights(folder, manifest)
    baselines = baseline_forecasts(holdout, learned=training.learned_baselines)
    if settings.calibrate:
        found = cross_calibrated(holdout, manifest, runtime, baselines)
    else:
        raw = raw_forecasts(runtime, manifest, training.panel, holdout.windows, manifest.horizon)
        found = CrossCalibration(backtest(holdout, manifest.held(raw.values), manifest.quantiles, baselines), None)
    # The holdout has the test windows that can be forecast; cutoffs are rows of the panel and ascend.
    members = training.members[:, np.searchsorted(training.test_windows.cutoff, holdout.windows.cutoff)]
    added = contributions(holdout, test, members, settings.limits)
    return TrainingTest(found.backtest, found.calibration, added)


def _manifest(training: Training) -> Manifest:
    """The manifest without scores, contributions and hashes of files."""
    plan, served = training.plan, training.served
    return Manifest(
        format=FORMAT,
        name=training.name,
        created=datetime.now(timezone.utc).isoformat(),
        data=data_facts(training.panel, training.path, training.settings.timestamp_format),
        horizon=plan.horizon,
        context_length=training.context_length,
        quantiles=training.settings.quantiles,
        # Fewer than planned where the training was interrupted.
        members=tuple(network.settings for network in served.networks),
        fit=plan.fit,
        parameters=sum(network.parameters for network in served.networks),
        epochs=max(served.epochs),
        stopped=served.stopped,
        test_windows=plan.windows if training.test else 0,
        serves_tested_weights=training.test is not None and training.final is None,
        metrics={},
        plan=plan.rows,
        versions={"forecaster": __version__, **{name: library_version(name) for name in LIBRARIES}},
        files={},
        error_scales=tuple(one.fit.error_scale for one in served.members),
        own_fits=_own_fits(served),
        smoothing=served.smoothing,
        calendar=plan.calendar,
        events=training.panel.events,
        limits=training.settings.limits,
        method=served_method([network.settings for network in served.networks], served.smoothing),
    )


def _own_fits(served: Stage) -> tuple[FitSettings | None, ...]:
    """The fit settings of the members that start from a pretrained network; empty where none does."""
    starts = [network.settings.pretrained for network in served.networks]
    if not any(starts):
        return ()
    return tuple(one.fit if start else None for start, one in zip(starts, served.members, strict=True))


def data_facts(panel: Panel, path: str, timestamp_format: str | None) -> DataFacts:
    """A description of the panel, with its fingerprint."""
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
        sha256=fingerprint(panel),
        level=level,
        scale=scale,
        timestamp_form=panel.timestamp_form,
        rows_as=panel.rows,
        text_as=panel.text,
        sample=panel.sample,
        observed=int(panel.observed_counts.sum()),
    )
