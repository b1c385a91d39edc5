"""Fits the trees of a member: scikit-learn's gradient boosting on seasonal differences of the rows that a task may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from forecaster.data.windows import evenly
from forecaster.models.gradient_boosting import fit_boosted_trees
from forecaster.models.trees import TreeMember, differences, lags_of
from forecaster.training.fit_types import Fitted

if TYPE_CHECKING:
    from forecaster.data.windows import Windows
    from forecaster.training.fit_types import Task
    from forecaster.typing import FloatArray, IntArray

MAX_ROWS = 100_000  # that trees are fitted to, the latest of each series
MIN_SERIES_ROWS = 50  # of a series among them; of many series only some are read
MAX_WINDOWS = 300  # whose errors show the widths
CUTOFFS = 3  # of a series among them


def fit_trees(member: TreeMember, task: Task, seed: int) -> Fitted:
    """Fit `member` in place, from nothing: it takes seconds."""
    settings = member.settings
    read, wanted = training_rows(task, settings.season_length, settings.context_length)
    model = fit_boosted_trees(read, wanted, settings.units, seed, settings.layers)
    arrays = perfect_trees(model, settings.units, settings.layers)
    # The widths are those of the errors of these forecasts.
    member.weights = [*arrays, np.zeros((settings.horizon, len(settings.quantiles)))]
    member.weights = [*arrays, _widths(member, task)]
    return Fitted.at_once(member.weights, 1)


def training_rows(task: Task, season_length: int, context_length: int) -> tuple[FloatArray, FloatArray]:
    """Differences [R, F] before each row, and its own [R], in units of the mean size of those before it.

    Every row has the context that it has in a forecast: missing differences are 0.
    """
    longest = context_length - season_length
    lags = lags_of(season_length, longest)
    rows = task.training
    lengths = rows.end - rows.start
    chosen = np.flatnonzero(lengths > 2 * season_length)
    chosen = chosen[evenly(len(chosen), MAX_ROWS // MIN_SERIES_ROWS)]
    each = max(MAX_ROWS // max(len(chosen), 1), MIN_SERIES_ROWS)
    read, wanted = [], []
    for i in chosen:
        # As many older rows as the oldest row that is read needs.
        first = max(rows.start[i], rows.end[i] - each - context_length)
        values = rows.target[first : rows.end[i]]
        raw = values[season_length:] - values[:-season_length]
        seen = ~np.isnan(raw)
        known = np.concatenate([np.zeros(longest), np.where(seen, raw, 0.0)])
        sizes = np.concatenate([[0.0], np.cumsum(np.abs(known))])
        counts = np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(longest, bool), seen]))])
        here = np.flatnonzero(seen)[-each:] + longest  # places in `known`
        count = counts[here] - counts[here - longest]
        scale = (sizes[here] - sizes[here - longest]) / np.maximum(count, 1)
        use = (count >= min(season_length, 10)) & (scale > 0.0)
        here, scale = here[use], scale[use]
        read.append(known[here[:, None] - lags] / scale[:, None])
        wanted.append(known[here] / scale)
    return np.concatenate(read), np.concatenate(wanted)


def perfect_trees(model: Any, count: int, levels: int) -> list[FloatArray]:
    """Features and thresholds [count · (2^levels - 1)], values [count · 2^levels] and the mean [1] of fitted trees.

    A leaf above the last level becomes nodes that all lead to its value. scikit-learn shows the trees of this model in private
    attributes only; a test holds these arrays against its own forecasts.
    """
    inner = 2**levels - 1
    feature = np.zeros((count, inner), np.int32)
    threshold = np.zeros((count, inner))
    value = np.zeros((count, inner + 1))

    def place(nodes: Any, tree: int, node: int, at: int) -> None:
        leaf = bool(nodes["is_leaf"][node])
        if at >= inner:
            value[tree, at - inner] = nodes["value"][node]
            return
        if not leaf:
            feature[tree, at], threshold[tree, at] = nodes["feature_idx"][node], nodes["num_threshold"][node]
        left, right = (node, node) if leaf else (int(nodes["left"][node]), int(nodes["right"][node]))
        place(nodes, tree, left, 2 * at + 1)
        place(nodes, tree, right, 2 * at + 2)

    for tree, (predictor,) in enumerate(model._predictors):
        place(predictor.nodes, tree, 0, 0)
    return [feature.ravel(), threshold.ravel(), value.ravel(), np.asarray(model._baseline_prediction).reshape(1)]


def _widths(member: TreeMember, task: Task) -> FloatArray:
    """[H, Q] quantiles of the errors of the latest windows of the training rows, in units of the differences' mean size."""
    settings = member.settings
    windows = _latest_windows(task.training, settings.horizon, settings.context_length)
    context = windows.gather(settings.context_length, 0)
    error = windows.gather(0, settings.horizon) - np.asarray(member.forecast([context]))[:, :, 0]
    scale = np.asarray(differences(context, settings.season_length)[1])
    error = error / np.where(scale > 0.0, scale, np.nan)
    known = ~np.isnan(error).all(axis=1)
    if not known.any():
        return np.zeros((settings.horizon, len(settings.quantiles)))
    widths = np.nan_to_num(np.nanquantile(error[known], settings.quantiles, axis=0).T)
    return np.asarray(np.sort(widths, axis=1))


def _latest_windows(rows: Windows, horizon: int, context_length: int) -> Windows:
    """Windows of some series, the latest horizons of their rows, with some context each."""
    series: IntArray = np.flatnonzero(rows.end - rows.start >= horizon + context_length // 2)
    if not len(series):
        series = np.flatnonzero(rows.end - rows.start > horizon)
    return rows.latest(horizon, CUTOFFS, horizon, series[evenly(len(series), MAX_WINDOWS // CUTOFFS)])
