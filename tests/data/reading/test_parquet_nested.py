"""Parquet has lists and records, which are no cells of a table; standard input may be closed."""

from __future__ import annotations

import sys

import pytest

from forecaster.cli.main import run
from tests.support.stored_models import stored

pa = pytest.importorskip("pyarrow")
ROWS = 60


@pytest.fixture
def shop(tmp_path):
    stored(tmp_path / "models")
    return tmp_path


def predicted(shop, data):
    return run(["predict", str(data), "--models", str(shop / "models"), "--model", "m", "--quiet"])


@pytest.mark.parametrize("column", ["series", "timestamp", "target"])
@pytest.mark.parametrize("cell", [[1.0], [], {"x": 1}, [[1]], [{"x": 1}]])
def test_lists_and_records_are_data_that_cannot_be_used(shop, capfd, column, cell):
    from pyarrow.parquet import write_table

    columns = {
        "series": ["a"] * ROWS,
        "timestamp": [f"2024-01-{1 + i // 24:02d} {i % 24:02d}:00:00" for i in range(ROWS)],
        "target": [float(i % 7) for i in range(ROWS)],
    }
    write_table(pa.table({**columns, column: [cell] * ROWS}), shop / "data.parquet")
    assert predicted(shop, shop / "data.parquet") == 3
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "data.parquet" in said


def test_a_closed_standard_input_is_named(shop, capfd, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert predicted(shop, "-") == 3
    assert "standard input: it is closed" in capfd.readouterr().err
