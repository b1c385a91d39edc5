"""Special days that the data shows: dates, weekdays of months, days around Easter that differ from others year after year.

A year's season is smooth, and a network reads no dates: nobody tells it that births, sales or loads drop on the 25th of
December, on the fourth Thursday of November, on Good Friday. Where three years and more are there, these are found. A day's
deviation is what trend, season and weekday leave of it, over its usual size. A rule names the days of a kind, one a year:

    12-25           a date
    11-thu-4        the fourth Thursday of November
    05-mon-last     the last Monday of May
    easter-2        days from Easter Sunday

A rule's effect is the median of its deviations over the years. The rule that explains most is taken first, its effect is
taken out, and so on (matching pursuit: Mallat & Zhang 1993), as long as an effect is far beyond those that ordinary dates have.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from forecaster.data.day_deviations import SPREAD, WEEKS, daily_values, deviations_of, medians
from forecaster.data.time_zones import DAY, weekday_of
from forecaster.data.windows import evenly

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from forecaster.data.day_deviations import Deviations
    from forecaster.data.freq import Freq
    from forecaster.data.panel import Panel
    from forecaster.typing import BoolArray, FloatArray, IntArray

# Prefix of a calendar row for special days, e.g. "days:1/1/1/1/1/0.4/0.2,12-25=-17.5/2,11-thu-4=-14.6/1.8": shares of weekdays,
# then each rule's effect and the years that it counts.
SPECIAL_DAYS = "days:"
NO_HOLIDAYS = "none"  # as --holidays: special days are not looked for
MIN_YEARS = 3  # in which a rule's day is observed
MAX_RULES = 40
FAR = 5.0  # robust standard deviations of the effects of ordinary dates
STRONG = 6.0  # of these, which the strongest effect must have
SURE = 1.75  # times the strongest effect by chance, which the strongest must have
SHUFFLES = 16  # of the years against each other, which show chance
# Share of the years in which the deviation has the effect's sign, and at least HALF of it, or the usual size: a date falls on
# a working day in five of seven.
ALIKE = 0.7
HALF = 0.5
PASSES = 3  # searches; each later one leaves the days found so far out of the levels
PART = 0.25  # of the strongest one around, that such a day has
LOUD = 30.0  # usual sizes, by which any series of a panel may deviate in what they show together
PRIOR_DAYS = 4.0  # weight of the share 1 of a weekday, in days seen
CLEAR_SHARE = 0.75  # of the effect on a working day, with which a weekday counts as one
PRIOR = 2.0  # weight of the effect on all series, in years of one series, where all agree
MAX_SERIES = 200  # that are read, taken evenly
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
AROUND_EASTER = 62  # days before and after
DATE = 0  # the kind of rules that fall on any weekday


@dataclass(frozen=True)
class Rules:
    """Rules of special days with their effects, in usual sizes of a day's deviation or whatever the caller counts in."""

    effects: dict[str, float]
    weekdays: tuple[float, ...] = (1.0,) * 7  # shares of a date's effect from Monday on: who rests anyway rests no more
    prior_years: dict[str, float] = field(default_factory=dict)  # of one series, that an effect on all counts

    @property
    def row(self) -> str:
        """The name of the calendar's row for them."""
        weekdays = "/".join(f"{share:.7g}" for share in self.weekdays)
        effects = ",".join(
            f"{rule}={effect:.7g}/{self.prior_years.get(rule, PRIOR):.7g}" for rule, effect in self.effects.items()
        )
        return f"{SPECIAL_DAYS}{weekdays},{effects}"

    @property
    def largest_as_one(self) -> Rules:
        """The rules as networks read them: the strongest effect is -1 or 1."""
        largest = max(map(abs, self.effects.values()))
        effects = {rule: round(effect / largest, 3) for rule, effect in self.effects.items()}
        return Rules(effects, tuple(round(share, 2) for share in self.weekdays))

    @property
    def words(self) -> str:
        """The rules alone."""
        return ", ".join(self.effects)

    @classmethod
    def parse(cls, row: str) -> Rules:
        """The rules of a calendar's row. ValueError where it is none."""
        first, *parts = row.removeprefix(SPECIAL_DAYS).split(",")
        weekdays = tuple(map(float, first.split("/")))
        if len(weekdays) != len(WEEKDAYS) or not parts:
            raise ValueError(row)
        effects, prior_years = {}, {}
        for part in parts:
            rule, _, numbers = part.partition("=")
            _code_of(rule)
            effect, _, prior = numbers.partition("/")
            effects[rule], prior_years[rule] = float(effect), float(prior or PRIOR)
        return cls(effects, weekdays, prior_years)

    def of(self, days: IntArray) -> FloatArray:
        """[...] the effects of days since 1970; 0 of an ordinary one."""
        total = np.zeros(days.shape)
        for rule, among in self.among(days):
            total += self.effects[rule] * among
        return total

    def among(self, days: IntArray) -> Iterator[tuple[str, FloatArray]]:
        """Each rule, and its share [...] in the days since 1970: 0 where they are not its own, on some weekdays less than 1."""
        codes, shares = codes_of(days), np.array(self.weekdays)[weekday_of(days)]
        for rule in self.effects:
            kind, code = _code_of(rule)
            yield rule, (codes[kind] == code) * (shares if kind == DATE else 1.0)

    def by_weekday(self, first: int, deviations: FloatArray) -> Rules:
        """The same rules, whose dates have the effects of working days, with shares of these on the other weekdays.

        `deviations` [D] are those of the days from `first` on. Shares are fitted by least squares over all dates and years,
        and drawn towards 1 as if that had been seen on PRIOR_DAYS.
        """
        days = np.arange(first, first + len(deviations))
        known, weekday = ~np.isnan(deviations), weekday_of(days)
        places = {rule: np.flatnonzero(known & (among > 0.0)) for rule, among in Rules(self.effects).among(days)}
        effects = {rule: effect for rule, effect in self.effects.items() if _code_of(rule)[0] == DATE}
        shares = np.ones(len(WEEKDAYS))
        for _ in range(2) if effects else ():
            prior = PRIOR_DAYS * float(np.mean(np.square(list(effects.values()))))
            products, squares = np.full(len(WEEKDAYS), prior), np.full(len(WEEKDAYS), prior)
            for rule, effect in effects.items():
                np.add.at(products, weekday[places[rule]], deviations[places[rule]] * effect)
                np.add.at(squares, weekday[places[rule]], effect**2)
            shares = np.clip(products / squares, 0.0, 1.0)
            shares = shares / shares.max()
            for rule in effects:
                clear = places[rule][shares[weekday[places[rule]]] >= CLEAR_SHARE]
                effects[rule] = float(np.median(deviations[clear])) if len(clear) > 1 else effects[rule]
        return Rules({**self.effects, **effects}, tuple(float(share) for share in shares))


