"""Forecasts by the pretrained networks, which never saw the data: which network forecasts which window, and its quantiles.

A series is forecast by the network for its season; where no network knows the season, by the one without a season, on the series
less its seasonal profile. A series with less than a season of rows is forecast by its level, with the widths of the network
without a season. As no network has seen any row, every window of the history shows its error: the quantiles are calibrated on
these windows where there are enough, and paths made of their errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.extra_inputs import Needs
from forecaster.data.series_blocks import rows_before, series_blocks
from forecaster.data.windows import evenly, rolling
from forecaster.errors import ArtifactError, UsageError
from forecaster.models.seasonal_profile import Profile
from forecaster.serving.conformal import GRID, calibrate
from forecaster.serving.deseasonalised_runtime import DeseasonalisedRuntime
from forecaster.serving.filled_runtime import FilledRuntime
from forecaster.serving.level_runtime import METHOD, LevelRuntime
from forecaster.serving.ordinary_days import SpecialDays
from forecaster.serving.pretrained import MIN_ROWS, NO_SEASON, Card, find_card, find_network, load_pretrained
from forecaster.serving.raw_forecasts import RawForecasts, raw_forecasts, with_actuals
from forecaster.serving.recent_errors import densest, pooled
from forecaster.serving.runtime import Runtime

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.data.windows import Windows
    from forecaster.serving.conformal import Calibration
    from forecaster.typing import BoolArray, FloatArray, IntArray, TextArray

MAX_WINDOWS = 1000  # of the history, from which quantiles are learnt
MIN_CUTOFFS = 5  # of a series among them, where its history has as many: series share shocks at one cutoff
MIN_SEPARATE = 10  # windows that do not overlap, for a calibration
MIN_SURE = (
    100  # the same, for one that nobody asked for: with fewer the networks' own quantiles are better (ABLATIONS.md)
)
MAX_STRETCH = 4  # times the horizon of a calibration, that it is used for
BATCH_VALUES = 500_000  # of the contexts whose forecasts at all levels are in memory at once
TRAIN = "Run `forecaster train DATA` first."
NONE = -1  # in place of a network's index: too few rows for any


@dataclass(frozen=True)
class PretrainedNetwork:
    """A loaded network and the windows that it can forecast. It is the `GraphFacts` of its runtime."""

    card: Card
    runtime: Runtime
    context_length: int  # L of the runtime

    @property
    def method(self) -> str:
        """What forecasts say that they are made by."""
        return METHOD if isinstance(self.runtime, LevelRuntime) else self.card.method

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Q levels, ascending."""
        return self.card.network.quantiles

    @property
    def reach(self) -> int:
        """Rows of the context that show how far a series moves: all of them."""
        return self.context_length

    @property
    def needs(self) -> Needs:
        """The inputs of the runtime."""
        return replace(self.card.needs, context_length=self.context_length)

    def suits(self, windows: Windows) -> BoolArray:
        """[W] whether a window's context has as many observed values as the network needs.

        Of a season that is taken out before, MIN_ROWS must be left: one value has intervals without width.
        """
        enough = windows.observed_counts(self.context_length, 0) >= self.card.min_rows
        return np.asarray(enough & (windows.observed_counts(self.card.network.context_length, 0) >= MIN_ROWS))


def open_pretrained(
    season_length: int, runtime: str = "onnx", threads: int = 0, device: str = "cpu"
) -> tuple[PretrainedNetwork, ...]:
    """The networks for series with this season, the one to prefer first.

    ArtifactError where this installation has none that can be used, or a damaged one.
    """
    (own, profile), plain = find_network(season_length), find_card(NO_SEASON)
    found = []
    if own:
        graph, length = _without_gaps(own, runtime, threads, device), own.network.context_length
        found.append(_deseasonalised(own, graph, profile) if profile else PretrainedNetwork(own, graph, length))
    if plain and plain != own:
        graph, length = _without_gaps(plain, runtime, threads, device), plain.network.context_length
        if not own:
            found.append(_deseasonalised(plain, graph, Profile(season_length)))
        found.append(PretrainedNetwork(plain, LevelRuntime(graph, plain.network.quantiles), length))
    if not found:
        raise ArtifactError(f"there is no pretrained network for a season of {season_length} steps.", TRAIN)
    return tuple(found)


def _without_gaps(card: Card, runtime: str, threads: int, device: str) -> FilledRuntime:
    graph = load_pretrained(card.folder, runtime, threads, device)
    return FilledRuntime(graph, card.season_length, card.min_rows)


def _deseasonalised(card: Card, graph: Runtime, profile: Profile) -> PretrainedNetwork:
    less = DeseasonalisedRuntime(graph, card.network.context_length, profile)
    return PretrainedNetwork(card, less, less.context_length)


