"""Parquet has lists and records, which are no cells of a table; standard input may be closed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from forecaster.cli.main import run
from forecaster.data.reading.reader import read_panel
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


def test_dates_of_years_that_no_calendar_has_are_refused_with_their_row(shop, capfd):
    from pyarrow.parquet import write_table

    stamps = pa.array([0, 3_600_000_000, 2**60], pa.timestamp("us"))
    write_table(pa.table({"series": ["a"] * 3, "timestamp": stamps, "target": [1.0, 2.0, 3.0]}), shop / "far.parquet")
    assert predicted(shop, shop / "far.parquet") == 3
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "far.parquet row 2: timestamp is beyond the years 1 to 9999" in said


def test_far_dates_of_other_columns_do_not_matter(tmp_path):
    """As `valid_to` has, where a row is valid for ever."""
    from pyarrow.parquet import write_table

    days = pa.array(range(0, 30 * 86_400_000_000, 86_400_000_000), pa.timestamp("us"))
    for name, last in (("a", "9999-12-31T23:59:59"), ("b", "9999-12-31"), ("c", 2**62)):
        ends = pa.array(
            np.full(30, np.datetime64(last, "us").astype("i8") if isinstance(last, str) else last), pa.timestamp("us")
        )
        write_table(
            pa.table({"timestamp": days, "valid_to": ends, "target": np.arange(30.0)}), tmp_path / f"{name}.parquet"
        )
        assert read_panel(tmp_path / f"{name}.parquet").target.tolist() == list(range(30))


def test_names_whose_bytes_are_no_text_are_damage(shop, capfd):
    from pyarrow.parquet import write_table

    names = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"a\xff")]
    )
    stamps = pa.array([0, 3_600_000_000], pa.timestamp("us"))
    write_table(pa.table({"series": names, "timestamp": stamps, "target": [1.0, 2.0]}), shop / "bytes.parquet")
    assert predicted(shop, shop / "bytes.parquet") == 3
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "damaged" in said
