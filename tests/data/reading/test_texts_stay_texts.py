"""Names of series are texts as they are in the file, through every reader and whatever they look like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_panel

LIKE_NUMBERS = (
    ("007", "7", "12"), ("01", "02", "10"), ("1.10", "1.1", "1.100"), ("12E4", "120000", "12e4"), ("1_000", "1000"),
    ("TRUE", "True", "true"), ("+5", "5", "-5"), ("0x1F", "31"), ("inf", "Infinity"), ("1e5", "100000.0"), (".5", "0.5"),
    ("2024-01", "202401"), ("NA", "null", "nan"), ("9007199254740993", "9007199254740992"),
)  # fmt: skip


def written(names: tuple[str, ...], way: str) -> str:
    """A file of ten weeks for each series, written in one `way`."""
    weeks = [f"2024-01-{day:02}" for day in range(1, 11)]
    rows = [(name, week, i) for name in names for i, week in enumerate(weeks)]
    if way == "interleaved":
        rows.sort(key=lambda row: row[1])
    quote = '"' if way == "quoted" else ""
    lines = ["sku,date,qty", *(f"{quote}{name}{quote},{week},{value}" for name, week, value in rows)]
    return ("\r\n" if way == "windows" else "\n").join(lines)


@pytest.mark.parametrize("way", ["in turn", "interleaved", "quoted", "windows"])
@pytest.mark.parametrize("names", LIKE_NUMBERS, ids=" ".join)
def test_ids_that_look_like_other_things_stay_as_they_are(
    write: Callable[..., str], names: tuple[str, ...], way: str
) -> None:
    panel = read_panel(write(written(names, way)), Columns(series="sku"))
    assert panel.series.tolist() == list(names)
    assert np.array_equal(panel.target, np.tile(np.arange(10.0), len(names)))


@pytest.mark.parametrize("names", [("007", "012"), ("1.10", "2.20"), ("TRUE", "FALSE")], ids=" ".join)
def test_ids_that_first_differ_late_in_the_file_stay_as_they_are(
    write: Callable[..., str], names: tuple[str, ...]
) -> None:
    stamps = pd.date_range("2024-01-01", periods=300).strftime("%Y-%m-%d")
    rows = [f"x{name},{stamp},1" for stamp in stamps for name in names]
    tail = [f"{name},{stamp},2" for stamp in stamps for name in names]
    assert read_panel(write("\n".join(["sku,date,qty", *rows, *tail])), Columns(series="sku")).series.tolist() == [
        *(f"x{name}" for name in names),
        *names,
    ]


def test_categories_that_look_like_numbers_stay_as_they_are(write: Callable[..., str]) -> None:
    rows = [f"{name},2024-01-{day:02},{name},{day}" for day in range(1, 11) for name in ("007", "7")]
    columns = Columns("sku", "date", "qty", static=("code",), texts=("code",))
    panel = read_panel(write("\n".join(["sku,date,code,qty", *rows])), columns)
    assert panel.covariates[0].levels == ("007", "7")
