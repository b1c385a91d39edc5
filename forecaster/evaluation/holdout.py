"""The windows that a model is tested on: whole horizons that its weights have not seen, and how far forecasts are from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.panel import fingerprint
from forecaster.data.seasonal_scale import seasonal_scale
from forecaster.data.windows import Windows, rolling, rows_after
from forecaster.errors import DataError, UsageError
from forecaster.evaluation.metrics import Scores, score, score_by_series, score_by_step
from forecaster.serving.manifest import load_runtime, load_test_weights
from forecaster.serving.raw_forecasts import with_context

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.serving.open_model import Opened
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray, IntArray

MAX_WINDOWS = 100  # a series, where the caller does not say how many


@dataclass(frozen=True)
class Holdout:
    """W test windows of a panel that can be forecast, with their actuals."""

    panel: Panel
    windows: Windows  # W; each has an observed value among the `context_length` rows before it
    target: FloatArray  # [W, H] actuals in the caller's units; NaN = not observed
    seasonal_scale: (
        FloatArray  # [W] denominator of MASE, from the rows before the series' oldest window; NaN = undefined
    )
    context_length: int  # rows before a window that the model reads
    description: str = ""  # which windows these are, for people

    @property
    def horizon(self) -> int:
        """H."""
        return int(self.target.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """[N] of the panel's series."""
        return tuple(map(str, self.panel.series))

    def scores(self, forecast: FloatArray) -> Scores:
        """Of point forecasts [W, H], all windows together."""
        return score(self.target, forecast, self.seasonal_scale)

    def scores_by_step(self, forecast: FloatArray) -> tuple[Scores, ...]:
        """[H] scores of point forecasts [W, H], one for each step ahead."""
        return tuple(score_by_step(self.target, forecast, self.seasonal_scale))

    def scores_by_series(self, forecast: FloatArray) -> dict[str, Scores]:
        """Scores of point forecasts [W, H], one for each series that has windows."""
        names, series = self.names, self.windows.series
        scores = score_by_series(self.target, forecast, self.seasonal_scale, series, len(names))
        return {names[n]: scores[n] for n in np.unique(series)}

    def window_errors(self, forecast: FloatArray) -> FloatArray:
        """[W] mean absolute error of each window over its seasonal scale; caller's units where no window has a scale.

        NaN = undefined.
        """
        observed = ~np.isnan(self.target)
        misses = np.where(observed, np.abs(self.target - forecast), 0.0)
        count = np.where(observed.any(axis=1), observed.sum(axis=1), np.nan)
        known = np.isfinite(self.seasonal_scale).any()
        scale: FloatArray = self.seasonal_scale if known else np.ones(len(misses))
        return np.asarray(misses.sum(axis=1) / count / scale)


def make_holdout(
    panel: Panel, windows: Windows, *, horizon: int, context_length: int, description: str = ""
) -> Holdout:
    """The `windows` that can be forecast. Those with nothing observed in their context are left out: nobody can."""
    windows = with_context(windows, context_length)
    ends = oldest_cutoffs(windows, panel.offsets[1:])
    scale = seasonal_scale(panel.target, panel.offsets, ends, panel.season_length)
    return Holdout(
        panel=panel,
        windows=windows,
        target=windows.gather(0, horizon),
        seasonal_scale=scale[windows.series],
        context_length=context_length,
        description=description,
    )


def holdout_windows(panel: Panel, horizon: int, count: int) -> Windows:
    """The windows that a training on this panel is tested on: the newest `count` of each series, one horizon apart."""
    return rolling(panel, panel.offsets[1:], horizon, count, horizon)


def oldest_cutoffs(windows: Windows, otherwise: IntArray) -> IntArray:
    """[N] the cutoff of each series' oldest window; `otherwise` [N] for a series without windows."""
    oldest: IntArray = otherwise.copy()
    np.minimum.at(oldest, windows.series, windows.cutoff)
    return oldest


@dataclass(frozen=True)
class StoredTest:
    """A stored model's test: windows that its weights have not seen, and the graph that forecasts them."""

    holdout: Holdout
    runtime: Runtime
    on_training_data: bool  # the graph holds the weights of the training's own test; else those that serve


def stored_test(panel: Panel, opened: Opened, *, count: int | None, runtime: str, threads: int) -> StoredTest:
    """On the data of the training, the windows that it was tested on; on other data, windows after its last row.

    `count` windows of each series, None = as many as there are. `runtime` runs the graph that serves on `threads`
    processors, 0 = all. DataError where there are no windows, or fewer than asked for.
    """
    manifest = opened.manifest
    on_training_data = fingerprint(panel) == manifest.data.sha256
    if on_training_data:
        windows, description = _windows_of_training(panel, opened, count)
        if runtime != "onnx":
            raise UsageError(
                "--runtime has no effect on the data of the training: the judged weights are stored as ONNX.",
                "Leave it out, or give newer data.",
            )
        graph = load_test_weights(opened.folder, manifest, threads)
    else:
        windows, description = _windows_after_training(panel, opened, count)
        graph = load_runtime(opened.folder, manifest, runtime, threads)
    holdout = make_holdout(
        panel,
        windows,
        horizon=manifest.horizon,
        context_length=manifest.context_length,
        description=description,
    )
    return StoredTest(holdout, graph, on_training_data)


def _windows_of_training(panel: Panel, opened: Opened, count: int | None) -> tuple[Windows, str]:
    """The windows that the training was tested on, or the newest `count` of them; and which these are, for people."""
    most = opened.manifest.held_back
    if not most:
        raise DataError(
            f"{panel.source}: every row was used to train {opened.manifest.name}@{opened.version}: nothing is left to judge on.",
            "Give newer data, or --refit.",
        )
    if count is not None and count > most:
        raise DataError(
            f"{panel.source}: only the newest {most} window(s) of each series were held back from training, not {count}.",
            "Give newer data, or --refit.",
        )
    windows = holdout_windows(panel, opened.manifest.horizon, count or most)
    return windows, f"the newest {count or most} window(s) of each series, by weights fitted before them"


def _windows_after_training(panel: Panel, opened: Opened, count: int | None) -> tuple[Windows, str]:
    """Windows of which every target is newer than all training rows; and which these are, for people."""
    manifest = opened.manifest
    horizon, ends = manifest.horizon, panel.offsets[1:]
    new = rows_after(panel, manifest.data.last)
    most = count or min(MAX_WINDOWS, max(int(new.max()) // horizon, 1))
    windows = holdout_windows(panel, horizon, most)
    unseen = windows.cutoff >= (ends - new)[windows.series]
    if not unseen.any():
        raise DataError(
            f"{panel.source}: no window of {horizon} steps lies wholly after the rows that "
            f"{manifest.name}@{opened.version} was trained on.",
            "Give more rows, or --refit.",
        )
    kept = windows.take(np.flatnonzero(unseen))
    return kept, f"{len(kept)} windows after the last row of training, {horizon} steps apart, without refitting"
