"""Made series for pretraining: no row of them is real."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.errors import UsageError
from forecaster.pretraining.calendar_effects import months
from forecaster.pretraining.kinds import KINDS, shares
from forecaster.pretraining.long_seasons import LONG_SEASONS, WEEK, close
from forecaster.pretraining.random_draws import Draw

if TYPE_CHECKING:
    from forecaster.typing import FloatArray

VERSION = 2  # of the generator
BLOCK = 2048  # series that are drawn at once: their rows fit a core's cache
MONTHS = 12  # the season of monthly series, which the calendar's months act on
MAX_DISTANCE = 4.0  # of a series from its start, as a logarithm


def make_series(
    count: int, length: int, season_length: int = 12, *, seed: int = 0, kind: str | None = None
) -> FloatArray:
    """[count, length] float32 made series, NaN = missing: what the pretrained networks were trained on.

    `season_length` is the number of rows in a season, 1 = none; `kind` is a row of `kinds.KINDS`, None = all of them, mixed.
    The same arguments give the same series. UsageError for arguments that make none.
    """
    for name, value, least in (("count", count, 0), ("length", length, 2), ("season_length", season_length, 1)):
        if value < least:
            raise UsageError(f"make_series(): {name} {value} is below {least}.", f"Give {least} or more.")
    if kind is not None and kind not in KINDS:
        raise UsageError(f"make_series(): no kind is named '{kind}'.", f"Kinds: {', '.join(KINDS)}.")
    return draw_series(np.random.default_rng(seed), count, length, season_length, kind)


def draw_series(
    rng: np.random.Generator, count: int, length: int, season_length: int, kind: str | None = None
) -> FloatArray:
    """As `make_series`, from a stream of random numbers."""
    found = np.empty((count, length), np.float32)
    for start in range(0, count, BLOCK):
        part = found[start : start + BLOCK]
        part[:] = _block(Draw(rng, len(part), length, season_length), kind).T
    return found


def _block(draw: Draw, only: str | None) -> FloatArray:
    """[T, N] series in the caller's units."""
    rng, count, length = draw.rng, draw.count, draw.length
    kind = rng.choice(len(KINDS), count, p=shares(draw.season_length))
    if only:
        kind[:] = list(KINDS).index(only)
    y = np.empty((length, count), np.float32)
    for i, (_, make) in enumerate(KINDS.values()):
        chosen = np.flatnonzero(kind == i)
        if len(chosen):
            y[:, chosen] = make(replace(draw, count=len(chosen)))
    if draw.season_length == MONTHS:
        y += months(rng, length, count)
    if draw.season_length in LONG_SEASONS:
        y += LONG_SEASONS[draw.season_length](draw)
    y = _counts(rng, *_levels(rng, y))
    return _missing(rng, close(draw, y) if draw.season_length == WEEK else y)


def _levels(rng: np.random.Generator, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Additive or multiplicative series [T, N] at random levels [N], with outliers, three quarters of them not negative."""
    length, count = y.shape
    y = y - y[:12].mean(axis=0)
    y *= np.minimum(1.0, MAX_DISTANCE / np.maximum(np.abs(y).max(axis=0), 1e-9))
    scale = np.exp(rng.uniform(np.log(2.0), np.log(20000.0), count)).astype(np.float32)
    multiplicative = rng.random(count) < 0.6
    y = np.where(multiplicative, np.exp(y), 1.0 + y) * scale
    some = np.flatnonzero(rng.random(count) < 0.06)
    hit = rng.random((length, len(some))) < 0.015
    y[:, some] *= 1.0 + hit * rng.standard_normal((length, len(some)), np.float32)
    positive = rng.random(count) < 0.75
    y[:, positive] = np.maximum(y[:, positive], 0.0)
    return y, scale


def _counts(rng: np.random.Generator, y: FloatArray, scale: FloatArray) -> FloatArray:
    """A fifth of the series become Poisson counts, half of these around a small mean, a fifth of these intermittent."""
    some = np.flatnonzero(rng.random(y.shape[1]) < 0.2)
    small = np.where(rng.random(len(some)) < 0.5, 20.0 / scale[some], 1.0)
    rate = np.clip(y[:, some] * small, 0.0, 1e6)
    # A normal number takes the place of a large mean's Poisson one, which takes much longer to draw.
    near = np.round(rate + np.sqrt(rate) * rng.standard_normal(rate.shape, np.float32))
    low = rate < 30.0
    near[low] = rng.poisson(rate[low])
    y[:, some] = np.maximum(near, 0.0)
    rare = some[rng.random(len(some)) < 0.2]
    y[:, rare] *= rng.random((len(y), len(rare))) < rng.uniform(0.05, 0.9, len(rare))
    return y


def _missing(rng: np.random.Generator, y: FloatArray) -> FloatArray:
    """Every twelfth series lacks rows: single ones, or a stretch."""
    length, count = y.shape
    some = np.flatnonzero(rng.random(count) < 1.0 / 12.0)
    share = rng.uniform(0.0, 0.2, len(some))
    gone = rng.random((length, len(some))) < share
    start, width = rng.integers(0, length, len(some)), rng.integers(1, max(2, length // 6), len(some))
    stretch = (np.arange(length)[:, None] >= start) & (np.arange(length)[:, None] < start + width)
    single = rng.random(len(some)) < 0.5
    y[:, some] = np.where(np.where(single, gone, stretch), np.nan, y[:, some])
    return y
