"""Says which answers model selection has to choose from: scalings, schedules, simple methods, a pretrained network."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from forecaster.errors import UsageError
from forecaster.models.exponential_smoothing import EXPONENTIAL_SMOOTHING, WEIGHTS, Smoothing, smoothing_length
from forecaster.models.scaling import TRANSFORMS
from forecaster.models.settings import NetworkSettings
from forecaster.models.simple_methods import DRIFT, NAIVE, SEASONAL_NAIVE, STATISTICAL
from forecaster.models.theta import THETA, theta_lengths
from forecaster.models.trees import SEASONS, difference, longest_lag
from forecaster.serving.pretrained import find_network
from forecaster.training.length_plan import MIN_SERIES_FOR_ONE_WINDOW, longest_tested, min_context, whole_segments
from forecaster.training.optimizer_plan import rate_of
from forecaster.training.plan import OF_OWN_MEMBERS, TargetScaling, TrainingSchedule
from forecaster.training.presets import DEFAULT, FAST_RATE, PRESETS, SLOW_RATE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from forecaster.config import TrainSettings
    from forecaster.training.length_plan import Lengths
    from forecaster.training.plan import Chooser, Tuning
    from forecaster.training.presets import Preset
    from forecaster.typing import FloatArray

# With fewer stretches of a horizon, a pretrained network learns its windows by heart, and few validation windows show it. Of
# fewer series a long fit learns what is not so afterwards (benchmarks/ABLATIONS.md, Fine-tuning of few series).
MIN_STRETCHES_TO_TUNE, MIN_SERIES_TO_TUNE_LONG = 20, 30
# Fewer or shorter series teach trees less than a network (benchmarks/ABLATIONS.md, Trees).
MIN_SERIES_FOR_TREES, MIN_ROWS_FOR_TREES = 10, 400
MAX_TREE_HORIZON = 200  # steps that are fed back one by one
NO_SELECTION = "the default without model selection"
NOT_ITS_OWN = ("horizon", "combine", "transform", "known")  # settings of a plan that rule no pretrained network out
PARTS = (
    "input_initializer",
    "recurrent_initializer",
    "reset_after",
    "recurrent_dropout",
    "attention",
)  # no rows of the plan
UNTESTED_WEIGHT = 0.5  # of Theta where there are too few rows to choose one: either may be far off
ALONE_WEIGHTS = (0.5, 1.0)  # of the other simple methods
MAX_ZERO_SHARE = 0.5  # above it the median of the actuals is 0


def scalings_of(
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


def by_passes(settings: TrainSettings) -> bool:
    """Whether epochs are whole passes over the windows, as in the textbooks: for one network alone, of given epochs."""
    alone = settings.members == 1 and settings.floor == 0.0
    return alone and settings.epochs is not None and settings.steps_per_epoch is None


def contexts_of(settings: TrainSettings, base: NetworkSettings, series: int, preset: Preset) -> tuple[int, ...]:
    """The rule's context, and half of it where that is long enough: few series do not teach a network to ignore old rows."""
    length, half = base.context_length, whole_segments(base.context_length // 2, base.segment)
    given = settings.context_length or by_passes(settings)
    open_question = preset.half_context and series < MIN_SERIES_FOR_ONE_WINDOW and not given
    long_enough = min_context(base.season_length, base.horizon) <= half < length
    return (length, half) if open_question and long_enough else (length,)


def schedules_of(settings: TrainSettings, preset: Preset) -> tuple[TrainingSchedule, ...]:
    """Schedules to choose from: those of the preset, for the optimizer.

    Where epochs or rate are given, the same ones are tried, so that all other choices are those without them. Where epochs and
    their steps are given, the user knows how long a fit may take: no other length is tried.
    """
    fast, slow = rate_of(settings, FAST_RATE), rate_of(settings, SLOW_RATE)
    if by_passes(settings):
        return (TrainingSchedule(settings.epochs or 1, settings.learning_rate or slow),)
    if settings.epochs is not None and has_length(settings):
        rates = (fast, slow) if settings.learning_rate is None else (settings.learning_rate,)
        return tuple(TrainingSchedule(settings.epochs, rate) for rate in rates)
    return tuple(TrainingSchedule(one.epochs, rate_of(settings, one.learning_rate)) for one in preset.schedules)


def tunings_of(settings: TrainSettings, series: int, lengths: Lengths, preset: Preset) -> tuple[Tuning, ...]:
    """How a pretrained network may be fitted further; empty where it stays as it is."""
    if has_length(settings) or series * lengths.rows < MIN_STRETCHES_TO_TUNE * lengths.horizon:
        return ()
    return preset.tunings if series >= MIN_SERIES_TO_TUNE_LONG else preset.tunings[:1]


def own_members_of(choose: Chooser, preset: Preset, *, informed: bool, special_days: bool) -> int:
    """How many members start from nothing beside a pretrained network.

    Not 0 where an option says how these are fitted. `informed`: with covariates, holidays or events all but those whose places
    fine-tuned copies take. So it is with `special_days`, of which the pretrained network knows, unless it answers alone.
    """
    if informed or (special_days and preset.own_members):
        return preset.members
    needed = choose.given & {*OF_OWN_MEMBERS, "members"}
    return preset.own_members or (PRESETS[DEFAULT].own_members if needed else 0)


def trees_of(
    settings: TrainSettings, choose: Chooser, series: int, lengths: Lengths, base: NetworkSettings, *, informed: bool
) -> tuple[int, int]:
    """Rows of a difference and of a context of a member of trees, which needs long series, and reads nothing beside them.

    (0, 0) where there is none. Options that say how networks are made ask for networks.
    """
    none = (0, 0)
    m, rows = lengths.season, lengths.rows
    networks = choose.changed.keys() & {one.name for one in fields(NetworkSettings)} - {*NOT_ITS_OWN, "quantiles"}
    if networks or settings.members == 1 or not _may_be_joined(settings):
        return none
    if informed or base.distribution or settings.loss not in (None, "mae"):
        return none
    if series < MIN_SERIES_FOR_TREES or rows < MIN_ROWS_FOR_TREES or not 1 < m <= rows // (2 * SEASONS):
        return none
    between = difference(m, rows)
    return (between, between + longest_lag(m, rows)) if lengths.horizon <= MAX_TREE_HORIZON else none


def has_length(settings: TrainSettings) -> bool:
    """Whether epochs and their steps are given."""
    return settings.epochs is not None and settings.steps_per_epoch is not None


def smoothings_of(
    settings: TrainSettings, lengths: Lengths, context_length: int, nonnegative: bool
) -> tuple[Smoothing, ...]:
    """Simple methods to choose from, each with its weight in the forecast."""
    untested = lengths.horizon > longest_tested(lengths.rows)
    if settings.floor == 0.0 and not untested:
        return ()
    season, whole = lengths.season, whole_segments(context_length, lengths.season)
    rows = [(EXPONENTIAL_SMOOTHING, smoothing_length(season, lengths.rows))]
    rows += [(THETA, length) for length in theta_lengths(season, lengths.rows)]
    rows += [(NAIVE, whole), (DRIFT, whole), *([(SEASONAL_NAIVE, whole)] if season > 1 else [])]
    found = []
    for method, length in rows:
        weights = WEIGHTS if method in STATISTICAL else ALONE_WEIGHTS
        found += [
            Smoothing(season, length, lengths.horizon, nonnegative, weight, method)
            for weight in ((1.0,) if untested else weights if settings.floor is None else (settings.floor,))
            if length and weight
        ]
    return tuple(found)


def untested_smoothing(settings: TrainSettings, smoothings: Sequence[Smoothing], lengths: Lengths) -> Smoothing | None:
    """The simple method where no window can choose one: Theta, else the last season, else the last value.

    It serves alone for a horizon that cannot be tested.
    """
    weight = UNTESTED_WEIGHT if settings.floor is None else settings.floor
    if lengths.horizon > longest_tested(lengths.rows):
        weight = 1.0
    likeliest = (THETA, SEASONAL_NAIVE, NAIVE)
    found = {one.method: one for one in reversed(smoothings) if one.weight == weight}
    return next((found[method] for method in likeliest if method in found), None)


def may_be_pretrained(
    settings: TrainSettings, changed: Mapping[str, object], base: NetworkSettings, series: int
) -> bool:
    """Whether a pretrained network may be a member: there is one, which has every setting in which `base` was `changed`.

    Many series teach it more steps than it was trained for, few do not.
    """
    if not settings.pretrained or not _may_be_joined(settings):
        return False
    card, _ = find_network(base.season_length)
    if card is None or settings.cell not in (None, card.network.cell):
        return False
    if base.horizon > card.network.horizon and series < MIN_SERIES_TO_TUNE_LONG:
        return False
    own, asked = vars(card.network), vars(base)
    fixed = {name: value for name, value in changed.items() if name in own and name not in NOT_ITS_OWN}
    return all(own[name] == value for name, value in fixed.items()) and all(own[one] == asked[one] for one in PARTS)


def _may_be_joined(settings: TrainSettings) -> bool:
    """Whether networks may get members of another kind."""
    return not any((settings.network, settings.start_from, settings.resume))
