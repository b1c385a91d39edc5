"""The automatic plan: every setting of a model, from the training rows alone, each with its reason.

What rows can say (lengths, season, sign) is decided here; what only validation windows can say is left open for short trial
fits to answer (`trial.py`). The rules and the measurements behind them: benchmarks/ABLATIONS.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.calendar import lag_count, width
from forecaster.errors import UsageError
from forecaster.models.cells import CELLS
from forecaster.models.heads import OPEN_HEADS
from forecaster.models.scaling import TRANSFORMS
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.models.smoothing import WEIGHTS, Smoothing, smoothing_length
from forecaster.training.covariate_plan import calendar_of, covariates_of
from forecaster.training.plan import EPOCH_STEPS, Chooser, Draft, OpenQuestions, Plan, TargetScaling, TrainingSchedule

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray, IntArray

MAX_SEGMENT = 31  # a longer season is cut to its largest divisor up to this
MIN_CONTEXT = 24  # steps
MAX_CONTEXT_SEASONS = 14
SHORT_EPOCHS, LONG_EPOCHS, MAX_EPOCHS = 6, 20, 26
BATCH_SIZE, SMALL_BATCH_SIZE = 256, 64
FAST_RATE, SLOW_RATE = 5e-3, 2e-3
MEMBERS = 4
MIN_SERIES_FOR_LARGE_BATCH = 5  # windows of fewer are so much alike that a large batch teaches little more
MIN_SERIES_FOR_ONE_WINDOW = 30  # with fewer, one test window of each would score by luck, and half the context is tried
MAX_WINDOWS_PER_SERIES = 10  # and more where the rows are many:
MIN_TOTAL_WINDOWS = 60  # to learn how far forecasts stray: ten of one season say little of the next
MAX_ZERO_SHARE = 0.5  # above it the median of the actuals is 0
MAX_TEST_SHARE = 0.2  # of a series' rows
MAX_EXTRA_TEST_SHARE = 0.1  # of a series' rows, beyond MAX_WINDOWS_PER_SERIES


@dataclass(frozen=True)
class _Lengths:
    """Steps that rules go by."""

    rows: int  # of the typical series
    season: int
    horizon: int


def draft_plan(panel: Panel, settings: TrainSettings) -> Draft:
    """The plan for these rows, and what only validation windows can decide.

    UsageError for settings that contradict each other.
    """
    choose = Chooser()
    season = panel.season_length
    automatic = min(season, 96) if season > 1 else 6
    horizon = choose("horizon", settings.horizon, automatic, "one season" if season > 1 else "no season to go by")
    lengths = _Lengths(rows=int(np.median(panel.lengths)), season=season, horizon=horizon)
    windows = choose("windows", settings.windows, *_windows(len(panel.series), lengths))
    segment = _segment(choose, settings, season)
    context_length = _context_length(choose, settings, lengths, segment)
    head = choose("head", settings.head, "direct", "the whole horizon at once")
    calendar = calendar_of(choose, settings, panel, head)
    ends = _training_ends(panel, horizon, windows)
    seen = _training_values(panel, ends)
    zeros = float((seen == 0).mean()) if len(seen) else 0.0
    choose("distribution", settings.distribution, "none", "each quantile is learnt by itself")
    loss = _likelihood(choose, settings.likelihood) if settings.likelihood else _loss(choose, settings, zeros)
    scalings = _scalings(choose, settings, seen, zeros)
    base = _network(choose, settings, head, horizon=horizon, segment=segment, context_length=context_length)
    base = replace(
        base,
        transform=scalings[0].transform,
        season_length=season,
        known=width(calendar),
        lags=lag_count(calendar),
        covariates=covariates_of(choose, settings, panel, ends, horizon),
        distribution=settings.likelihood,
    )
    schedules = _schedules(settings)
    error_scale = scalings[0].error_scale
    fit = _fit(choose, settings, schedules[0], loss=loss, error_scale=error_scale, series=len(panel.series))
    members = _members(choose, settings, base)
    logs = "log" in [one.transform for one in scalings] and not settings.min  # the log of smoothing counts from 0
    smoothing, smoothings = _smoothings(choose, settings, lengths, logs)
    questions = OpenQuestions(
        scalings=scalings,
        contexts=_contexts(settings, base, len(panel.series)),
        schedules=schedules,
        smoothings=smoothings,
    )
    plan = Plan(
        horizon=horizon,
        members=members,
        fit=fit,
        calendar=calendar,
        windows=windows,
        rows=tuple(choose.rows),
        smoothing=smoothing,
    )
    return Draft(plan, questions)


def _windows(series: int, lengths: _Lengths) -> tuple[int, str]:
    """How many windows a series can spare for the scores."""
    rows, horizon = lengths.rows, lengths.horizon
    if rows < 2 * horizon + 2:
        return 0, "the series are too short to hold any back"
    if series >= MIN_SERIES_FOR_ONE_WINDOW:
        return 1, f"{series} series give {series} windows"
    some = min(MAX_WINDOWS_PER_SERIES, int(MAX_TEST_SHARE * rows) // horizon)
    many = min(-(-MIN_TOTAL_WINDOWS // series), int(MAX_EXTRA_TEST_SHARE * rows) // horizon)
    extra = f"{MAX_EXTRA_TEST_SHARE:.0%} for more than {MAX_WINDOWS_PER_SERIES}"
    return max(1, some, many), f"at most {MAX_TEST_SHARE:.0%} of a series' rows, {extra}"


def _segment(choose: Chooser, settings: TrainSettings, season: int) -> int:
    longest = max(d for d in range(1, MAX_SEGMENT + 1) if season % d == 0)
    if settings.context_length:
        longest = max(d for d in range(1, longest + 1) if settings.context_length % d == 0)
    return choose("segment", settings.segment, longest, "a season, or the largest part that fits")


def _context_length(choose: Chooser, settings: TrainSettings, lengths: _Lengths, segment: int) -> int:
    """A multiple of the segment."""
    least = _least_context(lengths.season, lengths.horizon)
    most = max(MAX_CONTEXT_SEASONS * lengths.season, least)
    third = lengths.rows // 3
    automatic = _whole_segments(min(max(third, least), most), segment)
    why = f"a third of the rows, between 2 and {MAX_CONTEXT_SEASONS} seasons and 1.25 horizons at least"
    context_length = choose("context_length", settings.context_length, automatic, why)
    if context_length % segment:
        raise UsageError(
            f"--context-length {context_length} is not a multiple of --segment {segment}.",
            f"Take {_whole_segments(context_length, segment)}, or another segment.",
        )
    return context_length


def _least_context(season: int, horizon: int) -> int:
    return max(2 * season, -(-5 * horizon // 4), MIN_CONTEXT)


def _whole_segments(length: int, segment: int) -> int:
    """The length, rounded up."""
    return -(-length // segment) * segment


def _contexts(settings: TrainSettings, base: NetworkSettings, series: int) -> tuple[int, ...]:
    """The rule's context, and half of it where that is enough: few series do not teach a network to pass over what is old."""
    length, half = base.context_length, _whole_segments(base.context_length // 2, base.segment)
    asked = series < MIN_SERIES_FOR_ONE_WINDOW and not settings.context_length and not _by_passes(settings)
    enough = _least_context(base.season_length, base.horizon) <= half < length
    return (length, half) if asked and enough else (length,)


def _training_values(panel: Panel, ends: IntArray) -> FloatArray:
    """Observed values before the rows `ends` [N]: what choices may be made from."""
    row = np.arange(len(panel.target))
    values = panel.target[row < np.repeat(ends, panel.lengths)]
    return values[~np.isnan(values)]


def _training_ends(panel: Panel, horizon: int, windows: int) -> IntArray:
    """[N] first of each series' rows that are in test windows."""
    return np.maximum(panel.offsets[1:] - horizon * windows, panel.offsets[:-1])


def _loss(choose: Chooser, settings: TrainSettings, zeros: float) -> str:
    """Where most values are 0 the median is 0, too: only squared errors ask for the mean, and so for totals that are right."""
    if zeros > MAX_ZERO_SHARE:
        return choose(
            "loss", settings.loss, "mse", f"{zeros:.0%} of the values are 0: absolute errors would forecast 0"
        )
    return choose("loss", settings.loss, "mae", "robust, and what MASE measures")


def _likelihood(choose: Chooser, distribution: str) -> str:
    """No row of LOSSES: a distribution has one way to be learnt, in the network's own units."""
    return choose("loss", None, "likelihood", f"that of the {distribution} distribution")


def _scalings(choose: Chooser, settings: TrainSettings, seen: FloatArray, zeros: float) -> tuple[TargetScaling, ...]:
    """Scalings to choose from. A log goes with relative errors or the window's own, none with the seasonal scale."""
    nonnegative = bool((seen >= (settings.min or 0.0)).all())
    given = None if settings.transform in (None, "auto") else settings.transform
    if given and TRANSFORMS[given].needs_nonnegative and not nonnegative:
        raise UsageError(
            f"--transform {given} needs values of 0 and above.", "Give --transform none, or --min what can be."
        )
    # The mean of logs is not the log of the mean, which is what counts where most values are 0.
    logs = nonnegative and zeros <= MAX_ZERO_SHARE and not settings.counts
    names = [given] if given else ["none", "log"] if logs else ["none"]
    scales = {"none": ("series",), "log": ("transform", "window")}
    own = (settings.error_scale,) if settings.error_scale else scales[given][:1] if given else None
    if settings.likelihood:
        own = ("window",)  # a likelihood has no other scale than that of the network's units
    scalings = tuple(TargetScaling(name, scale) for name in names for scale in own or scales[name])
    choose("transform", given, names[0], "no other is possible" if len(names) == 1 else "no trial could be held")
    if not settings.likelihood:
        choose("error_scale", settings.error_scale, scalings[0].error_scale, "goes with the transform")
    return scalings


def _network(
    choose: Chooser, settings: TrainSettings, head: str, *, horizon: int, segment: int, context_length: int
) -> NetworkSettings:
    given = None if settings.cell == "auto" else settings.cell
    why = "most for its cost where data or computing is scarce"
    cell = choose("cell", given, "gru", "no trial could be held" if settings.cell else why)
    layers = choose("layers", settings.layers, 1, "more did not pay")
    return NetworkSettings(
        cell=cell,
        units=choose("units", settings.units, 64, "more did not pay"),
        layers=layers,
        bidirectional=choose("bidirectional", settings.bidirectional, False, "costs twice as much"),
        dropout=choose("dropout", settings.dropout, 0.1, "mild, against overfitting"),
        residual=choose("residual", settings.residual, layers > 1, "links from layer to layer where there are several"),
        reset_after=settings.reset_after is not False if CELLS[cell].has_reset_gate else True,
        context_length=context_length,
        horizon=horizon,
        segment=segment,
        head=head,
        transform="none",
        center=choose("center", settings.center, "season", "the newest season's mean is the level that goes on"),
        input_initializer=settings.input_initializer or "glorot",
        recurrent_initializer=settings.recurrent_initializer or "orthogonal",
        quantiles=settings.quantiles,
        origin=settings.min or 0.0,
        linear=choose("linear", settings.linear, head in OPEN_HEADS, "trends and plain seasons need no recurrence"),
    )


def _by_passes(settings: TrainSettings) -> bool:
    """Epochs of whole passes are asked for, as in the textbooks."""
    return settings.epochs is not None and settings.steps_per_epoch is None


def _schedules(settings: TrainSettings) -> tuple[TrainingSchedule, ...]:
    """Schedules to choose from: few steps fast or slowly, or more, or many."""
    rate = settings.learning_rate
    fast, slow = rate or (SLOW_RATE if _by_passes(settings) else FAST_RATE), rate or SLOW_RATE
    if settings.epochs:
        return (TrainingSchedule(settings.epochs, fast),)
    choices = ((SHORT_EPOCHS, fast), (SHORT_EPOCHS, slow), (LONG_EPOCHS, fast), (MAX_EPOCHS, fast))
    return tuple(TrainingSchedule(epochs, rate) for epochs, rate in dict.fromkeys(choices))


def _fit(
    choose: Chooser,
    settings: TrainSettings,
    schedule: TrainingSchedule,
    *,
    loss: str,
    error_scale: str,
    series: int,
) -> FitSettings:
    """How to fit a network to the windows of so many series."""
    by_passes = _by_passes(settings)
    steps = 0 if by_passes else choose("steps_per_epoch", settings.steps_per_epoch, EPOCH_STEPS, "validated this often")
    batch, why = BATCH_SIZE, "or every window, of fewer"
    if series < MIN_SERIES_FOR_LARGE_BATCH:
        batch, why = SMALL_BATCH_SIZE, "windows of few series are much alike"
    return FitSettings(
        loss=loss,
        error_scale=error_scale,
        epochs=choose("epochs", settings.epochs, schedule.epochs, "no trial could be held"),
        batch_size=choose("batch_size", settings.batch_size, batch, why),
        steps_per_epoch=steps,
        learning_rate=choose("learning_rate", settings.learning_rate, schedule.learning_rate, "no trial could be held"),
        schedule=choose("schedule", settings.schedule, "cosine", "falls to 0 at the end"),
        clip_norm=choose("clip_norm", settings.clip_norm, 1.0, "gradients of recurrent networks can explode"),
        patience=choose("patience", settings.patience, 0, "trial fits choose the number of steps instead"),
        seed=settings.seed,
    )


def _smoothings(
    choose: Chooser, settings: TrainSettings, lengths: _Lengths, nonnegative: bool
) -> tuple[Smoothing | None, tuple[Smoothing, ...]]:
    """The smoothing to blend in, and those to choose from."""
    season = lengths.season
    length = smoothing_length(season, lengths.rows)
    if not length and settings.floor:
        raise UsageError(f"--floor: a season of {season} steps is too long for it.", "Leave it out.")
    choose("floor", settings.floor, 0.0, "no trial could be held" if length else "the season is too long for it")
    if not length or settings.floor == 0.0:
        return None, ()
    smoothings = tuple(
        Smoothing(season_length=season, length=length, horizon=lengths.horizon, log=nonnegative, weight=weight)
        for weight in WEIGHTS
        if weight
    )
    if settings.floor is not None:
        return replace(smoothings[0], weight=settings.floor), ()
    return None, () if _by_passes(settings) else smoothings


def _members(choose: Chooser, settings: TrainSettings, base: NetworkSettings) -> tuple[NetworkSettings, ...]:
    """Networks that differ by more than their seeds, but never in what was given."""
    plain = _by_passes(settings) or base.head not in OPEN_HEADS
    why = "one network, as in the textbooks" if plain else "their median errs less than each of them"
    count = choose("members", settings.members, 1 if plain else MEMBERS, why)
    if count > 1:
        combine = choose("combine", settings.combine, "median", "one member that goes astray does not move it")
        base = replace(base, combine=combine)
    elif settings.combine:
        raise UsageError(f"--combine has no effect: {why}.", "Give --members 2 or more.")
    changes: list[NetworkSettings] = [
        base,
        replace(base, center=settings.center or "mean"),
        base if settings.cell else replace(base, cell="lstm", reset_after=True),
        replace(base, center=settings.center or "last", dropout=base.dropout if settings.dropout is not None else 0.3),
    ]
    return tuple(changes[i % len(changes)] for i in range(count))
