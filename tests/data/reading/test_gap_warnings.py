"""A year that is wrong makes gaps out of proportion, which are warned of at the line where they happen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_panel

Write = Callable[..., str]
DAYS = pd.date_range("2011-11-01", periods=68)


def file_of(texts: list[str], name: str = "") -> str:
    return "\n".join(
        [f"{name and 'shop,'}date,v", *(f"{name and name + ','}{text},{i}" for i, text in enumerate(texts))]
    )


@pytest.mark.parametrize("form", ["%Y-%m-%d", "%m/%d/%Y", "%Y%m%d"])
@pytest.mark.parametrize("descending", [False, True])
def test_a_year_that_was_not_turned_is_warned_of_at_its_line(write: Write, form: str, descending: bool) -> None:
    texts = [day.replace(year=2011).strftime(form) if i > 61 else day.strftime(form) for i, day in enumerate(DAYS)]
    panel = read_panel(write(file_of(texts[::-1] if descending else texts)))
    line = 8 if descending else 64
    before, after = ("2011-01-02", "2012-01-01") if descending else ("2012-01-01", "2011-01-02")
    assert panel.warnings == (
        f"x.csv:{line}: timestamp '{after}' follows '{before}', and 297 of the 365 steps of D of series 'v' have no row. "
        "Check its year.",
    )


@pytest.mark.parametrize("year", [2012, 2013, 2015])
def test_a_last_row_of_a_later_year_is_warned_of_at_its_line(write: Write, year: int) -> None:
    texts = [*DAYS[:-8].strftime("%Y-%m-%d"), f"{year}-12-31"]
    (warning,) = read_panel(write(file_of(texts, "a") + "\n" + file_of(texts[:30], "b").split("\n", 1)[1])).warnings
    assert warning.startswith("x.csv:62: ") and f"before '{year}-12-31'. Check its year." in warning


HOURS = pd.date_range("2024-01-01", periods=900, freq="h")


@pytest.mark.parametrize(
    "dates",
    [DAYS, DAYS[DAYS.day_of_week < 6], DAYS.delete(range(20, 25)), HOURS[(HOURS.hour > 8) & (HOURS.hour < 18)]],
    ids=["whole", "no Sundays", "a few days", "office hours"],
)
def test_usual_gaps_are_not_warned_of(write: Write, dates: pd.DatetimeIndex) -> None:
    assert read_panel(write(file_of([str(date) for date in dates]))).warnings == ()
    shuffled = pd.Series(dates.astype(str)).sample(frac=1, random_state=0).tolist()
    assert read_panel(write(file_of(shuffled))).warnings == ()


@pytest.mark.parametrize(
    ("own", "given"),
    [("MS", "D"), ("QS", "MS"), ("YS", "MS"), ("h", "30min"), ("2QS", "QS"), ("2MS", "MS"), ("2D", "D")],
)
@pytest.mark.parametrize("series", [["a"], ["a", "b"]])
def test_a_frequency_finer_than_that_of_the_rows_is_warned_of(own: str, given: str, series: list[str]) -> None:
    dates = pd.date_range("2018-01-01", periods=24, freq=own)
    frame = pd.concat([pd.DataFrame({"shop": one, "date": dates, "v": range(24)}) for one in series])
    columns = Columns(series="shop")
    (found,) = read_panel(frame, columns, freq=given).warnings
    assert found.startswith(f"the rows look like {own}, so ") and f"steps of {given} have no row" in found
    assert read_panel(frame, columns, freq=own).warnings == read_panel(frame, columns).warnings == ()


def test_a_series_that_is_coarser_than_the_others_is_warned_of() -> None:
    rng = np.random.default_rng(0)
    days, months = pd.date_range("2022-01-01", periods=700), pd.date_range("2022-01-01", periods=24, freq="MS")
    rare = days[rng.random(700) < 0.05]
    dates = {"a": days, "b": months, "c": rare}
    frame = pd.concat(
        [pd.DataFrame({"shop": one, "date": at, "v": 1.0 + np.arange(len(at)) % 7}) for one, at in dates.items()]
    )
    (found,) = read_panel(frame, Columns(series="shop"), freq="D").warnings
    assert found.startswith("the rows of series 'b' look like MS, so 676 of the 700 steps of D have no row")


def test_sparse_rows_of_a_given_frequency_are_not() -> None:
    days = pd.date_range("2024-01-01", periods=300)[[i for i in range(300) if i % 7 in (0, 3) or i % 31 == 5]]
    assert read_panel(pd.DataFrame({"date": days, "v": range(len(days))}), freq="D").warnings == ()
