from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.data.time_zones import check_zone, fixed_zone, instants_of, resolve_wall_clock, wall_clock
from forecaster.errors import UsageError

ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "UTC",
    "+05:30",
)
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def micros(text: str) -> np.ndarray:
    return np.array([text], dtype="M8[us]").astype(np.int64)


@given(st.sampled_from(ZONES[:5]), st.integers(-2_000_000_000, 4_000_000_000))
def test_wall_clocks_agree_with_zoneinfo(zone: str, second: int) -> None:
    moment = datetime.fromtimestamp(second, tz=ZoneInfo(zone))
    expected = (moment.replace(tzinfo=timezone.utc) - EPOCH).total_seconds()
    assert wall_clock(np.array([second * 1_000_000]), zone)[0] == expected * 1_000_000


@given(st.sampled_from(ZONES), st.integers(-2_000_000_000, 4_000_000_000))
def test_an_instant_is_one_of_those_that_its_wall_clock_means(zone: str, second: int) -> None:
    instant = np.array([second * 1_000_000])
    first, later, missing = resolve_wall_clock(wall_clock(instant, zone), zone)
    assert instant[0] in (first[0], later[0])
    assert not missing[0]


def test_a_repeated_hour_is_the_first_and_a_skipped_one_as_much_later() -> None:
    assert instants_of(micros("2024-10-27T02:30"), "Europe/Berlin") == micros("2024-10-27T00:30")
    assert instants_of(micros("2024-03-31T02:30"), "Europe/Berlin") == micros("2024-03-31T01:30")
    assert resolve_wall_clock(micros("2024-03-31T02:30"), "Europe/Berlin")[2].all()


def test_offsets_are_named_the_way_stamps_write_them() -> None:
    assert [fixed_zone(m * 60_000_000) for m in (0, 60, -210)] == ["UTC", "+01:00", "-03:30"]
    assert [check_zone(z) for z in ("Z", "+0100", "+00:00", "Europe/Berlin")] == [
        "UTC",
        "+01:00",
        "UTC",
        "Europe/Berlin",
    ]


def test_an_unknown_zone_is_met_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"^zone 'Europe/Berln' is not known\. Did you mean 'Europe/Berlin'\?$"):
        check_zone("Europe/Berln")
