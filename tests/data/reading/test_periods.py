"""Weeks, quarters and years that do not begin with Mondays and January."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecaster.config import TrainSettings
from forecaster.data.panel import Panel
from forecaster.data.reading.periods import Periods
from forecaster.data.reading.read_options import ReadOptions
from forecaster.data.reading.reader import read_as
from forecaster.data.row_options import RowOptions
from forecaster.errors import UsageError
from forecaster.serving.open_model import as_trained

DAYS = pd.date_range("2021-11-07", "2024-12-31")


def by_days(resample: str, aggregate: str = "sum") -> Panel:
    values = np.random.default_rng(0).normal(size=len(DAYS))
    rows = RowOptions(resample=resample, aggregate=aggregate)
    return read_as(pd.DataFrame({"date": DAYS, "v": values}), replace(ReadOptions.of(), rows=rows))


@pytest.mark.parametrize("name", ["W-SAT", "W-SUN", "W-MON", "QS-FEB", "QE-JAN", "YE-JUN", "YS-APR", "MS", "ME", "QE"])
def test_periods_are_those_of_pandas(name: str) -> None:
    panel = by_days(name)
    values = pd.Series(np.random.default_rng(0).normal(size=len(DAYS)), DAYS)
    count = pd.Series(1.0, DAYS).resample(name).sum()
    expected = values.resample(name).sum()
    if name.startswith("W"):  # called by their first day, as other periods that are not of month ends
        expected.index = expected.index - pd.Timedelta(days=6)
        count.index = expected.index
    shown = expected[panel.timestamps.astype("M8[us]")]
    np.testing.assert_allclose(panel.target, shown)
    complete = count >= 0.95 * count.max() if name != "ME" and name != "MS" else count >= 28
    assert len(panel.target) == complete.sum()
    assert any(f"periods of {Periods.parse(name).name} (sum)" in note for note in panel.notes)


@pytest.mark.parametrize(
    "name", ["W", "W-SAT", "2W-TUE", "QS-FEB", "QE-JAN", "YE-JUN", "YS-APR", "BQE-JAN", "LWOM-FRI", "h", "M-15"]
)
def test_names_are_read_back(name: str) -> None:
    periods = Periods.parse(name)
    assert Periods.parse(periods.name) == periods


@pytest.mark.parametrize(
    ("name", "said"), [("W-JAN", "JAN is no day"), ("QS-SAT", "SAT is no month"), ("W-XYZ", "XYZ")]
)
def test_an_anchor_that_is_none_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        TrainSettings(resample=name, aggregate="sum").read_options()


def test_rows_are_not_moved_to_a_grid_other_than_that_asked_for() -> None:
    for name in ("W-SAT", "W-SUN", "QS-FEB", "YE-JUN"):
        with pytest.raises(UsageError, match="with --snap: rows are moved to"):
            TrainSettings(freq=name, snap=True).read_options()
    for name in ("W", "W-MON", "QS-JAN", "QE-DEC", "YE-DEC"):
        TrainSettings(freq=name, snap=True).read_options()


def test_a_model_of_other_weeks_refuses_these() -> None:
    trained = replace(ReadOptions.of(freq="W"), rows=RowOptions(resample="W-SAT", aggregate="sum"))
    given = replace(ReadOptions.of(), rows=RowOptions(resample="W", aggregate="sum"))
    with pytest.raises(UsageError, match="trained on periods of W-SAT"):
        as_trained(given, trained, "m")
    assert as_trained(ReadOptions.of(), trained, "m").rows.resample == "W-SAT"
