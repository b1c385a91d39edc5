"""The file of every test window: what was forecast, what came, and what the baselines said."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from forecaster.errors import UsageError
from forecaster.evaluation.backtest import backtest, baseline_forecasts
from forecaster.evaluation.holdout import holdout_windows, make_holdout
from forecaster.evaluation.window_file import check_window_file, window_rows
from tests.support.factories import panel_of, waves


def test_each_step_of_each_window_is_a_row_with_its_actual():
    values = waves(2, 30)
    values[1][-1] = np.nan
    panel = panel_of(*values)
    holdout = make_holdout(panel, holdout_windows(panel, 3, 2), horizon=3, context_length=8)
    made = np.random.default_rng(0).normal(size=(4, 3, 3))
    found = backtest(holdout, made, (0.1, 0.9), baseline_forecasts(holdout, learned=False))
    rows = list(csv.DictReader(io.StringIO(window_rows(found))))
    assert len(rows) == 4 * 3
    assert list(rows[0])[:8] == ["series", "cutoff", "step", "timestamp", "actual", "model", "0.1", "0.9"]
    assert {"seasonal-naive", "naive", "drift"} < set(rows[0])
    for row in rows:
        n, stamp = int(row["series"][1:]), int(row["timestamp"])
        assert stamp == int(row["cutoff"]) + int(row["step"])
        if np.isnan(values[n][stamp]):
            assert row["actual"] == ""
        else:
            assert float(row["actual"]) == values[n][stamp]
    assert [float(row["model"]) for row in rows] == made[:, :, 0].ravel().tolist()


@pytest.mark.parametrize("name", ["a.xlsx", "a.XLS", "a.parquet", "a.json"])
def test_csv_is_not_written_under_the_name_of_another_form(name):
    with pytest.raises(UsageError, match="written as CSV"):
        check_window_file(name)
    check_window_file("a.csv")
    check_window_file("windows")
