"""Encodings fitted to covariates before a network reads them: mean and scale of numbers, the vocabulary of categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.future_covariates import cell_ahead, recoded
from forecaster.data.panel import ROLES, Columns
from forecaster.errors import quoted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from forecaster.data.panel import Covariate, Panel
    from forecaster.typing import FloatArray, IntArray

MAX_LEVELS = 1000  # of a category: the most frequent ones; others count as unseen
FAR = 10.0  # standard deviations from the mean of the training: no network has learnt what follows from such a number
FAR_TOGETHER = 3.0  # likewise, for the mean of all numbers ahead, where each is outside the range of the rows
MIN_TOGETHER = 3  # numbers ahead
_TRUTH = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)
MAX_NAMED = 3  # unlearnt values that a message names; it counts the others


@dataclass(frozen=True)
class Encoding:
    """How a network reads one covariate: as a number, or as a code, 0 … V-1 in `levels`, V for any other text.

    NaN is missing in both.
    """

    name: str
    role: str  # a row of ROLES
    levels: tuple[str, ...] | None = None  # V texts; None = a number
    mean: float = 0.0  # of a number, caller's units
    scale: float = 1.0  # positive


def fit_encodings(panel: Panel, ends: IntArray) -> tuple[Encoding, ...]:
    """An encoding for each covariate, fitted to the rows of each series before `ends` [N]; later rows are not read."""
    if not panel.covariates:
        return ()
    seen = np.arange(len(panel.target)) < np.repeat(ends, panel.lengths)
    has_rows = ends > panel.offsets[:-1]
    return tuple(_fit(one, one.values[has_rows if one.role == "static" else seen]) for one in panel.covariates)


def _fit(covariate: Covariate, values: FloatArray) -> Encoding:
    values = values[~np.isnan(values)]
    if covariate.levels is not None:
        counts = np.bincount(values.astype(np.int64), minlength=len(covariate.levels))
        frequent = np.argsort(-counts, kind="stable")[:MAX_LEVELS]
        levels = tuple(covariate.levels[i] for i in sorted(frequent.tolist()) if counts[i])
        return Encoding(covariate.name, covariate.role, levels)
    if not len(values):
        return Encoding(covariate.name, covariate.role)
    scale = float(values.std())
    return Encoding(covariate.name, covariate.role, mean=float(values.mean()), scale=scale if scale > 0.0 else 1.0)


def columns_of(encodings: Sequence[Encoding]) -> Columns:
    """The columns that hold these covariates, by role."""
    known, past, static = (tuple(one.name for one in encodings if one.role == role) for role in ROLES)
    texts = tuple(one.name for one in encodings if one.levels is not None)
    return Columns(known=known, past=past, static=static, texts=texts)


def unlearnt_ahead(panel: Panel, encodings: Sequence[Encoding], chosen: IntArray, steps: int) -> str:
    """Known values in the next `steps` of the series at positions `chosen` that are unlike any of the training, in words.

    These are numbers far from the training's mean and outside the range of the panel's own rows, all of a column's numbers
    where each is outside that range and they are far together, and texts that the training did not have. Empty where
    there are none.
    """
    columns, named, count = {one.name: one for one in panel.covariates}, [], 0
    for encoding in (one for one in encodings if one.role == "known"):
        column = columns[encoding.name]
        if column.ahead is None:
            continue
        ahead = _codes(column, encoding, column.ahead)[chosen, :steps]
        if encoding.levels is None:
            past = column.values[~np.isnan(column.values)]
            low, high = (past.min(), past.max()) if len(past) else (np.inf, -np.inf)
            distance, outside = (ahead - encoding.mean) / encoding.scale, (ahead < low) | (ahead > high)
            there = ~np.isnan(ahead)
            together = np.count_nonzero(there) >= MIN_TOGETHER and outside[there].all()
            odd = outside & (np.abs(distance) > FAR)
            if together and abs(float(distance[there].mean())) > FAR_TOGETHER:
                odd = there
        else:
            odd = ahead >= len(encoding.levels)
        series, step = np.nonzero(odd)
        count += len(series)
        for i, k in zip(series[:MAX_NAMED], step[:MAX_NAMED], strict=True):
            value = column.ahead[chosen[i], k]
            text = f"{value:g}" if column.levels is None else quoted(column.levels[int(value)])
            named.append(f"{cell_ahead(panel, encoding.name, int(chosen[i]), int(k))} is {text}")
    return _shown(named, count)


def unlearnt_static(panel: Panel, encodings: Sequence[Encoding], chosen: IntArray) -> str:
    """Static values of the series at positions `chosen` that are unlike any of the training, in words; empty where none is."""
    columns, named, count = {one.name: one for one in panel.covariates}, [], 0
    for encoding in (one for one in encodings if one.role == "static"):
        column = columns[encoding.name]
        values = _codes(column, encoding, column.values)[chosen]
        far = np.abs(values - encoding.mean) > FAR * encoding.scale
        odd = np.flatnonzero(far if encoding.levels is None else values >= len(encoding.levels))
        count += len(odd)
        for i in odd[:MAX_NAMED]:
            value = column.values[chosen[i]]
            text = f"{value:g}" if column.levels is None else quoted(column.levels[int(value)])
            named.append(f"{encoding.name} of series {quoted(panel.series[chosen[i]])} is {text}")
    return _shown(named, count)


def _shown(named: Sequence[str], count: int) -> str:
    """The first MAX_NAMED of `count` values, in words."""
    more = f" and {count - MAX_NAMED:,} more" if count > MAX_NAMED else ""
    return ", ".join(named[:MAX_NAMED]) + more


@dataclass(frozen=True)
class EncodedCovariates:
    """A panel's covariates in the order of a network's encodings, by role. U known, P past and G static columns."""

    rows: FloatArray  # [R, U + P] float64
    known: int  # U
    ahead: FloatArray  # [N, A, U] known values after each series' last row
    static: FloatArray  # [N, G]


def encode(panel: Panel, encodings: Sequence[Encoding]) -> EncodedCovariates:
    """Numbers in the caller's units, categories as codes, NaN = missing. The panel must hold every covariate."""
    columns = {one.name: one for one in panel.covariates}
    known = [one for one in encodings if one.role == "known"]
    longest = max((ahead.shape[1] for one in known if (ahead := columns[one.name].ahead) is not None), default=0)
    ahead = np.full((len(panel.series), longest, len(known)), np.nan)
    for i, one in enumerate(known):
        values = columns[one.name].ahead
        if values is not None:
            ahead[:, : values.shape[1], i] = _codes(columns[one.name], one, values)
    moving = [one for one in encodings if one.role != "static"]
    static = [one for one in encodings if one.role == "static"]
    return EncodedCovariates(
        rows=_stacked([_codes(columns[one.name], one, columns[one.name].values) for one in moving], len(panel.target)),
        known=len(known),
        ahead=ahead,
        static=_stacked(
            [_codes(columns[one.name], one, columns[one.name].values) for one in static], len(panel.series)
        ),
    )


def _codes(covariate: Covariate, encoding: Encoding, values: FloatArray) -> FloatArray:
    if encoding.levels is None:
        return values
    return recoded(values, _spelt_as(encoding.levels, covariate.levels or ()), encoding.levels)


def _spelt_as(known: Sequence[str], levels: Sequence[str]) -> list[str]:
    """The levels, truth values spelt as the `known` ones, where these are truth values: pandas writes True, Excel TRUE."""
    spelling = {_TRUTH.get(text.casefold()): text for text in known}
    others = {text: _TRUTH.get(text.casefold()) for text in levels if text not in known}
    if len(known) != 2 or set(spelling) != {True, False} or len({*others.values()} - {None}) < len(others):
        return [*levels]
    return [spelling[others[text]] if text in others else text for text in levels]


def _stacked(columns: list[FloatArray], rows: int) -> FloatArray:
    return np.column_stack(columns) if columns else np.empty((rows, 0))
