"""Rows without a regular step are refused with what makes them regular."""

from __future__ import annotations

import pandas as pd
import pytest

from forecaster.data.reading.reader import read_panel
from forecaster.errors import DataError


def in_utc(zone, freq, count, form):
    times = pd.date_range("2022-01-01", periods=count, freq=freq).tz_localize(zone).tz_convert("UTC")
    return pd.DataFrame({"time": times.strftime(form), "y": [100.0 + i % 7 for i in range(count)]})


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Europe/London", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize(("freq", "count"), [("D", 400), ("W", 100), ("MS", 36)])
def test_midnights_in_utc_ask_for_their_zone_and_no_grid_of_utc(zone, freq, count):
    with pytest.raises(DataError) as found:
        read_panel(in_utc(zone, freq, count, "%Y-%m-%dT%H:%M:%SZ"))
    assert found.value.hint == (
        "An hour apart in summer and winter, they are regular on a clock that changes: give its zone, e.g. --zone Europe/Berlin."
    )
    panel = read_panel(in_utc(zone, freq, count, "%Y-%m-%dT%H:%M:%SZ"), zone=zone)
    assert len(panel.target) == count
    assert panel.timestamp_text(int(panel.timestamps[1]))[11:19] == "00:00:00"


def test_such_midnights_without_an_offset_ask_for_the_mark_of_utc_too():
    with pytest.raises(DataError) as found:
        read_panel(in_utc("Europe/Berlin", "MS", 36, "%Y-%m-%d %H:%M:%S"))
    assert "if they are in UTC, write Z after each and give the clock's zone" in str(found.value.hint)


def test_sensors_that_drift_are_moved_to_a_grid():
    times = pd.date_range("2022-01-01", periods=99, freq="h") + pd.to_timedelta([i * 7 % 11 for i in range(99)], "min")
    with pytest.raises(DataError) as found:
        read_panel(pd.DataFrame({"time": times, "y": range(99)}))
    assert str(found.value.hint).startswith("Move them to the grid with --freq h --snap")


@pytest.mark.parametrize("freq", ["3h", "6h", "12h"])
def test_steps_of_hours_that_follow_the_clock_ask_to_leave_the_zone_out(freq):
    times = pd.date_range("2022-03-01", periods=400, freq=freq)
    rows = pd.DataFrame({"time": times.strftime("%Y-%m-%d %H:%M"), "y": [100.0 + i % 7 for i in range(400)]})
    with pytest.raises(DataError) as found:
        read_panel(rows, zone="Europe/Berlin")
    assert str(found.value.hint).startswith(
        "They are regular on the clock of Europe/Berlin, which changes: leave --zone out"
    )
    assert len(read_panel(rows).target) == 400
