from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecaster.data.freq import Freq
from forecaster.data.reading.frequency import SortedRows, check_grid, infer_freq
from forecaster.errors import DataError

FREQS = (
    "s", "10s", "min", "15min", "30min", "h", "6h", "D", "2D", "W", "2W", "4W", "MS", "ME", "M-15", "M-30", "QS", "QE",
    "Q-10", "YS", "YE", "B",
)  # fmt: skip


def rows(*series: np.ndarray, zone: str | None = None, whole: bool = False) -> SortedRows:
    offsets = np.concatenate([[0], np.cumsum([len(s) for s in series])])
    names = np.array([f"s{i}" for i in range(len(series))], dtype=object)
    return SortedRows(names, offsets, np.concatenate(series), zone, whole, "x.csv", lambda row: f"x.csv:{row + 2}")


def made(name: str, start: str, count: int, zone: str | None = None) -> np.ndarray:
    begin = np.array([start], dtype="M8[us]").astype(np.int64)
    return Freq.parse(name).after(begin, count, zone)[0]


@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
@pytest.mark.parametrize("name", FREQS)
def test_each_frequency_is_recognised(name: str, zone: str | None) -> None:
    panel = rows(made(name, "2023-11-07T05:00", 40, zone), made(name, "2020-01-02T05:00", 9, zone), zone=zone)
    assert infer_freq(panel).name == name
    steps = check_grid(panel, infer_freq(panel), inferred=True)
    assert steps.tolist() == [*range(40), *range(9)]


@given(st.sampled_from(FREQS), st.sets(st.integers(1, 58), max_size=12))
def test_gaps_change_nothing(name: str, gone: set[int]) -> None:
    kept = [i for i in range(60) if i not in gone]
    panel = rows(made(name, "2023-11-07", 60)[kept])
    assert infer_freq(panel).name == name
    assert check_grid(panel, infer_freq(panel), inferred=True).tolist() == kept


def test_weeks_may_begin_on_any_weekday_in_each_series() -> None:
    assert infer_freq(rows(made("W", "2024-01-01", 9), made("W", "2024-01-03", 9))).name == "W"


def test_business_days_need_a_weekend_that_was_left_out() -> None:
    assert infer_freq(rows(made("B", "2023-12-29", 5))).name == "D"  # Monday to Friday
    assert infer_freq(rows(made("B", "2023-12-29", 6))).name == "B"
    assert infer_freq(rows(made("B", "2023-12-29", 9), made("D", "2024-01-01", 9))).name == "D"


def test_the_common_divisor_is_the_step_where_a_fair_share_of_differences_equals_it() -> None:
    stamps = np.cumsum([0, 2, 2, 1, 2, 2, 1, 2, 2, 1]) * 3_600_000_000
    assert infer_freq(rows(stamps)).name == "h"
    assert infer_freq(rows(np.array([1, 4, 7, 10, 16]), whole=True)).name == "3"


def test_a_stamp_between_the_steps_is_named() -> None:
    stamps = np.sort(np.append(made("h", "2024-01-01", 30), np.array(["2024-01-01T05:30"], "M8[us]").astype(np.int64)))
    panel = rows(stamps)
    with pytest.raises(DataError) as caught:
        check_grid(panel, infer_freq(panel), inferred=True)
    assert str(caught.value) == (
        "x.csv:7: timestamp '2024-01-01 05:30:00' of series 's0' does not fit frequency h, inferred from all rows. "
        "Mend the row, or give the frequency with --freq."
    )


def test_a_first_row_that_all_others_disagree_with_is_the_one_named() -> None:
    stamps = made("h", "2024-01-01", 30)
    stamps[0] -= 60_000_000
    panel = rows(stamps)
    with pytest.raises(DataError, match=r"^x\.csv:2: timestamp '2024-01-01 00:59:00'"):
        check_grid(panel, infer_freq(panel), inferred=True)


def test_a_wrong_day_of_the_month_is_named() -> None:
    stamps = made("MS", "2023-12-01", 24)
    stamps[7] += 86_400_000_000
    panel = rows(stamps)
    with pytest.raises(DataError, match=r"^x\.csv:9: timestamp '2024-08-02' .* does not fit frequency MS, inferred"):
        check_grid(panel, infer_freq(panel), inferred=True)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("h", "15min", "x.csv:32: series 's1' has frequency 15min, but series 's0' has h."),
        ("h", "D", "x.csv:32: series 's1' has frequency D, but series 's0' has h."),
        ("MS", "ME", "x.csv:32: series 's1' has frequency ME, but series 's0' has MS."),
        ("D", "W", "x.csv:32: series 's1' has frequency W, but series 's0' has D."),
    ],
)
def test_two_frequencies_in_one_panel_are_named_by_series(first: str, second: str, message: str) -> None:
    panel = rows(made(first, "2024-01-01", 30), made(second, "2024-01-01", 6))
    with pytest.raises(DataError) as caught:
        check_grid(panel, infer_freq(panel), inferred=True)
    assert str(caught.value) == f"{message} Put them in files of their own, or give one frequency with --freq."


def test_a_frequency_given_is_checked_too() -> None:
    panel = rows(made("MS", "2024-01-01", 9))
    with pytest.raises(DataError) as caught:
        check_grid(panel, Freq.parse("ME"), inferred=False)
    assert str(caught.value) == (
        "x.csv:2: timestamp '2024-02-01' of series 's0' does not fit frequency ME, as --freq or the model says. "
        "The rows look like --freq MS."
    )
    with pytest.raises(DataError, match="timestamps are dates, and frequency 1 does not fit them"):
        check_grid(panel, Freq.parse("1"), inferred=False)


def test_two_hours_that_the_clock_calls_the_same_are_an_hour_apart() -> None:
    instants = np.array(["2024-10-27T00:00", "2024-10-27T01:00"], dtype="M8[us]").astype(np.int64)
    assert infer_freq(rows(instants, zone="Europe/Berlin")).name == "h"


def test_one_row_a_series_is_too_few() -> None:
    with pytest.raises(DataError, match=r"^x\.csv: no series has two rows, so no frequency can be inferred\."):
        infer_freq(rows(made("D", "2024-01-01", 1), made("D", "2024-01-02", 1)))
