"""Rows that are missing between observed ones, filled before a network reads them.

A missing row is the line between its neighbours, after the season was taken out, with the season put back. A network that was
trained on made series saw few gaps there. Rows before the first observed one stay missing, as those after the last one do.

`ops` is NumPy for arrays, or `keras.ops` within a graph: both have the functions that are used here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ROUNDS = 5  # of taking the season from filled rows and filling rows with the season


def without_gaps(context: Any, m: int, ops: Any = np) -> Any:
    """Contexts [B, L], NaN = missing, with seasons of `m` rows -> the same without gaps; observed rows stay as they are."""
    length = context.shape[1]
    missing, none = ops.isnan(context), ops.zeros_like(context)
    seen, place = ops.where(missing, none, none + 1.0), none + np.arange(float(length))[None]
    # The nearest observed rows before and after; -1 and L where there is none.
    before = _running_max(ops.where(missing, none - 1.0, place), ops)
    back = ops.flip(ops.where(missing, none - 1.0, (length - 1.0) - place), axis=1)
    after = (length - 1.0) - ops.flip(_running_max(back, ops), axis=1)
    inside = ops.where(before >= 0.0, none + 1.0, none) * ops.where(after < length, none + 1.0, none)
    before, after = ops.maximum(before, 0.0), ops.minimum(after, length - 1.0)
    weight = (place - before) / ops.maximum(after - before, 1.0)
    nearest = _whole(ops.concatenate([before, after], axis=1), ops)

    def between(values: Any) -> Any:
        both = ops.take_along_axis(values, nearest, axis=1)
        low, high = both[:, :length], both[:, length:]
        return (low + weight * (high - low)) * inside

    known = ops.where(missing, none, context)
    # The level is taken out, so that sums keep the digits of values far from 0.
    level = ops.sum(known, axis=1, keepdims=True) / ops.maximum(ops.sum(seen, axis=1, keepdims=True), 1.0)
    rows = ops.where(missing, none, context - level)
    found, season = between(rows), none
    for _ in range(ROUNDS if 1 < m <= length else 0):
        season = _season(rows - _around(found - season, inside, m, ops), seen, m, ops)
        found = between(rows - season) + season
    # 0 / 0 is NaN: rows outside stay missing. An ONNX graph makes of a choice by a comparison a sum, in which NaN would win.
    with np.errstate(invalid="ignore"):
        return ops.where(missing, (found + level) * inside / inside, context)


def _running_max(values: Any, ops: Any) -> Any:
    """[B, L] the largest of each row and those before it, -1 at least."""
    length, reach = values.shape[1], 1
    while reach < length:
        values = ops.maximum(values, ops.pad(values, ((0, 0), (reach, 0)), constant_values=-1.0)[:, :length])
        reach *= 2
    return values


def _whole(values: Any, ops: Any) -> Any:
    """Whole numbers as indices."""
    return values.astype("int32") if ops is np else ops.cast(values, "int32")


def _around(rows: Any, inside: Any, m: int, ops: Any) -> Any:
    """[B, L] means of the `m` rows around each, of those `inside`; of an even m those of m + 1, half the weight at the ends."""
    length, side = rows.shape[1], m // 2

    def sums(values: Any) -> Any:
        total = ops.cumsum(ops.pad(values, ((0, 0), (side + 1, side))), axis=1)
        whole = total[:, 2 * side + 1 :] - total[:, :length]
        if m % 2:
            return whole
        ends = ops.pad(values, ((0, 0), (side, side)))
        return whole - 0.5 * (ends[:, :length] + ends[:, 2 * side :])

    return sums(rows * inside) / ops.maximum(sums(inside), 0.5)


def _season(deviation: Any, seen: Any, m: int, ops: Any) -> Any:
    """[B, L] mean deviation of each row's place in the season, of mean 0, as far as chance does not explain it."""
    length = deviation.shape[1]
    start = -length % m
    known, values = (
        ops.reshape(ops.pad(part, ((0, 0), (start, 0))), (-1, (start + length) // m, m))
        for part in (seen, deviation * seen)
    )
    count = ops.sum(known, axis=1)  # [B, m]
    mean = ops.sum(values, axis=1) / ops.maximum(count, 1.0)
    rest = (values - mean[:, None]) * known
    places = ops.sum(ops.minimum(count, 1.0), axis=1)
    freedom = ops.maximum(ops.sum(count, axis=1) - places, 1.0)
    noise = ops.sum(rest * rest, axis=(1, 2)) / freedom / ops.maximum(ops.mean(count, axis=1), 1.0)
    mean = mean - ops.mean(mean, axis=1, keepdims=True)
    size = ops.mean(mean * mean, axis=1)
    share = 1.0 - ops.minimum(noise / ops.where(size > 0.0, size, ops.ones_like(size)), 1.0)
    return ops.tile(mean * share[:, None], (1, (start + length) // m))[:, -length:]
