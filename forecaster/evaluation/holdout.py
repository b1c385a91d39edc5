"""The windows that a model is tested on, which its weights have not seen, and the scores of forecasts of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from forecaster.data.panel import fingerprint
from forecaster.data.seasonal_scale import seasonal_scale, seasonal_square_scale
from forecaster.data.windows import Windows, rolling, rows_after
from forecaster.errors import DataError, UsageError, counted
from forecaster.evaluation.metrics import Scores, score, score_by_series, score_by_step
from forecaster.serving.raw_forecasts import with_context
from forecaster.serving.series_ends import trained_until
from forecaster.serving.stored_graphs import load_runtime, load_test_weights

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.serving.open_model import Opened
    from forecaster.serving.runtime import Runtime
    from forecaster.typing import FloatArray

MAX_WINDOWS = 100  # for each series, unless the caller gives a number


@dataclass(frozen=True)
class Holdout:
    """W test windows of a panel that can be forecast, with their actuals."""

    panel: Panel
    windows: Windows  # W; each has an observed value among the `context_length` rows before it
    target: FloatArray  # [W, H] actuals in the caller's units; NaN = not observed
    # [W] denominator of MASE, from the rows before the series' oldest window; NaN = undefined.
    seasonal_scale: FloatArray
    context_length: int  # rows before a window that the model reads
    description: str = ""  # which windows these are, for people
    # [W] denominator of RMSSE, as `seasonal_scale`; None = not known.
    square_scale: FloatArray | None = None

    @property
    def horizon(self) -> int:
        """H."""
        return int(self.target.shape[1])

    @property
    def names(self) -> tuple[str, ...]:
        """[N] names of the panel's series."""
        return tuple(map(str, self.panel.series))

    def scores(self, forecast: FloatArray) -> Scores:
        """Scores of point forecasts [W, H], all windows together."""
        return score(self.target, forecast, self.seasonal_scale, self.square_scale)

    def scores_by_step(self, forecast: FloatArray) -> tuple[Scores, ...]:
        """[H] scores of point forecasts [W, H], one for each step ahead."""
        return tuple(score_by_step(self.target, forecast, self.seasonal_scale, self.square_scale))

    def scores_by_series(self, forecast: FloatArray) -> dict[str, Scores]:
        """Scores of point forecasts [W, H], one for each series that has windows."""
        names, series = self.names, self.windows.series
        scores = score_by_series(self.target, forecast, self.seasonal_scale, series, len(names), self.square_scale)
        return {names[n]: scores[n] for n in np.unique(series)}

    def window_errors(self, forecast: FloatArray) -> FloatArray:
        """[W] mean absolute error of each window over its seasonal scale; caller's units where no window has a scale.

        NaN = undefined.
        """
        observed = ~np.isnan(self.target)
        errors = np.where(observed, np.abs(self.target - forecast), 0.0)
        count = np.where(observed.any(axis=1), observed.sum(axis=1), np.nan)
        known = np.isfinite(self.seasonal_scale).any()
        scale: FloatArray = self.seasonal_scale if known else np.ones(len(errors))
        return np.asarray(errors.sum(axis=1) / count / scale)


def make_holdout(
    panel: Panel, windows: Windows, *, horizon: int, context_length: int, description: str = ""
) -> Holdout:
    """The holdout of those `windows` that have an observed value in their context; the others cannot be forecast."""
    windows = with_context(windows, context_length)
    ends = windows.first_cutoffs(panel.offsets[1:])
    sample = (panel.target, panel.offsets, ends, panel.season_length)
    scale, square_scale = seasonal_scale(*sample), seasonal_square_scale(*sample)
    return Holdout(
        panel=panel,
        windows=windows,
        target=windows.gather(0, horizon),
        seasonal_scale=scale[windows.series],
        context_length=context_length,
        description=description,
        square_scale=square_scale[windows.series],
    )


def holdout_windows(panel: Panel, horizon: int, count: int) -> Windows:
    """The windows that a training on this panel is tested on: the latest `count` of each series, one horizon apart."""
    return rolling(panel, panel.offsets[1:], horizon, count, horizon)


@dataclass(frozen=True)
class StoredTest:
    """A stored model's test: windows that its weights have not seen, and the graph that forecasts them."""

    holdout: Holdout
    runtime: Runtime
    on_training_data: bool  # True: the graph with the tested weights; False: the one that serves


class TestOptions(Protocol):
    """How a command tests a stored model."""

    @property
    def windows(self) -> int | None:
        """Of each series; None = as many as there are."""

    @property
    def runtime(self) -> str:
        """What runs the graph that serves."""

    @property
    def threads(self) -> int | None:
        """Processors; None = all."""

    @property
    def device_here(self) -> str:
        """What graphs run on in this process."""


def stored_test(panel: Panel, opened: Opened, asked: TestOptions) -> StoredTest:
    """On the data of the training, the windows that it was tested on; on other data, windows after its last row.

    DataError where there are no windows, or fewer than asked for.
    """
    manifest, count, runtime = opened.manifest, asked.windows, asked.runtime
    threads, device = asked.threads or 0, asked.device_here
    on_training_data = fingerprint(panel) == manifest.data.sha256
    if on_training_data:
        windows, description = _windows_of_training(panel, opened, count)
        if runtime != "onnx":
            raise UsageError(
                "--runtime has no effect on the training data: the tested weights are stored as ONNX.",
                "Leave it out, or give later data.",
            )
        graph = load_test_weights(opened.folder, manifest, threads, device)
    else:
        windows, description = _windows_after_training(panel, opened, count)
        graph = load_runtime(opened.folder, manifest, runtime, threads, device)
    holdout = make_holdout(
        panel,
        windows,
        horizon=manifest.horizon,
        context_length=manifest.reach,
        description=description,
    )
    return StoredTest(holdout, graph, on_training_data)


def _windows_of_training(panel: Panel, opened: Opened, count: int | None) -> tuple[Windows, str]:
    """The windows that the training was tested on, or the latest `count` of them; and a description for people."""
    tested = opened.manifest.test_windows
    if not tested:
        raise DataError(
            f"{panel.source}: {opened.manifest.name}@{opened.version} was trained on every row: there are no test windows.",
            "Give later data, or --refit.",
        )
    if count is not None and count > tested:
        raise DataError(
            f"{panel.source}: the model has {counted(tested, 'test window')} of each series, not {count}.",
            "Give later data, or --refit.",
        )
    windows = holdout_windows(panel, opened.manifest.horizon, count or tested)
    return windows, f"the latest {counted(count or tested, 'window')} of each series, by weights fitted before them"


def _windows_after_training(panel: Panel, opened: Opened, count: int | None) -> tuple[Windows, str]:
    """Windows whose targets are all later than the training rows; and a description for people."""
    manifest = opened.manifest
    horizon, ends = manifest.horizon, panel.offsets[1:]
    last = trained_until(opened.folder, manifest, list(map(str, panel.series)))
    new = rows_after(panel, last)
    limit = count or min(MAX_WINDOWS, max(int(new.max()) // horizon, 1))
    windows = holdout_windows(panel, horizon, limit)
    unseen = windows.cutoff >= (ends - new)[windows.series]
    if not unseen.any():
        raise DataError(
            f"{panel.source}: no window of {horizon} steps is wholly after the rows that "
            f"{manifest.name}@{opened.version} was trained on.",
            "Give more rows, or --refit.",
        )
    kept = windows.take(np.flatnonzero(unseen))
    return kept, f"{len(kept)} windows after the last row of training, {horizon} steps apart, without refitting"
