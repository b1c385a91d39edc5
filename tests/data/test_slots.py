"""Slots of a week: their spelling, and steps that skip those that do not exist."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.data.freq import Freq
from forecaster.data.slots import WEEK, parse_slots, slots_text
from forecaster.data.time_zones import DAY
from forecaster.errors import UsageError

HOUR = DAY // 24
STEPS = (HOUR // 60, HOUR // 12, HOUR // 4, HOUR // 2, HOUR, 3 * HOUR, 8 * HOUR, DAY)


@st.composite
def patterns(draw):
    step = draw(st.sampled_from(STEPS))
    chosen = draw(st.sets(st.integers(0, min(WEEK // step, 400) - 1), min_size=1, max_size=60))
    return step, tuple(sorted(chosen))


@given(patterns())
def test_a_pattern_is_read_back_as_it_was_written(pattern):
    step, slots = pattern
    if slots != tuple(range(WEEK // step)):
        freq = Freq("clock", step, slots=slots)
        assert Freq.parse(freq.name) == freq
        assert parse_slots(slots_text(slots, step), step) == slots


@given(patterns(), st.integers(0, 4000), st.integers(-300, 300), st.integers(0, 59))
def test_steps_visit_every_slot_once_in_order(pattern, week, steps, minutes):
    step, slots = pattern
    freq = Freq("clock", step, slots=slots)
    phase = minutes * DAY // 1440 % step
    begin = np.array([week * WEEK - 3 * DAY + slots[0] * step + phase])
    later = freq.advance(begin, np.array([steps]))
    assert freq.exists(later).all() and later % step == phase
    assert freq.ordinals(later) - freq.ordinals(begin) == steps
    assert freq.advance(later, np.array([-steps])) == begin


@pytest.mark.parametrize(
    ("name", "season", "per_week"),
    [
        ("h@Mon-Fri 10:00-16:00", 7, 35),
        ("D@Mon-Sat", 6, 6),
        ("D@Sun-Thu", 5, 5),
        ("30min@Mon-Fri 09:30-11:30,13:00-15:00", 10, 50),
        ("h@Mon-Fri 08:00-17:00; Sat 10:00-12:00", 53, 53),
        ("5min@05:00-19:55", 180, 1260),
    ],
)
def test_the_season_counts_the_slots_that_are_kept(name, season, per_week):
    assert (Freq.parse(name).season_length, len(Freq.parse(name).slots)) == (season, per_week)


@pytest.mark.parametrize(
    "name", ["h@", "h@Mon-Foo", "h@16:00-10:00", "MS@Mon-Fri", "W@Mon", "h@Mon 25:00", "7@Mon", "h@x"]
)
def test_what_is_no_pattern_is_refused(name):
    if name == "h@":
        assert Freq.parse(name) == Freq.parse("h")
        return
    with pytest.raises(UsageError):
        Freq.parse(name)


def test_hours_of_a_market_stay_when_clocks_change():
    freq = Freq.parse("h@Mon-Fri 10:00-15:00")
    last = np.array([np.datetime64("2024-03-08T20:00", "us").astype(np.int64)])  # Friday 15:00 in New York
    after = freq.after(last, 2, "America/New_York")[0].astype("M8[us]").astype(str)
    assert [text[:16] for text in after] == ["2024-03-11T14:00", "2024-03-11T15:00"]
