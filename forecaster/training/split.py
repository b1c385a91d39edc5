"""The split in order of time: rows to fit on, then validation windows, then test windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.calendar import known_rows
from forecaster.data.covariate_encodings import encode
from forecaster.data.extra_inputs import Needs as Needs
from forecaster.data.seasonal_scale import seasonal_scale
from forecaster.data.windows import Sampler, Windows, rolling, sampler
from forecaster.errors import DataError
from forecaster.evaluation.holdout import holdout_windows
from forecaster.training.fit_types import Source, Task

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray, IntArray

MIN_VALIDATION_WINDOWS = 30  # with fewer series, each has several validation windows


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
        selection = task(panel, np.maximum(validation.first_cutoffs(before), start), validation, needs, source)
    if selection and not len(selection.sampler):
        selection = None
    return Split(test_windows=test_windows, selection=selection, test=test, final=final)


def _validation(panel: Panel, ends: IntArray, horizon: int) -> Windows | None:
    """Windows just before `ends`; None where they would take more than a third of the typical series."""
    rows = int(np.median(ends - panel.offsets[:-1]))
    if rows < 3 * horizon + 2:
        return None
    count = max(1, min(MIN_VALIDATION_WINDOWS // len(panel.series), rows // (6 * horizon)))
    windows = rolling(panel, ends, horizon, count, max(1, horizon // 2))
    observed = ~np.isnan(windows.gather(0, horizon)).all(axis=1)  # the others have no error
    return windows.take(np.flatnonzero(observed)) if observed.any() else None


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
    seen = panel.target[np.arange(len(panel.target)) < np.repeat(end, panel.lengths)]
    relative = bool((seen[~np.isnan(seen)] > 0.0).all())
    return Task(
        training=rows,
        sampler=drawn,
        validation=validation,
        scale=_seasonal_scale(panel, end),
        source=source,
        relative=relative,
    )


def _seasonal_scale(panel: Panel, end: IntArray) -> FloatArray:
    """[N] seasonal scale of each series, positive; for a series without one the panel's median, or 1."""
    scale = seasonal_scale(panel.target, panel.offsets, end, panel.season_length)
    known = scale[np.isfinite(scale)]
    return np.where(np.isfinite(scale), scale, np.median(known) if len(known) else 1.0)