def is_special_days(row: str) -> bool:
    """Whether a name of a calendar row is that of special days."""
    if not row.startswith(SPECIAL_DAYS):
        return False
    try:
        Rules.parse(row)
    except ValueError:
        return False
    return True


def special_days_row(calendar: Sequence[str]) -> str:
    """The row of special days among those of a calendar; empty where there is none."""
    return next(filter(is_special_days, calendar), "")


def special_day_inputs(row: str, wall: IntArray) -> FloatArray:
    """[..., 3] effects of the day, the next one and the one before of wall-clock timestamps [...].

    Those of its neighbours are as on a working day: a Monday may make up for a Sunday.
    """
    rules, days = Rules.parse(row).largest_as_one, np.asarray(wall // DAY)
    working = Rules(rules.effects)
    return np.stack([rules.of(days), working.of(days + 1), working.of(days - 1)], axis=-1)


def has_days(freq: Freq) -> bool:
    """Whether rows are days, or equal parts of a day."""
    return not (freq.whole_numbers or freq.unit != "clock" or freq.slots or DAY % freq.count)


def find_special_days(panel: Panel, ends: IntArray) -> Rules | None:
    """The special days of the rows before `ends` [N], their effects as means over the series, each in its own usual size.

    None where there are none, or too few years to tell.
    """
    if not has_days(panel.freq):
        return None
    long = np.flatnonzero((ends - panel.offsets[:-1]) * panel.freq.count >= MIN_YEARS * 365 * DAY)
    if not len(long):
        return None
    first, values = daily_values(panel, long[evenly(len(long), MAX_SERIES)], ends)
    left_out, effects = np.zeros(values.shape[1], dtype=bool), dict[str, float]()
    for _ in range(PASSES):
        deviations = deviations_of(first, values, left_out)
        mean = _mean(deviations)
        effects = rules_of(first, mean)
        if not effects:
            return None
        left_out = left_out | _farthest(np.where(left_out, 0.0, np.abs(Rules(effects).of(deviations.days))))
    rules = Rules(effects).by_weekday(first, mean)
    return replace(rules, prior_years=_prior_years(deviations, rules))


def _mean(deviations: Deviations) -> FloatArray:
    """[D] the mean over the series; NaN where none has a value.

    Series that deviate by more of their usual size than most, as very quiet ones, count as these do.
    """
    values, known = deviations.values, ~np.isnan(deviations.values)
    if len(values) > 1:
        sizes = np.abs(np.where(known, values, 0.0))
        far = np.partition(sizes, -MIN_YEARS, axis=1)[:, -MIN_YEARS]  # a rule has as many days, lone outliers are fewer
        most = max(LOUD, float(np.median(far)))
        values = np.clip(values * (most / np.maximum(far, most))[:, None], -most, most)
    count = known.sum(axis=0)
    return np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)


