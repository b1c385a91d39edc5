"""Metrics of point forecasts: MAE, RMSE, sMAPE and MASE as the M4 competition defines them, WAPE, bias and RMSSE.

Everything here works on windows: `target` and `prediction` [W, H] float64 in the caller's units. A NaN target is not
observed and has no weight. A NaN prediction of an observed target makes the score NaN.
A score is the mean over windows of the mean over a window's observed steps; RMSE is the root of the mean square over all
observed steps. With one window per series that is the mean over series of the competitions.
To add a metric, write a function of `Errors` and a field of `Scores`: METRICS, the JSON and the tables follow.
Source: Makridakis, Spiliotis & Assimakopoulos 2020, "The M4 Competition", Int. J. of Forecasting 36(1).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.seasonal_scale import divide, group_mean

if TYPE_CHECKING:
    from forecaster.typing import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class Errors:
    """W windows in G groups, each of which gets its own score."""

    target: FloatArray  # [W, H] caller's units; NaN = not observed
    prediction: FloatArray  # [W, H] caller's units
    scale: FloatArray  # [W] seasonal scale: mean absolute seasonal difference in sample; NaN = undefined
    group: IntArray  # [W] 0 <= group < groups
    groups: int  # G
    square_scale: FloatArray | None = None  # [W] root mean square seasonal difference in sample; None = not known


def mean_absolute_error(errors: Errors) -> FloatArray:
    """[G] MAE: mean absolute error, caller's units."""
    return _mean_of_windows(np.abs(errors.target - errors.prediction), errors)


def root_mean_squared_error(errors: Errors) -> FloatArray:
    """[G] RMSE: root of the mean square over all observed steps of a group's windows, caller's units."""
    observed = ~np.isnan(errors.target)
    group = np.repeat(errors.group, errors.target.shape[1])
    square = (errors.target - errors.prediction) ** 2
    return np.sqrt(group_mean(square.reshape(-1), observed.reshape(-1), group, errors.groups))


def symmetric_percentage_error(errors: Errors) -> FloatArray:
    """[G] sMAPE: mean of 200 |y - f| / (|y| + |f|), percent; a step where both are 0 has error 0."""
    error = np.abs(errors.target - errors.prediction)
    size = np.abs(errors.target) + np.abs(errors.prediction)
    return _mean_of_windows(200 * (error / np.where(size == 0, 1, size)), errors)


def mean_absolute_scaled_error(errors: Errors) -> FloatArray:
    """[G] MASE: mean absolute error over the window's seasonal scale; windows without a scale above 0 are left out."""
    usable = np.where(errors.scale > 0, errors.scale, np.nan)
    window = _window_mean(np.abs(errors.target - errors.prediction), errors.target) / usable
    counts = ~np.isnan(usable) & _seen(errors.target)
    return group_mean(window, counts, errors.group, errors.groups)


def weighted_percentage_error(errors: Errors) -> FloatArray:
    """[G] WAPE: sum of |y - f| over the sum of |y|, percent; steps of large values weigh more than those of small ones."""
    return 100 * divide(_sum(np.abs(errors.target - errors.prediction), errors), _sum(np.abs(errors.target), errors))


def percentage_bias(errors: Errors) -> FloatArray:
    """[G] bias: sum of f - y over the sum of |y|, percent; above 0 where forecasts are too high."""
    return 100 * divide(_sum(errors.prediction - errors.target, errors), _sum(np.abs(errors.target), errors))


def root_mean_squared_scaled_error(errors: Errors) -> FloatArray:
    """[G] RMSSE: a window's root mean square error over its root mean square seasonal difference in sample, mean over windows.

    Source: Makridakis, Spiliotis & Assimakopoulos 2022, "The M5 accuracy competition", there with differences of one step.
    """
    if errors.square_scale is None:
        return np.full(errors.groups, np.nan)
    usable = np.where(errors.square_scale > 0, errors.square_scale, np.nan)
    window = np.sqrt(_window_mean((errors.target - errors.prediction) ** 2, errors.target)) / usable
    return group_mean(window, ~np.isnan(usable) & _seen(errors.target), errors.group, errors.groups)


def _sum(step: FloatArray, errors: Errors) -> FloatArray:
    """[G] sum over a group's observed steps of `step` [W, H]; NaN where a forecast of one is NaN."""
    observed = ~np.isnan(errors.target)
    sums = np.where(observed, step, 0.0).sum(axis=1)
    return np.asarray(np.bincount(errors.group, weights=sums, minlength=errors.groups), np.float64)


def _mean_of_windows(step: FloatArray, errors: Errors) -> FloatArray:
    """[G] mean over a group's windows of the mean over their observed steps of `step` [W, H]."""
    return group_mean(_window_mean(step, errors.target), _seen(errors.target), errors.group, errors.groups)


