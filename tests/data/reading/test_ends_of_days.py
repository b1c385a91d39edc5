"""Rows after midnight on the date on which their day began are read as of the next day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.data.row_options import RowOptions

NOTE = "Rows after midnight come below later times of their date"


def ended(freq: str = "15min", days: int = 16, start: str = "2024-01-01", zone: str | None = None) -> pd.DataFrame:
    """Rows named by their ends, with the date of the day that they end: 00:15 … 23:45, 00:00."""
    ends = pd.date_range(start, periods=days * {"15min": 96, "30min": 48, "h": 24}[freq] + 1, freq=freq)[1:]
    if zone is not None:
        ends = ends.tz_localize("UTC").tz_convert(zone).tz_localize(None)
    dates = (ends - pd.Timedelta("1s")).normalize()
    return pd.DataFrame({"date": dates, "time": ends.strftime("%H:%M"), "load": np.arange(1.0, len(ends) + 1)})


def read(frame: pd.DataFrame, tmp_path: Any, **options: Any) -> tuple[pd.DatetimeIndex, list[float], bool]:
    """The timestamps and targets that are read from a file, and whether a note says that rows were moved."""
    frame.to_csv(tmp_path / "x.csv", index=False)
    panel = read_panel(tmp_path / "x.csv", **options)
    stamps = pd.DatetimeIndex(panel.timestamps.astype("M8[us]"))
    return stamps, panel.target.tolist(), any(NOTE in note for note in panel.notes)


@pytest.mark.parametrize("freq", ["15min", "30min", "h"])
@pytest.mark.parametrize("way", ["two columns", "one column", "hour", "latest first", "long"])
def test_midnight_below_the_last_step_of_its_date_is_the_end_of_that_day(tmp_path, freq, way):
    frame = ended(freq)
    ends = pd.date_range("2024-01-01", periods=len(frame) + 1, freq=freq)[1:]
    values = frame["load"].tolist()
    if way == "one column":
        stamps = frame["date"].dt.strftime("%d.%m.%Y ") + frame["time"]
        frame = pd.DataFrame({"Datum": stamps, "load": frame["load"]})
    elif way == "hour":
        if freq != "h":
            pytest.skip("hours alone")
        frame = frame.assign(time=frame["time"].str[:2].astype(int)).rename(columns={"time": "Hour"})
    elif way == "latest first":
        frame = frame[::-1]
    elif way == "long":
        both = pd.concat([frame.assign(shop="a"), frame.assign(shop="b")])
        frame, ends, values = both.sort_index(kind="stable"), ends.append(ends), values * 2
    stamps, target, moved = read(frame, tmp_path)
    assert moved and target == values
    assert stamps.tolist() == ends.tolist()


def test_a_gas_day_goes_from_six_to_six(tmp_path):
    begins = pd.date_range("2024-01-01 06:00", periods=24 * 10, freq="h")
    dates = (begins - pd.Timedelta("6h")).normalize()
    frame = pd.DataFrame({"date": dates, "time": begins.strftime("%H:%M"), "gas": np.arange(240.0)})
    stamps, target, moved = read(frame, tmp_path)
    assert moved and target == list(range(240)) and stamps[0] == begins[0] and stamps[-1] == begins[-1]


def test_hours_that_are_there_twice_or_not_at_all_do_not_hide_the_ends_of_days(tmp_path):
    for start in ("2024-10-20", "2024-03-25"):
        frame = ended("h", 14, start, "Europe/Berlin")
        frame.to_csv(tmp_path / "x.csv", index=False)
        panel = read_panel(tmp_path / "x.csv", zone="Europe/Berlin")
        assert not panel.gaps and panel.target.tolist() == frame["load"].tolist()


@pytest.mark.parametrize("order", ["as they come", "latest first", "mixed", "by time of day", "evening first"])
def test_days_that_begin_at_midnight_stay_as_they_are(tmp_path, order):
    index = pd.date_range("2024-01-01", periods=24 * 14, freq="h")
    frame = pd.DataFrame({"time": index, "load": np.arange(len(index))})
    if order == "latest first":
        frame = frame[::-1]
    elif order == "mixed":
        frame = frame.sample(frac=1, random_state=0)
    elif order == "by time of day":
        frame = frame.iloc[np.argsort(index.hour, kind="stable")]
    elif order == "evening first":
        frame = frame.iloc[np.lexsort((-index.hour, index.normalize()))]
    stamps, target, moved = read(frame, tmp_path)
    assert not moved and target == list(range(len(index))) and stamps[0] == index[0]


def test_sales_of_an_evening_stay_on_the_date_of_the_bar(tmp_path):
    """Times without a regular step: the date is the one that their sum belongs to."""
    random = np.random.default_rng(0)
    rows = []
    for day in pd.date_range("2024-01-01", periods=30):
        for minute in np.sort(random.choice(np.arange(18 * 60, 26 * 60), 20, replace=False)):
            rows.append((f"{day:%Y-%m-%d}", f"{minute // 60 % 24:02}:{minute % 60:02}", 1.0))
    frame = pd.DataFrame(rows, columns=["date", "time", "sold"])
    frame.to_csv(tmp_path / "x.csv", index=False)
    options = replace(ReadOptions.of(Columns()), rows=RowOptions(resample="D", aggregate="sum"))
    panel = read_as(tmp_path / "x.csv", options)
    assert panel.target.tolist() == [20.0] * 30
