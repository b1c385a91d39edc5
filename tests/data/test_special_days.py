"""Special days that the data shows: found where they come year after year, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dateutil.easter import easter
from hypothesis import given
from hypothesis import strategies as st

from forecaster.data.calendar import features, is_row, row_words, tells_special_days, width
from forecaster.data.freq import Freq
from forecaster.data.special_days import Rules, codes_of, find_special_days
from tests.support.factories import panel_of

DAY = 86_400_000_000
FIRST = "2015-03-01"


def days_of(*dates):
    return np.array(dates, "M8[D]").astype(np.int64)


def daily_values(count, seed=0, noise=0.03, level=100.0, effects=None, first=FIRST):
    """A year's season, weekdays and noise, with shares taken off the days of some rules."""
    rng, time = np.random.default_rng(seed), np.arange(count)
    days = days_of(first) + time
    week = np.where((days + 3) % 7 < 5, 1.0, 0.8)
    values = level * (1.0 + 0.2 * np.sin(time * 2 * np.pi / 365.25)) * week * (1.0 + noise * rng.normal(size=count))
    return values * (1.0 + Rules(effects or {}).of(days))


def panel(*series, first=FIRST, step=DAY):
    made = panel_of(*series, season_length=7)
    stamps = days_of(first) * DAY + made.timestamps * step
    return replace(made, timestamps=stamps, freq=Freq.parse("D" if step == DAY else "6h"))


def found(*series, **options):
    made = panel(*series, **options)
    return find_special_days(made, made.offsets[1:])


TRUE = {"12-25": -0.5, "11-thu-4": -0.4, "easter-2": -0.3, "05-mon-last": 0.3}


def test_days_of_each_kind_are_found_with_their_effects_and_no_others():
    rules = found(daily_values(5 * 365, effects=TRUE))
    assert rules is not None and rules.effects.keys() == TRUE.keys()
    size = rules.effects["12-25"] / TRUE["12-25"]
    for rule, effect in TRUE.items():
        assert rules.effects[rule] / size == pytest.approx(effect, abs=0.05)


@pytest.mark.parametrize("less", [0.0, 90.0], ids=["zeros", "negative values"])
def test_values_with_zeros_and_negative_ones_have_them_too(less):
    values = daily_values(4 * 365, effects={"12-25": -1.0, "07-04": 0.5}) - less
    rules = found(values)
    assert rules is not None and rules.effects.keys() == {"12-25", "07-04"}


def test_the_weekdays_next_to_a_holiday_are_not_special_in_panels_of_many_series():
    rules = found(*(daily_values(5 * 365, seed, effects={"12-25": -0.5, "01-01": -0.4}) for seed in range(60)))
    assert rules is not None and rules.effects.keys() == {"12-25", "01-01"}


@pytest.mark.parametrize("seed", range(6))
def test_a_strong_holiday_of_one_quiet_series_is_found_alone(seed):
    rules = found(daily_values(1461, seed, noise=0.01, effects={"12-25": -0.6}, first="2019-01-01"), first="2019-01-01")
    assert rules is not None and rules.effects.keys() == {"12-25"}


def test_an_effect_on_all_series_counts_less_on_one_where_they_differ():
    alike = found(*(daily_values(5 * 365, seed, effects={"12-25": -0.5}) for seed in range(12)))
    differing = found(*(daily_values(5 * 365, seed, effects={"12-25": -0.5} if seed < 4 else {}) for seed in range(12)))
    assert alike is not None and alike.prior_years["12-25"] > 1.0
    assert differing is not None and differing.prior_years["12-25"] < 0.1


@pytest.mark.parametrize("noise", [0.03, 0.2])
def test_one_quiet_series_does_not_hide_what_the_others_have(noise):
    others = [daily_values(5 * 365, seed, noise, effects={"12-25": -0.8}) for seed in range(9)]
    rules = found(*others, daily_values(5 * 365, 99, noise=0.0005, effects={"01-01": 1.0}))
    assert rules is not None and rules.effects["12-25"] < -3.0
    assert abs(rules.effects["12-25"]) > abs(rules.effects.get("01-01", 0.0))


def test_quiet_series_have_their_effects_together():
    rules = found(*(daily_values(5 * 365, seed, noise=0.001, effects={"12-25": -0.6}) for seed in range(4)))
    assert rules is not None and rules.effects.keys() == {"12-25"} and rules.effects["12-25"] < -300.0


@pytest.mark.parametrize("noise", [0.0005, 0.005])
@pytest.mark.parametrize("effects", [{"12-25": -0.6}, TRUE])
def test_quiet_series_have_no_others(noise, effects):
    rules = found(daily_values(5 * 365, noise=noise, effects=effects))
    assert rules is not None and rules.effects.keys() == effects.keys()


@pytest.mark.parametrize("scale", [1e-300, 1e306, -1e15])
def test_levels_of_any_size_have_them(scale):
    rules = found(scale * daily_values(4 * 365, effects={"12-25": -0.5}))
    assert rules is not None and rules.effects.keys() == {"12-25"}


