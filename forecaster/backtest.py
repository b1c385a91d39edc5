"""Judging: a forecaster and the baselines on the same windows, scored alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from forecaster.bands import BandScores, band_scores
from forecaster.baselines import BASELINES, fit_gradient_boosting
from forecaster.data.inputs import Beside, Needs
from forecaster.data.windows import Windows, sampler
from forecaster.metrics import Scores, score, score_by_series, score_by_step, seasonal_scale
from forecaster.models.runtime import forecast
from forecaster.report import Report, Subject
from forecaster.statistical import MAX_VALUES, statistical

if TYPE_CHECKING:
    from forecaster.data.panel import Panel
    from forecaster.models.artifact import Manifest
    from forecaster.models.runtime import Runtime
    from forecaster.models.settings import NetworkSettings
    from forecaster.typing import FloatArray, IntArray

# context [W, L] and what to gather beside it -> forecast [W, H, 1 + Q]: the point, then the quantiles
Answer: TypeAlias = Callable[["FloatArray", "Beside"], "FloatArray"]

BOOSTING_WINDOWS = 20_000  # that gradient boosting learns from, at most


@dataclass(frozen=True)
class Backtest:
    """Forecasts of one set of windows by everybody who is judged on it."""

    series: IntArray  # [W] which series each window is of
    names: tuple[str, ...]  # [N]
    target: FloatArray  # [W, H] caller's units; NaN = not observed
    scale: FloatArray  # [W] in-sample mean absolute seasonal difference; NaN = undefined
    forecasts: dict[str, FloatArray]  # who -> [W, H]
    cutoff: IntArray  # [W] row of the panel that is each window's first step ahead
    quantiles: tuple[float, ...]  # Q levels, ascending
    bands: FloatArray  # [W, H, Q] the model's forecast at each level
    raw: FloatArray | None = None  # [W, H, Q] the same before calibration; None = `bands` are not calibrated
    calibrated: str = ""  # on what, for people

    def windows(self, panel: Panel) -> Windows:
        """What was judged, of the panel that it was judged on."""
        return Windows(panel.target, panel.offsets[:-1], panel.offsets[1:], self.series, self.cutoff)

    def scores(self, who: str) -> Scores:
        """All windows together."""
        return score(self.target, self.forecasts[who], self.scale)

    def window_errors(self, who: str) -> FloatArray:
        """[W] mean absolute error of each window over its scale, or in the caller's units where no window has a scale.

        NaN = undefined.
        """
        observed = ~np.isnan(self.target)
        misses = np.where(observed, np.abs(self.target - self.forecasts[who]), 0.0)
        count = np.where(observed.any(axis=1), observed.sum(axis=1), np.nan)
        scale: FloatArray = self.scale if np.isfinite(self.scale).any() else np.ones(len(misses))
        return np.asarray(misses.sum(axis=1) / count / scale)

    def band_scores(self) -> BandScores | None:
        """Of the quantiles; None where there are none."""
        return band_scores(self.target, self.bands, self.quantiles, self.scale)

    def raw_scores(self) -> BandScores | None:
        """Of the quantiles before calibration; None where they are not calibrated."""
        return None if self.raw is None else band_scores(self.target, self.raw, self.quantiles, self.scale)

    def by_step(self, who: str) -> tuple[Scores, ...]:
        """[H] scores."""
        return tuple(score_by_step(self.target, self.forecasts[who], self.scale))

    def by_series(self, who: str) -> dict[str, Scores]:
        """Scores of each series that has windows."""
        scores = score_by_series(self.target, self.forecasts[who], self.scale, self.series, len(self.names))
        return {self.names[n]: scores[n] for n in np.unique(self.series)}


MODEL = "model"


class Asked(Protocol):
    """What a forecaster is asked for and reads: a manifest or a plan."""

    @property
    def horizon(self) -> int: ...

    @property
    def context_length(self) -> int: ...

    @property
    def quantiles(self) -> tuple[float, ...]: ...

    @property
    def needs(self) -> Needs: ...


def judge(panel: Panel, windows: Windows, manifest: Manifest, runtime: Runtime, *, learned: bool) -> Backtest:
    """A stored model's graph on `windows`, beside the baselines."""

    def answer(context: FloatArray, beside: Beside) -> FloatArray:
        return forecast(runtime, context, manifest.horizon, beside)

    return backtest(panel, windows, manifest, answer, learned=learned)