def _farthest(sizes: FloatArray) -> BoolArray:
    """[D] special days, from the sizes of effects [D], that are no small part of another one around.

    A holiday lowers the level of its weekday, so that the days whole weeks away seem special: they are ordinary, and without
    them the weekday would have no level.
    """
    reach = 7 * WEEKS
    around = np.lib.stride_tricks.sliding_window_view(np.pad(sizes, reach), 2 * reach + 1).max(axis=1)
    return np.asarray(sizes > PART * around)


def _prior_years(deviations: Deviations, rules: Rules) -> dict[str, float]:
    """Years of a series, that a rule's effect on all of them counts: the fewer, the more the series differ in it."""
    return {
        rule: PRIOR / (1.0 + float(np.mean((own - rules.effects[rule]) ** 2, where=years > 0)))
        if years.any()
        else PRIOR
        for rule, own, years in _own_effects(deviations, rules)
    }


def _own_effects(deviations: Deviations, rules: Rules) -> Iterator[tuple[str, FloatArray, IntArray]]:
    """Each rule with its median effect [B] on each series on working days, and the years [B] that show it."""
    for rule, among in rules.among(deviations.days):
        yield rule, *medians(deviations.values[:, among >= CLEAR_SHARE])


def effects_on_series(deviations: Deviations, rules: Rules) -> dict[str, FloatArray]:
    """[B] the effect of each rule on each series, of its level or in its units; 0 where nothing deviates.

    The more of its years show one, the less that on the others counts.
    """
    found = {}
    for rule, own, years in _own_effects(deviations, rules):
        prior = rules.prior_years.get(rule, PRIOR)
        found[rule] = np.nan_to_num((years * own + prior * rules.effects[rule]) / (years + prior) * deviations.size)
    return found


def rules_of(first: int, deviations: FloatArray) -> dict[str, float]:
    """Rules and their effects, the one that explains most first, from deviations [D] of the days from `first` on.

    Empty where the strongest is not clearly beyond what chance makes: spells of some days, as of floods, fall on the same
    dates of different years now and then.
    """
    candidates = _candidates(first, len(deviations))
    values, places = np.append(deviations, np.nan), candidates.places
    dates = places[candidates.are_dates]
    effect, known, _ = _effects(values[dates])
    usual = SPREAD * float(np.median(np.abs(effect[known]))) if known.any() else 0.0
    found: dict[str, float] = {}
    while usual > 0.0 and len(found) < MAX_RULES:
        each = values[places]
        effect, _, alike = _effects(each)
        clear = alike & (np.abs(effect) > FAR * usual)
        strongest = np.max(np.abs(effect), where=alike, initial=0.0)
        if not clear.any() or not (found or strongest > max(STRONG * usual, SURE * _by_chance(values, dates))):
            break
        explained = np.nansum(each**2 - (each - effect[:, None]) ** 2, axis=1)
        best = int(np.argmax(np.where(clear, explained, -np.inf)))
        name = candidates.names[best]
        found[name] = found.get(name, 0.0) + float(effect[best])
        values[places[best][places[best] >= 0]] -= effect[best]
    return found


def _effects(each: FloatArray) -> tuple[FloatArray, BoolArray, BoolArray]:
    """Deviations [C, Y] of C rules -> [C] effects; whether they have MIN_YEARS; and whether most of these are alike."""
    effect, years = medians(each)
    least = np.maximum(1.0, HALF * np.abs(effect))[:, None]
    known = years >= MIN_YEARS
    return effect, known, known & ((each * np.sign(effect)[:, None] >= least).sum(axis=1) >= ALIKE * years)


