"""The automatic plan: every setting of a model, from the training rows alone, each with its reason.

What the rows show (lengths, season, sign) is decided here; what only validation windows can show is left to model selection
(`selection.py`). The measurements that the rules come from are in benchmarks/ABLATIONS.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.calendar import lag_count, width
from forecaster.data.day_effects import are_rows_days
from forecaster.data.series_blocks import rows_before, series_blocks
from forecaster.data.special_days import special_days_row
from forecaster.data.summary import logs_keep_range
from forecaster.errors import UsageError
from forecaster.models.cells import CELLS
from forecaster.models.heads import OPEN_HEADS
from forecaster.models.losses import pinball_level
from forecaster.models.settings import FitSettings, NetworkSettings
from forecaster.serving.plan_rows import PlanRow
from forecaster.training.input_plan import calendar_of, covariates_of
from forecaster.training.length_plan import (
    Lengths,
    choose_context_length,
    choose_horizon,
    choose_segment,
    count_windows,
    longest_tested,
)
from forecaster.training.optimizer_plan import with_optimizer
from forecaster.training.plan import EPOCH_STEPS, Chooser, Draft, OpenQuestions, Plan, TrainingSchedule, is_informed
from forecaster.training.precision import FLOAT32
from forecaster.training.presets import DEFAULT, PRESETS
from forecaster.training.selection_plan import (
    MAX_ZERO_SHARE,
    NO_SELECTION,
    by_passes,
    contexts_of,
    may_be_pretrained,
    own_members_of,
    scalings_of,
    schedules_of,
    smoothings_of,
    trees_of,
    tunings_of,
    untested_smoothing,
)

if TYPE_CHECKING:
    from forecaster.config import TrainSettings
    from forecaster.data.panel import Panel
    from forecaster.typing import FloatArray, IntArray

MIN_MISSING = 0.01  # share of the rows from which on gaps are filled for pretrained networks, which takes time
BATCH_SIZE, SMALL_BATCH_SIZE = 256, 64
MIN_SERIES_FOR_LARGE_BATCH = 5  # windows of fewer are so similar that a large batch adds little to the gradient


def draft_plan(panel: Panel, settings: TrainSettings) -> Draft:
    """The plan for these rows, and the questions that only validation windows can decide.

    UsageError for settings that contradict each other, DataError for a horizon that the rows cannot test.
    """
    choose = Chooser()
    preset = PRESETS[settings.preset or DEFAULT]
    choose("preset", settings.preset, DEFAULT, preset.reason)
    season = panel.season_length
    rows = int(np.median(panel.lengths))
    horizon = choose_horizon(choose, settings, panel, rows)
    lengths = Lengths(rows=rows, season=season, horizon=horizon)
    windows = choose("windows", settings.windows, *count_windows(len(panel.series), lengths))
    segment = choose_segment(choose, settings, season)
    context_length = choose_context_length(choose, settings, lengths, segment)
    if panel.sample:
        choose.rows.append(PlanRow("max_rows", panel.sample.max_rows, panel.sample.words))
    rows_left_out = {"since": panel.rows.since, "until": panel.rows.until, "ignore": ", ".join(panel.rows.ignore)}
    for name, times in rows_left_out.items():
        if times:
            choose(name, times, "", "")
    if settings.network:
        choose("network", str(settings.network), "", "")
    head = choose("head", settings.head, "direct", "the whole horizon at once")
    ends = _training_ends(panel, horizon, windows)
    daily = are_rows_days(panel)
    calendar = calendar_of(choose, settings, panel, ends, head, found=daily or preset.own_members > 0)
    seen = _training_values(panel, ends)
    zeros = float((seen == 0).mean()) if len(seen) else 0.0
    missing = 1.0 - len(seen) / max(int((ends - panel.offsets[:-1]).sum()), 1)
    choose("distribution", settings.distribution, "none", "each quantile is forecast by itself")
    loss = _likelihood(choose, settings.likelihood) if settings.likelihood else _loss(choose, settings, zeros)
    scalings = scalings_of(choose, settings, seen, zeros, exact=logs_keep_range(panel))
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
    takes_days_out = daily and bool(special_days_row(calendar))
    schedules = schedules_of(settings, preset)
    error_scale = scalings[0].error_scale
    fit = _fit(choose, settings, schedules[0], loss=loss, error_scale=error_scale, series=len(panel.series))
    fit = with_optimizer(choose, settings, fit, base)
    members = _members(choose, settings, base, preset.members)
    logs = "log" in [one.transform for one in scalings] and not settings.lowest  # the log of smoothing counts from 0
    smoothings = smoothings_of(settings, lengths, context_length, logs)
    given = {name: getattr(settings, name) for name in ("epochs", "learning_rate")}
    questions = OpenQuestions(
        scalings=scalings,
        contexts=contexts_of(settings, base, len(panel.series), preset),
        schedules=schedules,
        smoothings=smoothings,
        blended=bool(settings.floor) or horizon > longest_tested(rows),
        given={name: value for name, value in given.items() if value is not None},
        pretrained=may_be_pretrained(settings, choose.changed, base, len(panel.series)),
        tunings=tunings_of(settings, len(panel.series), lengths, preset),
        trees=trees_of(settings, choose, len(panel.series), lengths, base, informed=is_informed(base, calendar))
        if preset.own_members
        else (0, 0),
        own_members=own_members_of(
            choose,
            preset,
            informed=is_informed(base, calendar, takes_days_out=takes_days_out),
            special_days=takes_days_out,
        ),
        patient=preset.patient,
    )
    smoothing = untested_smoothing(settings, smoothings, lengths)
    choose("floor", settings.floor, smoothing.weight if smoothing else 0.0, NO_SELECTION)
    plan = Plan(
        horizon=horizon,
        members=members,
        fit=fit,
        calendar=calendar,
        windows=windows,
        rows=tuple(choose.rows),
        smoothing=smoothing,
        has_gaps=missing > MIN_MISSING,
        takes_days_out=takes_days_out,
    )
    return Draft(plan, questions)


def _training_values(panel: Panel, ends: IntArray) -> FloatArray:
    """Observed values of the rows before `ends` [N], from which choices may be made."""
    seen = ~np.isnan(panel.target)
    for some, rows in series_blocks(panel.offsets):
        seen[rows] &= rows_before(ends, panel.offsets, some)
    return panel.target[seen]


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
    passes = by_passes(settings)
    steps = (
        0 if passes else choose("steps_per_epoch", settings.steps_per_epoch, EPOCH_STEPS, "validation after each epoch")
    )
    batch, why = BATCH_SIZE, "or all windows where there are fewer"
    if series < MIN_SERIES_FOR_LARGE_BATCH:
        batch, why = SMALL_BATCH_SIZE, "windows of few series are similar"
    if settings.precision != FLOAT32:
        choose("precision", settings.precision, FLOAT32, "")
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
        precision=settings.precision,
    )


def _members(
    choose: Chooser, settings: TrainSettings, base: NetworkSettings, usual: int
) -> tuple[NetworkSettings, ...]:
    """The members, which differ in more than their seeds, but never in a given setting."""
    plain = base.head not in OPEN_HEADS
    why = "one network, as in the textbooks" if plain else "their median has a lower error than each of them"
    count = choose("members", settings.members, 1 if plain else usual, why)
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
