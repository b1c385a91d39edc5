"""The sample data has the properties that the documents name."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from forecaster.cli.main import run

DATA = Path(__file__).parent.parent / "data"


@pytest.mark.parametrize("name", ["panel", "kiosks"])
def test_the_generator_writes_exactly_the_file_in_the_repository(name: str, tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location(f"make_{name}", DATA / f"make_{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.write(tmp_path / "made.csv")
    assert (tmp_path / "made.csv").read_bytes() == (DATA / f"{name}.csv").read_bytes()


def test_the_panel_has_missing_values_gaps_and_one_short_series() -> None:
    rows = [line.split(",") for line in (DATA / "panel.csv").read_text().splitlines()[1:]]
    counts = {shop: sum(row[0] == shop for row in rows) for shop in dict.fromkeys(row[0] for row in rows)}
    assert len(counts) == 8 and min(counts.values()) < 70 and max(counts.values()) == 730
    assert sum(counts.values()) < 7 * 730 + 60  # missing rows
    assert any(row[2] == "" for row in rows)
    assert (DATA / "panel.csv").stat().st_size < 150_000


def test_air_passengers_are_144_monthly_totals() -> None:
    lines = (DATA / "AirPassengers.csv").read_text().splitlines()
    assert lines[0] == "Month,#Passengers" and len(lines) == 145
    assert lines[1] == "1949-01,112" and lines[-1] == "1960-12,432"


def test_the_stored_sample_model_answers_at_once(tmp_path, capfd):
    store = ["--models", str(DATA / "models")]
    output = tmp_path / "tomorrow.csv"
    assert run(["predict", str(DATA / "kiosks.csv"), *store, "--output", str(output)]) == 0
    assert len(output.read_text().splitlines()) == 1 + 2 * 14
    assert "model kiosks@1, which has the data's name" in capfd.readouterr().err
    assert sum(path.stat().st_size for path in (DATA / "models").rglob("*") if path.is_file()) < 1e6
