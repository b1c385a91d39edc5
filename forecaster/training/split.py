"""The split in order of time: rows to fit on, then validation windows, then test windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.calendar import known_rows
from forecaster.data.covariate_encodings import encode
from forecaster.data.day_effects import days_of_rows
from forecaster.data.extra_inputs import Needs as Needs
from forecaster.data.seasonal_scale import seasonal_scale
from forecaster.data.series_blocks import rows_before, series_blocks
from forecaster.data.special_days import Rules
from forecaster.data.windows import Sampler, Windows, evenly, rolling, sampler
from forecaster.errors import DataError
from forecaster.evaluation.holdout import holdout_windows
from forecaster.serving.raw_forecasts import with_actuals
from forecaster.training.fit_types import Source, Task

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray, IntArray

MIN_VALIDATION_WINDOWS = 30  # with fewer series, each has several validation windows
MIN_VALIDATION_CUTOFFS = 3  # of each series, where they take at most MAX_VALIDATION_SHARE of its rows
MAX_VALIDATION_SHARE = 0.2
MAX_VALIDATION_WINDOWS = 10_000  # of 59 million rows 91,000 windows took longer to forecast than all fits together
MAX_HISTORY_WINDOWS = 1000
MIN_HISTORY_ROWS = 6  # before a window of the history, and two seasons


@dataclass(frozen=True)
class Split:
    """The test windows, and the tasks of the fits before and after them."""

    test_windows: Windows  # may be empty
    selection: Task | None  # fits before the validation windows, which choose weights and settings; None: too few rows
    test: Task | None  # fits before the test windows; None: too few rows for test windows
    final: Task  # fits on all rows


def split(panel: Panel, needs: Needs, windows: int) -> Split:
    """The split with `windows` test windows of each series. DataError where all rows give no window to fit on."""
    start, end, horizon = panel.offsets[:-1], panel.offsets[1:], needs.horizon
    source = source_of(panel, needs)
    final = task(panel, end, None, needs, source)
    if not len(final.sampler):
        raise DataError(
            f"{panel.source}: the longest series has {int(panel.lengths.max())} rows: too few to fit on.",
            "Give more history.",
        )
    test_windows = holdout_windows(panel, horizon, windows)
    before = np.maximum(end - horizon * windows, start)
    validation = _validation(panel, before, horizon) if windows else None
    test = task(panel, before, None, needs, source)
    if not len(test_windows) or not len(test.sampler):
        none = test_windows.take(np.empty(0, np.int64))
        return Split(test_windows=none, selection=None, test=None, final=final)
    selection = None
    if validation is not None:
        ends = np.maximum(validation.first_cutoffs(before), start)
        selection = task(panel, ends, _of_some_series(validation), needs, source)
    if selection and not len(selection.sampler):
        selection = None
    return Split(test_windows=test_windows, selection=selection, test=test, final=final)


def _validation(panel: Panel, ends: IntArray, horizon: int) -> Windows | None:
    """Windows just before `ends`; None where they would take more than a third of the typical series."""
    rows = int(np.median(ends - panel.offsets[:-1]))
    if rows < 3 * horizon + 2:
        return None
    stride = max(1, horizon // 2)
    wanted = max(MIN_VALIDATION_WINDOWS // len(panel.series), MIN_VALIDATION_CUTOFFS)
    # A single cutoff may be lucky; more of them take rows from the fits that are compared.
    fitting = (int(MAX_VALIDATION_SHARE * rows) - horizon) // stride + 1
    count = max(1, min(wanted, fitting))
    windows = rolling(panel, ends, horizon, count, stride)
    windows = with_actuals(windows, horizon)  # the others have no error
    return windows if len(windows) else None


def _of_some_series(windows: Windows) -> Windows:
    """All windows of evenly spaced series: MAX_VALIDATION_WINDOWS at most."""
    shown, counts = np.unique(windows.series, return_counts=True)
    chosen = shown[evenly(len(shown), max(MAX_VALIDATION_WINDOWS // int(counts.max()), 1))]
    return windows.take(np.flatnonzero(np.isin(windows.series, chosen)))


def history_windows(panel: Panel, ends: IntArray, horizon: int) -> Windows:
    """Windows of the rows before `ends` [N], evenly over time and series: MAX_HISTORY_WINDOWS at most."""
    lengths = ends - panel.offsets[:-1]
    stride = max(1, horizon // 2)
    count = max(1, (int(lengths.max()) - horizon) // stride + 1)
    windows = rolling(panel, ends, horizon, count, stride)
    whole = windows.cutoff - windows.start[windows.series] >= max(2 * panel.season_length, MIN_HISTORY_ROWS)
    if whole.any():  # the first rows do not show a season
        windows = windows.take(np.flatnonzero(whole))
    windows = windows.take(evenly(len(windows), MAX_HISTORY_WINDOWS))
    return with_actuals(windows, horizon)


def source_of(panel: Panel, needs: Needs) -> Source:
    """The panel's rows with their calendar features and encoded covariates."""
    covariates = encode(panel, needs.covariates) if needs.covariates else None
    return Source(panel.target, known_rows(panel, needs.horizon, needs.calendar), covariates)


def task(panel: Panel, end: IntArray, validation: Windows | None, needs: Needs, source: Source) -> Task:
    """The task of a fit on the rows of `source` before `end` [N]."""
    start = panel.offsets[:-1]
    empty = np.empty(0, np.int64)
    rows = Windows(panel.target, start, end, empty, empty)
    drawn: Sampler = sampler(start, end, needs.context_length, needs.horizon)
    return Task(
        training=rows,
        sampler=drawn,
        validation=validation,
        scale=_seasonal_scale(panel, end),
        source=source,
        relative=_all_positive(panel, end),
        days=days_of_rows(panel, end, Rules.parse(needs.special_days)) if needs.special_days else None,
    )


def _all_positive(panel: Panel, end: IntArray) -> bool:
    """Whether every observed target in the rows before `end` [N] is above 0."""
    for some, rows in series_blocks(panel.offsets):
        seen = rows_before(end, panel.offsets, some)
        if (seen & (panel.target[rows] <= 0.0)).any():
            return False
    return True


def _seasonal_scale(panel: Panel, end: IntArray) -> FloatArray:
    """[N] seasonal scale of each series, positive; for a series without one the panel's median, or 1."""
    scale = seasonal_scale(panel.target, panel.offsets, end, panel.season_length)
    known = scale[np.isfinite(scale)]
    return np.where(np.isfinite(scale), scale, np.median(known) if len(known) else 1.0)