def _by_chance(values: FloatArray, dates: IntArray) -> float:
    """The strongest effect of dates [C, Y] where the years are moved against each other: the second of all shuffles.

    In the first one holidays of different years may lie upon each other.
    """
    rng = np.random.default_rng(0)
    count, years = dates.shape
    strongest = []
    for _ in range(SHUFFLES):
        moved = (np.arange(count)[:, None] + rng.integers(count, size=years)) % count
        effect, _, alike = _effects(values[np.take_along_axis(dates, moved, axis=0)])
        strongest.append(float(np.max(np.abs(effect), where=alike, initial=0.0)))
    return sorted(strongest)[-2]


@dataclass(frozen=True)
class _Candidates:
    """All C rules whose days come in at least MIN_YEARS years."""

    names: tuple[str, ...]
    places: IntArray  # [C, Y] of each one's day in each year; -1 = none
    are_dates: BoolArray  # [C]


@lru_cache(maxsize=16)
def _candidates(first: int, count: int) -> _Candidates:
    days = np.arange(first, first + count)
    years = days.astype("M8[D]").astype("M8[Y]").astype(np.int64)
    names, places = [], [np.empty((0, int(years[-1] - years[0]) + 1), np.int64)]
    for kind, codes in enumerate(codes_of(days)):
        of = np.full((int(codes.max()) + 1, places[0].shape[1]), -1)
        here = np.flatnonzero(codes > 0)
        of[codes[here], years[here] - years[0]] = here
        enough = np.flatnonzero((of >= 0).sum(axis=1) >= MIN_YEARS)
        names += [(kind, int(code)) for code in enough]
        places.append(of[enough])
    are_dates = np.array([kind == DATE for kind, _ in names], dtype=bool)
    return _Candidates(tuple(_name_of(*one) for one in names), np.concatenate(places), are_dates)


def codes_of(days: IntArray) -> IntArray:
    """[4, ...] of days since 1970: date, weekday of the month by its number, last one, days from Easter; 0 = no such rule."""
    date = days.astype("M8[D]")
    first = date.astype("M8[M]")
    month = first.astype(np.int64) % 12 + 1
    day = (date - first).astype(np.int64) + 1
    length = ((first + 1).astype("M8[D]") - first.astype("M8[D]")).astype(np.int64)
    weekday = weekday_of(days)
    number = (day - 1) // 7 + 1
    nth = np.where(number < 5, (month * 7 + weekday) * 5 + number, 0)
    last = np.where(day + 7 > length, month * 7 + weekday, 0)
    away = days - _easter(first.astype("M8[Y]").astype(np.int64) + 1970)
    easter = np.where(np.abs(away) <= AROUND_EASTER, away + AROUND_EASTER + 1, 0)
    return np.stack([month * 32 + day, nth, last, easter])


def _easter(year: IntArray) -> IntArray:
    """Easter Sunday in days since 1970 (Meeus 1991, "Astronomical Algorithms", chapter 8)."""
    a, (b, c) = year % 19, np.divmod(year, 100)
    d, e = np.divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = np.divmod(c, 4)
    j = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * j) // 451
    month, day = np.divmod(h + j - 7 * m + 114, 31)
    first = (12 * (year - 1970) + month - 1).astype("M8[M]").astype("M8[D]").astype(np.int64)
    return np.asarray(first + day)


def _name_of(kind: int, code: int) -> str:
    if kind == DATE:
        return f"{code // 32:02d}-{code % 32:02d}"
    if kind == 3:
        return f"easter{code - AROUND_EASTER - 1:+d}"
    number = f"{code % 5}" if kind == 1 else "last"
    month, weekday = divmod(code // 5 if kind == 1 else code, 7)
    return f"{month:02d}-{WEEKDAYS[weekday]}-{number}"


def _code_of(rule: str) -> tuple[int, int]:
    """The kind of a rule, and its code. ValueError where it is no rule."""
    if rule.startswith("easter"):
        return 3, int(rule.removeprefix("easter")) + AROUND_EASTER + 1
    month, *rest = rule.split("-")
    if len(rest) == 1:
        return DATE, int(month) * 32 + int(rest[0])
    weekday, number = rest
    code = int(month) * 7 + WEEKDAYS.index(weekday)
    return (2, code) if number == "last" else (1, code * 5 + int(number))
