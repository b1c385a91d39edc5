"""How long a training will take, said before its first fit: rough, as model selection decides on the way what is fitted.

The seconds of one processor are a sum: what every training does, the compilation of each network, and the steps of each fit. The
constants were measured on one core of a server; on nine public sets the sum was .5 to 1.6 times the seconds on two cores
(benchmarks/RESULTS.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from forecaster.models.cells import CELLS
from forecaster.training.fit_types import FURTHER_EPOCHS
from forecaster.training.member_networks import pretrained_settings
from forecaster.training.plan import EPOCH_STEPS

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.models.settings import NetworkSettings
    from forecaster.training.fit_types import MemberFit
    from forecaster.training.plan import Draft
    from forecaster.training.split import Split

ALWAYS = 8.0  # seconds: simple methods, test windows, calibration, files
EACH_WINDOW = 1e-3  # seconds: forecasts of one test or validation window by all that is compared
TREES = 4.0  # seconds of each fit of a member of trees, and of its export
COMPILING = 2.3  # seconds of a network that was not fitted before
STEP = 2.7e-3  # seconds of a step, however small
RECURRENT_STEP = 1.5e-4  # seconds of one recurrent step of one layer, however small
OPERATION = 6e-11  # seconds of a multiplication and an addition, forwards and backwards
INPUT = 1e-7  # seconds to gather one value of a calendar feature or a covariate
SPEED_UP = 0.5  # exponent of the processors: compiling and small steps take one
DOUBTFUL_SHARE = 0.5  # of the fits that only some trainings need


@dataclass(frozen=True)
class _ExpectedFit:
    """One fit, or one that may be needed."""

    network: NetworkSettings
    steps: float
    batch: int
    share: float = 1.0  # of trainings that need it

    @property
    def seconds(self) -> float:
        """Of one processor, with compilation."""
        network = self.network
        recurrent = network.context_length / network.segment * network.layers * (2 if network.bidirectional else 1)
        ahead, columns = network.horizon, len(network.covariates)
        read = ahead * network.known + (network.context_length + ahead) * columns
        each = STEP + RECURRENT_STEP * recurrent + self.batch * (OPERATION * _operations(network) + INPUT * read)
        return self.share * (COMPILING + self.steps * each)

    @property
    def further(self) -> _ExpectedFit:
        """The fit that goes on from this one's weights."""
        return replace(self, steps=FURTHER_EPOCHS * self.steps)


def expected_seconds(draft: Draft, parts: Split, settings: TrainSettings, processors: int) -> float:
    """Seconds of a training on so many processors, from its plan as drafted; at most the time budget."""
    tested, windows = parts.test is not None, len(parts.test_windows)
    fits: list[_ExpectedFit] = []
    selected = parts.selection is not None and draft.questions.is_open
    if parts.selection is not None and selected:
        windows += len(parts.selection.validation or ())
        fits += _selection_fits(draft, len(parts.selection.sampler))
    served = _served_fits(draft, len(parts.final.sampler), selected=selected)
    # The test fit goes on from what model selection has fitted: the first member.
    goes_on = selected and tested
    fits += [one.further if goes_on and not i and not one.network.pretrained else one for i, one in enumerate(served)]
    if tested and settings.final_fit:
        fits += [one.further for one in served]
    of_trees = sum((selected, tested, settings.final_fit or not tested, True)) if any(draft.questions.trees) else 0
    alone = ALWAYS + EACH_WINDOW * windows + sum(fit.seconds for fit in fits) + TREES * of_trees
    seconds = alone / math.pow(processors, SPEED_UP)
    return seconds if settings.time_budget is None else min(seconds, settings.time_budget + ALWAYS)


def time_to_come(seconds: float, processors: int) -> str:
    """The figure as people say it: `about 40 s on 2 cores`."""
    shown = f"{max(5 * round(seconds / 5), 5)} s" if seconds < 100 else f"{round(seconds / 60)} min"
    return f"about {shown} on {processors} core{'s' if processors > 1 else ''}"


def _selection_fits(draft: Draft, windows: int) -> list[_ExpectedFit]:
    """Fits of model selection: every answer on the first schedule, then the others, the longer ones if they may pay."""
    plan, questions = draft.plan, draft.questions
    base = pretrained_settings(plan) if questions.pretrained else None
    tunings = _tuned_fits(base, draft, windows)
    if base and not questions.own_members:
        return tunings
    member = plan.member_fits[0]
    first, *others = questions.schedules
    fits = [_own(member, windows, first.epochs)] * (len(questions.scalings) + len(questions.contexts) - 1)
    for schedule in others:
        needed = questions.patient or schedule.epochs == first.epochs
        fits.append(replace(_own(member, windows, schedule.epochs), share=1.0 if needed else DOUBTFUL_SHARE))
    return fits + tunings


def _served_fits(draft: Draft, windows: int, *, selected: bool) -> list[_ExpectedFit]:
    """Fits of the members, once: those that start from nothing, and pretrained ones.

    `selected`: model selection chooses the schedule, of which the one in the middle is taken here, and may take a pretrained
    network as it is in place of the members of few series.
    """
    plan, questions = draft.plan, draft.questions
    base = pretrained_settings(plan) if questions.pretrained else None
    tunings = _tuned_fits(base, draft, windows)[:1] if selected else []
    count = min(questions.own_members, len(plan.members) - 1 - len(tunings)) if base else len(plan.members)
    schedules = sorted(schedule.epochs for schedule in questions.schedules)
    epochs = schedules[len(schedules) // 2] if selected else plan.fit.epochs
    share = DOUBTFUL_SHARE if base and selected and not tunings else 1.0
    own = [replace(_own(member, windows, epochs), share=share) for member in plan.member_fits[: max(count, 0)]]
    return own + tunings


def _tuned_fits(base: NetworkSettings | None, draft: Draft, windows: int) -> list[_ExpectedFit]:
    """Fits that start from the pretrained network."""
    if base is None:
        return []
    batch = min(draft.plan.fit.batch_size, windows)
    fits = [_ExpectedFit(base, tuning.epochs * EPOCH_STEPS, batch) for tuning in draft.questions.tunings]
    return [*fits[:1], *(replace(one, share=DOUBTFUL_SHARE) for one in fits[1:])]


def _own(member: MemberFit, windows: int, epochs: int) -> _ExpectedFit:
    batch = min(member.fit.batch_size, windows)
    steps = member.fit.steps_per_epoch or -(-windows // max(batch, 1))
    return _ExpectedFit(member.network, steps * epochs, batch)


def _operations(network: NetworkSettings) -> float:
    """Multiplications for one window in the recurrent layers and the head, forwards: each weight once in each step."""
    directions = 2 if network.bidirectional else 1
    inner = network.units * directions
    inputs = [2 * network.segment, *[inner] * (network.layers - 1)]
    weights = sum(directions * CELLS[network.cell].parameters(one, network.units) for one in inputs)
    return weights * network.context_length / network.segment + inner * network.horizon * network.outputs
