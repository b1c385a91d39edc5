"""What training and judging found, in the words of the command line's JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from forecaster.errors import QualityError

if TYPE_CHECKING:
    from forecaster.bands import BandScores
    from forecaster.metrics import Scores
    from forecaster.typing import Json


SCORE_NAMES = ("MAE", "RMSE", "sMAPE", "MASE")


@dataclass(frozen=True)
class Subject:
    """Which model a report is about."""

    model: str
    version: int
    cell: str
    parameters: int
    horizon: int
    context_length: int
    freq: str
    season_length: int
    seconds: float  # that the command took

    def subject_json(self) -> dict[str, Json]:
        """The fields by name."""
        return {
            "model": self.model,
            "version": self.version,
            "cell": self.cell,
            "parameters": self.parameters,
            "horizon": self.horizon,
            "context_length": self.context_length,
            "freq": self.freq,
            "season_length": self.season_length,
            "seconds": self.seconds,
        }


@dataclass(frozen=True)
class Report(Subject):
    """A model held against the baselines on windows that it was not fitted on."""

    windows: int  # judged, over all series
    metrics: Scores
    baselines: Mapping[str, Scores]
    by_series: Mapping[str, Scores]  # the model's
    by_step: tuple[Scores, ...]  # [H] the model's
    baselines_by_step: Mapping[str, tuple[Scores, ...]]  # [H] each
    judged_on: str  # which rows, for people
    intervals: BandScores | None = None  # the quantiles'; None where there are none
    raw_intervals: BandScores | None = None  # before calibration; None where they are not calibrated
    calibrated: str = ""  # on what, for people

    @property
    def label(self) -> str:
        """The model's name and version."""
        return f"{self.model}@{self.version}"

    @property
    def compared(self) -> dict[str, Scores]:
        """The model's scores, then each baseline's, by who forecast."""
        return {f"{self.label} ({self.cell})": self.metrics, **self.baselines}

    @property
    def compared_by_step(self) -> dict[str, tuple[Scores, ...]]:
        """The same for each step ahead, [H] each."""
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
            "intervals": _bands(self.intervals),
            "raw_intervals": _bands(self.raw_intervals),
            "calibrated": self.calibrated,
        }


@dataclass(frozen=True)
class PlanRow:
    """One setting of the plan, and why it is what it is."""

    setting: str
    value: str | int | float | bool
    reason: str


@dataclass(frozen=True)
class Contribution:
    """What one member adds to an ensemble."""

    member: str  # what it is, for people
    error: float | None  # its own MASE on the judged windows; None = undefined
    without: float | None  # MASE of the ensemble without it


@dataclass(frozen=True)
class Verdict:
    """Whether a new version may serve in place of the one that did."""

    promoted: bool
    reason: str  # for people
    windows: int = 0  # that everybody forecast
    metric: str = ""
    scores: Mapping[str, float | None] = field(default_factory=dict)  # the new version's ("model") and its opponents'

    @property
    def refusal(self) -> str:
        """Why it may not serve; "" where it may."""
        return "" if self.promoted else self.reason

    def to_json(self) -> dict[str, Json]:
        """The fields by name."""
        return {
            "promoted": self.promoted,
            "reason": self.reason,
            "windows": self.windows,
            "metric": self.metric,
            "scores": dict(self.scores),
        }


@dataclass(frozen=True)
class TrainReport(Subject):
    """What `train` did; the model is stored under `path`."""

    path: str
    epochs: int  # run
    stopped: str  # "patience" | "epochs" | "time budget" | "interrupted"
    plan: tuple[PlanRow, ...]
    notes: tuple[str, ...]
    report: Report | None  # None where no rows could be held back
    verdict: Verdict | None = None  # None: it serves without a contest
    contributions: tuple[Contribution, ...] = ()  # of each member, where there are several and they were judged

    def refuse_unpromoted(self) -> None:
        """QualityError where the new version was kept but may not serve."""
        if self.verdict and not self.verdict.promoted:
            raise QualityError(
                f"{self.model}@{self.version} is stored but does not serve: {self.verdict.reason}.",
                f"Serve it all the same with `forecaster models rollback {self.model} {self.version}`.",
            )

    def to_json(self) -> dict[str, Json]:
        """The report's keys, whether or not there is one, and what is known of the training."""
        judged: dict[str, Json] = {"windows": 0, "metrics": None, "baselines": {}, "judged_on": "nothing was held back"}
        if self.report:
            judged = self.report.to_json()
        return {
            **judged,
            **self.subject_json(),
            "path": self.path,
            "epochs": self.epochs,
            "stopped": self.stopped,
            "plan": [{"setting": row.setting, "value": row.value, "reason": row.reason} for row in self.plan],
            "notes": list(self.notes),
            "members": [dict(vars(one)) for one in self.contributions],
            **({"promotion": self.verdict.to_json()} if self.verdict else {}),
        }


def _plain(scores: Scores) -> dict[str, Json]:
    return dict(scores.to_json())


def _bands(scores: BandScores | None) -> Json:
    if scores is None:
        return None
    below: dict[str, Json] = {repr(level): _number(share) for level, share in scores.below.items()}
    numbers: dict[str, Json] = {name: _number(value) for name, value in vars(scores).items() if name != "below"}
    return {**numbers, "below": below}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def score_values(scores: Scores) -> list[float]:
    """In the order of SCORE_NAMES; NaN = undefined."""
    return [scores.mae, scores.rmse, scores.smape, scores.mase]


def plan_lines(plan: Sequence[PlanRow]) -> list[str]:
    """What was chosen, and why: aligned lines below a header."""
    cells = [("setting", "value", "because"), *((row.setting, _shown(row.value), row.reason) for row in plan)]
    wide = [max(len(line[column]) for line in cells) for column in range(2)]
    return [f"{setting:<{wide[0]}}  {value:<{wide[1]}}  {reason}" for setting, value, reason in cells]


def _shown(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