def test_hours_have_the_special_days_of_their_means():
    values = np.repeat(daily_values(4 * 365, effects={"12-25": -0.5}), 4)
    rules = found(values * np.tile([0.5, 1.0, 1.5, 1.0], 4 * 365), step=DAY // 4)
    assert rules is not None and rules.effects.keys() == {"12-25"}


def test_many_series_show_what_one_does_not():
    weak = [daily_values(3 * 365, seed, noise=0.3, effects={"12-25": -0.6}) for seed in range(40)]
    assert found(weak[0]) is None
    together = found(*weak)
    assert together is not None and together.effects.keys() == {"12-25"}


def test_gaps_do_not_hide_them():
    values = daily_values(5 * 365, effects=TRUE)
    values[np.random.default_rng(1).random(len(values)) < 0.1] = np.nan
    values[400:500] = np.nan
    rules = found(values)
    assert rules is not None and {"12-25", "11-thu-4"} <= rules.effects.keys()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "made",
    [
        lambda rng, count: 100.0 + 5.0 * rng.standard_t(3, size=count),
        lambda rng, count: 1000.0 + np.cumsum(rng.normal(size=count)),
        lambda rng, count: rng.poisson(0.5, count).astype(float),
        lambda _rng, count: np.full(count, 7.0),
        lambda _rng, count: np.full(count, np.nan),
        lambda _rng, count: np.arange(count, dtype=float),
    ],
)
def test_chance_makes_none(made, seed):
    assert found(made(np.random.default_rng(seed), 4 * 365)) is None


def test_fewer_than_three_years_and_rows_that_are_no_days_have_none():
    values = daily_values(5 * 365, effects=TRUE)
    assert found(values[: 2 * 365]) is None
    made = panel(values)
    for freq in ("MS", "B", "W-MON", "1"):
        assert find_special_days(replace(made, freq=Freq.parse(freq)), made.offsets[1:]) is None


@given(st.integers(3 * 365, 5 * 365 - 1), st.floats(-1e6, 1e6))
def test_no_row_from_the_end_on_is_read(end, later):
    values = daily_values(5 * 365, effects=TRUE)
    before = find_special_days(panel(values), np.array([end]))
    values[end:] = later
    assert find_special_days(panel(values), np.array([end])) == before


def test_easter_is_that_of_dateutil():
    years = np.arange(1900, 2100)
    sundays = days_of(*(easter(int(year)).isoformat() for year in years))
    for away in (-49, -2, 0, 1, 39, 60):
        assert (codes_of(sundays + away)[3] == away + 63).all()


@pytest.mark.parametrize(
    ("day", "rules"),
    [
        ("2024-11-28", {"11-28", "11-thu-4", "11-thu-last"}),
        ("2024-05-27", {"05-27", "05-mon-4", "05-mon-last", "easter+57"}),
        ("2024-03-29", {"03-29", "03-fri-last", "easter-2"}),
        ("2023-02-28", {"02-28", "02-tue-4", "02-tue-last", "easter-40"}),
    ],
)
def test_a_day_has_the_rules_of_its_date_weekday_and_easter(day, rules):
    named = {*rules, "12-25", "easter-3", "11-wed-4", "01-mon-1"}
    assert {rule for rule in named if Rules({rule: 1.0}).of(days_of(day))[0]} == rules


def test_the_row_of_the_calendar_holds_rules_and_effects_and_can_be_read_again():
    rules = Rules({"12-25": -10.0, "11-thu-4": -5.0, "easter-2": 2.5}, prior_years={"12-25": 1.25, "11-thu-4": 2.0})
    row = rules.row
    assert row == "days:1/1/1/1/1/1/1,12-25=-10/1.25,11-thu-4=-5/2,easter-2=2.5/2"
    assert Rules.parse(row).row == row
    assert is_row(row) and tells_special_days(row) and row_words(row) == "special days" and width((row,)) == 3
    wall = days_of("2024-12-24", "2024-12-25", "2024-12-26", "2024-11-28") * DAY + DAY // 2
    np.testing.assert_allclose(features(wall, (row,)), [[0, -1, 0], [-1, 0, 0], [0, 0, -1], [-0.5, 0, 0]])


def test_a_weekend_that_rests_anyway_has_less_of_a_date():
    values = daily_values(12 * 365)
    days = days_of(FIRST) + np.arange(len(values))
    weekend = (days + 3) % 7 >= 5
    dates = Rules({"12-25": -0.5, "07-04": -0.4, "05-01": -0.3, "11-01": -0.4, "01-01": -0.4}).of(days)
    rules = found(values * (1.0 + np.where(weekend, 0.2, 1.0) * dates))
    assert rules is not None and rules.effects.keys() <= {"12-25", "07-04", "05-01", "11-01", "01-01"}
    assert min(rules.weekdays[:5]) > 0.9 and max(rules.weekdays[5:]) < 0.75
    christmas = rules.of(days_of("2023-12-25", "2022-12-25"))  # a Monday, a Sunday
    assert christmas[1] == pytest.approx(christmas[0] * rules.weekdays[6] / rules.weekdays[0])


ALL = "1/1/1/1/1/1/1"


@pytest.mark.parametrize(
    "row",
    [
        "",
        "13",
        "12-25=1/1",
        ALL,
        f"{ALL},12-25",
        f"{ALL},12-25=x/1",
        f"{ALL},12-25=1/x",
        f"{ALL},11-xyz-4=1/1",
        f"{ALL},easter=1/1",
        "1/1,12-25=1/1",
    ],
)
def test_what_is_no_row_of_special_days_is_none(row):
    assert not is_row(f"days:{row}") and is_row(f"days:{ALL},12-25=1/1")