@dataclass(frozen=True)
class ZeroShot:
    """The pretrained networks, with quantiles that were learnt from the rows of a panel before `ends`."""

    networks: tuple[PretrainedNetwork, ...]
    panel: Panel
    ends: IntArray  # [N] the first row of each series that must not be known
    horizon: int
    calibrated: bool | None = (
        None  # quantiles, where they can be; None = where MIN_SURE windows show how, or none else has the levels
    )

    @property
    def method(self) -> str:
        """What makes the forecasts of windows with enough rows for the season."""
        return self.networks[0].method

    def choose(self, windows: Windows) -> IntArray:
        """[W] index of the network that forecasts each window; NONE where its context is too short for any."""
        windows, _ = self._from_last_observed(windows)
        chosen = np.full(len(windows), NONE)
        for i in reversed(range(len(self.networks))):
            chosen[self.networks[i].suits(windows)] = i
        return chosen

    def methods(self, windows: Windows) -> TextArray:
        """[W] what each window's forecast is made by; empty where no network suits."""
        names = np.array([*(network.method for network in self.networks), ""], dtype=object)
        return np.asarray(names[self.choose(windows)])  # NONE is the last

    @property
    def has_calibration(self) -> bool:
        """Whether the history has enough windows to calibrate a network's own levels, and that is wanted."""
        return any(self._calibration(i, self.networks[i].quantiles) for i in range(len(self.networks)))

    def _calibration(self, i: int, levels: Sequence[float]) -> Calibration | None:
        """What a network's quantiles at these levels are made by; None = the network's own are better, or wanted."""
        learnt, own = self._errors(i), self.networks[i].quantiles
        if learnt is None or self.calibrated or learnt.separate >= MIN_SURE:
            return learnt
        return None if own[0] <= min(levels) and max(levels) <= own[-1] else learnt

    def _errors(self, i: int) -> Calibration | None:
        """A network's errors over the history, learnt when they are needed; None where there are too few, or none are wanted."""
        if i not in self._learnt:
            self._learnt[i] = None if self.calibrated is False else self._learn(self.networks[i])
        return self._learnt[i]

    @cached_property
    def _learnt(self) -> dict[int, Calibration | None]:
        """Calibrations by the index of their network."""
        return {}

    def forecast(self, windows: Windows, levels: Sequence[float]) -> FloatArray:
        """[W, H, 1 + Q] point forecasts and quantiles at these levels; NaN where no network suits.

        Rows that are missing before a cutoff are forecast, too. Where all values of a series before `ends` are at least 0,
        so are its forecasts. UsageError for a level that is too far out.
        """
        return self._by_gap(windows, 1 + len(levels), lambda made, part: made._forecast(part, levels))

    def samples(self, windows: Windows, count: int) -> FloatArray:
        """[W, H, count] sample paths; NaN where no network suits. UsageError where no whole window shows its errors."""
        try:
            return self._by_gap(windows, count, lambda made, part: made._samples(part, count))
        except UsageError:  # no window of the history is as long as the horizon and the rows missing at an end
            return self._held(self._samples(windows, count), windows)

    def _by_gap(self, windows: Windows, columns: int, made: Callable[[ZeroShot, Windows], FloatArray]) -> FloatArray:
        """[W, H, columns] of `made`, whose steps begin after the last observed row of each window."""
        windows, gap = self._from_last_observed(windows)
        found = np.full((len(windows), self.horizon, columns), np.nan)
        at_once, late = np.flatnonzero(gap == 0), np.flatnonzero(gap > 0)
        found[at_once] = made(self, windows.take(at_once))
        if len(late):
            longer = replace(self, horizon=self.horizon + int(gap.max()))
            steps = np.arange(self.horizon)
            batch = max(1, BATCH_VALUES // longer.horizon)
            for first in range(0, len(late), batch):
                part = late[first : first + batch]
                ahead = (gap[part, None] + steps)[:, :, None]
                found[part] = np.take_along_axis(made(longer, windows.take(part)), ahead, axis=1)
        return self._held(found, windows)

    def _from_last_observed(self, windows: Windows) -> tuple[Windows, IntArray]:
        """The windows with their cutoffs after the last observed row, and [W] by how many rows they moved.

        A window that would move by more rows than a network reads stays where it is.
        """
        return windows.from_last_observed([windows.target], self.networks[0].card.network.context_length)

    def _forecast(self, windows: Windows, levels: Sequence[float]) -> FloatArray:
        found = np.full((len(windows), self.horizon, 1 + len(levels)), np.nan)
        for i, mine in self._parts(windows):
            raw = self._raw(self.networks[i], windows.take(mine), self.horizon)
            found[mine, :, :1] = raw.values[:, :, :1]
            if levels:
                found[mine, :, 1:] = self._quantiles(i, raw, levels)
        return found

    def _samples(self, windows: Windows, count: int) -> FloatArray:
        found = np.full((len(windows), self.horizon, count), np.nan)
        for i, mine in self._parts(windows):
            learnt, raw = self._errors(i), self._raw(self.networks[i], windows.take(mine), self.horizon)
            if learnt is None or learnt.horizon < self.horizon or not learnt.whole.any():
                raise UsageError(
                    "--samples: the history has too few whole windows of this horizon.",
                    "Leave it out, or give a shorter --horizon.",
                )
            found[mine] = learnt.samples(raw.values, self._scale(raw), raw.names, count, raw.lead)
        return found

    def _parts(self, windows: Windows) -> Iterator[tuple[int, IntArray]]:
        """Index of a network and positions of windows that it forecasts, a batch at a time."""
        chosen = self.choose(windows)
        for i in range(len(self.networks)):
            mine = np.flatnonzero(chosen == i)
            batch = max(1, BATCH_VALUES // self.networks[i].context_length)
            for first in range(0, len(mine), batch):
                yield i, mine[first : first + batch]

    def _raw(self, network: PretrainedNetwork, windows: Windows, horizon: int) -> RawForecasts:
        def made(some: Windows) -> RawForecasts:
            return raw_forecasts(network.runtime, network, self.panel, some, horizon)

        return self._special_days.forecasts(made, windows)

    @cached_property
    def _special_days(self) -> SpecialDays:
        return SpecialDays(self.panel, self.ends)

    def _quantiles(self, i: int, raw: RawForecasts, levels: Sequence[float]) -> FloatArray:
        learnt, trained = self._calibration(i, levels), self.networks[i].quantiles
        known = GRID if learnt else trained
        for level in levels:
            if not known[0] <= level <= known[-1]:
                raise UsageError(
                    f"quantile {level:g} is not within {known[0]:g} and {known[-1]:g}.", "Give another level."
                )
        if learnt:
            return learnt.quantiles(raw.values, self._scale(raw), raw.names, levels, raw.lead)
        return between_levels(raw.values[:, :, 1:], trained, levels)

    def _scale(self, raw: RawForecasts) -> FloatArray:
        return raw.scale(self.panel.season_length)

    def _held(self, values: FloatArray, windows: Windows) -> FloatArray:
        """The values [W, H, ·], not below 0 where no known value of the series is."""
        return np.asarray(np.maximum(values, self._floor[windows.series, None, None]))

    @cached_property
    def _floor(self) -> FloatArray:
        """[N] 0 where no known value of a series is below it, else none."""
        panel, lowest = self.panel, np.empty(len(self.panel.series))
        for some, rows in series_blocks(panel.offsets):
            known = rows_before(self.ends, panel.offsets, some)
            values = np.where(known, panel.target[rows], np.nan)
            lowest[some] = np.fmin.reduceat(values, panel.offsets[some] - rows.start)
        return np.where(lowest >= 0.0, 0.0, -np.inf)

    def _learn(self, network: PretrainedNetwork) -> Calibration | None:
        """The calibration from windows of the whole horizon or, where these are few, from the first part of it."""
        horizon = self.horizon
        while True:
            windows = self._history(network, horizon)
            pool = pooled(self._raw(network, windows, horizon)) if len(windows) >= MIN_SEPARATE else None
            if pool and pool.separate >= MIN_SEPARATE:
                return calibrate(pool, tuple(map(str, self.panel.series)))
            horizon //= 2
            if MAX_STRETCH * horizon < self.horizon:
                return None

    def _history(self, network: PretrainedNetwork, horizon: int) -> Windows:
        """Windows that end before `ends`, MAX_WINDOWS at most, each with enough context for the network."""
        rows = self.ends - self.panel.offsets[:-1]
        spare = rows - horizon - max(horizon, network.card.min_rows)
        rich = np.flatnonzero(spare >= 0)
        rich = rich[evenly(len(rich), MAX_WINDOWS // MIN_CUTOFFS)]
        if not len(rich):
            return rolling(self.panel, self.ends, horizon, 0, 1)
        stride = densest(horizon, int(spare[rich].sum()), MAX_WINDOWS - len(rich))
        count = min(int(spare[rich].max()) // stride + 1, MAX_WINDOWS // len(rich))
        windows = rolling(self.panel, self.ends, horizon, count, stride, rich)
        windows = windows.take(np.flatnonzero(network.suits(windows)))
        return with_actuals(windows, horizon)


def between_levels(quantiles: FloatArray, trained: Sequence[float], levels: Sequence[float]) -> FloatArray:
    """Quantiles [W, H, Q] at the `trained` levels -> [W, H, len(levels)], interpolated along the normal distribution."""
    columns = []
    for level in levels:
        if level in trained:
            columns.append(quantiles[:, :, trained.index(level)])
            continue
        from statistics import NormalDist

        after = int(np.searchsorted(trained, level))
        low, high, here = (NormalDist().inv_cdf(one) for one in (trained[after - 1], trained[after], level))
        share = (here - low) / (high - low)
        columns.append((1.0 - share) * quantiles[:, :, after - 1] + share * quantiles[:, :, after])
    return np.stack(columns, axis=2)
