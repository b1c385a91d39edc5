"""The automatic plan: every setting of a model, from the training rows alone, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from forecaster.errors import UsageError
from forecaster.models.cells import CELLS
from forecaster.models.fit import FitSettings
from forecaster.models.network import NetworkSettings
from forecaster.models.transforms import TRANSFORMS
from forecaster.report import PlanRow

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray

T = TypeVar("T", int, float, str, bool)

LONGEST_SEGMENT = 31  # a longer season is cut to its largest divisor up to this
SEASONS = 4  # of context, where the rows allow it
STEPS = 1000  # of training in all, in epochs of EPOCH_STEPS
EPOCH_STEPS = 50
BATCH_SIZE = 256
FEW_SERIES = 30  # with fewer, one held-back window a series would judge by luck
MOST_WINDOWS = 10
HELD_BACK = 0.2  # of a series' rows, at most


@dataclass(frozen=True)
class Plan:
    """What will be trained, and how."""

    horizon: int
    members: tuple[NetworkSettings, ...]
    fit: FitSettings
    windows: int  # held back per series for the scores, one horizon apart; 0 = too few rows
    rows: tuple[PlanRow, ...]


class _Chooser:
    """Collects settings with their reasons: a given value wins, else what the rule says."""

    def __init__(self) -> None:
        self.rows: list[PlanRow] = []

    def __call__(self, setting: str, given: T | None, automatic: T, reason: str) -> T:
        value, because = (automatic, reason) if given is None else (given, "as given")
        self.rows.append(PlanRow(setting, value, because))
        return value


def make_plan(panel: Panel, settings: TrainSettings) -> Plan:
    """UsageError for settings that contradict each other."""
    _refuse_contradictions(settings)
    choose = _Chooser()
    season = panel.season_length
    automatic = min(season, 96) if season > 1 else 6
    horizon = choose("horizon", settings.horizon, automatic, "one season" if season > 1 else "no season to go by")
    rows = int(np.median(panel.lengths))
    windows = choose("windows", settings.windows, *_windows(len(panel.series), rows, horizon))
    segment, context_length = _lengths(choose, settings, season, horizon, rows)
    seen = _training_values(panel, horizon, windows)
    members = (_network(choose, settings, seen, (horizon, segment, context_length)),)
    return Plan(horizon, members, _fit(choose, settings), windows, tuple(choose.rows))


def _refuse_contradictions(settings: TrainSettings) -> None:
    """An option that has no effect with the others given is an error."""
    cell = CELLS[settings.cell or "gru"]
    if settings.reset_after is not None and not cell.has_reset_gate:
        raise UsageError(f"--reset-after has no effect on {cell.name}: it has no reset gate.", "Leave it out.")
    if settings.residual and (settings.layers or 1) == 1 and settings.segment == 1:
        raise UsageError("--residual has no effect on one layer at --segment 1.", "Give --layers 2 or more.")
    if settings.resume and settings.start_from:
        raise UsageError("--resume and --from contradict each other.", "Give one of them.")
    if settings.schedule == "constant" and settings.learning_rate == 0:
        raise UsageError("--learning-rate 0 learns nothing.", "Give a rate above 0.")


def _windows(series: int, rows: int, horizon: int) -> tuple[int, str]:
    """How many windows a series can spare for the scores."""
    if rows < 2 * horizon + 2:
        return 0, "the series are too short to hold any back"
    if series >= FEW_SERIES:
        return 1, f"{series} series give {series} windows"
    spare = int(HELD_BACK * rows) // horizon
    count = max(1, min(MOST_WINDOWS, spare))
    return count, f"at most {HELD_BACK:.0%} of a series' rows"


def _lengths(choose: _Chooser, settings: TrainSettings, season: int, horizon: int, rows: int) -> tuple[int, int]:
    """Segment S and context length L, a multiple of it."""
    longest = max(d for d in range(1, LONGEST_SEGMENT + 1) if season % d == 0)
    if settings.context_length:
        longest = max(d for d in range(1, longest + 1) if settings.context_length % d == 0)
    segment = choose(
        "segment", settings.segment, longest, "a season, or the largest part of it that divides the context"
    )
    wanted = max(SEASONS * season, -(-5 * horizon // 4), 8)
    spare = max(rows - horizon, rows // 2, segment)
    automatic = -(-min(wanted, spare) // segment) * segment
    context_length = choose(
        "context_length", settings.context_length, automatic, f"{SEASONS} seasons or 1.25 horizons, as the rows allow"
    )
    if context_length % segment:
        raise UsageError(
            f"--context-length {context_length} is not a multiple of --segment {segment}.",
            f"Take {-(-context_length // segment) * segment}, or another segment.",
        )
    return segment, context_length


def _training_values(panel: Panel, horizon: int, windows: int) -> FloatArray:
    """Observed values before the held-back rows: what choices may be made from."""
    ends = np.maximum(panel.offsets[1:] - horizon * windows, panel.offsets[:-1])
    row = np.arange(len(panel.target))
    values = panel.target[row < np.repeat(ends, panel.lengths)]
    return values[~np.isnan(values)]


def _network(
    choose: _Chooser, settings: TrainSettings, seen: FloatArray, lengths: tuple[int, int, int]
) -> NetworkSettings:
    horizon, segment, context_length = lengths
    cell = choose("cell", settings.cell, "gru", "best for its cost where data or computing is scarce")
    layers = choose("layers", settings.layers, 1, "more did not pay")
    given = None if settings.transform in (None, "auto") else settings.transform
    positive = len(seen) > 0 and bool((seen >= 0).all())
    transform = choose(
        "transform", given, "log" if positive else "none", "no value below 0" if positive else "values below 0"
    )
    if TRANSFORMS[transform].needs_nonnegative and not positive:
        raise UsageError(f"--transform {transform} needs values of 0 and above.", "Give --transform none.")
    return NetworkSettings(
        cell=cell,
        units=choose("units", settings.units, 64, "enough for most panels"),
        layers=layers,
        bidirectional=choose("bidirectional", settings.bidirectional, False, "costs twice as much"),
        dropout=choose("dropout", settings.dropout, 0.1, "mild, against overfitting"),
        residual=choose("residual", settings.residual, layers > 1, "links from layer to layer where there are several"),
        reset_after=settings.reset_after is not False if CELLS[cell].has_reset_gate else True,
        context_length=context_length,
        horizon=horizon,
        segment=segment,
        head=choose("head", settings.head, "direct", "the whole horizon at once"),
        transform=transform,
        center=choose("center", settings.center, "mean", "steadier than the last value"),
        input_initializer=settings.input_initializer or "glorot",
        recurrent_initializer=settings.recurrent_initializer or "orthogonal",
        quantiles=settings.quantiles,
    )


def _fit(choose: _Chooser, settings: TrainSettings) -> FitSettings:
    by_passes = settings.epochs is not None and settings.steps_per_epoch is None
    steps = 0 if by_passes else choose("steps_per_epoch", settings.steps_per_epoch, EPOCH_STEPS, "validated this often")
    return FitSettings(
        loss=choose("loss", settings.loss, "mae", "robust, and what MASE measures"),
        error_scale=choose("error_scale", settings.error_scale, "series", "every series weighs alike"),
        epochs=choose("epochs", settings.epochs, max(1, STEPS // max(steps, 1)), f"{STEPS} steps in all"),
        batch_size=choose("batch_size", settings.batch_size, BATCH_SIZE, "or every window, where there are fewer"),
        steps_per_epoch=steps,
        learning_rate=choose("learning_rate", settings.learning_rate, 2e-3, "Adam, with the schedule below"),
        schedule=choose("schedule", settings.schedule, "cosine", "falls to 0 at the end"),
        clip_norm=choose("clip_norm", settings.clip_norm, 1.0, "gradients of recurrent networks can explode"),
        patience=choose(
            "patience", settings.patience, 0 if by_passes else 8, "epochs without a better validation loss"
        ),
        seed=settings.seed,
    )
