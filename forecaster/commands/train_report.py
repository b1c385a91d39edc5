"""The report of a training, and its JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from forecaster.errors import QualityError
from forecaster.evaluation.report import Report, Subject
from forecaster.evaluation.verdict import CLEARLY, SAME, share_in_words
from forecaster.serving.pretrained import PRETRAINED

if TYPE_CHECKING:
    from forecaster.evaluation.metrics import Scores
    from forecaster.serving.manifest import Contribution
    from forecaster.serving.plan_rows import PlanRow
    from forecaster.training.promotion import Promotion
    from forecaster.typing import Json


@dataclass(frozen=True)
class TrainReport(Subject):
    """The report of `train`; the model is stored under `path`."""

    path: str
    epochs: int  # run
    stopped: str  # "patience" | "epochs" | "time budget" | "interrupted"
    plan: tuple[PlanRow, ...]
    notes: tuple[str, ...]
    report: Report | None  # None where there were too few rows for test windows
    promotion: Promotion | None = None  # None: it serves without a comparison
    contributions: tuple[Contribution, ...] = ()  # of each member, where there are several and they were tested
    pretrained: Scores | None = None  # of the pretrained network on the test windows; None: none knows the season

    @property
    def added(self) -> str:
        """How much the training adds to the pretrained network, for people; "" where that is not known."""
        found = self._beside_pretrained
        if found is None:
            return ""
        name, own, other = found
        change = own / other - 1.0
        if abs(change) <= SAME:
            return f"The error is that of the pretrained network ({name.upper()} {other:.3g})."
        how = "lower" if change < 0.0 else "higher"
        return f"{abs(change):.0%} {how} error than the pretrained network ({name.upper()} {own:.3g}, {other:.3g})."

    @property
    def warning(self) -> str:
        """That the pretrained network is clearly better, and how it is had; "" where it is not."""
        found = self._beside_pretrained
        if found is None or found[2] >= (1.0 - CLEARLY) * found[1]:
            return ""
        _, own, other = found
        return (
            f"the pretrained network, which needs no training, has {share_in_words(1.0 - other / own)} lower error on the test "
            f"windows: forecaster predict DATA --model {PRETRAINED} --horizon H"
        )

    @property
    def _beside_pretrained(self) -> tuple[str, float, float] | None:
        """The measure, the error of what was trained, and that of the pretrained network; None where one is not known."""
        if self.report is None or self.pretrained is None:
            return None
        name = next(
            (one for one in self.measures if math.isfinite(getattr(self.report.metrics, one))), self.measures[1]
        )
        own, other = getattr(self.report.metrics, name), getattr(self.pretrained, name)
        return (name, own, other) if math.isfinite(own) and math.isfinite(other) and other > 0.0 else None

    @property
    def next_step(self) -> str:
        """What to do with the model, for people."""
        serves = self.promotion is None or self.promotion.promoted
        return f"Next: forecaster predict --model {self.model}" if serves else ""

    def refuse_unpromoted(self) -> None:
        """QualityError where the new version is stored but may not serve."""
        if self.promotion and not self.promotion.promoted:
            raise QualityError(
                f"{self.model}@{self.version} is stored but does not serve: {self.promotion.reason}.",
                f"Serve it all the same with `forecaster models rollback {self.model} {self.version}`.",
            )

    def to_json(self) -> dict[str, Json]:
        """The keys of the test's report, also where there is none, and those of the training."""
        tested: dict[str, Json] = {"windows": 0, "metrics": None, "baselines": {}, "judged_on": "no test windows"}
        if self.report:
            tested = self.report.to_json()
        return {
            **tested,
            **self.subject_json(),
            "path": self.path,
            "epochs": self.epochs,
            "stopped": self.stopped,
            "plan": [{"setting": row.setting, "value": row.value, "reason": row.reason} for row in self.plan],
            "notes": list(self.notes),
            "members": [dict(vars(one)) for one in self.contributions],
            "pretrained": dict(self.pretrained.to_json()) if self.pretrained else None,
            **({"promotion": self.promotion.to_json()} if self.promotion else {}),
        }
