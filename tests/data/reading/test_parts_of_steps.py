"""Series that are hours of rows of days, months of rows of years and the like are warned of, with what reads them as one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns
from forecaster.data.reading.parts_of_steps import part_warning
from forecaster.data.reading.reader import read_panel
from tests.data.reading.test_office_forms import MONTHS

CLOCK = [f"{hour:02d}:00" for hour in range(24)]
HOURS = [str(hour) for hour in range(1, 25)]
GERMAN = MONTHS["German"].split()
WEEK = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def parts(names, column="interval", periods=20, freq="D"):
    stamps = pd.date_range("2024-01-10", periods=periods, freq=freq)
    rows = np.random.default_rng(0).normal(100.0, 9.0, len(names) * periods)
    return pd.DataFrame({column: np.repeat(names, periods), "date": np.tile(stamps, len(names)), "y": rows})


def wide(frame):
    columns = list(dict.fromkeys(frame["interval"]))
    return frame.pivot(index="date", columns="interval", values="y")[columns].reset_index()


NAMED = "name them: --timestamp 'date,interval'"
PARTS = [  # names, step, how they are called, what they may be, and what reads the rows of a long table
    (HOURS, "D", "numbered 1 to 24", "hours of the day", NAMED),
    ([f"H{hour:02d}" for hour in range(1, 25)], "D", "called H01 to H24", "hours of the day", NAMED),
    ([f"HE{hour}" for hour in range(1, 25)], "D", "called HE1 to HE24", "hours of the day", "of its hour"),
    ([*(f"HE{hour}" for hour in range(1, 25)), "Total"], "D", "called HE1 to HE24", "hours of the day", "of its hour"),
    ([f"hour_{hour}" for hour in range(24)], "D", "called hour_0 to hour_23", "hours of the day", "of its hour"),
    ([f"{hour}h" for hour in range(24)], "D", "called 0h to 23h", "hours of the day", "of its hour"),
    ([f"{h:02d}-{h + 1:02d}" for h in range(24)], "D", "called 00-01 to 23-24", "hours of the day", "of its hour"),
    ([f"{h}:00-{h + 1}:00" for h in range(24)], "D", "called 0:00-1:00 to 23:00-24:00", "times of the day", "its time"),
    ([f"SP{period}" for period in range(1, 49)], "D", "called SP1 to SP48", "half-hours of the day", "its half-hour"),
    ([f"Q{part}" for part in range(1, 97)], "D", "called Q1 to Q96", "quarter-hours of the day", "its quarter-hour"),
    (CLOCK, "D", "called 00:00 to 23:00", "times of the day", NAMED),
    (CLOCK, "B", "called 00:00 to 23:00", "times of the day", NAMED),
    (CLOCK[9:18], "D", "called 09:00 to 17:00", "times of the day", NAMED),
    ([f"{h}:{m:02d}:00" for h in range(24) for m in (0, 30)], "D", "0:00:00 to 23:30:00", "times of the day", NAMED),
    ([f"{(h - 1) % 12 + 1} {'ap'[h // 12]}m" for h in range(24)], "D", "12 am to 11 pm", "times of the day", NAMED),
    ([f"{hour * 100}" for hour in range(24)], "D", "called 0 to 2300", "times of the day", NAMED),
    ([f"{hour:02d}00" for hour in range(1, 25)], "D", "called 0100 to 2400", "times of the day", NAMED),
    (WEEK, "W", "called Mon to Sun", "days of the week", "of its day"),
    (
        ["Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag", "Sonntag"],
        "W",
        "Montag",
        "days",
        "its day",
    ),
    ([f"d{day}" for day in range(1, 32)], "MS", "called d1 to d31", "days of the month", "of its day"),
    ([f"min {minute}" for minute in range(60)], "h", "min 0 to min 59", "minutes of the hour", "of its minute"),
    (["Q1", "Q2", "Q3", "Q4"], "YS", "called Q1 to Q4", "quarters of the year", NAMED),
    ([f"W{week:02d}" for week in range(1, 53)], "YS", "called W01 to W52", "weeks of the year", NAMED),
    (GERMAN, "YS", f"called {GERMAN[0]} to {GERMAN[11]}", "months of the year", NAMED),
]


@pytest.mark.parametrize(("names", "step", "called", "what", "remedy"), PARTS)
def test_series_that_are_parts_of_steps_are_warned_of(names, step, called, what, remedy):
    frame = parts(names, freq=step)
    found = part_warning(read_panel(frame))
    assert found.startswith("the series are ") and called in found and what in found and remedy in found
    single = next(part for part in what.split() if part).removesuffix("s")
    found = part_warning(read_panel(wide(frame)))
    assert called in found and what in found and found.endswith(f"write a row for each {single}")


@pytest.mark.parametrize("names", [HOURS, CLOCK, CLOCK[9:18], [f"{hour * 100}" for hour in range(24)]])
def test_the_remedy_reads_the_hours(names):
    panel = read_panel(parts(names), columns=Columns(timestamp="date,interval"))
    assert panel.freq.name.split("@")[0] == "h" and len(panel.series) == 1


@pytest.mark.parametrize(
    ("names", "step"),
    [
        ([f"store {hour}" for hour in HOURS], "D"),
        ([f"T{hour}" for hour in HOURS], "D"),
        ([f"{number}" for number in range(1, 49)], "D"),
        (HOURS[:20], "D"),
        (HOURS, "h"),
        (HOURS, "MS"),
        ([hour for hour in CLOCK if hour != "05:00"], "D"),
        (["08:10", "09:10", "10:10"], "D"),  # departures
        ([f"{hour * 100}" for hour in range(10)], "D"),  # articles
        ([f"{hour * 100 + 7}" for hour in range(24)], "D"),
        (["Q1", "Q2", "Q3", "Q4"], "QS"),
        (WEEK, "D"),
        (["CITY", *MONTHS["Spanish"].split()[1:]], "YS"),
        ([f"item-{hour}" for hour in range(24)], "D"),
        (["north", "south", "west"], "D"),
    ],
)
def test_other_series_are_not(names, step):
    assert not part_warning(read_panel(parts(names, freq=step)))


def test_hours_as_hundreds_are_hours():
    frame = parts([f"{hour}00" for hour in range(24)], "hhmm").sort_values(["date", "hhmm"])
    panel = read_panel(frame)
    assert panel.freq.name == "h" and len(panel.series) == 1


@pytest.mark.parametrize("names", [f"{MONTHS[language]} Total" for language in ("German", "French, short")])
def test_years_by_months_are_warned_of_with_a_total_and_in_other_languages_too(tmp_path, names):
    rows = [f"{year}," + ",".join(str(year % 100 + k) for k in range(13)) for year in range(2010, 2020)]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["year," + names.replace(" ", ","), *rows]) + "\n", encoding="utf-8")
    panel = read_panel(path)
    assert any("if these are months of the year, write a row for each month" in warning for warning in panel.warnings)


@pytest.mark.parametrize(
    ("names", "step", "called"),
    [
        ([f"M{month:02d}" for month in range(1, 14)], "YS", "called M01 to M12: if these are months of the year"),
        ([f"H{hour}" for hour in range(1, 26)], "D", "called H1 to H24: if these are hours of the day"),
        ([f"P{period}" for period in range(1, 14)], "YS", "called P1 to P13: if these are periods of the year"),
    ],
)
def test_a_part_too_many_as_the_mean_of_the_year_hides_no_parts(names, step, called):
    """Labour statistics call a year's mean M13."""
    assert called in part_warning(read_panel(parts(names, freq=step)))
