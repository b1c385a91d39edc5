"""`explain --memory` shows the gradients of the stored weights that serve."""

from __future__ import annotations

import json

import numpy as np
import pytest

import forecaster
from forecaster.cli.main import run
from forecaster.commands.explain_memory import explain_memory
from forecaster.config import ExplainSettings
from forecaster.errors import UsageError
from tests.support.factories import Recorder


def test_the_memory_of_a_stored_model_is_that_of_its_weights(trained, tmp_path, capsys):
    models, report, _ = trained
    found = explain_memory(None, ExplainSettings(models=str(models), model="air", memory=True), Recorder())
    [one] = found.networks
    assert (found.model, found.version, one.segment) == ("air", report.version, 6)
    assert one.memory.rows.shape == (12,) and [layer.shape for layer in one.memory.states] == [(2,)]
    assert one.memory.row_share.sum() == pytest.approx(1.0) and (one.memory.rows > 0).any()
    picture = tmp_path / "memory.png"
    line = ["explain", "--model", "air", "--models", str(models), "--memory", "--plot-memory", str(picture), "--json"]
    assert run(line) == 0 and picture.stat().st_size > 1000
    [shown] = json.loads(capsys.readouterr().out)["memory"]
    np.testing.assert_allclose(shown["forecast_by_row"], one.memory.rows, rtol=1e-5)
    assert shown["rows_with_90_percent"] == one.memory.reach()


def test_python_gives_the_memory_as_a_table_and_a_figure(trained):
    models, report, _ = trained
    found = forecaster.load("air", models=models).explain(memory=True)
    table = found.to_frame()
    assert table.columns.tolist() == ["network", "rows_back", "gradient", "share"]
    assert table["rows_back"].tolist() == list(range(12, 0, -1)) and table["share"].sum() == pytest.approx(1.0)
    assert repr(found).startswith(f"<MemoryReport air@{report.version}: ") and "of 12 rows" in repr(found)
    assert len(found.plot().axes) == 2


def test_a_plot_without_memory_and_windows_with_it_are_refused():
    with pytest.raises(UsageError, match="--plot-memory has no effect without --memory"):
        ExplainSettings(plot_memory="a.png")
    with pytest.raises(UsageError, match="--windows has no effect with --memory"):
        ExplainSettings(memory=True, windows=2)
