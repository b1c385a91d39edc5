"""Known values in a file of their own: those that contradict the data's are told."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecaster.data.future_covariates import differing
from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_future, read_panel

COLUMNS = Columns(series="shop", timestamp="day", target="sold", known=("temp", "sky"))


def rows(first, last):
    days = pd.date_range(first, last)
    number = np.asarray(days.day_of_year)
    sky = np.array(["sun", "rain", "fog"])[number % 3]
    one = pd.DataFrame({"day": days, "temp": 10.0 + number % 9, "sky": sky})
    return pd.concat([one.assign(shop=shop) for shop in ("a", "b")])


@pytest.fixture(scope="module")
def panel():
    return read_panel(rows("2024-01-01", "2024-02-29").assign(sold=range(120)), COLUMNS)


def told(panel, future):
    return differing(panel, read_future(future, panel))


def test_values_that_agree_or_come_after_the_data_are_not_told(panel):
    assert told(panel, rows("2024-02-01", "2024-03-07")) == ""
    assert told(panel, rows("2024-03-01", "2024-03-07").assign(temp=99.0)) == ""
    forecast = rows("2024-02-01", "2024-03-07")
    forecast["temp"] += np.arange(len(forecast)) % 3 - 1.0  # as weather that was forecast
    assert told(panel, forecast) == ""


def test_another_unit_or_coding_is_told_with_its_rows(panel):
    future = rows("2024-02-20", "2024-03-07")
    assert told(panel, future.assign(temp=future["temp"] * 1.8 + 32)) == "temp in 20 of 20 rows"
    assert told(panel, future.assign(sky=future["sky"].str.upper())) == "sky in 20 of 20 rows"
