"""The notebooks and the Python of the documents run as shown."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import forecaster

ROOT = Path(__file__).parent.parent
LONG = {"panel_covariates"}  # two trainings with covariates, and `explain`
NOTEBOOKS = [
    pytest.param(path, marks=[pytest.mark.long] if path.stem in LONG else [], id=path.stem)
    for path in sorted((ROOT / "docs").glob("*.ipynb"))
]
PAGES = [ROOT / "docs" / "parts.md"]

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cpu")]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A working directory like that of a reader: the sample data."""
    shutil.copytree(ROOT / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")


def run(source: str) -> dict[str, object]:
    names: dict[str, object] = {"__name__": "notebook"}
    exec(compile(source, "notebook", "exec"), names)
    return names


QUICK = {
    "epochs": 1,
    "steps_per_epoch": 2,
    "members": 1,
    "transform": "none",
    "floor": 0.0,
    "learning_rate": 0.01,
    "units": 4,
    "context_length": 28,
}


@pytest.mark.parametrize("path", NOTEBOOKS)
def test_a_notebook_runs_from_its_first_cell_to_its_last(path, place, monkeypatch):
    train = forecaster.train
    if path.stem != "parts":  # it brings a network of its own, with few epochs
        monkeypatch.setattr(forecaster, "train", lambda data, **options: train(data, **options, **QUICK))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names = run("\n".join(code))
    assert len(names["forecast"])  # type: ignore[arg-type]
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")  # no output in the repository


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, place):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    names = run("\n".join(blocks))
    assert names["ahead"].shape == (1, 12)  # type: ignore[attr-defined]


def quickly(monkeypatch):
    """`forecaster.train` and `Forecaster` with tiny networks."""
    train = forecaster.train
    quick = lambda data, **options: train(data, **{**options, **QUICK})  # noqa: E731
    monkeypatch.setattr(forecaster, "train", quick)
    monkeypatch.setattr("forecaster.api.train", quick)


def test_the_graph_alone_forecasts_as_the_page_on_stored_models_shows(place, monkeypatch):
    quickly(monkeypatch)
    model = forecaster.train("data/AirPassengers.csv", horizon=12)
    (shown,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "artifact.md").read_text(encoding="utf-8"), re.DOTALL
    )
    names = run(shown)
    assert names["point"].tolist() == model.predict()["prediction"].tolist()  # type: ignore[attr-defined]


@pytest.mark.long
def test_the_python_of_the_guide_runs(place, monkeypatch):
    quickly(monkeypatch)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    names = run("\n".join(blocks))
    assert len(names["forecast"]) == 12 and len(names["ahead"]) == 6  # type: ignore[arg-type]
