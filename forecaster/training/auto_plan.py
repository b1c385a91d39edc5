"""The automatic plan: every setting of a model, from the training rows alone, each with its reason.

What the rows show (lengths, season, sign) is decided here; what only validation windows can show is left to model selection
(`selection.py`). The measurements that the rules come from are in benchmarks/ABLATIONS.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.calendar import lag_count, width
from forecaster.data.summary import logs_keep_range
from forecaster.errors import DataError, UsageError
from forecaster.models.cells import CELLS
from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING, WEIGHTS, Smoothing, smoothing_length
from forecaster.models.heads import OPEN_HEADS
from forecaster.models.losses import pinball_level
from forecaster.models.scaling import TRANSFORMS
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.models.simple_methods import DRIFT, NAIVE, SEASONAL_NAIVE
from forecaster.serving.pretrained import find_card
from forecaster.training.input_plan import calendar_of, covariates_of
from forecaster.training.optimizer_plan import rate_of, with_optimizer
from forecaster.training.plan import EPOCH_STEPS, Chooser, Draft, OpenQuestions, Plan, TargetScaling, TrainingSchedule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray, IntArray

MAX_DEFAULT_HORIZON, HORIZON_WITHOUT_SEASON = 96, 6  # steps
MAX_SEGMENT = 31  # a longer season is cut to its largest divisor up to this
MIN_CONTEXT = 24  # steps
MAX_CONTEXT_SEASONS = 14
NO_SELECTION = "the default without model selection"
SHORT_EPOCHS, LONG_EPOCHS, MAX_EPOCHS = 6, 20, 26
BATCH_SIZE, SMALL_BATCH_SIZE = 256, 64
FAST_RATE, SLOW_RATE = 5e-3, 2e-3
MEMBERS = 4
NOT_ITS_OWN = ("horizon", "combine", "transform")  # settings of a plan that rule no pretrained network out
PARTS = (
    "input_initializer",
    "recurrent_initializer",
    "reset_after",
    "recurrent_dropout",
    "attention",
)  # no rows of the plan
MIN_SERIES_TO_TUNE = (
    30  # with fewer, a pretrained network learns its windows by heart, and few validation windows show it
)
MIN_SERIES_FOR_LARGE_BATCH = 5  # windows of fewer are so similar that a large batch adds little to the gradient
MIN_SERIES_FOR_ONE_WINDOW = 30  # fewer need several test windows for a reliable score, and half the context is tried
MAX_WINDOWS_PER_SERIES = 10  # and more where there are many rows, see MAX_EXTRA_TEST_SHARE
MIN_TOTAL_WINDOWS = 60  # to calibrate intervals: ten windows in one season say little about another
UNTESTED_WEIGHT = 0.5  # of exponential smoothing where there are too few rows to choose one: either may be far off
ALONE_WEIGHTS = (0.5, 1.0)  # of the other simple methods
MAX_ZERO_SHARE = 0.5  # above it the median of the actuals is 0
MAX_TEST_SHARE = 0.2  # of a series' rows
MAX_EXTRA_TEST_SHARE = 0.1  # of a series' rows, beyond MAX_WINDOWS_PER_SERIES


@dataclass(frozen=True)
class _Lengths:
    """Lengths in steps that the rules depend on."""

    rows: int  # of the typical series
    season: int
    horizon: int


def draft_plan(panel: Panel, settings: TrainSettings) -> Draft:
    """The plan for these rows, and the questions that only validation windows can decide.

    UsageError for settings that contradict each other, DataError for a horizon that the rows cannot test.
    """
    choose = Chooser()
    season = panel.season_length
    rows = int(np.median(panel.lengths))
    horizon = _horizon(choose, settings, panel, rows)
    lengths = _Lengths(rows=rows, season=season, horizon=horizon)
    windows = choose("windows", settings.windows, *_windows(len(panel.series), lengths))
    segment = _segment(choose, settings, season)
    context_length = _context_length(choose, settings, lengths, segment)
    rows_left_out = {"since": panel.rows.since, "until": panel.rows.until, "ignore": ", ".join(panel.rows.ignore)}
    for name, times in rows_left_out.items():
        if times:
            choose(name, times, "", "")
    if settings.network:
        choose("network", str(settings.network), "", "")
    head = choose("head", settings.head, "direct", "the whole horizon at once")
    calendar = calendar_of(choose, settings, panel, head)
    ends = _training_ends(panel, horizon, windows)
    seen = _training_values(panel, ends)
    zeros = float((seen == 0).mean()) if len(seen) else 0.0
    choose("distribution", settings.distribution, "none", "each quantile is forecast by itself")
    loss = _likelihood(choose, settings.likelihood) if settings.likelihood else _loss(choose, settings, zeros)
    scalings = _scalings(choose, settings, seen, zeros, exact=logs_keep_range(panel))
    base = _network(choose, settings, head, horizon=horizon, segment=segment, context_length=context_length)
    base = replace(
        base,
        transform=scalings[0].transform,
        season_length=season,
        known=width(calendar),
        lags=lag_count(calendar),
        covariates=covariates_of(choose, settings, panel, ends, horizon),
        distribution=settings.likelihood,
        point_level=point_level(loss, settings),
    )
    schedules = _schedules(settings)
    error_scale = scalings[0].error_scale
    fit = _fit(choose, settings, schedules[0], loss=loss, error_scale=error_scale, series=len(panel.series))
    fit = with_optimizer(choose, settings, fit, base)
    members = _members(choose, settings, base)
    logs = "log" in [one.transform for one in scalings] and not settings.lowest  # the log of smoothing counts from 0
    smoothings = _smoothings(settings, lengths, context_length, logs)
    given = {name: getattr(settings, name) for name in ("epochs", "learning_rate")}
    questions = OpenQuestions(
        scalings=scalings,
        contexts=_contexts(settings, base, len(panel.series)),
        schedules=schedules,
        smoothings=smoothings,
        blended=bool(settings.floor) or horizon > longest_tested(rows),
        given={name: value for name, value in given.items() if value is not None},
        pretrained=_may_be_pretrained(settings, choose.changed, base),
        fine_tuned=len(panel.series) >= MIN_SERIES_TO_TUNE and not _has_length(settings),
    )
    smoothing = _untested(settings, smoothings, lengths)
    choose("floor", settings.floor, smoothing.weight if smoothing else 0.0, NO_SELECTION)
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
    """Number of test windows of each series, and the reason."""
    rows, horizon = lengths.rows, lengths.horizon
    if rows < 2 * horizon + 2:
        return 0, "the series are too short for test windows"
    if series >= MIN_SERIES_FOR_ONE_WINDOW:
        return 1, f"{series} series give {series} windows"
    some = min(MAX_WINDOWS_PER_SERIES, int(MAX_TEST_SHARE * rows) // horizon)
    many = min(-(-MIN_TOTAL_WINDOWS // series), int(MAX_EXTRA_TEST_SHARE * rows) // horizon)
    extra = f"{MAX_EXTRA_TEST_SHARE:.0%} for more than {MAX_WINDOWS_PER_SERIES}"
    return max(1, some, many), f"at most {MAX_TEST_SHARE:.0%} of a series' rows, {extra}"


def longest_tested(rows: int) -> int:
    """The longest horizon that series of so many rows can be tested on: fits need the other two thirds."""
    return max(rows // 3, 1)


def _horizon(choose: Chooser, settings: TrainSettings, panel: Panel, rows: int) -> int:
    """Steps to forecast. DataError for more than can be tested, unless these are allowed."""
    season, longest = panel.season_length, longest_tested(rows)
    automatic, why = default_horizon(season), "one season" if season > 1 else "there is no season"
    if automatic > longest:
        automatic, why = longest, "a third of the rows: the longest that can be tested"
    horizon = choose("horizon", settings.horizon, automatic, why)
    if horizon > longest and not settings.allow_untested_horizon:
        raise DataError(
            f"{panel.source}: --horizon {horizon} is more than a third of the median series' {rows} rows: it cannot be tested.",
            f"Give --horizon {longest} or less, or --allow-untested-horizon for a statistical forecast.",
        )
    return horizon


def default_horizon(season: int) -> int:
    """Steps to forecast where none are given."""
    return min(season, MAX_DEFAULT_HORIZON) if season > 1 else HORIZON_WITHOUT_SEASON


def default_windows(panel: Panel, horizon: int) -> int:
    """Number of test windows of each series; 0 where the series are too short."""
    lengths = _Lengths(rows=int(np.median(panel.lengths)), season=panel.season_length, horizon=horizon)
    return _windows(len(panel.series), lengths)[0]


def _segment(choose: Chooser, settings: TrainSettings, season: int) -> int:
    longest = max(d for d in range(1, MAX_SEGMENT + 1) if season % d == 0)
    if settings.context_length:
        longest = max(d for d in range(1, longest + 1) if settings.context_length % d == 0)
    return choose("segment", settings.segment, longest, "a season, or its largest divisor that fits")


def _context_length(choose: Chooser, settings: TrainSettings, lengths: _Lengths, segment: int) -> int:
    """A multiple of the segment."""
    shortest = _min_context(lengths.season, lengths.horizon)
    longest = max(MAX_CONTEXT_SEASONS * lengths.season, shortest)
    third = lengths.rows // 3
    automatic = _whole_segments(min(max(third, shortest), longest), segment)
    why = f"a third of the rows, from 2 to {MAX_CONTEXT_SEASONS} seasons, at least 1.25 horizons"
    context_length = choose("context_length", settings.context_length, automatic, why)
    if context_length % segment:
        raise UsageError(
            f"--context-length {context_length} is not a multiple of --segment {segment}.",
            f"Give --context-length {_whole_segments(context_length, segment)}, or another --segment.",
        )
    return context_length


def _min_context(season: int, horizon: int) -> int:
    return max(2 * season, -(-5 * horizon // 4), MIN_CONTEXT)


def _whole_segments(length: int, segment: int) -> int:
    """The length, rounded up."""
    return -(-length // segment) * segment


def _contexts(settings: TrainSettings, base: NetworkSettings, series: int) -> tuple[int, ...]:
    """The rule's context, and half of it where that is long enough: few series do not teach a network to ignore old rows."""
    length, half = base.context_length, _whole_segments(base.context_length // 2, base.segment)
    open_question = series < MIN_SERIES_FOR_ONE_WINDOW and not settings.context_length and not _by_passes(settings)
    long_enough = _min_context(base.season_length, base.horizon) <= half < length
    return (length, half) if open_question and long_enough else (length,)


def _training_values(panel: Panel, ends: IntArray) -> FloatArray:
    """Observed values of the rows before `ends` [N], from which choices may be made."""
    row = np.arange(len(panel.target))
    values = panel.target[row < np.repeat(ends, panel.lengths)]
    return values[~np.isnan(values)]


def _training_ends(panel: Panel, horizon: int, windows: int) -> IntArray:
    """[N] each series' first row that is in a test window."""
    return np.maximum(panel.offsets[1:] - horizon * windows, panel.offsets[:-1])


def _loss(choose: Chooser, settings: TrainSettings, zeros: float) -> str:
    """The loss. Where most values are 0, so is the median; squared errors give the mean, and so totals that are right."""
    if zeros > MAX_ZERO_SHARE:
        return choose(
            "loss",
            settings.loss,
            "mse",
            f"{zeros:.0%} of the values are 0: with absolute errors the forecast would be 0",
        )
    return choose("loss", settings.loss, "mae", "robust to outliers, and the error of MASE")


def point_level(loss: str, settings: TrainSettings) -> float | None:
    """The level of the quantile that the loss makes of the point forecast; None for a mean."""
    if settings.likelihood:
        return None if settings.counts else 0.5
    return None if loss == "mse" else pinball_level(loss) or 0.5


def _likelihood(choose: Chooser, distribution: str) -> str:
    """The loss of a distribution, which is no row of LOSSES: its negative log likelihood, in the network's units."""
    return choose("loss", None, "likelihood", f"of the {distribution} distribution")


def _scalings(
    choose: Chooser, settings: TrainSettings, seen: FloatArray, zeros: float, *, exact: bool
) -> tuple[TargetScaling, ...]:
    """Scalings to choose from: a log with relative errors or those of the window, no transform with the seasonal scale.

    No log unless it is `exact`: where values change little for their size it loses the changes, and is linear anyway.
    """
    nonnegative = bool((seen >= (settings.lowest or 0.0)).all())
    given = None if settings.transform in (None, "auto") else settings.transform
    if given and TRANSFORMS[given].needs_nonnegative and not nonnegative:
        raise UsageError(
            f"--transform {given} needs values of 0 and above.",
            "Give --transform none, or the smallest possible value as --min.",
        )
    # Where most values are 0 the forecast is a mean, and the mean of logs is not the log of the mean.
    logs = nonnegative and zeros <= MAX_ZERO_SHARE and not settings.counts and exact
    names = ["none", "log"] if logs else ["none"]
    scales = {"none": ("series",), "log": ("transform", "window")}
    if settings.likelihood:
        scales = dict.fromkeys(scales, ("window",))  # a likelihood is in the network's units
    usual = [TargetScaling(name, scale) for name in names for scale in scales[name]]
    scalings = tuple(one for one in usual if one.agrees(given, settings.error_scale))
    if not scalings:
        asked = [given] if given else names
        scalings = tuple(TargetScaling(name, settings.error_scale or scales[name][0]) for name in asked)
    names = list(dict.fromkeys(one.transform for one in scalings))
    choose("transform", given, names[0], "the only one possible" if len(names) == 1 else NO_SELECTION)
    if not settings.likelihood:
        choose("error_scale", settings.error_scale, scalings[0].error_scale, "suits the transform")
    return scalings


def _network(
    choose: Chooser, settings: TrainSettings, head: str, *, horizon: int, segment: int, context_length: int
) -> NetworkSettings:
    given = None if settings.cell == "auto" else settings.cell
    why = "accurate for its cost where data or computing time is scarce"
    cell = choose("cell", given, "gru", NO_SELECTION if settings.cell else why)
    layers = choose("layers", settings.layers, 1, "more layers did not lower the error")
    return NetworkSettings(
        cell=cell,
        units=choose("units", settings.units, 64, "more units did not lower the error"),
        layers=layers,
        bidirectional=choose("bidirectional", settings.bidirectional, False, "both directions take twice the time"),
        dropout=choose("dropout", settings.dropout, 0.1, "mild, against overfitting"),
        residual=choose("residual", settings.residual, layers > 1, "skip connections, where there are several layers"),
        reset_after=settings.reset_after is not False if CELLS[cell].has_reset_gate else True,
        context_length=context_length,
        horizon=horizon,
        segment=segment,
        head=head,
        transform="none",
        center=choose("center", settings.center, "season", "the mean of the last season is the level that continues"),
        input_initializer=settings.input_initializer or "glorot",
        recurrent_initializer=settings.recurrent_initializer or "orthogonal",
        quantiles=settings.quantiles,
        origin=settings.lowest or 0.0,
        attention=bool(settings.attention),
        recurrent_dropout=settings.recurrent_dropout or 0.0,
        forget_bias=1.0 if settings.forget_bias is None else settings.forget_bias,
        network=settings.network or "",
        linear=choose("linear", settings.linear, head in OPEN_HEADS, "trends and regular seasons need no recurrence"),
    )


def _by_passes(settings: TrainSettings) -> bool:
    """Whether epochs are whole passes over the windows, as in the textbooks: for one network alone, of given epochs."""
    alone = settings.members == 1 and settings.floor == 0.0
    return alone and settings.epochs is not None and settings.steps_per_epoch is None


def _schedules(settings: TrainSettings) -> tuple[TrainingSchedule, ...]:
    """Schedules to choose from: the shortest with a high or a low learning rate, longer ones with the high rate.

    Where epochs or rate are given, the same ones are tried, so that all other choices are those without them. Where epochs and
    their steps are given, the user knows how long a fit may take: no other length is tried.
    """
    fast, slow = rate_of(settings, FAST_RATE), rate_of(settings, SLOW_RATE)
    if _by_passes(settings):
        return (TrainingSchedule(settings.epochs or 1, settings.learning_rate or slow),)
    if settings.epochs is not None and _has_length(settings):
        rates = (fast, slow) if settings.learning_rate is None else (settings.learning_rate,)
        return tuple(TrainingSchedule(settings.epochs, rate) for rate in rates)
    choices = ((SHORT_EPOCHS, fast), (SHORT_EPOCHS, slow), (LONG_EPOCHS, fast), (MAX_EPOCHS, fast))
    return tuple(TrainingSchedule(epochs, rate) for epochs, rate in choices)


def _has_length(settings: TrainSettings) -> bool:
    """Whether epochs and their steps are given."""
    return settings.epochs is not None and settings.steps_per_epoch is not None


def _fit(
    choose: Chooser,
    settings: TrainSettings,
    schedule: TrainingSchedule,
    *,
    loss: str,
    error_scale: str,
    series: int,
) -> FitSettings:
    """Fit settings for the windows of so many series."""
    by_passes = _by_passes(settings)
    steps = (
        0
        if by_passes
        else choose("steps_per_epoch", settings.steps_per_epoch, EPOCH_STEPS, "validation after each epoch")
    )
    batch, why = BATCH_SIZE, "or all windows where there are fewer"
    if series < MIN_SERIES_FOR_LARGE_BATCH:
        batch, why = SMALL_BATCH_SIZE, "windows of few series are similar"
    return FitSettings(
        loss=loss,
        error_scale=error_scale,
        epochs=choose("epochs", settings.epochs, schedule.epochs, NO_SELECTION),
        batch_size=choose("batch_size", settings.batch_size, batch, why),
        steps_per_epoch=steps,
        learning_rate=choose("learning_rate", settings.learning_rate, schedule.learning_rate, NO_SELECTION),
        schedule=choose("schedule", settings.schedule, "cosine", "the rate falls to 0 at the end"),
        clip_norm=choose(
            "clip_norm",
            settings.clip_norm,
            0.0 if settings.clip_value else 1.0,
            "gradients are clipped by value" if settings.clip_value else "gradients of recurrent networks can explode",
        ),
        patience=choose("patience", settings.patience, 0, "model selection chooses the number of epochs instead"),
        seed=settings.seed,
    )


def _smoothings(
    settings: TrainSettings, lengths: _Lengths, context_length: int, nonnegative: bool
) -> tuple[Smoothing, ...]:
    """Simple methods to choose from, each with its weight in the forecast."""
    untested = lengths.horizon > longest_tested(lengths.rows)
    if settings.floor == 0.0 and not untested:
        return ()
    season, whole = lengths.season, _whole_segments(context_length, lengths.season)
    rows = {EXPONENTIAL_SMOOTHING: smoothing_length(season, lengths.rows), NAIVE: whole, DRIFT: whole}
    if season > 1:
        rows[SEASONAL_NAIVE] = whole
    found = []
    for method, length in rows.items():
        weights = WEIGHTS if method == EXPONENTIAL_SMOOTHING else ALONE_WEIGHTS
        found += [
            Smoothing(season, length, lengths.horizon, nonnegative, weight, method)
            for weight in ((1.0,) if untested else weights if settings.floor is None else (settings.floor,))
            if length and weight
        ]
    return tuple(found)


def _may_be_pretrained(settings: TrainSettings, changed: Mapping[str, object], base: NetworkSettings) -> bool:
    """Whether a pretrained network may be a member: there is one, which has every setting in which `base` was `changed`."""
    if not settings.pretrained or settings.start_from or settings.resume or settings.network:
        return False
    if settings.holidays or settings.events:  # which it does not read
        return False
    card = find_card(base.season_length)
    if card is None or settings.cell not in (None, card.network.cell):
        return False
    own, asked = vars(card.network), vars(base)
    fixed = {name: value for name, value in changed.items() if name in own and name not in NOT_ITS_OWN}
    return all(own[name] == value for name, value in fixed.items()) and all(own[one] == asked[one] for one in PARTS)


def _untested(settings: TrainSettings, smoothings: Sequence[Smoothing], lengths: _Lengths) -> Smoothing | None:
    """The simple method where no window can choose one: exponential smoothing, else the last season, else the last value.

    It serves alone for a horizon that cannot be tested.
    """
    weight = UNTESTED_WEIGHT if settings.floor is None else settings.floor
    if lengths.horizon > longest_tested(lengths.rows):
        weight = 1.0
    likeliest = (EXPONENTIAL_SMOOTHING, SEASONAL_NAIVE, NAIVE)
    found = {one.method: one for one in smoothings if one.weight == weight}
    return next((found[method] for method in likeliest if method in found), None)


def _members(choose: Chooser, settings: TrainSettings, base: NetworkSettings) -> tuple[NetworkSettings, ...]:
    """The members, which differ in more than their seeds, but never in a given setting."""
    plain = base.head not in OPEN_HEADS
    why = "one network, as in the textbooks" if plain else "their median has a lower error than each of them"
    count = choose("members", settings.members, 1 if plain else MEMBERS, why)
    if count > 1:
        combine = choose("combine", settings.combine, "median", "robust to one member with a large error")
        base = replace(base, combine=combine)
    elif settings.combine:
        raise UsageError(f"--combine has no effect: {why}.", "Give --members 2 or more.")
    changes: list[NetworkSettings] = [
        base,
        replace(base, center=settings.center or "mean"),
        base if settings.cell or settings.network else replace(base, cell="lstm", reset_after=True),
        replace(base, center=settings.center or "last", dropout=base.dropout if settings.dropout is not None else 0.3),
    ]
    members = tuple(changes[i % len(changes)] for i in range(count))
    for name in ("cell", "center", "dropout"):
        values = list(dict.fromkeys(str(getattr(member, name)) for member in members))
        if len(values) > 1:
            choose.replace(name, ", ".join(values), "members that differ have different errors")
    return members