def _seen(target: FloatArray) -> BoolArray:
    """[W] whether any step of the window is observed."""
    return np.asarray((~np.isnan(target)).any(axis=1))


def _window_mean(step: FloatArray, target: FloatArray) -> FloatArray:
    """[W] mean of `step` [W, H] where the target is observed; NaN where it never is."""
    observed = ~np.isnan(target)
    known: FloatArray = np.where(observed, step, 0.0)
    return divide(known.sum(axis=1), observed.sum(axis=1))


@dataclass(frozen=True)
class Metric:
    """A metric of point forecasts."""

    function: Callable[[Errors], FloatArray]  # one score for each group, [G]; NaN = undefined
    label: str  # in tables
    unit: str  # for people


def _of(function: Callable[[Errors], FloatArray], label: str, unit: str) -> dict[str, Metric]:
    """The metadata of a field of `Scores`."""
    return {"metric": Metric(function, label, unit)}


@dataclass(frozen=True)
class Scores:
    """One score for each metric; NaN where it is undefined, e.g. nothing observed. Each field declares its metric."""

    mae: float = field(metadata=_of(mean_absolute_error, "MAE", "the data's units"))
    rmse: float = field(metadata=_of(root_mean_squared_error, "RMSE", "the data's units"))
    smape: float = field(metadata=_of(symmetric_percentage_error, "sMAPE", "percent, 0 to 200"))
    mase: float = field(metadata=_of(mean_absolute_scaled_error, "MASE", "1 = seasonal naive in sample"))
    wape: float = field(
        default=math.nan, metadata=_of(weighted_percentage_error, "WAPE", "percent of all values together")
    )
    bias: float = field(
        default=math.nan, metadata=_of(percentage_bias, "bias", "percent of all values; above 0 = forecasts too high")
    )
    rmsse: float = field(
        default=math.nan, metadata=_of(root_mean_squared_scaled_error, "RMSSE", "1 = seasonal naive in sample")
    )

    def values(self) -> list[float]:
        """The scores in the order of METRICS; NaN = undefined."""
        return [getattr(self, name) for name in METRICS]

    def to_json(self) -> dict[str, float | None]:
        """The scores by name; None for NaN and infinity, which JSON does not have."""
        return {
            name: value if math.isfinite(value) else None for name, value in zip(METRICS, self.values(), strict=True)
        }


METRICS: dict[str, Metric] = {one.name: one.metadata["metric"] for one in fields(Scores)}
SCORE_NAMES = tuple(metric.label for metric in METRICS.values())  # the columns of every table of scores


def score(
    target: FloatArray, prediction: FloatArray, scale: FloatArray, square_scale: FloatArray | None = None
) -> Scores:
    """Scores of all windows ([W, H], [W, H], [W], [W]) together."""
    everything = np.zeros(len(target), np.int64)
    return _scores(
        Errors(
            target=target,
            prediction=prediction,
            scale=scale,
            group=everything,
            groups=1,
            square_scale=square_scale,
        )
    )[0]


def score_by_step(
    target: FloatArray, prediction: FloatArray, scale: FloatArray, square_scale: FloatArray | None = None
) -> list[Scores]:
    """H scores, one per step ahead, of windows [W, H], [W, H], [W], [W]."""
    windows, horizon = target.shape
    step = np.repeat(np.arange(horizon), windows)
    # Each step of a window is scored as a window of one step.
    return _scores(
        Errors(
            target=target.T.reshape(-1, 1),
            prediction=prediction.T.reshape(-1, 1),
            scale=np.tile(scale, horizon),
            group=step,
            groups=horizon,
            square_scale=None if square_scale is None else np.tile(square_scale, horizon),
        )
    )


def score_by_series(
    target: FloatArray,
    prediction: FloatArray,
    scale: FloatArray,
    series_index: IntArray,
    count: int,
    square_scale: FloatArray | None = None,
) -> list[Scores]:
    """`count` scores, one per series, of windows [W, H], [W, H], [W] that belong to series `series_index` [W].

    A series without windows has NaN scores.
    """
    return _scores(
        Errors(
            target=target,
            prediction=prediction,
            scale=scale,
            group=series_index,
            groups=count,
            square_scale=square_scale,
        )
    )


def _scores(errors: Errors) -> list[Scores]:
    """One `Scores` per group."""
    # Values near the largest float overflow to an infinite score: None in JSON.
    with np.errstate(over="ignore", invalid="ignore"):
        columns = {name: metric.function(errors).tolist() for name, metric in METRICS.items()}
    return [Scores(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]