def backtest(panel: Panel, windows: Windows, manifest: Asked, answer: Answer, *, learned: bool) -> Backtest:
    """Judge `answer`, which reads what the manifest's model reads, beside the baselines on `windows`.

    Windows of series with nothing observed before the cutoff are left out: nobody can forecast them. `learned` adds
    gradient boosting, fitted on the rows before the oldest window of each series, and Theta and ETS where they are installed.
    """
    horizon, length = manifest.horizon, manifest.context_length
    before = max(length, min(int(panel.lengths.max()), 4 * panel.season_length))
    values = windows.gather(before, horizon)
    known = ~np.isnan(values[:, before - length : before]).all(axis=1)
    windows, values = windows.take(np.flatnonzero(known)), values[known]
    context, target = values[:, :before], values[:, before:]
    oldest = _oldest_cutoffs(panel, windows)
    scale = seasonal_scale(panel.target, panel.offsets, oldest, panel.season_length)
    answers = answer(context[:, before - length :], Beside(panel, windows, manifest.needs))
    forecasts = {MODEL: answers[:, :, 0]}
    for name, baseline in BASELINES.items():
        forecasts[name] = baseline(context, horizon, panel.season_length)
    if learned:
        boosted = _boosting(panel, oldest, length, horizon)
        if boosted:
            forecasts["gradient-boosting"] = boosted(context[:, before - length :])
        if others := statistical():
            history = windows.gather(min(int(panel.lengths.max()), MAX_VALUES), 0)
            forecasts |= {name: baseline(history, horizon, panel.season_length) for name, baseline in others.items()}
    names = tuple(str(name) for name in panel.series)
    return Backtest(
        series=windows.series,
        names=names,
        target=target,
        scale=scale[windows.series],
        forecasts=forecasts,
        cutoff=windows.cutoff,
        quantiles=manifest.quantiles,
        bands=answers[:, :, 1:],
    )


def subject(manifest: Manifest, version: int, seconds: float) -> Subject:
    """Which model a report is about."""
    return Subject(
        model=manifest.name,
        version=version,
        cell=", ".join(dict.fromkeys(_cell(member) for member in manifest.members)),
        parameters=manifest.parameters,
        horizon=manifest.horizon,
        context_length=manifest.context_length,
        freq=manifest.data.freq,
        season_length=manifest.data.season_length,
        seconds=round(seconds, 2),
    )


def _cell(member: NetworkSettings) -> str:
    return f"bidirectional {member.cell}" if member.bidirectional else member.cell


def make_report(about: Subject, judged: Backtest, judged_on: str) -> Report:
    """Everybody's scores in all, per step ahead and (the model's) per series."""
    others = [who for who in judged.forecasts if who != MODEL]
    return Report(
        **vars(about),
        windows=len(judged.target),
        metrics=judged.scores(MODEL),
        baselines={who: judged.scores(who) for who in others},
        by_series=judged.by_series(MODEL),
        by_step=judged.by_step(MODEL),
        baselines_by_step={who: judged.by_step(who) for who in others},
        judged_on=judged_on,
        intervals=judged.band_scores(),
        raw_intervals=judged.raw_scores(),
        calibrated=judged.calibrated,
    )


def _oldest_cutoffs(panel: Panel, windows: Windows) -> IntArray:
    """[N] the first row of each series that a window asks for; the series' end where there is none."""
    oldest: IntArray = panel.offsets[1:].copy()
    np.minimum.at(oldest, windows.series, windows.cutoff)
    return oldest


def _boosting(panel: Panel, ends: IntArray, length: int, horizon: int) -> Callable[[FloatArray], FloatArray] | None:
    drawn = sampler(panel.offsets[:-1], ends, length, horizon)
    if not len(drawn):
        return None
    series, cutoff = drawn.epoch(min(len(drawn), BOOSTING_WINDOWS), np.random.default_rng(0))
    values = Windows(panel.target, panel.offsets[:-1], ends, series, cutoff).gather(length, horizon)
    return fit_gradient_boosting(values[:, :length], values[:, length:], panel.season_length, seed=0)
