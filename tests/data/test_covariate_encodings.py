"""Covariates that no training row was like are told."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecaster.data.covariate_encodings import fit_encodings, unlearnt_ahead, unlearnt_static
from forecaster.data.future_covariates import cut_unobserved
from forecaster.data.panel import Columns
from forecaster.data.reading.reader import read_panel

COLUMNS = Columns(series="shop", timestamp="day", target="sold", known=("temp",), static=("city", "size"))


def panel(ahead=lambda temp: temp, cities=("north", "south"), sizes=(10.0, 12.0)):
    days = pd.date_range("2024-01-01", periods=65)
    temp, sold = 15.0 + np.arange(65.0) % 11, np.arange(65.0)
    temp[60:], sold[60:] = ahead(temp[60:]), np.nan
    one = pd.DataFrame({"day": days, "temp": temp, "sold": sold})
    return cut_unobserved(
        read_panel(
            pd.concat(
                [one.assign(shop=f"s{i}", city=c, size=s) for i, (c, s) in enumerate(zip(cities, sizes, strict=True))]
            ),
            COLUMNS,
        )
    )


def ahead(values, steps=5):
    trained = panel()
    return unlearnt_ahead(panel(values), fit_encodings(trained, trained.offsets[1:]), np.array([0, 1]), steps)


def test_all_numbers_ahead_beyond_the_rows_are_told_where_they_are_far_together():
    assert ahead(lambda temp: temp) == ""
    assert ahead(lambda temp: temp + 7.0) == ""  # a hot week
    assert ahead(lambda temp: temp * 1.8 + 32).startswith("temp of series 's0' at 2024-03-01 is 68")
    assert ahead(lambda temp: temp * 1.8 + 32).endswith(" and 7 more")
    assert ahead(lambda temp: temp + 12.0) and not ahead(lambda temp: temp + 12.0, steps=1)  # two numbers show no unit
    assert ahead(lambda temp: np.where(temp == temp[1], -999.0, temp)).count("-999") == 2  # each by itself


def test_static_values_that_the_training_did_not_have_are_told():
    trained = panel()
    encodings, both = fit_encodings(trained, trained.offsets[1:]), np.array([0, 1])
    assert unlearnt_static(trained, encodings, both) == ""
    other = panel(cities=("north", "SOUTH"), sizes=(10_000.0, 12.0))
    assert unlearnt_static(other, encodings, both) == "city of series 's1' is 'SOUTH', size of series 's0' is 10000"
    assert unlearnt_static(other, encodings, both[:1]) == "size of series 's0' is 10000"
