from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.data.freq import Freq, format_timestamps
from forecaster.errors import UsageError

NAMES = (
    "3", "us", "ms", "s", "10s", "min", "15min", "30min", "h", "2h", "36h", "D", "2D", "W", "2W", "B", "2B",
    "MS", "ME", "M-15", "M-30", "2MS", "QS", "QE", "Q-10", "YS", "YE", "Y-29",
)  # fmt: skip


def micros(*texts: str) -> np.ndarray:
    return np.array(texts, dtype="M8[us]").astype(np.int64)


def dates(values: np.ndarray) -> list[str]:
    return [str(v) for v in values.astype("M8[us]").astype("M8[m]").ravel()]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_read_back_to_the_same_frequency(name: str) -> None:
    assert Freq.parse(name).name == name
    assert str(Freq.parse(name)) == name


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("H", "h"), ("T", "min"), ("30T", "30min"), ("60min", "h"), ("90s", "90s"), ("24h", "D"), ("7D", "W"), ("W-MON", "W"),
     ("M", "ME"), ("Q", "QE"), ("A", "YE"), ("A-DEC", "YE"), ("QS-FEB", "QS"), ("AS", "YS"), ("12MS", "YS"), ("M-1", "MS"),
     ("M-31", "ME"), (" d ", "D"), ("daily", "D"), ("1", "1")],
)  # fmt: skip
def test_other_spellings_are_understood(spelling: str, name: str) -> None:
    assert Freq.parse(spelling).name == name


@pytest.mark.parametrize("name", ["", "0", "x", "0h", "-h", "1.5h", "M-32", "M-0", "h-15", "MS-15", "W-15", "B-2"])
def test_nonsense_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"^frequency '.*' is not known\. "):
        Freq.parse(name)


def test_nonsense_is_met_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"^frequency '15mins' is not known\. Did you mean '15min'\?$"):
        Freq.parse("15mins")


@pytest.mark.parametrize(
    ("name", "season"),
    [("s", 60), ("10s", 360), ("min", 60), ("5min", 288), ("15min", 96), ("30min", 48), ("h", 24), ("6h", 4), ("7min", 1),
     ("B", 5), ("D", 7), ("2D", 1), ("W", 52), ("2W", 26), ("MS", 12), ("ME", 12), ("2MS", 6), ("QS", 4), ("QE", 4),
     ("YS", 1), ("YE", 1), ("ms", 1), ("3", 1)],
)  # fmt: skip
def test_the_season_is_the_shortest_usual_one(name: str, season: int) -> None:
    assert Freq.parse(name).season_length == season


@given(
    st.sampled_from(NAMES),
    st.sampled_from((None, "Europe/Berlin", "America/Sao_Paulo", "UTC", "+05:30")),
    st.integers(-400_000, 900_000),
    st.integers(1, 60),
)
def test_after_continues_ordinals_by_one(name: str, zone: str | None, hour: int, steps: int) -> None:
    freq = Freq.parse(name)
    zone = None if freq.whole_numbers else zone
    start = freq.advance(np.array([hour * 3_600_000_000]), np.array([1]), zone)  # on the freq's own day
    later = freq.after(start, steps, zone)
    assert later.shape == (1, steps)
    assert (freq.ordinals(later[0], zone) - freq.ordinals(start, zone) == np.arange(1, steps + 1)).all()
    assert (np.diff(later[0]) > 0).all()


@pytest.mark.parametrize(
    ("name", "last", "expected"),
    [
        ("B", "2024-01-04", ["2024-01-05", "2024-01-08"]),
        ("W", "2024-02-28", ["2024-03-06", "2024-03-13"]),
        ("MS", "2024-01-01", ["2024-02-01", "2024-03-01"]),
        ("ME", "2024-01-31", ["2024-02-29", "2024-03-31"]),
        ("M-30", "2024-01-30", ["2024-02-29", "2024-03-30"]),
        ("QE", "2023-12-31", ["2024-03-31", "2024-06-30"]),
        ("QS", "2024-02-01", ["2024-05-01", "2024-08-01"]),
        ("YE", "2023-06-30", ["2024-06-30", "2025-06-30"]),
    ],
)
def test_the_calendar_is_kept(name: str, last: str, expected: list[str]) -> None:
    assert (Freq.parse(name).after(micros(last), 2)[0] == micros(*expected)).all()


def test_a_daily_series_keeps_its_hour_when_clocks_change_and_an_hourly_one_its_instants() -> None:
    last = micros("2024-03-30T07:00")  # 08:00 in Berlin, still winter time
    assert dates(Freq.parse("D").after(last, 2, "Europe/Berlin")) == ["2024-03-31T06:00", "2024-04-01T06:00"]
    assert dates(Freq.parse("24h").after(last, 1)) == ["2024-03-31T07:00"]
    last = micros("2024-10-26T23:00")
    hours = Freq.parse("h").after(last, 3, "Europe/Berlin")
    assert dates(hours) == ["2024-10-27T00:00", "2024-10-27T01:00", "2024-10-27T02:00"]
    assert list(format_timestamps(hours[0], Freq.parse("h"), "Europe/Berlin")) == [
        "2024-10-27 02:00:00+02:00",
        "2024-10-27 02:00:00+01:00",
        "2024-10-27 03:00:00+01:00",
    ]


@pytest.mark.parametrize(
    ("name", "stamps", "texts"),
    [
        ("D", ["2024-01-31", "2024-02-01"], ["2024-01-31", "2024-02-01"]),
        ("D", ["2024-01-31T08:00"], ["2024-01-31 08:00:00"]),
        ("h", ["2024-01-31"], ["2024-01-31 00:00:00"]),
        ("ms", ["2024-01-31T00:00:00.250"], ["2024-01-31 00:00:00.250"]),
    ],
)
def test_stamps_are_written_as_short_as_they_may(name: str, stamps: list[str], texts: list[str]) -> None:
    assert list(format_timestamps(micros(*stamps), Freq.parse(name))) == texts


def test_whole_numbers_are_written_as_they_are_and_shapes_kept() -> None:
    assert format_timestamps(np.array([[1, 2]]), Freq.parse("1")).tolist() == [[1, 2]]
    assert format_timestamps(micros("2024-01-01", "2024-01-02")[:, None], Freq.parse("h")).shape == (2, 1)
    assert format_timestamps(np.array([], dtype=np.int64), Freq.parse("h")).shape == (0,)


@pytest.mark.slow
def test_a_million_stamps_are_written_in_seconds() -> None:
    stamps = micros("2024-01-01") + np.arange(1_200_000) * 3_600_000_000
    start = time.process_time()  # not wall time: the machine may be busy
    format_timestamps(stamps, Freq.parse("h"))
    assert time.process_time() - start < 5  # measured 0.4


@pytest.mark.slow
def test_frequencies_need_no_pandas() -> None:
    code = "import sys, forecaster.data.freq; sys.exit('pandas' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
