"""The report of an evaluation. Its fields have the names of the command line's JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forecaster.models.served_method import member_kind
from forecaster.serving.forecast import MODEL

if TYPE_CHECKING:
    from pathlib import Path

    from forecaster.data.panel import Panel
    from forecaster.evaluation.backtest import Backtest
    from forecaster.evaluation.metrics import Scores
    from forecaster.evaluation.quantile_metrics import QuantileScores
    from forecaster.serving.manifest import Manifest
    from forecaster.typing import Json


@dataclass(frozen=True)
class Subject:
    """The model that a report is about."""

    model: str
    version: int  # 0: not a stored model
    cell: str
    method: str  # what is served, in words
    parameters: int
    horizon: int
    context_length: int
    freq: str
    season_length: int
    seconds: float  # duration of the command
    forecasts_mean: bool  # else medians or other quantiles

    @property
    def measures(self) -> tuple[str, str]:
        """The scores that errors are compared by: in units of seasonal differences and, where these are 0, in the caller's.

        Means have the lowest squares, medians the lowest absolute errors: of a series that mostly is 0 the median is 0.
        """
        return ("rmsse", "rmse") if self.forecasts_mean else ("mase", "mae")

    def subject_json(self) -> dict[str, Json]:
        """The fields by name."""
        return {
            "model": self.model,
            "version": self.version or None,
            "cell": self.cell,
            "method": self.method,
            "parameters": self.parameters,
            "horizon": self.horizon,
            "context_length": self.context_length,
            "freq": self.freq,
            "season_length": self.season_length,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Report(Subject):
    """A model compared with the baselines on windows that it was not fitted on."""

    windows: int  # test windows of all series together
    metrics: Scores
    baselines: Mapping[str, Scores]
    by_series: Mapping[str, Scores]  # the model's
    by_step: tuple[Scores, ...]  # [H] the model's
    baselines_by_step: Mapping[str, tuple[Scores, ...]]  # [H] each
    judged_on: str  # a description of the test windows, for people
    intervals: QuantileScores | None = None  # of the quantile forecasts; None where there are none
    raw_intervals: QuantileScores | None = None  # before calibration; None where they are not calibrated
    calibrated: str = ""  # on which windows, for people
    backtest: Backtest | None = field(default=None, repr=False, compare=False)  # the windows, for tables and plots

    @property
    def label(self) -> str:
        """The model's name, and the version of a stored one."""
        return f"{self.model}@{self.version}" if self.version else self.model

    @property
    def compared(self) -> dict[str, Scores]:
        """Scores by forecaster: the model, then the baselines."""
        return {f"{self.label} ({self.method})": self.metrics, **self.baselines}

    @property
    def compared_by_step(self) -> dict[str, tuple[Scores, ...]]:
        """Scores for each step ahead [H], by forecaster."""
        return {self.label: self.by_step, **self.baselines_by_step}

    def to_json(self) -> dict[str, Json]:
        """Everything; a score that is undefined is None."""
        return {
            **self.subject_json(),
            "windows": self.windows,
            "metrics": _plain(self.metrics),
            "baselines": {name: _plain(scores) for name, scores in self.baselines.items()},
            "by_series": {name: _plain(scores) for name, scores in self.by_series.items()},
            "by_step": [_plain(scores) for scores in self.by_step],
            "baselines_by_step": {name: [_plain(s) for s in steps] for name, steps in self.baselines_by_step.items()},
            "judged_on": self.judged_on,
            "intervals": _quantile_json(self.intervals),
            "raw_intervals": _quantile_json(self.raw_intervals),
            "calibrated": self.calibrated,
        }


@dataclass(frozen=True)
class Evaluated:
    """A backtest with its report, its data, and the model."""

    report: Report
    backtest: Backtest
    panel: Panel  # the data of the test windows
    manifest: Manifest | None  # None: no stored model
    folder: Path | None  # of the stored model


def subject(manifest: Manifest, version: int, seconds: float) -> Subject:
    """The subject of a report on a stored model."""
    return Subject(
        model=manifest.name,
        version=version,
        cell=", ".join(dict.fromkeys(member_kind(member) for member in manifest.members)),
        method=manifest.served,
        parameters=manifest.parameters,
        horizon=manifest.horizon,
        context_length=manifest.context_length,
        freq=manifest.data.freq,
        season_length=manifest.data.season_length,
        seconds=round(seconds, 2),
        forecasts_mean=manifest.forecasts_mean,
    )


def make_report(about: Subject, found: Backtest) -> Report:
    """The report of a backtest: scores in all and per step ahead, and the model's per series."""
    holdout, scores = found.holdout, found.scores()
    return Report(
        **vars(about),
        windows=len(holdout.target),
        metrics=scores[MODEL],
        baselines={who: scores[who] for who in found.baselines},
        by_series=holdout.scores_by_series(found.prediction),
        by_step=holdout.scores_by_step(found.prediction),
        baselines_by_step={who: holdout.scores_by_step(forecast) for who, forecast in found.baselines.items()},
        judged_on=holdout.description,
        intervals=found.quantile_scores(),
        raw_intervals=found.raw_scores(),
        calibrated=found.calibrated,
        backtest=found,
    )


def _plain(scores: Scores) -> dict[str, Json]:
    return dict(scores.to_json())


def _quantile_json(scores: QuantileScores | None) -> Json:
    return None if scores is None else scores.to_json()
