"""The command `explain`: how much each input of a stored model, and each stretch of its context, changes the forecast.

One input of each window is replaced by another window's, and all other inputs stay (permutation importance, Breiman 2001).
A stretch of context is standardised by each window's own level and spread before the exchange, so that series of any size are
comparable.

Our own code: scikit-learn's `permutation_importance` takes one table, the network takes several arrays of windows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from forecaster.data.calendar import row_words, width
from forecaster.data.extra_inputs import ExtraInputs
from forecaster.errors import DataError
from forecaster.evaluation.holdout import stored_test
from forecaster.models.isolated_outliers import without_isolated_outliers
from forecaster.serving.open_model import model_of_data, open_model, read_for
from forecaster.serving.remote_store import at_hand
from forecaster.serving.runtime import forecast
from forecaster.serving.series_ends import as_in_training

if TYPE_CHECKING:
    from forecaster.config import ExplainSettings
    from forecaster.serving.manifest import Manifest
    from forecaster.typing import Data, FloatArray, IntArray, Json, Watch

Inputs: TypeAlias = "Mapping[str, FloatArray]"  # name -> [W, …]; "context" among them

REPEATS = 3  # permutations; the mean is shown
MAX_STRETCHES = 14


@dataclass(frozen=True)
class Effect:
    """One input, or one stretch of the context."""

    role: str  # "known" | "past" | "static" | "calendar" | "lags" | "context"
    name: str
    moved: float  # mean absolute change of the forecast, over the seasonal scale as in MASE
    error: float  # increase of MASE when it is permuted; NaN where it is undefined


@dataclass(frozen=True)
class Explanation:
    """How much each input changes the forecasts, in descending order; then each stretch, from the oldest to the latest."""

    model: str
    version: int
    windows: int
    judged_on: str
    mase: float
    effects: tuple[Effect, ...]
    seconds: float

    def __repr__(self) -> str:
        inputs = ", ".join(one.name for one in self.effects if one.role != "context") or "the context alone"
        return f"<Explanation {self.model}@{self.version}: MASE {self.mase:.3g} over {self.windows} windows; {inputs}>"

    def to_json(self) -> dict[str, Json]:
        """Everything, by name."""
        effects: list[Json] = [dict(asdict(one)) for one in self.effects]
        return {**{key: value for key, value in vars(self).items() if key != "effects"}, "effects": effects}


def explain(data: Data | None, settings: ExplainSettings, watch: Watch) -> Explanation:
    """Permute each input over the test windows of `evaluate`.

    DataError where there are fewer than two windows; the other errors are those of `evaluate`.
    """
    began = time.monotonic()
    data, settings = model_of_data(settings.source(data), at_hand(settings), watch)
    opened = open_model(settings.models, settings.model)
    manifest = opened.manifest
    panel = as_in_training(opened, read_for(manifest, data, settings))
    test = stored_test(panel, opened, settings)
    holdout, windows = test.holdout, test.holdout.windows
    if len(windows) < 2:
        raise DataError(f"{panel.source}: only one test window: no other to exchange inputs with.", "Give more rows.")
    others = {name: values[:, 0] for name, values in ExtraInputs(panel, windows, manifest.needs)().items()}
    context = without_isolated_outliers(windows.gather(manifest.context_length, 0), panel.season_length)
    inputs: Inputs = {"context": context, **others}

    def answer(named: Inputs) -> FloatArray:
        def gather(part: slice) -> dict[str, FloatArray]:
            return {name: values[part, None] for name, values in named.items() if name != "context"}

        return forecast(test.runtime, named["context"], manifest.horizon, gather)[:, :, 0]

    measure = _Measure(answer, inputs, holdout.target, holdout.seasonal_scale)
    effects = [measure(role, name, change) for role, name, change in _changes(manifest)]
    watch.note(f"{len(windows)} windows, each input exchanged {REPEATS} times")
    ranked = sorted((one for one in effects if one.role != "context"), key=lambda one: -one.moved)
    return Explanation(
        model=manifest.name,
        version=opened.version,
        windows=len(windows),
        judged_on=holdout.description,
        mase=measure.error,
        effects=(*ranked, *(one for one in effects if one.role == "context")),
        seconds=round(time.monotonic() - began, 2),
    )


Change: TypeAlias = Callable[["Inputs", "IntArray"], "Inputs"]  # inputs, and the window to take the new values from


class _Measure:
    """Compares the forecasts after one exchange with those without."""

    def __init__(
        self, answer: Callable[[Inputs], FloatArray], inputs: Inputs, target: FloatArray, scale: FloatArray
    ) -> None:
        self.answer, self.inputs, self.target = answer, inputs, target
        usable = np.isfinite(scale) & (scale > 0.0)
        self.scale = np.where(usable, scale, np.nan)[:, None]
        self.plain = answer(inputs)
        self.error = self._error(self.plain)

    def __call__(self, role: str, name: str, change: Change) -> Effect:
        rng = np.random.default_rng(0)
        moved, errors = [], []
        for _ in range(REPEATS):
            found = self.answer(change(self.inputs, _others(len(self.plain), rng)))
            moved.append(_mean(np.abs(found - self.plain) / self.scale))
            errors.append(self._error(found))
        return Effect(role=role, name=name, moved=float(np.mean(moved)), error=float(np.mean(errors)) - self.error)

    def _error(self, found: FloatArray) -> float:
        return _mean(np.abs(found - self.target) / self.scale)


def _mean(values: FloatArray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _others(count: int, rng: np.random.Generator) -> IntArray:
    """[W] another window for each window: a random cycle, so that none keeps its own."""
    order = rng.permutation(count)
    other = np.empty(count, dtype=np.int64)
    other[order] = np.roll(order, 1)
    return other


def _changes(manifest: Manifest) -> list[tuple[str, str, Change]]:
    """Everything that the graph reads, as (role, name, exchange)."""
    return [*_covariates(manifest), *_calendar(manifest), *_stretches(manifest)]


def _covariates(manifest: Manifest) -> list[tuple[str, str, Change]]:
    found: list[tuple[str, str, Change]] = []
    place = {"known": 0, "past": sum(one.role == "known" for one in manifest.covariates), "static": 0}
    before = manifest.members[0].known_width
    for one in manifest.covariates:
        column = place[one.role]
        place[one.role] += 1
        places = {"known": {"known": before + column, "past": column}, "past": {"past": column}}
        where = places.get(one.role, {"static": column})
        found.append((one.role, one.name, lambda inputs, other, where=where: _swapped(inputs, other, where)))  # type: ignore[misc]
    return found


def _swapped(inputs: Inputs, other: IntArray, where: Mapping[str, int]) -> Inputs:
    """Column `where[name]` of each input as the other window has it."""
    changed = dict(inputs)
    for name, column in where.items():
        changed[name] = inputs[name].copy()
        changed[name][..., column] = inputs[name][other][..., column]
    return changed


def _calendar(manifest: Manifest) -> list[tuple[str, str, Change]]:
    """All calendar inputs together, and all lagged values together."""
    member = manifest.members[0]
    found: list[tuple[str, str, Change]] = []
    if width(manifest.calendar):

        def stamps(inputs: Inputs, other: IntArray) -> Inputs:
            changed = dict(inputs)
            if "known" in inputs:
                changed["known"] = inputs["known"].copy()
                changed["known"][:, :, : member.known] = inputs["known"][other][:, :, : member.known]
            if "days" in inputs:  # of the steps ahead; what is added to a series is in its own units
                ahead = slice(manifest.context_length, None)
                _, spread = _located(inputs["context"])
                changed["days"] = inputs["days"].copy()
                changed["days"][:, ahead, 0] = inputs["days"][other, ahead, 0]
                changed["days"][:, ahead, 1] = (inputs["days"][:, ahead, 1] / spread)[other] * spread
            return changed

        found.append(("calendar", ", ".join(map(row_words, manifest.calendar)), stamps))
    if member.lags:

        def lags(inputs: Inputs, other: IntArray) -> Inputs:
            part, known = slice(member.known, member.known_width), inputs["known"].copy()
            level, spread = _located(inputs["context"])
            z = (known[:, :, part] - level[:, :, None]) / spread[:, :, None]
            known[:, :, part] = z[other] * spread[:, :, None] + level[:, :, None]
            return {**inputs, "known": known}

        found.append(("lags", "long ago", lags))
    return found


def _stretches(manifest: Manifest) -> list[tuple[str, str, Change]]:
    """Stretches of one season, or of several, so that there are 14 at most; and what only a seasonal profile is learnt from."""
    length, season = manifest.context_length, max(manifest.data.season_length, manifest.members[0].segment)
    near = manifest.reach
    step = season * max(1, -(-near // (season * MAX_STRETCHES)))
    edges = sorted({*range(length, length - near, -step), length - near, 0})

    def stretch(first: int, last: int) -> Change:
        def change(inputs: Inputs, other: IntArray) -> Inputs:
            context = inputs["context"].copy()
            level, spread = _located(context)
            z = (context - level) / spread
            context[:, first:last] = (z[other] * spread + level)[:, first:last]
            return {**inputs, "context": context}

        return change

    return [
        ("context", f"{length - first} to {length - last + 1} back", stretch(first, last))
        for first, last in pairwise(edges)
    ]


def _located(context: FloatArray) -> tuple[FloatArray, FloatArray]:
    """[W, 1] mean and [W, 1] standard deviation of each window; 1 for a constant window."""
    level = np.nanmean(context, axis=1, keepdims=True)
    spread = np.nanstd(context, axis=1, keepdims=True)
    return level, np.where(spread > 0.0, spread, 1.0)
