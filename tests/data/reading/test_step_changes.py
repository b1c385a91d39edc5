"""A series whose step changes is read on the grid of the finer one, which is warned of with the rows to leave out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as, read_panel
from forecaster.data.row_options import RowOptions


def dates(*parts: tuple[str, int, str]) -> pd.DatetimeIndex:
    found = [pd.date_range(first, periods=count, freq=freq) for first, count, freq in parts]
    return found[0].append(found[1:])


def frame(index: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame({"date": index, "v": np.arange(len(index)) % 11 + 5.0})


CHANGES = {
    "months, then days": (dates(("2022-01-01", 24, "MS"), ("2024-01-01", 90, "D")), "MS", "D", "2024-01-01"),
    "month ends, then days": (dates(("2022-01-31", 24, "ME"), ("2024-01-01", 90, "D")), "ME", "D", "2024-01-01"),
    "quarters, then months": (dates(("2010-01-01", 20, "QS"), ("2015-01-01", 40, "MS")), "QS", "MS", "2015-01-01"),
    "hours, then quarters of one": (
        dates(("2024-01-01", 200, "h"), ("2024-01-09 08:00", 400, "15min")), "h", "15min", "2024-01-09T08:00:00",
    ),
    "weeks, then days": (dates(("2023-01-02", 52, "7D"), ("2024-01-01", 200, "D")), "W", "D", "2024-01-01"),
    "weeks that end on Sundays, then days": (dates(("2023-01-01", 53, "7D"), ("2024-01-01", 200, "D")), "W", "D", "2024-01-01"),
    "days, then weeks": (dates(("2023-01-02", 364, "D"), ("2024-01-01", 30, "7D")), "D", "W", "2024-01-01"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_of_the_step_is_warned_of_with_the_rows_to_leave_out(kind: str) -> None:
    index, before, after, since = CHANGES[kind]
    (warning,) = read_panel(frame(index)).warnings
    shown = since.replace("T", " ")
    assert f"are {before} before '{shown}' and {after} from there on" in warning and warning.endswith(
        f"--since {since}"
    )
    later = read_as(frame(index), replace(ReadOptions.of(), rows=RowOptions(since=since)))
    assert later.warnings == () and later.gaps == 0 and later.freq.name == after


def test_it_is_warned_of_in_a_series_of_several_and_on_a_given_step() -> None:
    index = dates(("2022-01-01", 24, "MS"), ("2024-01-01", 90, "D"))
    days = pd.date_range("2022-06-01", periods=300)
    table = pd.concat([frame(days).assign(shop="a"), frame(index).assign(shop="b")])
    for freq in (None, "D"):
        (warning,) = read_panel(table, Columns(series="shop"), freq=freq).warnings
        assert "of series 'b' are MS before '2024-01-01'" in warning


@pytest.mark.parametrize("seed", range(5))
def test_missing_rows_are_no_change(seed: int) -> None:
    rng = np.random.default_rng(seed)
    days = pd.date_range("2022-01-01", periods=600)
    for kept in (
        rng.random(600) < 0.5,
        rng.random(600) < np.linspace(0.2, 1, 600),
        days.day_of_week < 5,
        days.day_of_week % 2 == 0,
    ):
        assert read_panel(frame(days[kept]), freq="D").warnings == ()
